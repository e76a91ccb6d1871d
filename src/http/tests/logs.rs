use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix_web::http::Method;
use serde_json::{Value, json};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{EnvFilter, Layer, reload};

use super::{Site, ask};
use crate::audit;
use crate::directory::Scope;
use crate::telemetry::{self, LogKeeper};

const PATH: &str = "/api/v1/logs";

/// Other tests log too, in the same process: this one's lines are of a target of their own.
fn say(text: &str) {
    tracing::info!(target: "pillarbox::logs_test", event = "said", text, size_bytes = 7_u64);
    tracing::warn!(target: "pillarbox::logs_test::inner", text, "something may be wrong");
}

async fn texts(site: &Site, query: &str) -> (Vec<String>, Value) {
    let seen = site.get(&format!("{PATH}?target=pillarbox::logs_test&{query}")).await;
    assert_eq!(seen.status, 200, "{}", seen.body);
    let items = seen.body["items"].as_array().unwrap();
    let text =
        |item: &Value| format!("{} {}", item["level"].as_str().unwrap(), item["fields"]["text"].as_str().unwrap());
    (items.iter().map(text).collect(), seen.body["next_after"].clone())
}

#[actix_web::test]
async fn lines_are_found_by_what_they_are_and_followed() {
    let site = Site::new();
    let subscriber = tracing_subscriber::registry().with(LogKeeper::new());
    let _guard = tracing::subscriber::set_default(subscriber);
    say("first");
    let (lines, next) = texts(&site, "").await;
    assert_eq!(lines, ["info first", "warn first"]);
    assert_eq!(texts(&site, "level=warn").await.0, ["warn first"]);
    assert_eq!(texts(&site, "limit=1").await.0, ["warn first"]);
    say("\u{1b}[2J\r\nsecond");
    assert_eq!(texts(&site, &format!("after={next}&limit=1")).await.0, ["info \u{1b}[2J\r\nsecond"]);
    let (lines, next) = texts(&site, &format!("after={next}")).await;
    assert_eq!(lines.len(), 2);
    assert_eq!(texts(&site, &format!("after={next}")).await.0, [""; 0]);
    assert_eq!(texts(&site, "after=2999-01-01T00:00:00Z").await.0, [""; 0]);
    // What was never given out: the newest.
    assert_eq!(texts(&site, "after=99999999&limit=1").await.0, ["warn \u{1b}[2J\r\nsecond"]);
    let seen = site.get(&format!("{PATH}?target=pillarbox::logs_test&limit=2")).await;
    assert_eq!(
        (&seen.body["items"][0]["event"], &seen.body["items"][0]["fields"]["size_bytes"]),
        (&json!("said"), &json!(7))
    );
    assert_eq!(seen.body["items"][1]["event"], "something may be wrong");
    for wrong in ["level=loud", "limit=0", "limit=501", "after=soon", "x=1"] {
        assert_eq!(site.get(&format!("{PATH}?{wrong}")).await.status, 422, "{wrong}");
    }
}

#[actix_web::test]
async fn the_filter_is_changed_for_a_while() {
    let site = Site::new();
    let (filter, handle) = reload::Layer::new(telemetry::usual_filter());
    let subscriber = tracing_subscriber::registry().with(LogKeeper::new().with_filter(filter));
    let _guard = tracing::subscriber::set_default(subscriber);
    let (store, noted) = (site.context.store.clone(), Arc::new(AtomicUsize::new(0)));
    let notes_then = Arc::clone(&noted);
    telemetry::on_filter(move |filter: EnvFilter| {
        let rows = audit::rows(&store.view().unwrap(), None, None, None, 9).unwrap();
        notes_then.store(rows.len(), Ordering::SeqCst);
        handle.reload(filter).map_err(|error| error.to_string())
    });
    let put = async |filter: &str, seconds: u64| {
        site.write(Method::PUT, "/api/v1/log-filter", json!({"filter": filter, "seconds": seconds})).await
    };
    let debug = || tracing::debug!(target: "pillarbox::filter_test", "in detail");
    let count = async || {
        site.get(&format!("{PATH}?target=pillarbox::filter_test")).await.body["items"].as_array().unwrap().len()
    };
    debug();
    assert_eq!(count().await, 0);
    let changed = put("pillarbox::filter_test=debug", 3600).await;
    assert_eq!((changed.status.as_u16(), &changed.body["until_at"]), (200, &json!("2026-11-22T11:05:00Z")));
    assert_eq!(noted.load(Ordering::SeqCst), 1, "it was written down before");
    debug();
    assert_eq!(count().await, 1);
    assert_eq!(put("pillarbox::filter_test=debug", 1).await.status, 200);
    // Back by itself, sooner or later.
    loop {
        let seen = count().await;
        debug();
        if count().await == seen {
            break;
        }
        actix_web::rt::time::sleep(Duration::from_millis(50)).await;
    }
    let notes = async || site.get("/api/v1/audit").await.body["items"].as_array().unwrap().len();
    assert_eq!(notes().await, 2);
    for (filter, seconds) in [("loud", 1), ("rustls=trace", 1), ("debug", 0), ("debug", 86_401)] {
        assert_eq!(put(filter, seconds).await.status, 422, "{filter} {seconds}");
    }
    assert_eq!(notes().await, 2, "a filter that is none changes nothing");
}

#[actix_web::test]
async fn the_log_is_not_for_everybody() {
    let site = Site::new();
    for (scopes, domains, status) in [
        (&[Scope::EventsRead][..], &[][..], 200),
        (&[Scope::EventsRead], &["own.test"], 403),
        (&[Scope::QueueRead], &[], 403),
    ] {
        assert_eq!(site.send(ask(Method::GET, PATH, &site.token(scopes, domains))).await.status, status);
    }
}
