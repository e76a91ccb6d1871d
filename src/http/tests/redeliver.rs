use actix_web::http::Method;
use serde_json::{Value, json};

use super::{Seen, Site, ask};
use crate::base::{Address, Timestamp};
use crate::directory::Scope;
use crate::intake::{self, Origin, Redeliver, Wish};
use crate::kept::{KeepFor, Reap};

impl Site {
    /// With alice and bob, and a message from alice to bob and to a stranger.
    async fn with_mail() -> (Self, String) {
        let site = Self::with_people().await;
        site.context.store.write_blocking(KeepFor { ms: 60_000 }).unwrap().into_inner();
        let text = "x".repeat(50_000);
        let body =
            json!({"from": "alice@own.test", "to": ["bob@own.test", "x@far.test"], "subject": "once", "text": text});
        let sent = site.write(Method::POST, "/api/v1/messages", body).await;
        assert_eq!(sent.status, 202, "{}", sent.body);
        let id = sent.body["id"].as_str().unwrap().to_owned();
        (site, id)
    }

    async fn redeliver(&self, id: &str, body: Value) -> Seen {
        self.write(Method::POST, &format!("/api/v1/trace/{id}/redeliver"), body).await
    }

    /// Removes all that is left of the message: the queue's and the mailbox's.
    async fn remove_mail(&self, id: &str) {
        let entry = self.get(&format!("/api/v1/queue/messages/{id}")).await.body["recipients"][0]["id"].clone();
        let path = format!("/api/v1/queue/{}?confirm=silent", entry.as_str().unwrap());
        assert_eq!(self.send(self.admin(Method::DELETE, &path)).await.status, 204);
        let path = "/api/v1/accounts/bob@own.test/mailboxes/INBOX/messages/1";
        assert_eq!(self.send(self.admin(Method::DELETE, path)).await.status, 204);
    }

    /// Every body has as many references as there are users.
    fn examine(&self) {
        let mut findings = crate::store::Findings::default();
        let view = self.context.store.view().unwrap();
        for check in crate::intake::CHECKS.iter().chain(crate::kept::CHECKS).chain(crate::mailbox::CHECKS) {
            (check.run)(&view, &mut findings).unwrap();
        }
        assert_eq!(findings.lines(), [] as [&str; 0]);
    }
}

fn outcomes(seen: &Seen) -> Vec<(&str, &str)> {
    let results = seen.body["recipients"].as_array().unwrap_or_else(|| panic!("{}", seen.body));
    results.iter().map(|one| (one["address"].as_str().unwrap(), one["outcome"].as_str().unwrap())).collect()
}

#[actix_web::test]
async fn a_message_is_redelivered_from_wherever_it_is() {
    let (site, id) = Site::with_mail().await;
    site.examine();
    let both = [("bob@own.test", "delivered"), ("x@far.test", "queued")];
    // From the queue or the mailbox that still hold it.
    let dry = site.redeliver(&id, json!({"dry_run": true})).await;
    assert_eq!((dry.status.as_u16(), outcomes(&dry), &dry.body["id"]), (202, both.to_vec(), &Value::Null));
    let again = site.redeliver(&id, json!({})).await;
    assert_eq!((again.status.as_u16(), outcomes(&again)), (202, both.to_vec()));
    assert_ne!(again.body["id"], json!(id));
    assert_eq!(site.inbox("bob@own.test").await.len(), 2);
    site.examine();
    // From what is kept.
    let story = async || site.get(&format!("/api/v1/trace/{id}")).await.body;
    let seen = story().await;
    assert_eq!((&seen["redeliverable"], &seen["body_kept_until_at"]), (&json!(true), &Value::Null), "{seen}");
    site.remove_mail(&id).await;
    let seen = story().await;
    let until = site.context.clock.now().plus_ms(60_000).rfc3339();
    assert_eq!((&seen["redeliverable"], &seen["body_kept_until_at"]), (&json!(true), &json!(until)));
    site.examine();
    let kept = site.redeliver(&id, json!({"recipients": ["alice@own.test", "nobody@own.test"]})).await;
    assert_eq!(outcomes(&kept), [("alice@own.test", "delivered"), ("nobody@own.test", "rejected")]);
    let inbox = site.inbox("alice@own.test").await;
    assert_eq!((&inbox[0]["id"], &inbox[0]["subject"]), (&kept.body["id"], &json!("once")));
    site.examine();
    // Both stories name each other.
    let new = kept.body["id"].as_str().unwrap();
    let told = |of: &str| {
        let subject = crate::trace::Subject::Message(of.parse().unwrap());
        let story = crate::trace::story(&site.context.store.view().unwrap(), subject).unwrap();
        let events = story.into_iter().filter(|event| event.kind == crate::trace::Kind::Redelivered);
        events.map(|event| event.text).collect::<Vec<_>>()
    };
    assert_eq!(told(&id)[1], format!("as {new}"));
    assert_eq!(told(new), [format!("of {id}")]);
}

#[actix_web::test]
async fn what_is_not_kept_any_more_is_gone() {
    let (site, id) = Site::with_mail().await;
    site.remove_mail(&id).await;
    let reap = Reap { at: Timestamp(u64::MAX / 2), is_full: false, limit: 10 };
    assert_eq!(site.context.store.write_blocking(reap).unwrap().into_inner().messages, 1);
    site.examine();
    assert_eq!(site.get(&format!("/api/v1/trace/{id}")).await.body["redeliverable"], false);
    let seen = site.redeliver(&id, json!({})).await;
    assert_eq!((seen.status.as_u16(), seen.problem()), (410, "body_gone"), "{}", seen.body);
    assert_eq!(site.redeliver("m_0000000000000", json!({})).await.status, 404);
    assert_eq!(site.redeliver("nonsense", json!({})).await.status, 422);
}

#[actix_web::test]
async fn domains_hold_for_redelivery_too() {
    let (site, id) = Site::with_mail().await;
    let path = format!("/api/v1/trace/{id}/redeliver");
    let check = async |domain: &str, body: Value, status: u16| {
        let token = site.token(&[Scope::QueueWrite, Scope::MessagesRead], &[domain]);
        let seen = site.send(ask(Method::POST, &path, &token).set_json(&body)).await;
        assert_eq!(seen.status, status, "{domain} {body}: {}", seen.body);
    };
    // Alice's own mail may go to anybody.
    check("own.test", json!({"recipients": ["y@far.test"]}), 202).await;
    // What has come to far.test is not theirs to give to others.
    check("far.test", json!({"recipients": ["y@far.test"], "dry_run": true}), 202).await;
    check("far.test", json!({"recipients": ["bob@own.test"]}), 403).await;
    check("other.test", json!({"recipients": ["z@other.test"]}), 404).await;
}

#[actix_web::test]
async fn who_has_not_had_it_may_not_be_given_it_without_the_scope_to_read() {
    let (site, id) = Site::with_mail().await;
    let path = format!("/api/v1/trace/{id}/redeliver");
    let check = async |scopes: &[Scope], body: Value, status: u16| {
        let seen = site.send(ask(Method::POST, &path, &site.token(scopes, &[])).set_json(&body)).await;
        assert_eq!(seen.status, status, "{scopes:?} {body}: {}", seen.body);
    };
    let (writes, reads) = ([Scope::QueueWrite], [Scope::QueueWrite, Scope::MessagesRead]);
    check(&writes, json!({"dry_run": true}), 202).await;
    check(&writes, json!({"recipients": ["BOB@own.test", "x@far.test"], "dry_run": true}), 202).await;
    check(&writes, json!({"recipients": ["bob@own.test", "alice@own.test"], "dry_run": true}), 403).await;
    check(&writes, json!({"recipients": ["y@far.test"]}), 403).await;
    check(&reads, json!({"recipients": ["y@far.test"]}), 202).await;
    check(&[Scope::MessagesRead], json!({"recipients": ["y@far.test"]}), 403).await;
}

#[actix_web::test]
async fn what_its_owner_has_put_into_a_mailbox_is_not_redelivered() {
    let site = Site::with_people().await;
    let path = "/api/v1/accounts/alice@own.test/mailboxes/Drafts/messages";
    let draft = site.admin(Method::POST, path).insert_header(("Content-Type", "message/rfc822"));
    let put = site.send(draft.set_payload("Subject: draft\r\n\r\ntext\r\n")).await;
    assert_eq!(put.status, 201, "{}", put.body);
    let id = put.body["id"].as_str().unwrap();
    assert_eq!(site.get(&format!("/api/v1/trace/{id}")).await.body["redeliverable"], false);
    let seen = site.redeliver(id, json!({"recipients": ["bob@own.test"]})).await;
    assert_eq!((seen.status.as_u16(), seen.problem()), (409, "conflict"), "{}", seen.body);
    assert!(site.inbox("bob@own.test").await.is_empty());
}

#[actix_web::test]
async fn a_message_that_moves_meanwhile_is_followed() {
    let (site, id) = Site::with_mail().await;
    let (store, of) = (&site.context.store, id.parse().unwrap());
    let known = intake::redeliverable(&store.view().unwrap(), of).unwrap().unwrap();
    assert_eq!(known.source, intake::Source::Queue);
    let bob = Address::parse("bob@own.test").unwrap();
    let bob = intake::recipient(&store.view().unwrap(), &bob, known.size_bytes).unwrap().unwrap();
    let prepare = || {
        let outbound = site.context.delivery.outbound.clone();
        let (source, at) = (known.source, site.context.clock.now());
        Redeliver::prepare(
            store,
            Wish { of, source, recipients: vec![bob.clone()], via: None, origin: Origin::default(), at, outbound },
        )
    };
    // Between the look at it and the transaction, and between the look and the preparation.
    let prepared = prepare().await.unwrap().unwrap();
    site.remove_mail(&id).await;
    store.write(prepared).await.unwrap().into_inner();
    let prepared = prepare().await.unwrap().unwrap();
    store.write(prepared).await.unwrap().into_inner();
    assert_eq!(site.inbox("bob@own.test").await.len(), 2);
    site.examine();
    // What is gone in between is gone.
    let prepared = prepare().await.unwrap().unwrap();
    let reap = Reap { at: Timestamp(u64::MAX / 2), is_full: false, limit: 10 };
    store.write(reap).await.unwrap().into_inner();
    assert!(store.write(prepared).await.is_err());
    assert!(prepare().await.unwrap().is_none());
    site.examine();
}

#[actix_web::test]
async fn what_an_account_had_deleted_before_it_was_deleted_is_kept_for_its_time() {
    let (site, first) = Site::with_mail().await;
    let body = json!({"from": "alice@own.test", "to": ["bob@own.test"], "subject": "two", "text": "two"});
    let second = site.write(Method::POST, "/api/v1/messages", body).await.body["id"].as_str().unwrap().to_owned();
    site.remove_mail(&first).await;
    assert_eq!(site.send(site.admin(Method::DELETE, "/api/v1/accounts/bob@own.test")).await.status, 204);
    site.examine();
    let redeliver = async |id: &str| site.redeliver(id, json!({"recipients": ["alice@own.test"]})).await.status;
    assert_eq!(redeliver(&first).await, 202);
    assert_eq!(redeliver(&second).await, 410, "what it had when it was deleted is gone with it");
    site.examine();
}

#[actix_web::test]
async fn a_message_is_redelivered_by_another_way() {
    let (site, id) = Site::with_mail().await;
    let check = async |route: &str| {
        let seen = site.redeliver(&id, json!({"recipients": ["x@far.test"], "route": route})).await;
        assert_eq!(seen.status, 202, "{}", seen.body);
        let entry = seen.body["recipients"][0]["queue_id"].as_str().unwrap().to_owned();
        (seen.body["id"].clone(), site.get(&format!("/api/v1/queue/{entry}")).await.body["route"].clone())
    };
    let (new, route) = check("relay.test:2525").await;
    assert_eq!(
        (&route["kind"], &route["host"], &route["chosen"]),
        (&json!("relay"), &json!("relay.test"), &json!(true))
    );
    let story = site.get(&format!("/api/v1/trace/{}", new.as_str().unwrap())).await.body;
    let told = story["events"].as_array().unwrap().iter().find(|event| event["kind"] == "redelivered").unwrap();
    assert_eq!(told["text"], format!("of {id}, by relay.test:2525"));
    let wrong = site.redeliver(&id, json!({"route": "nowhere", "dry_run": true})).await;
    assert_eq!(wrong.faults(), [("/route".into(), "no_such_route".into())], "{}", wrong.body);
    let token = site.token(&[Scope::QueueWrite], &["own.test"]);
    let request = ask(Method::POST, &format!("/api/v1/trace/{id}/redeliver"), &token);
    assert_eq!(site.send(request.set_json(json!({"route": "relay.test"}))).await.status, 403);
}
