use crate::base::{DomainName, QueueId, Timestamp};
use crate::store::{Halt, Op, StoreError, Tx};

/// Does something to entries, all or none.
pub struct Act {
    /// To which.
    pub entries: Vec<QueueId>,
    /// What.
    pub action: Action,
    /// Who, for the trace.
    pub actor: String,
    /// Now.
    pub at: Timestamp,
}

/// What an operator may do to an entry. (A bounce is an outcome: `intake::Settle`.)
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Tries it now; of what is parked, releases it for one attempt. What is held stays held.
    Retry,
    /// Keeps it until it is released.
    Hold {
        /// Why.
        reason: String,
    },
    /// Ends the hold: due now.
    Release,
    /// Removes it; nobody is told but the trace.
    Drop,
}

/// Why an operator's wish is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is no such entry (any more).
    #[error("{0} is not in the queue")]
    Gone(QueueId),
    /// It is being delivered at this moment.
    #[error("{0} is being delivered")]
    InFlight(QueueId),
    /// The action does not go with its state: it is held and can't be retried, or is not held and can't be released.
    #[error("{0} is not in a state for that")]
    State(QueueId),
}

impl Op for Act {
    type Plan = ();
    type Out = ();
    type Refused = Refused;

    fn name(&self) -> &'static str {
        "queue.act"
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, tx: &Tx<'_>) -> Result<(), Halt<Refused>> {
        let _ = tx;
        todo!()
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<(), StoreError> {
        let _ = tx;
        todo!()
    }
}

/// Which entries a flush is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// All that wait.
    All,
    /// Those for a domain.
    Domain(DomainName),
    /// Those from a sender; empty for the null sender.
    Sender(String),
    /// Those parked for a peer.
    Peer(String),
}

/// Makes entries due at once, and releases those that are parked for one attempt where the selector names a domain or a
/// peer. What is held stays so. A slice at a time: call again with what it gave until it gives no more.
pub struct Flush {
    /// Which.
    pub selector: Selector,
    /// Behind this one.
    pub after: Option<QueueId>,
    /// Entries looked at in one slice.
    pub limit: usize,
    /// Who, for the trace.
    pub actor: String,
    /// Now.
    pub at: Timestamp,
}

/// What a slice of a flush did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flushed {
    /// Entries that are due now and were not, or were due already.
    pub count: u64,
    /// Where to go on; `None` at the end.
    pub next: Option<QueueId>,
}

impl Op for Flush {
    type Plan = ();
    type Out = Flushed;
    type Refused = std::convert::Infallible;

    fn name(&self) -> &'static str {
        "queue.flush"
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, _: &Tx<'_>) -> Result<(), Halt<Self::Refused>> {
        Ok(())
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<Flushed, StoreError> {
        let _ = tx;
        todo!()
    }
}

/// Moves waiting entries to a later time without an attempt: their destination is not to be dialled before.
pub struct Postpone {
    /// Which; those that are gone, held, parked or in an open attempt are passed over.
    pub entries: Vec<QueueId>,
    /// Until when.
    pub until: Timestamp,
}

impl Op for Postpone {
    type Plan = ();
    type Out = ();
    type Refused = std::convert::Infallible;

    fn name(&self) -> &'static str {
        "queue.postpone"
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

/// Parks waiting entries for a peer (`Some`), or makes parked ones wait again, due at once, because no peer holds their
/// domain any more (`None`).
pub struct Park {
    /// Which; those in another state are passed over.
    pub entries: Vec<QueueId>,
    /// For whom.
    pub peer: Option<String>,
    /// `queue.hold_expiry_seconds`, counted from when the message came in.
    pub hold_expiry_seconds: u64,
    /// Now.
    pub at: Timestamp,
}

impl Op for Park {
    type Plan = ();
    type Out = ();
    type Refused = std::convert::Infallible;

    fn name(&self) -> &'static str {
        "queue.park"
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
