use super::*;
use crate::base::{AccountId, MailboxId, ModSeq, Uid};
use crate::mailbox::{Mailbox, SpecialUse};

/// The folders of a test, one a word: `name`, with `+` when it is subscribed to, `!` when there is no such mailbox, `$`
/// when it has a special use.
fn folders(words: &str) -> Vec<Folder> {
    let names: Vec<_> = words.split(' ').map(|word| word.trim_end_matches(['+', '!', '$'])).collect();
    let folder = |(word, name): (&str, &&str)| {
        let below = format!("{name}/");
        Folder {
            mailbox: (!word.contains('!')).then(|| (MailboxId(1), mailbox(name, word.contains('$')))),
            name: (*name).to_owned(),
            subscribed: word.contains('+'),
            // Only mailboxes count; in these tests a name that is none has none below it but where it says so.
            has_children: words.split(' ').any(|other| other.starts_with(&below) && !other.contains('!')),
        }
    };
    words.split(' ').zip(&names).map(folder).collect()
}

fn mailbox(name: &str, has_use: bool) -> Mailbox {
    Mailbox {
        account: AccountId(1),
        name: name.to_owned(),
        uid_validity: 1,
        uid_next: Uid(1),
        modseq: ModSeq(1),
        messages: 0,
        size_bytes: 0,
        unseen: 0,
        deleted: 0,
        special_use: has_use.then_some(SpecialUse::Sent),
        log_floor: ModSeq(0),
    }
}

const PLAIN: ListSelection =
    ListSelection { subscribed: false, remote: false, recursive_match: false, special_use: false };
const SUBSCRIBED: ListSelection = ListSelection { subscribed: true, ..PLAIN };
const RECURSIVE: ListSelection = ListSelection { recursive_match: true, ..SUBSCRIBED };

/// What is listed of `words`: `name`, with `-` when it was not asked for itself, `>` when something below was.
#[track_caller]
fn check(words: &str, patterns: &[&str], selection: ListSelection, expected: &str) {
    let folders = folders(words);
    let query = Query::new(patterns.iter().map(|pattern| (*pattern).to_owned()).collect(), selection);
    let listed = query.select(&folders).into_iter().map(|listed| {
        let own = if listed.is_selected { "" } else { "-" };
        let below = if listed.is_above_selected { ">" } else { "" };
        format!("{}{own}{below}", listed.name)
    });
    assert_eq!(listed.collect::<Vec<_>>().join(" "), expected, "{words} {patterns:?} {selection:?}");
}

#[test]
fn list_shows_mailboxes_and_levels() {
    let words = "INBOX a! a/b a/b/c d+ gone!+";
    check(words, &["*"], PLAIN, "INBOX a a/b a/b/c d");
    check(words, &["%"], PLAIN, "INBOX a d");
    check(words, &["a/%"], PLAIN, "a/b");
    check(words, &["%/%/%"], PLAIN, "a/b/c");
    check(words, &["a/*", "d", "*/b"], PLAIN, "a/b a/b/c d");
    check(words, &["gone"], PLAIN, "");
}

#[test]
fn inbox_has_no_case() {
    check("INBOX inb", &["inbox"], PLAIN, "INBOX");
    check("INBOX inb", &["inb%"], PLAIN, "INBOX inb");
    check("INBOX Inb", &["In%x"], PLAIN, "INBOX");
}

#[test]
fn selections_narrow_it_down() {
    let words = "INBOX+ Sent+$ Trash$ gone!+ a a/b+";
    check(words, &["*"], SUBSCRIBED, "INBOX Sent gone a/b");
    check(words, &["%"], SUBSCRIBED, "INBOX Sent gone");
    check(words, &["*"], ListSelection { special_use: true, ..PLAIN }, "Sent Trash");
    check(words, &["*"], ListSelection { special_use: true, ..SUBSCRIBED }, "Sent");
    check(words, &["*"], ListSelection { remote: true, ..PLAIN }, "INBOX Sent Trash a a/b");
}

// RFC 5258 §5, examples 9 and 10
#[test]
fn recursive_match_shows_what_stands_above() {
    let words =
        "foo2 foo2/bar1+ foo2/bar2+ baz2 baz2/bar2+ baz2/bar22+ baz2/bar222+ eps2+ eps2/mamba+ qux2! qux2/bar2+";
    let expected = "foo2-> foo2/bar2 baz2/bar2 baz2/bar22 baz2/bar222 eps2> qux2/bar2";
    check(words, &["*2"], RECURSIVE, expected);
    check("foo foo/bar foo/bar/baz+", &["*"], RECURSIVE, "foo/bar/baz");
    check("foo foo/bar foo/bar/baz+", &["%"], RECURSIVE, "foo->");
    check("foo foo/bar foo/bar/baz+", &["%/%"], RECURSIVE, "foo/bar->");
    check("foo foo/bar+", &["*"], ListSelection { special_use: true, ..RECURSIVE }, "");
}

// RFC 3501 §6.3.9
#[test]
fn a_level_that_nobody_has_is_shown_above_what_is_subscribed_to() {
    check("INBOX+ lost/one!+ lost/two!+", &["%"], RECURSIVE, "INBOX lost->");
    check("INBOX+ lost/one!+ lost/two!+", &["*"], RECURSIVE, "INBOX lost/one lost/two");
}
