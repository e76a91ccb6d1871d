//! A server, the servers that it sends to, and the steps of a history.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use pillarbox::base::{Random, SeededRandom};
use serde_json::{Value, json};

use super::model::{AGAIN, Act, BRANCH, Fate, LOCALS, Message, Model, REMOTES, Refusal, Seen};
use super::pick;
use crate::dns::{Dns, Zone};
use crate::imap::{Imap, Response};
use crate::sink::{ALWAYS, Fault, Sink, Stage, free_port};
use crate::site::{self, PASSWORD, Site, data_file};
use crate::swap_roles::{Stop, take_all, take_until};
use crate::swap_site::SECRET;
use crate::swap_talk::{Talk, auth_plain};
use crate::wire::{Pop3, Smtp, stuff};

const SENDER: &str = "alice@example.test";
const MAILBOXES: [&str; 2] = ["INBOX", "Archive"];
/// How long mail may take to come to rest, on a machine that has other work.
const REST_LIMIT: Duration = Duration::from_secs(120);

pub struct World {
    folder: tempfile::TempDir,
    dns: Dns,
    port: u16,
    _sink: Sink,
    /// `None` only while it is started again.
    site: Option<Site>,
}

impl World {
    /// A server on a fresh file.
    pub fn new() -> Self {
        let port = free_port();
        // Nobody listens on the address of down.test.
        let zone = Zone::new().mail("far.test", "127.0.0.4").mail("down.test", "127.0.0.5");
        let sink = Sink::start(&format!("127.0.0.4:{port}"));
        for (local, domain, reply, _) in REMOTES {
            if let Some(reply) = reply {
                sink.refuse(&format!("{local}@{domain}"), reply);
            }
        }
        // So that some kills come while an answer is waited for.
        sink.fail(Stage::End, Fault::Delay(Duration::from_millis(20)), ALWAYS);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut world = Self { folder, dns: Dns::start(zone), port, _sink: sink, site: None };
        world.start();
        world.site().create_accounts(&["alice", "bob", "carol", "dave"].map(str::to_owned));
        let peer = json!({
            "verbs": ["turn", "atrn"],
            "direction": "accept",
            "domains": ["branch.test"],
            "auth": {"sasl_user": "branch", "secret": SECRET},
        });
        let (status, body) = world.site().rest("PUT", "/api/v1/turn/peers/branch", &peer.to_string());
        assert_eq!(status, 201, "{body}");
        world
    }

    fn start(&mut self) {
        let (resolver, port) = (self.dns.address.to_string(), self.port.to_string());
        let mut arguments = vec!["--resolver", &resolver, "--remote-port", &port];
        arguments.extend(["--set", "delivery.allow_networks=127.0.0.0/8", "--set", "http.requests_per_minute=1000000"]);
        self.site = Some(Site::serve(self.folder.path(), &arguments));
    }

    fn site(&self) -> &Site {
        self.site.as_ref().expect("the server runs")
    }

    /// One random step.
    pub fn step(&mut self, model: &mut Model, random: &mut SeededRandom) {
        match pick(random, 29) {
            0..=6 => self.send(model, random),
            7..=8 => self.receive(model, random),
            9 => self.refuse(model, random),
            10 => self.abort(model),
            11..=14 => self.edit(model, random),
            15..=16 => self.fetch_and_delete(model, random),
            17..=21 => self.operate(model, random),
            22 => self.kill(model),
            23..=25 => self.swap(model, random),
            26..=27 => self.redeliver(model, random),
            _ => {
                assert!(self.site.take().expect("the server runs").stop().success(), "the server stops");
                model.lose();
                self.start();
            }
        }
    }

    fn kill(&mut self, model: &mut Model) {
        self.site.take().expect("the server runs").kill();
        site::check(&data_file(self.folder.path()));
        model.kills += 1;
        model.lose();
        self.start();
    }

    /// Alice sends to some people here and elsewhere. Now and then the server dies before its 250 is read; then she sends
    /// the same again.
    fn send(&mut self, model: &mut Model, random: &mut SeededRandom) {
        let mut fates: HashMap<String, Fate> = HashMap::new();
        for _ in 0..1 + pick(random, 4) {
            let place = pick(random, REMOTES.len() + LOCALS.len());
            match place.checked_sub(REMOTES.len()) {
                Some(local) => fates.insert(LOCALS[local].to_owned(), Fate::delivered()),
                None => {
                    let (local, domain, ..) = REMOTES[place];
                    fates.insert(format!("{local}@{domain}"), Fate::Remote { place, act: None })
                }
            };
        }
        let number = model.number();
        let recipients: Vec<&str> = fates.keys().map(String::as_str).collect();
        let content = content(number, SENDER);
        let session = |site: &Site| {
            let mut session = Smtp::login(site.address("submission"), SENDER, PASSWORD).expect("alice logs in");
            let reply = session.envelope(SENDER, &recipients).expect("a reply");
            assert_eq!(reply.code, 354, "{}", reply.text);
            session
        };
        if random.next_u64().is_multiple_of(8) {
            session(self.site()).write(&stuff(&content)).expect("the message is sent");
            self.kill(model);
        }
        let mut session = session(self.site());
        let reply = session.message(&stuff(&content)).expect("a reply");
        assert_eq!(reply.code, 250, "{}", reply.text);
        session.quit().expect("QUIT answers");
        model.accepted(number, &reply.text, fates.into_iter().collect());
    }

    /// A stranger writes to people here.
    fn receive(&self, model: &mut Model, random: &SeededRandom) {
        let recipients = &LOCALS[..=pick(random, LOCALS.len())];
        let number = model.number();
        let mut session = Smtp::connect(self.site().address("smtp")).expect("the server greets");
        let reply = session.envelope("stranger@elsewhere.test", recipients).expect("a reply");
        assert_eq!(reply.code, 354, "{}", reply.text);
        let reply = session.message(&stuff(&content(number, "stranger@elsewhere.test"))).expect("a reply");
        assert_eq!(reply.code, 250, "{}", reply.text);
        session.quit().expect("QUIT answers");
        model.accepted(
            number,
            &reply.text,
            recipients.iter().map(|to| ((*to).to_owned(), Fate::delivered())).collect(),
        );
    }

    /// A stranger writes to somebody who is not here, or wants mail relayed.
    fn refuse(&self, model: &mut Model, random: &SeededRandom) {
        let cases =
            [("nobody@example.test", "refused_no_such_address"), ("x@elsewhere.test", "refused_not_our_domain")];
        let (recipient, code) = cases[pick(random, cases.len())];
        let sender = format!("r{}@elsewhere.test", model.number());
        let mut session = Smtp::connect(self.site().address("smtp")).expect("the server greets");
        assert_eq!(session.command(&format!("MAIL FROM:<{sender}>")).expect("a reply").code, 250);
        let reply = session.command(&format!("RCPT TO:<{recipient}>")).expect("a reply");
        assert_eq!(reply.code, 550, "{}", reply.text);
        session.quit().expect("QUIT answers");
        model.refusals.push(Refusal::new(sender, code));
    }

    /// A stranger goes away in the middle of a message. When that is noticed is known only to the server: it is certain
    /// when the trace tells of it.
    fn abort(&self, model: &mut Model) {
        let sender = format!("r{}@elsewhere.test", model.number());
        let mut session = Smtp::connect(self.site().address("smtp")).expect("the server greets");
        assert_eq!(session.envelope(&sender, &[LOCALS[0]]).expect("a reply").code, 354);
        session.write(b"Subject: half a mess").expect("some of it is sent");
        drop(session);
        let deadline = Instant::now() + REST_LIMIT;
        while self.refusals_of(&sender).is_empty() {
            assert!(Instant::now() < deadline, "the trace knows nothing of {sender}");
            std::thread::sleep(Duration::from_millis(20));
        }
        model.refusals.push(Refusal::seen(sender, "aborted"));
    }

    /// Somebody moves, copies or deletes a copy by IMAP.
    fn edit(&self, model: &mut Model, random: &SeededRandom) {
        let (account, from) = (LOCALS[pick(random, LOCALS.len())], pick(random, MAILBOXES.len()));
        let (from, to) = (MAILBOXES[from], MAILBOXES[1 - from]);
        let there = model.lying_in(account, from);
        if there.is_empty() {
            return;
        }
        let number = there[pick(random, there.len())];
        let mut session = Imap::login(self.site().address("imap"), account, PASSWORD).expect("they log in");
        session.ok(&format!("SELECT {from}")).expect("it opens");
        let answer = session.ok(&format!("UID SEARCH HEADER Message-ID {}", name(number))).expect("it is looked for");
        let found = answer.untagged.iter().find_map(|response: &Response| response.after("SEARCH"));
        let uid = found.and_then(|uids| uids.first()).and_then(|uid| uid.number());
        let uid = uid.unwrap_or_else(|| panic!("{number} is in {from} of {account}: {answer:?}"));
        let (copies, removed_by) = model.copies(number, account);
        match pick(random, 3) {
            0 => {
                session.ok(&format!("UID COPY {uid} {to}")).expect("it is copied");
                copies.push(to);
            }
            1 => {
                session.ok(&format!("UID MOVE {uid} {to}")).expect("it is moved");
                take(copies, from);
                copies.push(to);
            }
            _ => {
                session.ok(&format!("UID STORE {uid} +FLAGS.SILENT (\\Deleted)")).expect("it is marked");
                session.ok(&format!("UID EXPUNGE {uid}")).expect("it is expunged");
                take(copies, from);
                *removed_by = "removed_imap";
            }
        }
        session.ok("LOGOUT").expect("they log out");
        model.changed();
    }

    /// Somebody fetches and deletes a message by POP3.
    fn fetch_and_delete(&self, model: &mut Model, random: &SeededRandom) {
        let account = LOCALS[pick(random, LOCALS.len())];
        let there = model.lying_in(account, "INBOX");
        if there.is_empty() {
            return;
        }
        let number = there[pick(random, there.len())];
        let mut session = Pop3::login(self.site().address("pop3"), account, PASSWORD).expect("they log in");
        let wanted = format!("<{}>", name(number));
        let place = (1..=session.count().expect("STAT answers")).find(|place| {
            let content = session.retrieve(*place).expect("RETR answers");
            String::from_utf8_lossy(&content).contains(&wanted)
        });
        let place = place.unwrap_or_else(|| panic!("{number} is in the maildrop of {account}"));
        session.command(&format!("DELE {place}")).expect("it is marked");
        session.quit().expect("QUIT answers");
        let (copies, removed_by) = model.copies(number, account);
        take(copies, "INBOX");
        *removed_by = "removed_pop3";
        model.changed();
    }

    /// An operator does something with one entry of the queue, where it is still there.
    fn operate(&self, model: &mut Model, random: &SeededRandom) {
        let remote = |message: &Message| message.fates.values().any(|fate| matches!(fate, Fate::Remote { .. }));
        let numbers: Vec<u64> =
            model.messages.iter().filter(|(_, message)| remote(message)).map(|(number, _)| *number).collect();
        if numbers.is_empty() {
            return;
        }
        // Rather one of the last, which is still there.
        let number = numbers[numbers.len() - 1 - pick(random, numbers.len().min(8))];
        let message = model.messages.get_mut(&number).expect("it was listed");
        let (status, body) = self.site().rest("GET", &format!("/api/v1/queue/messages/{}", message.id), "");
        let Some(entries) = body["recipients"].as_array().filter(|_| status == 200) else { return };
        let entry = &entries[pick(random, entries.len())];
        let (id, recipient) = (entry["id"].as_str().expect("an id"), entry["recipient"].as_str().expect("an address"));
        let Some(Fate::Remote { place, act }) = message.fates.get_mut(recipient) else {
            panic!("{recipient} is no recipient of {message:?}")
        };
        // What is held for a peer is parked again after its release.
        let is_parked = REMOTES[*place].1 == "branch.test";
        let next = match pick(random, 6) {
            0 | 1 if !is_parked => Act::Hold,
            2 | 3 if !is_parked => Act::Release,
            0..=4 => Act::Bounce,
            _ => Act::Drop,
        };
        let path = format!("/api/v1/queue/{id}");
        let reason = r#"{"reason":"the model says so"}"#;
        let (status, body) = match next {
            Act::Hold => self.site().rest("POST", &format!("{path}/hold"), reason),
            Act::Release => self.site().rest("POST", &format!("{path}/release"), ""),
            Act::Bounce => self.site().rest("POST", &format!("{path}/bounce"), reason),
            Act::Drop => self.site().rest("DELETE", &format!("{path}?confirm=silent"), ""),
            Act::Fetch => unreachable!("no operator does"),
        };
        match status {
            200..=299 => {
                *act = Some(next).filter(|act| *act != Act::Release);
                model.changed();
            }
            // It was quicker, it is on its way, or it is not held.
            404 | 409 => {}
            _ => panic!("{next:?} of {id}: {status} {body}"),
        }
    }

    /// The peer dials and takes its mail; now and then the server dies meanwhile, and the peer comes again.
    fn swap(&mut self, model: &mut Model, random: &SeededRandom) {
        let waiting = |model: &Model| {
            let messages = model.messages.iter().filter(|(_, message)| message.waits_for_branch());
            messages.map(|(number, _)| subject(*number)).collect::<Vec<_>>()
        };
        let mut wanted = waiting(model);
        if wanted.is_empty() {
            return;
        }
        let mut before = None;
        if random.next_u64().is_multiple_of(3) {
            let mut talk = self.as_branch(random);
            let stop = Stop::ALL[pick(random, Stop::ALL.len())];
            let seen = take_until(&mut talk, stop).filter(|_| matches!(stop, Stop::End | Stop::Answered));
            before = seen.and_then(|message| wanted.iter().position(|one| is_about(&message, one)));
            self.kill(model);
            talk.cut();
        }
        let mut talk = self.as_branch_again(random, before.is_some() && wanted.len() == 1);
        let mut taken = talk.as_mut().map(take_all).unwrap_or_default();
        taken.sort();
        wanted.sort();
        // What it had taken whole may come again, or not.
        if taken != wanted
            && let Some(before) = before
        {
            let whole = waiting(model).swap_remove(before);
            wanted.retain(|one| *one != whole);
        }
        assert_eq!(taken, wanted, "what waits for the peer");
        model.messages.values_mut().filter(|message| message.waits_for_branch()).for_each(Message::fetched);
        model.changed();
    }

    /// A session in which the peer has logged in and the roles are swapped.
    fn as_branch(&self, random: &SeededRandom) -> Talk {
        self.as_branch_again(random, false).expect("the roles are swapped")
    }

    /// The same; `None` where nothing waits any more, which is known to be possible.
    fn as_branch_again(&self, random: &SeededRandom, may_be_empty: bool) -> Option<Talk> {
        let mut talk = Talk::dial(self.site().address("smtp"));
        talk.expect("220");
        talk.say("EHLO peer.example.test", "250");
        talk.say("STARTTLS", "220");
        talk.start_tls();
        talk.say("EHLO peer.example.test", "250");
        talk.say(&auth_plain("branch", SECRET), "235");
        let verb = ["TURN", "ATRN branch.test"][pick(random, 2)];
        let reply = talk.ask(verb);
        assert!(reply.starts_with("250") || may_be_empty, "{verb}: {reply}");
        reply.starts_with("250").then_some(talk)
    }

    /// An operator sends a message once more: to somebody here, and to one or two elsewhere.
    fn redeliver(&self, model: &mut Model, random: &SeededRandom) {
        let numbers: Vec<u64> = model.messages.keys().copied().collect();
        if numbers.is_empty() {
            return;
        }
        let number = numbers[pick(random, numbers.len())];
        let mut fates = BTreeMap::from([(AGAIN.to_owned(), Fate::delivered())]);
        for _ in 0..pick(random, 3) {
            let place = pick(random, BRANCH);
            let (local, domain, ..) = REMOTES[place];
            fates.insert(format!("{local}@{domain}"), Fate::Remote { place, act: None });
        }
        let body = json!({"recipients": fates.keys().collect::<Vec<_>>()}).to_string();
        let message = model.messages.get_mut(&number).expect("it was listed");
        let (status, body) = self.site().rest("POST", &format!("/api/v1/trace/{}/redeliver", message.id), &body);
        assert_eq!(status, 202, "{message:?}: {body}");
        let id = body["id"].as_str().expect("an id");
        message.again = Some(id.to_owned());
        let number = model.number();
        model.accepted(number, id, fates);
    }

    /// Waits until every entry that is to go has gone, and every other one has been tried as often as it is before a pause.
    pub fn settle(&self, model: &Model) {
        let mut wanted: Vec<(&str, &str)> = Vec::new();
        for message in model.messages.values() {
            let waiting = message.fates.iter().filter(|(_, fate)| fate.waits());
            wanted.extend(waiting.map(|(recipient, _)| (message.id.as_str(), recipient.as_str())));
        }
        wanted.sort_unstable();
        let deadline = Instant::now() + REST_LIMIT;
        loop {
            let entries = self.queue();
            let rests = |entry: &Value| matches!(entry["state"].as_str(), Some("waiting" | "held"));
            let mut there: Vec<(&str, &str)> = entries.iter().map(key).collect();
            there.sort_unstable();
            if there == wanted && entries.iter().all(rests) {
                return;
            }
            assert!(Instant::now() < deadline, "at rest: {wanted:?}\nthe queue: {entries:#?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// What the trace tells of that sender.
    fn refusals_of(&self, sender: &str) -> Vec<Value> {
        let (status, page) = self.site().rest("GET", &format!("/api/v1/trace?sender={sender}"), "");
        assert_eq!(status, 200, "{page}");
        page["items"].as_array().expect("items").clone()
    }

    fn queue(&self) -> Vec<Value> {
        let (mut all, mut path) = (Vec::new(), "/api/v1/queue?limit=500".to_owned());
        loop {
            let (status, body) = self.site().rest("GET", &path, "");
            assert_eq!(status, 200, "{body}");
            all.extend(body["items"].as_array().expect("items").iter().cloned());
            let Some(cursor) = body["next_cursor"].as_str() else { return all };
            path = format!("/api/v1/queue?limit=500&cursor={cursor}");
        }
    }

    /// Asks the trace about everything.
    pub fn compare(&self, model: &Model, seen: &mut Seen) {
        let entries = self.queue();
        let untried: Vec<(&str, &str)> = entries.iter().filter(|entry| entry["attempts"] == 0).map(key).collect();
        for message in model.messages.values() {
            let (status, story) = self.site().rest("GET", &format!("/api/v1/trace/{}", message.id), "");
            assert_eq!(status, 200, "{story}");
            let recipients = story["recipients"].as_array().expect("recipients");
            if let Some(again) = &message.again {
                let sentence = story["verdict"]["sentence"].as_str().unwrap_or_default();
                assert!(sentence.contains(again), "{message:?}: {sentence}");
                seen.redelivered += 1;
            }
            assert_eq!(recipients.len(), message.fates.len(), "{story:#}");
            for (address, fate) in &message.fates {
                let told = recipients.iter().find(|recipient| recipient["address"] == address.as_str());
                let told = told.unwrap_or_else(|| panic!("{address} is in {story:#}"));
                let mut truth = fate.truth();
                // Others of its domain were tried, and it was put off with them.
                if truth.1 == "waiting_receiver_down" && untried.contains(&(&message.id, address)) {
                    truth.1 = "waiting_first_attempt";
                }
                let is_told = told["outcome"] == truth.0 && told["code"] == truth.1;
                assert!(is_told, "{address} of {message:?} is {truth:?}, told is {told:#}\n{story:#}");
                seen.codes.insert(truth.1.to_owned());
                seen.recipients += 1;
            }
        }
        for refusal in &model.refusals {
            let items = self.refusals_of(&refusal.sender);
            assert!(items.len() == 1 || (items.is_empty() && !refusal.is_certain), "{refusal:?}: {items:#?}");
            for told in &items {
                let is_told = told["outcome"] == "refused" && told["code"] == refusal.code;
                assert!(is_told, "{refusal:?}: {told:#}");
                seen.codes.insert(refusal.code.to_owned());
                seen.refusals += 1;
            }
        }
        seen.kills += model.kills;
    }

    /// Stops the server; its file is sound.
    pub fn close(mut self) {
        assert!(self.site.take().expect("the server runs").stop().success(), "the server stops");
        site::check(&data_file(self.folder.path()));
    }
}

/// Message and recipient of an entry.
fn key(entry: &Value) -> (&str, &str) {
    let text = |name: &str| entry[name].as_str().unwrap_or_default();
    (text("message_id"), text("recipient"))
}

/// Takes one copy away.
fn take(copies: &mut Vec<&'static str>, mailbox: &str) {
    let place = copies.iter().position(|copy| *copy == mailbox).expect("there is one");
    copies.remove(place);
}

fn subject(number: u64) -> String {
    format!("step {number}")
}

/// Whether a message has that subject.
fn is_about(message: &[u8], subject: &str) -> bool {
    String::from_utf8_lossy(message).lines().any(|line| line.strip_prefix("Subject: ") == Some(subject))
}

fn name(number: u64) -> String {
    format!("{number}@history.test")
}

fn content(number: u64, sender: &str) -> Vec<u8> {
    let (name, subject) = (name(number), subject(number));
    let head = format!(
        "Date: Sun, 22 Nov 2026 10:00:00 +0000\r\nFrom: {sender}\r\nMessage-ID: <{name}>\r\nSubject: {subject}"
    );
    format!("{head}\r\n\r\nbody {number}\r\n").into_bytes()
}
