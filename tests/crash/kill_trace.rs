//! Random histories of mail, told by the trace: messages come in and are refused, go out and are refused, wait, are held,
//! dropped, bounced and sent once more by operators, are fetched by a peer in swapped sessions, are moved, copied and deleted
//! by IMAP and POP3, and the process is killed in between.
//! A model of a few lines says what is true; at the end GET /trace must say the same of every recipient of every message,
//! in outcome and verdict.

mod model;
mod world;

use pillarbox::base::{Random, SeededRandom};

use crate::kill::{count_from_environment, seed};
use crate::site::say;
use model::Model;
use world::World;

/// Histories of one run; 4 in tests/all, 100 on demand: `PILLARBOX_TRACE_HISTORIES`.
const HISTORIES: u64 = 1;
/// Steps of a history.
const STEPS: u64 = 120;

#[test]
fn the_trace_tells_the_truth() {
    let seed = seed();
    let histories = count_from_environment("PILLARBOX_TRACE_HISTORIES", HISTORIES);
    let mut seen = model::Seen::default();
    for number in 0..histories {
        let mut random = SeededRandom::new(seed.wrapping_add(number));
        let (mut world, mut model) = (World::new(), Model::default());
        for _ in 0..STEPS {
            world.step(&mut model, &mut random);
        }
        world.settle(&model);
        world.compare(&model, &mut seen);
        world.close();
    }
    say(&format!("pillarbox: {histories} histories: {seen}"));
    seen.assert_rich();
}

/// One of so many.
fn pick(random: &SeededRandom, count: usize) -> usize {
    usize::try_from(random.next_u64() % count as u64).expect("below a usize")
}
