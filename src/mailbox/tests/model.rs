mod owner;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use owner::Owner;

/// One thing that happens, with numbers for accounts, and names for mailboxes.
#[derive(Debug, Clone)]
enum Step {
    Put(usize),
    Delete(usize),
    Deliver {
        to: Vec<usize>,
        head: u8,
        body: usize,
    },
    /// Something in one account.
    Do(usize, Deed),
}

/// Places are those of messages in a mailbox, and of some that are not there.
#[derive(Debug, Clone)]
enum Deed {
    File {
        to: &'static str,
        flags: u32,
        keywords: Vec<&'static str>,
        body: usize,
    },
    Expunge {
        from: &'static str,
        places: Vec<usize>,
        only_deleted: bool,
    },
    Flag {
        on: &'static str,
        places: Vec<usize>,
        mode: FlagMode,
        flags: u32,
        keywords: Vec<&'static str>,
        fresh: bool,
    },
    Copy {
        from: &'static str,
        to: &'static str,
        places: Vec<usize>,
        moves: bool,
    },
    Create(&'static str),
    DeleteMailbox(&'static str),
    Rename(&'static str, &'static str),
    Subscribe(&'static str, bool),
    /// Somebody who has it open looks what has changed.
    CatchUp(&'static str),
}

const NAMES: [&str; 3] = ["alice@example.test", "bob@example.test", "carol@example.test"];
const FOLDERS: [&str; 8] = ["INBOX", "INBOX/x", "A", "A/B", "A/B/C", "A/B-", "B", "Trash"];
const KEYWORDS: [&str; 4] = ["$Forwarded", "$forwarded", "blue", "Work"];
/// Empty, small, twice the same size with other bytes, shared between messages, in several chunks, above 1 MiB.
const BODIES: [(u8, usize); 6] = [(b'x', 0), (b'x', 9), (b'y', 9), (b'x', 40_000), (b'x', 300_000), (b'x', 1_200_000)];

fn deed() -> impl Strategy<Value = Deed> {
    let folder = || prop::sample::select(&FOLDERS[..]);
    // Most of it happens where there is mail.
    let full = || prop_oneof![3 => Just("INBOX"), 1 => Just("A"), 1 => folder()];
    let places = || prop::collection::vec(0..6usize, 0..4);
    let keywords = || prop::sample::subsequence(&KEYWORDS[..], 0..3);
    let mode = prop::sample::select(&[FlagMode::Add, FlagMode::Remove, FlagMode::Replace][..]);
    prop_oneof![
        2 => (full(), 0..32u32, keywords(), 0..4usize)
            .prop_map(|(to, flags, keywords, body)| Deed::File { to, flags, keywords, body }),
        3 => (full(), places(), any::<bool>())
            .prop_map(|(from, places, only_deleted)| Deed::Expunge { from, places, only_deleted }),
        5 => (full(), places(), mode, 0..32u32, keywords(), any::<bool>())
            .prop_map(|(on, places, mode, flags, keywords, fresh)| Deed::Flag { on, places, mode, flags, keywords, fresh }),
        6 => (full(), full(), places(), any::<bool>())
            .prop_map(|(from, to, places, moves)| Deed::Copy { from, to, places, moves }),
        4 => folder().prop_map(Deed::Create),
        1 => folder().prop_map(Deed::DeleteMailbox),
        3 => (folder(), folder()).prop_map(|(from, to)| Deed::Rename(from, to)),
        1 => (folder(), any::<bool>()).prop_map(|(name, subscribed)| Deed::Subscribe(name, subscribed)),
        3 => full().prop_map(Deed::CatchUp),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let account = || 0..NAMES.len();
    let body = prop_oneof![20 => 0..4usize, 4 => Just(4usize), 1 => Just(5usize)];
    let step = prop_oneof![
        2 => account().prop_map(Step::Put),
        1 => account().prop_map(Step::Delete),
        6 => (prop::sample::subsequence(vec![0, 1, 2], 1..=3), any::<u8>(), body)
            .prop_map(|(to, head, body)| Step::Deliver { to, head, body }),
        16 => (account(), deed()).prop_map(|(who, deed)| Step::Do(who, deed)),
    ];
    // Nothing happens without accounts.
    prop::collection::vec(step, 1..60).prop_map(|steps| [vec![Step::Put(0), Step::Put(1)], steps].concat())
}

/// What the mailboxes should hold.
#[derive(Default)]
struct Model {
    accounts: BTreeMap<usize, Owner>,
    messages: u64,
    uid_validity_last: u32,
}

async fn play(world: &World, model: &mut Model, step: &Step) {
    match step {
        Step::Put(who) => {
            let account = world.put_account(NAMES[*who], None);
            if !model.accounts.contains_key(who) {
                let folders = BTreeMap::new();
                let subscribed = ["Archive", "Drafts", "INBOX", "Junk", "Sent", "Trash"].map(String::from);
                let subscribed = BTreeSet::from(subscribed);
                let mut owner = Owner { account, folders, subscribed, uidls: BTreeSet::new() };
                for name in owner.subscribed.clone() {
                    model.uid_validity_last = owner.add(world, &name, model.uid_validity_last);
                }
                model.accounts.insert(*who, owner);
            }
        }
        Step::Delete(who) => {
            let was_there = model.accounts.remove(who).is_some();
            assert_eq!(world.delete_account(NAMES[*who]).is_ok(), was_there);
        }
        Step::Deliver { to, head, body } => deliver_to(world, model, to, *head, *body).await,
        Step::Do(who, deed) => {
            model.messages += 1;
            let Some(owner) = model.accounts.get_mut(who) else { return };
            owner.play(world, deed, model.messages, &mut model.uid_validity_last).await;
        }
    }
}

async fn deliver_to(world: &World, model: &mut Model, to: &[usize], head: u8, body: usize) {
    let to: Vec<usize> = to.iter().copied().filter(|who| model.accounts.contains_key(who)).collect();
    if to.is_empty() {
        return;
    }
    model.messages += 1;
    let head = format!("H: {}\r\n", "h".repeat(usize::from(head))).into_bytes();
    let (byte, size) = BODIES[body];
    let body = vec![byte; size];
    let own = |who: usize| format!("O: {}\r\n", NAMES[who]).into_bytes();
    let copies = to.iter().map(|who| (model.accounts[who].folders["INBOX"].id, own(*who))).collect();
    let id = model.messages << 16;
    let uids = world.bring(id, &head, &body, copies).await;
    for (who, uid) in to.into_iter().zip(uids) {
        let bytes = [own(who).as_slice(), &head, &body].concat();
        model.accounts.get_mut(&who).unwrap().came("INBOX", uid, id, bytes, (0, BTreeSet::new()));
    }
}

async fn agrees(world: &World, model: &mut Model) {
    for owner in model.accounts.values_mut() {
        let view = world.store.view().unwrap();
        let list = folders(&view, owner.account).unwrap();
        let list: Vec<_> = list
            .into_iter()
            .map(|folder| (folder.name, folder.mailbox.is_some(), folder.subscribed, folder.has_children))
            .collect();
        assert_eq!(list, owner.expected_list());
        let used = usage(&view, owner.account).unwrap();
        let sizes = || owner.folders.values().flat_map(|folder| folder.messages.values()).map(|mail| mail.bytes.len());
        assert_eq!(used, Usage { size_bytes: sizes().sum::<usize>() as u64, messages: sizes().count() as u64 });
        for folder in owner.folders.values_mut() {
            folder.catch_up(world);
            assert_eq!(folder.known, folder.expected());
            let listing: Vec<_> = world.listing(folder.id).into_iter().map(|entry| (entry.uid.0, entry.uidl)).collect();
            let expected: Vec<_> = folder.messages.iter().map(|(uid, mail)| (*uid, mail.uidl.clone())).collect();
            assert_eq!(listing, expected);
            for (uid, mail) in &folder.messages {
                let (seen, size_bytes) = world.read(folder.id, Uid(*uid)).await.expect("the message is there");
                assert!(seen == mail.bytes && size_bytes == seen.len() as u64, "uid {uid} is not as it came");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn mailboxes_hold_what_a_map_would(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = World::new();
            let mut model = Model::default();
            for step in &steps {
                play(&world, &mut model, step).await;
                world.is_sound();
            }
            agrees(&world, &mut model).await;
            world.sweep().await;
            agrees(&world, &mut model).await;
        });
    }
}
