//! A whole server in this process on a file, several sessions, and what is compared after each step.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use pillarbox::base::{Address, Clock, DomainName, Random, Secret, SeededRandom, Timestamp, TurnedClock};
use pillarbox::directory::{AccountChange, AccountFields, DomainFields, PasswordHash, Precondition, PutDomain};
use pillarbox::mailbox::PutAccount;
use pillarbox::net;
use pillarbox::server::{Config, House};
use tokio::io::DuplexStream;

use super::client::Client;
use super::oracle::{BoxId, Oracle, Touched};
use crate::imap_wire::{Value, item};
use crate::stage::PASSWORD;
use crate::wire::Wire;

/// Whose mailboxes they are.
const USER: &str = "alice@example.test";
/// Sessions that work beside each other.
pub const CLIENTS: usize = 3;
const BEGIN: Timestamp = Timestamp(1_795_341_600_000);

pub struct World {
    house: House,
    /// `None` only while it is opened again.
    pub clients: Vec<Client>,
    auditor: Option<Client>,
    pub oracle: Oracle,
    pub touched: Touched,
    folder: tempfile::TempDir,
    files: u32,
    subjects: u64,
}

impl World {
    /// On a fresh file with one account.
    pub async fn new() -> Result<Self, String> {
        let folder = folder();
        let file = folder.path().join("0.redb");
        std::fs::write(&file, image().await?).map_err(|error| error.to_string())?;
        let house = open(&file).await?;
        let mut oracle = Oracle::default();
        for name in ["INBOX", "Archive", "Drafts", "Junk", "Sent", "Trash"] {
            oracle.create(name);
        }
        let mut world = Self {
            house,
            clients: Vec::new(),
            auditor: None,
            oracle,
            touched: Touched::default(),
            folder,
            files: 0,
            subjects: 0,
        };
        world.log_in().await?;
        world.audit().await?;
        Ok(world)
    }

    async fn log_in(&mut self) -> Result<(), String> {
        self.clients.clear();
        for _ in 0..CLIENTS {
            self.clients.push(self.client().await?);
        }
        self.auditor = Some(self.client().await?);
        Ok(())
    }

    /// A subject that no other message has.
    pub fn subject(&mut self) -> u64 {
        self.subjects += 1;
        self.subjects
    }

    /// A further session.
    pub async fn client(&self) -> Result<Client, String> {
        Client::login(self.connect("imap")?, USER, PASSWORD).await
    }

    fn connect(&self, listener: &str) -> Result<DuplexStream, String> {
        let listener = listener.parse().map_err(|_| format!("no listener {listener}"))?;
        Ok(self.house.connect(listener, IpAddr::V4(Ipv4Addr::LOCALHOST)))
    }

    /// Delivers a message by SMTP.
    pub async fn deliver(&self, subject: u64) -> Result<(), String> {
        let mut wire = Wire::new(self.connect("smtp")?);
        let message = format!("Subject: {subject}\r\n\r\nbody {subject}\r\n.\r\n");
        for (line, code) in [
            ("", "220"),
            ("EHLO client.elsewhere.test\r\n", "250"),
            ("MAIL FROM:<sender@elsewhere.test>\r\n", "250"),
            ("RCPT TO:<alice@example.test>\r\n", "250"),
            ("DATA\r\n", "354"),
            (message.as_str(), "250"),
            ("QUIT\r\n", "221"),
        ] {
            wire.send(line.as_bytes()).await;
            let reply = wire.reply().await.map_err(|error| error.to_string())?;
            if !reply.iter().all(|line| line.starts_with(code)) {
                return Err(format!("SMTP: {code} expected to {line:?}, not {reply:?}"));
            }
        }
        Ok(())
    }

    /// A POP3 session that reads and deletes messages by their numbers, and quits.
    pub async fn pop3(&self, read: &[usize], delete: &[usize]) -> Result<(), String> {
        let mut wire = Wire::new(self.connect("pop3")?);
        wire.line().await.map_err(|error| error.to_string())?;
        let mut lines = vec![format!("USER {USER}"), format!("PASS {PASSWORD}")];
        lines.extend(read.iter().map(|number| format!("RETR {number}")));
        lines.extend(delete.iter().map(|number| format!("DELE {number}")));
        lines.push("QUIT".to_owned());
        for line in lines {
            wire.send(format!("{line}\r\n").as_bytes()).await;
            let answer = wire.line().await.map_err(|error| error.to_string())?.unwrap_or_default();
            if !answer.starts_with(b"+OK") {
                return Err(format!("POP3 {line}: {}", String::from_utf8_lossy(&answer)));
            }
            if line.starts_with("RETR") {
                wire.lines().await.map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    }

    /// Looks at every mailbox with a session that has none open: it is what the oracle says, and UIDs, UIDVALIDITY and
    /// MODSEQ follow their rules.
    pub async fn audit(&mut self) -> Result<(), String> {
        let mut auditor = self.auditor.take().ok_or("the auditor is there")?;
        let touched = std::mem::take(&mut self.touched);
        for (name, id) in self.oracle.names.clone() {
            self.audit_one(&mut auditor, &name, id, &touched).await.map_err(|error| format!("{name}: {error}"))?;
        }
        auditor.ok("UNSELECT").await?;
        auditor.view = None;
        self.auditor = Some(auditor);
        Ok(())
    }

    async fn audit_one(
        &mut self,
        auditor: &mut Client,
        name: &str,
        id: BoxId,
        touched: &Touched,
    ) -> Result<(), String> {
        let opened = auditor.open(name, id, true, true).await?;
        let number = |code: &str| opened.code_number(code).ok_or_else(|| format!("no {code}: {opened:?}"));
        let (validity, next, highest) = (number("UIDVALIDITY")?, number("UIDNEXT")?, number("HIGHESTMODSEQ")?);
        let all = auditor.command("UID FETCH 1:* (BODY.PEEK[HEADER.FIELDS (SUBJECT)])", false).await?;
        let seen: BTreeSet<u32> =
            auditor.view.iter().flat_map(|view| view.messages.iter().filter_map(|told| told.uid)).collect();
        let mailbox = self.oracle.boxes.get_mut(&id).ok_or("the oracle has it")?;
        let highest_before = mailbox.highest;
        let mut lost = touched.lost.contains(&id);
        mailbox.messages.retain(|uid, _| {
            let gone = touched.may_be_gone.contains(&(id, *uid)) && !seen.contains(uid);
            lost |= gone;
            !gone
        });
        if mailbox.uid_validity == 0 {
            if !self.oracle.used_validities.insert(validity) {
                return Err(format!("UIDVALIDITY {validity} was another mailbox's"));
            }
            mailbox.uid_validity = validity;
        }
        auditor.agrees(mailbox)?;
        if (validity, next) != (mailbox.uid_validity, u64::from(mailbox.uid_next)) {
            return Err(format!("UIDVALIDITY {validity}, UIDNEXT {next}: {mailbox:?}"));
        }
        let view = auditor.view.as_ref().ok_or("the mailbox is gone")?;
        let mut changed = false;
        for (told, (uid, message)) in view.messages.iter().zip(&mut mailbox.messages) {
            let modseq = told.modseq.ok_or("no MODSEQ")?;
            let right = if touched.changed.contains(&(id, *uid)) {
                changed = true;
                modseq > highest_before
            } else if touched.maybe.contains(&(id, *uid)) {
                modseq == message.modseq || modseq > highest_before
            } else {
                modseq == message.modseq || message.modseq == 0
            };
            if !right || modseq > highest {
                return Err(format!("UID {uid} has MODSEQ {modseq}, before {}: {touched:?}", message.modseq));
            }
            message.modseq = modseq;
        }
        if highest < highest_before || ((changed || lost) && highest == highest_before) {
            return Err(format!("HIGHESTMODSEQ {highest}, before {highest_before}: {touched:?}"));
        }
        mailbox.highest = highest;
        for ((_, items), message) in all.fetches().zip(mailbox.messages.values()) {
            let field = item(items, "BODY[HEADER.FIELDS (SUBJECT)]").and_then(Value::bytes).unwrap_or_default();
            if field != format!("Subject: {}\r\n\r\n", message.subject).as_bytes() {
                return Err(format!("{} instead of the subject {}", field.escape_ascii(), message.subject));
            }
        }
        Ok(())
    }

    /// Ends all sessions and opens the file again: after a graceful stop, or as a killed process leaves it.
    pub async fn reopen(&mut self, kill: bool) -> Result<(), String> {
        let (old, new) = (self.file(), self.files + 1);
        if kill {
            self.files = new;
            std::fs::copy(&old, self.file()).map_err(|error| error.to_string())?;
        }
        self.clients.clear();
        self.auditor = None;
        self.house.stop.cancel();
        self.house.sessions.drained().await;
        let findings = self.house.store.check().map_err(|error| error.to_string())?;
        if !findings.lines().is_empty() {
            return Err(format!("the file does not agree with itself: {:#?}", findings.lines()));
        }
        self.house.store.close();
        self.house = open(&self.file()).await?;
        if kill {
            let _ = std::fs::remove_file(&old);
        }
        self.log_in().await
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join(format!("{}.redb", self.files))
    }

    /// Looks at what is left: every table agrees with every other, and nothing has panicked.
    pub async fn examine(mut self) -> Result<(), String> {
        self.clients.clear();
        self.auditor = None;
        self.house.sessions.drained().await;
        let findings = self.house.store.check().map_err(|error| error.to_string())?;
        let panics = net::panics() + self.house.store.health().panics;
        self.house.store.close();
        match findings.lines().is_empty() && panics == 0 {
            true => Ok(()),
            false => Err(format!("{panics} panics; findings: {:#?}", findings.lines())),
        }
    }
}

/// In memory where there is such a folder: what is proved here is not the disk.
fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a folder")
}

async fn open(file: &Path) -> Result<House, String> {
    let clock: Arc<dyn Clock> = Arc::new(TurnedClock::new(BEGIN));
    let random: Arc<dyn Random> = Arc::new(SeededRandom::new(1));
    let settings = ["limits.refusal_delay_ms=0", "disk.reserve_bytes=1048576", "disk.ballast_bytes=0"];
    let config = Config {
        data: Some(file.to_owned()),
        hostname: Some("mx.example.test".to_owned()),
        settings: settings.map(str::to_owned).to_vec(),
        ..Config::default()
    };
    House::open(&config, clock, random).await.map_err(|error| error.to_string())
}

/// A file with the account; made once.
async fn image() -> Result<&'static [u8], String> {
    static IMAGE: OnceLock<Vec<u8>> = OnceLock::new();
    if let Some(image) = IMAGE.get() {
        return Ok(image);
    }
    let folder = folder();
    let file = folder.path().join("new.redb");
    let house = open(&file).await?;
    let fields = DomainFields::new(&house.settings);
    let name = DomainName::parse("example.test").expect("a name");
    let put = PutDomain { name, fields, precondition: Precondition::Absent, at: BEGIN };
    house.store.write(put).await.map_err(|error| format!("{error:?}"))?.into_inner();
    let change = AccountChange {
        address: Address::parse(USER).expect("an address"),
        fields: AccountFields::default(),
        password: Some(PasswordHash::of(&Secret::new(PASSWORD.to_owned()), &SeededRandom::new(2))),
        precondition: Precondition::Absent,
        at: BEGIN,
    };
    house.store.write(PutAccount(change)).await.map_err(|error| format!("{error:?}"))?.into_inner();
    house.stop.cancel();
    house.sessions.drained().await;
    house.store.close();
    let image = std::fs::read(&file).map_err(|error| error.to_string())?;
    Ok(IMAGE.get_or_init(|| image))
}
