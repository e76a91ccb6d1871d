use std::convert::Infallible;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::event::Subject;
use super::record::EVENTS;
use super::strangers::{DropRefusals, remove_story};
use crate::base::{Clock, Timestamp, limits};
use crate::store::{Committed, Halt, Op, Read, Span, Store, StoreError, Tx};

/// Says of which subjects the story is still needed, however old it is: those of messages that are not yet delivered.
pub type Needed = fn(&Tx<'_>, Subject) -> Result<bool, StoreError>;

/// Removes the stories in which nothing has happened for a time, at least that of [`Prune::before`]: their events,
/// what they are found by, and their dialogues. The newest subject stays in any case: new ids begin above it. A slice at a time: call again
/// behind [`Pruned::next`] until there is none.
#[derive(Debug, Clone, Copy)]
pub struct Prune {
    /// What has happened since then is kept.
    pub before: Timestamp,
    /// Behind this subject.
    pub after: Option<Subject>,
    /// Events looked at in one slice, roughly.
    pub limit: usize,
    /// What is spared.
    pub needed: Needed,
}

/// What a slice has removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pruned {
    /// Subjects.
    pub subjects: usize,
    /// Where to go on; `None` at the end.
    pub next: Option<Subject>,
}

/// A subject, and when its last event was.
type Story = (Subject, Timestamp);

/// What goes, and where the next slice begins.
pub struct Plan {
    stories: Vec<Subject>,
    next: Option<Subject>,
}

impl Op for Prune {
    type Plan = Plan;
    type Out = Pruned;
    type Refused = Infallible;

    fn name(&self) -> &'static str {
        "trace.prune"
    }

    fn weight_bytes(&self) -> usize {
        64 * self.limit
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, tx: &Tx<'_>) -> Result<Plan, Halt<Infallible>> {
        let (stories, next) = self.slice(tx)?;
        let newest = tx.last(&EVENTS, Span::all())?.map(|((subject, _), _)| subject);
        let mut plan = Plan { stories: Vec::new(), next };
        for (subject, last) in stories {
            if last < self.before && Some(subject) != newest && !(self.needed)(tx, subject)? {
                plan.stories.push(subject);
            }
        }
        Ok(plan)
    }

    fn apply(&self, tx: &mut Tx<'_>, plan: Plan) -> Result<Pruned, StoreError> {
        for subject in &plan.stories {
            remove_story(tx, *subject)?;
        }
        Ok(Pruned { subjects: plan.stories.len(), next: plan.next })
    }
}

impl Prune {
    /// Whole stories from `after` on, and the last of them where there may be more.
    fn slice(&self, tx: &Tx<'_>) -> Result<(Vec<Story>, Option<Subject>), StoreError> {
        let span = Span::range(..(Subject::first_at(self.before), 0));
        let span = match self.after {
            Some(subject) => span.after(&(subject, u32::MAX)),
            None => span,
        };
        let mut stories: Vec<Story> = Vec::new();
        let (mut events, mut is_cut) = (0, false);
        tx.scan(&EVENTS, span, |(subject, _), event| {
            match stories.last_mut() {
                Some((known, last)) if *known == subject => *last = event.at.max(*last),
                // A story of any length is taken whole.
                Some(_) if events >= self.limit => {
                    is_cut = true;
                    return ControlFlow::Break(());
                }
                _ => stories.push((subject, event.at)),
            }
            events += 1;
            ControlFlow::Continue(())
        })?;
        let next = stories.last().map(|(subject, ..)| *subject).filter(|_| is_cut);
        Ok((stories, next))
    }
}

/// Prunes now and every hour, until `stop` is cancelled; and removes refusals of strangers, the oldest first, as long as
/// the disk is full. `keep` is how long a story is kept; zero: for ever.
pub async fn prune(store: Store, clock: Arc<dyn Clock>, keep: Duration, needed: Needed, stop: CancellationToken) {
    let keep_ms = u64::try_from(keep.as_millis()).unwrap_or(u64::MAX);
    let mut seconds = 0;
    loop {
        if seconds == 0 && keep_ms > 0 {
            let before = Timestamp(clock.now().ms().saturating_sub(keep_ms));
            tokio::select! {
                () = stop.cancelled() => return,
                subjects = prune_before(&store, before, needed) => {
                    if subjects > 0 {
                        tracing::info!(subjects, %before, "pruned the trace");
                    }
                }
            }
        }
        if store.health().full {
            drop_refusals(&store).await;
        }
        seconds = (seconds + 1) % limits::PRUNE_EVERY_S;
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
        }
    }
}

/// One slice: it may be enough.
async fn drop_refusals(store: &Store) {
    match store.write(DropRefusals).await.map(Committed::into_inner) {
        Ok(0) => {}
        Ok(stories) => tracing::info!(stories, "removed refusals from the trace: the disk is full"),
        Err(error) => tracing::warn!(%error, "no refusal could be removed from the trace"),
    }
}

/// Slice by slice; how many stories are gone.
async fn prune_before(store: &Store, before: Timestamp, needed: Needed) -> usize {
    let (mut after, mut subjects) = (None, 0);
    loop {
        let slice = Prune { before, after, limit: limits::PRUNED_EVENTS, needed };
        let pruned = match store.write(slice).await {
            Ok(pruned) => pruned.into_inner(),
            Err(error) => {
                tracing::warn!(%error, "the trace could not be pruned");
                return subjects;
            }
        };
        subjects += pruned.subjects;
        match pruned.next {
            Some(_) => after = pruned.next,
            None => return subjects,
        }
    }
}
