use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::base::{MessageId, Timestamp};

fn member(uid: u32, flags: u32, modseq: u64) -> Member {
    Member {
        uid: Uid(uid),
        flags: SystemFlags(flags),
        keywords: 0,
        modseq: ModSeq(modseq),
        message: MessageId(uid.into()),
        size_bytes: u64::from(uid) * 10,
        internal_date: Timestamp(0),
    }
}

fn snapshot(members: &[Member], keywords: &[&str]) -> Snapshot {
    Snapshot::new(Roster {
        uid_validity: 7,
        uid_next: Uid(members.last().map_or(1, |last| last.uid.0 + 1)),
        modseq: ModSeq(1),
        keywords: keywords.iter().map(|name| (*name).to_owned()).collect(),
        members: members.to_vec(),
    })
}

fn change(snapshot: &Snapshot, changed: Vec<Member>, expunged: Vec<(u32, u32)>) -> Snapshot {
    let uid_next = changed.last().map_or(snapshot.uid_next, |last| snapshot.uid_next.max(Uid(last.uid.0 + 1)));
    snapshot.after(&Changes {
        modseq: ModSeq(snapshot.modseq.0 + 1),
        uid_next,
        keywords: Arc::clone(&snapshot.keywords),
        changed,
        expunged: expunged.into_iter().map(|(first, last)| (Uid(first), Uid(last))).collect(),
    })
}

/// Everything that can be asked of it agrees with the list of its messages.
fn check(snapshot: &Snapshot, expected: &BTreeMap<u32, Member>) {
    let all: Vec<Member> = expected.values().copied().collect();
    assert_eq!(snapshot.len(), all.len());
    assert!(snapshot.iter().map(|(number, member)| (number, *member)).eq((1..).zip(all.iter().copied())));
    let mut before = 0;
    for run in snapshot.runs.iter() {
        assert!((1..=RUN_MEMBERS).contains(&run.members.len()) && run.before as usize == before);
        before += run.members.len();
    }
    for (number, member) in (1..).zip(&all) {
        assert_eq!(snapshot.at(number), Some(member));
        assert_eq!(snapshot.number_of(member.uid), Some(number));
    }
    let count = u32::try_from(all.len()).unwrap();
    assert_eq!((snapshot.at(0), snapshot.at(count + 1)), (None, None));
    let last = all.last().map_or(0, |last| last.uid.0);
    for uid in (0..last + 3).step_by(1 + last as usize / 100) {
        let first = all.iter().position(|member| member.uid.0 >= uid).unwrap_or(all.len());
        assert_eq!(snapshot.first_from(Uid(uid)) as usize, first + 1, "uid {uid}");
        assert_eq!(snapshot.number_of(Uid(uid)).is_some(), expected.contains_key(&uid));
    }
    for number in (1..count + 3).step_by(1 + count as usize / 50) {
        let rest = all.iter().skip(number as usize - 1);
        assert!(snapshot.iter_from(number).map(|(_, member)| member).eq(rest), "from {number}");
    }
    let unseen = all.iter().position(|member| !member.flags.has(SystemFlags::SEEN));
    assert_eq!(snapshot.first_unseen().map(|number| number as usize - 1), unseen);
}

/// A member-by-member comparison.
fn naive(old: &BTreeMap<u32, Member>, new: &BTreeMap<u32, Member>) -> Difference {
    let numbered = || (1..).zip(old.values());
    Difference {
        removed: numbered().filter(|(_, was)| !new.contains_key(&was.uid.0)).map(|(number, _)| number).collect(),
        changed: numbered()
            .filter_map(|(number, was)| new.get(&was.uid.0).filter(|is| *is != was).map(|is| (number, *was, *is)))
            .collect(),
        added: new.values().filter(|is| !old.contains_key(&is.uid.0)).copied().collect(),
    }
}

/// One step of a mailbox's life.
#[derive(Debug, Clone)]
enum Step {
    Add(u32),
    Expunge(u32, u32),
    Flag(u32, u32, u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (1..400_u32).prop_map(Step::Add),
        1 => (1..10_u32).prop_map(Step::Add),
        3 => (0..3000_u32, 0..300_u32).prop_map(|(first, count)| Step::Expunge(first, first + count)),
        2 => (0..3000_u32, 0..5_u32).prop_map(|(first, count)| Step::Expunge(first, first + count)),
        3 => (0..3000_u32, 0..200_u32, 0..32_u32).prop_map(|(first, count, flags)| Step::Flag(first, first + count, flags)),
    ];
    proptest::collection::vec(step, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_life_of_a_mailbox_is_followed(first in 0..1500_u32, steps in steps(), skipped in 1..6_usize) {
        let mut expected: BTreeMap<u32, Member> = (1..=first).map(|uid| (uid, member(uid, 0, 1))).collect();
        let mut now = snapshot(&expected.values().copied().collect::<Vec<_>>(), &[]);
        let mut uid_next = first + 1;
        let mut told = (now.clone(), expected.clone());
        check(&now, &expected);
        for (count, step) in steps.iter().enumerate() {
            let modseq = now.modseq.0 + 1;
            let (mut changed, mut expunged) = (Vec::new(), Vec::new());
            match *step {
                Step::Add(count) => {
                    changed.extend((uid_next..uid_next + count).map(|uid| member(uid, 0, modseq)));
                    uid_next += count;
                }
                Step::Expunge(first, last) => expunged.push((first, last)),
                Step::Flag(first, last, flags) => {
                    changed.extend(expected.range(first..=last).map(|(uid, _)| member(*uid, flags, modseq)));
                }
            }
            expected.retain(|uid, _| !expunged.iter().any(|(first, last)| (first..=last).contains(&uid)));
            expected.extend(changed.iter().map(|member| (member.uid.0, *member)));
            now = change(&now, changed, expunged);
            if count % skipped == 0 {
                check(&now, &expected);
                prop_assert_eq!(told.0.difference(&now), naive(&told.1, &expected));
                // With what was removed, the numbers of the earlier moment still hold.
                let removed = told.0.difference(&now).removed;
                let mut both = expected.clone();
                both.extend(told.1.iter().filter(|(uid, _)| !expected.contains_key(uid)));
                check(&now.with_removed(&told.0, &removed), &both);
                told = (now.clone(), expected.clone());
            }
        }
    }
}

#[test]
fn what_does_not_change_is_shared() {
    let members: Vec<Member> = (1..=10_000).map(|uid| member(uid, 0, 1)).collect();
    let before = snapshot(&members, &[]);
    let copied = |after: &Snapshot| {
        let is_shared = |run: &Run| before.runs.iter().any(|old| Arc::ptr_eq(&old.members, &run.members));
        after.runs.iter().filter(|run| !is_shared(run)).count()
    };
    assert_eq!(copied(&change(&before, vec![member(5000, 1, 2)], vec![])), 1);
    assert_eq!(copied(&change(&before, vec![], vec![(5000, 5000)])), 1);
    assert_eq!(copied(&change(&before, vec![member(10_001, 0, 2)], vec![])), 1);
    assert_eq!(copied(&change(&before, vec![], vec![(20_000, 30_000)])), 0);
    // A mailbox that is emptied to the last is a mailbox.
    let empty = change(&before, vec![], vec![(1, 10_000)]);
    assert_eq!((empty.len(), empty.runs.len(), empty.first_unseen()), (0, 0, None));
    check(&change(&empty, vec![member(10_001, 0, 3)], vec![]), &BTreeMap::from([(10_001, member(10_001, 0, 3))]));
}

#[test]
fn messages_that_come_one_by_one_fill_runs() {
    let mut now = snapshot(&[], &[]);
    let mut expected = BTreeMap::new();
    for uid in 1..=2000 {
        expected.insert(uid, member(uid, 0, 1));
        now = change(&now, vec![member(uid, 0, 1)], vec![]);
    }
    check(&now, &expected);
    assert!(now.runs.len() <= 2 * 2000 / RUN_MEMBERS + 1, "{} runs", now.runs.len());
}

#[test]
fn a_bit_that_gets_another_name_is_a_change() {
    let with = |bits: u128| Member { keywords: bits, ..member(1, 0, 1) };
    let before = snapshot(&[with(0b11), member(2, 0, 1)], &["old", "kept"]);
    let after = Snapshot { keywords: ["new".to_owned(), "kept".to_owned()].into(), ..before.clone() };
    assert_eq!(before.difference(&after).changed, [(1, with(0b11), with(0b11))]);
    let longer = Snapshot { keywords: ["old", "kept", "more"].map(str::to_owned).into(), ..before.clone() };
    assert_eq!(before.difference(&longer), Difference::default());
}
