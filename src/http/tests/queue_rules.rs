use actix_web::http::Method;
use serde_json::{Value, json};

use super::Site;

const RULE: &str = "/api/v1/queue/rules/spree";

#[actix_web::test]
async fn a_rule_is_made_changed_listed_and_deleted() {
    let site = Site::new();
    let body = json!({"match": {"sender": "@Bulk.test"}, "action": "hold", "reason": "asked them"});
    let seen = site.write(Method::PUT, RULE, body).await;
    assert_eq!(seen.status, 201, "{}", seen.body);
    assert_eq!((&seen.body["id"], &seen.body["match"]), (&json!("spree"), &json!({"sender": "@bulk.test"})));
    assert_eq!((&seen.body["expires_at"], &seen.body["expired"]), (&Value::Null, &json!(false)));
    let body = json!({
        "match": {"server": "mx.far.test"}, "action": "suspend", "reason": "they move",
        "expires_at": "2100-01-31T00:00:00Z",
    });
    let seen = site.write(Method::PUT, RULE, body.clone()).await;
    assert_eq!(
        (seen.status.as_u16(), &seen.body["expires_at"]),
        (200, &json!("2100-01-31T00:00:00Z")),
        "{}",
        seen.body
    );
    let listed = site.get("/api/v1/queue/rules").await.body;
    assert_eq!((listed["items"].as_array().map(Vec::len), &listed["items"][0]), (Some(1), &seen.body));
    assert_eq!(site.get(RULE).await.body, seen.body);
    let taken = site.write(Method::PUT, "/api/v1/queue/rules/other", body).await;
    assert_eq!(taken.status, 409, "{}", taken.body);
    assert_eq!(site.write(Method::DELETE, RULE, Value::Null).await.status, 204);
    assert_eq!(site.get(RULE).await.status, 404);
    assert_eq!(site.write(Method::DELETE, RULE, Value::Null).await.status, 404);
}

#[actix_web::test]
async fn a_rule_that_can_not_be_is_refused() {
    let site = Site::new();
    let check = async |path: &str, body: Value, pointer: &str| {
        let seen = site.write(Method::PUT, path, body).await;
        assert_eq!(seen.status, 422, "{}", seen.body);
        assert!(seen.body.to_string().contains(pointer), "{pointer}: {}", seen.body);
    };
    let rule = |matches: Value, action: &str| json!({"match": matches, "action": action, "reason": "why"});
    check(RULE, rule(json!({}), "hold"), "/match").await;
    check(RULE, rule(json!({"domain": "a.test", "sender": "b@c.test"}), "hold"), "/match").await;
    check(RULE, rule(json!({"domain": "-"}), "hold"), "/match/domain").await;
    check(RULE, rule(json!({"server": "mx.far.test"}), "hold"), "/action").await;
    let past =
        json!({"match": {"domain": "a.test"}, "action": "hold", "reason": "why", "expires_at": "2000-01-01T00:00:00Z"});
    check(RULE, past, "/expires_at").await;
    check("/api/v1/queue/rules/UPPER", rule(json!({"domain": "a.test"}), "hold"), "id").await;
}

#[actix_web::test]
async fn a_pause_is_shown_with_the_numbers_until_it_ends() {
    let site = Site::new();
    let shown = async || site.get("/api/v1/queue/summary").await.body["pause"].clone();
    assert_eq!(shown().await, Value::Null);
    let seen = site.write(Method::PUT, "/api/v1/queue/pause", json!({"reason": "we move"})).await;
    assert_eq!((seen.status.as_u16(), &seen.body["reason"]), (200, &json!("we move")), "{}", seen.body);
    assert_eq!(shown().await, seen.body);
    let since = seen.body["since_at"].clone();
    let body = json!({"reason": "for longer", "until": "2100-01-31T00:00:00Z"});
    let seen = site.write(Method::PUT, "/api/v1/queue/pause", body).await;
    assert_eq!((&seen.body["since_at"], &seen.body["until"]), (&since, &json!("2100-01-31T00:00:00Z")));
    for _ in 0..2 {
        assert_eq!(site.write(Method::DELETE, "/api/v1/queue/pause", Value::Null).await.status, 204);
        assert_eq!(shown().await, Value::Null);
    }
    let late = json!({"reason": "late", "until": "2000-01-01T00:00:00Z"});
    assert_eq!(site.write(Method::PUT, "/api/v1/queue/pause", late).await.status, 422);
}
