use super::*;
use crate::base::{MailboxId, SystemFlags};
use crate::mailbox::{ChangeFlags, FlagMode};

/// A message for APPEND, with a body or without.
async fn appended(world: &World, number: u64, body: &str, keywords: &[&str]) -> Appended {
    let mut writer = world.store.blob_writer();
    writer.write(body.as_bytes()).await.unwrap();
    let header_block = format!("Subject: {number}\r\nMessage-ID: <{number}@far.test>\r\n").into_bytes();
    Appended {
        id: MessageId(number << 16),
        summary: Summary::of_whole(&header_block, body.as_bytes()),
        header_block,
        body: Some(writer.finish().await.unwrap()),
        flags: SystemFlags::DRAFT | SystemFlags::SEEN,
        keywords: keywords.iter().map(ToString::to_string).collect(),
        internal_date: Timestamp(7_000_000),
        message_id_field: Some(format!("<{number}@far.test>")),
    }
}

impl World {
    fn mailbox(&self, who: &str, name: &str) -> (AccountId, MailboxId) {
        let view = self.store.view().unwrap();
        let account = directory::account(&view, &address(who)).unwrap().unwrap().id;
        (account, mailbox::folder(&view, account, name).unwrap().unwrap().0)
    }

    async fn append(
        &self,
        (account, mailbox): (AccountId, MailboxId),
        messages: Vec<Appended>,
    ) -> Result<AppendedAt, AppendRefused> {
        let (by, at) = ("imap alice@example.test".into(), self.clock.now());
        let peer_ip = Some("192.0.2.9".parse().unwrap());
        match self.store.write(Append { account, mailbox, messages, by, peer_ip, at }).await {
            Ok(appended) => Ok(appended.into_inner()),
            Err(WriteError::Refused(refused)) => Err(refused),
            Err(other) => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn what_is_appended_is_there_as_it_came() {
    let world = World::new().await;
    let drafts = world.mailbox("alice@example.test", "Drafts");
    let two =
        vec![appended(&world, 1, "\r\none\r\n", &["$Forwarded", "a"]).await, appended(&world, 2, "", &["A"]).await];
    let appended_at = world.append(drafts, two).await.unwrap();
    assert_eq!(appended_at.uids, [Uid(1), Uid(2)]);
    let view = world.store.view().unwrap();
    let roster = mailbox::roster(&view, drafts.1).unwrap().unwrap();
    assert_eq!(roster.uid_validity, appended_at.uid_validity);
    assert_eq!(*roster.keywords, ["$Forwarded".to_owned(), "a".to_owned()], "one spelling for all");
    let [first, second] = roster.members[..] else { panic!("two messages") };
    assert_eq!((first.flags, first.keywords), (SystemFlags::DRAFT | SystemFlags::SEEN, 3));
    assert_eq!((second.keywords, second.modseq), (2, first.modseq), "one change for both");
    assert_eq!((first.internal_date, roster.modseq), (Timestamp(7_000_000), first.modseq));
    let mut text = Vec::new();
    assert!(mailbox::read_range(&view, drafts.1, Uid(1), (0, u64::MAX), &mut text).unwrap());
    assert_eq!(String::from_utf8(text).unwrap(), "Subject: 1\r\nMessage-ID: <1@far.test>\r\n\r\none\r\n");
    let story = trace::story(&view, Subject::Message(MessageId(1 << 16))).unwrap();
    assert_eq!((story.len(), story[0].kind, story[0].text.as_str()), (1, Kind::Accepted, "put into Drafts"));
    assert_eq!(story[0].actor, "imap alice@example.test");
    drop(view);
    world.is_sound();
}

#[tokio::test]
async fn what_can_not_be_appended_leaves_nothing() {
    let world = World::new().await;
    let (alice, drafts) = world.mailbox("alice@example.test", "Drafts");
    let (bob, _) = world.mailbox("bob@example.test", "Drafts");
    let check = async |at, keywords: &[&str], expected| {
        let message = appended(&world, 1, "\r\nbody\r\n", keywords).await;
        assert_eq!(world.append(at, vec![message]).await, Err(expected));
        assert_eq!(mailbox::roster(&world.store.view().unwrap(), drafts).unwrap().unwrap().modseq.0, 1);
        world.is_sound();
    };
    check((alice, MailboxId(999)), &[], AppendRefused::Gone).await;
    check((bob, drafts), &[], AppendRefused::Gone).await;
    let many: Vec<String> = (0..=limits::KEYWORDS).map(|number| format!("k{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    check((alice, drafts), &many, AppendRefused::TooManyKeywords).await;
    world.put_account("alice@example.test", Some(40)).await;
    check((alice, drafts), &[], AppendRefused::OverQuota).await;
}

#[tokio::test]
async fn a_keyword_that_no_message_has_makes_room_for_another() {
    let world = World::new().await;
    let drafts = world.mailbox("alice@example.test", "Drafts");
    let names: Vec<String> = (0..limits::KEYWORDS).map(|number| format!("k{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let message = appended(&world, 1, "\r\n", &names).await;
    world.append(drafts, vec![message]).await.unwrap();
    let change = |mode, keyword: &str| ChangeFlags {
        mailbox: drafts.1,
        uids: vec![(Uid(1), Uid(1))],
        mode,
        flags: SystemFlags::NONE,
        keywords: vec![keyword.into()],
        unchanged_since: None,
    };
    let add = world.store.write(change(FlagMode::Add, "new")).await.map(Committed::into_inner);
    assert!(matches!(add, Err(WriteError::Refused(mailbox::FlagsRefused::TooManyKeywords))));
    let _ = world.store.write(change(FlagMode::Remove, "K5")).await.unwrap();
    mailbox::make_room_for_keywords(&world.store, drafts.1, &["new".to_owned()]).await.unwrap();
    let _ = world.store.write(change(FlagMode::Add, "new")).await.unwrap();
    let roster = mailbox::roster(&world.store.view().unwrap(), drafts.1).unwrap().unwrap();
    assert_eq!((roster.keywords[5].as_str(), roster.keywords.len()), ("new", limits::KEYWORDS));
    assert_eq!(roster.members[0].keywords, u128::MAX);
    world.is_sound();
}
