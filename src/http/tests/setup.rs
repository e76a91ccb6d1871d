use actix_web::http::{Method, header};
use serde_json::{Value, json};

use super::session::{browse, cookie_of};
use super::{Seen, Site, ask};
use crate::base::{Address, limits};
use crate::directory;

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
