use std::net::IpAddr;
use std::ops::ControlFlow;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use super::schedule::Schedule;
use super::validate::validate;
use crate::base::{DomainName, Host, Networks, Timestamp, limits};
use crate::directory::{self, Precondition, Put};
use crate::postcard_row;
use crate::queue::{self, Login, Match, ROUTE_TOPIC, RouteKind};
use crate::sasl::Mechanism;
use crate::store::{Halt, HoldsSecret, Op, Read, Span, StoreError, Table, Topic, Tx};

/// Entries of a domain that are looked at in one piece.
const PAGE: usize = 100;

/// The counter of the peers' versions.
pub(super) const VERSIONS: &str = "turn.version";

/// The peers, by name.
pub(super) static PEERS: Table<String, Peer> = Table::new("turn_peers");
/// The peers of each domain.
pub(super) static PEER_DOMAINS: Table<(String, String), ()> = Table::new("turn_peer_domains");
/// The peer behind a user name.
pub(super) static PEER_LOGINS: Table<String, PeerName> = Table::new("turn_peer_logins");

/// A peer's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PeerName(pub(super) String);
postcard_row!(PeerName, 1);

/// Another server with which roles may be swapped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Its name.
    pub name: String,
    /// What an administrator sets.
    pub fields: PeerFields,
    /// When the secret was last set.
    pub secret_changed_at: Timestamp,
    /// Changes with every change of the row, and never comes back.
    pub version: u64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub changed_at: Timestamp,
}

impl HoldsSecret for Peer {
    const WHAT: &'static str = "peer";

    fn secret(&self) -> Option<&[u8]> {
        self.fields.login.as_ref().map(|login| login.secret.as_bytes())
    }

    fn set_secret(&mut self, secret: &[u8]) -> Option<()> {
        self.fields.login.as_mut()?.set_secret(secret)
    }
}

/// What an administrator sets of a peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerFields {
    /// Which verbs it may use, or we at its side.
    pub verbs: Vec<Verb>,
    /// Who dials.
    pub direction: Direction,
    /// Where we dial it; also where its mail is sent when it is released. `None`: by the DNS.
    pub host: Option<Host>,
    /// The port there.
    pub port: u16,
    /// Its domains. Those that are not ours are held for it: never dialled, fetched by TURN or ATRN, or released by ETRN
    /// or by hand. Those that are ours are what we ask it for, and take from it in a swapped session.
    pub domains: Vec<DomainName>,
    /// The user name and the secret, at both sides. `None`: both sides know each other by their certificates, where
    /// EXTERNAL is the mechanism; else it can only use ETRN, from its networks.
    pub login: Option<Login>,
    /// By what it may log in to us, or we to it. EXTERNAL stands alone, and without a login.
    pub mechanisms: Vec<Mechanism>,
    /// It may come without TLS to port 366, from its networks, and log in there by CRAM-MD5 (RFC 2645 §5.1).
    pub in_clear: bool,
    /// TLS at its side, when we dial.
    pub tls: ServerTls,
    /// Where it dials us from; empty: from anywhere. For ETRN, being here is enough; for TURN and ATRN never.
    pub networks: Networks,
    /// A disabled peer is as good as none, but its mail stays held.
    pub enabled: bool,
    /// For people.
    pub note: String,
    /// How much a session carries.
    pub limits: SessionLimits,
    /// When we dial it by ourselves; `None`: when somebody asks for it.
    pub schedule: Option<Schedule>,
    /// By EXTERNAL: the SHA-256 of the certificate that it shows when it dials us. No other peer that dials us has it.
    pub client_certificate: Option<[u8; 32]>,
}

/// How much a session carries that swaps roles, in each direction: no message is begun beyond it, and what is left waits
/// for another session. `None`: as much as there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionLimits {
    /// Messages.
    pub messages: Option<u32>,
    /// Octets of messages: the one that reaches it is the last.
    pub size_bytes: Option<u64>,
    /// Seconds, both directions together; [`limits::TURN_SESSION_S`] at most, and where it is `None`.
    pub duration_s: Option<u32>,
}

impl SessionLimits {
    /// Whether a session that has carried so much in one direction may begin no other message in it.
    pub fn are_reached(&self, messages: u64, size_bytes: u64) -> bool {
        self.messages.is_some_and(|most| messages >= u64::from(most))
            || self.size_bytes.is_some_and(|most| size_bytes >= most)
    }

    /// How long a session may go on.
    pub fn duration(&self) -> Duration {
        Duration::from_secs(self.duration_s.map_or(limits::TURN_SESSION_S, u64::from).min(limits::TURN_SESSION_S))
    }
}

impl PeerFields {
    /// Of a peer that dials us, with everything else as it is where nothing is said.
    pub fn dialling_us(verbs: Vec<Verb>, domains: Vec<DomainName>, login: Option<Login>) -> Self {
        Self {
            verbs,
            direction: Direction::Accept,
            host: None,
            port: 25,
            domains,
            login,
            mechanisms: Mechanism::USUAL.to_vec(),
            in_clear: false,
            tls: ServerTls::Verified,
            networks: Networks::default(),
            enabled: true,
            note: String::new(),
            limits: SessionLimits::default(),
            schedule: None,
            client_certificate: None,
        }
    }

    /// Whether both sides know each other by their certificates.
    pub fn is_certified(&self) -> bool {
        self.mechanisms.contains(&Mechanism::External)
    }
}

/// A verb of the TURN family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// RFC 821 §3.8
    Turn,
    /// RFC 1985
    Etrn,
    /// RFC 2645
    Atrn,
}

/// Who dials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// We dial it.
    Initiate,
    /// It dials us.
    Accept,
    /// Either.
    Both,
}

impl Verb {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Turn => "turn",
            Self::Etrn => "etrn",
            Self::Atrn => "atrn",
        }
    }

    /// Whether roles are swapped by it.
    pub fn swaps(self) -> bool {
        self != Self::Etrn
    }
}

impl Direction {
    /// Whether the peer may dial us.
    pub fn accepts(self) -> bool {
        self != Self::Initiate
    }

    /// Whether we may dial it.
    pub fn initiates(self) -> bool {
        self != Self::Accept
    }
}

/// How a peer that we call proves who it is: nothing is said to it without. Mail that ETRN or an operator has released goes
/// there as to any server, over TLS where it is offered, unless the certificate is pinned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServerTls {
    /// By a certificate for its host name from a public CA.
    Verified,
    /// By this certificate: the SHA-256 of its DER form.
    Pinned([u8; 32]),
}

/// Why a peer is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The precondition does not hold.
    #[error("the peer was changed meanwhile")]
    Precondition(Option<u64>),
    /// No such peer.
    #[error("there is no such peer")]
    Unknown,
    /// A field has a value that it can't have; the first is its name.
    #[error("{0}: {1}")]
    Field(&'static str, String),
}

/// Creates or replaces a peer. Announces [`crate::queue::ROUTE_TOPIC`].
pub struct PutPeer {
    /// Its name.
    pub name: String,
    /// What is set.
    pub fields: PeerFields,
    /// Keeps the secret that is there: `fields.login` then has an empty one.
    pub keep_secret: bool,
    /// What must hold.
    pub precondition: Precondition,
    /// Now.
    pub at: Timestamp,
}

/// What [`PutPeer`] found out.
pub struct PutPlan {
    old: Option<Peer>,
    login: Option<Login>,
}

impl Op for PutPeer {
    type Plan = PutPlan;
    type Out = Put<Peer>;
    type Refused = Refused;

    fn name(&self) -> &'static str {
        "turn.put_peer"
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, tx: &Tx<'_>) -> Result<PutPlan, Halt<Refused>> {
        let old = peer(tx, &self.name)?;
        let version = old.as_ref().map(|old| old.version);
        self.precondition.check(version).map_err(|_| Halt::Refused(Refused::Precondition(version)))?;
        let kept = old.as_ref().and_then(|old| old.fields.login.as_ref()).map(|login| login.secret.clone());
        let login = match (&self.fields.login, self.keep_secret) {
            (Some(login), true) => Some(Login { user: login.user.clone(), secret: kept.unwrap_or_default() }),
            (login, _) => login.clone(),
        };
        validate(tx, &self.name, &self.fields, login.as_ref())?;
        Ok(PutPlan { old, login })
    }

    fn apply(&self, tx: &mut Tx<'_>, plan: PutPlan) -> Result<Self::Out, StoreError> {
        let PutPlan { old, login } = plan;
        if let Some(old) = &old {
            remove_indexes(tx, old)?;
        }
        let old_login = old.as_ref().and_then(|old| old.fields.login.as_ref());
        let is_same_secret = old_login.map(|login| &login.secret) == login.as_ref().map(|login| &login.secret);
        let row = Peer {
            name: self.name.clone(),
            secret_changed_at: old.as_ref().filter(|_| is_same_secret).map_or(self.at, |old| old.secret_changed_at),
            version: tx.next(VERSIONS, last_version)?,
            created_at: old.as_ref().map_or(self.at, |old| old.created_at),
            changed_at: self.at,
            fields: PeerFields { login, ..self.fields.clone() },
        };
        tx.put(&PEERS, &row.name, &row)?;
        for domain in &row.fields.domains {
            tx.put(&PEER_DOMAINS, &domain_place(domain, &row.name), &())?;
        }
        if let Some(user) = row.user_taken() {
            tx.put(&PEER_LOGINS, &user.to_owned(), &PeerName(row.name.clone()))?;
        }
        tx.announce(Topic(ROUTE_TOPIC, 0));
        Ok(Put { created: old.is_none(), row })
    }
}

/// Deletes a peer. What was parked for it goes out by the ordinary way.
pub struct DeletePeer {
    /// Its name.
    pub name: String,
    /// What must hold.
    pub precondition: Precondition,
}

impl Op for DeletePeer {
    type Plan = Peer;
    type Out = ();
    type Refused = Refused;

    fn name(&self) -> &'static str {
        "turn.delete_peer"
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, tx: &Tx<'_>) -> Result<Peer, Halt<Refused>> {
        let old = peer(tx, &self.name)?.ok_or(Halt::Refused(Refused::Unknown))?;
        let version = Some(old.version);
        self.precondition.check(version).map_err(|_| Halt::Refused(Refused::Precondition(version)))?;
        Ok(old)
    }

    fn apply(&self, tx: &mut Tx<'_>, old: Peer) -> Result<(), StoreError> {
        remove_indexes(tx, &old)?;
        tx.remove(&PEERS, &self.name)?;
        tx.announce(Topic(ROUTE_TOPIC, 0));
        Ok(())
    }
}

fn remove_indexes(tx: &mut Tx<'_>, peer: &Peer) -> Result<(), StoreError> {
    for domain in &peer.fields.domains {
        tx.remove(&PEER_DOMAINS, &domain_place(domain, &peer.name))?;
    }
    if let Some(user) = peer.user_taken() {
        tx.remove(&PEER_LOGINS, &user.to_owned())?;
    }
    Ok(())
}

/// Where a peer stands among those of a domain.
pub(super) fn domain_place(domain: &DomainName, peer: &str) -> (String, String) {
    (domain.as_str().to_owned(), peer.to_owned())
}

impl Peer {
    /// When we dial it next by ourselves, having done so, or having changed it, at `since`.
    pub fn next_call(&self, since: Timestamp) -> Option<Timestamp> {
        let fields = &self.fields;
        let schedule = fields.schedule.as_ref().filter(|_| fields.enabled && fields.direction.initiates())?;
        schedule.next(since)
    }

    /// The user name that nobody else may have: that by which it logs in to us.
    pub(super) fn user_taken(&self) -> Option<&str> {
        let login = self.fields.login.as_ref().filter(|_| self.fields.direction.accepts());
        login.map(|login| login.user.as_str())
    }

    /// The certificate that nobody else may have: that by which it logs in to us.
    fn certificate_taken(&self) -> Option<&[u8; 32]> {
        self.fields.client_certificate.as_ref().filter(|_| self.fields.direction.accepts())
    }
}

/// The peer of that name.
///
/// # Errors
/// [`StoreError`].
pub fn peer(read: &impl Read, name: &str) -> Result<Option<Peer>, StoreError> {
    read.get(&PEERS, &name.to_owned())
}

/// The first `limit` peers behind `after`, by name.
///
/// # Errors
/// [`StoreError`].
pub fn peers(read: &impl Read, after: Option<&str>, limit: usize) -> Result<Vec<Peer>, StoreError> {
    let span = match after {
        Some(name) => Span::all().after(&name.to_owned()),
        None => Span::all(),
    };
    Ok(read.rows(&PEERS, span, limit)?.into_iter().map(|(_, peer)| peer).collect())
}

/// The enabled peer that may dial us with this user name.
///
/// # Errors
/// [`StoreError`].
pub fn peer_by_login(read: &impl Read, user: &str) -> Result<Option<Peer>, StoreError> {
    let found = match read.get(&PEER_LOGINS, &user.to_owned())? {
        Some(PeerName(name)) => peer(read, &name)?,
        None => None,
    };
    Ok(found.filter(|peer| peer.fields.enabled))
}

/// The peer that may dial us with the certificate of this SHA-256. The time that it takes says nothing of whose
/// certificates are known.
///
/// # Errors
/// [`StoreError`].
pub(super) fn peer_by_certificate(read: &impl Read, sha256: &[u8; 32]) -> Result<Option<Peer>, StoreError> {
    let mut found = None;
    read.scan(&PEERS, Span::all(), |_, peer| {
        let is_it = peer.certificate_taken().is_some_and(|taken| taken.ct_eq(sha256).into());
        if is_it {
            found = Some(peer);
        }
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

/// Every peer that may use ETRN from `ip` without a login.
///
/// # Errors
/// [`StoreError`].
pub fn peers_by_network(read: &impl Read, ip: IpAddr) -> Result<Vec<Peer>, StoreError> {
    let mut found = Vec::new();
    read.scan(&PEERS, Span::all(), |_, peer| {
        found.extend(Some(peer).filter(|peer| peer.may_etrn_from(ip)));
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

/// Every peer that names this domain.
///
/// # Errors
/// [`StoreError`].
pub fn peers_of_domain(read: &impl Read, domain: &DomainName) -> Result<Vec<Peer>, StoreError> {
    let names = read.rows(&PEER_DOMAINS, Span::prefix(&domain.as_str().to_owned()), usize::MAX)?;
    names.into_iter().filter_map(|((_, name), ())| peer(read, &name).transpose()).collect()
}

/// The peer for whom mail to this domain is held: the first by name that names it, when the domain is not ours.
///
/// # Errors
/// [`StoreError`].
pub fn peer_holding(read: &impl Read, domain: &DomainName) -> Result<Option<Peer>, StoreError> {
    let Some(((_, name), ())) = read.first(&PEER_DOMAINS, Span::prefix(&domain.as_str().to_owned()))? else {
        return Ok(None);
    };
    match directory::local_domain(read, domain)? {
        Some(_) => Ok(None),
        None => peer(read, &name),
    }
}

/// The highest version that a peer has.
pub(super) fn last_version(read: &impl Read) -> Result<u64, StoreError> {
    let mut highest = 0;
    read.scan(&PEERS, Span::all(), |_, peer| {
        highest = highest.max(peer.version);
        ControlFlow::Continue(())
    })?;
    Ok(highest)
}

/// The domains whose mail a peer may fetch: of its own, those that are not ours and that no other peer and no route has;
/// and those that a route holds for it.
///
/// # Errors
/// [`StoreError`].
pub fn domains_held(read: &impl Read, peer: &Peer) -> Result<Vec<DomainName>, StoreError> {
    let mut held = domains_routed(read, peer)?;
    for domain in &peer.fields.domains {
        let route = queue::route_for(read, &Host::Name(domain.clone()), None)?;
        let is_held = match route.map(|route| route.fields).filter(|fields| matches!(fields.matches, Match::Domain(_)))
        {
            // It is among the others when it is held for this peer.
            Some(_) => false,
            None => peer_holding(read, domain)?.is_some_and(|holder| holder.name == peer.name),
        };
        if is_held {
            held.push(domain.clone());
        }
    }
    Ok(held)
}

/// The domains that a route holds for a peer.
fn domains_routed(read: &impl Read, peer: &Peer) -> Result<Vec<DomainName>, StoreError> {
    let (mut routed, mut after) = (Vec::new(), None::<String>);
    loop {
        let page = queue::routes(read, after.as_deref(), PAGE)?;
        after = page.last().map(|route| route.name.clone());
        let is_last = page.len() < PAGE;
        for fields in page.into_iter().map(|route| route.fields) {
            if let (Match::Domain(domain), RouteKind::Hold { peer: holder }) = (fields.matches, fields.kind)
                && holder == peer.name
            {
                routed.push(domain);
            }
        }
        if is_last {
            return Ok(routed);
        }
    }
}

/// Of a peer's domains, those that are ours: what we fetch from it, and take from it in a swapped session.
///
/// # Errors
/// [`StoreError`].
pub fn domains_ours(read: &impl Read, peer: &Peer) -> Result<Vec<DomainName>, StoreError> {
    let mut ours = Vec::new();
    for domain in &peer.fields.domains {
        if directory::local_domain(read, domain)?.is_some() {
            ours.push(domain.clone());
        }
    }
    Ok(ours)
}

/// Whether any mail for one of these domains may be sent now, whatever its schedule says: see [`queue::may_go`]. May be a
/// long read.
///
/// # Errors
/// [`StoreError`].
pub fn has_mail(read: &impl Read, domains: &[DomainName], now: Timestamp) -> Result<bool, StoreError> {
    for domain in domains {
        let mut after = None;
        loop {
            let page = queue::entries_of_domain(read, domain.as_str(), after, PAGE)?;
            for waiting in &page {
                if queue::may_go(read, waiting, now)? {
                    return Ok(true);
                }
            }
            match page.last() {
                Some(last) if page.len() == PAGE => after = Some(last.id),
                _ => break,
            }
        }
    }
    Ok(false)
}
