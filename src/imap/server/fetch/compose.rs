use std::ops::ControlFlow;
use std::sync::Arc;

use super::plan::{Item, Plan};
use super::section::{Place, Section, Wanted};
use crate::base::{MailboxId, ModSeq, Uid};
use crate::imap::server::flags::{begin_fetch, runs, write_flag_list};
use crate::imap::server::selected::Target;
use crate::imap::wire::{write_date_time, write_number, write_structure};
use crate::mailbox;
use crate::message::{Structure, Summary};
use crate::store::{StoreError, View};

/// Octets of a message up to which it is read with others. A longer one passes through in pieces, by itself.
const SHORT_BYTES: u64 = 64 * 1024;

/// Octets of answers that are made at once.
const ANSWER_BYTES: usize = 1024 * 1024;

/// What answers to a FETCH are made from, beside the messages. Cheap to clone, for the threads that read.
#[derive(Debug, Clone)]
pub(super) struct Scene {
    pub(super) mailbox: MailboxId,
    pub(super) keywords: Arc<[String]>,
    pub(super) recent_from: Uid,
    pub(super) plan: Arc<Plan>,
    /// The command itself has set `\Seen`: flags are told of messages that have changed since.
    pub(super) seen_since: Option<ModSeq>,
}

/// Answers for a slice of the messages.
#[derive(Debug, Default)]
pub(super) struct Composed {
    pub(super) out: Vec<u8>,
    /// How many messages are answered.
    pub(super) done: usize,
    /// It is enough for once: the others are to be asked for anew. Else the next one, if there is one, is to be answered
    /// alone: it is large, or its summary is not kept.
    pub(super) is_full: bool,
    pub(super) missing: Missing,
}

/// What of a summary is told; the structure only where [`Plan::structure`] asks for it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown<'a> {
    envelope: &'a [u8],
    structure: Option<&'a Structure>,
}

impl<'a> Shown<'a> {
    pub(super) fn of(summary: &'a Summary) -> Self {
        Self { envelope: &summary.envelope, structure: Some(&summary.structure) }
    }
}

/// What could not be answered.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Missing {
    /// Something of a message that was removed meanwhile.
    pub(super) gone: bool,
    /// Something that could not be read.
    pub(super) broken: bool,
}

/// An answer in the making. It begins with its first item: where there is none, there is no answer.
pub(super) struct Answering {
    number: u32,
    is_empty: bool,
}

impl Answering {
    pub(super) fn new(number: u32) -> Self {
        Self { number, is_empty: true }
    }

    /// What stands before an item.
    pub(super) fn space(&mut self, out: &mut Vec<u8>) {
        if self.is_empty {
            begin_fetch(out, self.number);
            self.is_empty = false;
        } else {
            out.push(b' ');
        }
    }

    /// An item's name and its octets as a literal.
    pub(super) fn literal(&mut self, out: &mut Vec<u8>, label: &[u8], octets: &[u8]) {
        self.space(out);
        begin_literal(out, label, octets.len() as u64);
        out.extend_from_slice(octets);
    }

    /// A section that the message does not have.
    pub(super) fn nil(&mut self, out: &mut Vec<u8>, label: &[u8]) {
        self.space(out);
        out.extend_from_slice(label);
        out.extend_from_slice(b" NIL");
    }

    /// A section of the message's header block.
    pub(super) fn head(&mut self, out: &mut Vec<u8>, section: &Section, head: &[u8], size_bytes: u64) {
        // RFC 9051 §6.4.5.1: a message that ends with its header block has no blank line.
        let has_blank_line = size_bytes > head.len() as u64;
        let mut scratch = Vec::new();
        self.literal(out, &section.label, section.show(head, has_blank_line, &mut scratch));
    }

    /// A section of a part's header block, with its blank line where it has one.
    pub(super) fn header_of_part(&mut self, out: &mut Vec<u8>, section: &Section, block: &[u8]) {
        let (fields, has_blank_line) = match block.strip_suffix(b"\r\n") {
            Some(fields) if fields.is_empty() || fields.ends_with(b"\r\n") => (fields, true),
            _ => (block, false),
        };
        let mut scratch = Vec::new();
        self.literal(out, &section.label, section.show(fields, has_blank_line, &mut scratch));
    }

    pub(super) fn end(self, out: &mut Vec<u8>) {
        if !self.is_empty {
            out.extend_from_slice(b")\r\n");
        }
    }
}

/// An item's name and the announcement of its octets.
pub(super) fn begin_literal(out: &mut Vec<u8>, label: &[u8], size_bytes: u64) {
    out.extend_from_slice(label);
    out.extend_from_slice(b" {");
    write_number(out, size_bytes);
    out.extend_from_slice(b"}\r\n");
}

/// How an item that needs octets was answered.
enum Told {
    Whole,
    Gone,
    /// It needs more than a slice may read.
    Alone,
}

impl Scene {
    /// Answers from what is in memory. RFC 9051 §7.5.2
    pub(super) fn answer_from_memory(&self, out: &mut Vec<u8>, target: &Target) {
        let mut answering = Answering::new(target.number);
        for item in &self.plan.items {
            self.known(out, &mut answering, item, target, None);
        }
        answering.end(out);
    }

    /// Answers for messages until one has to be answered alone. Runs on a thread that reads.
    pub(super) fn compose(&self, view: &View, targets: &[Target]) -> Composed {
        let mut composed = Composed::default();
        if self.plan.summary {
            self.compose_with_summaries(view, targets, &mut composed);
        } else {
            for target in targets {
                if !self.compose_one(view, target, None, &mut composed) {
                    break;
                }
            }
        }
        composed
    }

    /// The same where summaries are needed: for each run of messages they are read in one go.
    fn compose_with_summaries(&self, view: &View, targets: &[Target], composed: &mut Composed) {
        for run in runs(targets) {
            let end = targets.partition_point(|target| target.member.uid <= run.1);
            let run_targets = &targets[..end];
            let read = if self.plan.structure {
                mailbox::summaries(view, self.mailbox, run, |uid, summary| {
                    self.compose_next(view, run_targets, uid, Shown::of(&summary), composed)
                })
            } else {
                mailbox::envelopes(view, self.mailbox, run, |uid, envelope, _| {
                    self.compose_next(view, run_targets, uid, Shown { envelope, structure: None }, composed)
                })
            };
            if let Err(error) = read {
                tracing::error!(%error, mailbox = %self.mailbox, "summaries could not be read");
            }
            if composed.done < end || composed.is_full {
                return;
            }
        }
    }

    /// Answers for the next of the messages, when it is the one whose summary was read.
    fn compose_next(
        &self,
        view: &View,
        targets: &[Target],
        uid: Uid,
        shown: Shown<'_>,
        composed: &mut Composed,
    ) -> ControlFlow<()> {
        let goes_on = match targets.get(composed.done) {
            Some(target) if target.member.uid == uid => self.compose_one(view, target, Some(shown), composed),
            // There is no summary of the one that is next.
            Some(target) => target.member.uid > uid,
            None => false,
        };
        if goes_on { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    /// Answers for a message; false when the next one is not to be answered with it, or nothing is written since this one
    /// is to be answered alone.
    fn compose_one(&self, view: &View, target: &Target, shown: Option<Shown<'_>>, composed: &mut Composed) -> bool {
        let Composed { out, done, is_full, missing } = composed;
        let begin = out.len();
        let mut head = None;
        let mut answering = Answering::new(target.number);
        for item in &self.plan.items {
            let Item::Section(section) = item else {
                self.known(out, &mut answering, item, target, shown);
                continue;
            };
            match self.section(view, target, shown, section, &mut head, out, &mut answering) {
                // However often a client asks for the same octets, they are not gathered.
                Ok(Told::Whole) if out.len() - begin > ANSWER_BYTES => {
                    out.truncate(begin);
                    return false;
                }
                Ok(Told::Whole) => {}
                Ok(Told::Gone) => missing.gone = true,
                Ok(Told::Alone) => {
                    out.truncate(begin);
                    return false;
                }
                Err(error) => {
                    tracing::error!(%error, message = %target.member.message, "a message could not be read");
                    missing.broken = true;
                }
            }
        }
        self.flags_of_seen(out, &mut answering, target);
        answering.end(out);
        *done += 1;
        *is_full = out.len() >= ANSWER_BYTES;
        !*is_full
    }

    #[expect(clippy::too_many_arguments, reason = "what is read for one item serves the next")]
    fn section(
        &self,
        view: &View,
        target: &Target,
        shown: Option<Shown<'_>>,
        section: &Section,
        head: &mut Option<Vec<u8>>,
        out: &mut Vec<u8>,
        answering: &mut Answering,
    ) -> Result<Told, StoreError> {
        let size_bytes = target.member.size_bytes;
        match section.place(size_bytes, shown.and_then(|shown| shown.structure)) {
            Place::Nowhere => answering.nil(out, &section.label),
            Place::Head => {
                if head.is_none() {
                    *head = mailbox::head(view, self.mailbox, target.member.uid)?;
                }
                let Some(head) = head else { return Ok(Told::Gone) };
                answering.head(out, section, head, size_bytes);
            }
            _ if size_bytes > SHORT_BYTES => return Ok(Told::Alone),
            place => return self.octets(view, target.member.uid, section, place, out, answering),
        }
        Ok(Told::Whole)
    }

    /// A section of a short message, read at once.
    fn octets(
        &self,
        view: &View,
        uid: Uid,
        section: &Section,
        place: Place,
        out: &mut Vec<u8>,
        answering: &mut Answering,
    ) -> Result<Told, StoreError> {
        let mut octets = Vec::new();
        let is_there = match place {
            Place::Message { first, count } => {
                mailbox::read_range(view, self.mailbox, uid, (first, count), &mut octets)?
            }
            Place::Body { first, count } => mailbox::read_body(view, self.mailbox, uid, (first, count), &mut octets)?,
            Place::Nowhere | Place::Head => true,
        };
        if !is_there {
            return Ok(Told::Gone);
        }
        if let Wanted::Fields(_) = section.wanted {
            answering.header_of_part(out, section, &octets);
        } else {
            answering.literal(out, &section.label, &octets);
        }
        Ok(Told::Whole)
    }

    /// Answers an item that needs no octets of the message beyond its summary.
    pub(super) fn known(
        &self,
        out: &mut Vec<u8>,
        answering: &mut Answering,
        item: &Item,
        target: &Target,
        shown: Option<Shown<'_>>,
    ) {
        let member = &target.member;
        match (item, shown) {
            (Item::Uid, _) => {
                answering.space(out);
                out.extend_from_slice(b"UID ");
                write_number(out, u64::from(member.uid.0));
            }
            (Item::Flags, _) => {
                answering.space(out);
                out.extend_from_slice(b"FLAGS ");
                write_flag_list(out, &self.keywords, member, member.uid >= self.recent_from);
            }
            (Item::ModSeq, _) => {
                answering.space(out);
                write_modseq(out, member.modseq);
            }
            (Item::InternalDate, _) => {
                answering.space(out);
                out.extend_from_slice(b"INTERNALDATE ");
                write_date_time(out, member.internal_date);
            }
            (Item::Size, _) => {
                answering.space(out);
                out.extend_from_slice(b"RFC822.SIZE ");
                write_number(out, member.size_bytes);
            }
            (Item::Envelope, Some(shown)) => {
                answering.space(out);
                out.extend_from_slice(b"ENVELOPE ");
                out.extend_from_slice(shown.envelope);
            }
            (Item::Structure { is_extended }, Some(Shown { structure: Some(structure), .. })) => {
                answering.space(out);
                out.extend_from_slice(if *is_extended { b"BODYSTRUCTURE " } else { b"BODY " });
                write_structure(out, structure, *is_extended);
            }
            (Item::Envelope | Item::Structure { .. } | Item::Section(_), _) => {}
        }
    }

    /// The flags that have changed while the command set `\Seen`. RFC 9051 §6.4.5: they are part of the answer.
    pub(super) fn flags_of_seen(&self, out: &mut Vec<u8>, answering: &mut Answering, target: &Target) {
        if self.seen_since.is_none_or(|since| target.member.modseq < since) {
            return;
        }
        for (item, is_told) in [(Item::Flags, true), (Item::ModSeq, self.plan.tells_modseq)] {
            if is_told && !self.plan.items.contains(&item) {
                self.known(out, answering, &item, target, None);
            }
        }
    }
}

/// MODSEQ, as in `MODSEQ (7)`. RFC 7162 §3.1.4
pub(in crate::imap::server) fn write_modseq(out: &mut Vec<u8>, modseq: ModSeq) {
    out.extend_from_slice(b"MODSEQ (");
    write_number(out, modseq.0);
    out.push(b')');
}
