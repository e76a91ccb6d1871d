use actix_web::http::{Method, header};
use serde_json::{Value, json};

use super::{Site, ask};
use crate::directory::Scope;

const ITEMS: &str = "/api/v1/restore/items";
const ALICE: &str = "/api/v1/accounts/alice@example.test";

/// A site with alice's mail and a backup of it: two messages in INBOX, one in Work.
async fn site(folder: &tempfile::TempDir) -> (Site, String) {
    let site = Site::on_disk(&folder.path().join("mail.redb"));
    for (path, body) in [
        ("/api/v1/domains/example.test", json!({})),
        (ALICE, json!({"display_name": "Alice", "quota_bytes": 1000, "roles": ["operator"]})),
        ("/api/v1/accounts/alice@example.test/mailboxes/Work", json!({})),
    ] {
        assert_eq!(site.write(Method::PUT, path, body).await.status, 201, "{path}");
    }
    for (mailbox, subject) in [("INBOX", "an invoice"), ("INBOX", "a letter"), ("Work", "a plan")] {
        let request = site.admin(Method::POST, &format!("{ALICE}/mailboxes/{mailbox}/messages"));
        let message = format!("From: bob@example.test\r\nSubject: {subject}\r\n\r\nthe text of {subject}\r\n");
        let request = request.insert_header((header::CONTENT_TYPE, "message/rfc822")).set_payload(message);
        assert_eq!(site.send(request).await.status, 201);
    }
    let job = site.write(Method::POST, "/api/v1/backups", json!({})).await;
    let job = site.ended(&job).await;
    assert_eq!(job["state"], "succeeded", "{job}");
    (site, job["result"]["id"].as_str().unwrap().to_owned())
}

async fn restore(site: &Site, body: Value) -> Value {
    let started = site.write(Method::POST, ITEMS, body).await;
    let job = site.ended(&started).await;
    assert_eq!((&job["state"], &job["kind"]), (&json!("succeeded"), &json!("restore_items")), "{job}");
    assert_eq!(site.context.store.check().unwrap().lines(), [] as [&str; 0]);
    job["result"].clone()
}

#[actix_web::test]
async fn what_a_backup_holds_is_seen_and_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let (site, backup) = site(&folder).await;
    let inbox = format!("{ALICE}/mailboxes/INBOX/messages");
    let before = site.get(&format!("{inbox}/1/raw")).await.bytes;
    assert_eq!(site.send(site.admin(Method::DELETE, &format!("{inbox}/1"))).await.status, 204);

    let contents = format!("/api/v1/backups/{backup}/accounts");
    let accounts = site.get(&format!("{contents}?count=true")).await.body;
    assert_eq!((&accounts["count"], &accounts["items"][0]["address"]), (&json!(1), &json!("alice@example.test")));
    assert_eq!((&accounts["items"][0]["messages"], &accounts["items"][0]["is_there"]), (&json!(3), &json!(true)));
    let mailboxes = site.get(&format!("{contents}/alice@example.test/mailboxes")).await.body;
    let work = mailboxes["items"].as_array().unwrap().iter().find(|one| one["name"] == "Work").unwrap().clone();
    assert_eq!((&work["messages"], &work["is_there"], &work["special_use"]), (&json!(1), &json!(true), &json!(null)));
    let messages = format!("{contents}/alice@example.test/mailboxes/INBOX/messages");
    let shown = site.get(&messages).await.body;
    let seen: Vec<_> =
        shown["items"].as_array().unwrap().iter().map(|one| (&one["subject"], &one["is_there"])).collect();
    assert_eq!(seen, [(&json!("a letter"), &json!(true)), (&json!("an invoice"), &json!(false))]);
    let page = site.get(&format!("{messages}?limit=1")).await.body;
    let next = site.get(&format!("{messages}?limit=1&cursor={}", page["next_cursor"].as_str().unwrap())).await.body;
    assert_eq!((&next["items"][0]["uid"], &next["next_cursor"]), (&json!(1), &json!(null)));
    assert_eq!(site.get(&format!("{messages}?q=LETTER")).await.body["items"].as_array().unwrap().len(), 1);

    let body =
        |dry_run: bool| json!({"backup": backup, "selector": {"account": "alice@example.test"}, "dry_run": dry_run});
    let preview = site.write(Method::POST, ITEMS, body(true)).await;
    assert_eq!(preview.status, 200, "{}", preview.body);
    assert_eq!((&preview.body["count"], &preview.body["still_there"]), (&json!(1), &json!(2)));
    assert_eq!(preview.body["account_another"], false);
    assert_eq!(
        (&preview.body["items"][0]["subject"], &preview.body["over_quota"]),
        (&json!("an invoice"), &json!(false))
    );
    assert_eq!(site.get(&inbox).await.body["items"].as_array().unwrap().len(), 1, "nothing is done");

    let result = restore(&site, body(false)).await;
    assert_eq!((&result["restored"], &result["still_there"], &result["matched"]), (&json!(1), &json!(2), &json!(3)));
    assert!(site.get(&format!("{inbox}/3/raw")).await.bytes == before);
    let result = restore(&site, body(false)).await;
    assert_eq!((&result["restored"], &result["still_there"]), (&json!(0), &json!(3)));
    let message = site.get(&format!("{inbox}/3")).await.body["id"].as_str().unwrap().to_owned();
    let story = site.get(&format!("/api/v1/trace/{message}")).await.body;
    let event = story["events"].as_array().unwrap().iter().find(|event| event["kind"] == "restored").unwrap();
    assert_eq!(event["text"], format!("from the backup {backup}"));
    assert!(story["verdict"]["sentence"].as_str().unwrap().contains("has brought it back"), "{story}");
    let audit = site.get("/api/v1/audit").await.body;
    let rows = audit["items"].as_array().unwrap().iter().filter(|row| row["action"] == "restore_items");
    let restored: Vec<_> = rows.map(|row| row["after"]["result"]["restored"].clone()).collect();
    assert_eq!(restored, [json!(0), json!(1), json!(null)], "{audit}");
}

#[actix_web::test]
async fn an_account_and_a_mailbox_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let (site, backup) = site(&folder).await;
    assert_eq!(site.send(site.admin(Method::DELETE, &format!("{ALICE}/mailboxes/Work"))).await.status, 204);
    let work = json!({"account": "alice@example.test", "mailbox": "Work"});
    let body = json!({"backup": backup, "selector": work, "into": "Restored/2026-11-20"});
    let preview = site.write(Method::POST, ITEMS, {
        let mut body = body.clone();
        body["dry_run"] = json!(true);
        body
    });
    let preview = preview.await.body;
    let expected = json!({
        "name": "Work", "into": "Restored/2026-11-20", "made": true, "obstacle": null, "messages": 1,
        "size_bytes": preview["size_bytes"], "still_there": 0,
    });
    assert_eq!(preview["mailboxes"], json!([expected]));
    assert_eq!(restore(&site, body).await["mailboxes_made"], json!(["Restored/2026-11-20"]));
    assert_eq!(site.send(site.admin(Method::DELETE, ALICE)).await.status, 204);
    let all = json!({"backup": backup, "selector": {"account": "alice@example.test"}});
    // Who restores does not give away more than it has.
    let limited = site.token(&[Scope::RestoreWrite, Scope::AccountsRead], &[]);
    let request = || ask(Method::POST, ITEMS, &limited).set_json(&all);
    assert_eq!(site.send(request()).await.status, 403, "an operator may more than that token");
    let result = restore(&site, all.clone()).await;
    assert_eq!((&result["restored"], &result["account_made"]), (&json!(3), &json!(true)));
    assert_eq!(site.get(ALICE).await.body["display_name"], "Alice");
    assert_eq!(site.get(&format!("{ALICE}/mailboxes/Work")).await.body["exists"], 1);
    let mut again = all.clone();
    again["dry_run"] = json!(true);
    let preview = site.write(Method::POST, ITEMS, again).await.body;
    assert_eq!((&preview["account_made"], &preview["account_another"]), (&json!(false), &json!(true)));
    // Another has the address by now.
    assert_eq!(site.send(site.admin(Method::DELETE, ALICE)).await.status, 204);
    let alias = "/api/v1/aliases/alice@example.test";
    assert_eq!(site.write(Method::PUT, alias, json!({"targets": ["bob@far.test"]})).await.status, 201);
    let refused = site.write(Method::POST, ITEMS, all).await;
    assert_eq!(refused.status, 409);
    assert!(refused.body["detail"].as_str().unwrap().contains("taken by an alias"), "{}", refused.body);
}

#[actix_web::test]
async fn what_can_not_come_back_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let (site, backup) = site(&folder).await;
    let check = async |body: Value, status: u16, pointer: &str| {
        let seen = site.write(Method::POST, ITEMS, body.clone()).await;
        assert_eq!(seen.status, status, "{body}: {}", seen.body);
        assert_eq!(seen.faults().first().map_or("", |(pointer, _)| pointer), pointer, "{body}: {}", seen.body);
    };
    let of = |selector: Value| json!({"backup": backup, "selector": selector});
    check(json!({"backup": "../x", "selector": {"account": "alice@example.test"}}), 422, "/backup").await;
    check(json!({"backup": "daily-20261101T030000Z", "selector": {"account": "alice@example.test"}}), 404, "").await;
    check(of(json!({})), 422, "/selector/account").await;
    check(of(json!({"account": "nobody"})), 422, "/selector/account").await;
    check(of(json!({"account": "nobody@example.test"})), 404, "").await;
    check(of(json!({"account": "alice@example.test", "mailbox": "Nowhere"})), 404, "").await;
    check(of(json!({"account": "alice@example.test", "mailbox": "a//b"})), 422, "/selector/mailbox").await;
    check(of(json!({"account": "alice@example.test", "uids": [1]})), 422, "/selector/mailbox").await;
    check(of(json!({"account": "alice@example.test", "mailbox": "INBOX", "uids": []})), 422, "/selector/uids").await;
    check(of(json!({"account": "alice@example.test", "mailbox": "INBOX", "uids": [0]})), 422, "/selector/uids/0").await;
    check(of(json!({"account": "alice@example.test", "message": "m_x"})), 422, "/selector/message").await;
    check(of(json!({"account": "alice@example.test", "after": "today"})), 422, "/selector/after").await;
    check(of(json!({"account": "alice@example.test", "colour": "red"})), 422, "/selector/colour").await;
    let mut body = of(json!({"account": "alice@example.test"}));
    body["into"] = json!("/");
    check(body, 422, "/into").await;
    for path in ["accounts/nobody@example.test/mailboxes", "accounts/alice@example.test/mailboxes/No/messages"] {
        assert_eq!(site.get(&format!("/api/v1/backups/{backup}/{path}")).await.status, 404, "{path}");
    }
    assert_eq!(site.get("/api/v1/backups/daily-20261101T030000Z/accounts").await.status, 404);
    // Without the scope for it, nothing is seen of what messages hold.
    let token = site.token(&[Scope::BackupRead, Scope::RestoreWrite], &[]);
    let path = format!("/api/v1/backups/{backup}/accounts/alice@example.test/mailboxes/INBOX/messages");
    let seen = site.send(ask(Method::GET, &path, &token)).await;
    assert_eq!((seen.status.as_u16(), &seen.body["items"][0]["subject"]), (200, &json!("")), "{}", seen.body);
    assert!(!seen.body.to_string().contains("letter"));
    assert_eq!(site.send(ask(Method::GET, &format!("{path}?q=letter"), &token)).await.status, 403);
    let body = of(json!({"account": "alice@example.test", "query": "letter"}));
    assert_eq!(site.send(ask(Method::POST, ITEMS, &token).set_json(&body)).await.status, 403);
    let restricted = site.token(&[Scope::BackupRead, Scope::RestoreWrite], &["example.test"]);
    assert_eq!(site.send(ask(Method::GET, &path, &restricted)).await.status, 403);
    let body = of(json!({"account": "alice@example.test"}));
    assert_eq!(site.send(ask(Method::POST, ITEMS, &restricted).set_json(&body)).await.status, 403);
}
