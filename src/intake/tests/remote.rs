use super::*;
use crate::queue::{Attempt, Outcome, Stage, Verdict, Words};

fn far(to: &[&'static str]) -> Mail {
    Mail { sender: Some("alice@example.test"), to: to.to_vec(), ..Mail::default() }
}

/// The recipients alone.
fn recipients(world: &World) -> Vec<String> {
    world.queued().into_iter().map(|(_, recipient, _)| recipient).collect()
}

async fn content(world: &World, id: MessageId) -> String {
    let mut content = queue::content(&world.store, id).unwrap().unwrap();
    let mut bytes = Vec::new();
    while let Some(piece) = content.next().await.unwrap() {
        bytes.extend_from_slice(&piece);
    }
    String::from_utf8(bytes).unwrap()
}

/// The next server takes them all.
async fn relay(world: &World, entries: &[QueueId]) {
    let outcome = |entry: &QueueId| {
        Outcome::new(
            *entry,
            Verdict::Delivered,
            Attempt {
                at: world.clock.now(),
                actor: "delivery".into(),
                server: Some("mx.far.test".into()),
                server_ip: None,
                tls: None,
                stage: Stage::End,
                words: Words { code: Some(250), enhanced: None, text: "ok".into() },
                duration_ms: 1,
            },
        )
    };
    let settle = Settle {
        outcomes: entries.iter().map(outcome).collect(),
        outbound: Arc::clone(&world.outbound),
        at: world.clock.now(),
        jitter: 1000,
    };
    world.store.write(settle).await.unwrap().into_inner();
}

#[tokio::test]
async fn who_is_elsewhere_is_queued_beside_the_copies() {
    let world = World::new().await;
    world.put_alias("away@example.test", &["bob@example.test", "carol@far.test"]).await;
    let to = ["alice@example.test", "dave@far.test", "DAVE@FAR.test", "away@example.test"];
    let accepted = world.deliver(&far(&to), true).await;
    let id = |number| QueueId { message: accepted.id, number };
    let expected = [
        (id(0), "dave@far.test".to_owned(), None),
        (id(1), "carol@far.test".to_owned(), Some("away@example.test".to_owned())),
    ];
    assert_eq!(world.queued(), expected, "each address once");
    assert_eq!(
        (world.inbox("alice@example.test"), world.inbox("bob@example.test")),
        (vec![accepted.id], vec![accepted.id])
    );
    assert_eq!(content(&world, accepted.id).await, format!("Received: x\r\n{HEADER}{BODY}"));
    let story = trace::story(&world.store.view().unwrap(), Subject::Message(accepted.id)).unwrap();
    let queued: Vec<(Option<&str>, &str)> = story
        .iter()
        .filter(|event| event.kind == Kind::Queued)
        .map(|event| (event.recipient.as_deref(), event.text.as_str()))
        .collect();
    let (first, second) = (format!("as {}", id(0)), format!("for carol@far.test, as {}", id(1)));
    assert_eq!(queued, [(Some("dave@far.test"), first.as_str()), (Some("away@example.test"), second.as_str())]);
    world.is_sound();
    // The body goes with the last that needs it.
    relay(&world, &[id(0), id(1)]).await;
    assert_eq!(world.queued(), []);
    assert!(world.text("alice@example.test", 0).await.ends_with(BODY));
    world.is_sound();
}

#[tokio::test]
async fn a_message_for_elsewhere_alone_leaves_nothing_behind() {
    let world = World::new().await;
    let accepted = world.deliver(&far(&["dave@far.test"]), true).await;
    relay(&world, &[QueueId { message: accepted.id, number: 0 }]).await;
    assert!(queue::message(&world.store.view().unwrap(), accepted.id).unwrap().is_none());
    let mut bodies = 0;
    world.store.view().unwrap().each_blob(|_, _| bodies += 1).unwrap();
    assert_eq!(bodies, 0);
    assert_eq!(world.kinds(accepted.id), [Kind::Accepted, Kind::Queued, Kind::Relayed]);
    world.is_sound();
}

#[tokio::test]
async fn a_retransmission_is_not_queued_twice() {
    let world = World::new().await;
    let mail = far(&["dave@far.test", "alice@example.test"]);
    let first = world.deliver(&mail, false).await;
    let again = world.deliver(&mail, false).await;
    assert!(again.again && again.id == first.id);
    assert_eq!(recipients(&world), ["dave@far.test"]);
    // Also when it has left meanwhile.
    relay(&world, &[QueueId { message: first.id, number: 0 }]).await;
    assert!(world.deliver(&mail, false).await.again);
    assert_eq!(recipients(&world), [] as [String; 0]);
    // Who was not reached is reached now, and nobody else.
    let wider = far(&["dave@far.test", "alice@example.test", "erin@far.test"]);
    let second = world.deliver(&wider, true).await;
    assert!(!second.again);
    assert_eq!(recipients(&world), ["erin@far.test"]);
    assert_eq!(world.inbox("alice@example.test"), [first.id]);
    // What is sent on purpose is a new message.
    world.store.write(Flush).await.unwrap().into_inner();
    let third = world.deliver(&wider, true).await;
    assert!(!third.again);
    assert_eq!(recipients(&world), ["erin@far.test", "dave@far.test", "erin@far.test"]);
    world.is_sound();
}

#[tokio::test]
async fn what_is_captured_stays_here() {
    let world = World::new().await.capturing();
    world.put_alias("away@example.test", &["alice@example.test", "carol@far.test"]).await;
    let accepted = world.deliver(&far(&["dave@far.test", "away@example.test"]), true).await;
    assert_eq!(world.queued(), []);
    assert_eq!(world.inbox("alice@example.test"), [accepted.id]);
    assert_eq!(world.inbox("bob@example.test"), [accepted.id], "one copy, for whomever it was");
    let story = trace::story(&world.store.view().unwrap(), Subject::Message(accepted.id)).unwrap();
    let texts: Vec<_> =
        story.iter().map(|event| event.text.as_str()).filter(|text| text.contains("captured")).collect();
    let captured = |whom| format!("captured: for {whom}, to the INBOX of bob@example.test");
    assert_eq!(texts, [captured("dave@far.test"), captured("carol@far.test")]);
    world.is_sound();
    // Without the account it waits at its sender: it never leaves.
    let delete = DeleteAccount {
        address: address("bob@example.test"),
        precondition: Precondition::None,
        by: "test".into(),
        at: Timestamp(2),
    };
    world.store.write(delete).await.unwrap().into_inner();
    let refused = world.send(&world.session(), &far(&["dave@far.test"])).await.unwrap_err();
    assert_eq!(refused, Refused::Gone(address("bob@example.test")));
    assert_eq!(world.queued(), []);
}

#[tokio::test]
async fn what_was_forwarded_is_known_when_it_comes_back() {
    let world = World::new().await;
    world.put_alias("away@example.test", &["carol@far.test"]).await;
    let mail = Mail { to: vec!["away@example.test"], notify: Notify::Postmaster, ..Mail::default() };
    let accepted = world.deliver(&mail, true).await;
    let sent = content(&world, accepted.id).await;
    assert_eq!(sent, format!("Delivered-To: away@example.test\r\nReceived: x\r\n{HEADER}{BODY}"));
    let back = Mail { header: sent.strip_suffix(BODY).unwrap().to_owned(), ..mail.clone() };
    let refused = world.send(&world.session(), &back).await.unwrap_err();
    assert_eq!(refused, Refused::Loop(address("away@example.test")));
    // With other recipients the field would tell each of the others.
    let both = Mail { to: vec!["away@example.test", "alice@example.test"], ..mail };
    let accepted = world.deliver(&both, true).await;
    assert!(!content(&world, accepted.id).await.contains("Delivered-To"));
    world.is_sound();
}

#[tokio::test]
async fn the_queue_knows_what_the_next_server_must_be_able_to() {
    let world = World::new().await;
    let check = async |mail: Mail, expected: (bool, bool)| {
        let accepted = world.deliver(&mail, true).await;
        let message = queue::message(&world.store.view().unwrap(), accepted.id).unwrap().unwrap();
        assert_eq!((message.eight_bit, message.smtputf8), expected, "{:?} {:?}", mail.sender, mail.to);
        assert_eq!(message.sender, mail.sender.map(address));
    };
    check(far(&["dave@far.test"]), (false, false)).await;
    check(Mail { body: "\r\ncafé\r\n".into(), ..far(&["dave@far.test"]) }, (true, false)).await;
    check(far(&["dävid@far.test"]), (false, true)).await;
    check(Mail { sender: Some("älice@far.test"), ..far(&["dave@far.test"]) }, (false, true)).await;
    check(Mail { sender: None, ..far(&["dave@far.test"]) }, (false, false)).await;
}
