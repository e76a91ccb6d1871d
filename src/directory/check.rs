use std::collections::HashSet;

use super::account::{ACCOUNT_NAMES, ACCOUNT_ROLES, ACCOUNTS, Account, AccountRef, LAST_LOGINS, Role};
use super::alias::ALIASES;
use super::app_password::APP_PASSWORDS;
use super::change::place;
use super::domain::{AliasOf, DOMAIN_ALIASES, DOMAINS};
use super::password::CREDENTIALS;
use super::setup_link::SETUP_LINK;
use super::token::TOKENS;
use super::web_session::{WEB_SESSIONS, WEB_SESSIONS_OF};
use crate::base::AccountId;
use crate::store::{AnyTable, CrossCheck, Findings, Key, Read, Row, Span, StoreError, Table, View};

/// The room's tables.
pub const TABLES: &[&dyn AnyTable] = &[
    &DOMAINS,
    &DOMAIN_ALIASES,
    &ACCOUNTS,
    &ACCOUNT_NAMES,
    &ACCOUNT_ROLES,
    &LAST_LOGINS,
    &CREDENTIALS,
    &ALIASES,
    &TOKENS,
    &APP_PASSWORDS,
    &SETUP_LINK,
    &WEB_SESSIONS,
    &WEB_SESSIONS_OF,
];

/// The room's cross-checks.
pub const CHECKS: &[CrossCheck] = &[
    CrossCheck { name: "domains and their aliases", run: check_domains },
    CrossCheck { name: "accounts and their indexes", run: check_accounts },
    CrossCheck { name: "aliases and tokens", run: check_aliases },
    CrossCheck { name: "sessions of the admin page", run: check_sessions },
];

fn all<K: Key, V: Row>(view: &View, table: &Table<K, V>) -> Result<Vec<(K, V)>, StoreError> {
    view.rows(table, Span::all(), usize::MAX)
}

fn check_domains(view: &View, findings: &mut Findings) -> Result<(), StoreError> {
    for (key, domain) in all(view, &DOMAINS)? {
        if key != domain.name.as_str() {
            findings.add(format!("domains: the row at {key} is of {}", domain.name));
        }
        for alias in &domain.fields.aliases {
            let known = view.get(&DOMAIN_ALIASES, &alias.as_str().to_owned())?;
            if known.is_none_or(|AliasOf(name)| name != domain.name) {
                findings.add(format!("domain_aliases: {alias} does not lead to {}", domain.name));
            }
        }
    }
    for (alias, AliasOf(name)) in all(view, &DOMAIN_ALIASES)? {
        let domain = view.get(&DOMAINS, &name.as_str().to_owned())?;
        if !domain.is_some_and(|domain| domain.fields.aliases.iter().any(|known| known.as_str() == alias)) {
            findings.add(format!("domain_aliases: {alias} leads to {name}, which does not know it"));
        }
    }
    Ok(())
}

fn check_accounts(view: &View, findings: &mut Findings) -> Result<(), StoreError> {
    let accounts = all(view, &ACCOUNTS)?;
    let ids: HashSet<AccountId> = accounts.iter().map(|(id, _)| *id).collect();
    for (id, account) in &accounts {
        check_account(view, findings, *id, account)?;
    }
    for (at, AccountRef(id)) in all(view, &ACCOUNT_NAMES)? {
        let account = view.get(&ACCOUNTS, &id)?;
        if account.and_then(|account| place(&account.address)).as_ref() != Some(&at) {
            findings.add(format!("account_names: {}@{} leads to account {id}, which is not it", at.1, at.0));
        }
    }
    for ((role, id), ()) in all(view, &ACCOUNT_ROLES)? {
        let account = view.get(&ACCOUNTS, &id)?;
        if !account.is_some_and(|account| account.fields.roles.iter().any(|known| known.to_string() == role)) {
            findings.add(format!("account_roles: account {id} has no role {role}"));
        }
    }
    let owners = all(view, &CREDENTIALS)?.into_iter().map(|((id, _), _)| ("credentials", id));
    let owners = owners.chain(all(view, &APP_PASSWORDS)?.into_iter().map(|((id, _), _)| ("app_passwords", id)));
    for (table, id) in owners.chain(all(view, &LAST_LOGINS)?.into_iter().map(|(id, _)| ("last_logins", id))) {
        if !ids.contains(&id) {
            findings.add(format!("{table}: a row of account {id}, which is not there"));
        }
    }
    Ok(())
}

fn check_account(view: &View, findings: &mut Findings, id: AccountId, account: &Account) -> Result<(), StoreError> {
    if account.id != id {
        findings.add(format!("accounts: the row at {id} is of account {}", account.id));
    }
    let Some(at) = place(&account.address) else {
        findings.add(format!("accounts: {} has no domain", account.address));
        return Ok(());
    };
    if view.get(&ACCOUNT_NAMES, &at)? != Some(AccountRef(id)) {
        findings.add(format!("account_names: {} does not lead to account {id}", account.address));
    }
    if !view.has(&DOMAINS, &at.0)? {
        findings.add(format!("accounts: the domain of {} is not there", account.address));
    }
    for role in account.fields.roles.iter().filter(|role| **role != Role::User) {
        if !view.has(&ACCOUNT_ROLES, &(role.to_string(), id))? {
            findings.add(format!("account_roles: the role {role} of {} is missing", account.address));
        }
    }
    Ok(())
}

fn check_aliases(view: &View, findings: &mut Findings) -> Result<(), StoreError> {
    for (at, alias) in all(view, &ALIASES)? {
        if place(&alias.address).as_ref() != Some(&at) {
            findings.add(format!("aliases: the row at {}@{} is of {}", at.1, at.0, alias.address));
        }
        if !view.has(&DOMAINS, &at.0)? {
            findings.add(format!("aliases: the domain of {} is not there", alias.address));
        }
        if view.has(&ACCOUNT_NAMES, &at)? {
            findings.add(format!("aliases: {} is an account too", alias.address));
        }
    }
    for (id, token) in all(view, &TOKENS)? {
        if id != token.id {
            findings.add(format!("tokens: the row at {id} is of token {}", token.id));
        }
    }
    Ok(())
}

fn check_sessions(view: &View, findings: &mut Findings) -> Result<(), StoreError> {
    for (key, session) in all(view, &WEB_SESSIONS)? {
        if !view.has(&ACCOUNTS, &session.account)? {
            findings.add(format!("web_sessions: a session of account {}, which is not there", session.account));
        }
        if !view.has(&WEB_SESSIONS_OF, &(session.account, key))? {
            findings.add(format!("web_sessions_of: a session of account {} is missing", session.account));
        }
    }
    for ((account, key), ()) in all(view, &WEB_SESSIONS_OF)? {
        if view.get(&WEB_SESSIONS, &key)?.is_none_or(|session| session.account != account) {
            findings.add(format!("web_sessions_of: account {account} has no such session"));
        }
    }
    Ok(())
}
