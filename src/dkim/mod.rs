//! DKIM (RFC 6376, RFC 8301, RFC 8463): the keys of our domains, and the signatures of what we originate; and with the same
//! keys the seals of what we pass on (ARC, RFC 8617).
//!
//! Floor F3b. A signature is made of a header block and the hash of a body that has streamed by: nothing here waits, dials
//! or reads a clock. Who looks for a key's record in the DNS, and leads the keys through their states, is `rotation`.

mod body_hash;
mod change;
mod check;
mod key;
mod record;
mod row;
mod seal;
mod signature;
mod signers;

pub use body_hash::{BodyHash, BodyHasher};
pub use change::{ActivateKey, AddKeys, DeleteKey, KeyRefused, NoteDns, RemoveDomain, new_selector};
pub use check::{CHECKS, TABLES};
pub use key::{Algorithm, KeyFault, KeyPair};
pub use record::{DnsState, judge, record_name, record_value};
pub use row::{DKIM_TOPIC, DkimKey, KeyState, all_keys, key, keys};
pub use seal::{ChainStatus, Seal, Unsealed, split_seal};
pub use signers::{Signers, Unsigned};

#[cfg(test)]
mod tests;
