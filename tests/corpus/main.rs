//! A mailbox of thousands of messages, real, awkward and generated: each comes back byte for byte, also in sections, and
//! what is told of it (ENVELOPE, BODYSTRUCTURE) is what Dovecot and the crate mail-parser read in it; where they read
//! something else, the table in `known.rs` says why.
//!
//! `PILLARBOX_CORPUS_MESSAGES` says how many; 10,000 where it says nothing. With `PILLARBOX_AGAINST=dovecot` a second Dovecot stands
//! in for ours, which proves the test itself. `PILLARBOX_CORPUS_SHOW=N` prints N examples of each kind of difference, and
//! `PILLARBOX_CORPUS_KEEP=FOLDER` keeps the messages of the unknown ones.

mod compare;
#[path = "../world/dovecot.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod dovecot;
mod generate;
#[path = "../world/imap.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod imap;
mod independent;
mod known;
mod mails;
mod report;
mod sections;
#[path = "../interop/site.rs"]
#[allow(dead_code, reason = "shared with tests/interop")]
mod site;
mod size;
mod stand;
#[path = "../interop/wire.rs"]
#[allow(dead_code, reason = "shared with tests/interop")]
mod wire;

use std::time::Instant;

use compare::Comparison;
use imap::{Imap, Value, item};
use known::Other;
use mails::Mail;
use report::Report;
use stand::{Stand, USER};

/// Messages of one run, where the environment says nothing.
const MESSAGES: usize = 10_000;
/// Messages that are asked for by one command.
const AT_A_TIME: usize = 100;

#[test]
fn every_message_comes_back_and_is_read_as_others_read_it() {
    let count = std::env::var("PILLARBOX_CORPUS_MESSAGES").map_or(MESSAGES, |text| text.parse().expect("a number"));
    let began = Instant::now();
    let mut mails = mails::gather(count);
    let stand = Stand::open();
    let mut clock = began;
    let mut lap = |what: &str| {
        site::say(&format!("corpus: {what}: {:.1} s", clock.elapsed().as_secs_f64()));
        clock = Instant::now();
    };
    lap("gathered, servers started");
    stand.store(&mails);
    lap("stored");
    let mut ours = Imap::login(stand.ours(), USER, site::PASSWORD).expect("ours lets in");
    let selected = ours.ok("SELECT INBOX").expect("INBOX opens");
    let there = selected.untagged.iter().find_map(|response| response.counted("EXISTS"));
    assert_eq!(there, u32::try_from(mails.len()).ok(), "every message is there");
    come_back(&mut ours, &mut mails);
    lap("compared byte for byte");
    let mut theirs = stand.copy_to_peer(&mails);
    lap("appended to Dovecot");

    let mut report = Report::default();
    for (at, mail) in mails.chunks(AT_A_TIME).enumerate() {
        let first = at * AT_A_TIME + 1;
        let ask = format!("FETCH {first}:{} (RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY)", first + mail.len() - 1);
        let (our_answers, their_answers) = (answers(&mut ours, &ask), answers(&mut theirs, &ask));
        for ((mail, our_items), (place, their_items)) in
            mail.iter().zip(our_answers).zip(their_answers.into_iter().enumerate())
        {
            let number = first + place;
            let mut three = Three { mail, number, ours: &mut ours, theirs: &mut theirs, report: &mut report };
            three.compare(&our_items, &their_items, stand.is_pillarbox());
        }
    }
    lap("compared with Dovecot and mail-parser");
    ours.ok("LOGOUT").expect("LOGOUT answers");
    let summary = report.close();
    println!("pillarbox: {} messages in one mailbox came back byte for byte; {summary}", mails.len());
}

/// One message, as ours, Dovecot and mail-parser read it.
struct Three<'a> {
    mail: &'a Mail,
    number: usize,
    ours: &'a mut Imap,
    theirs: &'a mut Imap,
    report: &'a mut Report,
}

impl Three<'_> {
    fn compare(&mut self, our_items: &[Value], their_items: &[Value], is_pillarbox: bool) {
        let mut with_dovecot = Comparison::default();
        compare_items(&mut with_dovecot, our_items, their_items);
        let mut with_dovecot = with_dovecot.differences;
        let same_parts = !with_dovecot.iter().any(|found| found.at.ends_with("type") || found.at.ends_with("parts"));
        let structure = item(our_items, "BODYSTRUCTURE").expect("a BODYSTRUCTURE");
        let sections = sections::fetch(self.ours, self.number, structure);
        if is_pillarbox {
            self.report.add(Other::Ourselves, self.mail, sections::compare_with_whole(self.mail, &sections));
        }
        if same_parts {
            let theirs = sections::fetch(self.theirs, self.number, structure);
            with_dovecot.extend(sections::compare(&sections, &theirs));
        }
        let envelope = item(our_items, "ENVELOPE").expect("an ENVELOPE");
        let with_parser = sections::compare_with_reading(self.mail, envelope, structure, &sections);
        // Of three that read, two agree.
        let (agreed, alone) =
            with_parser.into_iter().partition(|found| same_parts && sections::is_outvoted(found, &with_dovecot));
        self.report.outvote(agreed);
        self.report.add(Other::Dovecot, self.mail, with_dovecot);
        self.report.add(Other::MailParser, self.mail, alone);
    }
}

/// The items of each FETCH response, in the order of the numbers.
fn answers(session: &mut Imap, ask: &str) -> Vec<Vec<Value>> {
    let answer = session.ok(ask).expect("FETCH answers");
    let mut all: Vec<(u32, Vec<Value>)> = answer.fetches().map(|(number, items)| (number, items.to_vec())).collect();
    all.sort_by_key(|(number, _)| *number);
    all.into_iter().map(|(_, items)| items).collect()
}

/// Every message is as it was sent, below what delivery adds, whole and by header and text; from here on each mail's
/// content is what is stored.
fn come_back(session: &mut Imap, mails: &mut [Mail]) {
    for (at, mails) in mails.chunks_mut(AT_A_TIME).enumerate() {
        let first = at * AT_A_TIME + 1;
        let ask = format!(
            "FETCH {first}:{} (RFC822.SIZE BODY.PEEK[] BODY.PEEK[HEADER] BODY.PEEK[TEXT])",
            first + mails.len() - 1
        );
        let answers = answers(session, &ask);
        assert_eq!(answers.len(), mails.len(), "{ask}");
        for (mail, items) in mails.iter_mut().zip(answers) {
            let bytes = |name: &str| item(&items, name).and_then(Value::bytes).unwrap_or_default().to_vec();
            let whole = bytes("BODY[]");
            match mail.by_smtp {
                true => assert!(whole.ends_with(&mail.content), "{} came by SMTP and is not as it was sent", mail.name),
                false => assert!(whole == mail.content, "{} was appended and is not as it was sent", mail.name),
            }
            assert_eq!(item(&items, "RFC822.SIZE").and_then(Value::number), Some(whole.len() as u64), "{}", mail.name);
            assert!(
                [bytes("BODY[HEADER]"), bytes("BODY[TEXT]")].concat() == whole,
                "{}: HEADER and TEXT are not it",
                mail.name
            );
            mail.content = whole;
        }
    }
}

fn compare_items(comparison: &mut Comparison, ours: &[Value], theirs: &[Value]) {
    let of = |items: &[Value], name: &str| item(items, name).cloned().unwrap_or_else(|| panic!("{name} in {items:?}"));
    comparison.equal("size", &of(ours, "RFC822.SIZE"), &of(theirs, "RFC822.SIZE"));
    comparison.envelope("", &of(ours, "ENVELOPE"), &of(theirs, "ENVELOPE"));
    comparison.body("", &of(ours, "BODYSTRUCTURE"), &of(theirs, "BODYSTRUCTURE"));
    // BODY is BODYSTRUCTURE without the extension data: a difference of its own only where that has none.
    let mut without = Comparison::default();
    without.body("", &of(ours, "BODY"), &of(theirs, "BODY"));
    let known: Vec<String> = comparison.differences.iter().map(|found| found.at.clone()).collect();
    comparison.differences.extend(without.differences.into_iter().filter(|found| !known.contains(&found.at)).map(
        |mut found| {
            found.at = format!("BODY {}", found.at);
            found
        },
    ));
}
