use std::sync::Arc;

use crate::base::{ModSeq, Uid};
use crate::mailbox::{Changes, Member, Roster};

/// A mailbox at a moment. Cheap to clone, and what two moments have in common is kept once: messages lie in runs that are
/// shared until one of them changes.
#[derive(Debug, Clone)]
pub(super) struct Snapshot {
    pub(super) uid_validity: u32,
    pub(super) uid_next: Uid,
    pub(super) modseq: ModSeq,
    pub(super) keywords: Arc<[String]>,
    runs: Vec<Arc<[Member]>>,
}

impl Snapshot {
    pub(super) fn new(roster: Roster) -> Self {
        let Roster { uid_validity, uid_next, modseq, keywords, members } = roster;
        Self { uid_validity, uid_next, modseq, keywords, runs: vec![members.into()] }
    }

    /// The same mailbox after these changes.
    pub(super) fn after(&self, changes: &Changes) -> Self {
        let _ = changes;
        todo!()
    }

    /// How many messages there are.
    pub(super) fn len(&self) -> usize {
        self.runs.iter().map(|run| run.len()).sum()
    }

    /// The message with that number, from 1 on.
    pub(super) fn at(&self, number: u32) -> Option<&Member> {
        let _ = number;
        todo!()
    }

    /// The number of the message with that UID.
    pub(super) fn number_of(&self, uid: Uid) -> Option<u32> {
        let _ = uid;
        todo!()
    }

    /// Messages in their order, with their numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Member)> {
        (1..).zip(self.runs.iter().flat_map(|run| run.iter()))
    }
}
