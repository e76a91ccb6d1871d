use serde::{Deserialize, Serialize};

use crate::base::Address;
use crate::postcard_row;
use crate::store::{HoldsSecret, Table};

/// The key that addresses are hashed with, under [`KEY`].
pub(super) static KEYS: Table<String, SrsKey> = Table::new("srs_keys");
/// Senders that are too long for an address of ours, by the day (since 1970) and their number in it.
pub(super) static SENDERS: Table<(u32, u32), Sender> = Table::new("srs_senders");

/// Where the key is.
pub(super) const KEY: &str = "hmac";

/// A key that an address is hashed with.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SrsKey {
    /// Not to be shown. Empty: it was sealed, and dropped with the key file.
    pub(super) secret: Vec<u8>,
}
postcard_row!(SrsKey, 1, secret);

impl HoldsSecret for SrsKey {
    const WHAT: &'static str = "SRS key";

    fn secret(&self) -> Option<&[u8]> {
        Some(&self.secret)
    }

    fn set_secret(&mut self, secret: &[u8]) -> Option<()> {
        self.secret = secret.to_vec();
        Some(())
    }
}

/// A sender that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sender {
    pub(super) address: Address,
}
postcard_row!(Sender, 1);
