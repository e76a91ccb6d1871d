//! What may happen to the queue.

use proptest::prelude::*;

use pillarbox::queue::{Action, Stage, Verdict};

/// One thing that happens. A number stands for an entry or a message; what there is decides which.
#[derive(Debug, Clone)]
pub enum Step {
    /// One entry, of one of the states that there are entries in, is moved by one of the lines of the table.
    Turn { state: u8, entry: u8, line: u8 },
    /// A message comes in.
    Enqueue { sender: usize, to: Vec<usize>, body: usize },
    /// Somebody is about to send a message to those of its recipients that the mask names.
    Open { message: u8, mask: u8 },
    /// Outcomes of a message's recipients, by their place; `None`: nothing is said of that one.
    Settle { message: u8, said: Vec<Option<Said>>, jitter: u32 },
    /// An operator does something.
    Act { entries: Vec<u8>, action: Action },
    /// A flush, to its end, in slices.
    Flush { what: What, limit: usize },
    /// A destination is left alone for a time, by who has looked a while ago or just now.
    Postpone { entries: Vec<u8>, is_late: bool, seconds: u64 },
    /// Some are parked for a peer, or not any more.
    Park { entries: Vec<u8>, peer: Option<usize> },
    /// Time passes.
    Pass { seconds: u64 },
    /// The clock is set: forwards or back.
    Jump { back: bool, seconds: u64 },
    /// The process dies, or the power goes, between two changes.
    Crash { power: bool },
    /// The power goes at the write that comes after so many.
    Cut { writes: u64 },
}

/// What is said of an attempt.
#[derive(Debug, Clone, Copy)]
pub struct Said {
    pub verdict: Verdict,
    pub stage: Stage,
    pub code: Option<u16>,
}

/// What is flushed.
#[derive(Debug, Clone, Copy)]
pub enum What {
    All,
    Domain(usize),
    Sender(usize),
    Peer(usize),
}

/// One of ours, a stranger, and nobody.
pub const SENDERS: [&str; 3] = ["alice@example.test", "stranger@elsewhere.test", ""];
pub const PEERS: [&str; 2] = ["branch", "office"];
pub const DOMAINS: [&str; 3] = ["one.test", "two.test", "three.test"];
pub const RECIPIENTS: [&str; 6] =
    ["a@one.test", "b@one.test", "a@two.test", "b@two.test", "a@three.test", "b@three.test"];
/// Nothing behind the header, a short body, two that are long enough to be shared, one in several chunks.
pub const BODIES: [(u8, usize); 5] = [(b'x', 0), (b'x', 9), (b'x', 40_000), (b'y', 40_000), (b'x', 700_000)];

pub fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 1..120)
}

fn step() -> impl Strategy<Value = Step> {
    let picks = || prop::collection::vec(any::<u8>(), 1..4);
    let turn = (any::<u8>(), any::<u8>(), any::<u8>());
    prop_oneof![
        // By chance alone some lines of the table would hardly ever be met.
        60 => turn.prop_map(|(state, entry, line)| Step::Turn { state, entry, line }),
        12 => enqueue(),
        4 => (any::<u8>(), any::<u8>()).prop_map(|(message, mask)| Step::Open { message, mask }),
        8 => settle(),
        6 => (picks(), action()).prop_map(|(entries, action)| Step::Act { entries, action }),
        2 => (what(), 1..5usize).prop_map(|(what, limit)| Step::Flush { what, limit }),
        2 => (picks(), prop::bool::weighted(0.2), 1..5000u64)
            .prop_map(|(entries, is_late, seconds)| Step::Postpone { entries, is_late, seconds }),
        4 => (picks(), prop::option::of(0..PEERS.len())).prop_map(|(entries, peer)| Step::Park { entries, peer }),
        8 => prop::sample::select(vec![30, 120, 900, 4000, 8000]).prop_map(|seconds| Step::Pass { seconds }),
        2 => (any::<bool>(), prop::sample::select(vec![100, 86_400, 315_360_000]))
            .prop_map(|(back, seconds)| Step::Jump { back, seconds }),
        2 => any::<bool>().prop_map(|power| Step::Crash { power }),
        3 => (0..25u64).prop_map(|writes| Step::Cut { writes }),
    ]
}

fn enqueue() -> impl Strategy<Value = Step> {
    let to = prop::sample::subsequence((0..RECIPIENTS.len()).collect::<Vec<_>>(), 1..=4);
    let body = prop_oneof![8 => 0..4usize, 1 => Just(4usize)];
    (0..SENDERS.len(), to, body).prop_map(|(sender, to, body)| Step::Enqueue { sender, to, body })
}

fn settle() -> impl Strategy<Value = Step> {
    let said = prop_oneof![1 => Just(None), 5 => said().prop_map(Some)];
    (any::<u8>(), prop::collection::vec(said, 1..5), 0..=2000u32).prop_map(|(message, said, jitter)| Step::Settle {
        message,
        said,
        jitter,
    })
}

fn said() -> impl Strategy<Value = Said> {
    let of = |verdict, stage, code| Just(Said { verdict, stage, code });
    prop_oneof![
        2 => of(Verdict::Delivered, Stage::End, Some(250)),
        2 => of(Verdict::Deferred, Stage::Connect, None),
        2 => of(Verdict::Deferred, Stage::Recipient, Some(450)),
        2 => of(Verdict::Deferred, Stage::End, None),
        2 => of(Verdict::Deferred, Stage::Queue, None),
        2 => of(Verdict::Failed, Stage::Recipient, Some(550)),
        1 => of(Verdict::Failed, Stage::Queue, None),
    ]
}

fn action() -> impl Strategy<Value = Action> {
    let reason = prop::sample::select(vec!["look", "wait"]).prop_map(str::to_owned);
    prop_oneof![
        Just(Action::Retry),
        reason.prop_map(|reason| Action::Hold { reason, until: None }),
        Just(Action::Release),
        Just(Action::Drop),
    ]
}

fn what() -> impl Strategy<Value = What> {
    prop_oneof![
        1 => Just(What::All),
        2 => (0..DOMAINS.len()).prop_map(What::Domain),
        1 => (0..SENDERS.len()).prop_map(What::Sender),
        1 => (0..PEERS.len()).prop_map(What::Peer),
    ]
}
