use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::{Method, header};
use actix_web::rt::time::sleep;
use actix_web::test::{call_service, init_service};
use actix_web::web::Bytes;
use futures_util::future::join;
use futures_util::poll;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{Seen, Site, ask};
use crate::audit::{Act, Note};
use crate::directory::Scope;
use crate::http::answers::{Begin, Begun, Known, known};
use crate::http::app::app;

const FLUSH: &str = "/api/v1/queue/flush";

async fn flush(site: &Site, token: &str, key: &str, body: &Value) -> Seen {
    let request = ask(Method::POST, FLUSH, token).insert_header(("idempotency-key", key));
    site.send(request.set_json(body)).await
}

impl Site {
    async fn post_once(&self, path: &str, key: &str, body: &Value) -> Seen {
        let request = self.admin(Method::POST, &format!("/api/v1/{path}")).insert_header(("idempotency-key", key));
        self.send(request.set_json(body)).await
    }

    /// The administrator's token, as the audit names it.
    fn admins(&self) -> String {
        format!("token {}", self.admin.split('_').nth(1).unwrap())
    }

    fn known(&self, key: &str) -> Option<Known> {
        known(&self.context.store.view().unwrap(), &self.admins(), key, self.context.clock.now()).unwrap()
    }
}

fn is_replayed(seen: &Seen) -> bool {
    seen.header("idempotency-replayed".parse().unwrap()) == "true"
}

#[actix_web::test]
async fn the_same_request_is_done_once() {
    let site = Site::new();
    let all = json!({"all": true});
    let first = flush(&site, &site.admin, "k1", &all).await;
    assert_eq!((first.status.as_u16(), is_replayed(&first)), (202, false), "{}", first.body);
    let again = flush(&site, &site.admin, "\"k1\"", &all).await;
    assert_eq!((again.status, &again.body, is_replayed(&again)), (first.status, &first.body, true));
    let other = flush(&site, &site.admin, "k1", &json!({"all": true, "dry_run": true})).await;
    assert_eq!(
        (other.status.as_u16(), other.faults()),
        (422, vec![("idempotency-key".into(), "used_otherwise".into())])
    );
    assert!(!is_replayed(&flush(&site, &site.admin, "k2", &all).await));
    // Another caller's keys are other keys.
    let token = site.token(&[Scope::QueueWrite], &[]);
    assert!(!is_replayed(&flush(&site, &token, "k1", &all).await));
    assert!(is_replayed(&flush(&site, &token, "k1", &all).await));
    assert_eq!(flush(&site, "pbx_0_0", "k1", &all).await.status, 401);
}

#[actix_web::test]
async fn a_key_is_good_for_a_day() {
    let site = Site::new();
    let all = json!({"all": true});
    flush(&site, &site.admin, "k", &all).await;
    site.clock.advance_ms(24 * 3600 * 1000 - 1);
    assert!(is_replayed(&flush(&site, &site.admin, "k", &all).await));
    site.clock.advance_ms(1);
    assert!(!is_replayed(&flush(&site, &site.admin, "k", &json!({"all": true, "dry_run": true})).await));
}

#[actix_web::test]
async fn a_refusal_is_no_answer_to_keep() {
    let site = Site::new();
    assert_eq!(flush(&site, &site.admin, "k", &json!({})).await.status, 422);
    let mended = flush(&site, &site.admin, "k", &json!({"all": true})).await;
    assert_eq!((mended.status.as_u16(), is_replayed(&mended)), (202, false));
    assert_eq!(flush(&site, &site.admin, &"x".repeat(256), &json!({"all": true})).await.status, 422);
}

#[actix_web::test]
async fn one_at_a_time() {
    let site = Site::new();
    let context = site.context.clone();
    let flight = context.in_flight.begin((site.admins(), "k".into())).unwrap();
    assert_eq!(flush(&site, &site.admin, "k", &json!({"all": true})).await.status, 409);
    drop(flight);
    assert_eq!(flush(&site, &site.admin, "k", &json!({"all": true})).await.status, 202);
}

#[actix_web::test]
async fn secrets_are_not_kept() {
    let site = Site::new();
    let create = async || {
        let request = site.admin(Method::POST, "/api/v1/tokens").insert_header(("idempotency-key", "k"));
        site.send(request.set_json(json!({"name": "n", "scopes": ["domains:read"]}))).await
    };
    let (first, second) = (create().await, create().await);
    assert!(first.status == 201 && first.body["id"] != second.body["id"]);
}

fn message(subject: &str) -> Value {
    json!({"from": "alice@own.test", "to": ["bob@own.test"], "subject": subject})
}

#[actix_web::test]
async fn a_message_is_sent_once() {
    let site = Site::with_people().await;
    let first = site.post_once("messages", "k", &message("one")).await;
    assert_eq!((first.status.as_u16(), is_replayed(&first)), (202, false), "{}", first.body);
    let again = site.post_once("messages", "k", &message("one")).await;
    assert_eq!((again.status, &again.body, is_replayed(&again)), (first.status, &first.body, true));
    let other = site.post_once("messages", "k", &message("two")).await;
    assert_eq!((other.status.as_u16(), other.faults()[0].1.as_str()), (422, "used_otherwise"));
    assert_eq!(site.inbox("bob@own.test").await.len(), 1);
    // Both at the same moment: the second waits for none, and finds the first one's answer later.
    let (one, two) = (message("three"), message("three"));
    let (one, two) = join(site.post_once("messages", "both", &one), site.post_once("messages", "both", &two)).await;
    assert_eq!((one.status.as_u16(), two.status.as_u16()), (202, 409), "{} {}", one.body, two.body);
    let later = site.post_once("messages", "both", &message("three")).await;
    assert_eq!((&later.body, is_replayed(&later)), (&one.body, true));
    assert_eq!(site.inbox("bob@own.test").await.len(), 2);
}

#[actix_web::test]
async fn what_is_put_into_a_mailbox_and_a_job_are_made_once() {
    let site = Site::with_people().await;
    let append = async |text: &'static str| {
        let path = "/api/v1/accounts/bob@own.test/mailboxes/INBOX/messages";
        let request = site.admin(Method::POST, path).insert_header((header::CONTENT_TYPE, "message/rfc822"));
        site.send(request.insert_header(("idempotency-key", "k")).set_payload(text)).await
    };
    let (first, again) = (append("Subject: a\r\n\r\n").await, append("Subject: a\r\n\r\n").await);
    assert_eq!((first.status.as_u16(), again.status.as_u16(), is_replayed(&again)), (201, 201, true));
    assert_eq!(first.header(header::LOCATION), again.header(header::LOCATION));
    assert_eq!(append("Subject: b\r\n\r\n").await.status, 422);
    assert_eq!(site.inbox("bob@own.test").await.len(), 1);
    let all = json!({"action": "retry", "all": true});
    let (first, again) =
        (site.post_once("queue/actions", "k2", &all).await, site.post_once("queue/actions", "k2", &all).await);
    assert_eq!((&first.body["id"], is_replayed(&again)), (&again.body["id"], true));
    assert_eq!(site.get("/api/v1/jobs").await.body["items"].as_array().unwrap().len(), 1);
}

#[actix_web::test]
async fn no_body_and_an_empty_object_ask_for_the_same() {
    let site = Site::new();
    let id = site.queue(60, "a@own.test", &["b@x.test"]).remove(0);
    let retry = async |body: Option<&'static str>| {
        let request = site.admin(Method::POST, &format!("/api/v1/queue/{id}/retry"));
        let request = request.insert_header(("idempotency-key", "k"));
        site.send(match body {
            Some(body) => request.insert_header(header::ContentType::json()).set_payload(body),
            None => request,
        })
        .await
    };
    assert!(!is_replayed(&retry(None).await));
    for body in [Some("{}"), Some(" { }\n"), Some(""), None] {
        assert!(is_replayed(&retry(body).await), "{body:?}");
    }
    assert_eq!(retry(Some("{\"a\":1}")).await.status, 422);
}

#[actix_web::test]
async fn what_was_begun_and_never_answered_is_done_only_if_it_was_not() {
    let site = Site::with_people().await;
    let now = site.context.clock.now();
    // The server died: before it was done, and after.
    for (key, request_id) in [("before", "r_1"), ("after", "r_2")] {
        let begun = Begun { request_id: request_id.into(), at: now };
        let begin = Begin { actor: site.admins(), key: key.into(), begun };
        site.context.store.write_blocking(begin).unwrap().into_inner();
    }
    let act = Act { request_id: "r_2".into(), action: "send_message".into(), ..Act::default() };
    let note = Note { act, target: "m_1".into(), at: now, after: None };
    let id = site.context.store.write_blocking(note).unwrap().into_inner();
    let before = site.post_once("messages", "before", &message("one")).await;
    assert_eq!((before.status.as_u16(), is_replayed(&before)), (202, false), "{}", before.body);
    assert!(is_replayed(&site.post_once("messages", "before", &message("one")).await));
    for _ in 0..2 {
        let after = site.post_once("messages", "after", &message("two")).await;
        let says = after.body["detail"].as_str().unwrap_or_default().contains(&id.to_string());
        assert!(after.status == 409 && says, "{}", after.body);
    }
    assert_eq!(site.inbox("bob@own.test").await.len(), 1);
    // What a request leaves in the audit is what is looked for.
    let sent = site.post_once("messages", "k", &message("three")).await;
    let request_id = sent.header("x-request-id".parse().unwrap()).to_owned();
    assert_eq!(site.get("/api/v1/audit").await.body["items"][0]["request_id"], request_id);
}

#[actix_web::test]
async fn a_broken_connection_ends_nothing() {
    let site = Site::with_people().await;
    let service = init_service(app(site.context.clone())).await;
    let request = site.admin(Method::POST, "/api/v1/messages").insert_header(("idempotency-key", "k"));
    let request = request.insert_header(header::ContentType::json()).to_request();
    let (body, mut pieces) = mpsc::unbounded_channel::<Bytes>();
    let (asked, mut is_asked) = mpsc::unbounded_channel();
    let stream = futures_util::stream::poll_fn(move |context| {
        let _ = asked.send(());
        pieces.poll_recv(context).map(|piece| piece.map(Ok))
    });
    let payload: Payload = Payload::Stream { payload: Box::pin(stream) };
    let (request, _) = request.replace_payload(payload);
    let mut call = Box::pin(call_service(&service, request));
    // Until the handler waits for the body.
    while is_asked.try_recv().is_err() {
        assert!(poll!(&mut call).is_pending());
        sleep(Duration::from_millis(1)).await;
    }
    assert!(matches!(site.known("k"), Some(Known::Begun(_))));
    drop(call);
    body.send(message("one").to_string().into()).unwrap();
    drop(body);
    // Until nobody works on it any more.
    while site.context.in_flight.begin((site.admins(), "k".into())).is_none() {
        sleep(Duration::from_millis(1)).await;
    }
    assert!(matches!(site.known("k"), Some(Known::Done(_))));
    let again = site.post_once("messages", "k", &message("one")).await;
    assert_eq!((again.status.as_u16(), is_replayed(&again)), (202, true), "{}", again.body);
    assert_eq!(site.inbox("bob@own.test").await.len(), 1);
}
