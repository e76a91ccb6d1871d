use super::command::Line;
use super::effect::{Effect, Effects};
use super::input::{Driver, Identity, SwapAnswer};
use super::limiter::{Count, Stepped};
use super::state::{Client, Place};
use crate::base::{DomainName, Reply};
use crate::smtp::wire::reply;

/// What a peer asks for when it wants to swap roles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SwapRequest {
    /// RFC 821 §3.8: everything that waits for it.
    Turn,
    /// RFC 2645 §5.2: what waits for these domains; none are all of its domains.
    Atrn(Vec<DomainName>),
}

/// Whose mail is to be released.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// That of a domain.
    Domain(DomainName),
    /// `@`: that of a domain and of every domain in it.
    Subdomains(DomainName),
    /// `#`: all that is held for the peer of that name.
    Peer(String),
}

impl std::fmt::Display for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Domain(domain) => write!(f, "{domain}"),
            Self::Subdomains(domain) => write!(f, "@{domain}"),
            Self::Peer(name) => write!(f, "#{name}"),
        }
    }
}

/// RFC 821 §3.8
pub(super) fn turn<D: Driver>(client: Client<D>, line: Line<'_>) -> Stepped<D> {
    if !line.argument.is_empty() && !line.is_followed {
        return Stepped::error(Place::Ready(client), reply::NO_ARGUMENT);
    }
    ask(client, line, SwapRequest::Turn)
}

/// RFC 2645 §5.2
pub(super) fn atrn<D: Driver>(client: Client<D>, line: Line<'_>) -> Stepped<D> {
    let domains = match line.argument {
        "" => Ok(Vec::new()),
        list => list.split(',').map(DomainName::parse).collect(),
    };
    match domains {
        Err(_) if !line.is_followed => Stepped::error(Place::Ready(client), reply::BAD_ATRN),
        domains => ask(client, line, SwapRequest::Atrn(domains.unwrap_or_default())),
    }
}

fn ask<D: Driver>(client: Client<D>, line: Line<'_>, request: SwapRequest) -> Stepped<D> {
    // RFC 2920 §3.1: these stand last in their group. What came behind them would be read as the answer of a server.
    if line.is_followed {
        return Stepped::close(reply::SWAP_FOLLOWED);
    }
    let Some(Identity::Peer(peer)) = client.remote.identity.clone() else {
        return Stepped::error(Place::Ready(client), reply::NOT_IMPLEMENTED);
    };
    Stepped::well(Place::CheckingSwap(client), Effects::one(Effect::CheckSwap { peer, request }))
}

/// What the driver said. Behind the 250 the other side is the server, and the connection is no more ours to read.
pub(super) fn swap_checked<D: Driver>(client: Client<D>, answer: SwapAnswer<D>) -> Stepped<D> {
    match answer {
        SwapAnswer::Granted(swap) => {
            let effects = Effects::reply(reply::SWAPPING).then(Effect::Flush).then(Effect::Swap(swap));
            Stepped::well(Place::Closed, effects)
        }
        SwapAnswer::Refused(refusal) => {
            let count = if refusal.code() >= 500 { Count::Error } else { Count::Junk };
            let effects = Effects::reply(refusal).then(Effect::Flush);
            Stepped::well(Place::Ready(client), effects).counted_as(count)
        }
        SwapAnswer::Followed => Stepped::close(reply::SWAP_FOLLOWED),
    }
}

/// RFC 1985 §5: has held mail sent to where it belongs, over connections of its own.
pub(super) fn etrn<D: Driver>(client: Client<D>, line: Line<'_>) -> Stepped<D> {
    match node(line.argument) {
        None => Stepped::error(Place::Ready(client), reply::BAD_ETRN),
        Some(node) => {
            let identity = client.remote.identity.clone();
            Stepped::well(Place::CheckingEtrn(client), Effects::one(Effect::CheckEtrn { identity, node }))
        }
    }
}

/// What the driver said.
pub(super) fn etrn_checked<D: Driver>(client: Client<D>, answer: Reply) -> Stepped<D> {
    // The command itself was counted as one that moves no mail.
    let count = if answer.is_positive() { Count::Nothing } else { Count::Error };
    Stepped::well(Place::Ready(client), Effects::reply(answer)).counted_as(count)
}

// RFC 1985 §5.1, §5.3
fn node(argument: &str) -> Option<Node> {
    if let Some(name) = argument.strip_prefix('#') {
        return (!name.is_empty() && !name.contains(' ')).then(|| Node::Peer(name.to_owned()));
    }
    match argument.strip_prefix('@') {
        Some(domain) => DomainName::parse(domain).ok().map(Node::Subdomains),
        None => DomainName::parse(argument).ok().map(Node::Domain),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_has_three_forms() {
        let check = |argument: &str, expected: Option<Node>| {
            let shown = expected.as_ref().map(ToString::to_string);
            assert!(shown.is_none_or(|shown| shown.eq_ignore_ascii_case(argument)));
            assert_eq!(node(argument), expected, "{argument}");
        };
        let name = |text: &str| DomainName::parse(text).unwrap();
        check("Branch.test", Some(Node::Domain(name("branch.test"))));
        check("@branch.test", Some(Node::Subdomains(name("branch.test"))));
        check("#branch", Some(Node::Peer("branch".to_owned())));
        for wrong in ["", "#", "@", "##", "a b", "#a b", "@@x.test", "[192.0.2.1]", "x@branch.test", "branch.test."] {
            check(wrong, (wrong == "##").then(|| Node::Peer("#".to_owned())));
        }
    }
}
