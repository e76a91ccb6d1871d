//! What a sender is told that has asked for it.
// RFC 3461

use super::*;
use crate::base::{ByMode, DeliverBy, NotifyOn, OriginalRecipient, PassedOn, Ret, TlsWish, limits};
use crate::queue::{Attempt, Fate, Outcome, Stage, Verdict, Words};

const SUCCESS: NotifyOn = NotifyOn { success: true, failure: true, delay: false };

fn asked(notify: NotifyOn) -> RcptOptions {
    RcptOptions { notify: Some(notify), original: None }
}

/// Alice's own message.
fn alices(to: &'static str, notify: NotifyOn) -> Mail {
    Mail {
        sender: Some("alice@example.test"),
        to: vec![to],
        notify: Notify::Sender,
        asked: asked(notify),
        ..Mail::default()
    }
}

impl World {
    /// What the next server makes of the only entry of a message.
    async fn end(&self, id: MessageId, verdict: Verdict, passed_on: PassedOn) -> Vec<Fate> {
        let code = match verdict {
            Verdict::Delivered => 250,
            Verdict::Deferred => 450,
            Verdict::Failed => 550,
        };
        let attempt = Attempt {
            at: self.clock.now(),
            actor: "delivery".into(),
            server: Some("mx.far.test".into()),
            server_ip: None,
            tls: None,
            stage: Stage::End,
            words: Words { code: Some(code), enhanced: None, text: "so it is".into() },
            duration_ms: 1,
        };
        let entry = QueueId { message: id, number: 0 };
        let outcomes = vec![Outcome { passed_on, ..Outcome::new(entry, verdict, attempt) }];
        let settle = Settle { outcomes, outbound: Arc::clone(&self.outbound), at: self.clock.now(), jitter: 1000 };
        let fates = self.store.write(settle).await.unwrap().into_inner();
        fates.into_iter().map(|(_, fate)| fate).collect()
    }
}

#[tokio::test]
async fn a_delivery_is_reported_to_who_asks_for_it() {
    let world = World::new().await;
    let original = OriginalRecipient { kind: "rfc822".into(), address: "b+x@other.test".into() };
    let options = MailOptions { envelope_id: Some("QQ 1".into()), ..MailOptions::default() };
    let mail = alices("bob@example.test", SUCCESS);
    let mail = Mail { asked: RcptOptions { original: Some(original), ..mail.asked.clone() }, options, ..mail };
    let id = world.deliver(&mail, true).await.id;
    let reports = world.inbox("alice@example.test");
    assert_eq!((reports.len(), world.inbox("bob@example.test")), (1, vec![id]));
    let text = world.text("alice@example.test", 0).await;
    for said in [
        "Subject: Your message was delivered\r\n",
        "Original-Envelope-Id: QQ 1\r\nReporting-MTA: dns; mx.example.test\r\n",
        "Original-Recipient: rfc822; b+x@other.test\r\nFinal-Recipient: rfc822; bob@example.test\r\n\
         Action: delivered\r\nStatus: 2.0.0\r\n",
    ] {
        assert!(text.contains(said), "{said:?} is not in {text}");
    }
    assert!(!text.contains("Diagnostic-Code"), "{text}");
    assert!(world.kinds(id).contains(&Kind::Reported));
    world.is_sound();
}

#[tokio::test]
async fn nobody_is_told_who_has_not_asked_or_is_not_known() {
    let world = World::new().await;
    let quiet = [
        alices("bob@example.test", NotifyOn { success: false, ..SUCCESS }),
        alices("bob@example.test", NotifyOn::NEVER),
        // A stranger's sender may be anybody's.
        Mail { notify: Notify::Postmaster, ..alices("bob@example.test", SUCCESS) },
        Mail { sender: None, ..alices("bob@example.test", SUCCESS) },
    ];
    for mail in quiet {
        world.deliver(&mail, true).await;
    }
    assert_eq!(world.inbox("alice@example.test"), []);
    assert_eq!(world.queued(), []);
}

#[tokio::test]
async fn a_list_is_reported_once_and_its_members_are_not() {
    let world = World::new().await;
    world.put_alias("away@example.test", &["bob@example.test", "carol@far.test"]).await;
    let id = world.deliver(&alices("away@example.test", SUCCESS), true).await.id;
    assert_eq!(world.inbox("alice@example.test").len(), 1);
    let text = world.text("alice@example.test", 0).await;
    assert!(text.contains("Final-Recipient: rfc822; away@example.test\r\nAction: expanded\r\n"), "{text}");
    assert!(!text.contains("carol@far.test") && !text.contains("Action: delivered\r\n"), "{text}");
    // Its failure is still told.
    assert_eq!(world.end(id, Verdict::Delivered, PassedOn::default()).await.len(), 1);
    assert_eq!(world.inbox("alice@example.test").len(), 1);
    let id = world.deliver(&alices("away@example.test", SUCCESS), true).await.id;
    world.end(id, Verdict::Failed, PassedOn::default()).await;
    assert_eq!(world.inbox("alice@example.test").len(), 3);
}

#[tokio::test]
async fn a_server_that_reports_no_further_is_reported() {
    let world = World::new().await;
    let id = world.deliver(&alices("dave@far.test", SUCCESS), true).await.id;
    world.end(id, Verdict::Delivered, PassedOn::default()).await;
    let text = world.text("alice@example.test", 0).await;
    for said in [
        "Final-Recipient: rfc822; dave@far.test\r\nAction: relayed\r\nStatus: 2.0.0\r\n",
        "Remote-MTA: dns; mx.far.test\r\n",
        "Diagnostic-Code: smtp; 250 so it is\r\n",
    ] {
        assert!(text.contains(said), "{said:?} is not in {text}");
    }
    // One that does is left to do it.
    let id = world.deliver(&alices("dave@far.test", SUCCESS), true).await.id;
    world.end(id, Verdict::Delivered, PassedOn { reports: true, deadline: true }).await;
    assert_eq!(world.inbox("alice@example.test").len(), 1);
}

#[tokio::test]
async fn what_must_never_be_reported_is_not() {
    let world = World::new().await;
    for notify in [NotifyOn::NEVER, NotifyOn { success: true, ..NotifyOn::NEVER }] {
        let id = world.deliver(&alices("dave@far.test", notify), true).await.id;
        assert_eq!(world.end(id, Verdict::Failed, PassedOn::default()).await, [Fate::Failed]);
    }
    assert_eq!(world.inbox("alice@example.test"), []);
    // A delay is told to who may be told.
    world.clock.advance_ms(1000);
    for (notify, tells) in [(SUCCESS, false), (NotifyOn { delay: true, ..NotifyOn::NEVER }, true)] {
        let id = world.deliver(&alices("dave@far.test", notify), true).await.id;
        world.clock.advance_ms(15_000_000);
        let fates = world.end(id, Verdict::Deferred, PassedOn::default()).await;
        assert!(matches!(fates.as_slice(), [Fate::Deferred { tell, .. }] if *tell == tells), "{fates:?}");
    }
    assert_eq!(world.inbox("alice@example.test").len(), 1);
}

#[tokio::test]
async fn a_deadline_is_kept() {
    let world = World::new().await;
    let send = async |mode, trace| {
        let by = DeliverBy { at: world.clock.now().plus_ms(600_000), mode, trace };
        let options = MailOptions { deliver_by: Some(by), ..MailOptions::default() };
        let mail = Mail { options, asked: RcptOptions::default(), ..alices("dave@far.test", SUCCESS) };
        world.deliver(&mail, true).await.id
    };
    // With R it is tried up to then, and once more at the end.
    let id = send(ByMode::Return, false).await;
    world.clock.advance_ms(590_000);
    let fates = world.end(id, Verdict::Deferred, PassedOn::default()).await;
    let due = world.clock.now().plus_ms(10_000);
    assert_eq!(fates, [Fate::Deferred { until: due, tell: false }]);
    world.clock.advance_ms(10_000);
    assert_eq!(world.end(id, Verdict::Deferred, PassedOn::default()).await, [Fate::Expired]);
    let text = world.text("alice@example.test", 0).await;
    assert!(text.contains("Action: failed\r\nStatus: 5.4.7\r\n") && text.contains("Deliver-By-Date: "), "{text}");
    // With N the sender is told that it is late, and it goes on.
    let id = send(ByMode::Notify, false).await;
    world.clock.advance_ms(600_000);
    let fates = world.end(id, Verdict::Deferred, PassedOn::default()).await;
    assert!(matches!(fates.as_slice(), [Fate::Deferred { tell: true, .. }]), "{fates:?}");
    assert!(world.text("alice@example.test", 1).await.contains("Action: delayed\r\n"));
    // A server that knows of no deadline, and one that is to be told of.
    let id = send(ByMode::Notify, false).await;
    world.end(id, Verdict::Delivered, PassedOn::default()).await;
    assert!(world.text("alice@example.test", 2).await.contains("Action: relayed\r\n"));
    let id = send(ByMode::Notify, false).await;
    world.end(id, Verdict::Delivered, PassedOn { reports: false, deadline: true }).await;
    assert_eq!(world.inbox("alice@example.test").len(), 3);
    let id = send(ByMode::Notify, true).await;
    world.end(id, Verdict::Delivered, PassedOn { reports: true, deadline: true }).await;
    assert_eq!(world.inbox("alice@example.test").len(), 4);
}

#[tokio::test]
async fn a_report_asks_for_none() {
    let world = World::new().await;
    let mail = Mail { sender: Some("boss@far.test"), ..alices("dave@far.test", SUCCESS) };
    let id = world.deliver(&mail, true).await.id;
    world.end(id, Verdict::Failed, PassedOn::default()).await;
    let view = world.store.view().unwrap();
    let entries = queue::entries(&view, None, 10).unwrap();
    let notify: Vec<_> = entries.iter().map(|waiting| waiting.entry.options.notify).collect();
    assert_eq!(notify, [Some(NotifyOn::NEVER)]);
}

#[tokio::test]
async fn what_must_travel_with_tls_comes_back_with_it_and_goes_again_with_it() {
    let world = World::new().await;
    world.store.write(crate::kept::KeepFor { ms: 1_000_000 }).await.unwrap().into_inner();
    let tls_of_queue = || -> Vec<TlsWish> {
        let view = world.store.view().unwrap();
        let entries = queue::entries(&view, None, 10).unwrap();
        entries.iter().map(|one| queue::message(&view, one.id.message).unwrap().unwrap().options.tls).collect()
    };
    for (wish, expected) in [(TlsWish::Required, TlsWish::Required), (TlsWish::Policy, TlsWish::Policy)] {
        let options = MailOptions { tls: wish, ..MailOptions::default() };
        let failing = NotifyOn { failure: true, ..NotifyOn::NEVER };
        let mail = Mail { sender: Some("boss@far.test"), options, ..alices("dave@far.test", failing) };
        let id = world.deliver(&mail, true).await.id;
        world.end(id, Verdict::Failed, PassedOn::default()).await;
        assert_eq!(tls_of_queue(), [expected], "the report");
        let report = queue::entries(&world.store.view().unwrap(), None, 1).unwrap()[0].id.message;
        world.end(report, Verdict::Delivered, PassedOn::default()).await;
        let wish = Wish {
            of: id,
            source: Source::Kept,
            recipients: vec![world.recipient("dave@far.test")],
            via: None,
            origin: Origin { actor: "http".into(), ..Origin::default() },
            at: world.clock.now(),
            outbound: Arc::clone(&world.outbound),
        };
        let again = Redeliver::prepare(&world.store, wish).await.unwrap().unwrap();
        let again = world.store.write(again).await.unwrap().into_inner().id;
        assert_eq!(tls_of_queue(), [expected], "the same once more");
        world.end(again, Verdict::Delivered, PassedOn::default()).await;
    }
    world.is_sound();
}

// RFC 3461 §4.3
#[tokio::test]
async fn who_wants_the_whole_back_gets_it_with_a_failure() {
    let world = World::new().await;
    let failing = async |ret, body: String, verdict| {
        let options = MailOptions { ret, ..MailOptions::default() };
        let mail = Mail { options, body, ..alices("dave@far.test", SUCCESS) };
        let id = world.deliver(&mail, true).await.id;
        world.end(id, verdict, PassedOn::default()).await;
        let last = world.inbox("alice@example.test").len() - 1;
        let text = world.text("alice@example.test", last).await;
        (text.contains("Content-Type: message/rfc822\r\n"), text.contains("Will you come?"))
    };
    let body = || "Will you come?\r\n".to_owned();
    assert_eq!(failing(Some(Ret::Full), body(), Verdict::Failed).await, (true, true));
    assert_eq!(failing(Some(Ret::Headers), body(), Verdict::Failed).await, (false, false));
    assert_eq!(failing(None, body(), Verdict::Failed).await, (false, false));
    assert_eq!(failing(Some(Ret::Full), body(), Verdict::Delivered).await, (false, false));
    let long = body().repeat(limits::RETURNED_BYTES as usize / body().len());
    assert_eq!(failing(Some(Ret::Full), long, Verdict::Failed).await, (false, false), "of a long one its header");
    world.is_sound();
}
