use actix_web::http::header::{self, HeaderName};
use actix_web::http::{Method, StatusCode};
use serde_json::json;

use super::session::{PASSWORD, browse};
use super::{Seen, Site, ask};
use crate::base::limits;

fn field(seen: &Seen, name: &'static str) -> String {
    seen.header(HeaderName::from_static(name)).to_owned()
}

#[actix_web::test]
async fn a_token_and_a_session_have_a_rate_each() {
    let site = Site::with_settings(&["http.requests_per_minute=5"]);
    site.person("a@x.test", &["admin"]).await;
    site.clock.advance_ms(60_000);
    let cookie = site.cookie("a@x.test").await;
    let by_token = async || site.get("/api/v1/domains").await;
    let by_cookie = async || site.send(browse(Method::GET, "/api/v1/domains", &cookie)).await;
    for left in (0..5).rev() {
        let seen = by_token().await;
        assert_eq!(seen.status, 200);
        assert_eq!(field(&seen, "ratelimit-policy"), "\"requests\";q=5;w=60");
        assert_eq!(field(&seen, "ratelimit"), format!("\"requests\";r={left};t={}", (5 - left) * 12));
    }
    let seen = by_token().await;
    assert_eq!((seen.status.as_u16(), seen.problem()), (429, "too-many-requests"));
    assert_eq!(seen.header(header::RETRY_AFTER), "12");
    assert_eq!(by_cookie().await.status, 200, "the session has its own");
    site.clock.advance_ms(12_000);
    assert_eq!(by_token().await.status, 200);
    assert_eq!(by_token().await.status, 429);
    site.clock.advance_ms(60_000);
    assert_eq!(field(&by_token().await, "ratelimit"), "\"requests\";r=4;t=12");
}

#[actix_web::test]
async fn an_address_has_a_few_tries() {
    let site = Site::new();
    site.person("a@x.test", &["admin"]).await;
    let with = async |from: &str, token: &str| -> StatusCode {
        site.send(ask(Method::GET, "/api/v1/domains", token).peer_addr(from.parse().unwrap())).await.status
    };
    for place in 0..limits::HTTP_LOGINS_PER_ADDRESS {
        assert_eq!(with(&format!("[2001:db8::{place}]:9"), "pbx_0_0").await, 401);
    }
    assert_eq!(with("[2001:db8::ff]:9", "pbx_0_0").await, 429, "the same /64");
    assert_eq!(with("[2001:db8::ff]:9", &site.admin).await, 200, "a good token is no try");
    assert_eq!(with("[2001:db8:0:1::1]:9", "pbx_0_0").await, 401);
    for _ in 0..50 {
        assert_eq!(with("127.0.0.1:9", "pbx_0_0").await, 401, "it is exempt, as at the other doors");
    }
    site.clock.advance_ms(6_000);
    assert_eq!(with("[2001:db8::ff]:9", "pbx_0_0").await, 401);
    assert_eq!(with("[2001:db8::ff]:9", "pbx_0_0").await, 429);
}

#[actix_web::test]
async fn an_account_has_a_few_tries_from_strangers() {
    let site = Site::with_settings(&["limits.exempt_networks=127.0.0.0/8"]);
    site.person("a@x.test", &["admin"]).await;
    // The loopback listener is where passwords come in without TLS. ::1 has logged in; whoever comes from 127.0.0.1, which
    // is exempt as a proxy would be, stays a stranger.
    let login = async |from: &str, email: &str, password: &str| {
        site.send(site.login(email, password).peer_addr(from.parse().unwrap())).await.status.as_u16()
    };
    assert_eq!(login("[::1]:9", "a@x.test", PASSWORD).await, 201);
    assert_eq!(login("127.0.0.1:9", "a@x.test", PASSWORD).await, 201);
    for place in 2..limits::HTTP_LOGINS_PER_ACCOUNT {
        assert_eq!(login("127.0.0.1:9", if place % 2 == 0 { "a@x.test" } else { "A@X.test" }, "wrong").await, 401);
    }
    let before = site.context.authenticator.verifications();
    assert_eq!(login("127.0.0.1:9", "a@x.test", "wrong").await, 429);
    assert_eq!(login("127.0.0.1:9", "a@x.test", PASSWORD).await, 429);
    assert_eq!(site.context.authenticator.verifications(), before, "and no work is done for it");
    assert_eq!(login("[::1]:9", "a@x.test", PASSWORD).await, 201, "who knew it before is not kept out");
    assert_eq!(login("127.0.0.1:9", "nobody@x.test", "wrong").await, 401);
    site.clock.advance_ms(60_000);
    assert_eq!(login("127.0.0.1:9", "a@x.test", PASSWORD).await, 201);
}

#[actix_web::test]
async fn what_nobody_is_known_for_has_no_rate() {
    let site = Site::with_settings(&["http.requests_per_minute=1"]);
    for _ in 0..5 {
        let seen = site.send(ask(Method::GET, "/healthz", "")).await;
        assert_eq!((seen.status.as_u16(), field(&seen, "ratelimit")), (200, String::new()));
    }
    assert_eq!(site.write(Method::PUT, "/api/v1/domains/x.test", json!({})).await.status, 201);
    assert_eq!(site.get("/api/v1/domains").await.status, 429);
}
