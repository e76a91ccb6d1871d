use actix_web::http::{Method, header};
use serde_json::{Value, json};

use super::{Seen, Site, ask};
use crate::base::{MessageId, Timestamp, TraceId};
use crate::directory::Scope;
use crate::trace::{Event, Kind, Record, Refusal, Subject};

/// When the stories begin.
const BEGAN: u64 = 1_795_341_000_000;

impl Site {
    fn tell(&self, subject: Subject, event: Event) {
        self.context.store.write_blocking(Record { subject, event }).expect("the event is written").into_inner();
    }
}

fn message(second: u64) -> Subject {
    Subject::Message(MessageId((BEGAN + 1000 * second) << 16))
}

fn event(second: u64, kind: Kind, recipient: &str) -> Event {
    let recipient = (!recipient.is_empty()).then(|| recipient.to_owned());
    Event { recipient, ..Event::new(Timestamp(BEGAN + 1000 * second), kind, "smtp") }
}

fn accepted(second: u64, actor: &str, sender: &str) -> Event {
    Event {
        actor: actor.into(),
        sender: Some(sender.into()),
        message_id: Some(format!("<{second}@far.test>")),
        peer_ip: Some("192.0.2.7".parse().unwrap()),
        ..event(second, Kind::Accepted, "")
    }
}

/// From elsewhere to two domains here; from here to elsewhere, bounced; refused.
fn furnished() -> Site {
    let site = Site::new();
    site.tell(message(1), accepted(1, "smtp", "z@far.test"));
    for account in ["a@own.test", "b@other.test"] {
        let account = account.to_owned();
        let delivered = Event {
            mailbox: Some("INBOX".into()),
            account: Some(account.clone()),
            ..event(1, Kind::Delivered, &account)
        };
        site.tell(message(1), delivered);
    }
    site.tell(message(2), accepted(2, "submission a@own.test", "a@own.test"));
    site.tell(message(2), Event { entry: Some(0), ..event(2, Kind::Queued, "c@far.test") });
    let failed = Event {
        entry: Some(0),
        code: Some(550),
        enhanced: Some((5, 1, 1)),
        text: "No such user: Wrong Name".into(),
        server: Some("mx.far.test".into()),
        stage: Some("recipient".into()),
        ..event(3, Kind::Failed, "c@far.test")
    };
    let dialogue = Refusal {
        subject: message(2),
        events: vec![failed],
        dialogue: Some((0, "> RCPT TO:<c@far.test>\n< 550 5.1.1 No\n".into())),
        is_stranger: false,
    };
    site.context.store.write_blocking(dialogue).unwrap().into_inner();
    let refused = Event {
        sender: Some(String::new()),
        code: Some(550),
        enhanced: Some((5, 1, 1)),
        ..event(4, Kind::Rejected, "nobody@own.test")
    };
    site.tell(Subject::Refused(TraceId((BEGAN + 4000) << 16)), refused);
    site
}

fn ids(seen: &Seen) -> Vec<String> {
    assert_eq!(seen.status, 200, "{}", seen.body);
    seen.body["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

#[actix_web::test]
async fn stories_are_found_by_whatever_is_known() {
    let site = furnished();
    let (first, second) = (message(1).to_string(), message(2).to_string());
    let refused = Subject::Refused(TraceId((BEGAN + 4000) << 16)).to_string();
    let at = |second: u64| Timestamp(BEGAN + 1000 * second).rfc3339();
    let all = [refused.as_str(), &second, &first];
    for (query, expected) in [
        (String::new(), all.to_vec()),
        ("q=A@own.test".into(), vec![&second, &first]),
        ("q=c@far.test".into(), vec![all[1]]),
        ("q=1@far.test".into(), vec![all[2]]),
        ("q=%3C2@far.test%3E".into(), vec![all[1]]),
        ("q=192.0.2.7".into(), vec![&second, &first]),
        (format!("q={refused}"), vec![all[0]]),
        (format!("q=q_{}_0", &second[2..]), vec![all[1]]),
        ("q=wrong%20name".into(), vec![all[1]]),
        ("q=550".into(), vec![&refused, &second]),
        ("q=nothing%20of%20this".into(), vec![]),
        ("sender=%3C%3E".into(), vec![all[0]]),
        ("sender=z@FAR.test".into(), vec![all[2]]),
        ("recipient=b@other.test".into(), vec![all[2]]),
        ("recipient=b@other.test&sender=a@own.test".into(), vec![]),
        (format!("after={}", at(2)), vec![&refused, &second]),
        (format!("before={}", at(2)), vec![all[2]]),
        (format!("after={}&before={}", at(2), at(4)), vec![all[1]]),
        ("outcome=bounced".into(), vec![all[1]]),
        ("outcome=in_mailbox".into(), vec![all[2]]),
        ("outcome=refused".into(), vec![all[0]]),
        ("direction=in".into(), vec![&refused, &first]),
        ("direction=out".into(), vec![all[1]]),
    ] {
        assert_eq!(ids(&site.get(&format!("/api/v1/trace?{query}")).await), expected, "{query}");
    }
    for (query, fault) in [
        ("outcome=lost", "outcome"),
        ("direction=up", "direction"),
        ("sender=x", "sender"),
        ("after=now", "after"),
        ("subject=x", "subject"),
    ] {
        let seen = site.get(&format!("/api/v1/trace?{query}")).await;
        assert_eq!((seen.status.as_u16(), seen.faults()[0].0.as_str()), (422, fault), "{query}");
    }
    // Page by page, with a count.
    let (mut seen, mut query) = (Vec::new(), "limit=1&count=true".to_owned());
    loop {
        let page = site.get(&format!("/api/v1/trace?{query}")).await;
        assert_eq!((&page.body["count"], &page.body["count_exact"]), (&json!(3), &json!(true)));
        seen.extend(ids(&page));
        match page.body["next_cursor"].as_str() {
            Some(next) => query = format!("limit=1&count=true&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, all);
}

#[actix_web::test]
async fn a_story_says_what_became_of_it_and_what_to_do() {
    let site = furnished();
    let path = format!("/api/v1/trace/{}", message(2));
    let seen = site.get(&path).await;
    assert_eq!(
        (seen.status.as_u16(), &seen.body["verdict"]["code"]),
        (200, &json!("bounced_no_such_address")),
        "{}",
        seen.body
    );
    let sentence = seen.body["verdict"]["sentence"].as_str().unwrap();
    assert!(sentence.contains("mx.far.test says that there is no address c@far.test"), "{sentence}");
    assert!(seen.body["verdict"]["next_step"].as_str().unwrap().contains("spelling"));
    let queue_id = format!("q_{}_0", &message(2).to_string()[2..]);
    assert_eq!(
        (&seen.body["recipients"][0]["queue_id"], &seen.body["recipients"][0]["address"]),
        (&json!(queue_id), &json!("c@far.test"))
    );
    let kinds: Vec<_> = seen.body["events"].as_array().unwrap().iter().map(|event| event["kind"].clone()).collect();
    assert_eq!(kinds, ["accepted", "queued", "failed"]);
    assert_eq!(
        (&seen.body["events"][2]["enhanced"], &seen.body["events"][2]["transcript_id"]),
        (&json!("5.1.1"), &json!(0))
    );
    let etag = seen.header(header::ETAG).to_owned();
    assert_eq!(site.send(site.admin(Method::GET, &path).insert_header(("if-none-match", etag))).await.status, 304);
    let dialogue = site.get(&format!("{path}/transcripts/0")).await;
    assert_eq!((dialogue.status.as_u16(), dialogue.header(header::CONTENT_TYPE)), (200, "text/plain; charset=utf-8"));
    assert_eq!(dialogue.bytes, "> RCPT TO:<c@far.test>\n< 550 5.1.1 No\n");
    for (wrong, status) in [
        (format!("{path}/transcripts/1"), 404),
        (format!("{path}/transcripts/x"), 422),
        ("/api/v1/trace/m_0000000000000".into(), 404),
        ("/api/v1/trace/t_0000000000000/transcripts/0".into(), 404),
        ("/api/v1/trace/q_0000000000000_0".into(), 422),
        ("/api/v1/trace/x".into(), 422),
    ] {
        assert_eq!(site.get(&wrong).await.status, status, "{wrong}");
    }
}

#[actix_web::test]
async fn a_token_for_some_domains_sees_their_part_of_a_story() {
    let site = furnished();
    let token = site.token(&[Scope::TraceRead], &["own.test"]);
    let get =
        async |path: String, token: &str| site.send(ask(Method::GET, &format!("/api/v1/trace{path}"), token)).await;
    // Its own mail is whole; of what comes from elsewhere, nobody else's recipient is told.
    assert_eq!(get(String::new(), &token).await.body["items"].as_array().map(Vec::len), Some(3));
    let shared = get(format!("/{}", message(1)), &token).await;
    let addresses: Vec<&Value> =
        shared.body["recipients"].as_array().unwrap().iter().map(|one| &one["address"]).collect();
    assert_eq!(addresses, [&json!("a@own.test")]);
    assert!(!shared.body.to_string().contains("other.test"), "{}", shared.body);
    assert_eq!(get("?q=b@other.test".into(), &token).await.body["items"], json!([]));
    assert_eq!(get(format!("/{}/transcripts/0", message(2)), &token).await.status, 200);
    let stranger = site.token(&[Scope::TraceRead], &["else.test"]);
    assert_eq!(get(String::new(), &stranger).await.body["items"], json!([]));
    assert_eq!(get(format!("/{}", message(1)), &stranger).await.status, 404);
    assert_eq!(get(format!("/{}/transcripts/0", message(2)), &stranger).await.status, 404);
}
