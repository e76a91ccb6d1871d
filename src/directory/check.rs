use std::collections::HashSet;

use super::account::{
    ACCOUNT_NAMES, ACCOUNT_ROLES, ACCOUNTS, Account, AccountFields, AccountRef, LAST_LOGINS, NUMBERS, Role,
    highest_number,
};
use super::alias::ALIASES;
use super::app_password::APP_PASSWORDS;
use super::change::{VERSIONS, highest_version, place};
use super::domain::{AliasOf, DOMAIN_ALIASES, DOMAINS, Domain, DomainFields};
use super::password::CREDENTIALS;
use super::setup_link::SETUP_LINK;
use super::token::TOKENS;
use super::web_session::{WEB_SESSIONS, WEB_SESSIONS_OF};
use crate::base::{AccountId, Address, DomainName, Timestamp};
use crate::settings::Settings;
use crate::store::{AnyTable, CrossCheck, Finding, Findings, Key, Read, Row, Span, StoreError, Table, View};

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
            findings.add(format!("domains: the row at {key} is of {}", domain.name)).set_aside(&DOMAINS, &key);
            continue;
        }
        for alias in &domain.fields.aliases {
            let known = view.get(&DOMAIN_ALIASES, &alias.as_str().to_owned())?;
            if known.as_ref().is_none_or(|AliasOf(name)| *name != domain.name) {
                let finding = findings.add(format!("domain_aliases: {alias} does not lead to {}", domain.name));
                if known.is_none() {
                    finding.put(&DOMAIN_ALIASES, &alias.as_str().to_owned(), &AliasOf(domain.name.clone()));
                }
            }
        }
    }
    for (alias, AliasOf(name)) in all(view, &DOMAIN_ALIASES)? {
        let domain = view.get(&DOMAINS, &name.as_str().to_owned())?;
        if !domain.as_ref().is_some_and(|domain| domain.fields.aliases.iter().any(|known| known.as_str() == alias)) {
            let finding = findings.add(format!("domain_aliases: {alias} leads to {name}, which does not know it"));
            // Where the domain has lost its row, it is what that is made anew from.
            if domain.is_some() {
                finding.remove(&DOMAIN_ALIASES, &alias);
            }
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
        if account.as_ref().and_then(|account| place(&account.address)).as_ref() != Some(&at) {
            let what = format!("account_names: {}@{} leads to account {id}, which is not it", at.1, at.0);
            let finding = findings.add(what);
            match account {
                Some(_) => drop(finding.remove(&ACCOUNT_NAMES, &at)),
                None => account_anew(view, finding, id, &at)?,
            }
        }
    }
    for ((role, id), ()) in all(view, &ACCOUNT_ROLES)? {
        let account = view.get(&ACCOUNTS, &id)?;
        if !account.is_some_and(|account| account.fields.roles.iter().any(|known| known.to_string() == role)) {
            let finding = findings.add(format!("account_roles: account {id} has no role {role}"));
            finding.remove(&ACCOUNT_ROLES, &(role, id));
        }
    }
    check_owners(view, findings, &CREDENTIALS, |(id, _)| ids.contains(id))?;
    check_owners(view, findings, &APP_PASSWORDS, |(id, _)| ids.contains(id))?;
    check_owners(view, findings, &LAST_LOGINS, |id| ids.contains(id))?;
    check_counters(view, findings)
}

/// The rows of a table are of accounts that are there.
fn check_owners<K: Key, V: Row>(
    view: &View,
    findings: &mut Findings,
    table: &Table<K, V>,
    is_there: impl Fn(&K) -> bool,
) -> Result<(), StoreError> {
    for (key, _) in all(view, table)?.into_iter().filter(|(key, _)| !is_there(key)) {
        findings.add(format!("{}: a row of an account that is not there", table.name())).set_aside(table, &key);
    }
    Ok(())
}

/// No account gets a number that another has, and no change a version that another had.
fn check_counters(view: &View, findings: &mut Findings) -> Result<(), StoreError> {
    let last = highest_number(view)?;
    if last > view.counter(NUMBERS)? {
        findings.add("accounts: the counter of their numbers is behind").raise(NUMBERS, last);
    }
    let last = highest_version(view)?;
    if last > view.counter(VERSIONS)? {
        findings.add("accounts, domains and aliases: the counter of their versions is behind").raise(VERSIONS, last);
    }
    Ok(())
}

/// Mends by a row for an account that has lost its own: with the address that leads to it and the roles that are known of
/// it. Its password and its mail are its own; all else has to be set anew, and it is disabled until somebody does.
fn account_anew(
    view: &View,
    finding: Finding<'_>,
    id: AccountId,
    (domain, local): &(String, String),
) -> Result<(), StoreError> {
    let Ok(address) = Address::parse(&format!("{local}@{domain}")) else { return Ok(()) };
    let mut roles = vec![Role::User];
    for ((role, holder), ()) in all(view, &ACCOUNT_ROLES)? {
        if holder == id {
            roles.extend(role.parse::<Role>());
        }
    }
    let fields = AccountFields { enabled: false, roles, ..AccountFields::default() };
    let version = view.counter(VERSIONS)? + 1;
    let (created_at, changed_at) = (Timestamp(0), Timestamp(0));
    let account = Account { id, address, fields, version, created_at, changed_at };
    finding.put(&ACCOUNTS, &id, &account).raise(VERSIONS, version);
    Ok(())
}

/// The same for a domain that addresses are in: with the other names that lead to it.
fn domain_anew(view: &View, finding: Finding<'_>, name: &str) -> Result<(), StoreError> {
    let Ok(name) = DomainName::parse(name) else { return Ok(()) };
    let mut fields = DomainFields::new(&Settings::default());
    for (alias, AliasOf(of)) in all(view, &DOMAIN_ALIASES)? {
        if of == name {
            fields.aliases.extend(DomainName::parse(&alias));
        }
    }
    let version = view.counter(VERSIONS)? + 1;
    let (created_at, changed_at) = (Timestamp(0), Timestamp(0));
    let key = name.as_str().to_owned();
    let domain = Domain { name, fields, version, created_at, changed_at };
    finding.put(&DOMAINS, &key, &domain).raise(VERSIONS, version);
    Ok(())
}

fn check_account(view: &View, findings: &mut Findings, id: AccountId, account: &Account) -> Result<(), StoreError> {
    if account.id != id {
        findings.add(format!("accounts: the row at {id} is of account {}", account.id)).set_aside(&ACCOUNTS, &id);
        return Ok(());
    }
    let Some(at) = place(&account.address) else {
        findings.add(format!("accounts: {} has no domain", account.address));
        return Ok(());
    };
    let known = view.get(&ACCOUNT_NAMES, &at)?;
    if known != Some(AccountRef(id)) {
        let finding = findings.add(format!("account_names: {} does not lead to account {id}", account.address));
        if known.is_none() {
            finding.put(&ACCOUNT_NAMES, &at, &AccountRef(id));
        }
    }
    if view.get(&DOMAINS, &at.0)?.is_none() {
        let finding = findings.add(format!("accounts: the domain of {} is not there", account.address));
        domain_anew(view, finding, &at.0)?;
    }
    for role in account.fields.roles.iter().filter(|role| **role != Role::User) {
        if !view.has(&ACCOUNT_ROLES, &(role.to_string(), id))? {
            let finding = findings.add(format!("account_roles: the role {role} of {} is missing", account.address));
            finding.put(&ACCOUNT_ROLES, &(role.to_string(), id), &());
        }
    }
    Ok(())
}

fn check_aliases(view: &View, findings: &mut Findings) -> Result<(), StoreError> {
    for (at, alias) in all(view, &ALIASES)? {
        if place(&alias.address).as_ref() != Some(&at) {
            findings
                .add(format!("aliases: the row at {}@{} is of {}", at.1, at.0, alias.address))
                .set_aside(&ALIASES, &at);
            continue;
        }
        if view.get(&DOMAINS, &at.0)?.is_none() {
            let finding = findings.add(format!("aliases: the domain of {} is not there", alias.address));
            domain_anew(view, finding, &at.0)?;
        }
        if view.has(&ACCOUNT_NAMES, &at)? {
            // The account is what mail comes to.
            findings.add(format!("aliases: {} is an account too", alias.address)).set_aside(&ALIASES, &at);
        }
    }
    for (id, token) in all(view, &TOKENS)? {
        if id != token.id {
            findings.add(format!("tokens: the row at {id} is of token {}", token.id)).set_aside(&TOKENS, &id);
        }
    }
    Ok(())
}

fn check_sessions(view: &View, findings: &mut Findings) -> Result<(), StoreError> {
    for (key, session) in all(view, &WEB_SESSIONS)? {
        if !view.has(&ACCOUNTS, &session.account)? {
            let what = format!("web_sessions: a session of account {}, which is not there", session.account);
            findings.add(what).remove(&WEB_SESSIONS, &key);
        } else if !view.has(&WEB_SESSIONS_OF, &(session.account, key))? {
            let finding = findings.add(format!("web_sessions_of: a session of account {} is missing", session.account));
            finding.put(&WEB_SESSIONS_OF, &(session.account, key), &());
        }
    }
    for ((account, key), ()) in all(view, &WEB_SESSIONS_OF)? {
        if view.get(&WEB_SESSIONS, &key)?.is_none_or(|session| session.account != account) {
            let finding = findings.add(format!("web_sessions_of: account {account} has no such session"));
            finding.remove(&WEB_SESSIONS_OF, &(account, key));
        }
    }
    Ok(())
}
