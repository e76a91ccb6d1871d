//! What its sender has put off.
// RFC 4865

use super::*;
use crate::base::NotifyOn;
use crate::queue::{Flush, Selector};

const HOUR_MS: u64 = 3_600_000;

impl World {
    /// Alice's message, put off by an hour.
    async fn put_off(&self, to: &[&'static str]) -> MessageId {
        let options = MailOptions { release_at: Some(self.clock.now().plus_ms(HOUR_MS)), ..MailOptions::default() };
        let notify = NotifyOn { success: true, ..NotifyOn::NEVER };
        let mail = Mail {
            sender: Some("alice@example.test"),
            to: to.to_vec(),
            notify: Notify::Sender,
            options,
            asked: RcptOptions { notify: Some(notify), original: None },
            ..Mail::default()
        };
        self.deliver(&mail, true).await.id
    }

    async fn bring_home(&self, message: MessageId, number: u32) {
        let entry = QueueId { message, number };
        let outbound = Arc::clone(&self.outbound);
        let home = BringHome::prepare(&self.store, entry, outbound, self.clock.now(), 1000).await.unwrap();
        self.store.write(home.unwrap()).await.unwrap().into_inner();
    }
}

#[tokio::test]
async fn nobody_has_it_before_its_time() {
    let world = World::new().await;
    let id = world.put_off(&["bob@example.test", "dave@far.test"]).await;
    let begins_at = world.clock.now().plus_ms(HOUR_MS);
    let due = |world: &World| -> Vec<Timestamp> {
        let entries = queue::entries(&world.store.view().unwrap(), None, 10).unwrap();
        entries.iter().map(|waiting| waiting.entry.due).collect()
    };
    assert_eq!((world.inbox("bob@example.test"), due(&world)), (vec![], vec![begins_at; 2]));
    // Whoever fetches mail does not fetch this.
    let has_mail = |world: &World| {
        let domains = [DomainName::parse("far.test").unwrap()];
        crate::turn::has_mail(&world.store.view().unwrap(), &domains, world.clock.now()).unwrap()
    };
    assert!(!has_mail(&world));
    for domain in ["far.test", "example.test"] {
        let selector = Selector::Domain(DomainName::parse(domain).unwrap());
        let flush = Flush { selector, after: None, limit: 10, actor: "etrn x".into(), at: world.clock.now() };
        assert_eq!(world.store.write(flush).await.unwrap().into_inner().count, 0);
    }
    world.bring_home(id, 0).await;
    assert_eq!((world.inbox("bob@example.test"), due(&world)), (vec![], vec![begins_at; 2]));
    world.clock.advance_ms(HOUR_MS);
    world.bring_home(id, 0).await;
    assert_eq!(world.inbox("bob@example.test"), [id]);
    assert_eq!(world.queued().len(), 1);
    assert!(has_mail(&world));
    let text = world.text("bob@example.test", 0).await;
    assert!(text.starts_with("Return-Path: <alice@example.test>\r\nDelivered-To: bob@example.test\r\n"), "{text}");
    assert!(text.ends_with(BODY), "{text}");
    // As asked, and as of what is never put off.
    assert!(world.text("alice@example.test", 0).await.contains("Action: delivered\r\n"));
    assert_eq!(world.kinds(id), [Kind::Accepted, Kind::Queued, Kind::Queued, Kind::Delivered, Kind::Reported]);
    world.is_sound();
}

#[tokio::test]
async fn a_mailbox_that_is_full_or_gone_by_then_is_told_of() {
    let world = World::new().await;
    let id = world.put_off(&["bob@example.test"]).await;
    world.clock.advance_ms(HOUR_MS);
    world.put_account("bob@example.test", Some(1)).await;
    world.bring_home(id, 0).await;
    assert_eq!((world.inbox("bob@example.test"), world.queued().len()), (vec![], 1));
    world.clock.advance_ms(HOUR_MS);
    world.put_account("bob@example.test", None).await;
    world.bring_home(id, 0).await;
    assert_eq!((world.inbox("bob@example.test"), world.queued().len()), (vec![id], 0));
    world.is_sound();
}
