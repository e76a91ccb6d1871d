use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use tokio::io::duplex;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::base::{MessageId, ModSeq, SystemFlags, Timestamp};
use crate::imap::server::Views;
use crate::mailbox::{Changes, Roster};
use crate::net::Connection;

fn member(uid: u32, flags: u32, modseq: u64) -> Member {
    Member {
        uid: Uid(uid),
        flags: SystemFlags(flags),
        keywords: u128::from(flags >> 5),
        modseq: ModSeq(modseq),
        message: MessageId(uid.into()),
        size_bytes: 1,
        internal_date: Timestamp(0),
    }
}

fn snapshot(uids: impl IntoIterator<Item = u32>, uid_next: u32) -> Snapshot {
    let members = uids.into_iter().map(|uid| member(uid, 0, 1)).collect();
    let keywords = ["a".to_owned(), "b".to_owned()].into();
    Snapshot::new(Roster { uid_validity: 1, uid_next: Uid(uid_next), modseq: ModSeq(1), keywords, members })
}

fn selected(told: Snapshot) -> Selected {
    let view = Views::default().view(MailboxId(1));
    let recent_from = told.uid_next;
    Selected { mailbox: MailboxId(1), read_only: false, told, view, recent_from }
}

fn link() -> Link {
    let (ours, _) = duplex(1);
    let address = "127.0.0.1:143".parse().unwrap();
    Link {
        connection: Connection::memory(ours, address, address),
        idle: Duration::from_secs(1),
        stop: CancellationToken::new(),
        presence: None,
    }
}

/// What the client is told, line by line.
async fn told(
    selected: &mut Selected,
    now: &Snapshot,
    enabled: Enabled,
    expunges: bool,
    silent: &[(Uid, Uid)],
) -> Vec<String> {
    let mut link = link();
    selected.tell(&mut link, now.clone(), enabled, expunges, silent).await.unwrap();
    let text = String::from_utf8(link.output().clone()).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn after(now: &Snapshot, changed: Vec<Member>, expunged: &[(u32, u32)]) -> Snapshot {
    let uid_next = changed.last().map_or(now.uid_next, |last| now.uid_next.max(Uid(last.uid.0 + 1)));
    now.after(&Changes {
        modseq: ModSeq(now.modseq.0 + 1),
        uid_next,
        keywords: Arc::clone(&now.keywords),
        changed,
        expunged: expunged.iter().map(|(first, last)| (Uid(*first), Uid(*last))).collect(),
    })
}

const PLAIN: Enabled = Enabled { condstore: false, utf8: false };
const CONDSTORE: Enabled = Enabled { condstore: true, utf8: false };

async fn check(changed: Vec<Member>, expunged: &[(u32, u32)], enabled: Enabled, expunges: bool, expected: &[&str]) {
    let before = snapshot([1, 2, 3, 7], 8);
    let now = after(&before, changed, expunged);
    let mut selected = selected(before);
    assert_eq!(told(&mut selected, &now, enabled, expunges, &[]).await, expected);
    assert_eq!(told(&mut selected, &now, enabled, expunges, &[]).await, [] as [&str; 0], "it is told once");
}

#[tokio::test]
async fn what_has_changed_is_told_in_order() {
    check(vec![], &[], PLAIN, true, &[]).await;
    check(vec![member(8, 0, 2), member(9, 0, 2)], &[], PLAIN, false, &["* 6 EXISTS", "* 2 RECENT"]).await;
    check(vec![], &[(2, 3)], PLAIN, true, &["* 3 EXPUNGE", "* 2 EXPUNGE"]).await;
    check(vec![], &[(2, 3)], PLAIN, false, &[]).await;
    let seen = member(7, SystemFlags::SEEN.0, 2);
    check(vec![seen], &[], PLAIN, false, &["* 4 FETCH (UID 7 FLAGS (\\Seen))"]).await;
    check(vec![seen], &[], CONDSTORE, false, &["* 4 FETCH (UID 7 FLAGS (\\Seen) MODSEQ (2))"]).await;
    // Numbers are those behind the removals where these are told.
    check(vec![seen], &[(1, 1)], PLAIN, true, &["* 1 EXPUNGE", "* 3 FETCH (UID 7 FLAGS (\\Seen))"]).await;
    check(vec![seen], &[(1, 1)], PLAIN, false, &["* 4 FETCH (UID 7 FLAGS (\\Seen))"]).await;
    // The same flags again are told only to those who keep the modseq.
    check(vec![member(1, 0, 5)], &[], PLAIN, true, &[]).await;
    check(vec![member(1, 0, 5)], &[], CONDSTORE, true, &["* 1 FETCH (UID 1 MODSEQ (5))"]).await;
    let come = vec![member(3, 0b10_0000, 2), member(8, 0, 2)];
    let expected = ["* 1 EXPUNGE", "* 4 EXISTS", "* 1 RECENT", "* 2 FETCH (UID 3 FLAGS (a))"];
    check(come, &[(1, 1)], PLAIN, true, &expected).await;
}

#[tokio::test]
async fn what_the_client_did_itself_is_taken_over_without_a_word() {
    let before = snapshot([1, 2, 3, 7], 8);
    let now = after(&before, vec![member(2, 8, 2), member(3, 8, 2), member(7, 8, 2)], &[]);
    let mut selected = selected(before);
    let seen = told(&mut selected, &now, PLAIN, false, &[(Uid(1), Uid(2)), (Uid(7), Uid(7))]).await;
    assert_eq!(seen, ["* 3 FETCH (UID 3 FLAGS (\\Deleted))"]);
    assert_eq!(selected.told.at(2).unwrap().flags, SystemFlags::DELETED);
}

#[tokio::test]
async fn new_keywords_are_named_before_they_are_used() {
    let before = snapshot([1], 2);
    let mut now = after(&before, vec![member(1, 0b100 << 5, 2)], &[]);
    now.keywords = ["a", "b", "$Junk"].map(str::to_owned).into();
    let mut selected = selected(before);
    let seen = told(&mut selected, &now, PLAIN, false, &[]).await;
    assert_eq!(seen.len(), 3);
    assert!(seen[0].starts_with("* FLAGS (") && seen[0].contains(" $Junk)"), "{seen:?}");
    assert!(seen[1].starts_with("* OK [PERMANENTFLAGS (") && seen[1].contains(" $Junk \\*)]"), "{seen:?}");
    assert_eq!(seen[2], "* 1 FETCH (UID 1 FLAGS ($Junk))");
}

#[test]
fn sets_find_their_messages() {
    let selected = selected(snapshot([1, 2, 3, 7, 9], 10));
    let targets = |ranges: &[(Star, Star)], is_uid| {
        let set = SequenceSet { ranges: ranges.to_vec() };
        let targets = selected.targets(&MessageSet { set, is_uid });
        targets.map(|targets| targets.iter().map(|target| (target.number, target.member.uid.0)).collect::<Vec<_>>())
    };
    let number = Star::Number;
    let all = [(1, 1), (2, 2), (3, 3), (4, 7), (5, 9)];
    assert_eq!(targets(&[(number(1), Star::Highest)], false).unwrap(), all);
    assert_eq!(targets(&[(number(1), Star::Highest)], true).unwrap(), all);
    assert_eq!(targets(&[(number(4), number(2))], false).unwrap(), all[1..4]);
    assert_eq!(targets(&[(number(4), number(7)), (number(1), number(1))], true).unwrap(), [(1, 1), (4, 7)]);
    assert_eq!(targets(&[(number(5), number(6))], true).unwrap(), []);
    assert_eq!(targets(&[(number(5), number(6))], false), None);
    // RFC 9051 §9: n:* always holds the highest UID.
    assert_eq!(targets(&[(number(100), Star::Highest)], true).unwrap(), [(5, 9)]);
    assert_eq!(targets(&[(number(1), number(u32::MAX))], true).unwrap(), all);
    assert_eq!(targets(&[(number(100), Star::Highest)], false), None);
    let empty = super::tests::selected(snapshot([], 1));
    let set = |is_uid| MessageSet { set: SequenceSet { ranges: vec![(number(1), Star::Highest)] }, is_uid };
    assert!(empty.targets(&set(true)).unwrap().is_empty() && empty.targets(&set(false)).is_none());
}

/// A client that knows of its mailbox what it was told: a UID and the flags of each message.
#[derive(Default)]
struct Client(Vec<(u32, String)>);

impl Client {
    /// Takes a line in; a real client would fetch what it does not know of messages that came.
    fn hear(&mut self, line: &str, selected: &Selected) {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        match words[..] {
            ["*", number, "EXPUNGE"] => drop(self.0.remove(number.parse::<usize>().unwrap() - 1)),
            ["*", count, "EXISTS"] => {
                assert!(count.parse::<usize>().unwrap() > self.0.len(), "only EXPUNGE takes messages away");
                self.0.truncate(count.parse().unwrap());
                let known = u32::try_from(self.0.len()).unwrap();
                let come = selected.told.iter_from(known + 1);
                self.0.extend(come.map(|(_, member)| (member.uid.0, flags(selected, member))));
                assert_eq!(self.0.len(), count.parse::<usize>().unwrap());
            }
            ["*", _, "RECENT"] => {}
            ["*", number, "FETCH", rest] => {
                let (uid, flags) = rest.strip_prefix("(UID ").unwrap().split_once(" FLAGS ").unwrap();
                let known = &mut self.0[number.parse::<usize>().unwrap() - 1];
                assert_eq!(known.0, uid.parse::<u32>().unwrap(), "the number is that of the message");
                known.1 = flags[..flags.len() - 1].to_owned();
            }
            _ => panic!("{line}"),
        }
    }
}

fn flags(selected: &Selected, member: &Member) -> String {
    let mut out = Vec::new();
    write_flags(&mut out, selected, member);
    String::from_utf8(out).unwrap()
}

/// The state that the client believes in.
fn state(snapshot: &Snapshot, selected: &Selected) -> Vec<(u32, String)> {
    snapshot.iter().map(|(_, member)| (member.uid.0, flags(selected, member))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever happens to a mailbox, and whenever a client is told: what it is told reproduces the mailbox.
    #[test]
    fn what_is_told_reproduces_the_mailbox(
        first in 0..300_u32,
        steps in proptest::collection::vec((0..4_u8, 0..600_u32, 0..60_u32, 0..128_u32, 0..4_u8), 1..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut now = snapshot(1..=first, first + 1);
        let mut selected = selected(now.clone());
        let mut client = Client(state(&now, &selected));
        for (what, uid, count, bits, tells) in steps {
            let modseq = now.modseq.0 + 1;
            now = match what {
                0 => after(&now, (now.uid_next.0..).take(count as usize).map(|uid| member(uid, 0, modseq)).collect(), &[]),
                1 => after(&now, vec![], &[(uid, uid + count)]),
                _ => {
                    let hit = now.iter().map(|(_, member)| member.uid.0).filter(|hit| (uid..=uid + count).contains(hit));
                    after(&now, hit.map(|uid| member(uid, bits, modseq)).collect(), &[])
                }
            };
            if tells == 0 {
                continue;
            }
            let expunges = tells == 1;
            let lines = runtime.block_on(told(&mut selected, &now, PLAIN, expunges, &[]));
            for line in &lines {
                prop_assert!(expunges || !line.ends_with("EXPUNGE"), "{line}");
                client.hear(line, &selected);
            }
            prop_assert_eq!(&client.0, &state(&selected.told, &selected));
            if expunges {
                prop_assert_eq!(&client.0, &state(&now, &selected));
            }
        }
    }
}
