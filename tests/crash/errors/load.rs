//! Whoever brings mail, by SMTP, IMAP and REST, until they are put off.

use std::io;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;

use serde_json::{Value, json};

use crate::imap::Imap;
use crate::mails;
use crate::site::{PASSWORD, Site};
use crate::wire::{Smtp, stuff};

pub const ALICE: &str = "alice@example.test";
pub const DAVE: &str = "dave@example.test";
const SENDERS: usize = 6;
const SUBMITTERS: usize = 2;
const APPENDERS: usize = 2;
const POSTERS: usize = 2;

/// Sessions that are logged in, so that the load begins with the first message.
pub struct Load {
    senders: Vec<Smtp>,
    submitters: Vec<Smtp>,
    appenders: Vec<Imap>,
}

/// What all of them heard.
#[derive(Default)]
pub struct Heard {
    /// Ids of what SMTP has taken for Dave.
    pub sent: Vec<String>,
    /// Our ids of what it has taken for elsewhere.
    pub queued: Vec<String>,
    /// Ids of what APPEND has put into Alice's INBOX.
    pub appended: Vec<String>,
    /// Our ids of what REST has taken.
    pub posted: Vec<String>,
    /// The answers that were no success.
    pub refusals: Vec<String>,
}

impl Load {
    pub fn new(site: &Site) -> Self {
        let senders = (0..SENDERS).map(|_| Smtp::connect(site.address("smtp")).expect("the server greets"));
        let submitter = |_| Smtp::login(site.address("submission"), ALICE, PASSWORD).expect("alice logs in");
        let appender = |_| Imap::login(site.address("imap"), ALICE, PASSWORD).expect("alice logs in");
        Self {
            senders: senders.collect(),
            submitters: (0..SUBMITTERS).map(submitter).collect(),
            appenders: (0..APPENDERS).map(appender).collect(),
        }
    }

    /// Goes on until the server is gone.
    pub fn run(self, site: &Site) -> Heard {
        let http = site.address("http");
        let heard: Vec<Heard> = thread::scope(|scope| {
            let senders =
                self.senders.into_iter().zip(0..).map(|(session, number)| scope.spawn(move || send(session, number)));
            let mut all: Vec<_> = senders.collect();
            let submitters = self.submitters.into_iter().zip(0..);
            all.extend(submitters.map(|(session, number)| scope.spawn(move || submit(session, number))));
            let appenders = self.appenders.into_iter().zip(0..);
            all.extend(appenders.map(|(session, number)| scope.spawn(move || append(session, number))));
            all.extend((0..POSTERS).map(|_| scope.spawn(move || post(http))));
            all.into_iter().map(|one| one.join().expect("nobody fails")).collect()
        });
        heard.into_iter().fold(Heard::default(), |mut all, one| {
            all.sent.extend(one.sent);
            all.queued.extend(one.queued);
            all.appended.extend(one.appended);
            all.posted.extend(one.posted);
            all.refusals.extend(one.refusals);
            all
        })
    }
}

/// The queue's entries.
pub fn queue(site: &Site) -> Vec<Value> {
    let (mut all, mut path) = (Vec::new(), "/api/v1/queue?limit=500".to_owned());
    loop {
        let (status, body) = site.rest("GET", &path, "");
        assert_eq!(status, 200, "{body}");
        all.extend(body["items"].as_array().expect("items").iter().cloned());
        let Some(cursor) = body["next_cursor"].as_str() else { return all };
        path = format!("/api/v1/queue?limit=500&cursor={cursor}");
    }
}

fn send(mut session: Smtp, sender: u64) -> Heard {
    let mut heard = Heard::default();
    for number in 0.. {
        let id = format!("sent-{sender}-{number}");
        let content = mails::of_size(&id, number * 31 + sender, [900, 9_000, 70_000][(number % 3) as usize]);
        match offer(&mut session, "x@far.test", DAVE, &content) {
            Ok(Ok(_)) => heard.sent.push(id),
            Ok(Err(refusal)) => {
                heard.refusals.push(refusal);
                break;
            }
            Err(_) => break,
        }
    }
    heard
}

fn submit(mut session: Smtp, sender: u64) -> Heard {
    let mut heard = Heard::default();
    for number in 0.. {
        let content = mails::of_size(&format!("queued-{sender}-{number}"), number, 2_000);
        match offer(&mut session, ALICE, &format!("u{number}@far.test"), &content) {
            Ok(Ok(reply)) => {
                let id = reply.split(' ').find(|word| word.starts_with("m_")).expect("the id stands in the reply");
                heard.queued.push(id.to_owned());
            }
            Ok(Err(refusal)) => {
                heard.refusals.push(refusal);
                break;
            }
            Err(_) => break,
        }
    }
    heard
}

/// Offers a message: the 250, or the first other reply.
fn offer(session: &mut Smtp, from: &str, to: &str, content: &[u8]) -> io::Result<Result<String, String>> {
    let reply = session.envelope(from, &[to])?;
    if reply.code != 354 {
        return Ok(Err(reply.text));
    }
    let reply = session.message(&stuff(content))?;
    Ok(if reply.code == 250 { Ok(reply.text) } else { Err(reply.text) })
}

fn append(mut session: Imap, sender: u64) -> Heard {
    let mut heard = Heard::default();
    for number in 0.. {
        let id = format!("appended-{sender}-{number}");
        let content = mails::of_size(&id, number, 3_000);
        match session.append("INBOX", &[("", &content)]) {
            Ok(answer) if answer.status.kind == "OK" => heard.appended.push(id),
            Ok(answer) => {
                heard.refusals.push(format!("{} {:?}", answer.status.kind, answer.status.code).replace(", ", " "));
                break;
            }
            Err(_) => break,
        }
    }
    heard
}

fn post(http: SocketAddr) -> Heard {
    let mut heard = Heard::default();
    let message = json!({"from": ALICE, "to": [ALICE], "subject": "by REST", "text": "one more"}).to_string();
    // Until the listener is gone, or goes away in the middle of an answer.
    while let Ok((status, body)) = call(http, &message) {
        match status {
            202 => heard.posted.push(body["id"].as_str().expect("an id").to_owned()),
            _ => {
                heard.refusals.push(format!("{status} {body}"));
                break;
            }
        }
    }
    heard
}

fn call(http: SocketAddr, json: &str) -> io::Result<(u16, Value)> {
    let mut stream = TcpStream::connect(http)?;
    stream.write_all(Site::request(http, "POST", "/api/v1/messages", json).as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Ok((status.ok_or(io::ErrorKind::UnexpectedEof)?, serde_json::from_str(body).unwrap_or_default()))
}
