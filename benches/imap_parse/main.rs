//! How long an IMAP command takes to be read: nanoseconds from the octets of a read buffer to a value, beside imap-codec
//! in the same run.
//!
//! Both take turns, command by command, in many rounds, each so short that another program rarely falls into it; the
//! median round counts. Ours is the framer and the parser together, as a session uses them; imap-codec does both in one.
//!
//! `cargo bench --bench imap_parse`

use std::hint::black_box;
use std::time::{Duration, Instant};

use imap_codec::CommandCodec;
use imap_codec::decode::Decoder;
use pillarbox::imap::wire::{Frame, Framer, parse};

const ROUNDS: usize = 301;
/// How long one side reads the same command in a round.
const ROUND: Duration = Duration::from_micros(300);

const COMMANDS: &[(&str, &str)] = &[
    ("noop", "a1 NOOP\r\n"),
    ("flags of all", "a1 UID FETCH 1:* (FLAGS)\r\n"),
    (
        "overview",
        "a1 UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS (DATE FROM SENDER SUBJECT TO CC \
         MESSAGE-ID REFERENCES CONTENT-TYPE IN-REPLY-TO REPLY-TO)])\r\n",
    ),
    ("a body", "a1 UID FETCH 4711 (UID RFC822.SIZE BODY.PEEK[])\r\n"),
    ("a set of 100", ""),
    ("store", "a1 UID STORE 4711 +FLAGS.SILENT (\\Seen)\r\n"),
    ("search", "a1 UID SEARCH UNSEEN SINCE 1-Feb-1994 NOT FROM \"Smith\" SUBJECT \"meeting\"\r\n"),
    ("status", "a1 STATUS \"Lists/a\" (MESSAGES UIDNEXT UIDVALIDITY UNSEEN)\r\n"),
    ("login", "a1 LOGIN alice@example.test \"correct horse\"\r\n"),
];

fn main() {
    let set: Vec<String> = (1..=100).map(|number| format!("{}:{}", number * 10, number * 10 + 3)).collect();
    let large = format!("a1 UID FETCH {} (FLAGS)\r\n", set.join(","));
    println!("{:<14} {:>9} {:>12} {:>8}", "", "ours", "imap-codec", "ratio");
    for (name, command) in COMMANDS {
        let command = if command.is_empty() { large.as_bytes() } else { command.as_bytes() };
        let mut framer = Framer::new();
        let codec = CommandCodec::default();
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            ours.push(nanoseconds(|| read(&mut framer, command)));
            theirs.push(nanoseconds(|| drop(black_box(codec.decode(black_box(command)).expect("a command")))));
        }
        let (ours, theirs) = (median(ours), median(theirs));
        println!("{name:<14} {ours:>6.0} ns {theirs:>9.0} ns {:>7.1}×", theirs / ours);
    }
}

fn read(framer: &mut Framer, input: &[u8]) {
    let (frame, used) = framer.next(black_box(input), 1 << 20);
    assert_eq!((frame, used), (Frame::Command, input.len()));
    let command = framer.take();
    drop(black_box(parse(&command).expect("a command")));
    framer.recycle(command);
}

/// How long one call takes, over a round of them.
fn nanoseconds(mut call: impl FnMut()) -> f64 {
    let (begun, mut calls) = (Instant::now(), 0_u32);
    while begun.elapsed() < ROUND {
        for _ in 0..20 {
            call();
        }
        calls += 20;
    }
    begun.elapsed().as_nanos() as f64 / f64::from(calls)
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
