use super::peer::{PEER_DOMAINS, PEER_LOGINS, PEERS, Peer, PeerName, domain_place};
use super::session::{PEER_SESSIONS, RUNNING, SESSIONS, SessionState};
use crate::store::{AnyTable, CrossCheck, Findings, Read, Span, StoreError, View};

/// The room's tables.
pub const TABLES: &[&dyn AnyTable] = &[&PEERS, &PEER_DOMAINS, &PEER_LOGINS, &SESSIONS, &PEER_SESSIONS, &RUNNING];
/// What must hold between them.
pub const CHECKS: &[CrossCheck] = &[
    CrossCheck { name: "peers and their indexes", run: check_peers },
    CrossCheck { name: "sessions with peers and their indexes", run: check_sessions },
];

fn check_peers(view: &View, findings: &mut Findings) -> Result<(), StoreError> {
    for (name, peer) in view.rows(&PEERS, Span::all(), usize::MAX)? {
        if name != peer.name {
            findings.add(format!("turn_peers: the row at {name} is of {}", peer.name));
        }
        for domain in &peer.fields.domains {
            if !view.has(&PEER_DOMAINS, &domain_place(domain, &name))? {
                findings.add(format!("turn_peer_domains: {domain} does not lead to {name}"));
            }
        }
        if let Some(user) = peer.user_taken()
            && view.get(&PEER_LOGINS, &user.to_owned())? != Some(PeerName(name.clone()))
        {
            findings.add(format!("turn_peer_logins: the user name of {name} does not lead to it"));
        }
    }
    let knows = |name: &String, known: &dyn Fn(&Peer) -> bool| -> Result<bool, StoreError> {
        Ok(view.get(&PEERS, name)?.is_some_and(|peer| known(&peer)))
    };
    for ((domain, name), ()) in view.rows(&PEER_DOMAINS, Span::all(), usize::MAX)? {
        if !knows(&name, &|peer| peer.fields.domains.iter().any(|known| known.as_str() == domain))? {
            findings.add(format!("turn_peer_domains: {domain} leads to {name}, which does not name it"));
        }
    }
    for (user, PeerName(name)) in view.rows(&PEER_LOGINS, Span::all(), usize::MAX)? {
        if !knows(&name, &|peer| peer.user_taken() == Some(&user))? {
            findings.add(format!("turn_peer_logins: a user name leads to {name}, which has another"));
        }
    }
    Ok(())
}

fn check_sessions(view: &View, findings: &mut Findings) -> Result<(), StoreError> {
    let index = view.rows(&PEER_SESSIONS, Span::all(), usize::MAX)?;
    for ((peer, id), ()) in &index {
        if view.get(&SESSIONS, id)?.is_none_or(|session| session.peer != *peer) {
            findings.add(format!("turn_peer_sessions: {id} is no session of {peer}"));
        }
    }
    let mut sessions = 0;
    view.scan(&SESSIONS, Span::all(), |_, _| {
        sessions += 1;
        std::ops::ControlFlow::Continue(())
    })?;
    if sessions != index.len() {
        findings.add(format!("turn_peer_sessions: {} of {sessions} sessions are there", index.len()));
    }
    for (id, ()) in view.rows(&RUNNING, Span::all(), usize::MAX)? {
        if view.get(&SESSIONS, &id)?.is_none_or(|session| session.state != SessionState::Running) {
            findings.add(format!("turn_sessions_running: {id} does not run"));
        }
    }
    Ok(())
}
