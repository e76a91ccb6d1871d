use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Call, Context, work};
use crate::base::{JobId, Timestamp, limits};
use crate::jobs::Jobs;
use crate::store::{Read, StoreError};
use crate::turn::{self, Peer, SessionState};

/// Who begins these sessions, in their jobs.
const ACTOR: &str = "schedule";

/// Begins sessions with the peers that have a schedule ([`turn::Schedule`]), each as a job. What has come while the server
/// did not run is made up for once, at the first look; a time that comes while a session with the peer runs is passed over.
pub struct Schedule {
    context: Arc<Context>,
    jobs: Arc<Jobs>,
    /// When each was last begun from here, also where nothing came of it.
    tried: BTreeMap<String, Timestamp>,
}

impl Schedule {
    /// From now on.
    pub fn new(context: Arc<Context>, jobs: Arc<Jobs>) -> Self {
        Self { context, jobs, tried: BTreeMap::new() }
    }

    /// Looks each minute which are due, until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let pause = Duration::from_secs(limits::SCHEDULES_LOOK_S);
        while stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_some() {
            self.look().await;
        }
    }

    /// Begins those that are due; their jobs.
    pub(super) async fn look(&mut self) -> Vec<JobId> {
        let now = self.context.server.clock.now();
        let due = self.due(now).unwrap_or_else(|error| {
            tracing::error!(event = "turn_schedules_unread", %error, "the schedules of peers can't be read");
            Vec::new()
        });
        let mut begun = Vec::new();
        for peer in due {
            self.tried.insert(peer.clone(), now);
            let session = self.context.server.ids.session(now);
            let call = Call { session, peer, verb: None, dry_run: false };
            let (order, context) = (work::order(&call, ACTOR.to_owned()), Arc::clone(&self.context));
            let name = call.peer.clone();
            match self.jobs.start(order, async move |task| work::work(context, call, task).await).await {
                Ok(id) => begun.push(id),
                Err(error) => {
                    tracing::error!(event = "turn_not_started", name, %error, "a session with a peer was not begun");
                }
            }
        }
        begun
    }

    /// The peers that are due, by name.
    fn due(&mut self, now: Timestamp) -> Result<Vec<String>, StoreError> {
        let view = self.context.server.store.view()?;
        let (mut due, mut after, mut scheduled) = (Vec::new(), None::<String>, BTreeMap::new());
        loop {
            let page = turn::peers(&view, after.as_deref(), limits::PAGE_ITEMS)?;
            let Some(last) = page.last() else { break };
            after = Some(last.name.clone());
            for peer in page.iter().filter(|peer| peer.fields.schedule.is_some()) {
                let tried = self.tried.get(&peer.name).copied();
                let known = [Some(peer.changed_at), turn::last_call(&view, &peer.name)?, tried];
                if is_due(peer, &known, now) && !is_at_work(&view, &peer.name)? {
                    due.push(peer.name.clone());
                }
                scheduled.extend(tried.map(|at| (peer.name.clone(), at)));
            }
        }
        self.tried = scheduled;
        Ok(due)
    }
}

/// Whether its next time has come; `known`: when it was changed and called.
fn is_due(peer: &Peer, known: &[Option<Timestamp>], now: Timestamp) -> bool {
    // What was told by a clock that was ahead is no time to wait for.
    let since = known.iter().flatten().filter(|at| **at <= now).max();
    peer.next_call(since.copied().unwrap_or_default()).is_some_and(|at| at <= now)
}

/// Whether a session with it runs.
fn is_at_work(read: &impl Read, peer: &str) -> Result<bool, StoreError> {
    let newest = turn::sessions(read, Some(peer), None, 1)?.pop();
    Ok(newest.is_some_and(|(_, session)| session.state == SessionState::Running))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::turn::{self, Direction, PeerFields};

    #[test]
    fn a_time_that_has_come_is_due_once() {
        let fields = PeerFields {
            direction: Direction::Initiate,
            schedule: Some(turn::Schedule::Every { seconds: 60 }),
            ..PeerFields::dialling_us(Vec::new(), Vec::new(), None)
        };
        let at = Timestamp(1_000_000);
        let peer =
            Peer { name: "hub".into(), fields, secret_changed_at: at, version: 1, created_at: at, changed_at: at };
        let check = |peer: &Peer, called: Option<u64>, now: u64, expected| {
            let known = [Some(peer.changed_at), called.map(Timestamp)];
            assert_eq!(is_due(peer, &known, Timestamp(now)), expected, "{called:?} {now}");
        };
        check(&peer, None, 1_059_999, false);
        check(&peer, None, 1_060_000, true);
        check(&peer, Some(1_060_000), 1_119_999, false);
        check(&peer, Some(1_060_000), 1_120_000, true);
        // Called by a clock that was a day ahead; and changed by one.
        check(&peer, Some(90_000_000), 1_060_000, true);
        check(&Peer { changed_at: Timestamp(90_000_000), ..peer.clone() }, Some(1_060_000), 1_120_000, true);
        check(&Peer { changed_at: Timestamp(90_000_000), ..peer.clone() }, None, 1_000_000, true);
        for change in [
            |fields: &mut PeerFields| fields.enabled = false,
            |fields: &mut PeerFields| fields.direction = Direction::Accept,
            |fields: &mut PeerFields| fields.schedule = None,
        ] {
            let mut changed = peer.clone();
            change(&mut changed.fields);
            check(&changed, None, 2_000_000, false);
        }
    }
}
