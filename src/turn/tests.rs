use std::sync::Arc;

use super::peer::{PEER_DOMAINS, PEER_LOGINS, PEERS, PeerName, VERSIONS, domain_place};
use super::session::{PEER_SESSIONS, RUNNING, SESSIONS};
use super::*;
use crate::base::{
    Address, Clock, DomainName, Host, Networks, Secret, SeededRandom, SessionId, SystemClock, Timestamp, limits,
};
use crate::directory::{self, AccountChange, AccountFields, DomainFields, Precondition, PutDomain};
use crate::queue::{self, Login};
use crate::sasl::{Channel, Claim, ClientTerms, Credentials, Exchange, Mechanism, Responder, Seeds, Step};
use crate::settings::Settings;
use crate::store::{Options, Schema, Store, WriteError};
use crate::{mailbox, trace};

/// A file with the domain `ours.test` and the account `alice@ours.test`.
fn open() -> Store {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let tables =
        [trace::TABLES, crate::kept::TABLES, directory::TABLES, mailbox::TABLES, queue::TABLES, TABLES].concat();
    let schema = Schema { version: 1, tables: tables.leak(), checks: CHECKS, migrations: &[] };
    let store = Store::open(Options::memory(clock), Box::leak(Box::new(schema))).unwrap();
    let (fields, at) = (DomainFields::new(&Settings::default()), Timestamp(1));
    let put = PutDomain { name: name("ours.test"), fields, precondition: Precondition::None, at };
    let _ = store.write_blocking(put).unwrap();
    let address = Address::parse("alice@ours.test").unwrap();
    let (fields, precondition) = (AccountFields::default(), Precondition::None);
    let change = AccountChange { address, fields, password: None, precondition, at };
    let _ = store.write_blocking(mailbox::PutAccount(change)).unwrap();
    store
}

fn name(text: &str) -> DomainName {
    DomainName::parse(text).unwrap()
}

/// A peer that fetches the mail of `branch.test` and takes part in `ours.test`.
fn fields() -> PeerFields {
    let domains = vec![name("branch.test"), name("ours.test")];
    PeerFields::dialling_us(vec![Verb::Turn, Verb::Atrn], domains, login("branch"))
}

fn put(store: &Store, name: &str, fields: PeerFields) -> Result<Peer, Refused> {
    put_with(store, name, fields, false, Precondition::None)
}

fn put_with(store: &Store, name: &str, fields: PeerFields, keep: bool, on: Precondition) -> Result<Peer, Refused> {
    let at = Timestamp(1000);
    let put = PutPeer { name: name.to_owned(), fields, keep_secret: keep, precondition: on, at };
    match store.write_blocking(put) {
        Ok(put) => Ok(put.into_inner().row),
        Err(WriteError::Refused(refused)) => Err(refused),
        Err(error) => panic!("{error}"),
    }
}

fn examine(store: &Store) {
    assert_eq!(store.check().unwrap().lines(), [] as [&str; 0]);
}

#[test]
fn what_a_peer_can_not_be_is_said_by_its_field() {
    let store = open();
    put(&store, "taken", PeerFields { login: login("taken"), ..fields() }).unwrap();
    let check = |peer: &str, field: Option<&str>, change: fn(&mut PeerFields)| {
        let mut fields = fields();
        change(&mut fields);
        let seen = match put(&store, peer, fields) {
            Ok(_) => None,
            Err(Refused::Field(field, what)) if !what.is_empty() => Some(field),
            Err(other) => panic!("{other:?}"),
        };
        assert_eq!(seen, field, "{peer}");
        examine(&store);
    };
    check("branch", None, |_| {});
    check("Branch-2.x_y", None, |fields| fields.login = login("other"));
    for wrong in ["", "-a", "a b", "a/b", "ä", &"a".repeat(65)] {
        check(wrong, Some("name"), |_| {});
    }
    check("branch", Some("verbs"), |fields| fields.verbs.clear());
    check("branch", Some("verbs"), |fields| fields.verbs.push(Verb::Turn));
    check("branch", Some("domains"), |fields| fields.domains.clear());
    check("branch", Some("domains"), |fields| fields.domains.push(name("branch.test")));
    check("branch", Some("host"), |fields| fields.direction = Direction::Initiate);
    check("branch", Some("host"), |fields| fields.direction = Direction::Both);
    check("branch", Some("port"), |fields| fields.port = 0);
    check("branch", Some("login"), |fields| fields.login = None);
    check("branch", Some("login.user"), |fields| fields.login = login(""));
    check("branch", Some("login.user"), |fields| fields.login = login("a\0b"));
    check("branch", Some("login.user"), |fields| fields.login = login("taken"));
    check("branch", Some("login.user"), |fields| fields.login = login("Alice@ours.test"));
    check("branch", None, |fields| fields.login = login("nobody@ours.test"));
    check("branch", Some("login.secret"), |fields| {
        fields.login = Some(Login { user: "x".into(), secret: String::new() });
    });
    check("branch", Some("note"), |fields| fields.note = "a\nb".into());
    check("branch", Some("networks"), |fields| (fields.verbs, fields.login) = (vec![Verb::Etrn], None));
    check("branch", None, |fields| {
        (fields.verbs, fields.login) = (vec![Verb::Etrn], None);
        fields.networks = "192.0.2.0/24".parse().unwrap();
    });
    check("branch", Some("limits.messages"), |fields| fields.limits.messages = Some(0));
    check("branch", Some("limits.size_bytes"), |fields| fields.limits.size_bytes = Some(0));
    check("branch", Some("limits.duration_seconds"), |fields| fields.limits.duration_s = Some(0));
    check("branch", Some("limits.duration_seconds"), |fields| fields.limits.duration_s = Some(1801));
    check("branch", None, |fields| {
        fields.limits = SessionLimits { messages: Some(1), size_bytes: Some(1), duration_s: Some(1800) };
    });
    check("branch", Some("schedule"), |fields| fields.schedule = Some(Schedule::Every { seconds: 900 }));
    check("branch", Some("schedule"), |fields| {
        (fields.direction, fields.host) = (Direction::Both, Some(Host::Name(name("isp.test"))));
        fields.schedule = Some(Schedule::Every { seconds: 1 });
    });
    check("branch", None, |fields| {
        (fields.direction, fields.host) = (Direction::Both, Some(Host::Name(name("isp.test"))));
        fields.schedule = Some(Schedule::Cron("0 6 * * *".into()));
    });
    // Where we dial, the name is the other side's affair.
    check("branch", None, |fields| {
        (fields.direction, fields.host) = (Direction::Initiate, Some(Host::Name(name("isp.test"))));
        fields.login = login("alice@ours.test");
    });
    check("branch", None, |fields| {
        (fields.direction, fields.host) = (Direction::Initiate, Some(Host::Name(name("isp.test"))));
        fields.login = login("taken");
    });
}

fn login(user: &str) -> Option<Login> {
    Some(Login { user: user.to_owned(), secret: "s3cret".to_owned() })
}

#[test]
fn a_peer_is_found_by_its_name_its_login_and_its_domains() {
    let store = open();
    let found = |user: &str| peer_by_login(&store.view().unwrap(), user).unwrap().map(|peer| peer.name);
    let holding = |domain: &str| peer_holding(&store.view().unwrap(), &name(domain)).unwrap().map(|peer| peer.name);
    put(&store, "b", fields()).unwrap();
    put(&store, "a", PeerFields { login: login("a"), domains: vec![name("other.test")], ..fields() }).unwrap();
    assert_eq!((found("branch"), found("a"), found("b")), (Some("b".into()), Some("a".into()), None));
    assert_eq!((holding("branch.test"), holding("other.test")), (Some("b".into()), Some("a".into())));
    assert_eq!((holding("ours.test"), holding("test"), holding("sub.branch.test")), (None, None, None));
    let view = store.view().unwrap();
    let names = |peers: Vec<Peer>| peers.into_iter().map(|peer| peer.name).collect::<Vec<_>>();
    assert_eq!(names(peers(&view, None, 10).unwrap()), ["a", "b"]);
    assert_eq!(names(peers(&view, Some("a"), 10).unwrap()), ["b"]);
    assert_eq!(names(peers_of_domain(&view, &name("ours.test")).unwrap()), ["b"]);
    assert_eq!(domains_ours(&view, &peer(&view, "b").unwrap().unwrap()).unwrap(), [name("ours.test")]);
    drop(view);
    // The first by name has a domain that two name; a disabled one has it still, but does not log in.
    put(&store, "a", PeerFields { login: login("a"), enabled: false, ..fields() }).unwrap();
    assert_eq!((holding("branch.test"), holding("other.test")), (Some("a".into()), None));
    assert_eq!(found("a"), None);
    examine(&store);
    let delete = |precondition| store.write_blocking(DeletePeer { name: "a".into(), precondition });
    assert!(matches!(delete(Precondition::Version(1)), Err(WriteError::Refused(Refused::Precondition(Some(_))))));
    let _ = delete(Precondition::None).unwrap();
    assert!(matches!(delete(Precondition::None), Err(WriteError::Refused(Refused::Unknown))));
    assert_eq!(holding("branch.test"), Some("b".into()));
    examine(&store);
}

#[test]
fn a_secret_is_kept_where_it_is_not_given() {
    let store = open();
    let first = put_with(&store, "b", fields(), false, Precondition::Absent).unwrap();
    assert_eq!(
        put_with(&store, "b", fields(), false, Precondition::Absent),
        Err(Refused::Precondition(Some(first.version)))
    );
    let unsaid = PeerFields { login: Some(Login { user: "new".into(), secret: String::new() }), ..fields() };
    let kept = put_with(&store, "b", unsaid.clone(), true, Precondition::Version(first.version)).unwrap();
    assert_eq!(kept.fields.login, login("new"));
    assert!(kept.version > first.version && kept.secret_changed_at == first.secret_changed_at);
    let refused = put_with(&store, "c", unsaid.clone(), true, Precondition::None);
    assert!(matches!(refused, Err(Refused::Field("login.secret", _))), "{refused:?}");
    assert!(matches!(put(&store, "b", unsaid), Err(Refused::Field("login.secret", _))));
    examine(&store);
}

#[test]
fn a_login_needs_the_secret_and_the_network() {
    let store = open();
    let near = PeerFields { networks: "192.0.2.0/24".parse().unwrap(), ..fields() };
    put(&store, "b", near.clone()).unwrap();
    let check = |user: &str, secret: &str, ip: &str, expected: bool| {
        let claim = Claim::Password(Credentials { login: user.into(), password: Secret::new(secret.to_owned()) });
        let way = Way { ip: ip.parse().unwrap(), is_private: true };
        let found = authenticate(&store.view().unwrap(), Mechanism::Plain, &claim, way).unwrap();
        assert_eq!(found.is_some(), expected, "{user} {secret} {ip}");
    };
    check("branch", "s3cret", "192.0.2.7", true);
    check("branch", "s3cret", "198.51.100.1", false);
    check("branch", "s3cre", "192.0.2.7", false);
    check("branch", "", "192.0.2.7", false);
    check("nobody", "", "192.0.2.7", false);
    check("nobody", "s3cret", "192.0.2.7", false);
    let at = |ip: &str| welcome(&store.view().unwrap(), ip.parse().unwrap()).unwrap();
    assert_eq!(at("192.0.2.7"), Welcome { login: true, ..Welcome::default() });
    assert_eq!(at("198.51.100.1"), Welcome::default());
    let etrn = PeerFields { verbs: vec![Verb::Etrn], login: None, ..near.clone() };
    put(&store, "b", etrn).unwrap();
    assert_eq!(at("192.0.2.7"), Welcome { etrn: true, ..Welcome::default() });
    put(&store, "b", PeerFields { enabled: false, ..near.clone() }).unwrap();
    check("branch", "s3cret", "192.0.2.7", false);
    assert_eq!(at("192.0.2.7"), Welcome::default());
    put(&store, "b", PeerFields { direction: Direction::Initiate, host: Some(Host::Name(name("x.test"))), ..near })
        .unwrap();
    check("branch", "s3cret", "192.0.2.7", false);
}

fn session_of(peer: &str, state: SessionState) -> Session {
    Session {
        peer: peer.to_owned(),
        verb: Verb::Atrn,
        role: Role::Accepted,
        peer_ip: None,
        state,
        swapped: false,
        started_at: Timestamp(1),
        ended_at: None,
        sent: 0,
        received: 0,
        refused: 0,
        outcome: String::new(),
        transcript: String::new(),
    }
}

#[test]
fn sessions_are_listed_from_the_newest_and_the_oldest_go() {
    let store = open();
    let write = |id: u64, peer: &str, state| {
        let _ = store.write_blocking(PutSession { id: SessionId(id), session: session_of(peer, state) }).unwrap();
    };
    for id in 1..=limits::TURN_SESSIONS_KEPT as u64 + 3 {
        write(id, if id % 2 == 0 { "even" } else { "odd" }, SessionState::Running);
    }
    write(1001, "odd", SessionState::Done);
    let listed = |peer, before: Option<u64>, limit| {
        let found = sessions(&store.view().unwrap(), peer, before.map(SessionId), limit).unwrap();
        found.into_iter().map(|(id, _)| id.0).collect::<Vec<_>>()
    };
    assert_eq!(listed(None, None, 3), [1003, 1002, 1001]);
    assert_eq!(listed(Some("even"), None, 2), [1002, 1000]);
    assert_eq!(listed(Some("even"), Some(1000), 2), [998, 996]);
    assert_eq!(listed(None, Some(6), 5), [5, 4]);
    assert_eq!(listed(Some("nobody"), None, 5), [0; 0]);
    examine(&store);
    let _ = store.write_blocking(EndRunning { at: Timestamp(9) }).unwrap();
    let view = store.view().unwrap();
    let state = |id| session(&view, SessionId(id)).unwrap().map(|session| (session.state, session.ended_at));
    assert_eq!(state(1000), Some((SessionState::Failed, Some(Timestamp(9)))));
    assert_eq!((state(1001), state(1)), (Some((SessionState::Done, None)), None));
    examine(&store);
}

#[test]
fn peers_that_contradict_their_indexes_are_mended() {
    let store = open();
    let before = put(&store, "branch", fields()).unwrap();
    let of = |domain: &str| domain_place(&name(domain), "branch");
    let peer = |text: &str| PeerName(text.to_owned());
    store.is_mended(move |tx| tx.remove(&PEER_DOMAINS, &of("branch.test")).map(drop), "branch.test does not lead to");
    store.is_mended(move |tx| tx.put(&PEER_DOMAINS, &of("far.test"), &()), "far.test leads to branch");
    store.is_mended(|tx| tx.remove(&PEER_LOGINS, &"branch".into()).map(drop), "the user name of branch does not");
    store.is_mended(move |tx| tx.put(&PEER_LOGINS, &"other".into(), &peer("branch")), "a user name leads to branch");
    store.forget_counter(VERSIONS);
    store.is_mended_of("the counter of their versions is behind");
    assert_eq!(super::peer(&store.view().unwrap(), "branch").unwrap(), Some(before), "the peer is as it was");
    store.is_mended(|tx| tx.remove(&PEERS, &"branch".into()).map(drop), "ours.test leads to branch");
    // What led to it is free again.
    put(&store, "branch", fields()).unwrap();
    examine(&store);
}

#[test]
fn sessions_that_contradict_their_indexes_are_mended() {
    let store = open();
    for (id, state) in [(1, SessionState::Running), (2, SessionState::Done)] {
        let _ = store.write_blocking(PutSession { id: SessionId(id), session: session_of("branch", state) }).unwrap();
    }
    let of = |peer: &str, id| (peer.to_owned(), SessionId(id));
    store
        .is_mended(move |tx| tx.remove(&PEER_SESSIONS, &of("branch", 2)).map(drop), "is missing among those of branch");
    store.is_mended(move |tx| tx.put(&PEER_SESSIONS, &of("other", 2), &()), "is no session of other");
    store.is_mended(|tx| tx.remove(&RUNNING, &SessionId(1)).map(drop), "runs, and is missing");
    store.is_mended(|tx| tx.put(&RUNNING, &SessionId(2), &()), "does not run");
    let listed = |peer| sessions(&store.view().unwrap(), peer, None, 9).unwrap().len();
    assert_eq!((listed(Some("branch")), listed(Some("other"))), (2, 0));
    store.is_mended(|tx| tx.remove(&SESSIONS, &SessionId(1)).map(drop), "is no session of branch");
    assert_eq!(listed(None), 1);
}

/// What a client says that has this secret, in an exchange of its own.
fn claim(mechanism: Mechanism, user: &str, secret: &str) -> Claim {
    let (channel, nonce) = (Channel { exporter: Some([5; 32]), ..Channel::default() }, "n");
    let terms = ClientTerms { nonce, channel: &channel, offers_plus: true };
    let mut client = Responder::new(mechanism, user, &Secret::new(secret.to_owned()), &terms).unwrap();
    let seeds = Seeds { nonces: Secret::new([1; 32]), salts: Secret::new([2; 32]) };
    let mut step = Exchange::start(mechanism, None, Some(seeds.terms(1, channel.clone()))).unwrap();
    loop {
        match step {
            Step::Done(claim) => return claim,
            Step::Challenge(exchange, challenge) => {
                let answer = client.answer(&challenge).unwrap();
                step = exchange.answer(answer.expose().as_bytes()).unwrap();
            }
        }
    }
}

#[test]
fn a_peer_logs_in_by_the_mechanisms_that_it_has() {
    let store = open();
    let random = SeededRandom::new(2195);
    let secret = make_secret(&random).expose().clone();
    let login = |secret: &str| Some(Login { user: "branch".into(), secret: secret.into() });
    let near: Networks = "192.0.2.0/24".parse().unwrap();
    let may = |mechanism, user: &str, secret: &str, ip: &str, is_private| {
        let way = Way { ip: ip.parse().unwrap(), is_private };
        let known = authenticate(&store.view().unwrap(), mechanism, &claim(mechanism, user, secret), way).unwrap();
        let has_proof = known.as_ref().is_some_and(|known| known.proof.is_some());
        let is_scram = matches!(mechanism, Mechanism::ScramSha256 | Mechanism::ScramSha256Plus);
        assert_eq!(has_proof, known.is_some() && is_scram, "{mechanism:?}");
        known.is_some()
    };
    let here = "192.0.2.7";
    for mechanisms in [Mechanism::BY_SECRET.to_vec(), Mechanism::USUAL.to_vec(), vec![Mechanism::ScramSha256]] {
        let fields =
            PeerFields { login: login(&secret), networks: near.clone(), mechanisms: mechanisms.clone(), ..fields() };
        put(&store, "b", fields).unwrap();
        for mechanism in Mechanism::BY_SECRET {
            let has = mechanisms.contains(&mechanism);
            assert_eq!(may(mechanism, "branch", &secret, here, true), has, "{mechanism:?}");
            assert!(!may(mechanism, "branch", "wrong", here, true), "{mechanism:?}");
            assert!(!may(mechanism, "nobody", &secret, here, true), "{mechanism:?}");
            assert!(!may(mechanism, "branch", &secret, "198.51.100.1", true), "{mechanism:?}");
            assert!(!may(mechanism, "branch", &secret, here, false), "{mechanism:?} in the clear");
        }
    }
    // Without TLS: by CRAM-MD5 alone, and from its networks.
    let clear = PeerFields {
        login: login(&secret),
        networks: near,
        mechanisms: Mechanism::BY_SECRET.to_vec(),
        in_clear: true,
        ..fields()
    };
    put(&store, "b", clear.clone()).unwrap();
    for mechanism in Mechanism::BY_SECRET {
        let is_cram = mechanism == Mechanism::CramMd5;
        assert_eq!(may(mechanism, "branch", &secret, here, false), is_cram, "{mechanism:?}");
        assert!(!may(mechanism, "branch", &secret, "198.51.100.1", false), "{mechanism:?}");
    }
    let at = |ip: &str| welcome(&store.view().unwrap(), ip.parse().unwrap()).unwrap();
    assert_eq!(at(here), Welcome { login: true, cram: true, cram_in_clear: true, ..Welcome::default() });
    assert_eq!(at("198.51.100.1"), Welcome::default());
    // What a person has thought up, what nobody could come by, and what is said twice or not at all.
    let refused = |fields: PeerFields| match put(&store, "b", fields) {
        Err(Refused::Field(name, _)) => name,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        refused(PeerFields { login: login("thought-up-0123456789abcdefghjk"), ..clear.clone() }),
        "login.secret"
    );
    assert_eq!(refused(PeerFields { networks: Networks::default(), ..clear.clone() }), "in_clear");
    assert_eq!(refused(PeerFields { mechanisms: Mechanism::USUAL.to_vec(), ..clear.clone() }), "in_clear");
    assert_eq!(refused(PeerFields { mechanisms: Vec::new(), ..clear.clone() }), "mechanisms");
    assert_eq!(refused(PeerFields { mechanisms: vec![Mechanism::CramMd5; 2], ..clear }), "mechanisms");
    examine(&store);
}

/// A peer that is known by this certificate.
fn certified(sha256: u8) -> PeerFields {
    let (mechanisms, client_certificate) = (vec![Mechanism::External], Some([sha256; 32]));
    PeerFields { login: None, mechanisms, client_certificate, ..fields() }
}

#[test]
fn a_certificate_is_of_one_peer_and_of_nobody_else() {
    let store = open();
    let near: Networks = "192.0.2.0/24".parse().unwrap();
    put(&store, "branch", PeerFields { networks: near, ..certified(1) }).unwrap();
    put(&store, "rival", PeerFields { domains: vec![name("rival.test")], ..certified(2) }).unwrap();
    put(&store, "off", PeerFields { enabled: false, domains: vec![name("off.test")], ..certified(3) }).unwrap();
    let dialled = Direction::Initiate;
    let host = Some(Host::Name(name("x.test")));
    put(&store, "dialled", PeerFields { direction: dialled, host, domains: vec![name("d.test")], ..certified(4) })
        .unwrap();
    put(&store, "secret", PeerFields { domains: vec![name("s.test")], ..fields() }).unwrap();
    let who = |shown: u8, acts_as: &str, ip: &str| {
        let channel = Channel { client_certificate: Some([shown; 32]), ..Channel::default() };
        let seeds = Seeds { nonces: Secret::new([1; 32]), salts: Secret::new([2; 32]) };
        let response = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, acts_as);
        let response = if acts_as.is_empty() { "=" } else { &response };
        let terms = Some(seeds.terms(1, channel));
        let Ok(Step::Done(claim)) = Exchange::start(Mechanism::External, Some(response.as_bytes()), terms) else {
            panic!("no claim")
        };
        let way = Way { ip: ip.parse().unwrap(), is_private: true };
        let known = authenticate(&store.view().unwrap(), Mechanism::External, &claim, way).unwrap();
        known.map(|known| known.peer.name)
    };
    let here = "192.0.2.7";
    assert_eq!((who(1, "", here), who(1, "branch", here)), (Some("branch".into()), Some("branch".into())));
    assert_eq!(who(2, "", "198.51.100.1").as_deref(), Some("rival"));
    for (shown, acts_as, ip) in [
        (1, "rival", here),
        (1, "alice@ours.test", here),
        (1, "secret", here),
        (1, "Branch", here),
        (1, "", "198.51.100.1"),
        (2, "branch", here),
        (3, "", here),
        (4, "", here),
        (9, "", here),
        (9, "branch", here),
    ] {
        assert_eq!(who(shown, acts_as, ip), None, "{shown} as {acts_as} from {ip}");
    }
    // A certificate is asked for where a peer may come from that has one.
    let asks = |ip: &str| welcome(&store.view().unwrap(), ip.parse().unwrap()).unwrap();
    assert_eq!(asks(here), Welcome { login: true, certificate: true, ..Welcome::default() });
    for name in ["rival", "secret"] {
        let gone = DeletePeer { name: name.into(), precondition: Precondition::None };
        store.write_blocking(gone).unwrap().into_inner();
    }
    assert_eq!(asks(here), Welcome { certificate: true, ..Welcome::default() });
    assert_eq!(asks("198.51.100.1"), Welcome::default());
    examine(&store);
}

#[test]
fn a_certificate_and_a_secret_exclude_each_other() {
    let store = open();
    put(&store, "taken", PeerFields { domains: vec![name("t.test")], ..certified(7) }).unwrap();
    let check = |fields: PeerFields, expected: Option<&str>| {
        let seen = match put(&store, "branch", fields) {
            Ok(_) => None,
            Err(Refused::Field(field, what)) if !what.is_empty() => Some(field),
            Err(other) => panic!("{other:?}"),
        };
        assert_eq!(seen, expected);
    };
    let host = || Some(Host::Name(name("x.test")));
    let dialled = |fields| PeerFields { direction: Direction::Initiate, host: host(), ..fields };
    check(certified(1), None);
    check(certified(7), Some("client_certificate"));
    check(dialled(certified(7)), None);
    check(PeerFields { client_certificate: None, ..certified(1) }, Some("client_certificate"));
    check(
        PeerFields { direction: Direction::Both, host: host(), client_certificate: None, ..certified(1) },
        Some("client_certificate"),
    );
    check(dialled(PeerFields { client_certificate: None, ..certified(1) }), None);
    check(PeerFields { login: login("branch"), ..certified(1) }, Some("mechanisms"));
    check(PeerFields { mechanisms: vec![Mechanism::External, Mechanism::Plain], ..certified(1) }, Some("mechanisms"));
    check(PeerFields { client_certificate: Some([1; 32]), ..fields() }, Some("client_certificate"));
    check(PeerFields { login: None, ..fields() }, Some("login"));
    check(PeerFields { in_clear: true, ..certified(1) }, Some("in_clear"));
    // ETRN alone, from anywhere: it is known by its certificate.
    check(PeerFields { verbs: vec![Verb::Etrn], ..certified(1) }, None);
    // The one that had it is gone.
    let gone = DeletePeer { name: "taken".into(), precondition: Precondition::None };
    store.write_blocking(gone).unwrap().into_inner();
    check(certified(7), None);
    examine(&store);
}
