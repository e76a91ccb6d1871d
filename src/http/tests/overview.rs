use actix_web::http::Method;
use serde_json::json;

use super::{Site, ask};
use crate::base::{MessageId, Timestamp};
use crate::directory::Scope;
use crate::net::Listener;
use crate::trace::{Event, Kind, Record, Subject};

const PATH: &str = "/api/v1/overview";

#[actix_web::test]
async fn the_overview_adds_up_what_there_is() {
    let site = Site::new();
    let nothing = site.get(PATH).await;
    assert_eq!(nothing.status, 200);
    assert_eq!(nothing.body["verdict"]["state"], "problem", "nothing listens yet: {}", nothing.body["verdict"]);
    assert_eq!(nothing.body["checks"][0]["id"], "listeners");
    let bound = [(Listener::Smtp, "[::]:25"), (Listener::Imaps, "127.0.0.1:993"), (Listener::Http, "127.0.0.1:8080")];
    let bound = bound.map(|(listener, address)| (listener, address.parse().unwrap())).to_vec();
    site.context.readiness.set_listeners(bound);
    for name in ["own.test", "other.test"] {
        site.write(Method::PUT, &format!("/api/v1/domains/{name}"), json!({})).await;
    }
    site.write(Method::PUT, "/api/v1/accounts/a@own.test", json!({"roles": ["admin"]})).await;
    let id = site.queue(60, "a@own.test", &["b@x.test", "c@x.test"]).remove(0);
    site.write(Method::POST, &format!("/api/v1/queue/{id}/hold"), json!({"reason": "r"})).await;
    let now = site.context.clock.now();
    for (number, (at, kind)) in (1..).zip([
        (now, Kind::Accepted),
        (now, Kind::Delivered),
        (now, Kind::Relayed),
        (Timestamp(now.ms() - 3_600_000), Kind::Rejected),
    ]) {
        let event = Event::new(at, kind, "test");
        let _ =
            site.context.store.write_blocking(Record { subject: Subject::Message(MessageId(number)), event }).unwrap();
    }
    let seen = site.get(PATH).await.body;
    assert_eq!((&seen["domains"], &seen["accounts"]), (&json!(2), &json!(1)));
    let queue = json!({"due": 1, "waiting": 0, "in_flight": 0, "held": 1, "bytes": seen["queue"]["bytes"],
        "oldest_at": seen["queue"]["oldest_at"]});
    assert_eq!(seen["queue"], queue);
    assert!(seen["queue"]["bytes"].as_u64() > Some(0) && seen["queue"]["oldest_at"].is_string());
    let traffic = seen["traffic"].as_array().unwrap();
    assert_eq!(traffic.len(), 24);
    let last = json!({"hour_at": "2026-11-22T10:00:00Z", "received": 1, "delivered": 1, "relayed": 1, "refused": 0,
        "bounced": 0, "deferred": 0});
    assert_eq!((&traffic[23], &traffic[22]["refused"]), (&last, &json!(1)));
    let listeners = json!([
        {"name": "smtp", "address": "[::]:25", "port": 25, "tls": "starttls"},
        {"name": "imaps", "address": "127.0.0.1:993", "port": 993, "tls": "implicit"},
        {"name": "http", "address": "127.0.0.1:8080", "port": 8080, "tls": "none"},
    ]);
    assert_eq!(seen["listeners"], listeners);
    // There is an administrator and listeners; only the certificate is missing here.
    let failing: Vec<_> = seen["checks"].as_array().unwrap().iter().filter(|check| check["state"] != "ok").collect();
    assert_eq!(failing.iter().map(|check| &check["id"]).collect::<Vec<_>>(), ["certificate"]);
    assert_eq!(seen["verdict"]["state"], "warning");
    assert_eq!(seen["started_at"], "2026-11-22T10:05:00Z");
}

#[actix_web::test]
async fn the_overview_is_not_for_some_domains() {
    let site = Site::new();
    let token = site.token(&[Scope::QueueRead], &["own.test"]);
    assert_eq!(site.send(ask(Method::GET, PATH, &token)).await.status, 403);
    let token = site.token(&[Scope::QueueRead], &[]);
    assert_eq!(site.send(ask(Method::GET, PATH, &token)).await.status, 200);
    assert_eq!(site.send(ask(Method::GET, &format!("{PATH}?x=1"), &token)).await.status, 422);
}
