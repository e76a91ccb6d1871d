//! Random sequences against models that are small enough to be right: what a session of SMTP may be answered, what is in
//! a mailbox after any number of deliveries and POP3 sessions, what IMAP sessions beside each other are told, and what becomes of mail in the queue.
//!
//! `PILLARBOX_MODEL_SEQUENCES` says how many; a sequence that fails is made as short as it can be, and printed.

mod imap;
mod oracle;
mod queue;
mod sessions;
mod visits;

#[path = "../dialogues/certificate.rs"]
#[allow(dead_code, reason = "shared with tests/dialogues")]
mod certificate;
#[path = "../dialogues/house.rs"]
#[allow(dead_code, reason = "shared with tests/dialogues")]
mod house;
#[path = "../world/imap.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod imap_wire;
#[path = "../dialogues/maildrop.rs"]
#[allow(dead_code, reason = "shared with tests/dialogues")]
mod maildrop;
#[path = "../dialogues/stage.rs"]
#[allow(dead_code, reason = "shared with tests/dialogues")]
mod stage;
#[path = "../dialogues/text.rs"]
#[allow(dead_code, reason = "shared with tests/dialogues")]
mod text;
#[path = "../dialogues/wire.rs"]
#[allow(dead_code, reason = "shared with tests/dialogues")]
mod wire;

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use tokio::runtime::Runtime;

/// Sequences of one run, where the environment says nothing.
const SEQUENCES: u32 = 200;

/// Plays random values of a strategy, one of `share` for each of the sequences that the environment asks for, and fails
/// with the shortest that fails.
fn play<S: Strategy>(share: u32, strategy: &S, one: impl AsyncFn(S::Value) -> Result<(), String>) {
    let sequences = std::env::var("PILLARBOX_MODEL_SEQUENCES").ok().map(|text| text.parse().expect("a number"));
    let cases = sequences.unwrap_or(SEQUENCES) / share;
    let runtime = Runtime::new().unwrap();
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 2000, ..Config::default() };
    let result =
        TestRunner::new(config).run(strategy, |value| runtime.block_on(one(value)).map_err(TestCaseError::fail));
    if let Err(failure) = result {
        panic!("{failure}");
    }
    println!("pillarbox: {cases} random sequences");
}
