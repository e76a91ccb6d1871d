//! VRFY and EXPN: what is told of names, and to whom.
// RFC 5321 §3.5

use super::context::Context;
use super::policy::with_view;
use super::session::Smtp;
use crate::base::{Address, DomainName, Enhanced, Host, LocalPart, Reply, limits};
use crate::directory::{self, Account, Alias, Expn, Resolution, Role};
use crate::smtp::machine::{Identity, Question};
use crate::smtp::wire::reply;
use crate::store::{Read, StoreError, View};
use crate::turn;

/// Whether a mailbox is here, and whose it is: the truth about the domains that the client has to do with, nothing about
/// others.
pub(super) fn verify(context: &Context, identity: Option<&Identity<Smtp>>, question: &Question) -> Reply {
    answer(context, identity, question, |view, asked| {
        let Some(address) = &asked.address else { return by_name(view, asked) };
        Ok(match directory::resolve(view, address)? {
            Resolution::Unknown | Resolution::Disabled => no_such_user(),
            // RFC 5321 §3.5.3
            Resolution::TooFar => Reply::new(451, Enhanced(4, 4, 6), "This address leads too far"),
            Resolution::NotLocal => reply::NOT_VERIFIED.into(),
            Resolution::Forwards { local, remote, .. }
                if local.is_empty() && remote.len() == 1 && may_see_targets(view, identity, address)? =>
            {
                let to = remote.first().map(ToString::to_string).unwrap_or_default();
                Reply::new(251, Enhanced(2, 1, 5), format!("User not local; will forward to <{to}>"))
            }
            _ => {
                let account = directory::account(view, address)?;
                Reply::new(250, Enhanced(2, 1, 5), named(account.as_ref(), address))
            }
        })
    })
}

/// Who is in a list: one level of it, and only for those who may know its members.
pub(super) fn expand(context: &Context, identity: Option<&Identity<Smtp>>, question: &Question) -> Reply {
    answer(context, identity, question, |view, asked| {
        let Some(address) = &asked.address else { return Ok(reply::NOT_VERIFIED.into()) };
        let Some(alias) = alias_at(view, address)? else {
            // RFC 5321 §3.5.3: a mailbox is no list.
            return Ok(match directory::resolve(view, address)? {
                Resolution::Unknown | Resolution::Disabled => no_such_user(),
                _ => reply::NOT_VERIFIED.into(),
            });
        };
        if !may_see(view, identity, &alias)? {
            return Ok(reply::EXPANSION_REFUSED.into());
        }
        let mut lines = Vec::with_capacity(alias.fields.targets.len());
        for target in &alias.fields.targets {
            lines.push(named(directory::account(view, target)?.as_ref(), target));
        }
        let mut lines = lines.into_iter();
        let first = lines.next().unwrap_or_default();
        Ok(lines.fold(Reply::new(250, Enhanced(2, 1, 5), first), Reply::and))
    })
}

/// What was asked about, in domains of which the client may know.
struct Asked<'a> {
    /// The address; `None`: it may be somebody's name.
    address: Option<Address>,
    name: &'a str,
    /// Where people of that name are looked for.
    domains: Vec<DomainName>,
    /// Several of one name may be told.
    is_admin: bool,
}

fn answer(
    context: &Context,
    identity: Option<&Identity<Smtp>>,
    question: &Question,
    tell: impl FnOnce(&View, &Asked<'_>) -> Result<Reply, StoreError>,
) -> Reply {
    let told = with_view(context, |view| {
        let Some(asked) = asked(view, identity, &question.name)? else { return Ok(reply::NOT_VERIFIED.into()) };
        tell(view, &asked)
    });
    match told {
        // RFC 6531 §3.7.4.2: what can't be said in ASCII is not said to a client that has not asked for more.
        Ok(reply) if !question.smtputf8 && !is_ascii(&reply) => reply::NOT_VERIFIED.into(),
        Ok(reply) | Err(reply) => reply,
    }
}

fn is_ascii(reply: &Reply) -> bool {
    let mut out = Vec::new();
    reply.write_to(&mut out);
    out.is_ascii()
}

/// `None`: it is of a domain that is not the client's to know.
fn asked<'a>(view: &View, identity: Option<&Identity<Smtp>>, name: &'a str) -> Result<Option<Asked<'a>>, StoreError> {
    let (domains, is_admin) = scope(view, identity)?;
    let name = name.strip_prefix('<').and_then(|name| name.strip_suffix('>')).unwrap_or(name);
    let asked = |address| Asked { address, name, domains: domains.clone(), is_admin };
    if let Ok(address) = Address::parse(name) {
        let is_in_scope = match address.host.name() {
            Some(host) => directory::local_domain(view, host)?.is_some_and(|domain| domains.contains(&domain.name)),
            None => false,
        };
        return Ok(is_in_scope.then(|| asked(Some(address))));
    }
    if name.contains('@') {
        return Ok(None);
    }
    // A local part stands for an address in the one domain that the client has; else it may be a name.
    if let (Ok(local), [domain]) = (LocalPart::parse(name), domains.as_slice()) {
        let address = Address { local, host: Host::Name(domain.clone()) };
        if directory::resolve(view, &address)? != Resolution::Unknown || !name.contains(' ') {
            return Ok(Some(asked(Some(address))));
        }
    }
    Ok(Some(asked(None)))
}

/// The domains about which the client is told the truth, and whether it runs the server.
fn scope(view: &View, identity: Option<&Identity<Smtp>>) -> Result<(Vec<DomainName>, bool), StoreError> {
    let all = || -> Result<Vec<DomainName>, StoreError> {
        let domains = directory::domains(view, None, limits::NAMES_LOOKED_AT)?;
        Ok(domains.into_iter().map(|domain| domain.name).collect())
    };
    Ok(match identity {
        Some(Identity::Account(account)) if account.roles.contains(&Role::Admin) => (all()?, true),
        Some(Identity::Account(account)) => (account.login.host.name().cloned().into_iter().collect(), false),
        Some(Identity::Peer(peer)) => (turn::domains_ours(view, peer)?, false),
        None => (all()?, false),
    })
}

/// Somebody by the name that people call them.
fn by_name(view: &View, asked: &Asked<'_>) -> Result<Reply, StoreError> {
    let mut found = Vec::new();
    for domain in &asked.domains {
        let accounts = directory::accounts(view, Some(domain), None, limits::NAMES_LOOKED_AT)?;
        let is_meant =
            |account: &Account| account.fields.enabled && account.fields.display_name.eq_ignore_ascii_case(asked.name);
        found.extend(accounts.into_iter().filter(is_meant));
    }
    Ok(match found.as_slice() {
        [] => reply::NOT_VERIFIED.into(),
        [only] => Reply::new(250, Enhanced(2, 1, 5), named(Some(only), &only.address)),
        // RFC 5321 §3.5.1
        several if asked.is_admin => {
            let lines = several.iter().take(limits::VERBOSE_LINES).map(|one| named(Some(one), &one.address));
            lines.fold(Reply::new(553, Enhanced(5, 1, 4), "Ambiguous; possibilities are"), Reply::and)
        }
        _ => Reply::new(553, Enhanced(5, 1, 4), "User ambiguous"),
    })
}

/// The list of that address, which may be of a domain that is another name of ours.
fn alias_at(read: &impl Read, address: &Address) -> Result<Option<Alias>, StoreError> {
    let Some(name) = address.host.name() else { return Ok(None) };
    let Some(domain) = directory::local_domain(read, name)? else { return Ok(None) };
    let address = Address { local: address.local.clone(), host: Host::Name(domain.name) };
    Ok(directory::alias(read, &address)?.filter(|alias| alias.fields.enabled))
}

/// Whether the client may know where that address leads: an alias as by EXPN; who an account forwards to is no secret.
fn may_see_targets(view: &View, identity: Option<&Identity<Smtp>>, address: &Address) -> Result<bool, StoreError> {
    alias_at(view, address)?.map_or(Ok(true), |alias| may_see(view, identity, &alias))
}

/// Whether the client may know who is in a list: those who run the server or the domain, its members, and whom it is open
/// to.
fn may_see(view: &View, identity: Option<&Identity<Smtp>>, alias: &Alias) -> Result<bool, StoreError> {
    let domain = alias.address.host.name();
    match (alias.fields.expn, identity) {
        (Expn::Public, _) => return Ok(true),
        (Expn::Domain, Some(Identity::Account(account))) if account.login.host.name() == domain => return Ok(true),
        (Expn::Private | Expn::Domain, _) => {}
    }
    let Some(Identity::Account(account)) = identity else { return Ok(false) };
    let runs = |role: &Role| match role {
        Role::Admin => true,
        Role::DomainAdmin(theirs) => domain == Some(theirs),
        Role::User | Role::Operator => false,
    };
    if account.roles.iter().any(runs) {
        return Ok(true);
    }
    Ok(match directory::resolve(view, &alias.address)? {
        Resolution::Local(members)
        | Resolution::InternalOnly(members)
        | Resolution::Forwards { local: members, .. } => members.iter().any(|member| member.account == account.account),
        _ => false,
    })
}

/// As in `Alice Liddell <alice@example.test>`.
// RFC 5321 §3.5.1
fn named(account: Option<&Account>, address: &Address) -> String {
    match account.map(|account| account.fields.display_name.trim()).filter(|name| !name.is_empty()) {
        Some(name) => format!("{name} <{address}>"),
        None => format!("<{address}>"),
    }
}

fn no_such_user() -> Reply {
    Reply::new(550, Enhanced(5, 1, 1), "No such user here")
}
