use crate::base::{AccountId, Address};
use crate::store::{Read, StoreError};

/// Where an address leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolution {
    /// To accounts here: each once, at least one.
    Local(Vec<Delivery>),
    /// To accounts here, but only for mail from an authenticated account; for others `550 5.7.1`.
    InternalOnly(Vec<Delivery>),
    /// To addresses elsewhere, and perhaps to accounts here too. Until there is a queue, answer `451 4.3.0`.
    Forwards {
        /// The accounts here.
        local: Vec<Delivery>,
        /// The addresses elsewhere.
        remote: Vec<Address>,
        /// Only mail from an authenticated account goes there.
        internal_only: bool,
    },
    /// The domain is ours, but nobody has the address: `550 5.1.1`.
    Unknown,
    /// The address, or its domain, is switched off: `550 5.2.1`.
    Disabled,
    /// Its aliases lead through more than [`crate::base::limits::ALIAS_DEPTH`] levels or to more than
    /// [`crate::base::limits::ALIAS_MEMBERS`] members: `451 4.4.6`.
    TooFar,
    /// The domain is not ours: what is to be done is a question of relaying.
    NotLocal,
}

/// A copy for an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The account.
    pub account: AccountId,
    /// The account's address: what Delivered-To says.
    pub address: Address,
    /// What stood behind the separator, as in `alice+tag`.
    pub tag: Option<String>,
}

/// Where mail for an address goes.
///
/// In this order: the account of that address; the alias; either of them for the address without its tag; for
/// `postmaster` and `abuse` (RFC 5321 §4.5.1, RFC 2142 §4) an administrator; the domain's catch-all. A domain alias is the
/// domain. The administrator is the oldest enabled account with the role `domain_admin` of the domain, else with the
/// role `admin`; where there is none, and no catch-all, the server's oldest enabled account: these addresses lead to
/// somebody as long as there is anybody.
///
/// # Errors
/// [`StoreError`].
pub fn resolve(read: &impl Read, address: &Address) -> Result<Resolution, StoreError> {
    let _ = (read, address);
    todo!()
}

/// Where mail for `<Postmaster>` without a domain goes (RFC 5321 §4.5.1): as `postmaster@` of `hostname` where that is
/// a domain of ours, else to the server's administrator.
///
/// # Errors
/// [`StoreError`].
pub fn resolve_postmaster(read: &impl Read, hostname: &crate::base::DomainName) -> Result<Resolution, StoreError> {
    let _ = (read, hostname);
    todo!()
}

/// Whether an account may send as an address: mail to the address reaches that account and nobody else (catch-all
/// excepted), or an administrator has listed it in `send_as`.
///
/// # Errors
/// [`StoreError`].
pub fn may_send_as(read: &impl Read, account: AccountId, address: &Address) -> Result<bool, StoreError> {
    let _ = (read, account, address);
    todo!()
}
