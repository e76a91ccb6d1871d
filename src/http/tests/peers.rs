use actix_web::http::{Method, header};
use serde_json::{Value, json};

use super::{Seen, Site, ask};
use crate::base::{SessionId, Timestamp};
use crate::directory::Scope;
use crate::turn::{PutSession, Role, Session, SessionState, Verb};

const PATH: &str = "/api/v1/turn/peers/branch";

fn branch() -> Value {
    json!({"verbs": ["atrn"], "domains": ["branch.test"], "auth": {"sasl_user": "branch", "secret": "hush hush"}})
}

/// A session with that peer, which has ended.
pub(super) fn session_with(peer: &str, at: Timestamp) -> Session {
    Session {
        peer: peer.into(),
        verb: Verb::Atrn,
        role: Role::Accepted,
        peer_ip: None,
        state: SessionState::Done,
        swapped: true,
        started_at: at,
        ended_at: Some(at),
        sent: 1,
        received: 0,
        refused: 0,
        outcome: "all sent".into(),
        transcript: "< ATRN\n> 250 OK\n".into(),
    }
}

async fn patch(site: &Site, body: Value) -> Seen {
    site.write(Method::PATCH, PATH, body).await
}

#[actix_web::test]
async fn a_peer_lives() {
    let site = Site::new();
    let created = site.write(Method::PUT, PATH, branch()).await;
    assert_eq!((created.status.as_u16(), created.header(header::LOCATION)), (201, PATH), "{}", created.body);
    assert_eq!(
        (&created.body["direction"], &created.body["port"], &created.body["tls"], &created.body["enabled"]),
        (&json!("accept"), &json!(366), &json!({"mode": "pkix"}), &json!(true))
    );
    assert_eq!(created.body["auth"]["secret"]["set"], true);
    assert!(!created.body.to_string().contains("hush"));
    let pin = "ab".repeat(32);
    let changes = json!({"host": "[192.0.2.1]", "direction": "both", "networks": ["192.0.2.0/24"], "note": "far away",
        "auth": {"secret": "hush again"}, "tls": {"mode": "pinned", "server_cert_sha256": pin}});
    let patched = patch(&site, changes).await;
    assert_eq!(patched.status, 200, "{}", patched.body);
    assert_eq!(
        (&patched.body["networks"], &patched.body["tls"]["server_cert_sha256"], &patched.body["host"]),
        (&json!(["192.0.2.0/24"]), &json!(pin), &json!("[192.0.2.1]"))
    );
    // A merge patch takes away what is null.
    let patched = patch(&site, json!({"tls": null, "host": null, "direction": "accept", "enabled": false})).await;
    assert_eq!((&patched.body["tls"], &patched.body["host"]), (&json!({"mode": "pkix"}), &Value::Null));
    assert_eq!(patch(&site, json!({"secret": "x"})).await.faults(), [("/secret".into(), "unknown_field".into())]);
    // Nor is a misspelt name taken for one that is gone already; one that is known may be.
    for (body, pointer) in [(json!({"hots": null}), "/hots"), (json!({"auth": {"sceret": null}}), "/auth/sceret")] {
        assert_eq!(patch(&site, body).await.faults(), [(pointer.into(), "unknown_field".into())]);
    }
    assert_eq!(patch(&site, json!({"host": null})).await.status, 200);
    assert_eq!(site.get("/api/v1/turn/peers").await.body["items"][0]["name"], "branch");
    let stale = site.admin(Method::DELETE, PATH).insert_header((header::IF_MATCH, created.header(header::ETAG)));
    assert_eq!(site.send(stale).await.status, 412);
    assert_eq!(site.send(site.admin(Method::DELETE, PATH)).await.status, 204);
    assert_eq!(site.get(PATH).await.status, 404);
}

#[actix_web::test]
async fn a_peer_says_what_is_wrong_with_it() {
    let site = Site::new();
    let with = |field: &str, value: Value| {
        let mut body = branch();
        body[field] = value;
        body
    };
    for (body, pointer, code) in [
        (with("verbs", json!([])), "/verbs", "too_few"),
        (with("verbs", json!(["fly"])), "/verbs/0", "not_allowed"),
        (with("domains", json!(["-"])), "/domains/0", "malformed"),
        (with("networks", json!(["here"])), "/networks/0", "malformed"),
        (with("auth", json!(null)), "/auth", "not_allowed"),
        (with("auth", json!({"sasl_user": "branch"})), "/auth/secret", "required"),
        (with("direction", json!("initiate")), "/host", "not_allowed"),
        (with("tls", json!({"mode": "pinned"})), "/tls/server_cert_sha256", "required"),
        (with("tls", json!({"mode": "pinned", "server_cert_sha256": "ab"})), "/tls/server_cert_sha256", "malformed"),
        (with("tls", json!({"mode": "pkix", "server_cert_sha256": "ab"})), "/tls/server_cert_sha256", "excluded"),
        (with("port", json!(0)), "/port", "too_small"),
        (with("limits", json!({"messages": 0})), "/limits/messages", "too_small"),
        (with("limits", json!({"duration_seconds": 1801})), "/limits/duration_seconds", "too_large"),
        (with("limits", json!({"size": 1})), "/limits/size", "unknown_field"),
        (with("schedule", json!({"every_seconds": 900})), "/schedule", "not_allowed"),
        (with("schedule", json!({})), "/schedule", "not_allowed"),
        (with("schedule", json!({"every_seconds": 900, "cron": "0 * * * *"})), "/schedule", "not_allowed"),
        (with("size", json!({})), "/size", "unknown_field"),
    ] {
        let seen = site.write(Method::PUT, PATH, body.clone()).await;
        assert_eq!(seen.faults(), [(pointer.to_owned(), code.to_owned())], "{body}: {}", seen.body);
    }
}

#[actix_web::test]
async fn a_peer_that_we_dial_has_a_schedule() {
    let site = Site::new();
    let mut body = branch();
    (body["host"], body["direction"]) = ("hub.test".into(), "initiate".into());
    body["schedule"] = json!({"cron": "at noon"});
    let refused = site.write(Method::PUT, PATH, body.clone()).await;
    assert_eq!(refused.faults(), [("/schedule".into(), "not_allowed".into())], "{}", refused.body);
    body["schedule"] = json!({"every_seconds": 900});
    body["limits"] = json!({"messages": 50, "duration_seconds": 60});
    let created = site.write(Method::PUT, PATH, body).await;
    assert_eq!(created.status, 201, "{}", created.body);
    assert_eq!(created.body["schedule"], json!({"every_seconds": 900, "cron": null}));
    assert_eq!(created.body["limits"], json!({"messages": 50, "size_bytes": null, "duration_seconds": 60}));
    let changed_at = Timestamp::parse_rfc3339(created.body["changed_at"].as_str().unwrap()).unwrap();
    assert_eq!(created.body["next_session_at"], changed_at.plus_ms(900_000).rfc3339());
    // From the last session that we began on, not from one that it began.
    let called_at = changed_at.plus_ms(60_000);
    for (id, role, at) in [(1, Role::Initiated, called_at), (2, Role::Accepted, called_at.plus_ms(1000))] {
        let session = Session { role, ..session_with("branch", at) };
        let _ = site.context.store.write(PutSession { id: SessionId(id), session }).await.unwrap();
    }
    assert_eq!(site.get(PATH).await.body["next_session_at"], called_at.plus_ms(900_000).rfc3339());
    let patched = patch(&site, json!({"schedule": {"every_seconds": null, "cron": "0 6 * * *"}})).await;
    assert_eq!(patched.body["schedule"], json!({"every_seconds": null, "cron": "0 6 * * *"}), "{}", patched.body);
    assert!(patched.body["next_session_at"].as_str().unwrap().contains("T06:00:00"));
    let patched = patch(&site, json!({"schedule": null, "limits": null})).await;
    assert_eq!((&patched.body["schedule"], &patched.body["next_session_at"]), (&Value::Null, &Value::Null));
    assert_eq!(patched.body["limits"], json!({"messages": null, "size_bytes": null, "duration_seconds": null}));
}

#[actix_web::test]
async fn a_peers_secret_stays_where_it_was_going() {
    let site = Site::new();
    let mut body = branch();
    body["host"] = "hub.test".into();
    assert_eq!(site.write(Method::PUT, PATH, body.clone()).await.status, 201);
    let secret = || {
        let row = crate::turn::peer(&site.context.store.view().unwrap(), "branch").unwrap().unwrap();
        row.fields.login.unwrap().secret
    };
    assert_eq!(patch(&site, json!({"note": "x"})).await.status, 200);
    assert_eq!(secret(), "hush hush");
    assert_eq!(patch(&site, json!({"host": null, "direction": "accept"})).await.status, 200);
    for moved in [json!({"host": "evil.test"}), json!({"host": "hub.test"}), json!({"auth": {"sasl_user": "other"}})] {
        assert_eq!(patch(&site, moved.clone()).await.faults(), [("/auth/secret".into(), "required".into())], "{moved}");
    }
    assert_eq!(patch(&site, json!({"host": "new.test", "auth": {"secret": "another one"}})).await.status, 200);
    assert_eq!(secret(), "another one");
}

#[actix_web::test]
async fn mail_waits_for_its_peer() {
    let site = Site::new();
    assert_eq!(site.write(Method::PUT, PATH, branch()).await.status, 201);
    let id = site.queue(60, "a@own.test", &["c@branch.test"]).remove(0);
    site.queue(30, "a@own.test", &["d@branch.test", "e@x.test"]);
    let entry = site.get(&format!("/api/v1/queue/{id}")).await;
    assert_eq!((&entry.body["route"]["kind"], &entry.body["route"]["peer"]), (&json!("hold"), &json!("branch")));
    let waiting = site.get("/api/v1/turn/domains/branch.test/waiting").await;
    assert_eq!((&waiting.body["count"], &waiting.body["peer"]), (&json!(2), &json!("branch")), "{}", waiting.body);
    assert!(waiting.body["size_bytes"].as_u64().unwrap() > 0 && waiting.body["oldest_at"].is_string());
    let nothing = site.get("/api/v1/turn/domains/x.example/waiting").await;
    assert_eq!((&nothing.body["count"], &nothing.body["oldest_at"]), (&json!(0), &Value::Null));
    // A route for the domain says more than a peer's own domains.
    for (route, peer) in [
        (json!({"match": {"domain": "x.test"}, "kind": "hold", "peer": "branch"}), json!("branch")),
        (json!({"match": {"domain": "x.test"}, "kind": "mx"}), Value::Null),
    ] {
        assert!(site.write(Method::PUT, "/api/v1/routes/x", route).await.status.is_success());
        assert_eq!(site.get("/api/v1/turn/domains/x.test/waiting").await.body["peer"], peer);
    }
    let token = site.token(&[Scope::TurnRead], &["own.test"]);
    for (path, status) in [
        ("/api/v1/turn/domains/branch.test/waiting", 403),
        ("/api/v1/turn/domains/own.test/waiting", 200),
        ("/api/v1/turn/peers", 403),
        ("/api/v1/turn/sessions", 403),
    ] {
        assert_eq!(site.send(ask(Method::GET, path, &token)).await.status, status, "{path}");
    }
}

#[actix_web::test]
async fn sessions_are_listed_and_shown_with_their_dialogue() {
    let site = Site::new();
    assert_eq!(site.write(Method::PUT, PATH, branch()).await.status, 201);
    let now = site.context.clock.now();
    for (number, peer) in [(1, "branch"), (2, "other"), (3, "branch")] {
        let session = Session { swapped: number != 1, sent: number, ..session_with(peer, now) };
        site.context.store.write_blocking(PutSession { id: SessionId(number), session }).unwrap().into_inner();
    }
    let sent = |seen: &Seen| {
        seen.body["items"].as_array().unwrap().iter().map(|item| item["sent"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(sent(&site.get("/api/v1/turn/sessions").await), [3, 2, 1]);
    let page = site.get("/api/v1/turn/sessions?peer=branch&limit=1").await;
    assert_eq!(sent(&page), [3]);
    assert!(page.body["items"][0].get("transcript").is_none());
    let cursor = page.body["next_cursor"].as_str().unwrap();
    assert_eq!(sent(&site.get(&format!("/api/v1/turn/sessions?peer=branch&limit=1&cursor={cursor}")).await), [1]);
    let path = format!("/api/v1/turn/sessions/{}", SessionId(3));
    let seen = site.get(&path).await;
    assert_eq!(
        (&seen.body["transcript"], &seen.body["role_before"], &seen.body["role_after"]),
        (&json!("< ATRN\n> 250 OK\n"), &json!("server"), &json!("client"))
    );
    assert!(site.get(&format!("/api/v1/turn/sessions/{}", SessionId(1))).await.body["role_after"].is_null());
    assert_eq!(site.send(site.admin(Method::POST, &format!("{path}/abort"))).await.status, 409);
    assert_eq!(site.get(PATH).await.body["last_session"]["sent"], 3);
}

#[actix_web::test]
async fn a_peer_is_known_by_a_certificate() {
    let site = Site::new();
    let shown = "AB:".repeat(31) + "AB";
    let body = |auth: Value| json!({"verbs": ["turn", "etrn"], "domains": ["branch.test"], "auth": auth});
    let created = site.write(Method::PUT, PATH, body(json!({"client_cert_sha256": shown}))).await;
    assert_eq!(created.status, 201, "{}", created.body);
    let auth = json!({
        "sasl_user": "", "mechanisms": ["EXTERNAL"], "secret": {"set": false, "changed_at": null},
        "client_cert_sha256": "ab".repeat(32), "our_cert_sha256": null,
    });
    assert_eq!(created.body["auth"], auth);
    assert_eq!(site.get(PATH).await.body["auth"], auth);
    // In the state there is no secret that could be set.
    let state = site.get("/api/v1/state").await;
    assert_eq!(state.body["peers"]["branch"]["auth"], json!({"client_cert_sha256": "ab".repeat(32)}));
    let again = site.write(Method::PUT, "/api/v1/state?dry_run=true&force=true", state.body.clone()).await;
    assert_eq!(again.body["changes"], json!([]), "{}", again.body);
    // From one to the other, and back.
    let patched = patch(&site, json!({"auth": {"sasl_user": "branch", "secret": "hush"}})).await;
    assert_eq!(patched.faults(), [("/auth/sasl_user".into(), "excluded".into())], "{}", patched.body);
    let secret = json!({"auth": {"sasl_user": "branch", "secret": "hush", "client_cert_sha256": null}});
    let patched = patch(&site, secret).await;
    assert_eq!(
        (&patched.body["auth"]["client_cert_sha256"], &patched.body["auth"]["secret"]["set"]),
        (&Value::Null, &json!(true))
    );
    assert_eq!(patch(&site, json!({"auth": {"sasl_user": null, "client_cert_sha256": shown}})).await.status, 200);
    // One that we dial is shown ours: there is nothing to be told of its own.
    let dialled = json!({"direction": "initiate", "host": "hub.test", "auth": {"mechanisms": ["EXTERNAL"], "client_cert_sha256": null}});
    assert_eq!(patch(&site, dialled).await.body["auth"]["mechanisms"], json!(["EXTERNAL"]));
    let state = site.get("/api/v1/state").await;
    assert_eq!(state.body["peers"]["branch"]["auth"], json!({"mechanisms": ["EXTERNAL"]}));
    // Then nobody has to say who dials.
    let hub =
        json!({"verbs": ["turn"], "domains": ["hub.test"], "host": "hub.test", "auth": {"mechanisms": ["EXTERNAL"]}});
    let hub = site.write(Method::PUT, "/api/v1/turn/peers/hub", hub).await;
    assert_eq!((hub.status.as_u16(), &hub.body["direction"]), (201, &json!("initiate")), "{}", hub.body);
    let other = json!({"verbs": ["atrn"], "domains": ["other.test"], "auth": {"client_cert_sha256": "01".repeat(32)}});
    assert_eq!(site.write(Method::PUT, "/api/v1/turn/peers/other", other).await.status, 201);
    for (auth, pointer, code) in [
        (json!({}), "/auth/sasl_user", "required"),
        (json!({"secret": "x"}), "/auth/sasl_user", "required"),
        (json!({"mechanisms": ["PLAIN"]}), "/auth/sasl_user", "required"),
        (json!({"client_cert_sha256": "ab"}), "/auth/client_cert_sha256", "malformed"),
        (json!({"client_cert_sha256": ""}), "/auth/client_cert_sha256", "malformed"),
        (json!({"client_cert_sha256": shown, "secret": "x"}), "/auth/secret", "excluded"),
        (json!({"client_cert_sha256": shown, "sasl_user": "x"}), "/auth/sasl_user", "excluded"),
        (json!({"client_cert_sha256": shown, "mechanisms": ["PLAIN"]}), "/auth/mechanisms", "excluded"),
        (json!({"mechanisms": ["EXTERNAL", "PLAIN"]}), "/auth/mechanisms", "excluded"),
        (json!({"sasl_user": "x", "secret": "x", "mechanisms": ["EXTERNAL"]}), "/auth/sasl_user", "excluded"),
        (json!({"mechanisms": ["EXTERNAL"]}), "/auth/client_cert_sha256", "not_allowed"),
        (json!({"client_cert_sha256": "01".repeat(32)}), "/auth/client_cert_sha256", "not_allowed"),
    ] {
        let seen = site.write(Method::PUT, PATH, body(auth.clone())).await;
        assert_eq!(seen.faults(), [(pointer.to_owned(), code.to_owned())], "{auth}: {}", seen.body);
    }
}
