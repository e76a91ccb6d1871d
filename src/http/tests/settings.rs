use actix_web::http::{Method, header};
use serde_json::{Value, json};

use super::{Site, ask};
use crate::directory::Scope;

const SETTINGS: &str = "/api/v1/settings";

fn setting<'a>(list: &'a Value, key: &str) -> &'a Value {
    list["items"].as_array().unwrap().iter().find(|item| item["key"] == key).unwrap()
}

#[actix_web::test]
async fn settings_are_listed_with_their_source() {
    let site = Site::new();
    let list = site.get(SETTINGS).await;
    assert_eq!(
        (list.status.as_u16(), list.body["items"].as_array().unwrap().len()),
        (200, crate::settings::KEYS.len())
    );
    let recipients = setting(&list.body, "limits.recipients");
    assert_eq!((&recipients["value"], &recipients["source"]), (&json!(1000), &json!("default")));
    assert_eq!(setting(&list.body, "queue.retry_seconds")["value"][0], 60);
    assert_eq!(setting(&list.body, "pop3.retr_sets_seen")["value"], true);
    let one = site.get("/api/v1/settings/limits.recipients").await;
    assert_eq!(&one.body, recipients);
    let none = site.get("/api/v1/settings/limits.recipient").await;
    assert_eq!(none.status, 404);
    assert!(none.body["detail"].as_str().unwrap().contains("the nearest is limits.recipients"), "{}", none.body);
}

#[actix_web::test]
async fn a_change_asks_what_it_is_based_on() {
    let site = Site::new();
    let patch = async |tag: Option<&str>, query: &str, body: Value| {
        let mut request = site.admin(Method::PATCH, &format!("{SETTINGS}{query}")).set_json(body);
        if let Some(tag) = tag {
            request = request.insert_header((header::IF_MATCH, tag));
        }
        site.send(request).await
    };
    let missing = patch(None, "", json!({"limits.recipients": 7})).await;
    assert_eq!((missing.status.as_u16(), missing.problem()), (428, "precondition-required"));
    let first = site.get(SETTINGS).await.header(header::ETAG).to_owned();
    let done = patch(Some(&first), "", json!({"limits.recipients": 7, "smtp.hostname": "mx.test"})).await;
    assert_eq!((done.status.as_u16(), done.body["items"].as_array().unwrap().len()), (200, 2), "{}", done.body);
    let seen = setting(&done.body, "limits.recipients");
    assert_eq!((&seen["value"], &seen["source"], &seen["default"]), (&json!(7), &json!("page"), &json!(1000)));
    assert_eq!(
        (&seen["needs_restart"], &seen["in_force"], &seen["overridden"]),
        (&true.into(), &false.into(), &false.into())
    );
    assert_eq!(patch(Some(&first), "", json!({"limits.recipients": 8})).await.status, 412);
    assert_eq!(patch(Some(done.header(header::ETAG)), "", json!({"limits.recipients": 8})).await.status, 200);
    let back = patch(None, "?force=true", json!({"limits.recipients": null})).await;
    let seen = setting(&back.body, "limits.recipients");
    assert_eq!((&seen["value"], &seen["source"], &seen["changed_at"]), (&json!(1000), &json!("default"), &Value::Null));
    assert_eq!(seen["in_force"], true);
    let same = site
        .send(site.admin(Method::GET, SETTINGS).insert_header((header::IF_NONE_MATCH, back.header(header::ETAG))))
        .await;
    assert_eq!(same.status, 304);
}

#[actix_web::test]
async fn every_wrong_value_is_named_and_nothing_is_changed() {
    let site = Site::new();
    let before = site.get(SETTINGS).await.body;
    let check = async |body: Value, faults: &[(&str, &str)]| {
        let request = site.admin(Method::PATCH, &format!("{SETTINGS}?force=true")).set_json(&body);
        let seen = site.send(request).await;
        let expected: Vec<_> = faults.iter().map(|(place, code)| ((*place).to_owned(), (*code).to_owned())).collect();
        assert_eq!((seen.status.as_u16(), seen.faults()), (422, expected), "{body}: {}", seen.body);
        assert_eq!(site.get(SETTINGS).await.body, before);
    };
    check(json!({"limits.recipients": 7, "limits.recipient": 7}), &[("/limits.recipient", "unknown_setting")]).await;
    check(
        json!({"limits.recipients": "many", "queue.expiry_seconds": 0}),
        &[("/limits.recipients", "malformed"), ("/queue.expiry_seconds", "too_small")],
    )
    .await;
    check(json!({"store.cache_bytes": 1}), &[("/store.cache_bytes", "not_in_the_file")]).await;
    check(json!({"smtp.hostname": "no host"}), &[("/smtp.hostname", "not_allowed")]).await;
    for path in ["/nowhere.pem", "/dev/zero", "/tmp"] {
        check(json!({"delivery.ca_file": path}), &[("/delivery.ca_file", "unreadable")]).await;
    }
    check(
        json!({"limits.recipients": {"a": 1}, "a/b": -1}),
        &[("/a~1b", "wrong_type"), ("/limits.recipients", "wrong_type")],
    )
    .await;
}

#[actix_web::test]
async fn what_needs_no_restart_is_in_force_at_once() {
    let site = Site::new();
    let body = json!({"directory.subaddress_separator": "-", "queue.retry_seconds": [60, 120]});
    let done = site.send(site.admin(Method::PATCH, &format!("{SETTINGS}?force=true")).set_json(body)).await;
    assert_eq!(setting(&done.body, "directory.subaddress_separator")["in_force"], true);
    assert_eq!(setting(&done.body, "queue.retry_seconds")["value"], json!([60, 120]));
    assert_eq!(site.write(Method::PUT, "/api/v1/domains/x.test", json!({})).await.body["subaddress_sep"], "-");
}

#[actix_web::test]
async fn who_is_restricted_to_domains_sees_no_settings() {
    let site = Site::new();
    let token = site.token(&[Scope::SettingsRead, Scope::SettingsWrite], &["own.test"]);
    assert_eq!(site.send(ask(Method::GET, SETTINGS, &token)).await.status, 403);
    assert_eq!(site.send(ask(Method::GET, "/api/v1/settings/limits.recipients", &token)).await.status, 403);
    let request = ask(Method::PATCH, &format!("{SETTINGS}?force=true"), &token).set_json(json!({}));
    assert_eq!(site.send(request).await.status, 403);
}
