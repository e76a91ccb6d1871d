use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use super::account::{ACCOUNT_ROLES, ACCOUNTS, Account, Role, account_at, account_by_id};
use super::alias::{ALIASES, Alias};
use super::domain::{Domain, local_domain};
use super::forward::Forward;
use super::step::{Step, StepKind, Steps};
use crate::base::{AccountId, Address, DomainName, Host, limits};
use crate::store::{Read, Span, StoreError};

/// Where an address leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolution {
    /// To accounts here: each once, at least one.
    Local(Vec<Delivery>),
    /// To accounts here, but only for mail from an authenticated account; for others `550 5.7.1`.
    InternalOnly(Vec<Delivery>),
    /// To addresses elsewhere, and perhaps to accounts here too.
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
    /// Its aliases lead through more than [`limits::ALIAS_DEPTH`] levels or to more than [`limits::ALIAS_MEMBERS`]
    /// members: `451 4.4.6`.
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
/// An account may forward its mail: then that goes on from there, with or without a copy for the account, as from an
/// alias. A forward that leads to nobody, or only back, is none: the account gets the mail.
///
/// In this order: the account of that address; the alias; either of them for the address without its tag; for
/// `postmaster` and `abuse` (RFC 5321 §4.5.1, RFC 2142 §4) an administrator; the domain's catch-all. A domain alias is
/// the domain. An alias of `postmaster` or `abuse` that leads to nobody is passed over. The administrator is the oldest
/// enabled account with the role `domain_admin` of the domain, else with the role `admin`; where there is none, and no
/// catch-all, the server's oldest enabled account: these addresses lead to somebody as long as there is anybody.
///
/// # Errors
/// [`StoreError`].
pub fn resolve(read: &impl Read, address: &Address) -> Result<Resolution, StoreError> {
    let Some(domain) = address.host.name().map_or(Ok(None), |name| local_domain(read, name))? else {
        return Ok(Resolution::NotLocal);
    };
    let mut walk = Walk::new(read);
    walk.enter(&domain, address, 0)?;
    Ok(walk.resolution())
}

/// The same with each step of the way, in their order.
///
/// # Errors
/// [`StoreError`].
pub fn explain(read: &impl Read, address: &Address) -> Result<(Resolution, Vec<Step>), StoreError> {
    let mut walk = Walk { steps: Steps::wanted(), ..Walk::new(read) };
    let Some(domain) = address.host.name().map_or(Ok(None), |name| local_domain(read, name))? else {
        walk.steps.end(StepKind::NotLocal, address, 0);
        return Ok((Resolution::NotLocal, walk.steps.into_vec()));
    };
    walk.enter(&domain, address, 0)?;
    let steps = std::mem::take(&mut walk.steps).into_vec();
    Ok((walk.resolution(), steps))
}

/// Where mail for `<Postmaster>` without a domain goes (RFC 5321 §4.5.1): as `postmaster` of the domain of ours that
/// `hostname` is or is in, else to the server's administrator.
///
/// # Errors
/// [`StoreError`].
pub fn resolve_postmaster(read: &impl Read, hostname: &DomainName) -> Result<Resolution, StoreError> {
    let mut rest = hostname.as_str();
    let mut walk = Walk::new(read);
    loop {
        let domain = DomainName::parse(rest).map_or(Ok(None), |name| local_domain(read, &name))?;
        if let Some(domain) = domain.filter(|domain| domain.fields.enabled) {
            walk.enter(&domain, &Address::postmaster(&domain.name), 0)?;
            return Ok(walk.resolution());
        }
        let Some((_, parent)) = rest.split_once('.') else { break };
        rest = parent;
    }
    if let Some(account) = walk.administrator(None)?.map_or_else(|| walk.oldest(), |found| Ok(Some(found)))? {
        walk.take(account, None, 0)?;
    }
    Ok(walk.resolution())
}

/// Whether an account may send as an address: mail to the address reaches that account and nobody else (by a catch-all
/// does not count, nor does it matter where the account forwards it to), or an administrator has listed it in `send_as`.
///
/// # Errors
/// [`StoreError`].
pub fn may_send_as(read: &impl Read, account: AccountId, address: &Address) -> Result<bool, StoreError> {
    let Some(row) = account_by_id(read, account)?.filter(|row| row.fields.enabled) else { return Ok(false) };
    let is_listed = row.fields.send_as.iter().any(|entry| match entry.strip_prefix('@') {
        Some(domain) => address.host.name().is_some_and(|name| DomainName::parse(domain).as_ref() == Ok(name)),
        None => Address::parse(entry).is_ok_and(|entry| entry.key() == address.key()),
    });
    if is_listed {
        return Ok(true);
    }
    let Some(domain) = address.host.name().map_or(Ok(None), |name| local_domain(read, name))? else {
        return Ok(false);
    };
    let mut walk = Walk { forwards: false, ..Walk::new(read) };
    walk.enter(&domain, address, 0)?;
    let reaches_it_alone = matches!(walk.local.as_slice(), [only] if only.account == account);
    Ok(reaches_it_alone && walk.remote.is_empty() && !walk.was_caught && !walk.is_too_far)
}

/// The addresses that every domain must have.
// RFC 5321 §4.5.1, RFC 2142 §4
fn is_required(local: &str) -> bool {
    local == "postmaster" || local == "abuse"
}

/// The way from an address to all that it leads to. Visits no alias and no forward twice, and no more than the limits allow.
struct Walk<'a, R> {
    read: &'a R,
    /// The aliases and forwards that were met, by the address's key, and whether each has led to somebody: one that the
    /// walk is still inside of has not, so far.
    met: HashMap<String, bool>,
    /// The domains whose catch-all was asked.
    caught: HashSet<String>,
    local: Vec<Delivery>,
    remote: Vec<Address>,
    members: usize,
    /// How often somebody was reached, also one who had been reached before.
    reached: usize,
    internal_only: bool,
    is_disabled: bool,
    is_too_far: bool,
    /// Somebody was reached only because nobody else was there.
    was_caught: bool,
    /// Whether accounts' forwards are followed.
    forwards: bool,
    steps: Steps,
}

/// Who has an address.
enum Holder {
    Account(Box<Account>, Option<String>),
    Alias(Box<Alias>, Option<String>),
}

impl<'a, R: Read> Walk<'a, R> {
    fn new(read: &'a R) -> Self {
        Self {
            read,
            met: HashMap::new(),
            caught: HashSet::new(),
            local: Vec::new(),
            remote: Vec::new(),
            members: 0,
            reached: 0,
            internal_only: false,
            is_disabled: false,
            is_too_far: false,
            was_caught: false,
            forwards: true,
            steps: Steps::default(),
        }
    }

    fn resolution(self) -> Resolution {
        match self {
            Self { is_too_far: true, .. } => Resolution::TooFar,
            Self { local, remote, internal_only, .. } if !remote.is_empty() => {
                Resolution::Forwards { local, remote, internal_only }
            }
            Self { local, internal_only: true, .. } if !local.is_empty() => Resolution::InternalOnly(local),
            Self { local, .. } if !local.is_empty() => Resolution::Local(local),
            Self { is_disabled: true, .. } => Resolution::Disabled,
            _ => Resolution::Unknown,
        }
    }

    /// Goes on from an address of that domain of ours, or of another name of it.
    fn enter(&mut self, domain: &Domain, address: &Address, depth: usize) -> Result<(), StoreError> {
        let own = Address { local: address.local.clone(), host: Host::Name(domain.name.clone()) };
        if own.host != address.host {
            self.steps.note(StepKind::DomainAlias, address, depth, &[&own]);
        }
        if !domain.fields.enabled {
            self.steps.end(StepKind::Disabled, &own, depth);
            self.is_disabled = true;
            return Ok(());
        }
        let (before, local) = (self.reached, own.local.key());
        match self.holder(domain, &local)? {
            Some(Holder::Account(account, tag)) => {
                self.note_tag(&own, tag.as_deref(), depth, &account.address);
                self.take(*account, tag, depth)?;
            }
            Some(Holder::Alias(alias, tag)) => {
                self.note_tag(&own, tag.as_deref(), depth, &alias.address);
                self.follow(&alias, depth)?;
            }
            None if is_required(&local) => {}
            None => return self.fall_back(domain, &own, depth),
        }
        if !is_required(&local) || self.reached > before {
            return Ok(());
        }
        if let Some(account) = self.administrator(Some(&domain.name))? {
            return self.ask_administrator(account, &own, depth);
        }
        self.fall_back(domain, &own, depth)?;
        if self.reached == before
            && let Some(account) = self.oldest()?
        {
            self.was_caught = true;
            self.ask_administrator(account, &own, depth)?;
        }
        Ok(())
    }

    fn note_tag(&mut self, own: &Address, tag: Option<&str>, depth: usize, holder: &Address) {
        if tag.is_some() {
            self.steps.note(StepKind::Subaddress, own, depth, &[holder]);
        }
    }

    fn ask_administrator(&mut self, account: Account, own: &Address, depth: usize) -> Result<(), StoreError> {
        self.steps.note(StepKind::Administrator, own, depth, &[&account.address]);
        self.take(account, None, depth + 1)
    }

    /// The account or alias of the address, or of the address without its tag.
    fn holder(&self, domain: &Domain, local: &str) -> Result<Option<Holder>, StoreError> {
        if let Some(holder) = self.exact(domain, local, None)? {
            return Ok(Some(holder));
        }
        // RFC 5233 §1: the first separator ends the name; one at the start is part of it.
        match domain.fields.subaddress_sep.as_str() {
            "" => Ok(None),
            separator => match local.split_once(separator) {
                Some((name, tag)) if !name.is_empty() => self.exact(domain, name, Some(tag)),
                _ => Ok(None),
            },
        }
    }

    fn exact(&self, domain: &Domain, local: &str, tag: Option<&str>) -> Result<Option<Holder>, StoreError> {
        let place = (domain.name.as_str().to_owned(), local.to_owned());
        if let Some(account) = account_at(self.read, &place)? {
            return Ok(Some(Holder::Account(Box::new(account), tag.map(str::to_owned))));
        }
        Ok(self.read.get(&ALIASES, &place)?.map(|alias| Holder::Alias(Box::new(alias), tag.map(str::to_owned))))
    }

    fn take(&mut self, account: Account, tag: Option<String>, depth: usize) -> Result<(), StoreError> {
        if !account.fields.enabled {
            self.steps.end(StepKind::Disabled, &account.address, depth);
            self.is_disabled = true;
            return Ok(());
        }
        match &account.fields.forward {
            Some(forward) if self.forwards => self.pass_on(&account, forward, tag, depth),
            _ => {
                self.deliver(&account, tag, depth);
                Ok(())
            }
        }
    }

    fn deliver(&mut self, account: &Account, tag: Option<String>, depth: usize) {
        self.reached += 1;
        if self.local.iter().any(|delivery| delivery.account == account.id) {
            self.steps.end(StepKind::Repeated, &account.address, depth);
            return;
        }
        self.steps.end(StepKind::Account, &account.address, depth);
        self.local.push(Delivery { account: account.id, address: account.address.clone(), tag });
    }

    fn pass_on(
        &mut self,
        account: &Account,
        forward: &Forward,
        tag: Option<String>,
        depth: usize,
    ) -> Result<(), StoreError> {
        if !self.enter_once(&account.address, depth) {
            return Ok(());
        }
        self.steps.note(StepKind::Forward, &account.address, depth, &forward.to);
        let before = self.reached;
        if forward.keep {
            self.deliver(account, tag.clone(), depth);
            // What comes back to it has come to somebody.
            self.met.insert(account.address.key(), true);
        }
        for target in &forward.to {
            self.lead(target, depth + 1)?;
        }
        // Nobody who forwards their mail wants it lost.
        if self.reached == before {
            self.deliver(account, tag, depth);
        }
        self.met.insert(account.address.key(), true);
        Ok(())
    }

    fn follow(&mut self, alias: &Alias, depth: usize) -> Result<(), StoreError> {
        if !alias.fields.enabled {
            self.steps.end(StepKind::Disabled, &alias.address, depth);
            self.is_disabled = true;
            return Ok(());
        }
        if !self.enter_once(&alias.address, depth) {
            return Ok(());
        }
        let before = self.reached;
        self.steps.note(StepKind::Alias, &alias.address, depth, &alias.fields.targets);
        // Only the address that was named asks who sends: a public group may lead through an internal one.
        self.internal_only |= depth == 0 && alias.fields.internal_only;
        for target in &alias.fields.targets {
            self.lead(target, depth + 1)?;
        }
        self.met.insert(alias.address.key(), self.reached > before);
        Ok(())
    }

    /// Whether an alias or a forward is met for the first time. Where it is met again, somebody is reached if it has led
    /// to somebody: a way that comes back to where it began has not.
    fn enter_once(&mut self, address: &Address, depth: usize) -> bool {
        let has_led = match self.met.entry(address.key()) {
            Entry::Vacant(new) => {
                new.insert(false);
                return true;
            }
            Entry::Occupied(met) => *met.get(),
        };
        self.steps.end(StepKind::Repeated, address, depth);
        self.reached += usize::from(has_led);
        false
    }

    fn lead(&mut self, target: &Address, depth: usize) -> Result<(), StoreError> {
        self.members += 1;
        if depth > limits::ALIAS_DEPTH || self.members > limits::ALIAS_MEMBERS {
            if !self.is_too_far {
                self.steps.end(StepKind::TooFar, target, depth);
            }
            self.is_too_far = true;
            return Ok(());
        }
        match target.host.name().map_or(Ok(None), |name| local_domain(self.read, name))? {
            Some(domain) => self.enter(&domain, target, depth),
            None => {
                self.reached += 1;
                if self.remote.iter().any(|known| known.key() == target.key()) {
                    self.steps.end(StepKind::Repeated, target, depth);
                } else {
                    self.steps.end(StepKind::Remote, target, depth);
                    self.remote.push(target.clone());
                }
                Ok(())
            }
        }
    }

    fn fall_back(&mut self, domain: &Domain, own: &Address, depth: usize) -> Result<(), StoreError> {
        let Some(catch_all) = &domain.fields.catch_all else {
            self.steps.end(StepKind::Unknown, own, depth);
            return Ok(());
        };
        // A catch-all whose own address nobody has would catch itself.
        if !self.caught.insert(domain.name.as_str().to_owned()) {
            self.steps.end(StepKind::Repeated, own, depth);
            return Ok(());
        }
        self.steps.note(StepKind::CatchAll, own, depth, &[catch_all]);
        self.was_caught = true;
        self.lead(catch_all, depth + 1)
    }

    /// The oldest enabled administrator of the domain, else of the server.
    fn administrator(&self, domain: Option<&DomainName>) -> Result<Option<Account>, StoreError> {
        let roles = domain.map(|name| Role::DomainAdmin(name.clone())).into_iter().chain([Role::Admin]);
        for role in roles {
            for ((_, id), ()) in self.read.rows(&ACCOUNT_ROLES, Span::prefix(&role.to_string()), usize::MAX)? {
                if let Some(account) = account_by_id(self.read, id)?.filter(|account| account.fields.enabled) {
                    return Ok(Some(account));
                }
            }
        }
        Ok(None)
    }

    fn oldest(&self) -> Result<Option<Account>, StoreError> {
        let mut oldest = None;
        self.read.scan(&ACCOUNTS, Span::all(), |_, account| {
            if account.fields.enabled {
                oldest = Some(account);
                std::ops::ControlFlow::Break(())
            } else {
                std::ops::ControlFlow::Continue(())
            }
        })?;
        Ok(oldest)
    }
}
