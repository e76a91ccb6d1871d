use std::cmp::Ordering;
use std::sync::Arc;

use crate::base::{ModSeq, SystemFlags, Uid};
use crate::mailbox::{Changes, Member, Roster};

/// Messages of a run: what is copied when one of them changes.
const RUN_MEMBERS: usize = 256;
/// A run with fewer is joined to the one before it where there is room.
const RUN_MEMBERS_FEW: usize = 64;

/// A mailbox at a moment. Cheap to clone, and what two moments have in common is kept once: messages lie in runs that are
/// shared until one of them changes.
#[derive(Debug, Clone)]
pub(super) struct Snapshot {
    pub(super) uid_validity: u32,
    pub(super) uid_next: Uid,
    pub(super) modseq: ModSeq,
    pub(super) keywords: Arc<[String]>,
    runs: Arc<[Run]>,
}

/// Some messages that follow each other; never none.
#[derive(Debug, Clone)]
struct Run {
    /// How many messages stand before it.
    before: u32,
    members: Arc<[Member]>,
    /// One of them has no `\Seen`.
    has_unseen: bool,
}

/// What distinguishes a later moment from an earlier one.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Difference {
    /// Numbers, in the earlier one, of messages that are gone; ascending.
    pub(super) removed: Vec<u32>,
    /// Messages whose flags, keywords or modseq are others: the number in the earlier one, what it was, and what it is.
    pub(super) changed: Vec<(u32, Member, Member)>,
    /// Messages that came: their UIDs are higher than those of all before.
    pub(super) added: Vec<Member>,
}

impl Snapshot {
    pub(super) fn new(roster: Roster) -> Self {
        let Roster { uid_validity, uid_next, modseq, keywords, members } = roster;
        let runs = members.chunks(RUN_MEMBERS).map(Arc::from).collect();
        Self { uid_validity, uid_next, modseq, keywords, runs: numbered(runs) }
    }

    /// The same mailbox after these changes.
    pub(super) fn after(&self, changes: &Changes) -> Self {
        let mut expunged = changes.expunged.clone();
        expunged.sort_unstable();
        let mut rest = changes.changed.as_slice();
        let mut runs = Vec::with_capacity(self.runs.len() + 1);
        for run in self.runs.iter() {
            let (first, last) = run.span();
            let changed;
            (changed, rest) = rest.split_at(rest.partition_point(|member| member.uid <= last));
            if changed.is_empty() && !overlaps(&expunged, first, last) {
                push(&mut runs, Arc::clone(&run.members));
            } else {
                let kept = run.members.iter().filter(|member| !overlaps(&expunged, member.uid, member.uid));
                push_all(&mut runs, &merged(kept, changed));
            }
        }
        push_all(&mut runs, rest);
        Self {
            uid_validity: self.uid_validity,
            uid_next: changes.uid_next,
            modseq: changes.modseq,
            // Kept once where they are the same.
            keywords: if self.keywords == changes.keywords { &self.keywords } else { &changes.keywords }.clone(),
            runs: numbered(runs),
        }
    }

    /// The same messages, and those of `earlier` that are in it and not in here any more, as they were.
    pub(super) fn with_removed(&self, earlier: &Self, removed: &[u32]) -> Self {
        let gone: Vec<Member> = removed.iter().filter_map(|number| earlier.at(*number)).copied().collect();
        self.after(&Changes {
            modseq: self.modseq,
            uid_next: self.uid_next,
            keywords: Arc::clone(&self.keywords),
            changed: gone,
            expunged: Vec::new(),
        })
    }

    /// How many messages there are.
    pub(super) fn len(&self) -> usize {
        self.runs.last().map_or(0, |run| run.before as usize + run.members.len())
    }

    /// The message with that number, from 1 on.
    pub(super) fn at(&self, number: u32) -> Option<&Member> {
        let index = number.checked_sub(1)?;
        let run = self.runs.partition_point(|run| run.before <= index).checked_sub(1)?;
        let run = self.runs.get(run)?;
        run.members.get((index - run.before) as usize)
    }

    /// The number of the message with that UID.
    pub(super) fn number_of(&self, uid: Uid) -> Option<u32> {
        let number = self.first_from(uid);
        self.at(number).filter(|member| member.uid == uid).map(|_| number)
    }

    /// The number of the first message whose UID is no lower; one more than there are when there is none.
    pub(super) fn first_from(&self, uid: Uid) -> u32 {
        let run = self.runs.partition_point(|run| run.span().1 < uid);
        let inside = |run: &Run| run.before as usize + run.members.partition_point(|member| member.uid < uid);
        let before = self.runs.get(run).map_or(self.len(), inside);
        u32::try_from(before).unwrap_or(u32::MAX).saturating_add(1)
    }

    /// The number of the first message without `\Seen`.
    pub(super) fn first_unseen(&self) -> Option<u32> {
        let run = self.runs.iter().find(|run| run.has_unseen)?;
        (run.before + 1..).zip(run.members.iter()).find(|(_, member)| is_unseen(member)).map(|(number, _)| number)
    }

    /// Messages in their order, with their numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Member)> {
        (1..).zip(self.runs.iter().flat_map(|run| run.members.iter()))
    }

    /// Messages in their order, with their numbers, beginning with that number.
    pub(super) fn iter_from(&self, number: u32) -> impl Iterator<Item = (u32, &Member)> {
        let first = self.runs.partition_point(|run| run.before < number).saturating_sub(1);
        let runs = self.runs.get(first..).unwrap_or_default();
        let before = runs.first().map_or(0, |run| run.before);
        let skipped = number.saturating_sub(before + 1) as usize;
        (before + 1..).zip(runs.iter().flat_map(|run| run.members.iter())).skip(skipped)
    }

    /// What distinguishes `later` from this. What both share is passed over.
    pub(super) fn difference(&self, later: &Self) -> Difference {
        // A keyword's bit can get another name when no message had it any more: who had it, has lost it.
        let renamed = self.renamed_keywords(later);
        let (mut old, mut new) = (Cursor::new(&self.runs), Cursor::new(&later.runs));
        let mut difference = Difference::default();
        if Arc::ptr_eq(&self.runs, &later.runs) && renamed == 0 {
            return difference;
        }
        loop {
            if renamed == 0 {
                Cursor::skip_shared(&mut old, &mut new);
            }
            match (old.member(), new.member()) {
                (None, None) => return difference,
                (Some(was), Some(is)) => match was.uid.cmp(&is.uid) {
                    Ordering::Equal => {
                        if was != is || (was.keywords | is.keywords) & renamed != 0 {
                            difference.changed.push((old.number(), *was, *is));
                        }
                        old.advance();
                        new.advance();
                    }
                    Ordering::Less => {
                        difference.removed.push(old.number());
                        old.advance();
                    }
                    Ordering::Greater => {
                        difference.added.push(*is);
                        new.advance();
                    }
                },
                (Some(_), None) => {
                    difference.removed.push(old.number());
                    old.advance();
                }
                (None, Some(is)) => {
                    difference.added.push(*is);
                    new.advance();
                }
            }
        }
    }

    /// The bits whose keyword has another name in `later`.
    pub(super) fn renamed_keywords(&self, later: &Self) -> u128 {
        let differs = self.keywords.iter().zip(later.keywords.iter()).map(|(was, is)| was != is);
        differs.enumerate().filter(|(_, differs)| *differs).fold(0, |bits, (bit, _)| bits | 1u128 << bit)
    }
}

impl Run {
    /// The first and the last UID.
    fn span(&self) -> (Uid, Uid) {
        let uid = |member: Option<&Member>| member.map_or(Uid(0), |member| member.uid);
        (uid(self.members.first()), uid(self.members.last()))
    }
}

/// A place in a list of runs.
struct Cursor<'a> {
    runs: &'a [Run],
    index: usize,
}

impl<'a> Cursor<'a> {
    fn new(runs: &'a [Run]) -> Self {
        Self { runs, index: 0 }
    }

    fn member(&self) -> Option<&'a Member> {
        self.runs.first()?.members.get(self.index)
    }

    fn number(&self) -> u32 {
        let inside = u32::try_from(self.index).unwrap_or(u32::MAX);
        self.runs.first().map_or(0, |run| run.before + inside + 1)
    }

    fn advance(&mut self) {
        self.index += 1;
        if self.runs.first().is_some_and(|run| self.index >= run.members.len()) {
            (self.runs, self.index) = (&self.runs[1..], 0);
        }
    }

    /// Goes over the runs that both have.
    fn skip_shared(old: &mut Self, new: &mut Self) {
        while let ([was, ..], [is, ..]) = (old.runs, new.runs)
            && (old.index, new.index) == (0, 0)
            && Arc::ptr_eq(&was.members, &is.members)
        {
            (old.runs, new.runs) = (&old.runs[1..], &new.runs[1..]);
        }
    }
}

fn is_unseen(member: &Member) -> bool {
    !member.flags.has(SystemFlags::SEEN)
}

/// Whether one of the ranges, which are sorted, holds a UID from `first` to `last`.
fn overlaps(ranges: &[(Uid, Uid)], first: Uid, last: Uid) -> bool {
    let next = ranges.partition_point(|range| range.1 < first);
    ranges.get(next).is_some_and(|range| range.0 <= last)
}

/// Both lists as one, by UID; where both have it, the second wins.
fn merged<'a>(kept: impl Iterator<Item = &'a Member>, changed: &[Member]) -> Vec<Member> {
    let mut all = Vec::with_capacity(kept.size_hint().1.unwrap_or(0) + changed.len());
    let (mut kept, mut changed) = (kept.peekable(), changed.iter().peekable());
    while let (Some(old), Some(new)) = (kept.peek(), changed.peek()) {
        match old.uid.cmp(&new.uid) {
            Ordering::Less => all.extend(kept.next().copied()),
            Ordering::Greater => all.extend(changed.next().copied()),
            Ordering::Equal => drop(kept.next()),
        }
    }
    all.extend(kept.copied());
    all.extend(changed.copied());
    all
}

/// Appends a run, or joins it to the one before it when it has become small.
fn push(runs: &mut Vec<Arc<[Member]>>, run: Arc<[Member]>) {
    match runs.last_mut() {
        Some(last) if last.len().min(run.len()) < RUN_MEMBERS_FEW && last.len() + run.len() <= RUN_MEMBERS => {
            *last = last.iter().chain(run.iter()).copied().collect();
        }
        _ => runs.push(run),
    }
}

fn push_all(runs: &mut Vec<Arc<[Member]>>, members: &[Member]) {
    for run in members.chunks(RUN_MEMBERS) {
        push(runs, run.into());
    }
}

fn numbered(runs: Vec<Arc<[Member]>>) -> Arc<[Run]> {
    let mut before = 0;
    let runs = runs.into_iter().map(|members| {
        let run = Run { before, has_unseen: members.iter().any(is_unseen), members };
        before += u32::try_from(run.members.len()).unwrap_or(u32::MAX);
        run
    });
    runs.collect()
}

#[cfg(test)]
mod tests;
