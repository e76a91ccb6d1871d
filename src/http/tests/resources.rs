use actix_web::http::{Method, header};
use serde_json::{Value, json};

use super::{Site, ask};
use crate::base::Secret;
use crate::directory::{Protocol, Scope};

/// Fields of `body` that must be so; others are not looked at.
fn check_fields(body: &Value, expected: Value) {
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&body[name], value, "{name} of {body}");
    }
}

#[actix_web::test]
async fn a_domain_lives() {
    let site = Site::new();
    let path = "/api/v1/domains/B%C3%BCcher.example";
    let created = site.write(Method::PUT, path, json!({"aliases": ["other.test"], "max_accounts": 2})).await;
    assert_eq!(created.status, 201, "{}", created.body);
    assert_eq!(created.header(header::LOCATION), "/api/v1/domains/xn--bcher-kva.example");
    check_fields(
        &created.body,
        json!({"name": "xn--bcher-kva.example", "aliases": ["other.test"], "enabled": true, "catch_all": null, "subaddress_sep": "+", "max_accounts": 2}),
    );
    let path = created.header(header::LOCATION);
    let patched = site.write(Method::PATCH, path, json!({"enabled": false, "max_accounts": null})).await;
    check_fields(&patched.body, json!({"enabled": false, "max_accounts": null, "aliases": ["other.test"]}));
    let replaced = site.write(Method::PUT, path, json!({"subaddress_sep": ""})).await;
    assert_eq!(replaced.status, 200);
    check_fields(&replaced.body, json!({"enabled": true, "aliases": [], "subaddress_sep": ""}));
    assert_eq!(site.write(Method::PATCH, path, json!({"nme": 1})).await.faults()[0].1, "unknown_field");
    assert_eq!(
        site.write(Method::PATCH, path, json!({"": null})).await.faults(),
        [("/".into(), "unknown_field".into())]
    );
    assert_eq!(site.write(Method::PATCH, path, json!([])).await.status, 422);
    assert_eq!(site.write(Method::PATCH, "/api/v1/domains/none.test", json!({})).await.status, 404);
    // Names are held once, by whatever holds them.
    site.write(Method::PUT, "/api/v1/domains/second.test", json!({"aliases": ["third.test"]})).await;
    assert_eq!(site.write(Method::PUT, "/api/v1/domains/third.test", json!({})).await.status, 409);
    let taken = site.write(Method::PUT, path, json!({"aliases": ["second.test"]})).await;
    assert_eq!(taken.faults(), [("/aliases/0".into(), "taken".into())]);
    site.write(Method::PUT, "/api/v1/accounts/a@second.test", json!({})).await;
    let full = site.send(site.admin(Method::DELETE, "/api/v1/domains/second.test")).await;
    assert_eq!((full.status.as_u16(), full.problem()), (409, "conflict"));
    assert_eq!(site.send(site.admin(Method::DELETE, path)).await.status, 204);
    assert_eq!(site.send(site.admin(Method::DELETE, path)).await.status, 404);
}

#[actix_web::test]
async fn an_account_lives() {
    let site = Site::new();
    let path = "/api/v1/accounts/Alice@x.test";
    let orphan = site.write(Method::PUT, path, json!({})).await;
    assert_eq!((orphan.status.as_u16(), orphan.faults()[0].1.as_str()), (422, "no_such_domain"));
    site.write(Method::PUT, "/api/v1/domains/x.test", json!({})).await;
    let body =
        json!({"password": "correct horse", "display_name": "Alice", "send_as": ["@x.test"], "quota_bytes": 1000});
    let created = site.write(Method::PUT, path, body).await;
    assert_eq!(created.status, 201, "{}", created.body);
    check_fields(
        &created.body,
        json!({"address": "Alice@x.test", "display_name": "Alice", "roles": ["user"], "quota_bytes": 1000, "used_bytes": 0, "message_count": 0, "last_login": null}),
    );
    assert_eq!(created.body["password"]["set"], true);
    assert!(!created.body.to_string().contains("horse") && !created.body.to_string().contains("argon2"));
    let login = async |password: &str| {
        let password = Secret::new(password.to_owned());
        site.context.authenticator.authenticate("alice@x.test", &password, Protocol::Pop3, None).await.is_ok()
    };
    assert!(login("correct horse").await);
    // A replace without a password keeps it; a patch changes it.
    let replaced = site.write(Method::PUT, "/api/v1/accounts/alice@x.test", json!({})).await;
    assert_eq!((replaced.status.as_u16(), &replaced.body["password"]["set"]), (200, &json!(true)));
    assert!(login("correct horse").await);
    assert_eq!(site.write(Method::PATCH, path, json!({"password": "battery staple"})).await.status, 200);
    assert!(login("battery staple").await && !login("correct horse").await);
    for (body, place, code) in [
        (json!({"password": "short"}), "/password", "too_short"),
        (json!({"password": "long enough", "password_hash": "$6$x"}), "/password_hash", "excluded"),
        (json!({"password_hash": "plain"}), "/password_hash", "malformed"),
        (json!({"roles": ["root"]}), "/roles/0", "malformed"),
        (json!({"protocols": ["pop3", "telnet"]}), "/protocols/1", "malformed"),
        (json!({"used_bytes": 5}), "/used_bytes", "unknown_field"),
    ] {
        let seen = site.write(Method::PUT, path, body.clone()).await;
        assert_eq!(seen.faults(), [(place.to_owned(), code.to_owned())], "{body}: {}", seen.body);
    }
    assert_eq!(site.send(site.admin(Method::DELETE, path)).await.status, 204);
    assert_eq!(site.get(path).await.status, 404);
    assert!(!login("battery staple").await);
}

#[actix_web::test]
async fn an_address_may_hold_what_a_path_may_not() {
    let site = Site::new();
    site.write(Method::PUT, "/api/v1/domains/x.test", json!({})).await;
    for (segment, address) in [
        ("a%2Fb@x.test", "a/b@x.test"),
        ("%22a%20b%22@x.test", "\"a b\"@x.test"),
        ("a+b%25c@x.test", "a+b%c@x.test"),
        ("jos%C3%A9%40x.test", "josé@x.test"),
    ] {
        let path = format!("/api/v1/aliases/{segment}");
        let created = site.write(Method::PUT, &path, json!({"targets": ["away@elsewhere.test"]})).await;
        assert_eq!((created.status.as_u16(), &created.body["address"]), (201, &json!(address)), "{}", created.body);
        assert_eq!(site.get(created.header(header::LOCATION)).await.body["address"], address);
    }
}

#[actix_web::test]
async fn an_alias_lives_and_resolves() {
    let site = Site::new();
    site.write(Method::PUT, "/api/v1/domains/x.test", json!({})).await;
    site.write(Method::PUT, "/api/v1/accounts/a@x.test", json!({})).await;
    let path = "/api/v1/aliases/info@x.test";
    assert_eq!(site.write(Method::PUT, path, json!({})).await.faults(), [("/targets".into(), "required".into())]);
    assert_eq!(
        site.write(Method::PUT, path, json!({"targets": []})).await.faults(),
        [("/targets".into(), "too_few".into())]
    );
    assert_eq!(site.write(Method::PUT, path, json!({"targets": ["a@x.test"], "note": "all"})).await.status, 201);
    let resolve = async |address: &str| site.get(&format!("/api/v1/resolve?address={address}")).await.body;
    let found = resolve("info%2Btag@x.test").await;
    check_fields(&found, json!({"outcome": "local", "internal_only": false, "remote": []}));
    assert_eq!(found["accounts"][0]["address"], "a@x.test");
    let expected = json!([
        {"address": "info+tag@x.test", "kind": "subaddress", "to": ["info@x.test"], "depth": 0},
        {"address": "info@x.test", "kind": "alias", "to": ["a@x.test"], "depth": 0},
        {"address": "a@x.test", "kind": "account", "to": [], "depth": 1},
    ]);
    assert_eq!(found["steps"], expected);
    // Who reaches one domain is not told what is found in another.
    site.write(Method::PUT, "/api/v1/domains/y.test", json!({})).await;
    site.write(Method::PUT, "/api/v1/aliases/both@y.test", json!({"targets": ["info@x.test", "b@far.test"]})).await;
    let token = site.token(&[Scope::AccountsRead], &["y.test"]);
    let seen = site.send(ask(Method::GET, "/api/v1/resolve?address=both@y.test", &token)).await.body;
    let kinds: Vec<&Value> = seen["steps"].as_array().unwrap().iter().map(|step| &step["kind"]).collect();
    assert_eq!(kinds, ["alias", "remote"], "{seen}");
    check_fields(&resolve("nobody@x.test").await, json!({"outcome": "unknown"}));
    check_fields(&resolve("nobody@elsewhere.test").await, json!({"outcome": "not_local"}));
    site.write(Method::PATCH, path, json!({"targets": ["a@x.test", "b@elsewhere.test"], "internal_only": true})).await;
    check_fields(
        &resolve("info@x.test").await,
        json!({"outcome": "forwards", "internal_only": true, "remote": ["b@elsewhere.test"]}),
    );
    assert_eq!(site.write(Method::PUT, "/api/v1/aliases/a@x.test", json!({"targets": ["b@x.test"]})).await.status, 409);
    let list = site.get("/api/v1/aliases?domain=x.test&q=ELSEWHERE").await;
    assert_eq!(list.body["items"][0]["address"], "info@x.test");
    assert_eq!(site.send(site.admin(Method::DELETE, path)).await.status, 204);
}

#[actix_web::test]
async fn a_token_lives() {
    let site = Site::new();
    let body = json!({"name": "script", "scopes": ["domains:read"], "allow_ips": ["192.0.2.0/24"]});
    let created = site.write(Method::POST, "/api/v1/tokens", body).await;
    assert_eq!(created.status, 201, "{}", created.body);
    let secret = created.body["secret"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("pbx_"));
    let path = created.header(header::LOCATION).to_owned();
    assert_eq!(path, format!("/api/v1/tokens/{}", created.body["id"].as_str().unwrap()));
    let seen = site.get(&path).await;
    assert!(seen.body.get("secret").is_none() && !seen.body.to_string().contains(&secret));
    check_fields(
        &seen.body,
        json!({"name": "script", "scopes": ["domains:read"], "allow_ips": ["192.0.2.0/24"], "last_used_at": null}),
    );
    let use_from = async |address: &str| {
        let request = ask(Method::GET, "/api/v1/domains", &secret).peer_addr(address.parse().unwrap());
        site.send(request).await.status
    };
    assert_eq!(use_from("192.0.2.7:999").await, 200);
    assert_eq!(use_from("198.51.100.7:999").await, 401);
    for (body, place, code) in [
        (json!({"name": "n", "scopes": []}), "/scopes", "too_few"),
        (json!({"name": "n", "scopes": ["domains:fly"]}), "/scopes/0", "not_allowed"),
        (json!({"name": "", "scopes": ["admin"]}), "/name", "too_short"),
        (json!({"name": "n", "scopes": ["admin"], "expires_at": "tomorrow"}), "/expires_at", "malformed"),
        (json!({"name": "n", "scopes": ["admin"], "expires_at": "2020-01-01T00:00:00Z"}), "/expires_at", "past"),
        (json!({"name": "n", "scopes": ["admin"], "allow_ips": ["here"]}), "/allow_ips/0", "malformed"),
        (json!({"name": "n", "scopes": ["admin"], "restrict": {"domain": []}}), "/restrict/domain", "unknown_field"),
    ] {
        let seen = site.write(Method::POST, "/api/v1/tokens", body.clone()).await;
        assert_eq!(seen.faults(), [(place.to_owned(), code.to_owned())], "{body}: {}", seen.body);
    }
    let other = site.admin(Method::DELETE, &path).insert_header((header::IF_MATCH, "\"1\""));
    assert_eq!(site.send(other).await.status, 412);
    // Its use in between is no change of it.
    let same = site.admin(Method::DELETE, &path).insert_header((header::IF_MATCH, created.header(header::ETAG)));
    assert_eq!(site.send(same).await.status, 204);
    assert_eq!(use_from("192.0.2.7:999").await, 401);
    assert_eq!(site.send(site.admin(Method::DELETE, &path)).await.status, 404);
}
