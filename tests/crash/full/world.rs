//! A server on a small disk, and what its users do.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::disk::Disk;
use crate::dns::{Dns, Zone};
use crate::imap::Imap;
use crate::mails;
use crate::sink::{ALWAYS, Fault, Sink, Stage, free_port};
use crate::site::{self, PASSWORD, Site};
use crate::wire::{Pop3, Reply, Smtp, stuff};

const ALICE: &str = "alice@example.test";
/// Takes the flood.
const DAVE: &str = "dave@example.test";
/// The reserve, as small as the disk.
const RESERVE: &str = "disk.reserve_bytes=8388608";
/// Senders of a flood.
const SENDERS: u64 = 4;
/// Octets of what they send.
const SIZES: [usize; 5] = [1_500, 12_000, 90_000, 400_000, 1_600_000];
/// How long mail may take to leave, on a machine that has other work.
const DELIVERY_LIMIT: Duration = Duration::from_secs(60);
/// How long it may take until freed room is seen.
const ROOM_LIMIT: Duration = Duration::from_secs(60);

pub struct World {
    // Ended before the disk that it lies on.
    site: Option<Site>,
    folder: tempfile::TempDir,
    _dns: Dns,
    sink: Sink,
    disk: Disk,
    run: u64,
    floods: u64,
    steps: u64,
    /// The ids of all that Dave was promised.
    promised: BTreeSet<String>,
    acknowledged: usize,
    delivered: usize,
}

impl World {
    pub fn new(disk: Disk, run: u64) -> Self {
        let port = free_port();
        let sink = Sink::start(&format!("127.0.0.4:{port}"));
        let dns = Dns::start(Zone::new().mail("far.test", "127.0.0.4"));
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (resolver, port) = (dns.address.to_string(), port.to_string());
        let data = disk.place().join("mail.redb");
        let data = data.to_str().expect("a temporary path is UTF-8");
        let mut arguments = vec!["--data", data, "--resolver", &resolver, "--remote-port", &port, "--set", RESERVE];
        arguments.extend(["--set", "delivery.allow_networks=127.0.0.0/8", "--set", "http.requests_per_minute=1000000"]);
        let site = Site::serve(folder.path(), &arguments);
        site.create_accounts(&["alice".to_owned(), "dave".to_owned()]);
        let (floods, steps, promised, acknowledged, delivered) = (0, 0, BTreeSet::new(), 0, 0);
        let site = Some(site);
        Self { site, folder, _dns: dns, sink, disk, run, floods, steps, promised, acknowledged, delivered }
    }

    fn site(&self) -> &Site {
        self.site.as_ref().expect("the server runs")
    }

    fn data(&self) -> PathBuf {
        self.disk.place().join("mail.redb")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("stderr.log")).expect("the server's log")
    }

    fn imap(&self, user: &str) -> Imap {
        Imap::login(self.site().address("imap"), user, PASSWORD).expect("a login by IMAP")
    }

    pub fn acknowledged(&self) -> usize {
        self.acknowledged
    }

    /// What is there to be read and removed once the disk is full.
    fn furnish(&mut self) {
        self.steps += 1;
        let mut imap = self.imap(ALICE);
        for number in 0..12 {
            let content = mails::of_size(&format!("alice-{number}"), number, 20_000);
            let mailbox = if number < 8 { "INBOX" } else { "Old" };
            if number == 8 {
                imap.ok("CREATE Old").expect("a mailbox is made");
            }
            let answer = imap.append(mailbox, &[("", &content)]).expect("APPEND is answered");
            assert_eq!(answer.status.kind, "OK", "{:?}", answer.status);
        }
        let names = ["bob".to_owned()];
        self.site().create_accounts(&names);
        let mut session = Smtp::connect(self.site().address("smtp")).expect("the server greets");
        for number in 0..4 {
            let content = mails::of_size(&format!("bob-{number}"), number, 50_000);
            session.submit("x@far.test", &["bob@example.test"], &content).expect("bob gets mail");
        }
        // Mail for elsewhere, which elsewhere does not want yet.
        self.sink.fail(Stage::End, Fault::Reply("451 4.3.0 not now"), ALWAYS);
        let mut session = Smtp::login(self.site().address("submission"), ALICE, PASSWORD).expect("alice logs in");
        for number in 0..6 {
            let content = mails::of_size(&format!("far-{}-{number}", self.steps), number, 8_000);
            session.submit(ALICE, &[&format!("u{number}@far.test")], &content).expect("mail for elsewhere is taken");
        }
        assert_eq!(self.queue().len(), 6);
        let body = r#"{"name":"to be revoked","scopes":["queue:read"]}"#;
        let (status, token) = self.site().rest("POST", "/api/v1/tokens", body);
        assert_eq!(status, 201, "{token}");
    }

    /// Sends until every sender is refused: with 452 4.3.1, and before anything has failed.
    pub fn flood(&mut self) {
        self.furnish();
        let before = self.given();
        let refusals = self.send_until_refused();
        for refusal in &refusals {
            assert!(refusal.code == 452 && refusal.text.contains("4.3.1"), "{refusal:?}");
        }
        assert_eq!(self.given(), before, "the reserve was enough:\n{}", self.log());
        assert!(self.disk.free_bytes() > 4 << 20, "{} octets were left free", self.disk.free_bytes());
        // What was given up of the refused messages may be room for a small one: not any more.
        self.disk.fill_to(3 << 20);
    }

    /// The same while somebody else takes all room.
    pub fn is_robbed(&mut self) {
        self.furnish();
        // However quick that is, Dave has some to delete.
        for number in 0..3 {
            let mut session = Smtp::connect(self.site().address("smtp")).expect("the server greets");
            let id = format!("before-{}-{}-{number}", self.run, self.floods);
            let content = mails::of_size(&id, number, 2_000);
            session.submit("x@far.test", &[DAVE], &content).expect("it is taken while there is room");
            self.promised.insert(id);
            self.acknowledged += 1;
        }
        let refusals = thread::scope(|scope| {
            let disk = &self.disk;
            let (site, run, flood) = (self.site.as_ref().expect("the server runs"), self.run, self.floods);
            let senders: Vec<_> =
                (0..SENDERS).map(|sender| scope.spawn(move || send(site, run, flood, sender))).collect();
            scope.spawn(|| disk.fill_to(0));
            senders.into_iter().map(|sender| sender.join().expect("a sender does not fail")).collect::<Vec<_>>()
        });
        self.floods += 1;
        for (promised, refusal) in refusals {
            assert!(refusal.code == 452 && refusal.text.contains("4.3.1"), "{refusal:?}");
            self.acknowledged += promised.len();
            self.promised.extend(promised);
        }
        // What the server gave back in the race, it takes too.
        self.disk.fill_to(0);
        assert!(self.disk.free_bytes() < 64 * 1024, "{} octets are free", self.disk.free_bytes());
    }

    fn send_until_refused(&mut self) -> Vec<Reply> {
        let (site, run, flood) = (self.site.as_ref().expect("the server runs"), self.run, self.floods);
        let ended: Vec<_> = thread::scope(|scope| {
            let senders: Vec<_> =
                (0..SENDERS).map(|sender| scope.spawn(move || send(site, run, flood, sender))).collect();
            senders.into_iter().map(|sender| sender.join().expect("a sender does not fail")).collect()
        });
        self.floods += 1;
        let mut refusals = Vec::new();
        for (promised, refusal) in ended {
            self.acknowledged += promised.len();
            self.promised.extend(promised);
            refusals.push(refusal);
        }
        refusals
    }

    /// Every way in says clearly that there is no room.
    pub fn refuses(&mut self) {
        let mut session = Smtp::connect(self.site().address("smtp")).expect("the server greets");
        let reply = session.command("MAIL FROM:<x@far.test>").expect("a reply");
        assert!(reply.code == 452 && reply.text.contains("4.3.1"), "{reply:?}");
        let message = json!({"from": ALICE, "to": [DAVE], "subject": "no", "text": "room"});
        let (status, body) = self.site().rest("POST", "/api/v1/messages", &message.to_string());
        assert_eq!((status, body["type"].as_str().unwrap_or_default().contains("disk-full")), (507, true), "{body}");
        let mut imap = self.imap(ALICE);
        let appended = imap.append("INBOX", &[("", b"Subject: no room\r\n\r\nat all\r\n")]).expect("an answer");
        imap.ok("SELECT INBOX").expect("SELECT");
        let copied = imap.command("COPY 1 Trash").expect("an answer");
        let created = imap.command("CREATE More").expect("an answer");
        for status in [appended.status, copied.status, created.status] {
            assert!(status.kind == "NO" && status.code_of("OVERQUOTA").is_some(), "{status:?}");
        }
        imap.ok("LOGOUT").expect("the session goes on");
    }

    /// IMAP, POP3 and REST show what is there.
    pub fn reads(&mut self) {
        let mut imap = self.imap(ALICE);
        imap.ok("SELECT INBOX").expect("SELECT");
        let fetched = imap.ok("FETCH 1:* (FLAGS BODY.PEEK[])").expect("FETCH");
        let count = fetched.fetches().count();
        assert!(count > 0);
        imap.ok("FETCH 1:* BODY[]").expect("what is read is marked as seen");
        let seen = imap.ok("SEARCH SEEN").expect("SEARCH");
        assert!(format!("{:?}", seen.untagged).contains(&count.to_string()), "{seen:?}");
        let mut pop3 = Pop3::login(self.site().address("pop3"), DAVE, PASSWORD).expect("dave logs in");
        let (status, body) = self.site().rest("GET", "/api/v1/trace?limit=5", "");
        let items = body["items"].as_array().map_or(0, Vec::len);
        assert_eq!((status, items), (200, 5), "{body}");
        let id = body["items"][0]["id"].as_str().expect("an id");
        assert_eq!(self.site().rest("GET", &format!("/api/v1/trace/{id}"), "").0, 200);
        let contents = pop3.retrieve_all().expect("RETR answers");
        let there: BTreeSet<String> = contents.iter().map(|content| crate::kill::load::id_of(content)).collect();
        assert_eq!(there.len(), contents.len(), "each is there once");
        assert_eq!(there, self.promised, "all that was promised, and nothing else");
        pop3.quit().expect("QUIT");
    }

    /// Whatever makes room can be done.
    pub fn removes(&mut self) {
        let mut imap = self.imap(ALICE);
        imap.ok("SELECT INBOX").expect("SELECT");
        imap.ok("STORE 1:3 +FLAGS.SILENT (\\Deleted)").expect("STORE");
        let gone = imap.ok("EXPUNGE").expect("EXPUNGE");
        let gone = gone.untagged.iter().filter(|line| format!("{line:?}").contains("EXPUNGE")).count();
        assert_eq!(gone, 3);
        let moved = imap.ok("MOVE 1 Trash").expect("MOVE, by which programs delete");
        assert!(moved.code("COPYUID").is_some());
        imap.ok("STORE 1:2 +FLAGS.SILENT (\\Deleted)").expect("STORE");
        imap.ok("CLOSE").expect("CLOSE");
        imap.ok("DELETE Old").expect("a mailbox is deleted");
        imap.ok("LOGOUT").expect("LOGOUT");
        let (status, body) = self.site().rest("DELETE", "/api/v1/accounts/bob@example.test", "");
        assert_eq!(status, 204, "an account is deleted: {body}");
        let mut pop3 = Pop3::login(self.site().address("pop3"), DAVE, PASSWORD).expect("dave logs in");
        for number in 1..=3 {
            let content = pop3.top(number).expect("TOP answers");
            assert!(self.promised.remove(&crate::kill::load::id_of(&content)));
            pop3.command(&format!("DELE {number}")).expect("DELE");
        }
        pop3.quit().expect("QUIT deletes");
    }

    /// The queue, tokens and the trace are worked with, and what waits is delivered.
    pub fn operates(&mut self) {
        let site = self.site();
        let queue = self.queue();
        let id = |entry: &Value| entry["id"].as_str().expect("an id").to_owned();
        assert_eq!(queue.len(), 6, "{queue:?}");
        let (status, body) =
            site.rest("POST", &format!("/api/v1/queue/{}/hold", id(&queue[0])), r#"{"reason":"full"}"#);
        assert_eq!(status, 200, "{body}");
        let (status, body) = site.rest("DELETE", &format!("/api/v1/queue/{}?confirm=silent", id(&queue[0])), "");
        assert_eq!(status, 204, "{body}");
        let (_, tokens) = site.rest("GET", "/api/v1/tokens", "");
        let token = tokens["items"].as_array().expect("tokens").iter().find(|token| token["name"] == "to be revoked");
        let token = token.expect("the token is listed")["id"].as_str().expect("an id").to_owned();
        assert_eq!(site.rest("DELETE", &format!("/api/v1/tokens/{token}"), "").0, 204);
        self.sink.heal();
        let before = self.sink.count();
        let (status, body) = site.rest("POST", "/api/v1/queue/flush", r#"{"all":true}"#);
        assert!(matches!(status, 200 | 202), "{status} {body}");
        self.sink.wait_for(before + 5, DELIVERY_LIMIT);
        let deadline = Instant::now() + DELIVERY_LIMIT;
        while !self.queue().is_empty() {
            assert!(Instant::now() < deadline, "what is delivered leaves the queue: {:?}", self.queue());
            thread::sleep(Duration::from_millis(20));
        }
        self.delivered += 5;
    }

    /// Somebody else's file goes, all of it.
    pub fn is_given_room(&mut self) {
        self.disk.empty();
    }

    /// Mail is taken again by the same process, as soon as there is room: where there is none yet, more is deleted.
    pub fn takes_again(&mut self) {
        let deadline = Instant::now() + ROOM_LIMIT;
        let id = format!("again-{}-{}", self.run, self.floods);
        let content = mails::of_size(&id, 1, 2_000);
        loop {
            let mut session = Smtp::connect(self.site().address("smtp")).expect("the server greets");
            let reply = session.envelope("x@far.test", &[DAVE]).expect("a reply");
            if reply.code == 354 {
                let reply = session.message(&stuff(&content)).expect("a reply");
                assert_eq!(reply.code, 250, "{reply:?}");
                self.promised.insert(id);
                self.acknowledged += 1;
                break;
            }
            assert!(reply.code == 452 && reply.text.contains("4.3.1"), "{reply:?}");
            assert!(Instant::now() < deadline, "there is room: {} octets are free", self.disk.free_bytes());
            self.thin_out();
            thread::sleep(Duration::from_millis(50));
        }
        self.reads();
    }

    /// Dave deletes the larger half of what he has.
    fn thin_out(&mut self) {
        let mut pop3 = Pop3::login(self.site().address("pop3"), DAVE, PASSWORD).expect("dave logs in");
        for number in (1..=pop3.count().expect("STAT")).step_by(2) {
            let content = pop3.top(number).expect("TOP answers");
            assert!(self.promised.remove(&crate::kill::load::id_of(&content)));
            pop3.command(&format!("DELE {number}")).expect("DELE");
        }
        pop3.quit().expect("QUIT deletes");
    }

    fn queue(&self) -> Vec<Value> {
        let (status, body) = self.site().rest("GET", "/api/v1/queue?limit=100", "");
        assert_eq!(status, 200, "{body}");
        body["items"].as_array().expect("items").clone()
    }

    /// Stops the server, whose file is sound; how often the room laid by was needed.
    pub fn close(mut self) -> usize {
        assert!(self.site.take().expect("the server runs").stop().success(), "the server stops");
        site::check(&self.data());
        assert!(!self.log().contains("the file failed"), "{}", self.log());
        self.given()
    }

    /// How often the room laid by was needed.
    fn given(&self) -> usize {
        self.log().matches("the room laid by is given").count()
    }
}

/// Sends to Dave until it is refused: what it was promised, and the refusal.
fn send(site: &Site, run: u64, flood: u64, sender: u64) -> (Vec<String>, Reply) {
    let mut session = Smtp::connect(site.address("smtp")).expect("the server greets");
    let mut promised = Vec::new();
    for number in 0.. {
        let id = format!("flood-{run}-{flood}-{sender}-{number}");
        let size_bytes = SIZES[(number + sender) as usize % SIZES.len()];
        let content = mails::of_size(&id, number * 31 + sender, size_bytes);
        let reply = session.envelope("x@far.test", &[DAVE]).expect("a reply");
        if reply.code != 354 {
            return (promised, reply);
        }
        let reply = session.message(&stuff(&content)).expect("a reply");
        if reply.code != 250 {
            return (promised, reply);
        }
        promised.push(id);
    }
    unreachable!("a flood ends")
}
