use super::apply::ApplyState;
use super::passwords::Password;
use super::section::Section;
use super::shape::Item;
use crate::base::{Address, DomainName};
use crate::directory::{
    self, Account, AccountChange, DeleteAlias, DeleteDomain, PasswordHash, Precondition, PutAlias, PutDomain,
};
use crate::dkim::RemoveDomain;
use crate::http::api::accounts::{self, AccountInput, NewPassword};
use crate::http::api::aliases::AliasInput;
use crate::http::api::domains::DomainInput;
use crate::http::api::mail_routes::RouteInput;
use crate::http::api::peers::PeerInput;
use crate::http::api::settings::SettingValue;
use crate::http::problem::{Code, Problem, Refusal};
use crate::mailbox::{DeleteAccount, PutAccount};
use crate::queue::{self, DeleteRoute, PutRoute, RouteFields, RouteKind};
use crate::settings::{Change, SETTINGS, Setter, Settings};
use crate::store::{Halt, Op, Read, Tx};
use crate::turn::{self, DeletePeer, PutPeer};

/// What a step has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Done {
    /// Nothing: it is so already.
    Nothing,
    /// A change.
    Changed {
        /// Among the rest, or alone, of its secret.
        secret: bool,
    },
}

/// Makes a thing as the state says, by the op that its own PUT runs.
///
/// # Errors
/// Why it can't be.
pub(super) fn put(
    state: &ApplyState,
    settings: &Settings,
    section: Section,
    item: &Item,
    draft: &mut Tx<'_>,
) -> Result<Done, Halt<Problem>> {
    let (at, precondition) = (state.at, Precondition::None);
    match section {
        Section::Settings => {
            let value = input::<SettingValue>(item)?.text();
            if draft.get(&SETTINGS, &item.name)?.is_some_and(|row| row.value == value && row.setter == Setter::State) {
                return Ok(Done::Nothing);
            }
            let values = vec![(item.name.clone(), Some(value))];
            let change = Change { values, setter: Setter::State, expected: None, at };
            // Its pointer is the key, where the step stands already.
            run(draft, &change).map_err(|halt| match halt {
                Halt::Refused(problem) => Halt::Refused(problem.without_pointers()),
                broken => broken,
            })?;
        }
        Section::Domains => {
            let name = domain_name(item)?;
            let fields = input::<DomainInput>(item)?.fields(settings).map_err(Halt::Refused)?;
            let old = directory::domain(draft, &name)?;
            if old.is_some_and(|old| old.fields == fields) {
                return Ok(Done::Nothing);
            }
            run(draft, &PutDomain { name, fields, precondition, at })?;
        }
        Section::Accounts => return put_account(state, item, draft),
        Section::Aliases => {
            let address = address(item)?;
            let fields = input::<AliasInput>(item)?.fields().map_err(Halt::Refused)?;
            if directory::alias(draft, &address)?.is_some_and(|old| old.fields == fields) {
                return Ok(Done::Nothing);
            }
            run(draft, &PutAlias { address, fields, precondition, at })?;
        }
        Section::Peers => {
            let old = turn::peer(draft, &item.name)?;
            let (fields, keep_secret) = input::<PeerInput>(item)?.fields(old.as_ref()).map_err(Halt::Refused)?;
            let old = old.map(|old| old.fields);
            let secret = |fields: &turn::PeerFields| fields.login.as_ref().map(|login| login.secret.clone());
            let has_new = !keep_secret
                && secret(&fields).is_some()
                && old.as_ref().is_some_and(|old| secret(old) != secret(&fields));
            let mut whole = fields.clone();
            if keep_secret && let (Some(login), Some(old)) = (&mut whole.login, old.as_ref().and_then(secret)) {
                login.secret = old;
            }
            if old.is_some_and(|old| old == whole) {
                return Ok(Done::Nothing);
            }
            run(draft, &PutPeer { name: item.name.clone(), fields, keep_secret, precondition, at })?;
            return Ok(Done::Changed { secret: has_new });
        }
        Section::Routes => {
            let old = queue::route(draft, &item.name)?;
            let fields = input::<RouteInput>(item)?.fields(old.as_ref()).map_err(Halt::Refused)?;
            let old = old.map(|old| old.fields);
            if old.as_ref() == Some(&fields) {
                return Ok(Done::Nothing);
            }
            let has_new = old.as_ref().is_some_and(|old| route_secret(old) != route_secret(&fields))
                && route_secret(&fields).is_some();
            run(draft, &PutRoute { name: item.name.clone(), fields, precondition, at })?;
            return Ok(Done::Changed { secret: has_new });
        }
    }
    Ok(Done::Changed { secret: false })
}

/// Removes a thing by the op that its own DELETE runs.
///
/// # Errors
/// Why it can't be.
pub(super) fn remove(
    state: &ApplyState,
    section: Section,
    item: &Item,
    draft: &mut Tx<'_>,
) -> Result<Done, Halt<Problem>> {
    let (at, precondition) = (state.at, Precondition::None);
    match section {
        Section::Settings => {
            let values = vec![(item.name.clone(), None)];
            run(draft, &Change { values, setter: Setter::State, expected: None, at })?;
        }
        Section::Domains => run(draft, &RemoveDomain(DeleteDomain { name: domain_name(item)?, precondition }))?,
        Section::Accounts => {
            let address = address(item)?;
            let Some(account) = directory::account(draft, &address)? else { return Ok(Done::Nothing) };
            accounts::may_change(&state.caller, &account).map_err(Halt::Refused)?;
            run(draft, &DeleteAccount { address, precondition, by: state.caller.name(), at })?;
        }
        Section::Aliases => run(draft, &DeleteAlias { address: address(item)?, precondition })?,
        Section::Peers => drop(run(draft, &DeletePeer { name: item.name.clone(), precondition })?),
        Section::Routes => drop(run(draft, &DeleteRoute { name: item.name.clone(), precondition })?),
    }
    Ok(Done::Changed { secret: false })
}

fn put_account(state: &ApplyState, item: &Item, draft: &mut Tx<'_>) -> Result<Done, Halt<Problem>> {
    let address = address(item)?;
    let old = directory::account(draft, &address)?;
    let (fields, password) = input::<AccountInput>(item)?.parse().map_err(Halt::Refused)?;
    let (password, is_new) = password_of(state, item, old.as_ref(), password, draft)?;
    if !is_new && old.as_ref().is_some_and(|old| old.fields == fields) {
        return Ok(Done::Nothing);
    }
    accounts::may_set(&state.caller, &fields, old.as_ref()).map_err(Halt::Refused)?;
    let precondition = Precondition::None;
    run(draft, &PutAccount(AccountChange { address, fields, password, precondition, at: state.at }))?;
    Ok(Done::Changed { secret: is_new })
}

/// The hash to be kept, where it is another than the one that is there, and whether it is.
fn password_of(
    state: &ApplyState,
    item: &Item,
    old: Option<&Account>,
    given: Option<NewPassword>,
    draft: &Tx<'_>,
) -> Result<(Option<PasswordHash>, bool), Halt<Problem>> {
    let current = old.map_or(Ok(None), |old| directory::password(draft, old.id))?;
    match (given, state.passwords.get(&item.key)) {
        (None, _) => Ok((None, false)),
        (Some(NewPassword::Hash(hash)), _) => {
            let is_new = current.as_ref() != Some(&hash);
            Ok((is_new.then_some(hash), is_new))
        }
        (Some(NewPassword::Plain(_)), Some(Password::Same(hash))) if current.as_ref() == Some(hash) => {
            Ok((None, false))
        }
        (Some(NewPassword::Plain(_)), Some(Password::Same(_))) => {
            let detail = "Somebody else changed its password at the same moment: send the state again.";
            Err(Halt::Refused(Problem::new(Code::Conflict, detail)))
        }
        (Some(NewPassword::Plain(_)), Some(Password::New(hash))) => Ok((Some(hash.clone()), true)),
        (Some(NewPassword::Plain(_)), Some(Password::Unhashed) | None) => Ok((None, true)),
    }
}

fn route_secret(fields: &RouteFields) -> Option<&str> {
    match &fields.kind {
        RouteKind::Relay { login: Some(login), .. } => Some(&login.secret),
        _ => None,
    }
}

/// Runs an op on the draft.
fn run<O: Op<Refused: Refusal>>(draft: &mut Tx<'_>, op: &O) -> Result<O::Out, Halt<Problem>> {
    let plan = op.check(draft).map_err(|halt| match halt {
        Halt::Refused(refusal) => Halt::Refused(refusal.problem()),
        Halt::Broken(error) => Halt::Broken(error),
    })?;
    Ok(op.apply(draft, plan)?)
}

fn input<T: serde::de::DeserializeOwned>(item: &Item) -> Result<T, Halt<Problem>> {
    serde_json::from_value(item.value.clone()).map_err(|error| invalid(error.to_string()))
}

fn domain_name(item: &Item) -> Result<DomainName, Halt<Problem>> {
    DomainName::parse(&item.name).map_err(|error| invalid(error.to_string()))
}

fn address(item: &Item) -> Result<Address, Halt<Problem>> {
    Address::parse(&item.name).map_err(|error| invalid(error.to_string()))
}

fn invalid(what: String) -> Halt<Problem> {
    Halt::Refused(Problem::new(Code::Invalid, what))
}
