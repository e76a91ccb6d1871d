use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::peer::Verb;
use crate::base::{SessionId, Timestamp};
use crate::postcard_row;
use crate::store::{Halt, Op, Read, StoreError, Table, Tx};

/// The sessions, by id.
pub(super) static SESSIONS: Table<SessionId, Session> = Table::new("turn_sessions");

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
        let _ = tx;
        todo!()
    }
}

/// One session.
///
/// # Errors
/// [`StoreError`].
pub fn session(read: &impl Read, id: SessionId) -> Result<Option<Session>, StoreError> {
    let _ = (read, id);
    todo!()
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
    let _ = (read, peer, before, limit);
    todo!()
}
