use actix_web::http::{Method, header};
use serde_json::{Value, json};

use super::{Seen, Site, ask};
use crate::directory::Scope;

const SEND: &str = "/api/v1/messages";

impl Site {
    /// With alice and bob at own.test.
    pub(super) async fn with_people() -> Self {
        let site = Self::new();
        let paths = ["/api/v1/domains/own.test", "/api/v1/accounts/alice@own.test", "/api/v1/accounts/bob@own.test"];
        for path in paths {
            assert_eq!(site.write(Method::PUT, path, json!({})).await.status, 201, "{path}");
        }
        site
    }

    async fn send_json(&self, body: Value) -> Seen {
        self.write(Method::POST, SEND, body).await
    }

    pub(super) async fn inbox(&self, account: &str) -> Vec<Value> {
        let seen = self.get(&format!("/api/v1/accounts/{account}/mailboxes/INBOX/messages")).await;
        seen.body["items"].as_array().unwrap().clone()
    }

    async fn wait(&self, query: &str) -> Seen {
        self.get(&format!("{SEND}/wait?{query}")).await
    }
}

#[actix_web::test]
async fn a_message_goes_to_mailboxes_and_to_the_queue() {
    let site = Site::with_people().await;
    let seen = site
        .send_json(json!({
            "from": "Alice <alice@own.test>", "to": ["bob@own.test", "x@far.test", "nobody@own.test"],
            "subject": "Grüße", "text": "hello\n", "html": "<p>hello</p>",
            "attachments": [{"filename": "a.txt", "content_type": "text/plain", "content_base64": "aGk="}],
            "headers": {"X-Campaign": "may"},
        }))
        .await;
    assert_eq!(seen.status, 202, "{}", seen.body);
    let results: Vec<_> = seen.body["recipients"].as_array().unwrap().iter().map(|one| &one["outcome"]).collect();
    assert_eq!(results, ["delivered", "queued", "rejected"]);
    assert_eq!(seen.body["recipients"][2]["text"], "5.1.1 No such user here");
    let (id, entry) = (seen.body["id"].as_str().unwrap(), seen.body["recipients"][1]["queue_id"].as_str().unwrap());
    assert_eq!(site.get(&format!("/api/v1/queue/{entry}")).await.body["message_id"], id);
    let inbox = site.inbox("bob@own.test").await;
    assert_eq!((&inbox[0]["id"], &inbox[0]["subject"]), (&json!(id), &json!("Grüße")));
    let shown = site.get("/api/v1/accounts/bob@own.test/mailboxes/INBOX/messages/1").await;
    let header = |name: &str| {
        let headers = shown.body["headers"].as_array().unwrap();
        let found: Vec<_> = headers.iter().filter(|header| header["name"] == name).collect();
        assert_eq!(found.len(), 1, "{name}");
        found[0]["value"].as_str().unwrap().to_owned()
    };
    assert_eq!(header("Message-ID"), format!("<{id}@mail.example.test>"));
    assert_eq!(header("Return-Path"), "<alice@own.test>");
    assert_eq!(header("X-Campaign"), "may");
    assert!(header("Received").contains("with HTTP") && !header("Date").is_empty());
    assert_eq!(shown.body["text"].as_str().unwrap().trim_end(), "hello");
}

#[actix_web::test]
async fn what_can_not_be_sent_is_not() {
    let site = Site::with_people().await;
    for (body, pointer) in [
        (json!({"from": "alice@own.test", "to": ["nobody@own.test"]}), "/to"),
        (json!({"from": "alice@own.test"}), "/to"),
        (json!({"to": ["bob@own.test"]}), "/from"),
        (json!({"from": "x@far.test", "to": ["bob@own.test"]}), "/from"),
        (json!({"from": "alice@own.test", "to": ["bob@own.test"], "subject": "a\r\nBcc: x@far.test"}), "/subject"),
        (json!({"from": "alice@own.test", "to": ["bob@own.test"], "headers": {"A": "1\n2"}}), "/headers/A"),
        (json!({"from": "alice@own.test", "to": ["bob@own.test"], "send_at": "now"}), "/send_at"),
        (json!({"from": "alice@own.test", "to": ["bob@own.test"], "text": "a\0b"}), "/text"),
    ] {
        let seen = site.send_json(body.clone()).await;
        assert_eq!((seen.status.as_u16(), seen.faults()[0].0.as_str()), (422, pointer), "{body}: {}", seen.body);
    }
    let dry = json!({"from": "alice@own.test", "to": ["bob@own.test"], "dry_run": true});
    let seen = site.send_json(dry).await;
    assert_eq!((seen.status.as_u16(), &seen.body["id"]), (202, &Value::Null), "{}", seen.body);
    assert!(site.inbox("bob@own.test").await.is_empty());
    let narrow = site.token(&[Scope::MessagesSend], &["other.test"]);
    let body = json!({"from": "alice@own.test", "to": ["bob@own.test"]});
    assert_eq!(site.send(ask(Method::POST, SEND, &narrow).set_json(&body)).await.status, 403);
    let text = site.admin(Method::POST, SEND).insert_header((header::CONTENT_TYPE, "text/plain")).set_payload("x");
    assert_eq!(site.send(text).await.status, 415);
}

#[actix_web::test]
async fn a_message_is_sent_as_it_is() {
    let site = Site::with_people().await;
    let send = async |query: &str, message: &str| {
        let request = site.admin(Method::POST, &format!("{SEND}?{query}"));
        let request = request.insert_header((header::CONTENT_TYPE, "message/rfc822"));
        site.send(request.set_payload(message.to_owned())).await
    };
    let query = "sender=alice@own.test&recipient=bob@own.test&recipient=alice@own.test";
    let seen = send(query, "From: alice@own.test\nBcc: bob@own.test\nSubject: raw\n\nbody\n").await;
    assert_eq!(seen.status, 202, "{}", seen.body);
    let raw = site.get("/api/v1/accounts/bob@own.test/mailboxes/INBOX/messages/1/raw").await;
    let raw = String::from_utf8_lossy(&raw.bytes).into_owned();
    assert!(raw.ends_with("Subject: raw\r\n\r\nbody\r\n") && !raw.contains("Bcc") && raw.contains("Date: "), "{raw}");
    assert_eq!(site.inbox("alice@own.test").await.len(), 1);
    for (query, message) in [
        ("recipient=bob@own.test", "From: alice@own.test\n\n"),
        ("sender=alice@own.test", "From: alice@own.test\n\n"),
        ("sender=alice@own.test&recipient=nobody", "From: alice@own.test\n\n"),
        ("sender=alice@own.test&recipient=bob@own.test", "Subject: no author\n\n"),
        ("sender=alice@own.test&recipient=bob@own.test", "From: x@far.test\n\n"),
        ("sender=alice@own.test&recipient=bob@own.test&to=x", "From: alice@own.test\n\n"),
    ] {
        assert_eq!(send(query, message).await.status, 422, "{query} {message}");
    }
    let loop_ = format!("{}From: alice@own.test\n\n", "Received: x\n".repeat(101));
    assert_eq!(send("sender=alice@own.test&recipient=bob@own.test", &loop_).await.status, 422);
}

#[actix_web::test]
async fn a_test_waits_for_its_message() {
    let site = Site::with_people().await;
    assert_eq!(site.wait("to=bob@own.test&timeout_seconds=0").await.status, 204);
    let body = json!({"from": "alice@own.test", "to": ["bob+tag@own.test"], "subject": "Your CODE is 42"});
    let waiting = site.wait("to=bob@own.test&subject=code&timeout_seconds=20");
    let (seen, sent) = futures_util::future::join(waiting, async {
        actix_web::rt::time::sleep(std::time::Duration::from_millis(50)).await;
        site.send_json(body.clone()).await
    })
    .await;
    assert_eq!((seen.status.as_u16(), &seen.body["id"]), (200, &sent.body["id"]), "{}", seen.body);
    assert_eq!((&seen.body["mailbox"], &seen.body["uid"]), (&json!("INBOX"), &json!(1)));
    // What came shortly before counts; what was sent to another address of the account does not.
    for (query, status) in [
        ("to=bob%2Btag@own.test", 200),
        ("to=bob%2Bother@own.test", 204),
        ("to=bob@own.test&subject=nothing", 204),
        ("to=bob@own.test&after=2100-01-01T00:00:00Z", 204),
        ("to=nobody@own.test", 404),
        ("to=x@far.test", 404),
    ] {
        assert_eq!(site.wait(&format!("{query}&timeout_seconds=0")).await.status, status, "{query}");
    }
    for (query, parameter) in [("", "to"), ("to=bob@own.test&timeout_seconds=61", "timeout_seconds"), ("to=x", "to")] {
        assert_eq!(site.wait(query).await.faults()[0].0, parameter, "{query}");
    }
    // What its owner puts there has not arrived.
    site.clock.advance_ms(120_000);
    let path = "/api/v1/accounts/bob@own.test/mailboxes/INBOX/messages";
    let append = site.admin(Method::POST, path).insert_header((header::CONTENT_TYPE, "message/rfc822"));
    assert_eq!(site.send(append.set_payload("Subject: draft\n\n")).await.status, 201);
    assert_eq!(site.wait("to=bob@own.test&timeout_seconds=0").await.status, 204);
}

#[actix_web::test]
async fn a_large_message_is_sent_and_a_body_of_many_values_is_not() {
    let site = Site::with_people().await;
    let send = async |body: String| {
        let request = site.admin(Method::POST, SEND).insert_header((header::CONTENT_TYPE, "application/json"));
        site.send(request.insert_header((header::CONTENT_LENGTH, body.len())).set_payload(body)).await
    };
    let message = |more: &str| format!(r#"{{"from":"alice@own.test","to":["bob@own.test"],{more}}}"#);
    // 20 MB of a file.
    let file = "AAAA".repeat(20_000_000 / 3);
    let attachment = format!(r#""attachments":[{{"filename":"zeros","content_base64":"{file}"}}]"#);
    let seen = send(message(&attachment)).await;
    assert_eq!(seen.status, 202, "{}", seen.body);
    assert!(site.inbox("bob@own.test").await[0]["size_bytes"].as_u64().is_some_and(|size| size > 20_000_000));
    for more in
        [format!(r#""headers":[{}[]]"#, "[],".repeat(5_000_000)), format!(r#""to":[{}0]"#, "0,".repeat(10_000_000))]
    {
        let seen = send(message(&more)).await;
        assert_eq!((seen.status.as_u16(), seen.faults()), (422, vec![(String::new(), "too_many_values".into())]));
    }
    let announced = site.admin(Method::POST, SEND).insert_header(header::ContentType::json());
    let seen = site.send(announced.set_payload("{}").insert_header((header::CONTENT_LENGTH, 80_000_000))).await;
    assert_eq!((seen.status.as_u16(), seen.problem()), (413, "body-too-large"));
}
