//! The world outside as the tests have it: Postfix and Exim on other loopback addresses, found through a name server of
//! the tests; all servers of it listen on one port.

mod bounces;
mod dane;
mod faults;
mod inward;
mod onward;
mod outward;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::dns::{Dns, Zone};
use crate::programs::has;
use crate::sink::free_port;
use crate::site::{PASSWORD, Site, data_file, say};
use crate::trace::{self, Stories};
use crate::wire::{Pop3, Smtp};

/// How long something that is not waited for in a session may take. An attempt that fails is followed by another within a
/// second or two.
pub const SOON: Duration = Duration::from_secs(90);

/// Our server and what it may find.
pub struct Outside {
    /// The name server.
    pub dns: Dns,
    /// Where all servers of the world listen.
    pub port: u16,
    /// For everything that is written.
    pub folder: tempfile::TempDir,
}

impl Outside {
    /// A world with these names.
    pub fn new(zone: Zone) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        // Dovecot's and Exim's own users must reach their folders.
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("the folder's mode is set");
        Self { dns: Dns::start(zone), port: free_port(), folder }
    }

    /// Our server on its file, which may be there from before, with `arguments` after the usual ones.
    pub fn serve(&self, arguments: &[&str]) -> Site {
        self.serve_asking(self.dns.address, arguments)
    }

    /// The same, and it asks another name server.
    pub fn serve_asking(&self, resolver: SocketAddr, arguments: &[&str]) -> Site {
        let smtp = format!("smtp=127.0.0.1:{}", self.port);
        let (resolver, port) = (resolver.to_string(), self.port.to_string());
        let mut all = vec!["--listen", &smtp, "--resolver", &resolver, "--remote-port", &port];
        all.extend(["--set", "delivery.allow_networks=127.0.0.0/8", "--set", "queue.retry_seconds=1"]);
        all.extend(arguments);
        let folder = self.folder.path().join("ours");
        fs::create_dir_all(&folder).expect("a folder");
        Site::serve(&folder, &all)
    }

    /// As [`Outside::serve`], on a fresh file, with alice and bob@example.test.
    pub fn serve_new(&self, arguments: &[&str]) -> Site {
        let site = self.serve(arguments);
        site.create_accounts(&["alice".to_owned(), "bob".to_owned(), "postmaster".to_owned()]);
        site
    }

    /// Stops our server and reads what it has written; its file must be in order.
    pub fn stop(&self, site: Site) -> Stories {
        assert!(site.stop().success(), "the server stops");
        let file = data_file(&self.folder.path().join("ours"));
        crate::site::check(&file);
        trace::read(&file)
    }
}

/// A session in which alice has logged in.
pub fn alice(site: &Site) -> Smtp {
    Smtp::login(site.address("submission"), "alice@example.test", PASSWORD).expect("alice logs in")
}

/// What one of our accounts has.
pub fn mailbox(site: &Site, name: &str) -> Vec<Vec<u8>> {
    let mut session =
        Pop3::login(site.address("pop3"), &format!("{name}@example.test"), PASSWORD).expect("the account logs in");
    let messages = session.retrieve_all().expect("all is read");
    session.quit().expect("QUIT answers");
    messages
}

/// Waits until one of our accounts has `count` messages.
pub fn wait_for_mail(site: &Site, name: &str, count: usize) -> Vec<Vec<u8>> {
    wait_until(&format!("{count} messages of {name}"), || mailbox(site, name), |messages| messages.len() >= count)
}

/// Looks again and again until what it sees is `wanted`; fails the test when that takes too long.
pub fn wait_until<T>(what: &str, mut look: impl FnMut() -> T, wanted: impl Fn(&T) -> bool) -> T {
    let deadline = Instant::now() + SOON;
    loop {
        let seen = look();
        if wanted(&seen) {
            return seen;
        }
        assert!(Instant::now() < deadline, "{what} within {SOON:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A short message from alice, that only its Message-ID, `id`@example.test, tells from others.
pub fn note(id: &str) -> Vec<u8> {
    crate::mails::of_size(id, 1, 800)
}

/// Another mail server, with two accounts of its own domain.
pub struct Peer {
    /// Its domain.
    pub domain: &'static str,
    /// Its accounts.
    pub accounts: [&'static str; 2],
    process: Process,
    folder: PathBuf,
    address: SocketAddr,
}

enum Process {
    Postfix(Site),
    Exim,
}

/// Which program a test runs against.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Program {
    /// postfix.test on 127.0.0.2, with carol and chris.
    Postfix,
    /// exim.test on 127.0.0.3, with dave and erin.
    Exim,
}

impl Program {
    /// Whether it can be run here; where it can't, the test says so or fails, as [`has`] does.
    pub fn is_here(self) -> bool {
        match self {
            Self::Postfix => has("postfix") && has("dovecot"),
            Self::Exim => {
                let unpacked = exim().arg("check").stdout(Stdio::null()).status().is_ok_and(|status| status.success());
                let all = std::env::var_os("PILLARBOX_TESTS_ALL").is_some_and(|all| all == "1");
                assert!(unpacked || !all, "needs exim: tests/interop/exim fetch");
                if !unpacked {
                    say("SKIPPED: needs exim: tests/interop/exim fetch");
                }
                unpacked
            }
        }
    }

    /// Its domain.
    pub fn domain(self) -> &'static str {
        match self {
            Self::Postfix => "postfix.test",
            Self::Exim => "exim.test",
        }
    }

    /// Where it listens.
    pub fn address(self) -> &'static str {
        match self {
            Self::Postfix => "127.0.0.2",
            Self::Exim => "127.0.0.3",
        }
    }

    /// Starts it in `world`.
    pub fn start(self, world: &Outside) -> Peer {
        let folder = world.folder.path().join(self.domain());
        let port = world.port.to_string();
        let address = format!("{}:{port}", self.address()).parse().expect("an address");
        match self {
            Self::Postfix => {
                fs::create_dir(&folder).expect("a folder");
                let next = format!("example.test=smtp:[127.0.0.1]:{port}, exim.test=smtp:[127.0.0.3]:{port}");
                let variables = [
                    ("PEER_DOMAIN", self.domain()),
                    ("PEER_ADDRESS", self.address()),
                    ("PEER_PORT", &port),
                    ("PEER_ACCOUNTS", "carol chris"),
                    ("PEER_NEXT", &next),
                    ("PEER_SOON", "1"),
                    ("PEER_LOG", "1"),
                ];
                let site = Site::peer_with(&folder, &variables);
                let folder = folder.join("peer");
                let process = Process::Postfix(site);
                Peer { domain: self.domain(), accounts: ["carol", "chris"], process, folder, address }
            }
            Self::Exim => {
                let mut script = exim();
                script.arg("start").arg(&folder).stdout(Stdio::null());
                script.envs([("PEER_ADDRESS", self.address()), ("PEER_PORT", &port), ("PEER_NEXT_PORT", &port)]);
                assert!(script.status().is_ok_and(|status| status.success()), "Exim starts");
                Peer { domain: self.domain(), accounts: ["dave", "erin"], process: Process::Exim, folder, address }
            }
        }
    }
}

impl Peer {
    /// The address of one of its accounts.
    pub fn account(&self, number: usize) -> String {
        format!("{}@{}", self.accounts[number], self.domain)
    }

    /// Sends a message into it, as somebody on this machine.
    pub fn send(&self, from: &str, to: &[&str], content: &[u8]) {
        let mut session = Smtp::connect(self.address).expect("the peer greets");
        session.submit(from, to, content).expect("the peer takes it");
        session.quit().expect("QUIT answers");
    }

    /// Where it takes mail from those who log in.
    pub fn submission(&self) -> SocketAddr {
        match &self.process {
            Process::Postfix(site) => site.address("submission"),
            Process::Exim => panic!("Exim has no submission"),
        }
    }

    /// What one of its accounts has, with CRLF line ends.
    pub fn mailbox(&self, account: &str) -> Vec<Vec<u8>> {
        match &self.process {
            Process::Postfix(site) => {
                let user = format!("{account}@{}", self.domain);
                let mut session = Pop3::login(site.address("pop3"), &user, PASSWORD).expect("the account logs in");
                let messages = session.retrieve_all().expect("all is read");
                session.quit().expect("QUIT answers");
                messages
            }
            Process::Exim => maildir(&self.folder.join("mail").join(account).join("new")),
        }
    }

    /// Waits until one of its accounts has `count` messages.
    pub fn wait_for(&self, account: &str, count: usize) -> Vec<Vec<u8>> {
        let what = format!("{count} messages of {account}@{}; its log:\n{}", self.domain, self.log());
        wait_until(&what, || self.mailbox(account), |messages| messages.len() >= count)
    }

    /// What it has written into its log.
    pub fn log(&self) -> String {
        let path = match self.process {
            Process::Postfix(_) => self.folder.join("postfix.log"),
            Process::Exim => self.folder.join("log/mainlog"),
        };
        fs::read_to_string(path).unwrap_or_default()
    }

    /// Waits until its log has lines of which each has all of `words`: those lines.
    pub fn wait_for_log(&self, words: &[&str]) -> Vec<String> {
        let look = || {
            let log = self.log();
            let lines = log.lines().filter(|line| words.iter().all(|word| line.contains(word)));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        wait_until(&format!("{words:?} in a line of the log of {}", self.domain), look, |lines| !lines.is_empty())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if std::thread::panicking() {
            say(&format!("the log of {}:\n{}", self.domain, self.log()));
        }
        if matches!(self.process, Process::Exim) {
            drop(exim().arg("stop").arg(&self.folder).status());
        }
    }
}

fn exim() -> Command {
    Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/exim"))
}

/// A Maildir in the order of arrival: its files have local line ends.
fn maildir(folder: &Path) -> Vec<Vec<u8>> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .map_or_else(|_| Vec::new(), |entries| entries.flatten().map(|entry| entry.path()).collect());
    paths.sort();
    paths.iter().map(|path| crate::read::with_crlf(&fs::read(path).expect("a message is read"))).collect()
}
