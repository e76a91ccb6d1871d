//! What a token may not do beyond its scopes: in other domains, to administrators, for tokens to come.

use actix_web::http::Method;
use serde_json::{Value, json};

use super::{Site, ask};
use crate::directory::Scope;

#[actix_web::test]
async fn a_restricted_token_stays_in_its_domains() {
    let site = Site::new();
    for name in ["own.test", "other.test"] {
        assert_eq!(site.write(Method::PUT, &format!("/api/v1/domains/{name}"), json!({})).await.status, 201);
        assert_eq!(site.write(Method::PUT, &format!("/api/v1/accounts/a@{name}"), json!({})).await.status, 201);
    }
    let scopes =
        [Scope::DomainsRead, Scope::DomainsWrite, Scope::AccountsRead, Scope::AccountsWrite, Scope::TokensWrite];
    let poor = site.token(&scopes, &["own.test"]);
    let token = site.token(&[&scopes[..], &[Scope::QueueRead, Scope::TraceRead]].concat(), &["own.test"]);
    let check = async |method: Method, path: &str, body: Option<Value>, status: u16| {
        let request = ask(method.clone(), path, &token);
        let seen = site.send(if let Some(body) = body { request.set_json(body) } else { request }).await;
        assert_eq!(seen.status, status, "{method} {path}: {}", seen.body);
        seen
    };
    check(Method::GET, "/api/v1/domains/own.test", None, 200).await;
    check(Method::GET, "/api/v1/domains/other.test", None, 403).await;
    check(Method::PUT, "/api/v1/domains/new.test", Some(json!({})), 403).await;
    check(Method::GET, "/api/v1/accounts/a@other.test", None, 403).await;
    check(Method::PUT, "/api/v1/accounts/b@own.test", Some(json!({})), 201).await;
    check(Method::PUT, "/api/v1/accounts/b@other.test", Some(json!({})), 403).await;
    check(Method::GET, "/api/v1/accounts?domain=other.test", None, 403).await;
    check(Method::GET, "/api/v1/resolve?address=a@other.test", None, 403).await;
    let list = check(Method::GET, "/api/v1/accounts", None, 200).await;
    assert_eq!(list.body["items"].as_array().unwrap().len(), 2, "{}", list.body);
    // Nor may it make anybody more than it is.
    check(Method::PATCH, "/api/v1/accounts/a@own.test", Some(json!({"roles": ["admin"]})), 403).await;
    check(Method::PATCH, "/api/v1/accounts/a@own.test", Some(json!({"roles": ["domain_admin:other.test"]})), 403).await;
    // Who administers a domain sees its queue and its trace.
    let own = json!({"roles": ["domain_admin:own.test"]});
    let seen = site.send(ask(Method::PATCH, "/api/v1/accounts/a@own.test", &poor).set_json(&own)).await;
    assert_eq!(seen.status, 403, "{}", seen.body);
    check(Method::PATCH, "/api/v1/accounts/a@own.test", Some(own), 200).await;
    let seen = site
        .send(
            ask(Method::PATCH, "/api/v1/accounts/a@own.test", &poor).set_json(json!({"password": "mine from now on"})),
        )
        .await;
    assert_eq!(seen.status, 403, "{}", seen.body);
    check(Method::PATCH, "/api/v1/accounts/a@own.test", Some(json!({"send_as": ["@other.test"]})), 403).await;
    let wide = json!({"name": "wide", "scopes": ["domains:read"]});
    check(Method::POST, "/api/v1/tokens", Some(wide), 403).await;
    let narrow = json!({"name": "narrow", "scopes": ["domains:read"], "restrict": {"domains": ["own.test"]}});
    check(Method::POST, "/api/v1/tokens", Some(narrow), 201).await;
    let strong = json!({"name": "strong", "scopes": ["admin"], "restrict": {"domains": ["own.test"]}});
    check(Method::POST, "/api/v1/tokens", Some(strong), 403).await;
    // It sees itself and the two that can do no more, not the administrator's.
    let list = check(Method::GET, "/api/v1/tokens", None, 200).await;
    assert_eq!(list.body["items"].as_array().unwrap().len(), 3, "{}", list.body);
    // Nor may it take another domain's mail by an alias; one that was given to it stays.
    let alias = json!({"aliases": ["elsewhere.test"]});
    check(Method::PUT, "/api/v1/domains/own.test", Some(alias.clone()), 403).await;
    check(Method::PATCH, "/api/v1/domains/own.test", Some(alias.clone()), 403).await;
    assert_eq!(site.write(Method::PATCH, "/api/v1/domains/own.test", alias.clone()).await.status, 200);
    check(Method::PUT, "/api/v1/domains/own.test", Some(alias), 200).await;
}

#[actix_web::test]
async fn only_an_administrator_touches_an_administrator() {
    let site = Site::new();
    site.write(Method::PUT, "/api/v1/domains/x.test", json!({})).await;
    let writer = site.token(&[Scope::AccountsWrite], &[]);
    for (role, name) in [("admin", "root"), ("operator", "night")] {
        let path = format!("/api/v1/accounts/{name}@x.test");
        assert_eq!(site.write(Method::PUT, &path, json!({"roles": [role]})).await.status, 201);
        for method in [Method::PUT, Method::PATCH] {
            let request = ask(method.clone(), &path, &writer).set_json(json!({"password": "mine from now on"}));
            assert_eq!(site.send(request).await.status, 403, "{method} {role}");
        }
        assert_eq!(site.send(ask(Method::DELETE, &path, &writer)).await.status, 403, "{role}");
        let mailbox = format!("{path}/mailboxes/Archive");
        assert_eq!(site.send(ask(Method::DELETE, &mailbox, &writer)).await.status, 403, "{role}");
        assert_eq!(site.send(site.admin(Method::DELETE, &path)).await.status, 204, "{role}");
    }
    assert_eq!(site.write(Method::PUT, "/api/v1/accounts/a@x.test", json!({})).await.status, 201);
    assert_eq!(site.send(ask(Method::DELETE, "/api/v1/accounts/a@x.test", &writer)).await.status, 204);
}

#[actix_web::test]
async fn a_token_creates_none_that_outlives_it_or_comes_from_elsewhere() {
    let site = Site::new();
    let end = |ms| site.context.clock.now().plus_ms(ms).rfc3339();
    let short = json!({
        "name": "short", "scopes": ["domains:read", "tokens:write"],
        "expires_at": end(60_000), "allow_ips": ["192.0.2.0/24"],
    });
    let created = site.write(Method::POST, "/api/v1/tokens", short).await;
    let secret = created.body["secret"].as_str().unwrap();
    let check = async |expires_at: Option<String>, allow_ips: &[&str], status: u16| {
        let body = json!({"name": "n", "scopes": ["domains:read"], "expires_at": expires_at, "allow_ips": allow_ips});
        let request = ask(Method::POST, "/api/v1/tokens", secret).peer_addr("192.0.2.7:999".parse().unwrap());
        let seen = site.send(request.set_json(&body)).await;
        assert_eq!(seen.status, status, "{body}: {}", seen.body);
    };
    check(None, &["192.0.2.0/24"], 403).await;
    check(Some(end(60_001)), &["192.0.2.0/24"], 403).await;
    check(Some(end(60_000)), &[], 403).await;
    check(Some(end(60_000)), &["192.0.0.0/16"], 403).await;
    check(Some(end(60_000)), &["192.0.2.7", "198.51.100.0/24"], 403).await;
    check(Some(end(60_000)), &["192.0.2.0/24"], 201).await;
    check(Some(end(1000)), &["192.0.2.128/25", "192.0.2.7"], 201).await;
}
