use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::account::account;
use super::alias::alias;
use super::change::{Refused, check_length};
use crate::base::{Address, limits};
use crate::store::{Halt, Read, StoreError};

/// Where an account's mail goes on to (RFC 5321 §3.9.1: as from an alias).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forward {
    /// The addresses, here or elsewhere.
    pub to: Vec<Address>,
    /// Whether the account gets a copy too. Where `to` leads to nobody, it gets the mail in any case.
    pub keep: bool,
}

impl Forward {
    pub(super) fn check(&self, read: &impl Read, own: &Address) -> Result<(), Halt<Refused>> {
        check_targets("/forward/to", &self.to, limits::LIST_ENTRIES).map_err(Halt::Refused)?;
        check_circle(read, own, "/forward/to", &self.to)
    }
}

/// Refuses targets that are none.
pub(super) fn check_targets(pointer: &str, targets: &[Address], targets_max: usize) -> Result<(), Refused> {
    if targets.is_empty() {
        return Err(Refused::invalid(pointer, "empty", "it leads to at least one address"));
    }
    check_length(pointer, targets.len(), targets_max)?;
    match targets.iter().position(|target| target.host.name().is_none()) {
        Some(number) => {
            Err(Refused::invalid(format!("{pointer}/{number}"), "no_domain", "an address with a domain name"))
        }
        None => Ok(()),
    }
}

/// Refuses targets that lead back to `own` by aliases and forwards alone, or to more addresses than are looked at. (What
/// leads back by a catch-all or a tag is met when mail comes: [`super::resolve`] visits nothing twice.)
pub(super) fn check_circle(
    read: &impl Read,
    own: &Address,
    pointer: &str,
    targets: &[Address],
) -> Result<(), Halt<Refused>> {
    let refuse = |number: usize, code, message| {
        Err(Halt::Refused(Refused::invalid(format!("{pointer}/{number}"), code, message)))
    };
    let (own_key, mut seen, mut looked_at) = (own.key(), HashSet::new(), 0);
    for (number, target) in targets.iter().enumerate() {
        let mut ahead = vec![target.clone()];
        while let Some(address) = ahead.pop() {
            let key = address.key();
            if key == own_key {
                return refuse(number, "circle", format!("{target} leads back to {own}"));
            }
            looked_at += 1;
            if looked_at > limits::CIRCLE_ADDRESSES {
                let message = format!("they lead to more than {} addresses", limits::CIRCLE_ADDRESSES);
                return refuse(number, "too_far", message);
            }
            if seen.insert(key) {
                ahead.extend(next(read, &address)?);
            }
        }
    }
    Ok(())
}

/// Where the alias or the account of that address leads.
fn next(read: &impl Read, address: &Address) -> Result<Vec<Address>, StoreError> {
    if let Some(alias) = alias(read, address)? {
        return Ok(alias.fields.targets);
    }
    Ok(account(read, address)?.and_then(|account| account.fields.forward).map(|forward| forward.to).unwrap_or_default())
}
