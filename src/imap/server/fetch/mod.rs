//! FETCH: what is asked for becomes a plan; what the plan needs from the file is read in slices on the threads that read,
//! while the slice before is on its way to the client.

mod compose;
mod plan;
mod section;
mod stream;

use std::ops::Range;
use std::sync::Arc;

use compose::{Composed, Missing, Scene};
use plan::Plan;
use stream::Alone;

pub(super) use compose::write_modseq;

use super::context::{Context, Enabled};
use super::fault::{no_such_number, unavailable, unsynced};
use super::flags::runs;
use super::link::{End, Link};
use super::selected::{Selected, Target};
use crate::base::{ModSeq, SystemFlags};
use crate::imap::wire::{Answer, Code, Fetch};
use crate::mailbox::{ChangeFlags, FlagMode};
use crate::store::StoreError;

/// Messages that are read together.
const SLICE_MESSAGES: usize = 400;
/// Octets of messages that are read together where their bodies are asked for.
const SLICE_BYTES: u64 = 512 * 1024;

/// FETCH and UID FETCH. RFC 9051 §6.4.5
pub(super) async fn fetch(
    link: &mut Link,
    context: &Context,
    selected: &mut Selected,
    enabled: Enabled,
    fetch: &Fetch<'_>,
) -> Result<Answer, End> {
    let Some(mut targets) = selected.targets(&fetch.messages) else { return Ok(no_such_number()) };
    // RFC 7162 §3.1.4.1
    if let Some(since) = fetch.changed_since {
        targets.retain(|target| target.member.modseq.0 > since);
    }
    let plan = Plan::of(fetch, enabled);
    let mut seen_since = None;
    if plan.sets_seen && !selected.read_only {
        match set_seen(link, context, selected, enabled, &mut targets).await? {
            Ok(since) => seen_since = since,
            Err(answer) => return Ok(answer),
        }
    }
    let scene = Scene {
        mailbox: selected.mailbox,
        keywords: Arc::clone(&selected.told.keywords),
        recent_from: selected.recent_from,
        plan: Arc::new(plan),
        seen_since,
    };
    let missing = if scene.plan.summary || scene.plan.content {
        send_from_file(link, context, &scene, targets.into()).await?
    } else {
        for target in &targets {
            scene.answer_from_memory(link.output(), target);
            link.relieve().await?;
        }
        Missing::default()
    };
    Ok(match missing {
        Missing { broken: true, .. } => Answer::no("some messages can't be read at the moment").with(Code::Unavailable),
        // RFC 2180 §4.1.2, RFC 5530 §3
        Missing { gone: true, .. } => Answer::no("some messages were removed meanwhile").with(Code::ExpungeIssued),
        Missing { .. } => Answer::ok("FETCH done"),
    })
}

/// Sets `\Seen` where it is not set, in one transaction; gives back the lowest modseq of what has changed since the client
/// was told last, by this or by others. The targets are then as the client will know them.
// RFC 9051 §6.4.5
async fn set_seen(
    link: &mut Link,
    context: &Context,
    selected: &mut Selected,
    enabled: Enabled,
    targets: &mut [Target],
) -> Result<Result<Option<ModSeq>, Answer>, End> {
    let uids = runs(targets.iter().filter(|target| !target.member.flags.has(SystemFlags::SEEN)));
    if uids.is_empty() {
        return Ok(Ok(None));
    }
    let change = ChangeFlags {
        mailbox: selected.mailbox,
        uids: uids.clone(),
        mode: FlagMode::Add,
        flags: SystemFlags::SEEN,
        keywords: Vec::new(),
        unchanged_since: None,
    };
    if let Err(error) = context.store.write(change).await {
        return Ok(Err(unavailable(&error)));
    }
    // The answers tell the flags of these; nothing is to be said of them before.
    if let Err(error) = selected.sync(link, &context.store, enabled, false, &uids).await {
        return unsynced(error).map(Err);
    }
    let mut since: Option<ModSeq> = None;
    for target in targets {
        let Some(member) = selected.told.at(target.number) else { continue };
        if member.modseq != target.member.modseq {
            since = Some(since.map_or(member.modseq, |since| since.min(member.modseq)));
        }
        target.member = *member;
    }
    Ok(Ok(since))
}

/// Reads slice by slice, and sends one while the next is read.
async fn send_from_file(
    link: &mut Link,
    context: &Context,
    scene: &Scene,
    targets: Arc<[Target]>,
) -> Result<Missing, End> {
    let store = &context.store;
    let mut missing = Missing::default();
    let mut at = 0;
    while at < targets.len() {
        let slice = slice(&targets, at, scene.plan.body);
        let (flushed, composed) = tokio::join!(link.flush(), read(context, scene, &targets, slice.clone()));
        flushed?;
        let composed = match composed {
            Ok(composed) => composed,
            Err(error) => {
                tracing::error!(%error, "messages could not be read");
                return Ok(Missing { broken: true, ..missing });
            }
        };
        at += composed.done;
        missing.gone |= composed.missing.gone;
        missing.broken |= composed.missing.broken;
        take(link.output(), composed.out);
        if let Some(target) = targets.get(at).filter(|_| at < slice.end && !composed.is_full) {
            Alone { scene, store, target, missing: &mut missing }.answer(link).await?;
            at += 1;
        }
    }
    Ok(missing)
}

async fn read(
    context: &Context,
    scene: &Scene,
    targets: &Arc<[Target]>,
    slice: Range<usize>,
) -> Result<Composed, StoreError> {
    let (scene, targets) = (scene.clone(), Arc::clone(targets));
    context.store.read(move |view| Ok(scene.compose(view, targets.get(slice).unwrap_or_default()))).await
}

/// The messages from `at` on that are read together.
fn slice(targets: &[Target], at: usize, reads_bodies: bool) -> Range<usize> {
    let end = targets.len().min(at + SLICE_MESSAGES);
    if !reads_bodies {
        return at..end;
    }
    let mut bytes = 0;
    let fitting = targets[at..end].iter().take_while(|target| {
        bytes += target.member.size_bytes;
        bytes <= SLICE_BYTES
    });
    at..at + fitting.count().max(1)
}

/// Appends without copying where nothing is there yet.
fn take(output: &mut Vec<u8>, composed: Vec<u8>) {
    if output.is_empty() {
        *output = composed;
    } else {
        output.extend_from_slice(&composed);
    }
}
