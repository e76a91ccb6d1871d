use std::net::SocketAddr;
use std::sync::Arc;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::courier::Bounded;
use super::journal::{Journal, Opening};
use super::{Call, Context, NotBegun, words};
use crate::base::{DomainName, Host};
use crate::delivery::PeerCourier;
use crate::net::{Connection, Transcript};
use crate::smtp;
use crate::smtp::client::{self, Plan, Summary, Then, Tls};
use crate::store::StoreError;
use crate::turn::{self, Lease, Peer, Role, ServerTls, Session, SessionState, Verb};

/// Octets of a command line that every server takes (RFC 5321 §4.5.3.1.4).
const ATRN_LINE_BYTES: usize = 512;

/// A peer that can be dialled, and for what.
pub(super) struct Fit {
    peer: Peer,
    host: Host,
    verb: Verb,
    /// Of its domains, those whose mail we keep for it: sent first.
    theirs: Vec<DomainName>,
    /// Those that are ours: asked for.
    ours: Vec<DomainName>,
}

/// Dials a peer, sends it what waits for it, asks for a swap and takes its mail. Gives the session as it was written
/// down at its end, however it ended: [`turn::SessionState`]. It goes on to its end when this is dropped; to end it early,
/// cancel it.
///
/// # Errors
/// [`NotBegun`]; the session has no row then.
pub(super) async fn call(context: Arc<Context>, call: Call, cancel: CancellationToken) -> Result<Session, NotBegun> {
    let fit = fit(&context, &call.peer, call.verb)?;
    let lease = context.server.leases.take(&call.peer).ok_or(NotBegun::Busy)?;
    // A task of its own: whoever loses interest must not cut off a message that is being sent.
    let running = tokio::spawn(run(context, call, fit, lease, cancel));
    running.await.map_err(|error| NotBegun::Broken(error.to_string()))?
}

/// Looks whether a peer can be dialled.
pub(super) fn fit(context: &Context, name: &str, verb: Option<Verb>) -> Result<Fit, NotBegun> {
    let broken = |error: StoreError| NotBegun::Broken(error.to_string());
    let unfit = |what: &str| NotBegun::Unfit(what.to_owned());
    let view = context.server.store.view().map_err(broken)?;
    let peer = turn::peer(&view, name).map_err(broken)?.ok_or(NotBegun::Unknown)?;
    if !peer.fields.enabled {
        return Err(unfit("the peer is disabled: enable it first"));
    }
    let host = match &peer.fields.host {
        Some(host) if peer.fields.direction.initiates() => host.clone(),
        _ => return Err(unfit("we may not dial this peer: set its direction to initiate or both, and its host")),
    };
    let best = || [Verb::Atrn, Verb::Turn, Verb::Etrn].into_iter().find(|verb| peer.fields.verbs.contains(verb));
    let verb = match verb {
        Some(verb) if peer.fields.verbs.contains(&verb) => verb,
        Some(verb) => return Err(NotBegun::Unfit(format!("{} is none of the peer's verbs", verb.as_str()))),
        None => best().ok_or_else(|| unfit("the peer has no verb"))?,
    };
    if verb.swaps() && peer.fields.login.is_none() && !peer.fields.is_certified() {
        return Err(unfit("the peer needs a user name and a secret, or EXTERNAL: set its login"));
    }
    if peer.fields.login.as_ref().is_some_and(|login| login.secret.is_empty()) {
        return Err(unfit("the peer's secret was dropped with the key that it was sealed with: set it anew"));
    }
    let ours = turn::domains_ours(&view, &peer).map_err(broken)?;
    if ours.is_empty() {
        return Err(unfit(
            "none of the peer's domains is ours, so there is nothing to ask for: add one to its domains",
        ));
    }
    let theirs = turn::domains_held(&view, &peer).map_err(broken)?;
    Ok(Fit { peer, host, verb, theirs, ours })
}

async fn run(
    context: Arc<Context>,
    call: Call,
    fit: Fit,
    lease: Lease,
    cancel: CancellationToken,
) -> Result<Session, NotBegun> {
    let began_ms = context.delivery.clock.monotonic_ms();
    let opening =
        Opening { id: call.session, peer: fit.peer.name.clone(), verb: fit.verb, role: Role::Initiated, peer_ip: None };
    // Aborted under its own id as well, and ended with the server.
    let cancel = cancel.child_token();
    let transcript = Transcript::new();
    let journal = Journal::begin(&context, opening, transcript.clone(), cancel.clone()).await;
    let mut journal = journal.map_err(NotBegun::Broken)?;
    let mut connection = match cancel.run_until_cancelled(dial(&context, &fit)).await {
        Some(Ok(connection)) => connection,
        Some(Err(why)) => return Ok(journal.end(SessionState::Failed, why).await),
        None => return Ok(journal.end(SessionState::Failed, "cancelled before it was connected".into()).await),
    };
    journal.session.peer_ip = Some(connection.peer().ip());
    connection.record(transcript.clone());
    let plan = match plan(&context, &fit, call.dry_run, began_ms) {
        Ok(plan) => plan,
        Err(why) => return Ok(journal.end(SessionState::Failed, why).await),
    };
    let courier = PeerCourier::new(Arc::clone(&context.delivery), fit.theirs.clone(), plan.actor.clone());
    let mut courier = Bounded::new(courier, cancel.clone(), fit.peer.fields.limits);
    let until = courier.until();
    let ended = client::drive(connection, &plan, &mut courier).await;
    courier.into_inner().finish().await;
    let session = match ended {
        client::Ended::Closed(summary) => closed(journal, &fit, &summary).await,
        client::Ended::Swap(connection, summary) => {
            transcript.note("the roles are swapped: we take");
            swapped(&context, journal, fit, (connection, summary), until, cancel).await
        }
    };
    drop(lease);
    Ok(session)
}

/// Connects to the peer: an administrator has named its host, whose addresses may be any.
async fn dial(context: &Context, fit: &Fit) -> Result<Connection, String> {
    let (host, port) = (&fit.host, fit.peer.fields.port);
    let addresses = match host {
        Host::Literal(ip) => vec![*ip],
        Host::Name(name) => context.delivery.resolver.addresses(name).await.map_err(|error| error.to_string())?,
    };
    let mut failures = Vec::new();
    for ip in addresses {
        let server = SocketAddr::new(ip, port);
        match Connection::dial(server, context.delivery.connect).await {
            Ok(connection) => return Ok(connection),
            Err(error) => failures.push(format!("{server}: {error}")),
        }
    }
    match failures.is_empty() {
        true => Err(format!("the DNS names no address for {host}")),
        false => Err(format!("connecting: {}", failures.join("; "))),
    }
}

fn plan(context: &Context, fit: &Fit, dry_run: bool, began_ms: u64) -> Result<Plan, String> {
    let roots = &context.delivery.roots;
    let tls = match fit.peer.fields.tls {
        ServerTls::Verified => roots.verified(),
        ServerTls::Pinned(sha256) => roots.pinned(sha256),
    };
    let tls = tls.map_err(|error| error.to_string())?;
    let fields = &fit.peer.fields;
    let (tls, login) = match &fields.login {
        Some(login) => (tls, Some(client::Login::at_peer(login, &fields.mechanisms, &*context.delivery.random))),
        None if fields.is_certified() => (tls.showing(&context.identity), Some(client::Login::by_certificate())),
        None => (tls, None),
    };
    let ours = fit.ours.clone();
    Ok(Plan {
        hostname: context.server.hostname.clone(),
        actor: format!("{} {}", fit.verb.as_str(), fit.peer.name),
        server: fit.host.to_string(),
        tls: Tls::Required(tls),
        policy: None,
        require_tls: false,
        login,
        then: match fit.verb {
            _ if dry_run => Then::Look,
            Verb::Turn => Then::Turn,
            // RFC 2645 §5.2.1: without an argument, all of them; RFC 5321 §4.5.3.1.4: so long may the line be
            Verb::Atrn if atrn_line_bytes(&ours) > ATRN_LINE_BYTES => Then::Atrn(Vec::new()),
            Verb::Atrn => Then::Atrn(ours),
            Verb::Etrn => Then::Etrn(ours),
        },
        messages_max: usize::MAX,
        patience: context.delivery.patience,
        clock: Arc::clone(&context.delivery.clock),
        began_ms,
    })
}

/// Octets of an ATRN that names these domains, with its CRLF.
fn atrn_line_bytes(domains: &[DomainName]) -> usize {
    "ATRN\r\n".len() + domains.iter().map(|domain| domain.as_str().len() + 1).sum::<usize>()
}

/// The session has ended without a swap.
async fn closed(mut journal: Journal, fit: &Fit, summary: &Summary) -> Session {
    (journal.session.sent, journal.session.refused) = (summary.sent, summary.refused);
    let verb = fit.verb.as_str().to_uppercase();
    let (state, outcome) = match (&summary.answer, &summary.failure) {
        (_, Some(failure)) => (SessionState::Failed, words::failure(failure)),
        (None, None) => (SessionState::Done, "the peer answers, and takes our login over TLS".to_owned()),
        // RFC 2645 §5.2.1
        (Some((453, text)), None) => (SessionState::Done, format!("nothing waited for us: 453 {text}")),
        // RFC 1985 §5.2
        (Some((251, text)), None) if fit.verb == Verb::Etrn => {
            (SessionState::Done, format!("nothing waits for us: 251 {text}"))
        }
        (Some((code, text)), None) if *code < 300 && fit.verb == Verb::Etrn => {
            (SessionState::Done, format!("the peer sends what waits for us: {code} {text}"))
        }
        (Some((code, text)), None) => (SessionState::Refused, format!("the peer refuses {verb}: {code} {text}")),
    };
    let outcome = match summary.sent + summary.refused {
        0 => outcome,
        _ => format!("{}; {outcome}", words::sent(summary)),
    };
    journal.end(state, outcome).await
}

/// The peer is the client now: serves it until it has brought everything.
async fn swapped(
    context: &Context,
    mut journal: Journal,
    fit: Fit,
    (connection, summary): (Connection, Summary),
    until: Instant,
    cancel: CancellationToken,
) -> Session {
    journal.session.swapped = true;
    let limits = fit.peer.fields.limits;
    let stop = context.server.stop.child_token();
    let server = Arc::new(smtp::server::Context { stop: stop.clone(), ..(*context.server).clone() });
    let serving = smtp::server::serve_reversed(connection, server, Arc::new(fit.peer));
    tokio::pin!(serving);
    let served = tokio::select! {
        served = &mut serving => served,
        () = cancel.cancelled() => {
            stop.cancel();
            serving.await
        }
        () = tokio::time::sleep_until(until) => {
            stop.cancel();
            serving.await
        }
    };
    let session = &mut journal.session;
    (session.sent, session.received, session.refused) = (summary.sent, served.received, summary.refused);
    let tally = format!("{}, {} received", words::sent(&summary), words::messages(served.received));
    let (state, outcome) = match served.failure {
        _ if cancel.is_cancelled() => (SessionState::Failed, format!("{tally}, then it was cancelled")),
        None => (SessionState::Done, tally),
        Some(_) if served.is_full => (SessionState::Done, format!("{tally}: that is all that one session takes")),
        Some(_) if until <= Instant::now() => {
            let seconds = limits.duration().as_secs();
            (SessionState::Failed, format!("{tally}, then it was ended after {seconds} seconds"))
        }
        Some(why) => (SessionState::Failed, format!("{tally}, then it broke: {why}")),
    };
    journal.end(state, outcome).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_atrn_is_measured_as_it_is_sent() {
        let domains: Vec<DomainName> = ["a.test", "b.test"].iter().map(|name| name.parse().unwrap()).collect();
        assert_eq!(atrn_line_bytes(&domains), "ATRN a.test,b.test\r\n".len());
    }
}
