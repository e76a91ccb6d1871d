use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::http::{Method, header};
use actix_web::rt::time::timeout;
use actix_web::test::{TestRequest, call_service, init_service};
use serde_json::{Value, json};

use super::session::browse;
use super::{Site, ask};
use crate::base::limits;
use crate::directory::Scope;
use crate::http::app::app;
use crate::http::{Mail, News};

const PATH: &str = "/api/v1/events";

/// A client that follows.
struct Follower {
    body: Pin<Box<BoxBody>>,
    text: String,
}

/// An event, or a block without data: the topic is empty then.
#[derive(Debug, Default)]
struct Block {
    topic: String,
    id: String,
    data: Value,
}

impl Site {
    async fn follow(&self, request: TestRequest) -> Follower {
        let service = init_service(app(self.context.clone())).await;
        let response = call_service(&service, request.to_request()).await;
        assert_eq!(response.status(), 200);
        for (name, value) in [
            (header::CONTENT_TYPE.as_str(), "text/event-stream"),
            (header::CACHE_CONTROL.as_str(), "no-store, no-transform"),
            ("x-accel-buffering", "no"),
        ] {
            assert_eq!(response.headers().get(name).unwrap(), value);
        }
        assert!(response.headers().get(header::CONTENT_ENCODING).is_none());
        Follower { body: Box::pin(response.into_body()), text: String::new() }
    }

    async fn follow_topics(&self, topics: &str) -> Follower {
        let mut follower = self.follow(self.admin(Method::GET, &format!("{PATH}?topics={topics}"))).await;
        assert!(follower.block().await.is_some_and(|block| !block.id.is_empty()), "it begins with an id");
        follower
    }
}

impl Follower {
    /// The next block; `None` at the end.
    async fn block(&mut self) -> Option<Block> {
        while !self.text.contains("\n\n") {
            let next = poll_fn(|context| self.body.as_mut().poll_next(context));
            let bytes = timeout(Duration::from_secs(20), next).await.expect("something comes")?;
            self.text += std::str::from_utf8(&bytes.expect("octets")).expect("text");
        }
        let (block, rest) = self.text.split_once("\n\n").expect("it was looked for");
        let mut seen = Block::default();
        for line in block.lines() {
            match line.split_once(": ").expect("a field") {
                ("id", id) => seen.id = id.to_owned(),
                ("event", topic) => seen.topic = topic.to_owned(),
                ("data", data) => seen.data = serde_json::from_str(data).expect("JSON"),
                ("retry", retry) => assert_eq!(retry, limits::EVENTS_RETRY_MS.to_string()),
                (field, text) => assert_eq!((field, text), ("", "ping")),
            }
        }
        self.text = rest.to_owned();
        Some(seen)
    }

    async fn event(&mut self) -> Option<Block> {
        loop {
            let block = self.block().await?;
            if !block.topic.is_empty() {
                let data = &block.data;
                assert!(data["kind"].is_string() && data["at"].as_str().is_some_and(|at| at.ends_with('Z')), "{data}");
                return Some(block);
            }
        }
    }

    async fn events(&mut self, count: usize) -> Vec<Block> {
        let mut events = Vec::new();
        while events.len() < count {
            events.push(self.event().await.expect("one more event"));
        }
        events
    }
}

#[actix_web::test]
async fn changes_of_the_queue_are_followed() {
    let site = Site::new();
    let mut follower = site.follow_topics("queue,delivery").await;
    let id = site.queue(60, "a@own.test", &["b@x.test"]).remove(0);
    let mut seen = follower.events(1).await;
    assert_eq!(
        (&*seen[0].topic, &seen[0].data["kind"], &seen[0].data["state"]),
        ("queue", &json!("added"), &json!("due"))
    );
    for (field, value) in [("queue_id", json!(id)), ("recipient", json!("b@x.test")), ("domain", json!("x.test"))] {
        assert_eq!(seen[0].data[field], value, "{field}");
    }
    let message = id.replace("q_", "m_").trim_end_matches("_0").to_owned();
    assert_eq!(seen[0].data["message_id"], message);
    let hold = site.admin(Method::POST, &format!("/api/v1/queue/{id}/hold")).set_json(json!({"reason": "a test"}));
    assert_eq!(site.send(hold).await.status, 200);
    assert_eq!(site.send(site.admin(Method::DELETE, &format!("/api/v1/queue/{id}?confirm=silent"))).await.status, 204);
    seen.extend(follower.events(5).await);
    let topics: Vec<_> = seen.iter().map(|event| (&*event.topic, event.data["kind"].as_str().unwrap())).collect();
    assert_eq!(
        topics,
        [
            ("queue", "added"),
            ("delivery", "queued"),
            ("delivery", "held"),
            ("queue", "changed"),
            ("delivery", "dropped"),
            ("queue", "removed")
        ]
    );
    assert_eq!((&seen[3].data["state"], &seen[5].data["state"]), (&json!("held"), &json!("gone")));
    let held = &seen[2].data;
    assert_eq!(
        (&held["message_id"], &held["text"], &held["recipient"]),
        (&json!(message), &json!("a test"), &json!("b@x.test"))
    );
    let numbers: Vec<u64> = seen.iter().map(|event| event.id.split_once('-').unwrap().1.parse().unwrap()).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
}

#[actix_web::test]
async fn a_refused_change_is_no_event() {
    let site = Site::new();
    let id = site.queue(60, "a@own.test", &["b@x.test"]).remove(0);
    let mut follower = site.follow_topics("queue").await;
    let release = site.admin(Method::POST, &format!("/api/v1/queue/{id}/release"));
    assert_eq!(site.send(release).await.status, 409);
    let other = site.queue(30, "a@own.test", &["c@x.test"]).remove(0);
    assert_eq!(follower.event().await.unwrap().data["queue_id"], other);
}

#[actix_web::test]
async fn who_comes_back_has_missed_nothing_or_learns_so() {
    let site = Site::new();
    let mut follower = site.follow_topics("queue").await;
    site.queue(90, "a@own.test", &["b@x.test"]);
    let first = follower.event().await.unwrap();
    drop(follower);
    let second = site.queue(60, "a@own.test", &["c@x.test"]).remove(0);
    let back = |id: &str| site.admin(Method::GET, PATH).insert_header(("last-event-id", id));
    let mut follower = site.follow(back(&first.id)).await;
    let mut missed = follower.event().await.unwrap();
    while missed.topic != "queue" {
        missed = follower.event().await.unwrap();
    }
    assert_eq!(missed.data["queue_id"], second);
    // Another run of the server, nonsense, a number that was never given, and what is not kept any more.
    let (boot, _) = first.id.split_once('-').unwrap();
    let ids = ["1-1", "nonsense", &format!("{boot}-99999"), &format!("{boot}-0")];
    for (id, ago_s) in ids.into_iter().zip(30..) {
        let mut follower = site.follow(back(id)).await;
        let reset = follower.event().await.unwrap();
        assert_eq!((&*reset.topic, &reset.data["kind"]), ("reset", &json!("reset")), "{id}");
        // And it goes on from there.
        let next = site.queue(ago_s, "a@own.test", &["d@x.test"]).remove(0);
        assert_eq!(follower.event().await.unwrap().data["queue_id"], next, "{id}");
    }
}

#[actix_web::test]
async fn a_slow_reader_is_told_to_read_anew() {
    let site = Site::new();
    let mut follower = site.follow_topics("health,session").await;
    for number in 0..=limits::EVENTS_KEPT {
        site.context.hub.tell(News::Health(json!({"kind": "test", "number": number})));
    }
    assert_eq!(follower.event().await.unwrap().topic, "reset");
    let mail = Mail { number: 7, listener: "imap", peer_ip: "192.0.2.1".parse().unwrap(), implicit_tls: false };
    site.context.hub.closed(mail, 12);
    let closed = follower.event().await.unwrap();
    let expected = json!({"at": closed.data["at"], "kind": "closed", "connection": 7, "listener": "imap",
        "peer_ip": "192.0.2.1", "implicit_tls": false, "duration_ms": 12});
    assert_eq!((&*closed.topic, &closed.data), ("session", &expected));
}

#[actix_web::test]
async fn a_dialogue_is_followed_line_by_line() {
    let site = Site::new();
    site.write(Method::PUT, "/api/v1/domains/own.test", json!({})).await;
    // Nobody listens at port 1 of loopback.
    let hub = json!({"verbs": ["atrn"], "domains": ["own.test"], "host": "[127.0.0.1]", "port": 1,
        "auth": {"sasl_user": "me", "secret": "hush hush"}});
    assert_eq!(site.write(Method::PUT, "/api/v1/turn/peers/hub", hub).await.status, 201);
    let mut follower = site.follow_topics("turn,job").await;
    let started = site.write(Method::POST, "/api/v1/turn/peers/hub/sessions", json!({})).await;
    let (job, session) = (&started.body["id"], &started.body["session"]);
    let (mut turn, mut jobs) = (Vec::new(), Vec::new());
    while jobs.last().is_none_or(|last: &Block| last.data["kind"] != "ended") {
        let event = follower.event().await.unwrap();
        let (id, list) = if event.topic == "turn" { (session, &mut turn) } else { (job, &mut jobs) };
        assert_eq!(&event.data[if event.topic == "turn" { "session_id" } else { "id" }], id);
        list.push(event);
    }
    let kinds: Vec<_> = turn.iter().map(|event| event.data["kind"].as_str().unwrap()).collect();
    assert_eq!((kinds.first(), kinds.last()), (Some(&"running"), Some(&"failed")), "{kinds:?}");
    let lines: Vec<_> = turn.iter().filter(|event| event.data["kind"] == "line").collect();
    assert!(
        !lines.is_empty() && lines.iter().all(|line| line.data["peer"] == "hub" && line.data["direction"] == "note")
    );
    let dialogue: String = lines.iter().map(|line| format!("* {}\n", line.data["line"].as_str().unwrap())).collect();
    let shown = site.get(&format!("/api/v1/turn/sessions/{}", session.as_str().unwrap())).await;
    assert_eq!(shown.body["transcript"], dialogue);
    assert_eq!((&jobs[0].data["state"], &jobs[0].data["job_kind"]), (&json!("queued"), &json!("turn_session")));
}

#[actix_web::test]
async fn what_is_changed_by_rest_is_followed() {
    let site = Site::new();
    let mut follower = site.follow_topics("audit").await;
    site.write(Method::PUT, "/api/v1/domains/own.test", json!({})).await;
    let event = follower.event().await.unwrap();
    let expected = (json!("recorded"), json!("put_domain"), json!("own.test"));
    assert_eq!((&*event.topic, &event.data["before"]), ("audit", &Value::Null));
    let seen = (event.data["kind"].clone(), event.data["action"].clone(), event.data["target"].clone());
    assert_eq!(seen, expected);
    assert_eq!(site.get("/api/v1/audit").await.body["items"][0]["id"], event.data["id"]);
}

#[actix_web::test]
async fn each_topic_needs_its_scope() {
    let site = Site::new();
    let status = async |query: &str, scopes: &[Scope], domains: &[&str]| {
        let token = site.token(scopes, domains);
        // An end at once, so that what may be followed comes back.
        site.send(ask(Method::GET, &format!("{PATH}?seconds=0{query}"), &token)).await.status.as_u16()
    };
    use Scope::{AuditRead, EventsRead, JobsRead, QueueRead, SessionsRead, TraceRead, TurnRead};
    assert_eq!(status("", &[QueueRead], &[]).await, 403);
    assert_eq!(status("", &[EventsRead], &[]).await, 200);
    for (topic, scope, whole) in [
        ("queue", QueueRead, false),
        ("delivery", TraceRead, false),
        ("session", SessionsRead, true),
        ("turn", TurnRead, true),
        ("job", JobsRead, false),
        ("audit", AuditRead, true),
    ] {
        let query = format!("&topics={topic}");
        assert_eq!(status(&query, &[EventsRead], &[]).await, 403, "{topic}");
        assert_eq!(status(&query, &[EventsRead, scope], &[]).await, 200, "{topic}");
        let restricted = if whole { 403 } else { 200 };
        assert_eq!(status(&query, &[EventsRead, scope], &["own.test"]).await, restricted, "{topic}");
    }
    assert_eq!(status("&topics=health", &[EventsRead], &[]).await, 200);
    assert_eq!(status("&topics=mail", &[EventsRead], &[]).await, 422);
    assert_eq!(status("&topic=queue", &[EventsRead], &[]).await, 422);
}

#[actix_web::test]
async fn a_restricted_caller_follows_its_own_mail() {
    let site = Site::new();
    let scopes = [Scope::EventsRead, Scope::QueueRead, Scope::TraceRead, Scope::TurnRead, Scope::JobsRead];
    let mut follower = site.follow(ask(Method::GET, PATH, &site.token(&scopes, &["own.test"]))).await;
    site.queue(90, "z@far.test", &["y@x.test"]);
    let inward = site.queue(60, "z@far.test", &["b@own.test", "c@x.test"]).remove(0);
    site.write(Method::POST, "/api/v1/queue/actions", json!({"action": "hold", "reason": "r", "all": true})).await;
    site.context.hub.tell(News::Health(json!({"kind": "test"})));
    for expected in ["queue", "delivery", "delivery", "queue"] {
        let event = follower.event().await.unwrap();
        assert_eq!((&*event.topic, &event.data["recipient"]), (expected, &json!("b@own.test")), "{event:?}");
        assert_eq!(event.data["message_id"], inward.replace("q_", "m_").trim_end_matches("_0"));
    }
}

#[actix_web::test]
async fn a_stream_ends_with_its_token_and_with_the_server() {
    let site = Site::new();
    let token = site.token(&[Scope::EventsRead], &[]);
    let mut follower = site.follow(ask(Method::GET, PATH, &token)).await;
    let mut other = site.follow_topics("health").await;
    assert!(follower.block().await.is_some());
    let id = token.split('_').nth(1).unwrap();
    assert_eq!(site.send(site.admin(Method::DELETE, &format!("/api/v1/tokens/{id}"))).await.status, 204);
    while let Some(block) = follower.block().await {
        assert_eq!(block.topic, "");
    }
    assert!(other.block().await.is_some(), "the others go on");
    site.context.delivery.stop.cancel();
    while let Some(block) = other.block().await {
        assert_eq!(block.topic, "");
    }
}

#[actix_web::test]
async fn to_follow_uses_up_neither_the_session_nor_its_rate() {
    let site = Site::with_settings(&["http.requests_per_minute=3", "http.session_idle_seconds=600"]);
    let cookie = site.cookie(&site.person("a@x.test", &["admin"]).await).await;
    let mut follower = site.follow(browse(Method::GET, &format!("{PATH}?topics=health"), &cookie)).await;
    // Each of these is a look at whether they still may.
    for _ in 0..6 {
        assert!(follower.block().await.is_some());
    }
    let seen = site.send(browse(Method::GET, "/api/v1/session", &cookie)).await;
    assert!(seen.header("ratelimit".parse().unwrap()).contains("r=1"), "its second request");
    site.clock.advance_ms(400_000);
    for _ in 0..3 {
        assert!(follower.block().await.is_some(), "it is good for 600 seconds");
    }
    // What rides with other changes is on disk then.
    site.clock.advance_ms(60_000);
    assert_eq!(site.write(Method::PUT, "/api/v1/domains/y.test", json!({})).await.status, 201);
    site.clock.advance_ms(141_000);
    while follower.block().await.is_some() {}
    assert_eq!(site.send(browse(Method::GET, "/api/v1/session", &cookie)).await.status, 401);
}

#[actix_web::test]
async fn no_more_follow_than_may() {
    let site = Site::new();
    let mut all = Vec::new();
    for _ in 0..limits::EVENT_STREAMS_PER_CALLER {
        all.push(site.follow_topics("health").await);
    }
    let seen = site.get(PATH).await;
    assert_eq!((seen.status.as_u16(), seen.problem()), (503, "busy"));
    all.pop();
    site.follow_topics("health").await;
    drop(all);
    // Who only asks for the header takes no place.
    for _ in 0..=limits::EVENT_STREAMS_PER_CALLER {
        assert_eq!(site.send(site.admin(Method::HEAD, PATH)).await.status, 200);
    }
}
