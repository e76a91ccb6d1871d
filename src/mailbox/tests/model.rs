use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// One thing that happens, with numbers for accounts.
#[derive(Debug, Clone)]
enum Step {
    Put(usize),
    Delete(usize),
    Deliver {
        to: Vec<usize>,
        head: u8,
        body: usize,
    },
    /// The places of messages in the listing, and of some that are not there.
    Expunge {
        from: usize,
        places: Vec<usize>,
    },
}

const NAMES: [&str; 3] = ["alice@example.test", "bob@example.test", "carol@example.test"];
/// Empty, small, twice the same size with other bytes, shared between messages, in several chunks, above 1 MiB.
const BODIES: [(u8, usize); 6] = [(b'x', 0), (b'x', 9), (b'y', 9), (b'x', 40_000), (b'x', 300_000), (b'x', 1_200_000)];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let account = || 0..NAMES.len();
    let body = prop_oneof![20 => 0..4usize, 4 => Just(4usize), 1 => Just(5usize)];
    let step = prop_oneof![
        2 => account().prop_map(Step::Put),
        1 => account().prop_map(Step::Delete),
        6 => (prop::sample::subsequence(vec![0, 1, 2], 1..=3), any::<u8>(), body)
            .prop_map(|(to, head, body)| Step::Deliver { to, head, body }),
        4 => (account(), prop::collection::vec(0..6usize, 0..4))
            .prop_map(|(from, places)| Step::Expunge { from, places }),
    ];
    prop::collection::vec(step, 1..40)
}

/// What the mailboxes should hold: by account, the messages' UIDs and bytes.
#[derive(Default)]
struct Model {
    mailboxes: BTreeMap<usize, Mail>,
    messages: u64,
}

#[derive(Default)]
struct Mail {
    account: AccountId,
    messages: BTreeMap<u32, Vec<u8>>,
    uid_last: u32,
}

async fn play(world: &World, model: &mut Model, step: &Step) {
    match step {
        Step::Put(who) => {
            let account = world.put_account(NAMES[*who], None);
            model.mailboxes.entry(*who).or_default().account = account;
        }
        Step::Delete(who) => {
            let was_there = model.mailboxes.remove(who).is_some();
            assert_eq!(world.delete_account(NAMES[*who]).is_ok(), was_there);
        }
        Step::Deliver { to, head, body } => deliver_to(world, model, to, *head, *body).await,
        Step::Expunge { from, places } => {
            let Some(mail) = model.mailboxes.get_mut(from) else { return };
            let uids: Vec<u32> = mail.messages.keys().copied().collect();
            let picked: Vec<u32> =
                places.iter().map(|place| uids.get(*place).copied().unwrap_or(1_000 + *place as u32)).collect();
            let expunged = world.expunge(world.inbox(mail.account), &picked).await;
            let gone: Vec<Vec<u8>> = picked.iter().filter_map(|uid| mail.messages.remove(uid)).collect();
            let size_bytes = gone.iter().map(|bytes| bytes.len() as u64).sum();
            assert_eq!((expunged.messages, expunged.size_bytes), (gone.len(), size_bytes));
        }
    }
}

async fn deliver_to(world: &World, model: &mut Model, to: &[usize], head: u8, body: usize) {
    let to: Vec<usize> = to.iter().copied().filter(|who| model.mailboxes.contains_key(who)).collect();
    if to.is_empty() {
        return;
    }
    model.messages += 1;
    let head = format!("H: {}\r\n", "h".repeat(usize::from(head))).into_bytes();
    let (byte, size) = BODIES[body];
    let body = vec![byte; size];
    let own = |who: usize| format!("O: {}\r\n", NAMES[who]).into_bytes();
    let copies = to.iter().map(|who| (world.inbox(model.mailboxes[who].account), own(*who))).collect();
    let uids = world.bring(model.messages << 16, &head, &body, copies).await;
    for (who, uid) in to.into_iter().zip(uids) {
        let mail = model.mailboxes.get_mut(&who).unwrap();
        assert!(uid.0 > mail.uid_last, "a UID rises");
        mail.uid_last = uid.0;
        mail.messages.insert(uid.0, [own(who).as_slice(), &head, &body].concat());
    }
}

async fn agrees(world: &World, model: &Model) {
    for mail in model.mailboxes.values() {
        let inbox = world.inbox(mail.account);
        let listing: Vec<_> = world.listing(inbox).iter().map(|entry| (entry.uid.0, entry.size_bytes)).collect();
        let expected: Vec<_> = mail.messages.iter().map(|(uid, bytes)| (*uid, bytes.len() as u64)).collect();
        assert_eq!(listing, expected);
        let used = usage(&world.store.view().unwrap(), mail.account).unwrap();
        let size_bytes = expected.iter().map(|(_, size_bytes)| size_bytes).sum();
        assert_eq!(used, Usage { size_bytes, messages: expected.len() as u64 });
        for (uid, bytes) in &mail.messages {
            let (seen, size_bytes) = world.read(inbox, Uid(*uid)).await.expect("the message is there");
            assert!(seen == *bytes && size_bytes == bytes.len() as u64, "uid {uid} is not as it came");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

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
            agrees(&world, &model).await;
        });
    }
}
