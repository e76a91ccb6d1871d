//! Input that was made to hurt: it is refused. The sizes are such that work that grows with their square would not end.

use proptest::prelude::*;

use super::super::*;
use crate::base::limits;

fn check(command: &str, expected: Option<&str>) {
    let seen = parse(command.as_bytes()).map(|_| ()).map_err(|error| error.what);
    let shown: String = command.chars().take(60).collect();
    match expected {
        None => assert_eq!(seen, Ok(()), "{shown}…"),
        Some(expected) => assert!(seen.is_err_and(|what| what.contains(expected)), "{shown}…: {seen:?}"),
    }
}

#[test]
fn nothing_nests_deeply() {
    for (open, close) in [("(", ")"), ("NOT ", ""), ("OR SEEN ", ""), ("OR ", " SEEN")] {
        let nested = |depth: usize| format!("a SEARCH {}SEEN{}", open.repeat(depth), close.repeat(depth));
        check(&nested(limits::IMAP_DEPTH), None);
        check(&nested(limits::IMAP_DEPTH + 1), Some("nested too deeply"));
        check(&nested(1_000_000), Some("nested too deeply"));
    }
    let parentheses = "(".repeat(1_000_000);
    for verb in
        ["FETCH 1", "STORE 1 FLAGS", "LIST", "LIST \"\"", "STATUS a", "ID", "SELECT a", "CREATE a", "SEARCH RETURN"]
    {
        check(&format!("a {verb} {parentheses}"), Some(""));
    }
}

#[test]
fn nothing_is_too_much() {
    let many =
        |begin: &str, item: &str, count: usize| format!("a {begin}{}{item})", format!("{item} ").repeat(count - 1));
    for (begin, item) in [
        ("FETCH 1 (", "FLAGS"),
        ("STORE 1 FLAGS (", "x"),
        ("LIST \"\" (", "x"),
        ("STATUS a (", "UNSEEN"),
        ("SEARCH (", "SEEN"),
    ] {
        check(&many(begin, item, limits::IMAP_ITEMS - 1), None);
        check(&many(begin, item, limits::IMAP_ITEMS + 1), Some("too many"));
        check(&many(begin, item, 100_000), Some("too many"));
    }
    check(&format!("a SEARCH{}", " SEEN".repeat(limits::IMAP_ITEMS)), None);
    check(&format!("a SEARCH{}", " SEEN".repeat(limits::IMAP_ITEMS + 1)), Some("too many keys"));
    check(&format!("a STORE 1 FLAGS{}", " x".repeat(limits::IMAP_ITEMS + 1)), Some("too many flags"));
    check(&format!("a ENABLE{}", " x".repeat(limits::IMAP_ITEMS + 1)), Some("too many capabilities"));
    check(&format!("a FETCH {} FLAGS", vec!["1"; limits::SEQUENCE_RANGES].join(",")), None);
    check(&format!("a FETCH {} FLAGS", vec!["1"; 1_000_000].join(",")), Some("too many ranges"));
    check(&format!("a FETCH {} FLAGS", "9".repeat(1_000_000)), Some("too large"));
    check(&format!("a FETCH 1 BODY[{}]", vec!["1"; 1_000_000].join(".")), Some("too many numbers"));
    check(&format!("a LOGIN a {}", "x".repeat(1_000_000)), None);
    check(&format!("a LOGIN a \"{}\"", "\\\\".repeat(1_000_000)), None);
    check(&format!("a{}NOOP", " ".repeat(1_000_000)), None);
    check(&format!("{} NOOP", "a".repeat(1_000_000)), None);
}

#[test]
fn a_set_of_many_ranges_is_resolved_at_once() {
    let ranges: Vec<(Star, Star)> =
        (1..=100_000_u32).rev().map(|number| (Star::Number(number * 2), Star::Highest)).collect();
    assert_eq!(SequenceSet { ranges }.resolve(500_000), [(2, 500_000)]);
}

#[test]
fn a_pattern_of_wildcards_does_not_explode() {
    let name = "a".repeat(limits::MAILBOX_NAME_BYTES);
    for wildcards in ["*a", "%a", "*", "%", "*%", "a*a%"] {
        let pattern = wildcards.repeat(limits::MAILBOX_NAME_BYTES / wildcards.len());
        assert!(!matches(&format!("{pattern}b"), &name));
    }
}

#[test]
fn octets_one_by_one_are_framed_at_once() {
    let command = format!("a FETCH {} FLAGS\r\n", vec!["1"; 100_000].join(","));
    let mut framer = Framer::new();
    let found = command.as_bytes().chunks(1).filter(|octet| framer.next(octet, 1 << 20).0 == Frame::Command).count();
    assert_eq!(found, 1);
}

proptest! {
    #[test]
    fn no_octets_make_the_parser_panic(
        verb in prop::sample::select(vec!["FETCH 1", "UID STORE 1", "SEARCH", "LIST", "STATUS", "ID", "APPEND", "LOGIN", "CREATE", "SETQUOTA", ""]),
        rest in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..60),
            prop::collection::vec(prop::sample::select(b" ()\"{}[]<>\\*%+-.:,\r\n019aZ~".as_slice()), 0..60),
        ],
    ) {
        let command = [b"a ", verb.as_bytes(), b" ", &rest].concat();
        let _ = parse(&command);
        let _ = append(&command);
        let _ = append_rest(&rest, rest.len() % 2 == 0);
        let _ = mailbox_name(&rest, false);
        let _ = mailbox_pattern(&rest, true);
    }
}
