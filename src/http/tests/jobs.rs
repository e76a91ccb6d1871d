use std::time::{Duration, Instant};

use actix_web::http::{Method, header};
use serde_json::{Value, json};

use super::{Seen, Site, ask};
use crate::directory::Scope;
use crate::jobs::{Failed, Order, Task};

/// How long a job of a test may take; what is slower hangs.
const SOON: Duration = Duration::from_secs(60);

impl Site {
    /// The job that an answer names, when it has ended.
    pub(super) async fn ended(&self, started: &Seen) -> Value {
        assert_eq!(started.status, 202, "{}", started.body);
        let path = started.header(header::LOCATION).to_owned();
        assert_eq!(path, format!("/api/v1/jobs/{}", started.body["id"].as_str().unwrap()));
        until_ended(async || self.get(&path).await.body).await
    }

    async fn actions(&self, body: Value) -> Seen {
        self.write(Method::POST, "/api/v1/queue/actions", body).await
    }
}

/// The job that is looked at, when it has ended.
pub(super) async fn until_ended(look: impl AsyncFn() -> Value) -> Value {
    let deadline = Instant::now() + SOON;
    loop {
        let job = look().await;
        if !matches!(job["state"].as_str(), Some("queued" | "running")) {
            return job;
        }
        assert!(Instant::now() < deadline, "a job that ends: {job}");
        actix_web::rt::time::sleep(Duration::from_millis(5)).await;
    }
}

#[actix_web::test]
async fn an_action_on_many_is_a_job() {
    let site = Site::new();
    let first = site.queue(60, "a@own.test", &["b@x.test", "c@y.test"]);
    let second = site.queue(30, "z@far.test", &["d@x.test"]).remove(0);
    let preview =
        site.actions(json!({"action": "hold", "reason": "r", "selector": {"domain": "x.test"}, "dry_run": true}));
    let preview = preview.await;
    assert_eq!((preview.status.as_u16(), &preview.body["count"]), (200, &json!(2)));
    assert_eq!(preview.body["items"].as_array().unwrap().len(), 2);
    let held = site.actions(json!({"action": "hold", "reason": "r", "selector": {"domain": "x.test"}})).await;
    let job = site.ended(&held).await;
    assert_eq!(
        (&job["state"], &job["kind"], &job["target"]),
        (&json!("succeeded"), &json!("queue_action"), &json!("hold"))
    );
    assert_eq!(job["result"], json!({"matched": 2, "done": 2, "refused": 0, "refusals": []}));
    assert_eq!(job["progress"], json!({"done": 2, "total": null, "unit": "entries"}));
    // What does not go with an entry's state is said, and the others are done all the same.
    let ids = json!([first[0], first[1], second, "q_0000000000000_7", first[1]]);
    let job = site.ended(&site.actions(json!({"action": "retry", "ids": ids})).await).await;
    assert_eq!((&job["result"]["matched"], &job["result"]["done"]), (&json!(3), &json!(1)), "{job}");
    let refused: Vec<_> = job["result"]["refusals"].as_array().unwrap().iter().map(|one| one["id"].clone()).collect();
    assert_eq!(refused, [first[0].as_str(), &second]);
    let job = site.ended(&site.actions(json!({"action": "bounce", "reason": "no more", "all": true})).await).await;
    assert_eq!(job["result"]["done"], 3, "{job}");
    assert_eq!(site.get("/api/v1/queue").await.body["items"], json!([]));
}

#[actix_web::test]
async fn an_action_on_many_names_what_is_damaged_and_does_the_others() {
    for action in ["retry", "hold", "bounce", "delete"] {
        for table in ["queue", "queue_messages"] {
            let site = Site::new();
            let lost = site.queue(60, "a@own.test", &["b@x.test"]).remove(0);
            let there = site.queue(30, "z@own.test", &["d@x.test", "e@x.test"]);
            // The oldest stands first.
            site.context.store.spoil(table);
            let mut wanted = json!({"action": action, "ids": [there[0], lost, there[1]]});
            if matches!(action, "hold" | "bounce") {
                wanted["reason"] = json!("look");
            }
            let job = site.ended(&site.actions(wanted).await).await;
            assert_eq!(job["state"], "succeeded", "{action}, {table}: {job}");
            let problem = format!("{lost} is damaged in the file: see `pillarbox check`");
            let refusals = json!([{"id": lost, "problem": problem}]);
            let expected = json!({"matched": 3, "done": 2, "refused": 1, "refusals": refusals});
            assert_eq!(job["result"], expected, "{action}, {table}");
        }
    }
}

#[actix_web::test]
async fn an_action_on_many_names_what_it_is_about() {
    let site = Site::new();
    for (body, pointer, code) in [
        (json!({"action": "retry"}), "/selector", "required"),
        (json!({"action": "retry", "selector": {}}), "/selector", "empty"),
        (json!({"action": "retry", "ids": []}), "/ids", "too_few"),
        (json!({"action": "retry", "ids": ["x"]}), "/ids/0", "malformed"),
        (json!({"action": "retry", "all": true, "selector": {"domain": "x.test"}}), "/selector", "excluded"),
        (json!({"action": "retry", "selector": {"domain": "-"}}), "/selector/domain", "malformed"),
        (json!({"action": "retry", "selector": {"before": "now"}}), "/selector/before", "malformed"),
        (json!({"action": "retry", "selector": {"domian": "x.test"}}), "/selector/domian", "unknown_field"),
        (json!({"action": "retry", "all": true, "reason": "r"}), "/reason", "excluded"),
        (json!({"action": "bounce", "all": true}), "/reason", "required"),
        (json!({"action": "fly", "all": true}), "/action", "not_allowed"),
    ] {
        let seen = site.actions(body.clone()).await;
        assert_eq!(seen.faults(), [(pointer.to_owned(), code.to_owned())], "{body}: {}", seen.body);
    }
}

#[actix_web::test]
async fn a_job_is_listed_shown_and_cancelled() {
    let site = Site::new();
    let until_cancelled = async |task: Task| {
        task.cancel.cancelled().await;
        Err(Failed::because("half done"))
    };
    let order = |actor: &str| Order { kind: "test", target: "t".into(), actor: actor.into(), session: None };
    let id = site.context.jobs.start(order("somebody"), until_cancelled).await.unwrap();
    let path = format!("/api/v1/jobs/{id}");
    let stale = site.admin(Method::DELETE, &path).insert_header((header::IF_MATCH, "\"c0\""));
    assert_eq!(site.send(stale).await.status, 412);
    let cancelled = site.send(site.admin(Method::DELETE, &path)).await;
    assert_eq!(cancelled.status, 202);
    let job = until_ended(async || site.get(&path).await.body).await;
    assert_eq!(job["state"], "cancelled");
    assert!(job["ended_at"].is_string() && job["problem"]["detail"].is_string(), "{job}");
    assert_eq!(site.send(site.admin(Method::DELETE, &path)).await.status, 409);
    site.queue(60, "a@own.test", &["b@x.test"]);
    let second = site.ended(&site.actions(json!({"action": "retry", "all": true})).await).await;
    let kinds = async |query: &str| {
        let seen = site.get(&format!("/api/v1/jobs?{query}")).await;
        seen.body["items"].as_array().unwrap().iter().map(|job| job["kind"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(kinds("").await, ["queue_action", "test"]);
    assert_eq!(kinds("state=cancelled").await, ["test"]);
    assert_eq!(kinds("kind=queue_action").await, ["queue_action"]);
    assert_eq!(site.get("/api/v1/jobs?state=lost").await.status, 422);
    // A token for some domains sees what it has started itself, and nothing else.
    let scopes = [Scope::JobsRead, Scope::JobsWrite, Scope::QueueWrite];
    let token = site.token(&scopes, &["own.test"]);
    let own = ask(Method::POST, "/api/v1/queue/actions", &token).set_json(json!({"action": "retry", "all": true}));
    let own = site.ended(&site.send(own).await).await;
    let list = site.send(ask(Method::GET, "/api/v1/jobs", &token)).await;
    assert_eq!(list.body["items"].as_array().unwrap().len(), 1);
    let status = async |job: &Value| {
        let path = format!("/api/v1/jobs/{}", job["id"].as_str().unwrap());
        site.send(ask(Method::GET, &path, &token)).await.status.as_u16()
    };
    assert_eq!((status(&own).await, status(&second).await), (200, 404));
}

#[actix_web::test]
async fn a_call_to_a_peer_is_a_job_with_its_dialogue() {
    let site = Site::new();
    site.write(Method::PUT, "/api/v1/domains/own.test", json!({})).await;
    let start = async |peer: &str, body: Value| {
        site.write(Method::POST, &format!("/api/v1/turn/peers/{peer}/sessions"), body).await
    };
    assert_eq!(start("nobody", json!({})).await.status, 404);
    // Nobody listens at port 1 of loopback.
    let hub = json!({"verbs": ["atrn"], "domains": ["own.test"], "host": "[127.0.0.1]", "port": 1,
        "auth": {"sasl_user": "me", "secret": "hush hush"}});
    assert_eq!(site.write(Method::PUT, "/api/v1/turn/peers/hub", hub).await.status, 201);
    let unfit = start("hub", json!({"verb": "etrn"})).await;
    assert_eq!((unfit.status.as_u16(), unfit.faults()[0].1.as_str()), (409, "unfit"), "{}", unfit.body);
    assert_eq!(start("hub", json!({"verb": "fly"})).await.status, 422);
    let started = start("hub", json!({"verb": "atrn"})).await;
    let job = site.ended(&started).await;
    assert_eq!(
        (&job["kind"], &job["target"], &job["state"]),
        (&json!("turn_session"), &json!("hub"), &json!("failed"))
    );
    assert!(job["problem"]["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{job}");
    assert_eq!(job["result"]["session"], job["session"]);
    let session = site.get(&format!("/api/v1/turn/sessions/{}", job["session"].as_str().unwrap())).await;
    assert_eq!((&session.body["state"], &session.body["transcript"]), (&json!("failed"), &job["dialogue"]));
    assert!(job["dialogue"].as_str().is_some_and(|dialogue| !dialogue.is_empty()), "{job}");
}
