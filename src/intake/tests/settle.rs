use super::*;
use crate::base::PassedOn;
use crate::queue::{Attempt, Fate, Open, OpenAttempt, Outcome, Sending, Stage, Verdict, Words};

const TO: [&str; 2] = ["dave@far.test", "erin@far.test"];

fn mail(sender: Option<&'static str>, notify: Notify) -> Mail {
    Mail { sender, to: TO.to_vec(), notify, ..Mail::default() }
}

/// Alice's own.
fn alices() -> Mail {
    mail(Some("alice@example.test"), Notify::Sender)
}

impl World {
    fn outcome(&self, entry: QueueId, verdict: Verdict, stage: Stage) -> Outcome {
        let code = match verdict {
            Verdict::Delivered => 250,
            Verdict::Deferred => 450,
            Verdict::Failed => 550,
        };
        let is_answer = stage != Stage::Queue;
        let class = u8::try_from(code / 100).unwrap();
        Outcome {
            entry,
            verdict,
            dialogue: Arc::default(),
            passed_on: PassedOn::default(),
            attempt: Attempt {
                at: self.clock.now(),
                actor: if is_answer { "delivery".into() } else { "operator token t".into() },
                server: is_answer.then(|| "mx.far.test".into()),
                server_ip: None,
                tls: None,
                stage,
                words: Words {
                    code: is_answer.then_some(code),
                    enhanced: Some((class, 1, 1)),
                    text: "so it is".into(),
                },
                duration_ms: 1,
            },
        }
    }

    async fn settle(&self, outcomes: Vec<Outcome>) -> Result<Vec<Fate>, queue::Refused> {
        let settle = Settle { outcomes, outbound: Arc::clone(&self.outbound), at: self.clock.now(), jitter: 1000 };
        match self.store.write(settle).await.map(Committed::into_inner) {
            Ok(fates) => Ok(fates.into_iter().map(|(_, fate)| fate).collect()),
            Err(WriteError::Refused(refused)) => Err(refused),
            Err(other) => panic!("{other}"),
        }
    }

    /// Sends a message to dave and erin at far.test, whose server refuses both.
    async fn fail(&self, mail: &Mail) -> MessageId {
        let id = self.deliver(mail, true).await.id;
        let outcome = |number| self.outcome(QueueId { message: id, number }, Verdict::Failed, Stage::Recipient);
        assert_eq!(self.settle(vec![outcome(0), outcome(1)]).await, Ok(vec![Fate::Failed; 2]));
        id
    }

    /// What the story of a message says of reports: kind, recipient, text.
    fn reports(&self, id: MessageId) -> Vec<(Kind, Option<String>, String)> {
        let story = trace::story(&self.store.view().unwrap(), Subject::Message(id)).unwrap();
        let is_report = |event: &trace::Event| matches!(event.kind, Kind::Bounced | Kind::Delayed | Kind::Reported);
        story.into_iter().filter(is_report).map(|event| (event.kind, event.recipient, event.text)).collect()
    }
}

#[tokio::test]
async fn a_sender_here_gets_one_report_of_all_that_failed() {
    let world = World::new().await;
    // No room for any message: a report is taken all the same.
    let mail = alices();
    let id = world.deliver(&mail, true).await.id;
    world.put_account("alice@example.test", Some(1)).await;
    let outcome = |number| world.outcome(QueueId { message: id, number }, Verdict::Failed, Stage::Recipient);
    world.settle(vec![outcome(0), outcome(1)]).await.unwrap();
    let bounces = world.inbox("alice@example.test");
    assert_eq!(bounces.len(), 1);
    assert_eq!(world.queued(), []);
    let text = world.text("alice@example.test", 0).await;
    assert!(text.starts_with("Return-Path: <>\r\nDelivered-To: alice@example.test\r\nFrom: Mail Delivery System"));
    for said in [
        "To: alice@example.test\r\n",
        "Auto-Submitted: auto-replied\r\n",
        "Reporting-MTA: dns; mx.example.test\r\n",
        "Final-Recipient: rfc822; dave@far.test\r\nAction: failed\r\nStatus: 5.1.1\r\n",
        "Final-Recipient: rfc822; erin@far.test\r\n",
        "Diagnostic-Code: smtp; 550 5.1.1 so it is\r\n",
        HEADER,
    ] {
        assert!(text.contains(said), "{said:?} is not in {text}");
    }
    assert!(!text.contains("\r\nbody\r\n"), "the header alone comes back");
    assert_eq!(world.reports(id), [(Kind::Bounced, Some("alice@example.test".into()), format!("by {}", bounces[0]))]);
    assert_eq!(world.kinds(bounces[0]), [Kind::Accepted, Kind::Delivered]);
    world.is_sound();
}

#[tokio::test]
async fn a_sender_elsewhere_gets_it_through_the_queue() {
    let world = World::new().await;
    let id = world.fail(&mail(Some("alice@peer.test"), Notify::Sender)).await;
    let queued = world.queued();
    assert_eq!(queued.len(), 1);
    let (entry, recipient, original) = &queued[0];
    assert_eq!((recipient.as_str(), original), ("alice@peer.test", &None));
    let view = world.store.view().unwrap();
    let message = queue::message(&view, entry.message).unwrap().unwrap();
    assert_eq!((message.sender, message.notify, message.eight_bit), (None, Notify::Postmaster, false));
    let row = queue::entry(&view, *entry).unwrap().unwrap();
    assert_eq!(row.expires_at.ms_since(message.at), 172_800_000, "a bounce is given up sooner");
    assert_eq!(world.reports(id).len(), 1);
    world.is_sound();
    // It is refused there: our postmaster, here alice, is told, and that is the end of it.
    let outcome = world.outcome(*entry, Verdict::Failed, Stage::Recipient);
    drop(view);
    world.settle(vec![outcome]).await.unwrap();
    assert_eq!(world.queued(), []);
    assert_eq!(world.inbox("alice@example.test").len(), 1);
    let text = world.text("alice@example.test", 0).await;
    assert!(
        text.contains("Subject: A message could not be delivered\r\n") && text.contains("without a sender"),
        "{text}"
    );
    world.is_sound();
}

#[tokio::test]
async fn strangers_are_never_told() {
    let world = World::new().await;
    for sender in [Some("stranger@forged.test"), None] {
        let before = world.inbox("alice@example.test").len();
        let id = world.fail(&mail(sender, Notify::Postmaster)).await;
        assert_eq!(world.queued(), []);
        assert_eq!(world.inbox("alice@example.test").len(), before + 1);
        let expected = "postmaster@mx.example.test".to_owned();
        assert_eq!(world.reports(id)[0].1, Some(expected));
    }
    // A postmaster elsewhere is told of strangers' mail, but never of a report: servers could do that for ever.
    world.put_alias("postmaster@example.test", &["postmaster@peer.test"]).await;
    world.fail(&mail(Some("stranger@forged.test"), Notify::Postmaster)).await;
    let queued = world.queued();
    assert_eq!(queued.len(), 1);
    assert_eq!(queued[0].1, "postmaster@peer.test");
    let bounce = queued[0].0;
    world.settle(vec![world.outcome(bounce, Verdict::Failed, Stage::Recipient)]).await.unwrap();
    assert_eq!(world.queued(), []);
    assert_eq!(world.reports(bounce.message), [(Kind::Bounced, None, "there is nobody to be told".into())]);
    world.is_sound();
}

#[tokio::test]
async fn a_sender_who_is_gone_is_no_reader() {
    let world = World::new().await;
    let id = world.fail(&mail(Some("gone@example.test"), Notify::Sender)).await;
    assert_eq!(world.reports(id)[0].1.as_deref(), Some("postmaster@mx.example.test"));
    assert_eq!(world.inbox("alice@example.test").len(), 1);
    world.is_sound();
}

#[tokio::test]
async fn a_sender_is_told_once_that_a_message_is_delayed() {
    let world = World::new().await;
    let id = world.deliver(&alices(), true).await.id;
    let entry = |number| QueueId { message: id, number };
    let defer = async || {
        let outcomes = [0, 1].map(|number| world.outcome(entry(number), Verdict::Deferred, Stage::Connect));
        world.settle(outcomes.to_vec()).await.unwrap()
    };
    defer().await;
    assert_eq!(world.inbox("alice@example.test"), []);
    world.clock.advance_ms(14_400_000);
    defer().await;
    defer().await;
    assert_eq!(world.inbox("alice@example.test").len(), 1);
    let text = world.text("alice@example.test", 0).await;
    assert!(text.contains("Subject: Your message is delayed\r\n") && text.contains("Action: delayed\r\n"), "{text}");
    assert!(text.contains("Will-Retry-Until: Fri, 27 Nov 2026 10:05:00 +0000\r\n"), "{text}");
    assert_eq!(world.reports(id)[0].0, Kind::Delayed);
    // In the end it is given up: of the two that were tried, one report.
    world.clock.advance_ms(432_000_000);
    assert_eq!(defer().await, [Fate::Expired; 2]);
    assert_eq!(world.inbox("alice@example.test").len(), 2);
    let text = world.text("alice@example.test", 1).await;
    assert!(text.contains("Status: 4.4.7\r\n") && text.contains("kept for 5 days"), "{text}");
    assert_eq!(world.queued(), []);
    world.is_sound();
}

#[tokio::test]
async fn what_was_delivered_is_no_matter_for_a_report() {
    let world = World::new().await;
    let id = world.deliver(&alices(), true).await.id;
    let outcome = |number, verdict| world.outcome(QueueId { message: id, number }, verdict, Stage::End);
    world.settle(vec![outcome(0, Verdict::Delivered), outcome(1, Verdict::Failed)]).await.unwrap();
    let text = world.text("alice@example.test", 0).await;
    assert!(text.contains("erin@far.test") && !text.contains("dave@far.test"), "{text}");
    let all = world.settle(vec![outcome(0, Verdict::Failed)]).await;
    assert_eq!(all, Ok(Vec::new()), "what is gone is passed over");
    assert_eq!(world.inbox("alice@example.test").len(), 1);
    world.is_sound();
}

#[tokio::test]
async fn an_operator_bounces_only_what_nobody_is_sending() {
    let world = World::new().await;
    let id = world.deliver(&alices(), true).await.id;
    let entry = |number| QueueId { message: id, number };
    let attempt = OpenAttempt { at: world.clock.now(), server: "mx".into(), actor: "delivery".into() };
    let opened = queue::entry(&world.store.view().unwrap(), entry(0)).unwrap().unwrap();
    let sending = Sending { id: entry(0), recipient: opened.recipient };
    world.store.write(Open { entries: vec![sending], attempt }).await.unwrap().into_inner();
    let bounce = |number| world.outcome(entry(number), Verdict::Failed, Stage::Queue);
    assert_eq!(world.settle(vec![bounce(1), bounce(0)]).await, Err(queue::Refused::InFlight(entry(0))));
    assert_eq!(world.queued().len(), 2, "all or none");
    // The attempt itself ends as it likes.
    world.settle(vec![world.outcome(entry(0), Verdict::Delivered, Stage::End)]).await.unwrap();
    assert_eq!(world.settle(vec![bounce(0)]).await, Err(queue::Refused::Gone(entry(0))));
    world.settle(vec![bounce(1)]).await.unwrap();
    let text = world.text("alice@example.test", 0).await;
    assert!(
        text.contains("Diagnostic-Code: X-Pillarbox; so it is\r\n") && !text.contains("Last-Attempt-Date"),
        "{text}"
    );
    world.is_sound();
}

#[tokio::test]
async fn captured_reports_never_leave() {
    let world = World::new().await.capturing();
    // It was queued before anything was captured.
    let free = World { outbound: World::new().await.outbound, ..world };
    let id = free.deliver(&mail(Some("alice@peer.test"), Notify::Sender), true).await.id;
    let world = free.capturing();
    let outcome = |number| world.outcome(QueueId { message: id, number }, Verdict::Failed, Stage::Recipient);
    world.settle(vec![outcome(0), outcome(1)]).await.unwrap();
    assert_eq!(world.queued(), []);
    assert_eq!(world.inbox("bob@example.test").len(), 1);
    assert!(world.text("bob@example.test", 0).await.contains("To: alice@peer.test\r\n"));
    world.is_sound();
}

#[tokio::test]
async fn a_body_that_is_counted_wrongly_is_found() {
    let world = World::new().await;
    let id = world.deliver(&alices(), true).await.id;
    let blob = queue::message(&world.store.view().unwrap(), id).unwrap().unwrap().blob.unwrap();
    world.store.write(Retain(blob)).await.unwrap().into_inner();
    let findings = world.store.check().unwrap();
    let expected = "counts 2 references, and 1 messages point to it";
    assert!(findings.lines().iter().any(|line| line.contains(expected)), "{:?}", findings.lines());
    world.store.is_mended_of(expected);
    // The body goes when its last message does, no earlier and no later.
    assert_eq!(world.store.view().unwrap().blob(blob).unwrap().map(|facts| facts.references), Some(1));
}

/// Does damage.
struct Retain(crate::base::BlobId);

impl crate::store::Op for Retain {
    type Plan = ();
    type Out = ();
    type Refused = std::convert::Infallible;

    fn name(&self) -> &'static str {
        "test.retain"
    }

    fn check(&self, _: &crate::store::Tx<'_>) -> Result<(), crate::store::Halt<std::convert::Infallible>> {
        Ok(())
    }

    fn apply(&self, tx: &mut crate::store::Tx<'_>, (): ()) -> Result<(), crate::store::StoreError> {
        tx.retain_blob(self.0, 1)
    }
}
