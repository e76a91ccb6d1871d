use super::peer::{PEER_DOMAINS, PEER_LOGINS, PEERS, Peer, PeerName, VERSIONS, domain_place, last_version};
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
                let what = format!("turn_peer_domains: {domain} does not lead to {name}");
                findings.add(what).put(&PEER_DOMAINS, &domain_place(domain, &name), &());
            }
        }
        if let Some(user) = peer.user_taken() {
            let known = view.get(&PEER_LOGINS, &user.to_owned())?;
            if known != Some(PeerName(name.clone())) {
                let finding = findings.add(format!("turn_peer_logins: the user name of {name} does not lead to it"));
                if known.is_none() {
                    finding.put(&PEER_LOGINS, &user.to_owned(), &PeerName(name.clone()));
                }
            }
        }
    }
    let last = last_version(view)?;
    if last > view.counter(VERSIONS)? {
        findings.add("turn_peers: the counter of their versions is behind").raise(VERSIONS, last);
    }
    let knows = |name: &String, known: &dyn Fn(&Peer) -> bool| -> Result<bool, StoreError> {
        Ok(view.get(&PEERS, name)?.is_some_and(|peer| known(&peer)))
    };
    for ((domain, name), ()) in view.rows(&PEER_DOMAINS, Span::all(), usize::MAX)? {
        if !knows(&name, &|peer| peer.fields.domains.iter().any(|known| known.as_str() == domain))? {
            let what = format!("turn_peer_domains: {domain} leads to {name}, which does not name it");
            findings.add(what).remove(&PEER_DOMAINS, &(domain, name));
        }
    }
    for (user, PeerName(name)) in view.rows(&PEER_LOGINS, Span::all(), usize::MAX)? {
        if !knows(&name, &|peer| peer.user_taken() == Some(&user))? {
            let what = format!("turn_peer_logins: a user name leads to {name}, which has another");
            findings.add(what).remove(&PEER_LOGINS, &user);
        }
    }
    Ok(())
}

fn check_sessions(view: &View, findings: &mut Findings) -> Result<(), StoreError> {
    let index = view.rows(&PEER_SESSIONS, Span::all(), usize::MAX)?;
    for ((peer, id), ()) in &index {
        if view.get(&SESSIONS, id)?.is_none_or(|session| session.peer != *peer) {
            let what = format!("turn_peer_sessions: {id} is no session of {peer}");
            findings.add(what).remove(&PEER_SESSIONS, &(peer.clone(), *id));
        }
    }
    for (id, session) in view.rows(&SESSIONS, Span::all(), usize::MAX)? {
        let place = (session.peer, id);
        if !view.has(&PEER_SESSIONS, &place)? {
            let what = format!("turn_peer_sessions: {id} is missing among those of {}", place.0);
            findings.add(what).put(&PEER_SESSIONS, &place, &());
        }
        if session.state == SessionState::Running && !view.has(&RUNNING, &id)? {
            findings.add(format!("turn_sessions_running: {id} runs, and is missing")).put(&RUNNING, &id, &());
        }
    }
    for (id, ()) in view.rows(&RUNNING, Span::all(), usize::MAX)? {
        if view.get(&SESSIONS, &id)?.is_none_or(|session| session.state != SessionState::Running) {
            findings.add(format!("turn_sessions_running: {id} does not run")).remove(&RUNNING, &id);
        }
    }
    Ok(())
}
