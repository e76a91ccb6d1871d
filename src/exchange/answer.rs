use std::sync::Arc;

use super::Context;
use super::courier::Bounded;
use super::journal::{Journal, Opening};
use super::words;
use crate::delivery::PeerCourier;
use crate::net::{Connection, Transcript};
use crate::smtp::client::{self, Plan, Then, Tls};
use crate::smtp::server::Turned;
use crate::turn::{Role, SessionState};

/// A peer that has dialled us has swapped roles: sends it what waits for its domains. Nobody else does so as long as
/// this runs.
pub(super) async fn answer(mut connection: Connection, turned: Turned, context: &Arc<Context>) {
    let Turned { peer, verb, domains, lease, served } = turned;
    let transcript = connection.transcript().cloned().unwrap_or_else(|| {
        let transcript = Transcript::new();
        connection.record(transcript.clone());
        transcript
    });
    transcript.note("the roles are swapped: we send");
    let cancel = context.server.stop.child_token();
    let opening = Opening {
        id: context.server.ids.session(context.server.clock.now()),
        peer: peer.name.clone(),
        verb,
        role: Role::Accepted,
        peer_ip: Some(connection.peer().ip()),
    };
    let mut journal = match Journal::begin(context, opening, transcript, cancel.clone()).await {
        Ok(journal) => journal,
        Err(error) => {
            tracing::error!(name = peer.name, error, "a session with a peer can't be written down");
            return;
        }
    };
    (journal.session.swapped, journal.session.received) = (true, served.received);
    let plan = Plan {
        hostname: context.server.hostname.clone(),
        actor: format!("{} {}", verb.as_str(), peer.name),
        server: peer.name.clone(),
        // The peer speaks over the TLS that it began as a client.
        tls: Tls::Keep,
        policy: None,
        require_tls: false,
        login: None,
        then: Then::Quit,
        messages_max: usize::MAX,
        patience: context.delivery.patience,
        clock: Arc::clone(&context.delivery.clock),
        began_ms: context.delivery.clock.monotonic_ms(),
    };
    let courier = PeerCourier::new(Arc::clone(&context.delivery), domains, plan.actor.clone());
    let mut courier = Bounded::new(courier, cancel, peer.fields.limits);
    let (client::Ended::Closed(summary) | client::Ended::Swap(_, summary)) =
        client::drive(connection, &plan, &mut courier).await;
    courier.into_inner().finish().await;
    (journal.session.sent, journal.session.refused) = (summary.sent, summary.refused);
    let sent = words::sent(&summary);
    match &summary.failure {
        None => journal.end(SessionState::Done, sent).await,
        Some(failure) => {
            let why = words::failure(failure);
            journal.end(SessionState::Failed, format!("{sent}, then it broke: {why}")).await
        }
    };
    drop(lease);
}
