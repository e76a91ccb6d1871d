use std::sync::Arc;

use actix_web::{get, web};
use serde::Serialize;
use utoipa::ToSchema;

use crate::backup::{BackupError, Standing};
use crate::base::{Timestamp, limits};
use crate::directory;
use crate::http::caller::{Allowed, QueueRead};
use crate::http::context::Context;
use crate::http::page::NoQuery;
use crate::http::problem::Problem;
use crate::queue::{self, State};
use crate::store::StoreError;
use crate::{net, tls};

mod checks;

use checks::{Deferred, Seen};

/// Hours that are shown.
const HOURS: u64 = 24;

/// How the server does, at a glance.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct Overview {
    /// Whether mail flows.
    verdict: OverviewVerdict,
    /// What was looked at, the worst first.
    checks: Vec<OverviewCheck>,
    /// The queue in numbers.
    queue: OverviewQueue,
    /// The last 24 hours, the oldest first; the last of them is not over.
    traffic: Vec<OverviewHour>,
    /// The disk that the file lies on.
    disk: OverviewDisk,
    /// Octets of the file.
    file_bytes: u64,
    /// Octets that it takes of its disk: holes in it take none.
    file_used_bytes: u64,
    /// Octets of those, roughly, that a compaction would give back; null: not known before the first one.
    file_free_bytes: Option<u64>,
    /// Domains.
    domains: u64,
    /// Accounts.
    accounts: u64,
    /// The certificates that clients are shown.
    certificates: Vec<OverviewCertificate>,
    /// Where the server listens.
    listeners: Vec<OverviewListener>,
    /// The release.
    version: &'static str,
    /// When the server was started.
    started_at: String,
}

/// What is to be said of all checks together.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct OverviewVerdict {
    /// The worst state of all checks.
    state: CheckState,
    /// The same in a sentence that says what to do.
    sentence: String,
}

/// Something that was looked at.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct OverviewCheck {
    /// Which: `storage`, `disk`, `free_pages`, `listeners`, `certificate`, `queue_age`, `deferred`, `administrator`, `secrets`,
    /// `faults`, `backup`, `restore`, `started`.
    id: &'static str,
    /// How it stands.
    state: CheckState,
    /// What it is about.
    title: &'static str,
    /// What was seen.
    detail: String,
    /// What to do; empty when there is nothing to do.
    fix: String,
}

/// How a check stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::http) enum CheckState {
    /// As it should be.
    Ok,
    /// Somebody should look at it.
    Warning,
    /// Mail does not flow, or soon will not.
    Problem,
}

/// The queue in numbers.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct OverviewQueue {
    /// Recipients whose time has come.
    due: u64,
    /// Recipients that wait for their next attempt.
    waiting: u64,
    /// Recipients whose message is being sent at this moment.
    in_flight: u64,
    /// Recipients that an operator holds, or that wait for a peer.
    held: u64,
    /// Octets of all queued messages.
    bytes: u64,
    /// When the oldest message came in.
    oldest_at: Option<String>,
}

/// What came and went in an hour.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct OverviewHour {
    /// When it began.
    hour_at: String,
    /// Messages that were taken in.
    received: u64,
    /// Copies that were put into mailboxes.
    delivered: u64,
    /// Recipients that other servers have taken.
    relayed: u64,
    /// Commands and messages that were refused.
    refused: u64,
    /// Recipients that were given up.
    bounced: u64,
    /// Attempts that failed for now.
    deferred: u64,
}

/// The disk that the file lies on.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct OverviewDisk {
    /// Octets free; null: it is not known.
    free_bytes: Option<u64>,
    /// Octets below which no mail is taken.
    reserve_bytes: u64,
}

/// A certificate.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct OverviewCertificate {
    /// The host name that it is for.
    name: String,
    /// Not valid from then on.
    not_after: String,
    /// No authority vouches for it: programs warn.
    self_signed: bool,
}

/// A listener.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(in crate::http) struct OverviewListener {
    /// Its name, as `--listen` takes it.
    name: &'static str,
    /// The address that it is bound to.
    address: String,
    /// The port.
    port: u16,
    /// How TLS begins there.
    tls: ListenerTls,
}

/// How TLS begins on a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::http) enum ListenerTls {
    /// Not at all.
    None,
    /// By a command of the client: STARTTLS, or STLS in POP3.
    Starttls,
    /// With the first octet.
    Implicit,
}

/// How the server does: whether mail flows, what to do where it does not, and the numbers of the day. Not for callers that
/// are restricted to domains: it is about all mail.
#[utoipa::path(tag = "health", responses((status = 200, description = "How it does", body = Overview)))]
#[get("/overview")]
pub(in crate::http) async fn get_overview(
    allowed: Allowed<QueueRead>,
    _none: NoQuery,
    context: web::Data<Context>,
) -> Result<web::Json<Overview>, Problem> {
    allowed.caller.need_unrestricted("see how the whole server does")?;
    Ok(web::Json(look(&context).await?))
}

/// Looks at everything.
///
/// # Errors
/// [`StoreError`]
pub(in crate::http) async fn look(context: &Context) -> Result<Overview, StoreError> {
    let (now, due) = (context.clock.now(), context.delivery.now());
    let hostname = context.hostname.clone();
    let backups = Arc::clone(&context.backups);
    let (summary, census, certificates, deferred, standing) = context
        .store
        .read(move |view| {
            let certificates = tls::certificates(view, &hostname)?;
            let standing = backups.standing(view, now).unwrap_or_else(|error| unknown(&error, now));
            Ok((queue::summary(view, due)?, directory::census(view)?, certificates, deferred(view)?, standing))
        })
        .await?;
    let health = context.store.health();
    let hours = context.traffic.hours(now, HOURS);
    let seen = Seen {
        now,
        started_at: context.hub.started_at(),
        writable: health.writable,
        full: health.full,
        free_bytes: health.disk_free_bytes,
        reserve_bytes: health.disk_reserve_bytes,
        faults: health.panics + net::panics(),
        secrets: context.store.secrets(),
        file_mode: health.file_mode,
        certificates: certificates.clone(),
        listeners: context.readiness.listeners().iter().map(|(listener, _)| listener.name()).collect(),
        oldest_waiting_at: summary.oldest_at.filter(|_| summary.due + summary.waiting + summary.in_flight > 0),
        waiting: summary.due + summary.waiting + summary.in_flight,
        deferred,
        has_admin: census.has_admin,
        backup: standing,
        daily_at_ms: context.live.now().backup_daily_at_ms(),
        received: hours.iter().map(|(_, hour)| hour.received).sum(),
        used_bytes: health.used_bytes,
        reclaimable_bytes: health.free_bytes,
        compact_at: context.live.now().maintenance_compact_at.clone(),
        sent: hours.iter().map(|(_, hour)| hour.delivered + hour.relayed).sum(),
    };
    let checks = seen.checks();
    Ok(Overview {
        verdict: seen.verdict(&checks),
        checks,
        queue: OverviewQueue {
            due: summary.due,
            waiting: summary.waiting,
            in_flight: summary.in_flight,
            held: summary.held + summary.parked,
            bytes: summary.size_bytes,
            oldest_at: summary.oldest_at.map(Timestamp::rfc3339),
        },
        traffic: hours.into_iter().map(|(at, hour)| OverviewHour::of(at, hour)).collect(),
        disk: OverviewDisk { free_bytes: health.disk_free_bytes, reserve_bytes: health.disk_reserve_bytes },
        file_bytes: health.file_bytes,
        file_used_bytes: health.used_bytes,
        file_free_bytes: health.free_bytes,
        domains: census.domains,
        accounts: census.accounts,
        certificates: certificates.into_iter().map(OverviewCertificate::of).collect(),
        listeners: context.readiness.listeners().iter().map(OverviewListener::of).collect(),
        version: env!("CARGO_PKG_VERSION"),
        started_at: context.hub.started_at().rfc3339(),
    })
}

impl Overview {
    /// The verdict: its state and its sentence.
    pub(in crate::http) fn verdict(self) -> (CheckState, String) {
        (self.verdict.state, self.verdict.sentence)
    }
}

impl OverviewHour {
    fn of(at: Timestamp, hour: crate::trace::Hour) -> Self {
        let crate::trace::Hour { received, delivered, relayed, refused, bounced, deferred } = hour;
        Self { hour_at: at.rfc3339(), received, delivered, relayed, refused, bounced, deferred }
    }
}

impl OverviewCertificate {
    fn of(certificate: tls::CertificateFacts) -> Self {
        let tls::CertificateFacts { name, not_after, self_signed } = certificate;
        Self { name, not_after: not_after.rfc3339(), self_signed }
    }
}

impl OverviewListener {
    fn of((listener, address): &(net::Listener, std::net::SocketAddr)) -> Self {
        let tls = match listener {
            net::Listener::Http => ListenerTls::None,
            listener if listener.is_implicit_tls() => ListenerTls::Implicit,
            _ => ListenerTls::Starttls,
        };
        Self { name: listener.name(), address: address.to_string(), port: address.port(), tls }
    }
}

/// Where the copies can't be looked at, that is what is to be said of them.
fn unknown(error: &BackupError, now: Timestamp) -> Standing {
    Standing { is_on_disk: true, failed: Some((now, error.to_string())), ..Standing::default() }
}

/// What was deferred among the oldest of the queue.
fn deferred(view: &crate::store::View) -> Result<Deferred, StoreError> {
    let mut deferred = Deferred::default();
    for one in queue::entries(view, None, limits::PAGE_ITEMS_MAX)? {
        let State::Waiting { .. } = one.entry.state else { continue };
        let Some(last) = one.entry.last else { continue };
        deferred.count += 1;
        let domain = one.entry.recipient.host.to_string();
        deferred.oldest.get_or_insert((domain, last.words.text));
    }
    Ok(deferred)
}
