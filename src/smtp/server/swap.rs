use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::policy;
use super::session::{End, Session, Smtp};
use crate::base::{DomainName, Enhanced, Reply, limits};
use crate::net::{Connection, ConnectionError};
use crate::queue::{Flush, Selector};
use crate::smtp::machine::{Identity, Node, SwapAnswer, SwapRequest};
use crate::smtp::wire::{ForwardPath, reply};
use crate::store::{StoreError, View};
use crate::turn::{self, Lease, Verb};

/// How a session ended.
pub enum Ended {
    /// It is over.
    Closed(Served),
    /// The roles are swapped: we are the client now, and the other side greets us.
    Swap(Box<Connection>, Turned),
}

/// What came of a session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Served {
    /// Messages that we took.
    pub received: u64,
    /// Their octets.
    pub size_bytes: u64,
    /// Recipients and messages that we refused.
    pub refused: u64,
    /// It was ended at a message beyond what such a session may carry.
    pub is_full: bool,
    /// Why it broke, where it did not end as it should.
    pub failure: Option<String>,
}

/// A swap that was granted.
#[derive(Debug)]
pub struct Turned {
    /// The peer.
    pub peer: Arc<turn::Peer>,
    /// By which verb.
    pub verb: Verb,
    /// What waits for these domains is to be sent.
    pub domains: Vec<DomainName>,
    /// Nobody else swaps roles with this peer as long as this lives.
    pub lease: Lease,
    /// What came of the session before the swap.
    pub served: Served,
}

impl Session {
    /// What this client may hope for because of where it is: nothing, where the file can't be read.
    pub(super) fn welcome(&self) -> turn::Welcome {
        let ip = self.connection.peer().ip();
        let welcome = self.context.store.view().and_then(|view| turn::welcome(&view, ip));
        welcome.unwrap_or_else(|error| {
            tracing::error!(%error, "the peers can't be read");
            turn::Welcome::default()
        })
    }

    /// Whether a peer that has logged in may have what waits for it over this connection.
    pub(super) async fn check_swap(
        &mut self,
        peer: &Arc<turn::Peer>,
        request: SwapRequest,
    ) -> Result<SwapAnswer<Smtp>, End> {
        // What has come meanwhile can't be an answer to our 250, and would be read as the greeting of a server.
        match self.connection.fill(Duration::ZERO).await {
            Ok(0) => return Err(End::Eof),
            Ok(_) => return Ok(SwapAnswer::Followed),
            Err(ConnectionError::TimedOut) => {}
            Err(error) => return Err(error.into()),
        }
        let verb = match request {
            SwapRequest::Turn => Verb::Turn,
            SwapRequest::Atrn(_) => Verb::Atrn,
        };
        let asked = match request {
            SwapRequest::Turn => Vec::new(),
            SwapRequest::Atrn(domains) => domains,
        };
        let allowed = match policy::with_view(&self.context, |view| allowed(view, peer, verb, &asked)) {
            Ok(Some(domains)) => domains,
            // RFC 2645 §5.2.1: one domain that is not theirs refuses the whole command.
            Ok(None) => return Ok(SwapAnswer::Refused(reply::SWAP_REFUSED.into())),
            Err(refusal) => return Ok(SwapAnswer::Refused(refusal)),
        };
        let Some(lease) = self.context.leases.take(&peer.name) else {
            return Ok(SwapAnswer::Refused(reply::PEER_BUSY.into()));
        };
        if verb == Verb::Atrn {
            let (domains, now) = (allowed.clone(), self.context.clock.now());
            match self.context.store.read(move |view| turn::has_mail(view, &domains, now)).await {
                Ok(true) => {}
                Ok(false) => return Ok(SwapAnswer::Refused(reply::NO_MAIL.into())),
                Err(error) => return Ok(SwapAnswer::Refused(policy::broken(error.to_string()))),
            }
        }
        tracing::info!(peer = %self.connection.peer().ip(), name = peer.name, verb = verb.as_str(), "roles are swapped");
        let served = self.served.clone();
        Ok(SwapAnswer::Granted(Turned { peer: Arc::clone(peer), verb, domains: allowed, lease, served }))
    }

    /// Releases the mail of a node for one attempt, when this client may ask for it. Whether anything waits is said to the
    /// peer itself, when it has logged in: of the others it is only known where they are.
    pub(super) async fn check_etrn(&self, identity: Option<Identity<Smtp>>, node: Node) -> Reply {
        let selectors = policy::with_view(&self.context, |view| {
            let mut peers = turn::peers_by_network(view, self.connection.peer().ip())?;
            if let Some(Identity::Peer(peer)) = &identity {
                peers.extend(still(view, peer, Verb::Etrn)?);
            }
            selectors(view, &peers, &node)
        });
        let selectors = match selectors {
            Ok(selectors) if selectors.is_empty() => return reply::ETRN_REFUSED.into(),
            Ok(selectors) => selectors,
            Err(refusal) => return refusal,
        };
        let is_told = match &identity {
            Some(Identity::Peer(known)) => selectors.values().all(|(_, peer)| *peer == known.name),
            _ => false,
        };
        let now_ms = self.context.clock.monotonic_ms();
        let (mut messages, mut is_under_way) = (0, false);
        for (key, (selector, peer)) in selectors {
            let done = match self.context.flushes.begin(&key, now_ms) {
                true => self.flush(selector, &peer).await.map(|flushed| {
                    messages += flushed;
                    if flushed == 0 {
                        // What comes in a moment has not been asked for yet.
                        self.context.flushes.forget(&key);
                    }
                }),
                false if is_told => self.waits(selector).await.map(|waits| is_under_way |= waits),
                false => Ok(()),
            };
            if let Err(cause) = done {
                self.context.flushes.forget(&key);
                // RFC 1985 §5.2
                return Reply::our_fault(
                    458,
                    Enhanced(4, 3, 0),
                    format!("Unable to queue messages for node {node}"),
                    cause,
                );
            }
        }
        if is_told { etrn_started(&node, messages, is_under_way) } else { reply::ETRN_STARTED.into() }
    }

    /// Whether anything waits that was released lately.
    async fn waits(&self, selector: Selector) -> Result<bool, String> {
        let now = self.context.clock.now();
        let waits = self.context.store.read(move |view| {
            let domains = match selector {
                Selector::Domain(domain) => vec![domain],
                Selector::Peer(name) => match turn::peer(view, &name)? {
                    Some(peer) => turn::domains_held(view, &peer)?,
                    None => Vec::new(),
                },
                _ => Vec::new(),
            };
            turn::has_mail(view, &domains, now)
        });
        waits.await.map_err(|error| error.to_string())
    }

    /// In a session with roles swapped, a peer may bring mail for what is its own and ours, and for nothing else: we have
    /// dialled it to fetch that.
    pub(super) fn check_domain(&self, recipient: &ForwardPath) -> Result<(), Reply> {
        let Some(peer) = &self.reversed else { return Ok(()) };
        let domain = match recipient {
            ForwardPath::Mailbox(mailbox) => mailbox.address.host.name(),
            ForwardPath::Postmaster => None,
        };
        let is_fetched = match domain {
            Some(domain) => policy::with_view(&self.context, |view| turn::domains_ours(view, peer))?.contains(domain),
            None => false,
        };
        match is_fetched {
            true => Ok(()),
            false => Err(Reply::new(550, Enhanced(5, 7, 1), "That domain is not fetched from you")),
        }
    }

    /// In a session with roles swapped, a peer may bring so much and no more: it keeps the rest for another.
    pub(super) fn check_room(&mut self) -> Result<(), Reply> {
        let Some(peer) = &self.reversed else { return Ok(()) };
        if !peer.fields.limits.are_reached(self.served.received, self.served.size_bytes) {
            return Ok(());
        }
        self.served.is_full = true;
        // RFC 3463 §3.4: X.3.2, the system is not accepting messages
        Err(Reply::new(421, Enhanced(4, 3, 2), "That is all that one session takes: the rest another time"))
    }

    /// Releases mail; says how many messages.
    async fn flush(&self, selector: Selector, peer: &str) -> Result<u64, String> {
        tracing::info!(peer = %self.connection.peer().ip(), name = peer, ?selector, "mail is released by ETRN");
        let (mut after, mut messages) = (None, 0);
        loop {
            let flush = Flush {
                selector: selector.clone(),
                after,
                limit: limits::ETRN_SLICE,
                actor: format!("etrn {peer}"),
                at: self.context.clock.now(),
            };
            let flushed = self.context.store.write(flush).await.map_err(|error| error.to_string())?;
            messages += flushed.messages;
            match flushed.next {
                Some(next) => after = Some(next),
                None => return Ok(messages),
            }
        }
    }
}

/// What a peer is told that has logged in.
// RFC 1985 §5.2
fn etrn_started(node: &Node, messages: u64, is_under_way: bool) -> Reply {
    let ok = |code, text| Reply::new(code, Enhanced(2, 0, 0), text);
    match messages {
        0 if is_under_way => ok(252, format!("OK, pending messages for node {node} started")),
        0 => ok(251, format!("OK, no messages waiting for node {node}")),
        count => ok(253, format!("OK, {count} pending messages for node {node} started")),
    }
}

/// The domains that a swap would be for; `None` when the peer may not have one of them, or was changed meanwhile.
fn allowed(
    view: &View,
    peer: &turn::Peer,
    verb: Verb,
    asked: &[DomainName],
) -> Result<Option<Vec<DomainName>>, StoreError> {
    let Some(peer) = still(view, peer, verb)? else { return Ok(None) };
    let held = turn::domains_held(view, &peer)?;
    Ok(match asked {
        [] => Some(held),
        asked => asked.iter().all(|domain| held.contains(domain)).then(|| asked.to_vec()),
    })
}

/// The peer as it is now, if its login still holds and it may use the verb.
fn still(view: &View, peer: &turn::Peer, verb: Verb) -> Result<Option<turn::Peer>, StoreError> {
    let now = turn::peer(view, &peer.name)?;
    Ok(now.filter(|now| {
        now.fields.enabled
            && now.fields.direction.accepts()
            && now.fields.login == peer.fields.login
            && now.fields.mechanisms == peer.fields.mechanisms
            && now.fields.client_certificate == peer.fields.client_certificate
            && now.fields.in_clear == peer.fields.in_clear
            && now.fields.verbs.contains(&verb)
    }))
}

/// What is to be released for a node, each with the name under which it is counted and the peer whose mail it is.
// RFC 1985 §5.3
fn selectors(
    view: &View,
    peers: &[turn::Peer],
    node: &Node,
) -> Result<BTreeMap<String, (Selector, String)>, StoreError> {
    let mut found = BTreeMap::new();
    for peer in peers {
        if let Node::Peer(name) = node {
            if *name == peer.name {
                found.insert(format!("#{name}"), (Selector::Peer(name.clone()), name.clone()));
            }
            continue;
        }
        for domain in turn::domains_held(view, peer)? {
            let is_meant = match node {
                Node::Domain(node) => domain == *node,
                Node::Subdomains(node) => {
                    let inside = domain.as_str().strip_suffix(node.as_str());
                    inside.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
                }
                Node::Peer(_) => false,
            };
            if is_meant {
                found.insert(domain.to_string(), (Selector::Domain(domain), peer.name.clone()));
            }
        }
    }
    Ok(found)
}
