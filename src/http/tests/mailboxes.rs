use actix_web::http::{Method, header};
use actix_web::test::TestRequest;
use serde_json::{Value, json};

use super::{Seen, Site, ask};
use crate::directory::Scope;

const INBOX: &str = "/api/v1/accounts/a@x.test/mailboxes/INBOX/messages";

/// A message with a text, HTML and a file.
const MESSAGE: &str = "From: =?utf-8?Q?J=C3=BCrgen?= <j@far.test>\nTo: a@x.test\nSubject: =?utf-8?B?4pyTIGRvbmU=?=\n\
    Content-Type: multipart/mixed; boundary=m\n\n--m\nContent-Type: multipart/alternative; boundary=n\n\n--n\n\
    Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\nGr=C3=BC=C3=9Fe\tall\n--n\n\
    Content-Type: text/html\n\n<script>alert(1)</script>\n--n--\n--m\nContent-Type: text/html; name=evil.html\n\
    Content-Disposition: inline\nContent-Transfer-Encoding: base64\n\nPGI+aGk8L2I+\n--m--\n";

impl Site {
    async fn furnished() -> Self {
        let site = Self::new();
        for path in ["/api/v1/domains/x.test", "/api/v1/accounts/a@x.test"] {
            assert_eq!(site.write(Method::PUT, path, json!({})).await.status, 201, "{path}");
        }
        site
    }

    fn append(&self, path: &str, message: &str) -> TestRequest {
        let request = self.admin(Method::POST, path).insert_header((header::CONTENT_TYPE, "message/rfc822"));
        request.set_payload(message.to_owned())
    }

    async fn delete(&self, path: &str) -> Seen {
        self.send(self.admin(Method::DELETE, path)).await
    }
}

fn names(seen: &Seen) -> Vec<&str> {
    seen.body["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect()
}

fn uids(seen: &Seen) -> Vec<u64> {
    seen.body["items"].as_array().unwrap().iter().map(|item| item["uid"].as_u64().unwrap()).collect()
}

#[actix_web::test]
async fn mailboxes_are_created_shown_and_deleted() {
    let site = Site::furnished().await;
    let folder = "/api/v1/accounts/a@x.test/mailboxes";
    let first = site.get(folder).await;
    assert_eq!(names(&first), ["INBOX", "Archive", "Drafts", "Junk", "Sent", "Trash"]);
    assert_eq!(first.body["items"][1]["special_use"], "archive");
    let path = format!("{folder}/Work%2F2027%20%C3%84");
    let put = site.write(Method::PUT, &path, json!({})).await;
    assert_eq!((put.status.as_u16(), &put.body["name"]), (201, &json!("Work/2027 Ä")));
    assert_eq!(put.header(header::LOCATION), path);
    assert_eq!(put.body["subscribed"], true);
    let again = site.write(Method::PUT, &path, json!({"subscribed": false})).await;
    assert_eq!((again.status.as_u16(), &again.body["subscribed"]), (200, &json!(false)));
    assert_eq!(again.body["uid_validity"], put.body["uid_validity"]);
    assert_eq!(site.get(&path).await.body, again.body);
    // The one above it was made too.
    assert!(names(&site.get(folder).await).contains(&"Work"));
    for (name, body, status) in [
        ("Sent", json!({"special_use": "archive"}), 409),
        ("Sent", json!({"special_use": "sent"}), 200),
        ("More", json!({"special_use": "sent"}), 409),
        ("a%2F%2Fb", json!({}), 422),
        ("a%0Ab", json!({}), 422),
        ("New", json!({"special_use": "other"}), 422),
    ] {
        let seen = site.write(Method::PUT, &format!("{folder}/{name}"), body).await;
        assert_eq!(seen.status, status, "{name}: {}", seen.body);
    }
    let only_new = site.admin(Method::PUT, &path).insert_header((header::IF_NONE_MATCH, "*"));
    assert_eq!(site.send(only_new.set_json(json!({}))).await.status, 412);
    assert_eq!(site.delete(&path).await.status, 204);
    assert_eq!(site.delete(&path).await.status, 404);
    assert_eq!(site.delete(&format!("{folder}/inbox")).await.status, 409);
    assert_eq!(site.get("/api/v1/accounts/nobody@x.test/mailboxes").await.status, 404);
}

#[actix_web::test]
async fn messages_are_listed_the_newest_first() {
    let site = Site::furnished().await;
    for number in 1..=7 {
        let message = format!("Subject: {number}\n\ntext of {number}\n");
        let seen = site.send(site.append(INBOX, &message)).await;
        assert_eq!((seen.status.as_u16(), &seen.body["uid"]), (201, &json!(number)), "{}", seen.body);
        assert_eq!(seen.header(header::LOCATION), format!("{INBOX}/{number}"));
        site.clock.advance_ms(1000);
    }
    // UIDs have gaps.
    for uid in [3, 4] {
        assert_eq!(site.delete(&format!("{INBOX}/{uid}")).await.status, 204);
    }
    let list = site.get(&format!("{INBOX}?limit=2&count=true")).await;
    assert_eq!((uids(&list), &list.body["count"]), (vec![7, 6], &json!(5)));
    let item = &list.body["items"][0];
    assert_eq!((&item["subject"], &item["preview"], &item["flags"]), (&json!("7"), &json!("text of 7"), &json!([])));
    let next = list.body["next_cursor"].as_str().unwrap();
    let list = site.get(&format!("{INBOX}?limit=2&cursor={next}")).await;
    assert_eq!(uids(&list), [5, 2]);
    let next = list.body["next_cursor"].as_str().unwrap();
    let list = site.get(&format!("{INBOX}?limit=2&cursor={next}")).await;
    assert_eq!((uids(&list), &list.body["next_cursor"]), (vec![1], &Value::Null));
    assert_eq!(site.get(&INBOX.replace("INBOX", "None")).await.status, 404);
}

#[actix_web::test]
async fn a_message_is_shown_with_its_parts() {
    let site = Site::furnished().await;
    let appended = site.send(site.append(INBOX, MESSAGE)).await;
    assert_eq!(appended.body["subject"], "✓ done");
    let shown = site.get(&format!("{INBOX}/1")).await;
    let body = &shown.body;
    assert_eq!((&body["from"], &body["text"]), (&json!("Jürgen <j@far.test>"), &json!("Grüße\tall")));
    assert_eq!((&body["text_part"], &body["text_truncated"]), (&json!("1.1"), &json!(false)));
    assert_eq!(body["headers"][2], json!({"name": "Subject", "value": "✓ done"}));
    let structure = &body["structure"];
    assert_eq!((&structure["number"], &structure["content_type"]), (&Value::Null, &json!("multipart/mixed")));
    assert_eq!(
        (&structure["parts"][0]["parts"][1]["number"], &structure["parts"][1]["filename"]),
        (&json!("1.2"), &json!("evil.html"))
    );
    let etag = shown.header(header::ETAG).to_owned();
    let again = site.admin(Method::GET, &format!("{INBOX}/1")).insert_header((header::IF_NONE_MATCH, etag));
    assert_eq!(site.send(again).await.status, 304);

    let raw = site.get(&format!("{INBOX}/1/raw")).await;
    assert_eq!(raw.bytes, MESSAGE.replace('\n', "\r\n"));
    let part = site.get(&format!("{INBOX}/1/parts/2")).await;
    assert_eq!(
        (part.bytes.as_ref(), part.header(header::CONTENT_TYPE)),
        (&b"<b>hi</b>"[..], "text/html; charset=us-ascii")
    );
    // Whatever it is, no browser shows it as a page of ours.
    for seen in [&raw, &part] {
        assert_eq!(seen.header(header::CONTENT_SECURITY_POLICY), "sandbox; default-src 'none'");
        assert!(seen.header(header::CONTENT_DISPOSITION).starts_with("attachment; filename="));
    }
    let shown = site.get(&format!("{INBOX}/1/parts/1.2?render=true")).await;
    assert_eq!(
        (shown.bytes.as_ref(), shown.header(header::CONTENT_TYPE)),
        (&b"<script>alert(1)</script>"[..], "text/html; charset=utf-8")
    );
    assert!(shown.header(header::CONTENT_SECURITY_POLICY).starts_with("sandbox; default-src 'none'; style-src"));
    for (part, query, status) in [("1.1", "render=true", 422), ("1.2", "render=1", 422), ("1.1", "render=false", 200)] {
        assert_eq!(site.get(&format!("{INBOX}/1/parts/{part}?{query}")).await.status, status, "{part} {query}");
    }
    for (part, status) in [("1.1", 200), ("1", 404), ("3", 404), ("0", 404), ("x", 404), ("1.1.1", 404)] {
        assert_eq!(site.get(&format!("{INBOX}/1/parts/{part}")).await.status, status, "{part}");
    }
    for (uid, status) in [("2", 404), ("0", 422), ("x", 422), ("4294967296", 422)] {
        assert_eq!(site.get(&format!("{INBOX}/{uid}")).await.status, status, "{uid}");
    }
}

#[actix_web::test]
async fn flags_are_changed_and_messages_deleted() {
    let site = Site::furnished().await;
    site.send(site.append(INBOX, "Subject: one\n\ntext\n")).await;
    let path = format!("{INBOX}/1");
    let patch = async |body: Value| site.write(Method::PATCH, &path, body).await;
    let seen = patch(json!({"flags_add": ["\\seen", "$Label1"]})).await;
    assert_eq!((seen.status.as_u16(), &seen.body["flags"]), (200, &json!(["\\Seen", "$Label1"])));
    let seen = patch(json!({"flags_add": ["\\Flagged"], "flags_remove": ["$LABEL1", "\\Seen"]})).await;
    assert_eq!(seen.body["flags"], json!(["\\Flagged"]));
    assert_eq!(site.get("/api/v1/accounts/a@x.test/mailboxes/INBOX").await.body["unseen"], 1);
    let old = seen.header(header::ETAG).to_owned();
    assert_eq!(patch(json!({})).await.header(header::ETAG), old);
    for (body, pointer) in [
        (json!({"flags_add": ["\\Recent"]}), "/flags_add/0"),
        (json!({"flags_add": ["two words"]}), "/flags_add/0"),
        (json!({"flags_add": ["a"], "flags_remove": ["b", "A"]}), "/flags_remove/1"),
        (json!({"flags": []}), "/flags"),
    ] {
        let seen = patch(body).await;
        assert_eq!((seen.status.as_u16(), seen.faults()[0].0.as_str()), (422, pointer), "{}", seen.body);
    }
    patch(json!({"flags_add": ["\\Answered"]})).await;
    let late = |method: Method| site.admin(method, &path).insert_header((header::IF_MATCH, old.clone()));
    assert_eq!(site.send(late(Method::PATCH).set_json(json!({"flags_add": ["x"]}))).await.status, 412);
    assert_eq!(site.send(late(Method::DELETE)).await.status, 412);
    assert_eq!(site.delete(&path).await.status, 204);
    assert_eq!(site.delete(&path).await.status, 404);
    assert_eq!(patch(json!({})).await.status, 404);
}

#[actix_web::test]
async fn what_is_no_message_is_not_appended() {
    let site = Site::furnished().await;
    let check = async |request: TestRequest, status: u16| {
        let seen = site.send(request).await;
        assert_eq!(seen.status, status, "{}", seen.body);
    };
    check(site.append(INBOX, ""), 422).await;
    check(site.append(INBOX, "a\0b"), 422).await;
    check(site.append(INBOX, &"A: 1\n".repeat(60_000)), 422).await;
    check(site.admin(Method::POST, INBOX).set_json(json!({})), 415).await;
    check(site.append(&INBOX.replace("INBOX", "None"), "A: 1\n"), 404).await;
    site.write(Method::PATCH, "/api/v1/accounts/a@x.test", json!({"quota_bytes": 10})).await;
    check(site.append(INBOX, "Subject: too much\n"), 409).await;
}

#[actix_web::test]
async fn content_is_a_scope_of_its_own_and_domains_hold() {
    let site = Site::furnished().await;
    site.send(site.append(INBOX, "Subject: one\n\ntext\n")).await;
    let (accounts, content) =
        (site.token(&[Scope::AccountsRead], &[]), site.token(&[Scope::MessagesRead], &["x.test"]));
    let elsewhere = site.token(&[Scope::MessagesRead, Scope::AccountsRead], &["y.test"]);
    let one = format!("{INBOX}/1");
    for (token, path, status) in [
        (&accounts, INBOX, 403),
        (&accounts, "/api/v1/accounts/a@x.test/mailboxes", 200),
        (&content, INBOX, 200),
        (&content, &one, 200),
        (&elsewhere, INBOX, 403),
        (&elsewhere, &one, 403),
        (&elsewhere, "/api/v1/accounts/a@x.test/mailboxes", 403),
    ] {
        assert_eq!(site.send(ask(Method::GET, path, token)).await.status, status, "{path}");
    }
}

#[actix_web::test]
async fn no_look_at_content_without_its_scope_or_a_note() {
    let site = Site::furnished().await;
    site.send(site.append(INBOX, "From: f@far.test\nSubject: one\n\nThe password is hunter2\n")).await;
    let noted = async |action: &str| {
        let rows = site.get("/api/v1/audit").await.body["items"].clone();
        rows.as_array().unwrap().iter().filter(|row| row["action"] == action).count()
    };
    let one = format!("{INBOX}/1");
    let writer = site.token(&[Scope::MessagesWrite], &[]);
    for body in [json!({}), json!({"flags_add": ["\\Seen"]})] {
        let seen = site.send(ask(Method::PATCH, &one, &writer).set_json(body)).await;
        assert_eq!((seen.status.as_u16(), &seen.body["uid"]), (200, &json!(1)), "{}", seen.body);
        for field in ["from", "to", "subject", "preview"] {
            assert_eq!(seen.body[field], "", "{field}");
        }
    }
    assert_eq!(noted("patch_mailbox_message").await, 1, "the change, not that there was none");
    let reader = site.token(&[Scope::MessagesWrite, Scope::MessagesRead], &[]);
    let seen = site.send(ask(Method::PATCH, &one, &reader).set_json(json!({}))).await;
    assert_eq!((&seen.body["subject"], &seen.body["flags"]), (&json!("one"), &json!(["\\Seen"])));
    assert_eq!(noted("patch_mailbox_message").await, 2);
    assert_eq!(noted("list_mailbox_messages").await, 0);
    assert_eq!(
        site.send(ask(Method::GET, INBOX, &reader)).await.body["items"][0]["preview"],
        "The password is hunter2"
    );
    assert_eq!(noted("list_mailbox_messages").await, 1);
}
