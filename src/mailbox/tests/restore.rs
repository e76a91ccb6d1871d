use super::*;
use crate::base::{SeededRandom, limits};
use crate::directory::{AliasFields, CreateAppPassword, PasswordHash, Protocol, PutAlias};

/// A message in memory, as a copy of the file has it.
type Copy = (Archived, Vec<u8>);

impl World {
    fn archived(&self, mailbox: MailboxId, uid: u32) -> Copy {
        let view = self.store.view().unwrap();
        let archived = archived(&view, mailbox, Uid(uid)).unwrap().unwrap();
        let mut body = Vec::new();
        if let Some(blob) = archived.blob {
            view.read_blob(blob, 0, u64::MAX, &mut body).unwrap();
        }
        (archived, body)
    }

    async fn restore(&self, account: AccountId, mailbox: MailboxId, copies: &[&Copy]) -> Restored {
        let mut messages = Vec::new();
        for (archived, body) in copies {
            let mut writer = self.store.blob_writer();
            writer.write(body).await.unwrap();
            let staged = writer.finish().await.unwrap();
            let body = archived.blob.map(|_| staged);
            messages.push(Returning { archived: archived.clone(), body });
        }
        let op = RestoreMessages {
            account,
            mailbox,
            messages,
            newest: MessageId(1000 << 16),
            by: "http owner".into(),
            origin: "from the backup daily-20261122T030000Z".into(),
            at: Timestamp(77_000),
        };
        self.store.write(op).await.unwrap().into_inner()
    }

    async fn set_flags(&self, mailbox: MailboxId, uid: u32, flags: SystemFlags, keywords: &[&str]) {
        let keywords: Vec<String> = keywords.iter().map(|name| (*name).to_owned()).collect();
        make_room_for_keywords(&self.store, mailbox, &keywords).await.unwrap();
        let op = ChangeFlags {
            mailbox,
            uids: vec![(Uid(uid), Uid(uid))],
            mode: FlagMode::Replace,
            flags,
            keywords,
            unchanged_since: None,
        };
        self.store.write(op).await.unwrap().into_inner();
    }

    async fn copy_to(&self, from: MailboxId, uid: u32, to: MailboxId) -> Uid {
        let op = CopyMessages {
            from,
            uids: vec![(Uid(uid), Uid(uid))],
            to,
            moves: false,
            by: "imap a".into(),
            peer_ip: None,
            at: Timestamp(6_000),
        };
        self.store.write(op).await.unwrap().into_inner().uids[0].1
    }

    fn named(&self, account: AccountId, name: &str) -> MailboxId {
        folder(&self.store.view().unwrap(), account, name).unwrap().unwrap().0
    }
}

#[tokio::test]
async fn a_message_comes_back_as_the_same_one() {
    let world = World::new();
    let alice = world.put_account("alice@example.test", Some(10));
    let inbox = world.inbox(alice);
    let body = [b"\r\n".as_slice(), &b"line\r\n".repeat(20_000)].concat();
    let own = b"Return-Path: <x@y.test>\r\nDelivered-To: alice@example.test\r\n".to_vec();
    world.bring(1 << 16, b"Message-ID: <1@y.test>\r\nSubject: x\r\n", &body, vec![(inbox, own)]).await;
    world.bring(2 << 16, b"Subject: no body\r\n", b"", vec![(inbox, Vec::new())]).await;
    let flags = SystemFlags::SEEN | SystemFlags::FLAGGED;
    world.set_flags(inbox, 1, flags | SystemFlags::DELETED, &["$Work", "later"]).await;
    let (read, member) = (world.read(inbox, Uid(1)).await, member(&world.store.view().unwrap(), inbox, Uid(1)));
    let copies = [world.archived(inbox, 1), world.archived(inbox, 2)];
    world.expunge(inbox, &[1, 2]).await;
    let mut watch = world.store.bus().watch(MAILBOX_TOPIC);
    // It asks for no quota.
    let restored = world.restore(alice, inbox, &[&copies[0], &copies[1]]).await;
    assert_eq!((restored.uids.as_slice(), restored.conflicts.len()), (&[Uid(3), Uid(4)][..], 0));
    assert_eq!(watch.next().await.map(|topic| topic.1), Some(u64::from(inbox.0)));
    assert_eq!(world.read(inbox, Uid(3)).await, read);
    let (was, is) =
        (member.unwrap().unwrap(), super::member(&world.store.view().unwrap(), inbox, Uid(3)).unwrap().unwrap());
    assert_eq!((is.message, is.internal_date, is.size_bytes), (was.message, was.internal_date, was.size_bytes));
    assert_eq!(is.flags, flags, "but for \\Deleted");
    let names = keywords(&world.store.view().unwrap(), inbox).unwrap();
    let named: Vec<&String> =
        names.iter().enumerate().filter(|(bit, _)| is.keywords & 1 << bit != 0).map(|(_, n)| n).collect();
    assert_eq!(named, ["$Work", "later"]);
    let view = world.store.view().unwrap();
    let story = trace::story(&view, trace::Subject::Message(MessageId(1 << 16))).unwrap();
    let event = story.last().unwrap();
    assert_eq!(
        (event.kind, event.actor.as_str(), event.mailbox.as_deref()),
        (trace::Kind::Restored, "http owner", Some("INBOX"))
    );
    assert_eq!(
        (event.text.as_str(), event.message_id.as_deref()),
        ("from the backup daily-20261122T030000Z", Some("<1@y.test>"))
    );
    drop(view);
    world.is_sound();
}

#[tokio::test]
async fn what_others_hold_is_shared_and_what_is_there_is_known() {
    let world = World::new();
    let (alice, bob) = (world.put_account("alice@example.test", None), world.put_account("bob@example.test", None));
    let (a, b) = (world.inbox(alice), world.inbox(bob));
    world.bring(1 << 16, b"Subject: x\r\n", b"\r\nbody\r\n", vec![(a, Vec::new()), (b, Vec::new())]).await;
    let archive = world.named(alice, "Archive");
    let in_archive = world.copy_to(a, 1, archive).await;
    let copies = [world.archived(a, 1), world.archived(archive, in_archive.0)];
    let identities = copies.each_ref().map(|(archived, _)| archived.identity);
    let places = || [(Uid(1), identities[0]), (Uid(99), identities[1])];
    let there = |account| still_there(&world.store.view().unwrap(), account, a, places()).unwrap();
    assert_eq!((there(alice).len(), there(bob).len()), (2, 1));
    // The copy alone; then the message; then both, when nobody else has it.
    world.expunge(archive, &[in_archive.0]).await;
    assert_eq!(there(alice).into_iter().collect::<Vec<_>>(), [identities[0]]);
    world.restore(alice, archive, &[&copies[1]]).await;
    world.is_sound();
    world.expunge(a, &[1]).await;
    assert_eq!(there(alice).into_iter().collect::<Vec<_>>(), [identities[1]], "it lies elsewhere");
    world.restore(alice, a, &[&copies[0]]).await;
    assert_eq!(there(alice).len(), 2);
    world.is_sound();
    for (mailbox, uid) in [(a, 2), (archive, 2), (b, 1)] {
        world.expunge(mailbox, &[uid]).await;
    }
    assert_eq!((there(alice).len(), there(bob).len()), (0, 0));
    world.restore(alice, archive, &[&copies[1]]).await;
    world.is_sound();
    world.restore(alice, a, &[&copies[0]]).await;
    world.is_sound();
    assert_eq!(world.copy_to(a, 3, archive).await, Uid(4));
    let uidls: Vec<String> = world.listing(archive).into_iter().map(|entry| entry.uidl).collect();
    assert_eq!(uidls.iter().map(|uidl| uidl.split('.').next_back().unwrap()).collect::<Vec<_>>(), ["1", "2"]);
    world.is_sound();
}

#[tokio::test]
async fn an_id_is_never_that_of_two_messages() {
    let world = World::new();
    let alice = world.put_account("alice@example.test", None);
    let inbox = world.inbox(alice);
    let check = async |id: u64, head: &[u8], conflicts: usize| {
        let uid = world.bring(id << 16, b"Subject: in the backup\r\n", b"", vec![(inbox, Vec::new())]).await[0];
        let copy = world.archived(inbox, uid.0);
        world.expunge(inbox, &[uid.0]).await;
        if !head.is_empty() {
            world.bring(id << 16, head, b"", vec![(inbox, Vec::new())]).await;
        }
        let restored = world.restore(alice, inbox, &[&copy]).await;
        assert_eq!((restored.conflicts.len(), restored.uids.len()), (conflicts, 1 - conflicts));
        world.is_sound();
    };
    check(1, b"", 0).await;
    check(2, b"Subject: another\r\n", 1).await;
    // It may still be given to another.
    check(1000, b"", 1).await;
}

#[tokio::test]
async fn keywords_that_have_no_room_stay_away() {
    let world = World::new();
    let alice = world.put_account("alice@example.test", None);
    let inbox = world.inbox(alice);
    world.bring(1 << 16, b"A: 1\r\n", b"", vec![(inbox, Vec::new())]).await;
    world.set_flags(inbox, 1, SystemFlags::NONE, &["old", "k0"]).await;
    let copy = world.archived(inbox, 1);
    world.expunge(inbox, &[1]).await;
    let full: Vec<String> = (0..limits::KEYWORDS).map(|n| format!("k{n}")).collect();
    world.bring(2 << 16, b"A: 2\r\n", b"", vec![(inbox, Vec::new())]).await;
    world.set_flags(inbox, 2, SystemFlags::NONE, &full.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let restored = world.restore(alice, inbox, &[&copy]).await;
    assert_eq!((restored.uids.len(), restored.without_keywords), (1, 1));
    assert_eq!(world.archived(inbox, 3).0.keywords, ["k0"]);
    world.is_sound();
}

#[tokio::test]
async fn a_mailbox_comes_back_for_what_it_was() {
    let world = World::new();
    let alice = world.put_account("alice@example.test", None);
    let restore = async |name: &str, special_use| {
        let op = RestoreMailbox { account: alice, name: name.into(), special_use, subscribed: true, at: Timestamp(9) };
        world.store.write(op).await.unwrap().into_inner()
    };
    let by = || "imap alice@example.test".to_owned();
    let delete = DeleteMailbox { account: alice, name: "Sent".into(), by: by(), at: Timestamp(8) };
    world.store.write(delete).await.unwrap().into_inner();
    assert!(restore("Sent", Some(SpecialUse::Sent)).await.is_new);
    assert!(!restore("Sent", Some(SpecialUse::Sent)).await.is_new);
    assert!(restore("Work/2026", None).await.is_new);
    assert!(restore("Old sent", Some(SpecialUse::Sent)).await.is_new, "another has the use by now");
    let view = world.store.view().unwrap();
    let found = folders(&view, alice).unwrap();
    let seen = |name: &str| {
        let folder = found.iter().find(|folder| folder.name == name).unwrap();
        (folder.mailbox.as_ref().map(|(_, row)| row.special_use), folder.subscribed)
    };
    assert_eq!(seen("Sent"), (Some(Some(SpecialUse::Sent)), true));
    assert_eq!((seen("Work"), seen("Work/2026")), ((Some(None), false), (Some(None), true)));
    assert_eq!(seen("Old sent"), (Some(None), true));
    drop(view);
    let op = RestoreMailbox {
        account: AccountId(99),
        name: "x".into(),
        special_use: None,
        subscribed: false,
        at: Timestamp(9),
    };
    assert!(matches!(world.store.write(op).await, Err(WriteError::Refused(FolderRefused::NotFound))));
    world.is_sound();
}

#[tokio::test]
async fn an_account_comes_back_with_what_was_its_own() {
    let world = World::new();
    let random = SeededRandom::new(3);
    let alice = world.put_account("alice@example.test", None);
    world.put_account("bob@example.test", None);
    let change = AccountChange {
        address: address("alice@example.test"),
        fields: AccountFields { display_name: "Alice".into(), quota_bytes: Some(77), ..AccountFields::default() },
        password: Some(PasswordHash::of(&crate::base::Secret::new("secret".into()), &random)),
        precondition: Precondition::None,
        at: Timestamp(2),
    };
    world.store.write(PutAccount(change)).await.unwrap().into_inner();
    let (op, _) = CreateAppPassword::new(alice, "phone".into(), vec![Protocol::Imap], None, &random, Timestamp(3));
    world.store.write(op).await.unwrap().into_inner();
    let put_alias = async |name: &str, targets: &[&str]| {
        let targets = targets.iter().map(|target| address(target)).collect();
        let fields = AliasFields { note: "n".into(), ..AliasFields::leading_to(targets) };
        let op = PutAlias { address: address(name), fields, precondition: Precondition::None, at: Timestamp(4) };
        world.store.write(op).await.unwrap().into_inner();
    };
    put_alias("own@example.test", &["Alice@example.test"]).await;
    put_alias("taken@example.test", &["alice@example.test"]).await;
    put_alias("both@example.test", &["alice@example.test", "bob@example.test"]).await;
    let former = directory::former(&world.store.view().unwrap(), &address("alice@example.test")).unwrap().unwrap();
    let restore = async || world.store.write(RestoreAccount { former: former.clone(), at: Timestamp(9) }).await;
    assert!(matches!(restore().await, Err(WriteError::Refused(Refused::Precondition))), "it is there");
    let before = (
        directory::password(&world.store.view().unwrap(), alice).unwrap(),
        directory::app_passwords(&world.store.view().unwrap(), alice).unwrap(),
    );
    world.delete_account("alice@example.test").unwrap();
    for name in ["own@example.test", "taken@example.test"] {
        let op = directory::DeleteAlias { address: address(name), precondition: Precondition::None };
        world.store.write(op).await.unwrap().into_inner();
    }
    put_alias("taken@example.test", &["bob@example.test"]).await;
    let remade = restore().await.unwrap().into_inner();
    assert_ne!(remade.account.id, alice, "a number is never used again");
    assert_eq!(remade.account.fields, former.account.fields);
    assert_eq!(remade.aliases, [address("own@example.test")]);
    assert_eq!(remade.left_out, [(address("taken@example.test"), Refused::Precondition)]);
    let view = world.store.view().unwrap();
    assert!(before.0.is_some() && directory::password(&view, remade.account.id).unwrap() == before.0);
    assert_eq!(directory::app_passwords(&view, remade.account.id).unwrap(), before.1);
    assert!(
        view.count(&super::super::row::MAILBOXES).unwrap() > 6 && inbox(&view, remade.account.id).unwrap().is_some()
    );
    drop(view);
    world.is_sound();
    // What stands in the way is said.
    world.delete_account("alice@example.test").unwrap();
    put_alias("alice@example.test", &["bob@example.test"]).await;
    let obstacle = directory::obstacle(&world.store.view().unwrap(), &former, Timestamp(9)).unwrap();
    assert_eq!(obstacle, Some(Refused::Conflict(directory::Holder::Alias)));
    assert!(matches!(restore().await, Err(WriteError::Refused(Refused::Conflict(_)))));
}

#[tokio::test]
async fn after_a_restore_of_the_file_every_mailbox_is_another_one() {
    /// Marks the file as one that was put in the place of another.
    struct Mark;

    impl Op for Mark {
        type Plan = ();
        type Out = ();
        type Refused = Infallible;

        fn name(&self) -> &'static str {
            "test.mark"
        }

        fn check(&self, _: &Tx<'_>) -> Result<(), Halt<Infallible>> {
            Ok(())
        }

        fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<(), StoreError> {
            tx.mark_restored()
        }
    }

    let world = World::new();
    let (alice, bob) = (world.put_account("alice@example.test", None), world.put_account("bob@example.test", None));
    world.bring(1 << 16, b"A: 1\r\n", b"", vec![(world.inbox(alice), Vec::new())]).await;
    let numbers = || {
        let view = world.store.view().unwrap();
        let of = |account| folders(&view, account).unwrap().into_iter().filter_map(|folder| folder.mailbox);
        of(alice).chain(of(bob)).map(|(_, row)| row.uid_validity).collect::<Vec<_>>()
    };
    let renew = async || {
        let at = Timestamp(1_700_000_900_000);
        world.store.write(RenewUidValidity { at }).await.unwrap().into_inner()
    };
    let before = numbers();
    assert_eq!((renew().await, numbers() == before), (0, true), "nothing was restored");
    world.store.write(Mark).await.unwrap().into_inner();
    assert_eq!(renew().await, before.len());
    let after = numbers();
    let (newest, least) = (before.iter().max().unwrap(), after.iter().min().unwrap());
    assert!(least > newest && *least >= 1_700_000_900, "{before:?} {after:?}");
    assert_eq!(after.iter().collect::<std::collections::HashSet<_>>().len(), after.len());
    assert_eq!((renew().await, numbers() == after), (0, true), "once");
    assert_eq!(world.listing(world.inbox(alice)).len(), 1);
    world.is_sound();
}
