use super::*;

async fn create(
    world: &World,
    account: AccountId,
    name: &str,
    special_use: Option<SpecialUse>,
) -> Result<(), FolderRefused> {
    let create = CreateMailbox { account, name: name.into(), special_use, at: Timestamp(1_700_000_000_000) };
    match world.store.write(create).await {
        Ok(_) => Ok(()),
        Err(WriteError::Refused(refused)) => Err(refused),
        Err(other) => panic!("{other}"),
    }
}

fn names(world: &World, account: AccountId) -> Vec<String> {
    folders(&world.store.view().unwrap(), account).unwrap().into_iter().map(|folder| folder.name).collect()
}

fn find(world: &World, account: AccountId, name: &str) -> (MailboxId, Mailbox) {
    folder(&world.store.view().unwrap(), account, name).unwrap().unwrap()
}

#[tokio::test]
async fn a_new_account_has_a_mailbox_for_each_use() {
    let world = World::new();
    let alice = world.put_account("alice@example.test", None);
    let list = folders(&world.store.view().unwrap(), alice).unwrap();
    let seen: Vec<_> = list
        .iter()
        .map(|folder| (folder.name.as_str(), folder.subscribed, folder.mailbox.as_ref().unwrap().1.special_use))
        .collect();
    let expected = [
        ("INBOX", true, None),
        ("Archive", true, Some(SpecialUse::Archive)),
        ("Drafts", true, Some(SpecialUse::Drafts)),
        ("Junk", true, Some(SpecialUse::Junk)),
        ("Sent", true, Some(SpecialUse::Sent)),
        ("Trash", true, Some(SpecialUse::Trash)),
    ];
    assert_eq!(seen, expected);
    assert_eq!(create(&world, alice, "Spam", Some(SpecialUse::Junk)).await, Err(FolderRefused::SpecialUse));
    let (by, at) = ("imap".to_owned(), Timestamp(1));
    let _ = world.store.write(DeleteMailbox { account: alice, name: "Junk".into(), by, at }).await.unwrap();
    assert_eq!(create(&world, alice, "Spam", Some(SpecialUse::Junk)).await, Ok(()));
    assert_eq!(find(&world, alice, "Spam").1.special_use, Some(SpecialUse::Junk));
    world.is_sound();
}

#[tokio::test]
async fn uidvalidity_rises_in_the_same_second_and_when_the_clock_falls() {
    let world = World::new();
    let alice = world.put_account("alice@example.test", None);
    let mut last = 0;
    for at in [1_700_000_000_000, 1_700_000_000_000, 1_000, 0, 1_800_000_000_000] {
        let create = CreateMailbox { account: alice, name: "x".into(), special_use: None, at: Timestamp(at) };
        let _ = world.store.write(create).await.unwrap();
        let uid_validity = find(&world, alice, "x").1.uid_validity;
        assert!(uid_validity > last, "{uid_validity} behind {last}");
        last = uid_validity;
        let (by, at) = ("imap".to_owned(), Timestamp(at));
        let _ = world.store.write(DeleteMailbox { account: alice, name: "x".into(), by, at }).await.unwrap();
    }
    assert_eq!(last, 1_800_000_000, "it is the second where that is the later one");
}

#[tokio::test]
async fn a_parent_that_goes_stays_as_a_name() {
    let world = World::new();
    let alice = world.put_account("alice@example.test", None);
    create(&world, alice, "a/b/c", None).await.unwrap();
    assert_eq!(&names(&world, alice)[6..], ["a", "a/b", "a/b/c"]);
    let (by, at) = ("imap".to_owned(), Timestamp(1));
    let delete = DeleteMailbox { account: alice, name: "a/b".into(), by, at };
    let _ = world.store.write(delete.clone()).await.unwrap();
    let list = folders(&world.store.view().unwrap(), alice).unwrap();
    let parent = list.iter().find(|folder| folder.name == "a/b").unwrap();
    assert!(parent.mailbox.is_none() && parent.has_children && !parent.subscribed);
    let refused = world.store.write(delete).await.map(Committed::into_inner);
    assert!(matches!(refused, Err(WriteError::Refused(FolderRefused::NotFound))));
    // It is renamed with what is below it all the same.
    let rename = RenameMailbox { account: alice, from: "a/b".into(), to: "d/e".into(), at };
    let _ = world.store.write(rename).await.unwrap();
    assert_eq!(&names(&world, alice)[6..], ["a", "d", "d/e", "d/e/c"]);
    world.is_sound();
}

#[tokio::test]
async fn inbox_is_always_subscribed_to_until_somebody_says_otherwise() {
    let world = World::new();
    let alice = world.put_account("alice@example.test", None);
    let subscribe = async |name: &str, subscribed| {
        let op = Subscribe { account: alice, name: name.into(), subscribed };
        let _ = world.store.write(op).await.unwrap();
        world.is_sound();
        let list = folders(&world.store.view().unwrap(), alice).unwrap();
        list.into_iter().find(|folder| folder.name == name).map(|folder| folder.subscribed)
    };
    assert_eq!(subscribe("INBOX", false).await, Some(false));
    assert_eq!(subscribe("INBOX", true).await, Some(true));
    assert_eq!(subscribe("nowhere", true).await, Some(true), "it need not be there");
    assert_eq!(subscribe("nowhere", false).await, None);
}

#[tokio::test]
async fn others_are_told_of_every_change() {
    let world = World::new();
    let alice = world.put_account("alice@example.test", None);
    let (mut lists, mut mail) = (world.store.bus().watch(MAILBOXES_TOPIC), world.store.bus().watch(MAILBOX_TOPIC));
    create(&world, alice, "a", None).await.unwrap();
    assert_eq!(lists.next().await.unwrap().1, u64::from(alice.0));
    let (id, _) = find(&world, alice, "a");
    let rename = RenameMailbox { account: alice, from: "a".into(), to: "b".into(), at: Timestamp(1) };
    let _ = world.store.write(rename).await.unwrap();
    assert_eq!(lists.next().await.unwrap().1, u64::from(alice.0));
    assert_eq!(mail.next().await.unwrap().1, u64::from(id.0));
    let (by, at) = ("imap".to_owned(), Timestamp(1));
    let _ = world.store.write(DeleteMailbox { account: alice, name: "b".into(), by, at }).await.unwrap();
    assert_eq!(lists.next().await.unwrap().1, u64::from(alice.0));
    assert_eq!(mail.next().await.unwrap().1, u64::from(id.0));
    assert!(roster(&world.store.view().unwrap(), id).unwrap().is_none());
    assert!(changes(&world.store.view().unwrap(), id, ModSeq(1)).unwrap().is_none());
}

#[tokio::test]
async fn what_can_not_be_copied_leaves_nothing() {
    let world = World::new();
    let (alice, bob) =
        (world.put_account("alice@example.test", Some(100)), world.put_account("bob@example.test", None));
    let (inbox, others) = (world.inbox(alice), world.inbox(bob));
    world.bring(1 << 16, &[b'h'; 30], &[b'b'; 30], vec![(inbox, Vec::new())]).await;
    let (archive, _) = find(&world, alice, "Archive");
    let copy = async |to, moves| {
        let (by, at, uids) = ("imap".to_owned(), Timestamp(1), vec![(Uid(1), Uid(9))]);
        let done = world.store.write(CopyMessages { from: inbox, uids, to, moves, by, peer_ip: None, at }).await;
        world.is_sound();
        done.map(Committed::into_inner).map_err(|error| match error {
            WriteError::Refused(refused) => refused,
            other => panic!("{other}"),
        })
    };
    assert_eq!(copy(others, false).await, Err(CopyRefused::Gone));
    assert_eq!(copy(MailboxId(999), true).await, Err(CopyRefused::Gone));
    assert_eq!(copy(archive, false).await, Err(CopyRefused::OverQuota));
    // A move takes no more room than there is.
    assert_eq!(copy(archive, true).await.unwrap().uids, [(Uid(1), Uid(1))]);
    assert_eq!(copy(archive, true).await.unwrap().uids, []);
}
