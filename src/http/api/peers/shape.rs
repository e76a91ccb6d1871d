use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::auth::{PeerAuth, PeerAuthInput, Wanted, hex, sha256};
use crate::base::{DomainName, Host, Network, Networks, SessionId, Timestamp};
use crate::http::api::turn_sessions::TurnSession;
use crate::http::api::{page_of, parse_all};
use crate::http::managed::ManagedBy;
use crate::http::problem::{Fault, Problem};
use crate::turn::{self, Direction, PeerFields, Schedule, ServerTls, SessionLimits, Verb};

/// The ports of SMTP, and of ODMR (RFC 2645 §4).
const PORTS: (u16, u16) = (25, 366);

/// Another server with which roles may be swapped.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct Peer {
    /// Its name.
    name: String,
    /// Which verbs it may use, or we at its side.
    verbs: Vec<PeerVerb>,
    /// Who dials.
    direction: PeerDirection,
    /// Where we dial it; also where its mail is sent when it is released. Null: by the DNS.
    host: Option<String>,
    /// The port there.
    port: u16,
    /// Its domains: those that are not ours are held for it, those that are ours are what we ask it for.
    domains: Vec<String>,
    /// By what both sides know each other. Null: it can use ETRN alone, from its networks.
    auth: Option<PeerAuth>,
    /// TLS at its side, when we dial.
    tls: PeerTls,
    /// Where it dials us from; empty: from anywhere.
    networks: Vec<String>,
    /// A disabled peer is as good as none, but its mail stays held.
    enabled: bool,
    /// For people.
    note: String,
    /// How much a session carries that swaps roles.
    limits: PeerLimits,
    /// When we dial it by ourselves. Null: when somebody asks for it.
    schedule: Option<PeerSchedule>,
    /// When that is next; null: it is not, as it is set.
    next_session_at: Option<String>,
    /// The last session with it, without its dialogue.
    last_session: Option<TurnSession>,
    /// What keeps it as it is: `state` where a desired state that was applied has named it, else null. It can be changed
    /// by hand all the same: the next state that is applied sets it back.
    managed_by: Option<ManagedBy>,
    /// When it was created.
    created_at: String,
    /// When it was last changed.
    changed_at: String,
}

/// What is set of a peer. What is left out gets its default, except the secret, which stays as it is.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct PeerInput {
    /// Which verbs it may use, or we at its side.
    #[schema(min_items = 1, max_items = 3)]
    verbs: Vec<PeerVerb>,
    /// Who dials. Default: `both` when there is a host, but `initiate` where our certificate alone is shown (EXTERNAL without
    /// `client_cert_sha256`); else `accept`.
    #[serde(default)]
    direction: Option<PeerDirection>,
    /// Where we dial it, a name or an address literal as `[192.0.2.1]`; also where its mail is sent when it is released.
    /// Default: by the DNS.
    #[serde(default)]
    #[schema(max_length = 255)]
    host: Option<String>,
    /// The port there. Default: 25; 366 where ATRN is the only verb.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 65535)]
    port: Option<u16>,
    /// Its domains: those that are not ours are held for it, those that are ours are what we ask it for.
    #[schema(min_items = 1, max_items = 100)]
    domains: Vec<String>,
    /// A user name and a secret, the same at both sides, or a certificate. TURN and ATRN need one of them.
    #[serde(default)]
    auth: Option<PeerAuthInput>,
    /// TLS at its side, when we call it. Default: `pkix`. There is no call without TLS.
    #[serde(default)]
    tls: Option<PeerTls>,
    /// Where it dials us from, as in `192.0.2.0/24`; empty: from anywhere. For ETRN it is enough, for TURN and ATRN never.
    #[serde(default)]
    #[schema(max_items = 100)]
    networks: Vec<String>,
    /// A disabled peer is as good as none, but its mail stays held.
    #[serde(default = "yes")]
    #[schema(default = true)]
    enabled: bool,
    /// For people.
    #[serde(default)]
    #[schema(max_length = 1000)]
    note: String,
    /// How much a session carries that swaps roles.
    #[serde(default)]
    limits: PeerLimits,
    /// When we dial it by ourselves, and ask for the best of its verbs. Null: when somebody asks for it.
    #[serde(default)]
    schedule: Option<PeerSchedule>,
}

/// How much a session carries that swaps roles, in each direction: no message is begun beyond it, and what is left waits for
/// another session. Null: as much as there is.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct PeerLimits {
    /// Messages.
    #[serde(default)]
    #[schema(format = Int64, minimum = 1, maximum = 4_294_967_295_u32)]
    messages: Option<u32>,
    /// Octets of messages: the one that reaches it is the last.
    #[serde(default)]
    #[schema(minimum = 1)]
    size_bytes: Option<u64>,
    /// Seconds, both directions together. Null: 1800.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 1800)]
    duration_seconds: Option<u32>,
}

/// When we dial a peer by ourselves: one of the two. Looked at each minute; what has come while the server did not run is
/// made up for once.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct PeerSchedule {
    /// So many seconds after the beginning of the last session that we began.
    #[serde(default)]
    #[schema(minimum = 60, maximum = 604_800)]
    every_seconds: Option<u32>,
    /// At the times of a line of cron, in UTC: minute, hour, day of the month, month and day of the week, as in
    /// `*/15 * * * *`.
    #[serde(default)]
    #[schema(max_length = 100)]
    cron: Option<String>,
}

/// A verb of the TURN family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::http) enum PeerVerb {
    /// RFC 821: roles are swapped.
    Turn,
    /// RFC 1985: mail is released, by new connections.
    Etrn,
    /// RFC 2645: roles are swapped, for named domains.
    Atrn,
}

/// Who dials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::http) enum PeerDirection {
    /// We dial it.
    Initiate,
    /// It dials us.
    Accept,
    /// Either.
    Both,
}

/// How a peer that we dial proves who it is.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct PeerTls {
    /// Whether it has to come over TLS. Without, it may log in on port 366 by CRAM-MD5, from its networks: for customers
    /// that know no TLS. We never call it without.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    #[schema(default = true)]
    required: bool,
    /// How.
    mode: PeerTlsMode,
    /// `pinned`: the SHA-256 of its certificate (DER), in hexadecimal; colons do not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 95)]
    server_cert_sha256: Option<String>,
}

/// How a peer that we dial proves who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::http) enum PeerTlsMode {
    /// By a certificate for its host name from a public CA.
    Pkix,
    /// By one certificate.
    Pinned,
}

page_of! {
    /// Peers by name.
    PeerPage of Peer
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it so")]
fn is_yes(value: &bool) -> bool {
    *value
}

impl Peer {
    pub(super) fn of(
        row: &turn::Peer,
        last: Option<(SessionId, turn::Session)>,
        next_call: Option<Timestamp>,
        managed_by: Option<ManagedBy>,
        our_certificate: Option<[u8; 32]>,
    ) -> Self {
        let fields = &row.fields;
        Self {
            name: row.name.clone(),
            verbs: fields.verbs.iter().copied().map(PeerVerb::of).collect(),
            direction: PeerDirection::of(fields.direction),
            host: fields.host.as_ref().map(Host::to_string),
            port: fields.port,
            domains: fields.domains.iter().map(DomainName::to_string).collect(),
            auth: PeerAuth::of(row, our_certificate),
            tls: PeerTls::of(fields),
            networks: texts(&fields.networks),
            enabled: fields.enabled,
            note: fields.note.clone(),
            limits: PeerLimits::of(fields.limits),
            schedule: fields.schedule.as_ref().map(PeerSchedule::of),
            next_session_at: next_call.map(Timestamp::rfc3339),
            last_session: last.map(|(id, session)| TurnSession::of(id, &session)),
            managed_by,
            created_at: row.created_at.rfc3339(),
            changed_at: row.changed_at.rfc3339(),
        }
    }
}

impl PeerInput {
    pub(in crate::http::api) fn of(fields: &PeerFields) -> Self {
        Self {
            verbs: fields.verbs.iter().copied().map(PeerVerb::of).collect(),
            direction: Some(PeerDirection::of(fields.direction)),
            host: fields.host.as_ref().map(Host::to_string),
            port: Some(fields.port),
            domains: fields.domains.iter().map(DomainName::to_string).collect(),
            auth: PeerAuthInput::of(fields),
            tls: Some(PeerTls::of(fields)),
            networks: texts(&fields.networks),
            enabled: fields.enabled,
            note: fields.note.clone(),
            limits: PeerLimits::of(fields.limits),
            schedule: fields.schedule.as_ref().map(PeerSchedule::of),
        }
    }

    /// The fields, and whether the secret that is there stays.
    pub(in crate::http::api) fn fields(self, old: Option<&turn::Peer>) -> Result<(PeerFields, bool), Problem> {
        let mut faults = Vec::new();
        let domains = parse_all("/domains", &self.domains, DomainName::parse, &mut faults);
        let networks = parse_all("/networks", &self.networks, str::parse::<Network>, &mut faults);
        let networks: Vec<String> = networks.iter().map(Network::to_string).collect();
        let host = self.host.as_deref().map(Host::parse).transpose().unwrap_or_else(|error| {
            faults.push(Fault::body("/host", "malformed", error.to_string()));
            None
        });
        let in_clear = self.tls.as_ref().is_some_and(|tls| !tls.required);
        let tls = self.tls.map_or(Ok(ServerTls::Verified), PeerTls::read).map_err(|fault| faults.push(fault));
        let verbs: Vec<Verb> = self.verbs.into_iter().map(PeerVerb::read).collect();
        let port = self.port.unwrap_or(if verbs == [Verb::Atrn] { PORTS.1 } else { PORTS.0 });
        // Without a host nothing is sent.
        let keeps = |user: &str| {
            let fields = old.map(|old| &old.fields);
            fields.is_some_and(|fields| {
                let is_same_user = fields.login.as_ref().is_some_and(|login| login.user == user);
                let is_same_place = fields.host == host && fields.port == port;
                is_same_user && (host.is_none() || is_same_place)
            })
        };
        let wanted = self.auth.map_or_else(Wanted::none, |auth| auth.read(keeps, &mut faults));
        let schedule = self.schedule.map(PeerSchedule::read).transpose().unwrap_or_else(|fault| {
            faults.push(fault);
            None
        });
        let (Ok(tls), true) = (tls, faults.is_empty()) else { return Err(Problem::invalid(faults)) };
        let direction = match self.direction {
            Some(direction) => direction.read(),
            // It would have to show a certificate of its own, too.
            None if host.is_some() && wanted.is_shown_ours() => Direction::Initiate,
            None if host.is_some() => Direction::Both,
            None => Direction::Accept,
        };
        let fields = PeerFields {
            verbs,
            direction,
            host,
            port,
            domains,
            login: wanted.login,
            mechanisms: wanted.mechanisms,
            in_clear,
            tls,
            networks: networks.join(",").parse().unwrap_or_default(),
            enabled: self.enabled,
            note: self.note,
            limits: self.limits.read(),
            schedule,
            client_certificate: wanted.client_certificate,
        };
        Ok((fields, wanted.keeps_secret))
    }
}

fn texts(networks: &Networks) -> Vec<String> {
    networks.to_string().split(',').filter(|text| !text.is_empty()).map(str::to_owned).collect()
}

impl PeerVerb {
    pub(in crate::http::api) fn of(verb: Verb) -> Self {
        match verb {
            Verb::Turn => Self::Turn,
            Verb::Etrn => Self::Etrn,
            Verb::Atrn => Self::Atrn,
        }
    }

    pub(in crate::http::api) fn read(self) -> Verb {
        match self {
            Self::Turn => Verb::Turn,
            Self::Etrn => Verb::Etrn,
            Self::Atrn => Verb::Atrn,
        }
    }
}

impl PeerLimits {
    fn of(limits: SessionLimits) -> Self {
        let SessionLimits { messages, size_bytes, duration_s } = limits;
        Self { messages, size_bytes, duration_seconds: duration_s }
    }

    fn read(self) -> SessionLimits {
        let Self { messages, size_bytes, duration_seconds } = self;
        SessionLimits { messages, size_bytes, duration_s: duration_seconds }
    }
}

impl PeerSchedule {
    fn of(schedule: &Schedule) -> Self {
        match schedule {
            Schedule::Every { seconds } => Self { every_seconds: Some(*seconds), cron: None },
            Schedule::Cron(line) => Self { every_seconds: None, cron: Some(line.clone()) },
        }
    }

    fn read(self) -> Result<Schedule, Fault> {
        match (self.every_seconds, self.cron) {
            (Some(seconds), None) => Ok(Schedule::Every { seconds }),
            (None, Some(line)) => Ok(Schedule::Cron(line)),
            _ => Err(Fault::body("/schedule", "not_allowed", "either every_seconds or cron; null for no schedule")),
        }
    }
}

impl PeerDirection {
    fn of(direction: Direction) -> Self {
        match direction {
            Direction::Initiate => Self::Initiate,
            Direction::Accept => Self::Accept,
            Direction::Both => Self::Both,
        }
    }

    fn read(self) -> Direction {
        match self {
            Self::Initiate => Direction::Initiate,
            Self::Accept => Direction::Accept,
            Self::Both => Direction::Both,
        }
    }
}

impl PeerTls {
    fn of(fields: &PeerFields) -> Self {
        let required = !fields.in_clear;
        match &fields.tls {
            ServerTls::Verified => Self { required, mode: PeerTlsMode::Pkix, server_cert_sha256: None },
            ServerTls::Pinned(hash) => {
                Self { required, mode: PeerTlsMode::Pinned, server_cert_sha256: Some(hex(hash)) }
            }
        }
    }

    fn read(self) -> Result<ServerTls, Fault> {
        let fault = |code, message| Fault::body("/tls/server_cert_sha256", code, message);
        match (self.mode, self.server_cert_sha256) {
            (PeerTlsMode::Pkix, None) => Ok(ServerTls::Verified),
            (PeerTlsMode::Pkix, Some(_)) => Err(fault("excluded", "only with the mode pinned")),
            (PeerTlsMode::Pinned, None) => Err(fault("required", "which certificate? Its SHA-256 in hexadecimal")),
            (PeerTlsMode::Pinned, Some(text)) => {
                let hash = sha256(&text).ok_or_else(|| fault("malformed", "64 hexadecimal digits"))?;
                Ok(ServerTls::Pinned(hash))
            }
        }
    }
}
