use super::*;
use crate::dkim::{ActivateKey, AddKeys, Algorithm, BodyHasher, KeyPair};
use crate::queue::{Attempt, Outcome, Stage, Verdict, Words};

impl World {
    /// example.test signs, with a key that is quick.
    async fn with_key(self) -> Self {
        let domain = DomainName::parse("example.test").unwrap();
        let keys = vec![("e1".to_owned(), KeyPair::generate(Algorithm::Ed25519).unwrap())];
        let add = AddKeys { domain: domain.clone(), keys, only_first: true, at: Timestamp(1) };
        self.store.write(add).await.unwrap().into_inner();
        let activate = ActivateKey {
            seen_in: vec![domain.clone()],
            domain,
            selector: "e1".into(),
            precondition: Precondition::None,
            at: Timestamp(1),
        };
        self.store.write(activate).await.unwrap().into_inner();
        self
    }
}

#[tokio::test]
async fn a_report_is_signed_in_the_name_of_the_nearest_domain() {
    let world = World::new().await.with_key().await;
    let mail = Mail { sender: Some("alice@example.test"), to: vec!["dave@far.test"], ..Mail::default() };
    let id = world.deliver(&mail, true).await.id;
    let attempt = Attempt {
        at: world.clock.now(),
        actor: "delivery".into(),
        server: None,
        server_ip: None,
        tls: None,
        stage: Stage::Recipient,
        words: Words { code: Some(550), enhanced: Some((5, 1, 1)), text: "no".into() },
        duration_ms: 1,
    };
    let entry = QueueId { message: id, number: 0 };
    let outcome = Outcome::new(entry, Verdict::Failed, attempt);
    let outbound = Arc::clone(&world.outbound);
    let settle = Settle { outcomes: vec![outcome], outbound, at: world.clock.now(), jitter: 1000 };
    world.store.write(settle).await.unwrap().into_inner();
    let report = world.text("alice@example.test", 0).await;
    assert_eq!(report.matches("DKIM-Signature: v=1;").count(), 1, "{report}");
    // The server is mx.example.test, which is no domain itself.
    assert!(report.contains(" s=e1; d=example.test;"), "{report}");
    let (_, body) = report.split_at(report.find("\r\n\r\n").unwrap() + 2);
    let mut hasher = BodyHasher::default();
    hasher.push(body.as_bytes());
    let hash = {
        use base64::Engine;
        base64::engine::general_purpose::STANDARD.encode(hasher.finish().0)
    };
    let unfolded: String = report.split("\r\n\r\n").next().unwrap().replace("\r\n\t", "");
    assert!(unfolded.contains(&format!("bh={hash};")), "{unfolded}");
    world.is_sound();
}

#[tokio::test]
async fn mail_of_strangers_is_never_signed() {
    let world = World::new().await.with_key().await;
    world.put_alias("out@example.test", &["dave@far.test"]).await;
    // It says that it is alice's, and comes by no login: it goes on as it came.
    let header = "From: alice@example.test\r\nSubject: hello\r\n".to_owned();
    let mail = Mail { to: vec!["out@example.test"], header, notify: Notify::Postmaster, ..Mail::default() };
    let id = world.deliver(&mail, true).await.id;
    let head = queue::head(&world.store.view().unwrap(), id).unwrap().unwrap();
    assert!(!String::from_utf8(head).unwrap().contains("DKIM-Signature"));
}
