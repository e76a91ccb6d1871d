//! The words that everyone in the house speaks: addresses, ids, time, limits, replies, secrets.
//!
//! Floor F0: imports nothing from the rooms above.

mod address;
mod clock;
mod flags;
mod id;
mod key_ring;
pub mod limits;
mod mailbox_name;
mod network;
mod options;
mod random;
mod reply;
mod secret;

pub use address::{Address, AddressError, DomainName, Host, LocalPart};
pub use clock::{Clock, DAY_MS, SystemClock, Timestamp, TurnedClock};
pub use flags::SystemFlags;
pub use id::{
    AccountId, AuditId, BlobId, IdError, JobId, MailboxId, MessageId, MessageIds, ModSeq, QueueId, SessionId, TraceId,
    Uid,
};
pub use key_ring::{KeyError, KeyId, KeyRing, Unsealed};
pub use mailbox_name::{after_inbox, mailbox_name, mailbox_text};
pub use network::{Network, NetworkError, Networks};
pub use options::{ByMode, DeliverBy, MailOptions, NotifyOn, OriginalRecipient, PassedOn, RcptOptions, Ret, TlsWish};
pub use random::{Random, SeededRandom, SystemRandom};
pub use reply::{Enhanced, Fault, Reply};
pub use secret::Secret;
