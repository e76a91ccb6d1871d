use actix_web::http::{Method, header};
use serde_json::{Value, json};

use super::{Site, ask};
use crate::directory::Scope;

const KEYS: &str = "/api/v1/domains/own.test/dkim-keys";

impl Site {
    async fn key(&self, algorithm: &str, selector: &str) -> Value {
        let body = json!({"algorithm": algorithm, "selector": selector});
        let seen = self.write(Method::POST, KEYS, body).await;
        assert_eq!(seen.status, 201, "{}", seen.body);
        assert_eq!(seen.header(header::LOCATION), format!("{KEYS}/{selector}"));
        seen.body
    }

    async fn activate(&self, selector: &str) -> Value {
        let path = format!("{KEYS}/{selector}/activate?force=true");
        let seen = self.send(self.admin(Method::POST, &path)).await;
        assert_eq!((seen.status.as_u16(), &seen.body["state"]), (200, &json!("active")), "{}", seen.body);
        seen.body
    }

    async fn states(&self) -> Vec<(String, String)> {
        let list = self.get(KEYS).await.body;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        list["items"].as_array().unwrap().iter().map(|key| (text(&key["selector"]), text(&key["state"]))).collect()
    }
}

fn is(selector: &str, state: &str) -> (String, String) {
    (selector.to_owned(), state.to_owned())
}

#[actix_web::test]
async fn a_key_lives() {
    let site = Site::with_people().await;
    let key = site.key("ed25519", "s1").await;
    assert_eq!((&key["state"], &key["dns"], &key["usable"]), (&json!("pending"), &json!("unknown"), &json!(true)));
    assert_eq!(key["record_name"], "s1._domainkey.own.test");
    assert!(key["record_value"].as_str().unwrap().starts_with("v=DKIM1; k=ed25519; p="));
    assert!(!key.to_string().contains("private"), "{key}");
    // The name server of the tests answers nothing.
    let path = format!("{KEYS}/s1/activate");
    let refused = site.send(site.admin(Method::POST, &path)).await;
    assert_eq!((refused.status.as_u16(), refused.faults()), (409, vec![(String::new(), "unknown".to_owned())]));
    site.activate("s1").await;
    site.key("ed25519", "s2").await;
    site.activate("s2").await;
    assert_eq!(site.states().await, [is("s1", "retiring"), is("s2", "active")]);
    let delete = async |query: &str, selector: &str| {
        site.send(site.admin(Method::DELETE, &format!("{KEYS}/{selector}{query}"))).await.status.as_u16()
    };
    assert_eq!((delete("", "s1").await, delete("", "s2").await, delete("", "s9").await), (409, 409, 404));
    assert_eq!(delete("?force=true", "s1").await, 204);
    let stale = site.admin(Method::DELETE, &format!("{KEYS}/s2?force=true"));
    assert_eq!(site.send(stale.insert_header((header::IF_MATCH, "\"9999\""))).await.status, 412);
    assert_eq!(site.states().await, [is("s2", "active")]);
    assert_eq!(site.send(site.admin(Method::DELETE, "/api/v1/domains/own.test/dkim-keys")).await.status, 405);
}

#[actix_web::test]
async fn a_key_that_can_not_be_is_refused() {
    let site = Site::with_people().await;
    site.key("ed25519", "s1").await;
    let check = async |body: Value, status: u16, faults: &[(&str, &str)]| {
        let seen = site.write(Method::POST, KEYS, body.clone()).await;
        let faults: Vec<_> = faults.iter().map(|(place, code)| ((*place).to_owned(), (*code).to_owned())).collect();
        assert_eq!((seen.status.as_u16(), seen.faults()), (status, faults), "{body}: {}", seen.body);
    };
    check(json!({"algorithm": "ed25519", "selector": "s1"}), 409, &[]).await;
    check(json!({"algorithm": "ed25519", "selector": "S_1"}), 422, &[("/selector", "malformed")]).await;
    check(json!({"algorithm": "rsa1024"}), 422, &[("/algorithm", "not_allowed")]).await;
    check(json!({}), 422, &[("/algorithm", "required")]).await;
    let elsewhere = "/api/v1/domains/far.test/dkim-keys";
    assert_eq!(site.write(Method::POST, elsewhere, json!({"algorithm": "ed25519"})).await.status, 404);
}

#[actix_web::test]
async fn a_rotation_makes_a_key_of_each_algorithm() {
    let site = Site::with_people().await;
    let started = site.send(site.admin(Method::POST, "/api/v1/domains/own.test/dkim/rotate")).await;
    let job = site.ended(&started).await;
    assert_eq!((&job["state"], &job["kind"]), (&json!("succeeded"), &json!("dkim_rotation")), "{job}");
    let keys = job["result"]["keys"].as_array().unwrap();
    assert_eq!(keys.iter().map(|key| &key["algorithm"]).collect::<Vec<_>>(), ["rsa2048", "ed25519"]);
    assert_eq!(site.states().await, [is("e20261122", "pending"), is("r20261122", "pending")]);
}

#[actix_web::test]
async fn what_is_sent_over_rest_is_signed() {
    let site = Site::with_people().await;
    site.key("ed25519", "s1").await;
    site.activate("s1").await;
    let body = json!({"from": "alice@own.test", "to": ["bob@own.test"], "bcc": ["alice@own.test"], "text": "hello\n"});
    assert_eq!(site.write(Method::POST, "/api/v1/messages", body).await.status, 202);
    let raw = site.get("/api/v1/accounts/bob@own.test/mailboxes/INBOX/messages/1/raw").await;
    let text = String::from_utf8_lossy(&raw.bytes).into_owned();
    let signature = text.split_once("DKIM-Signature: ").expect("a signature").1;
    assert!(signature.contains("; s=s1; d=own.test;") && signature.contains("\r\nReceived: "), "{text}");
}

#[actix_web::test]
async fn a_domain_says_what_its_dns_has_to_say() {
    let site = Site::with_people().await;
    let key = site.key("ed25519", "s1").await;
    let seen = site.get("/api/v1/domains/own.test/dns").await;
    assert_eq!((seen.status.as_u16(), &seen.body["domain"]), (200, &json!("own.test")), "{}", seen.body);
    let records = seen.body["records"].as_array().unwrap();
    let purposes: Vec<_> = records.iter().map(|record| record["purpose"].as_str().unwrap()).collect();
    assert_eq!(purposes, ["mx", "spf", "dkim", "dmarc", "tlsrpt"]);
    assert!(records.iter().all(|record| record["state"] == "unknown"), "{}", seen.body);
    assert_eq!((&records[2]["selector"], &records[2]["text"]), (&json!("s1"), &key["record_value"]));
    assert_eq!((&records[0]["priority"], &records[0]["target"]), (&json!(10), &json!("mail.example.test")));
    let zone = site.get("/api/v1/domains/own.test/dns/zone").await;
    let zone = String::from_utf8_lossy(&zone.bytes).into_owned();
    assert_eq!(zone.lines().count(), 5, "{zone}");
    assert!(zone.starts_with("own.test. 3600 IN MX 10 mail.example.test.\n"), "{zone}");
    let started = site.send(site.admin(Method::POST, "/api/v1/domains/own.test/dns/check")).await;
    let job = site.ended(&started).await;
    assert_eq!((&job["result"]["unknown"], &job["result"]["ok"]), (&json!(5), &json!(0)), "{job}");
}

#[actix_web::test]
async fn a_token_for_one_domain_has_its_keys_alone() {
    let site = Site::with_people().await;
    site.key("ed25519", "s1").await;
    let token = site.token(&[Scope::DomainsRead, Scope::DomainsWrite], &["other.test"]);
    for (method, path) in [
        (Method::GET, KEYS.to_owned()),
        (Method::GET, format!("{KEYS}/s1")),
        (Method::POST, format!("{KEYS}/s1/activate?force=true")),
        (Method::DELETE, format!("{KEYS}/s1")),
        (Method::POST, "/api/v1/domains/own.test/dkim/rotate".to_owned()),
        (Method::GET, "/api/v1/domains/own.test/dns".to_owned()),
        (Method::GET, "/api/v1/domains/own.test/dns/zone".to_owned()),
    ] {
        assert_eq!(site.send(ask(method, &path, &token)).await.status, 403, "{path}");
    }
}

#[actix_web::test]
async fn a_domain_that_goes_takes_its_keys_along() {
    let site = Site::new();
    assert_eq!(site.write(Method::PUT, "/api/v1/domains/own.test", json!({})).await.status, 201);
    site.key("ed25519", "s1").await;
    assert_eq!(site.send(site.admin(Method::DELETE, "/api/v1/domains/own.test")).await.status, 204);
    assert_eq!(site.write(Method::PUT, "/api/v1/domains/own.test", json!({})).await.status, 201);
    assert_eq!(site.states().await, []);
}
