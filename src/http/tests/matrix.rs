use actix_web::http::{Method, header};
use serde_json::{Value, json};

use super::{Seen, Site, ask};
use crate::directory::Scope;
use crate::http::document;

/// A request that the operation could take.
fn body(operation: &str) -> Option<Value> {
    Some(match operation {
        "put_domain" | "patch_domain" | "put_account" | "patch_account" | "patch_alias" => json!({}),
        "patch_peer" | "start_turn_session" => json!({}),
        "put_log_filter" => json!({"filter": "-", "seconds": 1}),
        "put_alias" => json!({"targets": ["a@matrix.test"]}),
        "create_session" => json!({"email": "nobody@matrix.test", "password": "x"}),
        "create_token" => json!({"name": "n", "scopes": ["tokens:write"]}),
        "put_route" => json!({"match": {"domain": "matrix.test"}, "kind": "mx"}),
        "put_peer" => json!({"verbs": ["etrn"], "domains": ["matrix.test"], "networks": ["192.0.2.0/24"]}),
        "redeliver_message" => json!({}),
        "redirect_queue_entry" => json!({"recipient": "b@elsewhere.test"}),
        "send_message" => json!({"from": "a@matrix.test", "to": ["b@elsewhere.test"], "dry_run": true}),
        "put_mailbox" | "patch_mailbox_message" => json!({}),
        "hold_queue_entry" | "bounce_queue_entry" => json!({"reason": "a test"}),
        "flush_queue" => json!({"all": true}),
        "patch_settings" => json!({"limits.recipients": null}),
        "put_state" => json!({"domains": {"matrix.test": {}}}),
        "act_on_queue" => json!({"action": "retry", "all": true, "dry_run": true}),
        _ => return None,
    })
}

/// The scope that an operation needs; `None`: a known caller is enough.
fn scope(operation: &str) -> Option<Scope> {
    let word = operation.split_once('_').map_or("", |(_, word)| word);
    let is_read = operation.starts_with("list_") || operation.starts_with("get_");
    let (read, write) = match operation {
        "get_version" | "get_session" | "delete_session" => return None,
        "list_audit" => return Some(Scope::AuditRead),
        "resolve_address" => return Some(Scope::AccountsRead),
        "redeliver_message" => return Some(Scope::QueueWrite),
        "send_message" => return Some(Scope::MessagesSend),
        "wait_for_message" => return Some(Scope::MessagesRead),
        "get_queue_message_raw" | "get_queue_message_headers" => return Some(Scope::MessagesRead),
        _ if operation.contains("_mailbox_message") => (Scope::MessagesRead, Scope::MessagesWrite),
        _ if word.starts_with("mailbox") => (Scope::AccountsRead, Scope::AccountsWrite),
        _ if word.starts_with("domain") => (Scope::DomainsRead, Scope::DomainsWrite),
        _ if word.starts_with("account") || word.starts_with("alias") => (Scope::AccountsRead, Scope::AccountsWrite),
        _ if word.starts_with("state") => (Scope::StateWrite, Scope::StateWrite),
        _ if word.starts_with("setting") => (Scope::SettingsRead, Scope::SettingsWrite),
        _ if word.starts_with("token") => (Scope::TokensWrite, Scope::TokensWrite),
        _ if word.starts_with("route") || word.contains("queue") => (Scope::QueueRead, Scope::QueueWrite),
        _ if word.starts_with("peer") || word.starts_with("turn") => (Scope::TurnRead, Scope::TurnWrite),
        "get_events" | "list_logs" => return Some(Scope::EventsRead),
        "put_log_filter" => return Some(Scope::SettingsWrite),
        "get_metrics" => return Some(Scope::MetricsRead),
        "get_overview" => return Some(Scope::QueueRead),
        _ if word.starts_with("trace") => (Scope::TraceRead, Scope::TraceRead),
        _ if word.starts_with("job") => (Scope::JobsRead, Scope::JobsWrite),
        _ => panic!("which scope does {operation} need?"),
    };
    Some(if is_read { read } else { write })
}

/// Calls every operation of the document with that token, and gives what came back.
async fn call_all(site: &Site, token: impl Fn(&str) -> String) -> Vec<(String, bool, Seen)> {
    let mut seen = Vec::new();
    for (template, operations) in document::json()["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap();
            let path = [
                ("{domain}", "matrix.test"),
                ("{address}", "a@matrix.test"),
                ("{name}", "matrix"),
                ("{key}", "limits.recipients"),
                ("{qid}", "q_0000000000000_0"),
                ("{n}", "0"),
                ("{mid}", "m_0000000000000"),
                ("{mailbox}", "Trash"),
                ("{uid}", "1"),
                ("{part}", "1"),
            ]
            .into_iter()
            .fold(template.clone(), |path, (parameter, value)| path.replace(parameter, value));
            let known = match id {
                "get_job" | "cancel_job" => "j_0000000000000",
                _ if id.contains("turn_session") => "s_0000000000000",
                _ => "none",
            };
            let query = match id {
                "resolve_address" => "?address=a@matrix.test",
                "drop_queue_entry" => "?confirm=silent",
                "wait_for_message" => "?to=a@matrix.test&timeout_seconds=0",
                "patch_settings" | "put_state" => "?force=true",
                // It would go on for ever.
                "get_events" => "?seconds=0",
                _ => "",
            };
            let path = format!("{}{query}", path.replace("{id}", known));
            let method: Method = method.to_uppercase().parse().unwrap();
            let request = ask(method, &path, &token(id));
            let answer = site.send(if let Some(body) = body(id) { request.set_json(body) } else { request }).await;
            seen.push((id.to_owned(), operation["security"] == json!([{}]), answer));
        }
    }
    assert!(seen.len() >= 54, "the document has its {} operations", seen.len());
    seen
}

#[actix_web::test]
async fn every_operation_asks_who_calls() {
    let site = Site::new();
    for token in ["", "pbx_0000_0000"] {
        for (id, is_public, seen) in call_all(&site, |_| token.to_owned()).await {
            let is_asked = !is_public || id == "create_session";
            assert_eq!(seen.status == 401, is_asked, "{id} with the token {token:?}: {}", seen.status);
            assert_eq!(seen.header(header::WWW_AUTHENTICATE).starts_with("Bearer"), is_asked, "{id}");
        }
    }
    for (id, _, seen) in call_all(&site, |_| site.admin.clone()).await {
        let is_a_login = id == "create_session";
        assert!(is_a_login || !matches!(seen.status.as_u16(), 401 | 403 | 405 | 415 | 500..), "{id}: {}", seen.body);
    }
}

#[actix_web::test]
async fn every_operation_needs_its_scope_and_no_other() {
    let site = Site::new();
    let only = |id: &str| site.token(&[scope(id).unwrap_or(Scope::MetricsRead)], &[]);
    for (id, is_public, seen) in call_all(&site, |id| if is_public(id) { String::new() } else { only(id) }).await {
        assert!(is_public || !matches!(seen.status.as_u16(), 401 | 403), "{id}: {}", seen.body);
    }
    let all_but = |id: &str| {
        let others = Scope::ALL.iter().copied().filter(|other| *other != Scope::Admin && Some(*other) != scope(id));
        site.token(&others.collect::<Vec<_>>(), &[])
    };
    for (id, is_public, seen) in call_all(&site, |id| if is_public(id) { String::new() } else { all_but(id) }).await {
        let is_refused = !is_public && scope(&id).is_some();
        assert_eq!(seen.status == 403, is_refused, "{id}: {}", seen.body);
    }
}

/// Operations that nobody has to be known for.
fn is_public(operation: &str) -> bool {
    matches!(operation, "healthz" | "livez" | "readyz" | "get_openapi" | "create_session")
}

#[actix_web::test]
async fn who_may_not_call_learns_nothing_else() {
    let site = Site::new();
    let reader = site.token(&[Scope::DomainsRead], &[]);
    for (token, status) in [("", 401), (reader.as_str(), 403)] {
        // Wrong in every other way too: name, query, type, body.
        let request = ask(Method::PUT, "/api/v1/domains/-?x=1", token).set_payload("{");
        assert_eq!(site.send(request).await.status, status);
    }
}

#[actix_web::test]
async fn other_methods_are_told_which_there_are() {
    let site = Site::new();
    for (method, path, allow) in [
        (Method::POST, "/healthz", "GET, HEAD"),
        (Method::DELETE, "/api/v1/domains", "GET, HEAD"),
        (Method::POST, "/api/v1/domains/x.test", "DELETE, GET, PATCH, PUT, HEAD"),
        (Method::PUT, "/api/v1/tokens", "GET, POST, HEAD"),
        (Method::OPTIONS, "/api/v1/tokens/x", "DELETE, GET, HEAD"),
        (Method::TRACE, "/api/v1/version", "GET, HEAD"),
        (Method::GET, "/api/v1/queue/flush", "POST"),
        (Method::DELETE, "/api/v1/queue/summary?confirm=silent", "GET, HEAD"),
        (Method::PUT, "/api/v1/turn/sessions", "GET, HEAD"),
    ] {
        let seen = site.send(site.admin(method.clone(), path)).await;
        assert_eq!(seen.status, 405, "{method} {path}");
        assert_eq!(seen.header(header::ALLOW), allow, "{method} {path}");
    }
    for path in [
        "/nothing",
        "/api/v1",
        "/api/v1/",
        "/api/v1/domain",
        "/api/v1/domains/",
        "/api/v1/domains/a/b",
        "/api/v2/domains",
    ] {
        assert_eq!(site.get(path).await.status, 404, "{path}");
    }
}

#[actix_web::test]
async fn a_restricted_token_stays_in_its_domains() {
    let site = Site::new();
    for name in ["own.test", "other.test"] {
        assert_eq!(site.write(Method::PUT, &format!("/api/v1/domains/{name}"), json!({})).await.status, 201);
        assert_eq!(site.write(Method::PUT, &format!("/api/v1/accounts/a@{name}"), json!({})).await.status, 201);
    }
    let scopes =
        [Scope::DomainsRead, Scope::DomainsWrite, Scope::AccountsRead, Scope::AccountsWrite, Scope::TokensWrite];
    let token = site.token(&scopes, &["own.test"]);
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
    check(Method::PATCH, "/api/v1/accounts/a@own.test", Some(json!({"roles": ["domain_admin:own.test"]})), 200).await;
    check(Method::PATCH, "/api/v1/accounts/a@own.test", Some(json!({"send_as": ["@other.test"]})), 403).await;
    let wide = json!({"name": "wide", "scopes": ["domains:read"]});
    check(Method::POST, "/api/v1/tokens", Some(wide), 403).await;
    let narrow = json!({"name": "narrow", "scopes": ["domains:read"], "restrict": {"domains": ["own.test"]}});
    check(Method::POST, "/api/v1/tokens", Some(narrow), 201).await;
    let strong = json!({"name": "strong", "scopes": ["admin"], "restrict": {"domains": ["own.test"]}});
    check(Method::POST, "/api/v1/tokens", Some(strong), 403).await;
    // It sees itself and the narrow one, not the administrator's.
    let list = check(Method::GET, "/api/v1/tokens", None, 200).await;
    assert_eq!(list.body["items"].as_array().unwrap().len(), 2, "{}", list.body);
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
