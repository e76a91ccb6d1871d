use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio_util::sync::CancellationToken;

use super::Context;
use crate::base::{SessionId, limits};
use crate::net::{Mark, Transcript};
use crate::turn::{PutSession, Role, Session, SessionState, Verb};

/// The sessions that run.
#[derive(Default)]
pub struct Live {
    sessions: Mutex<BTreeMap<SessionId, Alive>>,
    listener: OnceLock<Listener>,
}

type Listener = Arc<dyn Fn(Spoken<'_>) + Send + Sync>;

/// A line of the dialogue of a session that runs.
#[derive(Debug, Clone, Copy)]
pub struct Spoken<'a> {
    /// The session.
    pub session: SessionId,
    /// The peer's name.
    pub peer: &'a str,
    /// Whose line it is.
    pub mark: Mark,
    /// The line: secrets masked, message data left out, no control characters.
    pub line: &'a str,
}

#[derive(Debug)]
struct Alive {
    transcript: Transcript,
    cancel: CancellationToken,
}

impl Live {
    /// Calls `listener` with every line of every session as it is said; the first that is given stays. It must be quick.
    pub fn listen(&self, listener: impl Fn(Spoken<'_>) + Send + Sync + 'static) {
        let _ = self.listener.set(Arc::new(listener));
    }

    pub(super) fn dialogue(&self, id: SessionId) -> Option<String> {
        self.sessions().get(&id).map(|alive| alive.transcript.text())
    }

    pub(super) fn abort(&self, id: SessionId) -> bool {
        self.sessions().get(&id).map(|alive| alive.cancel.cancel()).is_some()
    }

    fn sessions(&self) -> MutexGuard<'_, BTreeMap<SessionId, Alive>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live").field("sessions", &*self.sessions()).finish_non_exhaustive()
    }
}

/// What is written down of a session: a row from its beginning on, and its dialogue.
pub(super) struct Journal {
    context: Arc<Context>,
    id: SessionId,
    transcript: Transcript,
    pub(super) session: Session,
}

/// Who begins a session with whom.
pub(super) struct Opening {
    pub(super) id: SessionId,
    pub(super) peer: String,
    pub(super) verb: Verb,
    pub(super) role: Role,
    pub(super) peer_ip: Option<IpAddr>,
}

impl Journal {
    /// Begins the row of a session. A server that can't write it down can't settle mail either.
    pub(super) async fn begin(
        context: &Arc<Context>,
        opening: Opening,
        transcript: Transcript,
        cancel: CancellationToken,
    ) -> Result<Self, String> {
        let Opening { id, peer, verb, role, peer_ip } = opening;
        let session = Session {
            peer,
            verb,
            role,
            peer_ip,
            state: SessionState::Running,
            swapped: false,
            started_at: context.server.clock.now(),
            ended_at: None,
            sent: 0,
            received: 0,
            refused: 0,
            outcome: String::new(),
            transcript: String::new(),
        };
        let put = PutSession { id, session: session.clone() };
        context.server.store.write(put).await.map(drop).map_err(|error| error.to_string())?;
        if let Some(listener) = context.live.listener.get() {
            let (listener, peer) = (Arc::clone(listener), session.peer.clone());
            transcript.listen(move |mark, line| listener(Spoken { session: id, peer: &peer, mark, line }));
        }
        context.live.sessions().insert(id, Alive { transcript: transcript.clone(), cancel });
        Ok(Self { context: Arc::clone(context), id, transcript, session })
    }

    /// Writes down how it ended, and gives the row.
    pub(super) async fn end(mut self, state: SessionState, outcome: String) -> Session {
        self.transcript.note(&outcome);
        let session = &mut self.session;
        session.state = state;
        session.ended_at = Some(self.context.server.clock.now());
        session.outcome = outcome.chars().take(limits::WORDS_CHARS).collect();
        session.transcript = self.transcript.text();
        tracing::info!(
            id = %self.id,
            name = session.peer,
            verb = session.verb.as_str(),
            state = ?session.state,
            sent = session.sent,
            received = session.received,
            refused = session.refused,
            outcome = session.outcome,
            "a session with a peer has ended"
        );
        let put = PutSession { id: self.id, session: session.clone() };
        if let Err(error) = self.context.server.store.write(put).await {
            tracing::error!(id = %self.id, %error, "the end of a session with a peer can't be written down");
        }
        self.session.clone()
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.context.live.sessions().remove(&self.id);
    }
}
