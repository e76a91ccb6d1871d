//! The real program, killed under load: what was acknowledged is there exactly once, and nothing is there
//! in part.
//!
//! At a kill 32 SMTP sessions send messages of 1 KB to 5 MB to one to ten recipients here and elsewhere, 8 IMAP
//! sessions append, and 4 REST clients make accounts and aliases. After each one the file as it was left is checked,
//! and all that has come since the last one is read; at the end of each file, all of it once more. 1,000 kills are made
//! on demand.

pub mod appender;
pub mod compare;
pub mod creator;
mod found;
pub mod load;

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use pillarbox::base::{Random, SeededRandom};
use tempfile::TempDir;

use crate::dns::{Dns, Zone};
use crate::sink::Sink;
use crate::site::{self, PASSWORD, Site, data_file, say};
use crate::wire::{Pop3, Smtp};
use crate::yardstick::Yardstick;
use appender::Appender;
use compare::Expect;
use creator::{Created, Creator};
use found::{Found, Known, Rows};
use load::{Attempt, Load, Mix, Outcome, SIZE_BYTES_MAX};

/// Kills of one run; 20 in tests/all, 1,000 on demand: `PILLARBOX_KILLS`.
const KILLS: u64 = 3;
/// So many kills have met at least one message that was committed and whose 250 was not seen.
const KILLS_TO_MISS_A_250: u64 = 20;
/// Until the next greeting, as a thread that only runs sees it: on a quiet machine that takes tenths of a second.
const RESTART_LIMIT: Duration = Duration::from_secs(15);
/// Of the shortest load.
const LOAD_MS_MIN: f64 = 50.0;
/// Of the longest one.
const LOAD_MS_MAX: f64 = 3000.0;
/// So many messages are acknowledged before the first kill.
const ACKNOWLEDGED_MIN: usize = 20;
/// A file beyond this is left for a new one: the next kill is then one of a file that was killed before, or of a new
/// one.
const FRESH_FILE_BYTES: u64 = 64 * 1024 * 1024;
/// SMTP sessions from elsewhere, for recipients here.
const OUTSIDE_SENDERS: usize = 20;
/// SMTP sessions of our own, for recipients here and elsewhere.
const INSIDE_SENDERS: usize = 12;
const APPENDERS: usize = 8;
const CREATORS: usize = 4;
const RECIPIENTS_MAX: u64 = 10;

pub fn accounts() -> Vec<String> {
    (0..8).map(|number| format!("u{number}")).collect()
}

pub fn addresses() -> Vec<String> {
    accounts().iter().map(|account| format!("{account}@example.test")).collect()
}

/// Recipients elsewhere: of a server that takes mail, and of one that is down.
fn remotes() -> Vec<String> {
    (0..6).map(|number| format!("r{number}@{}.test", if number % 2 == 0 { "sink" } else { "down" })).collect()
}

/// A number from the environment.
pub fn count_from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text}")))
}

/// Printed at a failure to repeat it; given by `PILLARBOX_SEED`.
pub fn seed() -> u64 {
    let seed = count_from_environment("PILLARBOX_SEED", std::process::id().into());
    say(&format!("seed: PILLARBOX_SEED={seed}"));
    seed
}

/// A server on a fresh file, or again on the file that is there.
pub fn serve(folder: &Path, smtp: Option<SocketAddr>) -> Site {
    let smtp = smtp.map_or_else(|| "smtp=127.0.0.1:0".to_owned(), |address| format!("smtp={address}"));
    Site::serve(folder, &["--listen", &smtp])
}

#[test]
fn killed_under_load() {
    let (began, seed) = (Instant::now(), seed());
    let random = SeededRandom::new(seed);
    let kills = count_from_environment("PILLARBOX_KILLS", KILLS);
    let (world, mut told, mut kill) = (World::new(), Told::default(), 0);
    let mut there: Option<Scene> = None;
    // A kill between the commit and the 250 is what the rule for retransmissions is for: on with it until one was met.
    let is_enough = |kill, unheard| kill >= kills && (unheard > 0 || kills < KILLS_TO_MISS_A_250 || kill >= 3 * kills);
    while !is_enough(kill, told.unheard) {
        let mut scene = there.take().unwrap_or_else(|| Scene::new(&world));
        let begins = Instant::now();
        let work = scene.load(seed.wrapping_add(kill << 32));
        if kill == 0 {
            work.load.wait_for(ACKNOWLEDGED_MIN);
        }
        std::thread::sleep(load_time(&random, LOAD_MS_MAX));
        told.loading += begins.elapsed();
        scene.kill(work, &world, &mut told);
        kill += 1;
        let file = fs::metadata(data_file(scene.folder.path())).expect("the file is there");
        if file.blocks() * 512 > FRESH_FILE_BYTES || is_enough(kill, told.unheard) {
            scene.close(&world, &mut told);
        } else {
            there = Some(scene);
        }
    }
    let Told { acknowledged, filed, made, sent_again, unheard, arrived, queued, within_a_second, slowest, .. } = told;
    say(&format!(
        "pillarbox: killed {kill} times in {:.0} s: {acknowledged} acknowledged messages and {filed} appended ones each there \
         once, {made} accounts and aliases; {sent_again} messages sent again and there once; {unheard} copies and rows were \
         there that nobody had an answer for; {arrived} messages arrived elsewhere, {queued} copies waited; {within_a_second} \
         greetings within a second, the slowest after {slowest:?}; of a kill's {:.2} s the load took {:.2} s, starting {:.2} s, \
         looking {:.2} s, sending again {:.2} s",
        began.elapsed().as_secs_f64(),
        began.elapsed().as_secs_f64() / kill as f64,
        told.loading.as_secs_f64() / kill as f64,
        told.starting.as_secs_f64() / kill as f64,
        told.looking.as_secs_f64() / kill as f64,
        told.sending.as_secs_f64() / kill as f64
    ));
    assert!(acknowledged > 0 && made > 0, "the load had messages acknowledged");
    assert!((filed > 0 && queued > 0 && arrived > 0) || kills < KILLS_TO_MISS_A_250, "all kinds of work were done");
    assert!(unheard > 0 || kills < KILLS_TO_MISS_A_250, "no kill of {kill} came between a commit and its answer");
}

/// How long a load lasts before the kill: drawn evenly over its logarithm, since what a kill meets changes with the
/// first messages more than with later ones.
pub fn load_time(random: &SeededRandom, most_ms: f64) -> Duration {
    let share = (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
    Duration::from_secs_f64(LOAD_MS_MIN * (most_ms / LOAD_MS_MIN).powf(share) / 1000.0)
}

/// What is outside of the server.
struct World {
    dns: Dns,
    sink: Sink,
}

/// A file, the server on it, and all that it was asked for since the file is there.
struct Scene {
    folder: TempDir,
    /// `None` while it is dead.
    site: Option<Site>,
    sent: Vec<Attempt>,
    appended: Vec<Attempt>,
    created: Vec<Created>,
    /// What was looked at of it.
    known: Known,
}

/// What a run has met.
#[derive(Default)]
struct Told {
    acknowledged: usize,
    filed: usize,
    made: usize,
    sent_again: usize,
    unheard: usize,
    arrived: usize,
    queued: usize,
    within_a_second: usize,
    slowest: Duration,
    /// Where the time has gone.
    loading: Duration,
    starting: Duration,
    looking: Duration,
    sending: Duration,
}

/// All who work until the kill.
struct Work {
    load: Load,
    appenders: Vec<Appender>,
    creators: Vec<Creator>,
}

impl World {
    fn new() -> Self {
        let sink = Sink::start_with("127.0.0.20:0", false);
        // Nobody listens on the port of the other one.
        let zone = Zone::new().mail("sink.test", "127.0.0.20").mail("down.test", "127.0.0.21");
        Self { dns: Dns::start(zone), sink }
    }

    fn serve(&self, folder: &Path, smtp: Option<SocketAddr>) -> Site {
        let (resolver, port) = (self.dns.address.to_string(), self.sink.address.port().to_string());
        let smtp = smtp.map_or_else(|| "smtp=127.0.0.1:0".to_owned(), |address| format!("smtp={address}"));
        let mut arguments = vec!["--listen", &smtp, "--resolver", &resolver, "--remote-port", &port];
        arguments.extend(["--set", "delivery.allow_networks=127.0.0.0/8", "--set", "http.requests_per_minute=1000000"]);
        Site::serve(folder, &arguments)
    }
}

impl Scene {
    fn new(world: &World) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let site = world.serve(folder.path(), None);
        site.create_accounts(&accounts());
        let (sent, appended, created) = (Vec::new(), Vec::new(), Vec::new());
        let known = addresses().into_iter().map(|user| (user, Rows::default())).collect();
        Self { folder, site: Some(site), sent, appended, created, known }
    }

    fn site(&self) -> &Site {
        self.site.as_ref().expect("the server runs")
    }

    /// Lets all begin who work; they are connected and logged in by then.
    fn load(&self, seed: u64) -> Work {
        let (site, users) = (self.site(), addresses());
        let (smtp, submission, imap) = (site.address("smtp"), site.address("submission"), site.address("imap"));
        let outside = (0..OUTSIDE_SENDERS).map(|_| Smtp::connect(smtp).expect("the server greets a sender")).collect();
        let user = |number: usize| users[number % users.len()].clone();
        let inside: Vec<_> = (0..INSIDE_SENDERS)
            .map(|number| Smtp::login(submission, &user(number), PASSWORD).expect("a user logs in"))
            .collect();
        let filing: Vec<_> = (0..APPENDERS).map(|number| Appender::log_in(imap, &user(number))).collect();
        let (recipients_max, size_bytes_max) = (RECIPIENTS_MAX, SIZE_BYTES_MAX);
        let mix = Mix { recipients: users.clone(), recipients_max, sender: None, size_bytes_max };
        let mut load = Load::over(outside, &mix, seed);
        for (number, session) in inside.into_iter().enumerate() {
            let recipients = [users.clone(), remotes()].concat();
            let mix = Mix { recipients, recipients_max, sender: Some(user(number)), size_bytes_max };
            load = load.and(Load::over(vec![session], &mix, seed ^ (1000 + number as u64)));
        }
        let appender = |(number, session)| Appender::start(session, &user(number), seed ^ (2000 + number as u64));
        let creator = |number| Creator::start(site.address("http"), format!("c{number}.{seed:x}"));
        Work {
            load,
            appenders: filing.into_iter().enumerate().map(appender).collect(),
            creators: (0..CREATORS).map(creator).collect(),
        }
    }

    /// Kills the server, starts it again, and looks at everything.
    fn kill(&mut self, work: Work, world: &World, told: &mut Told) {
        let smtp = self.site().address("smtp");
        self.site.take().expect("the server runs").kill();
        self.sent.extend(work.load.finish());
        self.appended.extend(work.appenders.into_iter().flat_map(Appender::finish));
        self.created.extend(work.creators.into_iter().flat_map(Creator::finish));
        // A copy of the file as the kill left it, for `check` to open on its own.
        let copy = self.folder.path().join("killed.redb");
        let copied = Command::new("cp").arg("--sparse=always").arg(data_file(self.folder.path())).arg(&copy).status();
        assert!(copied.is_ok_and(|status| status.success()), "the killed file is copied");

        let (greeting, yardstick) = (Greeting::wait(smtp), Yardstick::start());
        let site = world.serve(self.folder.path(), Some(smtp));
        let (after, ran) = (greeting.after(), yardstick.stop().whole());
        told.within_a_second += usize::from(after <= Duration::from_secs(1));
        told.slowest = told.slowest.max(after);
        told.starting += after;
        assert!(ran < RESTART_LIMIT, "a greeting after {after:?}, and {ran:?} of a thread that only runs");

        // First what a kill may leave: acknowledged messages once, the others once or not at all.
        let (users, sink, begins) = (addresses(), &world.sink, Instant::now());
        let left = std::thread::scope(|scope| {
            scope.spawn(|| site::check(&copy));
            Found::whole(&site, sink, &mut self.known, (&self.sent, &self.appended), 0)
        });
        fs::remove_file(&copy).expect("the copy is removed");
        told.unheard += left.unheard + creator::compare(&site, &self.created, &users);
        told.looking += begins.elapsed();
        // Then the senders that saw no 250 send again, the same octets: each message is there once.
        let begins = Instant::now();
        told.sent_again += send_again(&site, &mut self.sent);
        told.sending += begins.elapsed();
        left.assert_whole(&self.sent, Expect::Acknowledged);
        let all = Found::listed(&site, sink, &users);
        all.assert_whole(&self.sent, Expect::Everything);
        found::assert_arrived(sink, &self.sent);
        // What was sent again has its 250 now.
        self.sent.iter_mut().for_each(|attempt| attempt.outcome = Outcome::Acknowledged);
        told.queued += all.queued();
        self.site = Some(site);
    }

    /// The end of the file, of which all is read once more.
    fn close(mut self, world: &World, told: &mut Told) {
        let begins = Instant::now();
        self.known.values_mut().for_each(|rows| *rows = Rows::default());
        let site = self.site.as_ref().expect("the server runs");
        Found::whole(site, &world.sink, &mut self.known, (&self.sent, &self.appended), 1);
        told.looking += begins.elapsed();
        let count = |attempts: &[Attempt]| attempts.iter().filter(|one| one.outcome == Outcome::Acknowledged).count();
        told.acknowledged += count(&self.sent);
        told.filed += count(&self.appended);
        told.made += self.created.iter().filter(|one| one.outcome == Outcome::Acknowledged).count();
        told.arrived += found::assert_arrived(&world.sink, &self.sent);
        assert!(self.site.expect("the server runs").stop().success(), "the server stops");
        site::check(&data_file(self.folder.path()));
        world.sink.forget();
    }
}

/// Each sender sends again what has no 250, all at once; how many messages.
fn send_again(site: &Site, sent: &mut [Attempt]) -> usize {
    let mut by_sender: BTreeMap<String, Vec<&mut Attempt>> = BTreeMap::new();
    for attempt in sent.iter_mut().filter(|attempt| attempt.server_id.is_none()) {
        by_sender.entry(attempt.sender().to_owned()).or_default().push(attempt);
    }
    let count = by_sender.values().map(Vec::len).sum();
    std::thread::scope(|scope| {
        for (sender, attempts) in by_sender {
            scope.spawn(move || {
                let mut session = session_of(site, &sender);
                for attempt in attempts {
                    attempt.send_again(&mut session).expect("a retransmission is taken");
                }
            });
        }
    });
    count
}

/// A session in which messages may be sent again as they were sent.
fn session_of(site: &Site, sender: &str) -> Smtp {
    if addresses().iter().any(|address| address == sender) {
        Smtp::login(site.address("submission"), sender, PASSWORD).expect("a user logs in again")
    } else {
        Smtp::connect(site.address("smtp")).expect("the server greets")
    }
}

/// Waits for the first greeting of a server that is being started: 220, or the 421 of one that repairs its file.
struct Greeting {
    waits: JoinHandle<Duration>,
    gives_up: Arc<AtomicBool>,
}

impl Greeting {
    fn wait(smtp: SocketAddr) -> Self {
        let (began, gives_up) = (Instant::now(), Arc::new(AtomicBool::new(false)));
        let stop = Arc::clone(&gives_up);
        let waits = std::thread::spawn(move || {
            loop {
                match Smtp::greeting(smtp) {
                    Ok((_, greeting)) => {
                        assert!(matches!(greeting.code, 220 | 421), "{}", greeting.text);
                        return began.elapsed();
                    }
                    Err(_) if stop.load(Ordering::Relaxed) => panic!("the server runs and does not greet"),
                    Err(_) => std::thread::sleep(Duration::from_millis(2)),
                }
            }
        });
        Self { waits, gives_up }
    }

    /// How long it took, when the server runs.
    fn after(self) -> Duration {
        self.gives_up.store(true, Ordering::Relaxed);
        self.waits.join().expect("a greeting")
    }
}

/// Compares every INBOX with the attempts.
pub fn verify(site: &Site, attempts: &[Attempt], expect: Expect) {
    for address in addresses() {
        let mut session = Pop3::login(site.address("pop3"), &address, PASSWORD).expect("the account logs in");
        let contents = session.retrieve_all().expect("RETR answers");
        let compared = compare::compare(&address, contents.into_iter(), attempts, expect);
        assert!(compared.faults.is_empty(), "{}", compared.faults.join("\n"));
        session.quit().expect("QUIT answers");
    }
}

/// Deletes every message of every account.
pub fn empty(site: &Site) {
    for address in addresses() {
        let mut session = Pop3::login(site.address("pop3"), &address, PASSWORD).expect("the account logs in");
        for number in 1..=session.count().expect("STAT answers") {
            session.command(&format!("DELE {number}")).expect("DELE answers");
        }
        session.quit().expect("QUIT answers");
    }
}
