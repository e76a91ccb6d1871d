//! Two servers, of which one can't be reached: it dials the other, sends what it has, and fetches its mail over the
//! same connection by ATRN and by TURN.

use pillarbox::trace::Kind;
use serde_json::json;

use crate::site::data_file;
use crate::swap_site::{SECRET, Swapper, message, submit_over, wait_until};
use crate::swap_talk::auth_plain;
use crate::trace;

/// A hub that holds mail for a branch, and the branch, which has no port that mail could come in by.
struct Pair {
    hub: Swapper,
    branch: Swapper,
    _folders: [tempfile::TempDir; 2],
}

impl Pair {
    fn start() -> Self {
        let folders = [(); 2].map(|()| tempfile::tempdir().expect("a temporary folder"));
        let hub = Swapper::start(folders[0].path(), "hub.test", &["hubert"], &[]);
        let branch = Swapper::start(folders[1].path(), "branch.test", &["bea"], &["--listen", "smtp=off"]);
        hub.put_peer("branch", &["branch.test"], &json!({}));
        let pair = Self { hub, branch, _folders: folders };
        pair.dial("smtp");
        pair
    }

    /// From now on the branch dials this listener of the hub.
    fn dial(&self, listener: &str) {
        let address = self.hub.site.address(listener);
        self.branch.put_provider("hub", &["branch.test", "hub.test"], "branch", address, &self.hub.fingerprint());
    }
}

#[test]
fn mail_is_swapped_by_each_verb_on_each_port() {
    let pair = Pair::start();
    let (mut at_hub, mut at_branch) = (Vec::new(), Vec::new());
    for listener in ["smtp", "submission", "odmr"] {
        pair.dial(listener);
        for verb in ["atrn", "turn"] {
            let (up, down) = (format!("up-{verb}-{listener}"), format!("down-{verb}-{listener}"));
            // On 366 there is no MAIL: what is for the provider itself waits for the other ports.
            let is_odmr = listener == "odmr";
            if !is_odmr {
                pair.branch.submit("bea", "hubert@hub.test", &up);
                pair.branch.wait_for_queue(1);
                at_hub.push(up);
            }
            pair.hub.submit("hubert", "bea@branch.test", &down);
            pair.hub.submit("hubert", "bea@branch.test", &format!("{down}-2"));
            at_branch.extend([down.clone(), format!("{down}-2")]);
            assert_eq!(pair.hub.waiting("branch.test"), 2, "before {verb} on {listener}");

            let job = pair.branch.call("hub", &json!({"verb": verb}));
            assert_eq!(job["state"], "succeeded", "{verb} on {listener}: {job}");
            assert_eq!(pair.hub.subjects("hubert"), at_hub, "{verb} on {listener}");
            assert_eq!(pair.branch.subjects("bea"), at_branch, "{verb} on {listener}");
            pair.hub.wait_for_queue(0);
            pair.branch.wait_for_queue(0);
            assert_eq!(pair.hub.waiting("branch.test"), 0, "after {verb} on {listener}");

            let (ours, theirs) = (pair.branch.last_session(), pair.hub.ended_session());
            for (session, role, sent, received) in
                [(&ours, "client", u64::from(!is_odmr), 2), (&theirs, "server", 2, u64::from(!is_odmr))]
            {
                assert_eq!(session["state"], "done", "{session}");
                assert_eq!(session["verb"], verb, "{session}");
                assert_eq!(session["role_before"], role, "{session}");
                assert_ne!(session["role_after"], role, "{session}");
                assert_eq!(session["sent"], sent, "{session}");
                assert_eq!(session["received"], received, "{session}");
            }
        }
    }
}

#[test]
fn the_mail_of_a_swap_can_be_followed() {
    let pair = Pair::start();
    pair.branch.submit("bea", "hubert@hub.test", "outbound");
    pair.hub.submit("hubert", "bea@branch.test", "inbound");
    wait_until("it is held", || pair.hub.queue().iter().any(|entry| entry["state"] == "held"));
    let held = pair.hub.queue();
    assert_eq!(held.len(), 1, "{held:?}");
    assert_eq!((&held[0]["state"], &held[0]["route"]["peer"]), (&json!("held"), &json!("branch")), "{held:?}");
    assert_eq!(held[0]["domain"], "branch.test", "{held:?}");
    let job = pair.branch.call("hub", &json!({"verb": "atrn"}));
    assert_eq!(job["state"], "succeeded", "{job}");

    assert!(job["dialogue"].as_str().is_some_and(|text| text.contains("ATRN branch.test")), "{job}");
    // The dialogue is kept at both sides, without the secret and without what the messages say.
    for session in [pair.branch.last_session(), pair.hub.ended_session()] {
        let id = session["id"].as_str().unwrap_or_else(|| panic!("an id in {session}"));
        let server = if session["role_before"] == "client" { &pair.branch } else { &pair.hub };
        let whole = server.get(&format!("/turn/sessions/{id}"));
        let transcript = whole["transcript"].as_str().unwrap_or_else(|| panic!("a transcript in {whole}"));
        for line in ["ATRN branch.test", "MAIL FROM:<hubert@hub.test>", "RCPT TO:<bea@branch.test>", "EHLO"] {
            assert!(transcript.contains(line), "{line} in {transcript}");
        }
        let plain = auth_plain("branch", SECRET);
        for hidden in [SECRET, plain.trim_start_matches("AUTH PLAIN "), "the text of"] {
            assert!(!transcript.contains(hidden), "{hidden} in {transcript}");
        }
    }
    // And in the trace: held for the peer, then taken by it.
    let Pair { hub, _folders: folders, .. } = pair;
    assert!(hub.site.stop().success());
    let stories = trace::read(&data_file(folders[0].path()));
    let story = stories.story("inbound@client.example.test");
    for kind in [Kind::Accepted, Kind::Queued, Kind::Parked, Kind::Relayed] {
        assert_eq!(story.of(kind).len(), 1, "{kind:?} in {:?}", story.events);
    }
}

#[test]
fn nothing_waits() {
    let pair = Pair::start();
    for verb in ["atrn", "turn"] {
        let job = pair.branch.call("hub", &json!({"verb": verb}));
        assert_eq!(job["state"], "succeeded", "{verb}: {job}");
        let session = pair.branch.last_session();
        assert_eq!((&session["state"], &session["received"]), (&json!("done"), &json!(0)), "{session}");
    }
    // RFC 2645 §5.2.1: 453 is no failure.
    let transcript = pair.branch.get("/turn/sessions?limit=2")["items"][1].clone();
    assert!(transcript["outcome"].as_str().is_some_and(|words| words.contains("nothing")), "{transcript}");
}

#[test]
fn a_port_that_takes_no_mail_refuses_none() {
    let pair = Pair::start();
    pair.dial("odmr");
    pair.branch.submit("bea", "hubert@hub.test", "outbound");
    pair.hub.submit("hubert", "bea@branch.test", "inbound");
    let job = pair.branch.call("hub", &json!({"verb": "atrn"}));
    assert_eq!(job["state"], "succeeded", "{job}");
    // RFC 2645 §5: port 366 is for fetching. What is for the provider waits for another port, and does not come back.
    assert_eq!(pair.branch.subjects("bea"), ["inbound"]);
    assert_eq!(pair.branch.queue().len(), 1);
    pair.dial("smtp");
    let job = pair.branch.call("hub", &json!({"verb": "atrn"}));
    assert_eq!(job["state"], "succeeded", "{job}");
    assert_eq!(pair.hub.subjects("hubert"), ["outbound"]);
    pair.branch.wait_for_queue(0);
}

#[test]
fn a_look_moves_nothing() {
    let pair = Pair::start();
    pair.branch.submit("bea", "hubert@hub.test", "outbound");
    pair.hub.submit("hubert", "bea@branch.test", "inbound");
    let job = pair.branch.call("hub", &json!({"dry_run": true}));
    assert_eq!(job["state"], "succeeded", "{job}");
    assert_eq!(pair.hub.subjects("hubert"), Vec::<String>::new());
    assert_eq!(pair.branch.subjects("bea"), Vec::<String>::new());
    assert_eq!((pair.hub.queue().len(), pair.branch.queue().len()), (1, 1));
}

#[test]
fn a_route_holds_mail_as_a_peers_own_domain_does() {
    let pair = Pair::start();
    let route = json!({"match": {"domain": "annex.test"}, "kind": "hold", "peer": "branch"});
    pair.hub.rest("PUT", "/routes/annex", &route).is(201);
    pair.branch.rest("PUT", "/domains/annex.test", &json!({})).is(201);
    pair.branch.rest("PUT", "/accounts/ann@annex.test", &json!({"password": "pillarbox"})).is(201);
    let address = pair.hub.site.address("smtp");
    let domains = ["branch.test", "annex.test"];
    pair.branch.put_provider("hub", &domains, "branch", address, &pair.hub.fingerprint());

    pair.hub.submit("hubert", "ann@annex.test", "for-annex");
    pair.hub.submit("hubert", "bea@branch.test", "for-branch");
    assert_eq!(pair.hub.waiting("annex.test"), 1);
    assert_eq!(pair.hub.queue().iter().filter(|entry| entry["route"]["peer"] == "branch").count(), 2);
    let job = pair.branch.call("hub", &json!({"verb": "atrn"}));
    assert_eq!(job["state"], "succeeded", "{job}");
    assert_eq!(pair.branch.subjects("bea"), ["for-branch"]);
    pair.hub.wait_for_queue(0);
}

#[test]
fn one_message_for_two_domains_goes_by_halves() {
    let pair = Pair::start();
    pair.hub.put_peer("other", &["other.test"], &json!({}));
    let mut talk = pair.hub.submission("hubert");
    talk.say("MAIL FROM:<hubert@hub.test>", "250");
    talk.say("RCPT TO:<bea@branch.test>", "250");
    talk.say("RCPT TO:<olga@other.test>", "250");
    talk.say("DATA", "354");
    talk.send(message("hubert@hub.test", "bea@branch.test", "for-both"));
    talk.send(".\r\n");
    talk.expect("250");
    let job = pair.branch.call("hub", &json!({"verb": "atrn"}));
    assert_eq!(job["state"], "succeeded", "{job}");
    assert_eq!(pair.branch.subjects("bea"), ["for-both"]);
    pair.hub.wait_for_queue(1);
    assert_eq!(pair.hub.queue()[0]["domain"], "other.test");
    assert_eq!(pair.hub.waiting("other.test"), 1);
}

#[test]
fn two_servers_know_each_other_by_certificate() {
    let pair = Pair::start();
    for listener in ["smtp", "odmr"] {
        let address = pair.hub.site.address(listener);
        let provider = json!({
            "direction": "initiate",
            "host": format!("[{}]", address.ip()),
            "port": address.port(),
            "auth": {"mechanisms": ["EXTERNAL"]},
            "tls": {"mode": "pinned", "server_cert_sha256": pair.hub.fingerprint()},
        });
        pair.branch.put_peer("hub", &["branch.test", "hub.test"], &provider);
        // What the one shows, the other is told: here in the place of a user name and a secret.
        let shown = pair.branch.get("/turn/peers/hub")["auth"]["our_cert_sha256"].clone();
        let shown = shown.as_str().expect("a fingerprint");
        pair.hub.command_line(&["turn", "peer", "set", "branch", "--client-cert", shown]);
        for verb in ["atrn", "turn"] {
            pair.hub.submit("hubert", "bea@branch.test", &format!("{verb}-{listener}"));
            let job = pair.branch.call("hub", &json!({"verb": verb}));
            assert_eq!(job["state"], "succeeded", "{job}");
            assert!(job["dialogue"].as_str().is_some_and(|text| text.contains("AUTH EXTERNAL")), "{job}");
            pair.hub.wait_for_queue(0);
        }
        // Another one is nobody's.
        pair.hub.submit("hubert", "bea@branch.test", &format!("last-{listener}"));
        pair.hub.command_line(&["turn", "peer", "set", "branch", "--client-cert", &"00".repeat(32)]);
        let job = pair.branch.call("hub", &json!({"verb": "turn"}));
        assert_eq!((&job["state"], pair.hub.waiting("branch.test")), (&json!("failed"), 1), "{job}");
        pair.hub.command_line(&["turn", "peer", "set", "branch", "--client-cert", shown]);
        let job = pair.branch.call("hub", &json!({"verb": "atrn"}));
        assert_eq!(job["state"], "succeeded", "{job}");
    }
    let subjects: Vec<_> = ["smtp", "odmr"]
        .iter()
        .flat_map(|listener| ["atrn", "turn", "last"].map(|verb| format!("{verb}-{listener}")))
        .collect();
    assert_eq!(pair.branch.subjects("bea"), subjects);
}

#[test]
fn what_comes_in_during_the_session_goes_with_it_or_waits() {
    let pair = Pair::start();
    for number in 0..20 {
        pair.hub.submit("hubert", "bea@branch.test", &format!("early-{number}"));
    }
    let late = std::thread::scope(|scope| {
        let late = scope.spawn(|| {
            let mut talk = pair.hub.submission("hubert");
            for number in 0..20 {
                submit_over(&mut talk, "hubert@hub.test", "bea@branch.test", &format!("late-{number}"));
            }
        });
        let job = pair.branch.call("hub", &json!({"verb": "turn"}));
        assert_eq!(job["state"], "succeeded", "{job}");
        late.join()
    });
    late.expect("all is submitted");
    let left = pair.hub.waiting("branch.test");
    assert_eq!(pair.branch.subjects("bea").len() as u64 + left, 40);
    let job = pair.branch.call("hub", &json!({"verb": "turn"}));
    assert_eq!(job["state"], "succeeded", "{job}");
    let mut subjects = pair.branch.subjects("bea");
    subjects.sort();
    subjects.dedup();
    assert_eq!(subjects.len(), 40, "each once: {subjects:?}");
    pair.hub.wait_for_queue(0);
}

#[test]
fn the_command_line_shows_what_came_of_it() {
    let pair = Pair::start();
    pair.hub.submit("hubert", "bea@branch.test", "inbound");
    let peers = pair.branch.command_line(&["turn", "peer", "list"]);
    assert!(peers.contains("hub") && !peers.contains(SECRET), "{peers}");
    let job = pair.branch.call("hub", &json!({"verb": "atrn"}));
    let id = job["id"].as_str().unwrap_or_else(|| panic!("an id in {job}"));
    let shown = pair.branch.command_line(&["job", "show", id]);
    assert!(shown.contains("succeeded"), "{shown}");
    let session = pair.branch.last_session();
    let id = session["id"].as_str().unwrap_or_else(|| panic!("an id in {session}"));
    let shown = pair.branch.command_line(&["turn", "show", id]);
    assert!(shown.contains("ATRN branch.test"), "{shown}");
    // And begins one itself.
    pair.hub.submit("hubert", "bea@branch.test", "by-hand");
    let waiting = pair.hub.command_line(&["turn", "waiting", "branch.test"]);
    assert!(waiting.contains("branch"), "{waiting}");
    pair.branch.command_line(&["turn", "start", "hub", "--verb", "turn"]);
    wait_until("its mail", || pair.branch.subjects("bea") == ["inbound", "by-hand"]);
}
