//! Random work of several IMAP sessions, beside deliveries by SMTP and deletions by POP3, against a list: each session
//! knows of its mailbox only what it was told in untagged responses, and after NOOP that is what there is. No EXPUNGE
//! comes when numbers are in use; UID, UIDVALIDITY and MODSEQ follow their rules; and all of it holds over a graceful stop
//! and over a kill in between.

mod client;
mod oracle;
mod play;
mod search;
mod world;

use proptest::prelude::*;

use oracle::{Change, Flags};
use play::play;
use search::Search;
use world::{CLIENTS, World};

/// Mailboxes that a step may name; the first two are there from the beginning.
const NAMES: [&str; 5] = ["INBOX", "Archive", "a", "a/b", "c"];
/// Flags that a step may set.
const FLAGS: [&str; 7] = ["\\Seen", "\\Deleted", "\\Flagged", "\\Answered", "\\Draft", "$Forwarded", "work"];

/// What happens. Clients, names and flags are places in the lists above; a `u16` picks messages by its bits.
#[derive(Debug, Clone)]
enum Step {
    Append { who: usize, into: usize, flags: u8, count: usize },
    Deliver,
    Pop3 { read: u16, delete: u16 },
    Select { who: usize, name: usize, read_only: bool, condstore: bool },
    Unselect { who: usize, close: bool },
    Store { who: usize, pick: u16, by_uid: bool, change: Change, silent: bool, unchanged_since: Option<u64> },
    Fetch { who: usize, pick: u16, by_uid: bool },
    Search { who: usize, search: Search },
    Copy { who: usize, pick: u16, by_uid: bool, to: usize, moves: bool },
    Expunge { who: usize },
    UidExpunge { who: usize, pick: u16 },
    Create { who: usize, name: usize },
    Delete { who: usize, name: usize },
    Rename { who: usize, from: usize, to: usize },
    Noop { who: usize },
    Idle { who: usize },
    Reopen { kill: bool },
}

fn step() -> impl Strategy<Value = Step> {
    let (who, name) = (0..CLIENTS, 0..NAMES.len());
    let first_names = prop_oneof![4 => 0..2_usize, 1 => 2..NAMES.len()];
    prop_oneof![
        6 => (who.clone(), first_names.clone(), any::<u8>(), 1..4_usize)
            .prop_map(|(who, into, flags, count)| Step::Append { who, into, flags, count }),
        4 => Just(Step::Deliver),
        1 => (any::<u16>(), any::<u16>()).prop_map(|(read, delete)| Step::Pop3 { read, delete: delete & read }),
        5 => (who.clone(), first_names.clone(), prop::bool::weighted(0.2), prop::bool::weighted(0.3))
            .prop_map(|(who, name, read_only, condstore)| Step::Select { who, name, read_only, condstore }),
        1 => (who.clone(), any::<bool>()).prop_map(|(who, close)| Step::Unselect { who, close }),
        8 => (who.clone(), any::<u16>(), any::<bool>(), change(), any::<bool>(), prop::option::weighted(0.3, 0..4_u64))
            .prop_map(|(who, pick, by_uid, change, silent, unchanged_since)| {
                Step::Store { who, pick, by_uid, change, silent, unchanged_since }
            }),
        3 => (who.clone(), any::<u16>(), any::<bool>()).prop_map(|(who, pick, by_uid)| Step::Fetch { who, pick, by_uid }),
        3 => (who.clone(), search::search()).prop_map(|(who, search)| Step::Search { who, search }),
        4 => (who.clone(), any::<u16>(), any::<bool>(), first_names, any::<bool>())
            .prop_map(|(who, pick, by_uid, to, moves)| Step::Copy { who, pick, by_uid, to, moves }),
        3 => who.clone().prop_map(|who| Step::Expunge { who }),
        1 => (who.clone(), any::<u16>()).prop_map(|(who, pick)| Step::UidExpunge { who, pick }),
        1 => (who.clone(), name.clone()).prop_map(|(who, name)| Step::Create { who, name }),
        1 => (who.clone(), name.clone()).prop_map(|(who, name)| Step::Delete { who, name }),
        1 => (who.clone(), name.clone(), name).prop_map(|(who, from, to)| Step::Rename { who, from, to }),
        5 => who.clone().prop_map(|who| Step::Noop { who }),
        2 => who.prop_map(|who| Step::Idle { who }),
        1 => any::<bool>().prop_map(|kill| Step::Reopen { kill }),
    ]
}

fn change() -> impl Strategy<Value = Change> {
    let flags = any::<u8>().prop_map(flags);
    prop_oneof![
        3 => flags.clone().prop_map(Change::Add),
        2 => flags.clone().prop_map(Change::Remove),
        1 => flags.prop_map(Change::Set),
        // So that there is something to expunge.
        2 => Just(Change::Add(Flags::from(["\\Deleted".to_owned()]))),
    ]
}

/// The flags whose bits are set.
fn flags(bits: u8) -> Flags {
    FLAGS.iter().enumerate().filter(|(at, _)| bits >> at & 1 == 1).map(|(_, flag)| (*flag).to_owned()).collect()
}

/// The places below `count` that the bits pick.
fn picked(bits: u16, count: usize) -> impl Iterator<Item = usize> {
    (0..count).filter(move |at| bits >> (at % 16) & 1 == 1)
}

#[test]
fn every_session_is_told_what_there_is() {
    crate::play(8, &prop::collection::vec(step(), 1..40), async |steps| {
        let mut world = World::new().await?;
        for (number, step) in steps.iter().enumerate() {
            let played = async {
                play(&mut world, step).await?;
                world.audit().await
            };
            played.await.map_err(|error| format!("step {number}, {step:?}: {error}"))?;
        }
        world.examine().await
    });
}
