use actix_web::http::header::HeaderName;
use actix_web::http::{Method, header};
use actix_web::test::{call_service, init_service};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{Site, app, schema};
use crate::store::{Options, verify};

const PATH: &str = "/api/v1/backups";

#[actix_web::test]
async fn a_backup_is_made_shown_fetched_checked_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::on_disk(&folder.path().join("mail.redb"));
    assert_eq!(site.get(PATH).await.body["items"], json!([]));
    let started = site.write(Method::POST, PATH, json!({"compact": true})).await;
    assert_eq!((started.status.as_u16(), &started.body["kind"]), (202, &json!("backup")), "{}", started.body);
    let job = site.ended(&started).await;
    assert_eq!(job["state"], "succeeded", "{job}");
    let list = site.get(&format!("{PATH}?count=true")).await;
    assert_eq!((&list.body["count"], &list.body["items"][0]["id"]), (&json!(1), &job["result"]["id"]));
    let path = format!("{PATH}/{}", job["result"]["id"].as_str().unwrap());
    let shown = site.get(&path).await;
    assert_eq!((&shown.body, &shown.body["origin"]), (&list.body["items"][0], &json!("manual")));

    let file = site.get(&format!("{path}/file")).await;
    assert_eq!(file.bytes.len() as u64, shown.body["file_bytes"].as_u64().unwrap());
    let fetched = folder.path().join("fetched.redb");
    std::fs::write(&fetched, &file.bytes).unwrap();
    assert!(verify(&Options::at(&fetched), schema()).unwrap().lines().is_empty());
    let part = |range: &'static str, etag: &str| {
        let asked = site.admin(Method::GET, &format!("{path}/file")).insert_header((header::RANGE, range));
        site.send(asked.insert_header((header::IF_RANGE, etag)))
    };
    let etag = file.header(header::ETAG);
    let (tail, all_bytes) = (part("bytes=4096-", etag).await, file.bytes.len());
    assert_eq!((tail.status.as_u16(), &tail.bytes[..]), (206, &file.bytes[4096..]));
    assert_eq!(tail.header(header::CONTENT_RANGE), format!("bytes 4096-{}/{all_bytes}", all_bytes - 1));
    assert_eq!(part("bytes=5-9", etag).await.bytes, file.bytes[5..10]);
    assert_eq!(part("bytes=5-9", "\"another\"").await.bytes.len(), all_bytes);
    let none = part("bytes=99999999-", etag).await;
    assert_eq!(
        (none.status.as_u16(), none.header(header::CONTENT_RANGE)),
        (416, format!("bytes */{all_bytes}").as_str())
    );

    // One of the same length that was put in its place is another file.
    let another = std::time::UNIX_EPOCH + std::time::Duration::from_secs(5);
    std::fs::File::open(shown.body["path"].as_str().unwrap()).unwrap().set_modified(another).unwrap();
    assert_eq!(part("bytes=4096-", etag).await.status, 200);

    let checked = site.write(Method::POST, &format!("{path}/verify"), json!({})).await;
    assert_eq!(site.ended(&checked).await["state"], "succeeded");
    std::fs::write(shown.body["path"].as_str().unwrap(), b"lost").unwrap();
    let checked = site.write(Method::POST, &format!("{path}/verify"), json!({})).await;
    assert_eq!(site.ended(&checked).await["state"], "failed");

    let stale = site.admin(Method::DELETE, &path).insert_header((header::IF_MATCH, shown.header(header::ETAG)));
    assert_eq!(site.send(stale).await.status, 412, "it has another length now");
    assert_eq!(site.send(site.admin(Method::DELETE, &path)).await.status, 204);
    assert_eq!(site.get(&path).await.status, 404);
    let actions = site.get("/api/v1/audit").await.body.to_string();
    for action in ["create_backup", "get_backup_file", "verify_backup", "delete_backup"] {
        assert!(actions.contains(action), "{action}: {actions}");
    }
}

#[actix_web::test]
async fn a_copy_is_made_and_given_in_one_call() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::on_disk(&folder.path().join("mail.redb"));
    let given = site.get("/api/v1/backup?compact=true").await;
    assert_eq!(given.status, 200, "{}", given.body);
    let digest = STANDARD.encode(Sha256::digest(&given.bytes));
    assert_eq!(given.header(HeaderName::from_static("repr-digest")), format!("sha-256=:{digest}:"));
    let fetched = folder.path().join("fetched.redb");
    std::fs::write(&fetched, &given.bytes).unwrap();
    assert!(verify(&Options::at(&fetched), schema()).unwrap().lines().is_empty());
    let given = site.get("/api/v1/backup?compress=zstd").await;
    assert_eq!((given.status.as_u16(), given.header(header::CONTENT_TYPE)), (200, "application/zstd"));
    assert!(given.header(header::CONTENT_DISPOSITION).ends_with(".redb.zst\""));
    std::fs::write(&fetched, zstd::decode_all(&given.bytes[..]).unwrap()).unwrap();
    assert!(verify(&Options::at(&fetched), schema()).unwrap().lines().is_empty());
    assert_eq!(site.get("/api/v1/backup?compress=gzip").await.status, 422);
    // While one is read there is no second one.
    let service = init_service(app(site.context.clone())).await;
    let lent = call_service(&service, site.admin(Method::GET, "/api/v1/backup").to_request()).await;
    assert_eq!(site.get("/api/v1/backup").await.status, 409);
    drop(lent);
    assert_eq!(site.get("/api/v1/backup").await.status, 200);
    assert_eq!(std::fs::read_dir(folder.path().join("mail.backups")).unwrap().count(), 0, "nothing of it stays");
}

#[actix_web::test]
async fn what_can_not_be_backed_up_says_why() {
    let site = Site::new();
    for (method, path, status) in [
        (Method::POST, PATH.to_owned(), 409),
        (Method::GET, "/api/v1/backup".to_owned(), 409),
        (Method::GET, format!("{PATH}/daily-20261122T030000Z"), 404),
        (Method::GET, format!("{PATH}/..%2F..%2Fetc%2Fpasswd"), 422),
        (Method::GET, format!("{PATH}/daily-20261122T030000Z%2F..%2Fx/file"), 422),
        (Method::DELETE, format!("{PATH}/lent-0"), 422),
    ] {
        let seen = site.write(method.clone(), &path, json!({})).await;
        assert_eq!(seen.status, status, "{method} {path}: {}", seen.body);
    }
}

/// The path of what waits for the next start.
fn staged(folder: &tempfile::TempDir) -> std::path::PathBuf {
    folder.path().join("mail.redb.restore")
}

#[actix_web::test]
async fn a_backup_is_staged_and_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::on_disk(&folder.path().join("mail.redb"));
    let path = "/api/v1/restore";
    assert_eq!(site.get(path).await.body, json!({"staged": null}));
    assert_eq!(site.send(site.admin(Method::DELETE, path)).await.status, 404);
    let made = site.write(Method::POST, PATH, json!({})).await;
    let id = site.ended(&made).await["result"]["id"].clone();
    let begun = site.write(Method::POST, path, json!({"backup": id})).await;
    assert_eq!((begun.status.as_u16(), &begun.body["kind"]), (202, &json!("restore")), "{}", begun.body);
    let job = site.ended(&begun).await;
    assert_eq!((&job["state"], &job["result"]["restarting"]), (&json!("succeeded"), &json!(false)), "{job}");
    let waiting = site.get(path).await.body;
    assert_eq!(waiting["staged"]["staged_at"], job["result"]["staged_at"], "{waiting}");
    assert!(staged(&folder).exists() && !site.context.restart.is_cancelled());
    let seen = site.get("/api/v1/overview").await.body;
    let check = seen["checks"].as_array().unwrap().iter().find(|check| check["id"] == "restore").unwrap();
    assert_eq!(check["state"], "warning", "{check}");
    assert_eq!(site.send(site.admin(Method::DELETE, path)).await.status, 204);
    assert!(!staged(&folder).exists());
    for (body, status) in [
        (json!({"backup": "daily-20261122T030000Z"}), 404),
        (json!({"backup": "../mail"}), 422),
        (json!({"backup": id, "now": true}), 422),
        (json!({}), 422),
    ] {
        assert_eq!(site.write(Method::POST, path, body.clone()).await.status, status, "{body}");
    }
    assert_eq!(Site::new().write(Method::POST, path, json!({"backup": id})).await.status, 404);
}

/// A request with a file as its body.
fn upload(site: &Site, path: &str, kind: &'static str, bytes: &[u8]) -> actix_web::test::TestRequest {
    site.admin(Method::POST, path).insert_header((header::CONTENT_TYPE, kind)).set_payload(bytes.to_vec())
}

#[actix_web::test]
async fn a_backup_is_uploaded_checked_and_staged() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::on_disk(&folder.path().join("mail.redb"));
    let copy = site.get("/api/v1/backup").await.bytes;
    let (plain, packed) = ("application/octet-stream", "application/zstd");
    // What is not good changes nothing, and nothing is left of it.
    for bytes in [&b""[..], b"no backup", &copy[..copy.len() / 2]] {
        let begun = site.send(upload(&site, "/api/v1/restore", plain, bytes)).await;
        assert_eq!(begun.status, 202, "{}", begun.body);
        assert_eq!(site.ended(&begun).await["state"], "failed");
        assert!(!staged(&folder).exists());
    }
    let broken = [&zstd::encode_all(&copy[..], 1).unwrap()[..4], &[0xff; 100]].concat();
    assert_eq!(site.send(upload(&site, "/api/v1/restore", packed, &broken)).await.status, 400);
    assert_eq!(site.send(upload(&site, "/api/v1/restore", "text/plain", &copy)).await.status, 415);
    let operator = site.token(&[crate::directory::Scope::RestoreWrite], &[]);
    let asked = super::ask(Method::POST, "/api/v1/restore", &operator).insert_header((header::CONTENT_TYPE, plain));
    assert_eq!(site.send(asked.set_payload(copy.to_vec())).await.status, 403, "it may name other administrators");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "the file, and the folder with its copies");

    let bytes = zstd::encode_all(&copy[..], 1).unwrap();
    let begun = site.send(upload(&site, "/api/v1/restore?restart=true", packed, &bytes)).await;
    let job = site.ended(&begun).await;
    assert_eq!((&job["state"], &job["result"]["restarting"]), (&json!("succeeded"), &json!(true)), "{job}");
    assert!(site.context.restart.is_cancelled());
    assert!(verify(&Options::at(&staged(&folder)), schema()).unwrap().lines().is_empty());
    // One that lies there may name other administrators as well.
    let made = site.write(Method::POST, PATH, json!({})).await;
    let id = site.ended(&made).await["result"]["id"].clone();
    let asked = super::ask(Method::POST, "/api/v1/restore", &operator).set_json(json!({"backup": id}));
    assert_eq!(site.send(asked).await.status, 403);
}

#[actix_web::test]
async fn a_damaged_backup_is_shown_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::on_disk(&folder.path().join("mail.redb"));
    let made = site.write(Method::POST, PATH, json!({})).await;
    let path = format!("{PATH}/{}", site.ended(&made).await["result"]["id"].as_str().unwrap());
    let shown = site.get(&path).await.body;
    assert_eq!((&shown["verified_at"], &shown["is_damaged"]), (&shown["made_at"], &json!(false)));
    let metrics = || site.get("/metrics");
    let name = "pillarbox_backup_last_success_timestamp_seconds ";
    assert!(String::from_utf8_lossy(&metrics().await.bytes).contains(name));
    site.clock.advance_ms(60_000);
    std::fs::write(shown["path"].as_str().unwrap(), b"lost").unwrap();
    let checked = site.write(Method::POST, &format!("{path}/verify"), json!({})).await;
    assert_eq!(site.ended(&checked).await["result"]["findings"].as_array().unwrap().len(), 1);
    let damaged = site.get(&path).await.body;
    assert_eq!(damaged["is_damaged"], true, "{damaged}");
    // It says so wherever it is looked into, and not that the server has a fault.
    let wanted = json!({"backup": damaged["id"], "selector": {"account": "a@x.test"}, "dry_run": true});
    for seen in [
        site.get(&format!("{path}/accounts")).await,
        site.get(&format!("{path}/accounts/a@x.test/mailboxes")).await,
        site.get(&format!("{path}/accounts/a@x.test/mailboxes/INBOX/messages")).await,
        site.write(Method::POST, "/api/v1/restore/items", wanted).await,
    ] {
        assert_eq!(seen.status, 409, "{}", seen.body);
        assert!(seen.body["detail"].as_str().is_some_and(|detail| detail.contains("can't be opened")), "{}", seen.body);
    }
    assert!(damaged["verified_at"].as_str() > shown["verified_at"].as_str());
    assert!(!String::from_utf8_lossy(&metrics().await.bytes).contains(name), "there is no good one any more");
}
