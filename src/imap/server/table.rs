use super::context::Context;
use super::session::State;
use crate::imap::wire::{Answer, Request, SearchKey, StatusItem};

/// What holds for a command before anybody looks at its arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    /// Its name.
    pub(super) name: &'static str,
    /// When it may come.
    allowed: Allowed,
    /// The capability that it is part of: who switches that off, has no such command.
    capability: Option<&'static str>,
    /// Removals may be told with its answer: the numbers of messages change with it (RFC 9051 §7.5.1).
    pub(super) tells_expunges: bool,
}

/// The states in which a command may come. RFC 9051 §3
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Allowed {
    Always,
    BeforeLogin,
    AfterLogin,
    Selected,
}

const ROW: Row = Row { name: "", allowed: Allowed::Always, capability: None, tells_expunges: true };
const BEFORE: Row = Row { allowed: Allowed::BeforeLogin, ..ROW };
const AFTER: Row = Row { allowed: Allowed::AfterLogin, ..ROW };
const SELECTED: Row = Row { allowed: Allowed::Selected, ..ROW };

/// APPEND, which is no [`Request`].
pub(super) const APPEND: Row = Row { name: "APPEND", ..AFTER };

/// The row of a command.
pub(super) fn row(request: &Request<'_>) -> Row {
    match request {
        Request::Capability => Row { name: "CAPABILITY", ..ROW },
        Request::Noop => Row { name: "NOOP", ..ROW },
        Request::Logout => Row { name: "LOGOUT", ..ROW },
        Request::Id(_) => Row { name: "ID", capability: Some("ID"), ..ROW },
        Request::StartTls => Row { name: "STARTTLS", ..BEFORE },
        Request::Authenticate { .. } => Row { name: "AUTHENTICATE", ..BEFORE },
        Request::Login { .. } => Row { name: "LOGIN", ..BEFORE },
        Request::Enable(_) => Row { name: "ENABLE", capability: Some("ENABLE"), ..AFTER },
        Request::Select { .. } => Row { name: "SELECT", ..AFTER },
        Request::Create { .. } => Row { name: "CREATE", ..AFTER },
        Request::Delete(_) => Row { name: "DELETE", ..AFTER },
        Request::Rename { .. } => Row { name: "RENAME", ..AFTER },
        Request::Subscribe(_) => Row { name: "SUBSCRIBE", ..AFTER },
        Request::Unsubscribe(_) => Row { name: "UNSUBSCRIBE", ..AFTER },
        Request::List(_) => Row { name: "LIST", ..AFTER },
        Request::Lsub { .. } => Row { name: "LSUB", ..AFTER },
        Request::Namespace => Row { name: "NAMESPACE", capability: Some("NAMESPACE"), ..AFTER },
        Request::Status { .. } => Row { name: "STATUS", ..AFTER },
        Request::Idle => Row { name: "IDLE", capability: Some("IDLE"), ..AFTER },
        Request::GetQuota(_) => Row { name: "GETQUOTA", capability: Some("QUOTA"), ..AFTER },
        Request::GetQuotaRoot(_) => Row { name: "GETQUOTAROOT", capability: Some("QUOTA"), ..AFTER },
        Request::SetQuota => Row { name: "SETQUOTA", capability: Some("QUOTA"), ..AFTER },
        Request::Compress(_) => Row { name: "COMPRESS", capability: Some("COMPRESS=DEFLATE"), ..AFTER },
        Request::Check => Row { name: "CHECK", ..SELECTED },
        Request::Close => Row { name: "CLOSE", ..SELECTED },
        Request::Unselect => Row { name: "UNSELECT", capability: Some("UNSELECT"), ..SELECTED },
        Request::Expunge(None) => Row { name: "EXPUNGE", ..SELECTED },
        Request::Expunge(Some(_)) => Row { name: "UID EXPUNGE", capability: Some("UIDPLUS"), ..SELECTED },
        Request::Search(search) => Row { name: "SEARCH", tells_expunges: search.is_uid, ..SELECTED },
        Request::Fetch(fetch) => Row { name: "FETCH", tells_expunges: fetch.messages.is_uid, ..SELECTED },
        Request::Store(store) => Row { name: "STORE", tells_expunges: store.messages.is_uid, ..SELECTED },
        Request::Copy { moves: false, .. } => Row { name: "COPY", ..SELECTED },
        Request::Copy { moves: true, .. } => Row { name: "MOVE", capability: Some("MOVE"), ..SELECTED },
    }
}

impl Row {
    /// Why the command may not come now.
    pub(super) fn refusal(&self, state: &State, context: &Context) -> Option<Answer> {
        if self.capability.is_some_and(|name| context.is_disabled(name)) {
            return Some(Answer::bad("unknown command"));
        }
        let is_known = !matches!(state, State::NotAuthenticated);
        match self.allowed {
            Allowed::BeforeLogin if is_known => Some(Answer::bad("you are logged in already")),
            Allowed::AfterLogin | Allowed::Selected if !is_known => Some(Answer::bad("log in first")),
            Allowed::Selected if !matches!(state, State::Selected(..)) => Some(Answer::bad("select a mailbox first")),
            _ => None,
        }
    }
}

/// Whether the client shows with the command that it knows CONDSTORE. RFC 7162 §3.1
pub(super) fn enables_condstore(request: &Request<'_>) -> bool {
    use crate::imap::wire::FetchItem;
    match request {
        Request::Select { condstore, .. } => *condstore,
        Request::Status { items, .. } => items.contains(&StatusItem::HighestModSeq),
        Request::List(list) => list.returns.status.iter().any(|items| items.contains(&StatusItem::HighestModSeq)),
        Request::Fetch(fetch) => fetch.changed_since.is_some() || fetch.items.contains(&FetchItem::ModSeq),
        Request::Store(store) => store.unchanged_since.is_some(),
        Request::Search(search) => has_modseq(&search.key),
        _ => false,
    }
}

fn has_modseq(key: &SearchKey<'_>) -> bool {
    match key {
        SearchKey::ModSeq(_) => true,
        SearchKey::And(keys) => keys.iter().any(has_modseq),
        SearchKey::Or(first, second) => has_modseq(first) || has_modseq(second),
        SearchKey::Not(key) => has_modseq(key),
        _ => false,
    }
}
