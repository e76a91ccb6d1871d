//! The real program, killed while it delivers to other servers: what was acknowledged arrives, and what arrives twice
//! is in the trace as uncertain.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use pillarbox::base::{Random, SeededRandom};
use pillarbox::trace::Kind;

use crate::dns::{Dns, Zone};
use crate::kill::load::{Attempt, Load, Mix, Outcome, RECIPIENTS_MAX};
use crate::kill::{count_from_environment, load_time, seed};
use crate::sink::{ALWAYS, Fault, Sink, Stage, free_port};
use crate::site::{self, PASSWORD, Site, data_file, say};
use crate::trace::{self, Stories};
use crate::wire::{Pop3, Smtp};

/// Kills of one run; 10 in tests/all, 1,000 on demand: `PILLARBOX_REMOTE_KILLS`.
const KILLS: u64 = 3;
/// In so many kills at least one comes between a server's 250 and our own commit of it.
const KILLS_TO_BE_UNCERTAIN: u64 = 10;
/// Kills before the mail is let through and looked at.
const KILLS_IN_A_ROW_MAX: u64 = 4;
/// Of the longest load.
const LOAD_MS_MAX: f64 = 1500.0;
/// So many messages are acknowledged before the first kill.
const ACKNOWLEDGED_MIN: usize = 20;
const SENDERS: usize = 6;
const SENDER: &str = "alice@example.test";
/// Connections to one sink at a time, by which a kill can leave so many outcomes uncertain.
const CONNECTIONS: u64 = 8;
/// How long the mail of a few kills may take to be let through.
const DRAIN_LIMIT: Duration = Duration::from_secs(300);
/// What the answers to the end of data take: the slower, the more often a kill comes before one.
const ANSWERS_MS: [u64; 3] = [0, 3, 20];

/// The world, and what happened in it so far.
struct Run {
    dns: Dns,
    port: u16,
    sinks: Vec<Sink>,
    random: SeededRandom,
    kills: u64,
    acknowledged: usize,
    sent_again: usize,
    uncertain: usize,
    doubles: usize,
}

#[test]
fn killed_while_delivering() {
    let (began, seed) = (Instant::now(), seed());
    let kills = count_from_environment("PILLARBOX_REMOTE_KILLS", KILLS);
    let mut run = Run::new(seed);
    // On with it until one has left an outcome uncertain.
    while run.kills < kills || (run.uncertain == 0 && kills >= KILLS_TO_BE_UNCERTAIN && run.kills < 3 * kills) {
        let in_a_row = 1 + run.random.next_u64() % KILLS_IN_A_ROW_MAX;
        let in_a_row = in_a_row.min(kills.saturating_sub(run.kills).max(1));
        run.kill_and_look(in_a_row, seed);
    }
    let Run { kills: killed, acknowledged, sent_again, uncertain, doubles, .. } = run;
    say(&format!(
        "pillarbox: killed {killed} times while delivering, in {:.0} s ({:.2} s each): {acknowledged} acknowledged messages arrived, \
         {sent_again} were sent again; {uncertain} recipients uncertain, of which {doubles} had it twice",
        began.elapsed().as_secs_f64(),
        began.elapsed().as_secs_f64() / killed as f64
    ));
    assert!(acknowledged > 0, "the load had messages acknowledged");
    assert!(uncertain > 0 || kills < KILLS_TO_BE_UNCERTAIN, "no kill of {killed} left an outcome uncertain");
}

impl Run {
    fn new(seed: u64) -> Self {
        let port = free_port();
        let address = |number: usize| format!("127.0.0.{}", number + 4);
        let mut zone = Zone::new();
        let mut sinks = Vec::new();
        for (number, answer_ms) in ANSWERS_MS.into_iter().enumerate() {
            zone = zone.mail(&format!("sink{number}.test"), &address(number));
            let sink = Sink::start_with(&format!("{}:{port}", address(number)), false);
            if answer_ms > 0 {
                sink.fail(Stage::End, Fault::Delay(Duration::from_millis(answer_ms)), ALWAYS);
            }
            sinks.push(sink);
        }
        let random = SeededRandom::new(seed);
        let (kills, acknowledged, sent_again, uncertain, doubles) = (0, 0, 0, 0, 0);
        Self { dns: Dns::start(zone), port, sinks, random, kills, acknowledged, sent_again, uncertain, doubles }
    }

    fn serve(&self, folder: &Path) -> Site {
        let (resolver, port) = (self.dns.address.to_string(), self.port.to_string());
        let connections = format!("delivery.connections_per_destination={CONNECTIONS}");
        let mut arguments = vec!["--resolver", &resolver, "--remote-port", &port, "--set", &connections];
        arguments.extend(["--set", "delivery.allow_networks=127.0.0.0/8", "--set", "queue.retry_seconds=1"]);
        Site::serve(folder, &arguments)
    }

    /// Kills a server on a fresh file `in_a_row` times, some of them as soon as it is up again; then lets all mail
    /// through and compares.
    fn kill_and_look(&mut self, in_a_row: u64, seed: u64) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut site = self.serve(folder.path());
        site.create_accounts(&["alice".to_owned()]);
        let mut attempts = Vec::new();
        for number in 0..in_a_row {
            self.kills += 1;
            if number > 0 && self.random.next_u64().is_multiple_of(4) {
                // What the last kill left is just being taken up.
                std::thread::sleep(Duration::from_millis(self.random.next_u64() % 300));
                site.kill();
            } else {
                let load = start_load(&site, seed.wrapping_add(self.kills << 32));
                if self.kills == 1 {
                    load.wait_for(ACKNOWLEDGED_MIN);
                }
                std::thread::sleep(load_time(&self.random, LOAD_MS_MAX));
                site.kill();
                attempts.extend(load.finish());
            }
            site::check(&data_file(folder.path()));
            site = self.serve(folder.path());
        }
        // Who saw no 250 sends again, the same octets: that must make no second copy.
        let mut session = login(&site);
        for attempt in attempts.iter().filter(|attempt| attempt.outcome == Outcome::Unknown) {
            attempt.submit(&mut session).expect("a retransmission is taken");
            self.sent_again += 1;
        }
        session.quit().expect("QUIT answers");
        self.acknowledged += attempts.iter().filter(|attempt| attempt.outcome == Outcome::Acknowledged).count();
        drain(&site);
        let told = Pop3::count_of(site.address("pop3"), SENDER, PASSWORD).expect("alice logs in");
        assert_eq!(told, 0, "nobody is told that delivered mail was not");
        assert!(site.stop().success(), "the server stops");
        site::check(&data_file(folder.path()));
        let stories = trace::read(&data_file(folder.path()));
        self.compare(&attempts, &stories, in_a_row);
        self.sinks.iter().for_each(Sink::forget);
    }

    /// Each recipient of each attempt has it; more than once only where the trace says that a kill left it uncertain.
    fn compare(&mut self, attempts: &[Attempt], stories: &Stories, kills: u64) {
        assert_eq!(stories.queued, 0, "the queue is empty");
        for kind in [Kind::Bounced, Kind::Failed, Kind::Expired, Kind::Dropped] {
            assert_eq!(stories.count(kind), 0, "{kind:?}");
        }
        let mut copies: HashMap<(String, String), usize> = HashMap::new();
        let mut digests = HashMap::new();
        for taken in self.sinks.iter().flat_map(Sink::taken) {
            let id = taken.message_id.trim_end_matches("@example.test").to_owned();
            for recipient in taken.recipients {
                *copies.entry((id.clone(), recipient)).or_default() += 1;
            }
            let first = *digests.entry(id.clone()).or_insert(taken.digest);
            assert_eq!(first, taken.digest, "{id}: all copies are the same");
        }
        let mut uncertain: HashMap<(String, String), usize> = HashMap::new();
        for story in &stories.all {
            let id = story.message_id().trim_end_matches("@example.test").to_owned();
            for event in story.of(Kind::Uncertain) {
                let recipient = event.recipient.clone().expect("an uncertain outcome is somebody's");
                *uncertain.entry((id.clone(), recipient)).or_default() += 1;
            }
        }
        let mut doubles = 0;
        for attempt in attempts {
            let digest = digests.get(&attempt.id).unwrap_or_else(|| panic!("{} never arrived", attempt.id));
            assert_eq!(*digest, *blake3::hash(&attempt.content()).as_bytes(), "{} arrived as it was sent", attempt.id);
            for recipient in &attempt.recipients {
                let key = (attempt.id.clone(), recipient.clone());
                let there = copies.remove(&key).unwrap_or(0);
                let allowed = uncertain.get(&key).copied().unwrap_or(0);
                assert!(there > 0, "{recipient} has no {} ({:?})", attempt.id, attempt.outcome);
                assert!(
                    there <= 1 + allowed,
                    "{recipient} has {} {there} times, with {allowed} uncertain outcomes",
                    attempt.id
                );
                assert!(allowed as u64 <= kills, "{recipient} of {}: {allowed} uncertain in {kills} kills", attempt.id);
                doubles += there - 1;
            }
        }
        assert!(copies.is_empty(), "mail that nobody sent: {copies:?}");
        let again: u64 = self.sinks.iter().map(came_again).sum();
        let most = kills * CONNECTIONS * ANSWERS_MS.len() as u64;
        assert!(again <= most, "{again} messages came again after {kills} kills: more than there were sessions");
        assert!(doubles as u64 <= again * RECIPIENTS_MAX, "{doubles} doubles, of {again} messages that came again");
        self.doubles += doubles;
        self.uncertain += uncertain.values().sum::<usize>();
    }
}

/// How many messages came again. That is only so of the last one that a session has brought: before the end of the next
/// one is sent, the outcome of the one before is in the file. So there are no more of them than sessions at the kills.
fn came_again(sink: &Sink) -> u64 {
    let taken = sink.taken();
    let mut last = HashMap::new();
    for (place, message) in taken.iter().enumerate() {
        last.insert(message.session, place);
    }
    let mut again = 0;
    for (place, message) in taken.iter().enumerate() {
        if taken[place + 1..].iter().any(|later| later.message_id == message.message_id) {
            let id = &message.message_id;
            assert_eq!(last[&message.session], place, "{id} came again, and was not the last of its session");
            again += 1;
        }
    }
    again
}

fn login(site: &Site) -> Smtp {
    Smtp::login(site.address("submission"), SENDER, PASSWORD).expect("alice logs in")
}

fn start_load(site: &Site, seed: u64) -> Load {
    let recipients = (0..12).map(|number| format!("user{number}@sink{}.test", number % ANSWERS_MS.len()));
    let mix = Mix {
        recipients: recipients.collect(),
        recipients_max: RECIPIENTS_MAX,
        sender: Some(SENDER.to_owned()),
        size_bytes_max: 200_000.0,
    };
    Load::over((0..SENDERS).map(|_| login(site)).collect(), &mix, seed)
}

/// Waits until nothing is queued.
fn drain(site: &Site) {
    let deadline = Instant::now() + DRAIN_LIMIT;
    loop {
        let (status, queue) = site.rest("GET", "/api/v1/queue?limit=1", "");
        let items = queue["items"].as_array().unwrap_or_else(|| panic!("a list of entries: {status} {queue}"));
        let Some(first) = items.first() else { return };
        assert!(Instant::now() < deadline, "an empty queue within {DRAIN_LIMIT:?}: {first}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
