use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::peer::Verb;
use crate::base::{SessionId, Timestamp, limits};
use crate::postcard_row;
use crate::store::{Halt, Op, Read, Span, StoreError, Table, Tx};

/// The sessions, by id.
pub(super) static SESSIONS: Table<SessionId, Session> = Table::new("turn_sessions");
/// The sessions of each peer, and how many there are in all.
pub(super) static PEER_SESSIONS: Table<(String, SessionId), ()> = Table::new("turn_peer_sessions");
/// Those that run: after a crash, what is here has no end.
pub(super) static RUNNING: Table<SessionId, ()> = Table::new("turn_sessions_running");

/// A session with a peer in which roles were, or were to be, swapped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// The peer's name.
    pub peer: String,
    /// The verb.
    pub verb: Verb,
    /// Who dialled.
    pub role: Role,
    /// Its address.
    pub peer_ip: Option<IpAddr>,
    /// How it stands.
    pub state: SessionState,
    /// The roles were swapped.
    pub swapped: bool,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Messages that we sent.
    pub sent: u64,
    /// Messages that we took.
    pub received: u64,
    /// Recipients that the peer refused.
    pub refused: u64,
    /// How it ended, in words.
    pub outcome: String,
    /// Its dialogue: AUTH masked, message data left out, cut at [`crate::base::limits::TRANSCRIPT_BYTES`].
    pub transcript: String,
}
postcard_row!(Session, 1);

/// Who dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// We did.
    Initiated,
    /// The peer did.
    Accepted,
}

/// How a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionState {
    /// It runs.
    Running,
    /// The roles were swapped, or ETRN was taken, or there was nothing to fetch.
    Done,
    /// The peer refused the verb.
    Refused,
    /// It broke.
    Failed,
}

/// Writes a session down, at its beginning and at its end. The oldest beyond [`crate::base::limits::TURN_SESSIONS_KEPT`]
/// go.
pub struct PutSession {
    /// Its id.
    pub id: SessionId,
    /// The session.
    pub session: Session,
}

impl Op for PutSession {
    type Plan = ();
    type Out = ();
    type Refused = std::convert::Infallible;

    fn name(&self) -> &'static str {
        "turn.put_session"
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, _: &Tx<'_>) -> Result<(), Halt<Self::Refused>> {
        Ok(())
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<(), StoreError> {
        put(tx, self.id, &self.session)?;
        let all = tx.rows(&PEER_SESSIONS, Span::all(), usize::MAX)?.len();
        for _ in limits::TURN_SESSIONS_KEPT..all {
            if let Some((id, oldest)) = tx.first(&SESSIONS, Span::all())? {
                tx.remove(&SESSIONS, &id)?;
                tx.remove(&PEER_SESSIONS, &(oldest.peer, id))?;
                tx.remove(&RUNNING, &id)?;
            }
        }
        Ok(())
    }
}

/// Told to those who hear it ([`crate::store::Bus::hear`]) when the beginning or the end of a session is committed.
#[derive(Debug)]
pub struct SessionChanged {
    /// Which session.
    pub id: SessionId,
    /// How it stands now; its dialogue is left out.
    pub session: Session,
}

fn put(tx: &mut Tx<'_>, id: SessionId, session: &Session) -> Result<(), StoreError> {
    tx.tell(|| SessionChanged { id, session: Session { transcript: String::new(), ..session.clone() } });
    tx.put(&SESSIONS, &id, session)?;
    tx.put(&PEER_SESSIONS, &(session.peer.clone(), id), &())?;
    match session.state {
        SessionState::Running => tx.put(&RUNNING, &id, &()),
        SessionState::Done | SessionState::Refused | SessionState::Failed => tx.remove(&RUNNING, &id).map(drop),
    }
}

/// At start: writes down that the sessions of the last run have ended.
pub struct EndRunning {
    /// Now.
    pub at: Timestamp,
}

impl Op for EndRunning {
    type Plan = ();
    type Out = ();
    type Refused = std::convert::Infallible;

    fn name(&self) -> &'static str {
        "turn.end_running"
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, _: &Tx<'_>) -> Result<(), Halt<Self::Refused>> {
        Ok(())
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<(), StoreError> {
        for (id, ()) in tx.rows(&RUNNING, Span::all(), usize::MAX)? {
            tx.remove(&RUNNING, &id)?;
            if let Some(mut session) = session(tx, id)? {
                session.state = SessionState::Failed;
                session.ended_at = Some(self.at);
                session.outcome = "the server stopped in the middle of the session".to_owned();
                put(tx, id, &session)?;
            }
        }
        Ok(())
    }
}

/// The id of the newest session, for the ids to come.
///
/// # Errors
/// [`StoreError`].
pub fn newest(read: &impl Read) -> Result<Option<SessionId>, StoreError> {
    Ok(read.last(&SESSIONS, Span::all())?.map(|(id, _)| id))
}

/// One session.
///
/// # Errors
/// [`StoreError`].
pub fn session(read: &impl Read, id: SessionId) -> Result<Option<Session>, StoreError> {
    read.get(&SESSIONS, &id)
}

/// The `limit` newest sessions before `before`, the newest first; of one peer or of all.
///
/// # Errors
/// [`StoreError`].
pub fn sessions(
    read: &impl Read,
    peer: Option<&str>,
    before: Option<SessionId>,
    limit: usize,
) -> Result<Vec<(SessionId, Session)>, StoreError> {
    let mut found = Vec::new();
    let mut end = before.unwrap_or(SessionId(u64::MAX));
    while found.len() < limit {
        let newest = match peer {
            Some(peer) => {
                let place = |id| (peer.to_owned(), id);
                let newest = read.last(&PEER_SESSIONS, Span::range(place(SessionId(0))..place(end)))?;
                match newest {
                    Some(((_, id), ())) => session(read, id)?.map(|session| (id, session)),
                    None => None,
                }
            }
            None => read.last(&SESSIONS, Span::range(..end))?,
        };
        let Some((id, session)) = newest else { break };
        end = id;
        found.push((id, session));
    }
    Ok(found)
}
