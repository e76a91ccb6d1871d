use actix_web::http::{Method, header};
use actix_web::web::Bytes;
use futures_util::stream::unfold;
use serde_json::{Value, json};

use super::jobs::until_ended;
use super::session::{browse, cookie_of};
use super::{Seen, Site, ask};
use crate::base::{Address, limits};
use crate::directory::{self, NotSpent, SpendSetupLink};
use crate::store::WriteError;

impl Site {
    /// The token of a new link.
    async fn link(&self) -> String {
        let seen = self.send(self.admin(Method::POST, "/api/v1/setup/link")).await;
        assert_eq!(seen.status, 201, "{}", seen.body);
        seen.body["url"].as_str().unwrap().rsplit_once("/admin/#/setup/").expect("a link to the page").1.to_owned()
    }

    async fn set_up(&self, token: &str, more: Value) -> Seen {
        let mut body = json!({
            "setup_token": token, "email": "root@x.test", "password": "a good password", "hostname": "mail.x.test",
        });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.send(ask(Method::POST, "/api/v1/setup", "").set_json(body)).await
    }

    async fn needs_setup(&self) -> bool {
        let seen = self.send(ask(Method::GET, "/api/v1/setup", "")).await;
        assert_eq!(seen.status, 200);
        seen.body["needs_setup"].as_bool().unwrap()
    }
}

#[actix_web::test]
async fn a_link_makes_the_first_administrator() {
    let site = Site::new();
    assert!(site.needs_setup().await);
    let token = site.link().await;
    assert_eq!(token.len(), 43, "256 bits in base 64");
    let seen = site.set_up(&token, json!({})).await;
    assert_eq!(seen.status, 201, "{}", seen.body);
    assert_eq!((&seen.body["domain"], &seen.body["hostname"]), (&json!("x.test"), &json!("mail.x.test")));
    assert_eq!(
        (&seen.body["restart_needed"], &seen.body["session"]["roles"]),
        (&json!(true), &json!(["user", "admin"]))
    );
    // It has logged in, and may do everything.
    let cookie = cookie_of(&seen);
    assert_eq!(site.send(browse(Method::GET, "/api/v1/tokens", &cookie)).await.status, 200);
    let login = site.login("root@x.test", "a good password");
    assert_eq!(site.send(login).await.status, 201);
    // Mail for postmaster leads there, and the name is kept for the next start.
    let view = site.context.store.view().unwrap();
    let found = directory::resolve(&view, &Address::parse("postmaster@x.test").unwrap()).unwrap();
    assert!(matches!(found, directory::Resolution::Local(to) if to[0].address.to_string() == "root@x.test"));
    let stored = crate::settings::stored(&view).unwrap();
    assert!(stored.iter().any(|(name, row)| name == "smtp.hostname" && row.value == "mail.x.test"), "{stored:?}");
    drop(view);
    // Once: neither that link nor another one.
    assert!(!site.needs_setup().await);
    assert_eq!(site.set_up(&token, json!({"email": "other@x.test"})).await.status, 409);
    assert_eq!(site.send(site.admin(Method::POST, "/api/v1/setup/link")).await.status, 409);
    let row = site.get("/api/v1/audit?action=set_up&actor=setup").await.body["items"][0].clone();
    assert_eq!((&row["actor"], &row["target"]), (&json!("setup"), &json!("root@x.test")));
    assert!(!row.to_string().contains(&token) && !row.to_string().contains("good password"));
    assert_eq!(site.context.store.check().unwrap().lines(), [] as [&str; 0]);
}

#[actix_web::test]
async fn a_link_is_good_once_and_for_an_hour() {
    let site = Site::new();
    assert_eq!(site.set_up("guessed", json!({})).await.status, 403, "there is no link");
    let first = site.link().await;
    let second = site.link().await;
    assert_eq!(site.set_up(&first, json!({})).await.status, 403, "the newer one is the one");
    assert_eq!(site.set_up("", json!({})).await.status, 422);
    site.clock.advance_ms(limits::SETUP_LINK_MS);
    let late = site.set_up(&second, json!({})).await;
    assert_eq!((late.status.as_u16(), late.header(header::SET_COOKIE)), (403, ""));
    assert!(site.needs_setup().await);
    let third = site.link().await;
    site.clock.advance_ms(limits::SETUP_LINK_MS - 1);
    assert_eq!(site.set_up(&third, json!({})).await.status, 201);
    // When nobody administers the server any more, there may be another link; the old one is spent.
    assert_eq!(site.write(Method::PATCH, "/api/v1/accounts/root@x.test", json!({"enabled": false})).await.status, 200);
    assert!(site.needs_setup().await);
    assert_eq!(site.set_up(&third, json!({})).await.status, 403);
    let fourth = site.link().await;
    assert_eq!(site.set_up(&fourth, json!({})).await.status, 201, "who is there already comes back");
}

#[actix_web::test]
async fn what_is_wrong_spends_no_link() {
    let site = Site::new();
    site.write(Method::PUT, "/api/v1/domains/taken.test", json!({"aliases": ["other.test"]})).await;
    site.write(Method::PUT, "/api/v1/aliases/sales@taken.test", json!({"targets": ["a@far.test"]})).await;
    let token = site.link().await;
    for (more, pointer) in [
        (json!({"email": "nobody"}), "/email"),
        (json!({"email": "a@[192.0.2.1]"}), "/email"),
        (json!({"email": "root@other.test"}), "/email"),
        (json!({"email": "sales@taken.test"}), "/email"),
        (json!({"hostname": "-"}), "/hostname"),
        (json!({"first_domain": "y.test"}), "/first_domain"),
        (json!({"password": "short"}), "/password"),
    ] {
        let seen = site.set_up(&token, more.clone()).await;
        assert_eq!(seen.status, 422, "{more}: {}", seen.body);
        assert_eq!(seen.faults()[0].0, pointer, "{more}: {}", seen.body);
        assert!(site.needs_setup().await, "{more}");
    }
    let seen = site.set_up(&token, json!({"email": "root@taken.test", "first_domain": "taken.test"})).await;
    assert_eq!(seen.status, 201, "{}", seen.body);
}

#[actix_web::test]
async fn a_link_is_not_guessed_and_not_used_from_elsewhere() {
    let site = Site::new();
    let token = site.link().await;
    let body = json!({"setup_token": token, "email": "a@x.test", "password": "a good password", "hostname": "x.test"});
    let post = || ask(Method::POST, "/api/v1/setup", "").set_json(&body);
    assert_eq!(site.send(post().insert_header(("sec-fetch-site", "cross-site"))).await.problem(), "cross-site");
    assert_eq!(site.send(post().insert_header(("origin", "http://evil.test"))).await.problem(), "cross-site");
    assert_eq!(site.send(post().peer_addr("192.0.2.1:9".parse().unwrap())).await.problem(), "needs-tls");
    // By its address and through a tunnel it is reached as well as by its name.
    for host in ["127.0.0.1:8080", "[::1]:8080", "localhost:9999", "192.0.2.9"] {
        let seen =
            site.send(actix_web::test::TestRequest::get().uri("/api/v1/setup").insert_header((header::HOST, host)));
        assert_eq!(seen.await.status, 200, "{host}");
    }
    let reader = site.token(&[directory::Scope::AccountsWrite], &[]);
    assert_eq!(site.send(ask(Method::POST, "/api/v1/setup/link", &reader)).await.status, 403);
}

#[actix_web::test]
async fn a_backup_takes_the_place_of_a_set_up() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::on_disk(&folder.path().join("mail.redb"));
    let copy = site.get("/api/v1/backup").await.bytes;
    let token = site.link().await;
    let upload = |token: &str, bytes: &[u8]| {
        let asked = ask(Method::POST, "/api/v1/setup/restore", "").insert_header(("pillarbox-setup-token", token));
        asked.insert_header((header::CONTENT_TYPE, "application/octet-stream")).set_payload(bytes.to_vec())
    };
    let shown_to = async |token: &str| {
        let asked = ask(Method::GET, "/api/v1/setup", "").insert_header(("pillarbox-setup-token", token));
        site.send(asked).await.body["restore"].clone()
    };
    let shown = async || site.send(ask(Method::GET, "/api/v1/setup", "")).await.body["restore"].clone();
    assert_eq!(site.send(upload("guessed", &copy)).await.status, 403);
    assert_eq!(site.send(ask(Method::POST, "/api/v1/setup/restore", "")).await.status, 403);
    assert_eq!(shown().await, Value::Null);
    assert_eq!(site.send(upload(&token, b"no backup")).await.status, 202);
    let job = until_ended(shown).await;
    assert_eq!(job["state"], "failed", "{job}");
    assert!(!site.context.restart.is_cancelled());
    // What was wrong with it is nobody's business who has no link.
    let (strange, known) = (shown_to("guessed").await, shown_to(&token).await);
    assert_eq!(strange["result"], Value::Null, "{strange}");
    assert!(strange["problem"]["detail"].as_str().is_some_and(|detail| detail.contains("link")), "{strange}");
    assert_ne!(known["problem"], strange["problem"], "{known}");
    // The link is good until it is of use; then nobody sets the server up with it behind the restore.
    assert_eq!(site.send(upload(&token, &copy)).await.status, 202);
    assert_eq!(until_ended(shown).await["state"], "succeeded");
    assert!(site.context.restart.is_cancelled() && folder.path().join("mail.redb.restore").exists());
    assert_eq!(site.set_up(&token, json!({})).await.status, 403);
    assert_eq!(site.send(upload(&token, &copy)).await.status, 403);
    let token = site.link().await;
    assert_eq!(site.set_up(&token, json!({})).await.status, 201);
    assert_eq!(site.send(upload(&token, &copy)).await.status, 409);
    assert_eq!(shown().await, Value::Null, "nobody but an administrator sees jobs then");
}

/// A set-up's restore, whose body is the first piece and what `behind` gives when the upload has begun.
async fn restore_in_pieces(
    (site, folder): (&Site, &tempfile::TempDir),
    token: &str,
    first: &[u8],
    behind: impl AsyncFnOnce() -> Vec<u8>,
) -> Seen {
    let asked = ask(Method::POST, "/api/v1/setup/restore", "").insert_header(("pillarbox-setup-token", token));
    let asked = asked.insert_header((header::CONTENT_TYPE, "application/octet-stream"));
    let (send, receive) = tokio::sync::mpsc::unbounded_channel();
    send.send(Bytes::copy_from_slice(first)).unwrap();
    let pieces = unfold(receive, async |mut receive| Some((Ok(receive.recv().await?), receive)));
    let (seen, ()) = tokio::join!(site.send_in_pieces(asked, pieces), async {
        let parts = || {
            std::fs::read_dir(folder.path())
                .unwrap()
                .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().ends_with(".part"))
        };
        let began = std::time::Instant::now();
        while parts().count() == 0 {
            assert!(began.elapsed().as_secs() < 60, "the upload begins");
            actix_web::rt::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        let _ = send.send(behind().await.into());
        drop(send);
    });
    seen
}

#[actix_web::test]
async fn a_restore_that_was_begun_before_the_set_up_does_not_end_behind_it() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::on_disk(&folder.path().join("mail.redb"));
    let copy = site.get("/api/v1/backup").await.bytes;
    let (begin, end) = copy.split_at(copy.len() / 2);
    let token = site.link().await;
    // The owner is quicker than the upload.
    let seen = restore_in_pieces((&site, &folder), &token, begin, async || {
        assert_eq!(site.set_up(&token, json!({})).await.status, 201);
        end.to_vec()
    });
    assert_eq!(seen.await.status, 409);
    // Or than the check of what has come: the last step asks once more.
    assert_eq!(site.write(Method::PATCH, "/api/v1/accounts/root@x.test", json!({"enabled": false})).await.status, 200);
    let spend = |token: &str| site.context.store.write_blocking(SpendSetupLink { token: token.to_owned() });
    let token = site.link().await;
    assert!(matches!(spend("guessed"), Err(WriteError::Refused(NotSpent::Gone))));
    assert_eq!(site.set_up(&token, json!({})).await.status, 201);
    assert!(matches!(spend(&token), Err(WriteError::Refused(NotSpent::SetUp))));
    assert!(!site.context.restart.is_cancelled() && !folder.path().join("mail.redb.restore").exists());
}

#[actix_web::test]
async fn an_upload_does_not_take_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::on_disk(&folder.path().join("mail.redb"));
    let token = site.link().await;
    let seen = restore_in_pieces((&site, &folder), &token, b"drip", async || {
        site.clock.advance_ms(limits::UPLOAD_MS);
        b"drip".to_vec()
    });
    assert_eq!(seen.await.status, 408);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left of it");
}
