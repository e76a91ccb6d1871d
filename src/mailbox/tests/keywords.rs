//! A mailbox has as many keywords as bits; those that no message has any more make room for others.

use super::*;
use crate::base::limits;

/// Sets these keywords of a message, after it has made room for them where `makes_room` says so.
async fn set(world: &World, mailbox: MailboxId, names: &[String], makes_room: bool) -> Result<(), FlagsRefused> {
    if makes_room {
        make_room_for_keywords(&world.store, mailbox, names).await.unwrap();
        world.is_sound();
    }
    let (uids, keywords) = (vec![(Uid(1), Uid(1))], names.to_vec());
    let (mode, flags) = (FlagMode::Replace, SystemFlags::NONE);
    let op = ChangeFlags { mailbox, uids, mode, flags, keywords, unchanged_since: None };
    match world.store.write(op).await {
        Ok(_) => Ok(()),
        Err(WriteError::Refused(refused)) => Err(refused),
        Err(other) => panic!("{other}"),
    }
}

fn numbered(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|number| format!("k{number}")).collect()
}

#[tokio::test]
async fn keywords_that_no_message_has_make_room_for_others() {
    let world = World::new();
    let inbox = world.inbox(world.put_account("alice@example.test", None));
    for id in [1, 2] {
        world.bring(id << 16, b"H: v\r\n", b"", vec![(inbox, Vec::new())]).await;
    }
    let full = limits::KEYWORDS;
    assert_eq!(set(&world, inbox, &numbered(0..full), true).await, Ok(()));
    // One message has them all: there is no room.
    let more = numbered(full - 1..full + 1);
    assert_eq!(set(&world, inbox, &more, true).await, Err(FlagsRefused::TooManyKeywords));
    assert_eq!(set(&world, inbox, &numbered(0..3), true).await, Ok(()));
    assert_eq!(set(&world, inbox, &more, false).await, Err(FlagsRefused::TooManyKeywords), "not by the writer");
    assert_eq!(set(&world, inbox, &more, true).await, Ok(()));
    let view = world.store.view().unwrap();
    let (names, message) = (keywords(&view, inbox).unwrap(), member(&view, inbox, Uid(1)).unwrap().unwrap());
    let has = names.iter().enumerate().filter(|(bit, _)| message.keywords & 1 << bit != 0);
    let mut has: Vec<&str> = has.map(|(_, name)| name.as_str()).collect();
    has.sort_unstable();
    assert_eq!(has, ["k127", "k128"]);
    assert!(!free_keywords(&world.store, MailboxId(99)).await.unwrap(), "there is no such mailbox");
}
