use actix_web::http::Method;
use serde_json::{Value, json};

use super::{Seen, Site, ask};
use crate::directory::Scope;

const FLUSH: &str = "/api/v1/queue/flush";

async fn flush(site: &Site, token: &str, key: &str, body: &Value) -> Seen {
    let request = ask(Method::POST, FLUSH, token).insert_header(("idempotency-key", key));
    site.send(request.set_json(body)).await
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
    let actor = {
        let list = site.get("/api/v1/tokens").await;
        format!("token {}", list.body["items"][0]["id"].as_str().unwrap())
    };
    let flight = context.in_flight.begin((actor, "k".into())).unwrap();
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
