use actix_web::http::{Method, header};
use actix_web::test::TestRequest;
use serde_json::{Value, json};

use super::{Seen, Site, ask};
use crate::base::{AccountId, Address};
use crate::directory::{self, Scope};

pub(super) const PASSWORD: &str = "right horse";

impl Site {
    /// An account that can log in, with those roles.
    pub(super) async fn person(&self, address: &str, roles: &[&str]) -> String {
        let domain = address.split_once('@').expect("an address").1;
        self.write(Method::PUT, &format!("/api/v1/domains/{domain}"), json!({})).await;
        // bcrypt at its cheapest: what is tried here is not the hash.
        let hash = bcrypt::hash(PASSWORD, 4).expect("a hash");
        let body = json!({"roles": roles, "password_hash": hash, "display_name": "Some One"});
        let seen = self.write(Method::PUT, &format!("/api/v1/accounts/{address}"), body).await;
        assert!(seen.status.is_success(), "{}", seen.body);
        address.to_owned()
    }

    pub(super) fn login(&self, email: &str, password: &str) -> TestRequest {
        ask(Method::POST, "/api/v1/session", "").set_json(json!({"email": email, "password": password}))
    }

    /// Logs in and gives the cookie, as `name=value`.
    pub(super) async fn cookie(&self, email: &str) -> String {
        let seen = self.send(self.login(email, PASSWORD)).await;
        assert_eq!(seen.status, 201, "{}", seen.body);
        cookie_of(&seen)
    }
}

/// What a browser would send back.
pub(super) fn cookie_of(seen: &Seen) -> String {
    seen.header(header::SET_COOKIE).split(';').next().unwrap_or_default().to_owned()
}

/// A request of the page.
pub(super) fn browse(method: Method, path: &str, cookie: &str) -> TestRequest {
    ask(method, path, "").insert_header((header::COOKIE, cookie)).insert_header(("sec-fetch-site", "same-origin"))
}

#[actix_web::test]
async fn a_login_sets_a_cookie_that_acts_for_the_account() {
    let site = Site::new();
    site.person("root@x.test", &["user", "admin"]).await;
    let seen = site.send(site.login("ROOT@x.test", PASSWORD)).await;
    assert_eq!(seen.status, 201, "{}", seen.body);
    let field = seen.header(header::SET_COOKIE).to_owned();
    let (pair, attributes) = field.split_once("; ").expect("attributes");
    assert_eq!(attributes, "Path=/; HttpOnly; SameSite=Strict");
    let value = pair.strip_prefix("pb_session=").expect("the name on loopback without TLS");
    assert_eq!(value.len(), 43, "256 bits in base 64");
    assert_eq!((&seen.body["kind"], &seen.body["account"]), (&json!("session"), &json!("root@x.test")));
    assert_eq!(seen.body["roles"], json!(["user", "admin"]));
    assert!(!seen.body.to_string().contains(value));
    let whoami = site.send(browse(Method::GET, "/api/v1/session", pair)).await;
    assert_eq!((&whoami.body["display_name"], &whoami.body["scopes"]), (&json!("Some One"), &seen.body["scopes"]));
    let put = browse(Method::PUT, "/api/v1/domains/new.test", pair).set_json(json!({}));
    assert_eq!(site.send(put).await.status, 201);
    // What the file holds is of no use to who reads it.
    let view = site.context.store.view().unwrap();
    let account = directory::account(&view, &Address::parse("root@x.test").unwrap()).unwrap().unwrap();
    let (key, session) = directory::sessions_of(&view, account.id).unwrap().pop().unwrap();
    assert_ne!(key.as_bytes().as_slice(), value.as_bytes());
    assert_eq!(key, directory::SessionKey::of(value));
    assert_eq!(session.account, account.id);
}

#[actix_web::test]
async fn a_failed_login_says_nothing() {
    let site = Site::new();
    site.person("a@x.test", &["user"]).await;
    site.person("off@x.test", &["user"]).await;
    site.write(Method::PATCH, "/api/v1/accounts/off@x.test", json!({"enabled": false})).await;
    site.person("imap@x.test", &["user"]).await;
    site.write(Method::PATCH, "/api/v1/accounts/imap@x.test", json!({"protocols": ["imap"]})).await;
    let mut bodies = Vec::new();
    for (email, password) in [
        ("a@x.test", "wrong"),
        ("nobody@x.test", "wrong"),
        ("nobody@elsewhere.test", PASSWORD),
        ("no address", PASSWORD),
        ("off@x.test", PASSWORD),
        ("imap@x.test", PASSWORD),
    ] {
        let before = site.context.authenticator.verifications();
        let mut seen = site.send(site.login(email, password)).await;
        assert_eq!(seen.status, 401, "{email}");
        assert_eq!(seen.header(header::SET_COOKIE), "", "{email}");
        assert_eq!(site.context.authenticator.verifications(), before + 1, "{email}: the same work");
        seen.body["instance"] = Value::Null;
        bodies.push(seen.body);
    }
    assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:?}");
}

#[actix_web::test]
async fn a_session_ends_when_nothing_is_done_in_it() {
    let site = Site::new();
    site.person("a@x.test", &["admin"]).await;
    let cookie = site.cookie("a@x.test").await;
    let status = async || site.send(browse(Method::GET, "/api/v1/session", &cookie)).await.status;
    let idle_ms = site.context.session_idle_ms();
    assert_eq!(idle_ms, 12 * 3600 * 1000);
    for _ in 0..3 {
        site.clock.advance_ms(idle_ms - 1);
        assert_eq!(status().await, 200);
        // The note of the use rides on the next write.
        site.write(Method::PUT, "/api/v1/domains/y.test", json!({})).await;
    }
    site.clock.advance_ms(idle_ms);
    assert_eq!(status().await, 401);
}

#[actix_web::test]
async fn a_session_ends_with_what_it_stands_on() {
    let site = Site::new();
    let path = "/api/v1/accounts/a@x.test";
    let hash = bcrypt::hash("another", 4).unwrap();
    for (what, patch) in [
        ("a new password", json!({"password_hash": hash})),
        ("other roles", json!({"roles": ["user", "operator"]})),
        ("disabled", json!({"enabled": false})),
        ("no longer by http", json!({"protocols": ["imap"]})),
    ] {
        site.person("a@x.test", &["admin"]).await;
        let (one, two) = (site.cookie("a@x.test").await, site.cookie("a@x.test").await);
        assert_eq!(site.write(Method::PATCH, path, json!({"display_name": "Other"})).await.status, 200);
        assert_eq!(site.send(browse(Method::GET, "/api/v1/domains", &one)).await.status, 200, "{what}: not by a name");
        assert_eq!(site.write(Method::PATCH, path, patch).await.status, 200, "{what}");
        for cookie in [one, two] {
            assert_eq!(site.send(browse(Method::GET, "/api/v1/domains", &cookie)).await.status, 401, "{what}");
        }
        assert_eq!(directory::sessions_of(&site.context.store.view().unwrap(), AccountId(1)).unwrap(), [], "{what}");
    }
    site.person("a@x.test", &["admin"]).await;
    let cookie = site.cookie("a@x.test").await;
    assert_eq!(site.send(site.admin(Method::DELETE, path)).await.status, 204);
    assert_eq!(site.send(browse(Method::GET, "/api/v1/domains", &cookie)).await.status, 401);
    assert_eq!(site.context.store.check().unwrap().lines(), [] as [&str; 0]);
}

#[actix_web::test]
async fn a_log_out_ends_the_session_and_a_login_the_one_before() {
    let site = Site::new();
    site.person("a@x.test", &["admin"]).await;
    let status = async |cookie: &str| site.send(browse(Method::GET, "/api/v1/domains", cookie)).await.status;
    let (first, other) = (site.cookie("a@x.test").await, site.cookie("a@x.test").await);
    // Whoever planted a cookie, or knows the old one, has nothing of the login.
    let again = site.login("a@x.test", PASSWORD).insert_header((header::COOKIE, first.as_str()));
    let second = cookie_of(&site.send(again).await);
    assert_ne!(first, second);
    assert_eq!((status(&first).await.as_u16(), status(&second).await.as_u16()), (401, 200));
    let planted = site.login("a@x.test", PASSWORD).insert_header((header::COOKIE, "pb_session=planted"));
    assert_ne!(cookie_of(&site.send(planted).await), "pb_session=planted");
    let out = site.send(browse(Method::DELETE, "/api/v1/session", &second)).await;
    assert_eq!(out.status, 204);
    assert_eq!(out.header(header::SET_COOKIE), "pb_session=; Max-Age=0; Path=/; HttpOnly; SameSite=Strict");
    assert_eq!((status(&second).await.as_u16(), status(&other).await.as_u16()), (401, 200));
    assert_eq!(site.send(site.admin(Method::DELETE, "/api/v1/session")).await.status, 409, "a token is no session");
}

#[actix_web::test]
async fn a_page_elsewhere_can_not_use_the_cookie() {
    let site = Site::new();
    site.person("a@x.test", &["admin"]).await;
    let cookie = site.cookie("a@x.test").await;
    let own = "http://localhost";
    for (fields, status) in [
        (vec![], 403),
        (vec![("sec-fetch-site", "cross-site")], 403),
        (vec![("sec-fetch-site", "same-site")], 403),
        (vec![("sec-fetch-site", "none")], 403),
        (vec![("sec-fetch-site", "cross-site"), ("origin", own)], 403),
        (vec![("origin", "http://evil.test")], 403),
        (vec![("origin", "https://localhost")], 403),
        (vec![("origin", "http://localhost.evil.test")], 403),
        (vec![("origin", "null")], 403),
        (vec![("origin", own)], 200),
        (vec![("sec-fetch-site", "same-origin")], 200),
    ] {
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            let path = if method == Method::POST { "/api/v1/queue/flush" } else { "/api/v1/domains/cross.test" };
            let mut request = ask(method.clone(), path, "").insert_header((header::COOKIE, cookie.as_str()));
            for field in &fields {
                request = request.insert_header(*field);
            }
            let seen = site.send(request.set_json(json!({"all": true}))).await;
            assert_eq!(seen.problem() == "cross-site", status == 403, "{method} {fields:?}: {}", seen.body);
        }
        // What only reads passes: nobody elsewhere sees the answer.
        let mut request = ask(Method::GET, "/api/v1/domains", "").insert_header((header::COOKIE, cookie.as_str()));
        for field in &fields {
            request = request.insert_header(*field);
        }
        assert_eq!(site.send(request).await.status, 200);
    }
    // Nor can it log somebody in as somebody else.
    let seen = site.send(site.login("a@x.test", PASSWORD).insert_header(("sec-fetch-site", "cross-site"))).await;
    assert_eq!((seen.status.as_u16(), seen.problem()), (403, "cross-site"));
    // A token is no cookie: no browser adds it by itself.
    let request = site.admin(Method::PUT, "/api/v1/domains/x.test").insert_header(("sec-fetch-site", "cross-site"));
    assert_eq!(site.send(request.set_json(json!({}))).await.status, 200);
}

#[actix_web::test]
async fn a_password_does_not_travel_in_the_clear() {
    let site = Site::new();
    site.person("a@x.test", &["admin"]).await;
    for (peer, status) in [("192.0.2.1:9", 403), ("127.0.0.1:9", 201), ("[::1]:9", 201), ("[::ffff:127.0.0.1]:9", 201)]
    {
        let seen = site.send(site.login("a@x.test", PASSWORD).peer_addr(peer.parse().unwrap())).await;
        assert_eq!(seen.status, status, "{peer}: {}", seen.body);
    }
}

#[actix_web::test]
async fn each_role_does_what_it_may() {
    let site = Site::new();
    for domain in ["own.test", "other.test"] {
        site.person(&format!("user@{domain}"), &["user"]).await;
    }
    site.person("root@own.test", &["admin"]).await;
    site.person("foreign@own.test", &["domain_admin:other.test"]).await;
    type Case<'a> = (&'a str, &'a [&'a str], &'a [(Method, &'a str, u16)]);
    let cases: [Case<'_>; 4] = [
        (
            "nobody@own.test",
            &["user"],
            &[
                (Method::GET, "/api/v1/session", 200),
                (Method::GET, "/api/v1/domains", 403),
                (Method::GET, "/api/v1/accounts/nobody@own.test", 403),
            ],
        ),
        (
            "chief@own.test",
            &["domain_admin:own.test"],
            &[
                (Method::GET, "/api/v1/domains/own.test", 200),
                (Method::GET, "/api/v1/domains/other.test", 403),
                (Method::PATCH, "/api/v1/domains/own.test", 403),
                (Method::PATCH, "/api/v1/accounts/user@own.test", 200),
                (Method::PATCH, "/api/v1/accounts/user@other.test", 403),
                (Method::PATCH, "/api/v1/accounts/root@own.test", 403),
                // Whose password it could set to reach the other domain.
                (Method::PATCH, "/api/v1/accounts/foreign@own.test", 403),
                (Method::GET, "/api/v1/queue", 200),
                (Method::POST, "/api/v1/queue/flush", 403),
                (Method::GET, "/api/v1/tokens", 403),
            ],
        ),
        (
            "night@own.test",
            &["operator"],
            &[
                (Method::PATCH, "/api/v1/domains/other.test", 200),
                (Method::PATCH, "/api/v1/accounts/user@other.test", 200),
                (Method::PATCH, "/api/v1/accounts/root@own.test", 403),
                (Method::POST, "/api/v1/queue/flush", 422),
                (Method::GET, "/api/v1/tokens", 403),
                (Method::GET, "/api/v1/queue/messages/m_0000000000000/raw", 403),
            ],
        ),
        (
            "boss@own.test",
            &["admin"],
            &[
                (Method::PATCH, "/api/v1/accounts/root@own.test", 200),
                (Method::GET, "/api/v1/tokens", 200),
                (Method::GET, "/api/v1/queue/messages/m_0000000000000/raw", 404),
            ],
        ),
    ];
    for (address, roles, requests) in cases {
        site.person(address, roles).await;
        let cookie = site.cookie(address).await;
        for (method, path, status) in requests {
            let request = browse(method.clone(), path, &cookie);
            let request = if *method == Method::GET { request } else { request.set_json(json!({})) };
            let seen = site.send(request).await;
            assert_eq!(seen.status, *status, "{roles:?} {method} {path}: {}", seen.body);
        }
    }
    // Nobody gives what they have not.
    let cookie = site.cookie("night@own.test").await;
    for (roles, status) in [(json!(["admin"]), 403), (json!(["operator"]), 403), (json!(["user"]), 200)] {
        let request = browse(Method::PATCH, "/api/v1/accounts/user@own.test", &cookie);
        assert_eq!(site.send(request.set_json(json!({"roles": roles}))).await.status, status, "{roles}");
    }
}

#[actix_web::test]
async fn who_is_asking_is_said_of_tokens_too() {
    let site = Site::new();
    let token = site.token(&[Scope::DomainsRead], &["x.test"]);
    let seen = site.send(ask(Method::GET, "/api/v1/session", &token)).await;
    let expected = json!({
        "kind": "token", "account": null, "display_name": "test", "roles": [], "scopes": ["domains:read"],
        "restrict_domains": ["x.test"], "expires_at": null,
    });
    assert_eq!(seen.body, expected);
}
