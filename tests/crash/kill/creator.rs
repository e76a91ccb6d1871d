//! A client of the REST interface that makes accounts and aliases until the server goes away.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread::JoinHandle;

use serde_json::{Value, json};

use super::load::Outcome;
use crate::site::{Site, TOKEN};

/// The mailboxes that an account has from its first moment.
const MAILBOXES: [&str; 6] = ["Archive", "Drafts", "INBOX", "Junk", "Sent", "Trash"];
/// Items of a page.
const PAGE: usize = 500;

/// One at work.
pub struct Creator(JoinHandle<Vec<Created>>);

/// What it has asked for.
pub struct Created {
    /// `accounts` or `aliases`.
    pub kind: &'static str,
    /// Its address, which nothing else has.
    pub address: String,
    /// What was put there.
    fields: Value,
    /// Whether it was answered.
    pub outcome: Outcome,
}

impl Creator {
    /// Begins; `name` begins the names of all that it makes.
    pub fn start(http: SocketAddr, name: String) -> Self {
        Self(std::thread::spawn(move || create_until_the_end(http, &name)))
    }

    /// What it has asked for.
    pub fn finish(self) -> Vec<Created> {
        self.0.join().expect("a creator does not panic")
    }
}

fn create_until_the_end(http: SocketAddr, name: &str) -> Vec<Created> {
    let mut all = Vec::new();
    for number in 0.. {
        let address = format!("{name}.{number}@example.test");
        let (kind, fields) = if number % 2 == 0 {
            ("accounts", json!({"display_name": format!("Number {number} of {name}")}))
        } else {
            ("aliases", json!({"targets": ["u0@example.test"], "note": format!("number {number} of {name}")}))
        };
        let answer = put(http, &format!("/api/v1/{kind}/{address}"), &fields);
        let mut created = Created { kind, address, fields, outcome: Outcome::Unknown };
        match answer {
            Ok(201) => {
                created.outcome = Outcome::Acknowledged;
                all.push(created);
            }
            Ok(status) => panic!("201 for {}, not {status}", created.address),
            Err(_) => {
                all.push(created);
                return all;
            }
        }
    }
    unreachable!("a load ends with its server")
}

/// Puts JSON there: the status, or an error when the connection broke before all of the answer was there.
fn put(http: SocketAddr, path: &str, body: &Value) -> io::Result<u16> {
    let (mut stream, body) = (TcpStream::connect(http)?, body.to_string());
    let request = format!(
        "PUT {path} HTTP/1.1\r\nHost: {http}\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
    status.filter(|_| answer.contains("\r\n\r\n")).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

/// Each that was answered is there as it was put, the others are there so or not at all, and there are no others; how many
/// are there that were not answered.
pub fn compare(site: &Site, asked: &[Created], others: &[String]) -> usize {
    let mut unheard = 0;
    for kind in ["accounts", "aliases"] {
        let mut there: BTreeMap<String, Value> = list(site, &format!("/api/v1/{kind}"))
            .into_iter()
            .map(|item| (item["address"].as_str().expect("an address").to_owned(), item))
            .collect();
        for created in asked.iter().filter(|created| created.kind == kind) {
            let Some(item) = there.remove(&created.address) else {
                assert_eq!(created.outcome, Outcome::Unknown, "{kind} has no {}", created.address);
                continue;
            };
            for (field, value) in created.fields.as_object().expect("an object") {
                assert_eq!(&item[field], value, "{field} of {}", created.address);
            }
            if created.outcome == Outcome::Unknown {
                unheard += 1;
                check_whole(site, created);
            }
        }
        there.retain(|address, _| !others.contains(address));
        assert!(there.is_empty(), "{kind} that nobody made: {:?}", there.keys());
    }
    // Of what was answered the last ones are nearest to the kill.
    asked.iter().rev().filter(|created| created.outcome == Outcome::Acknowledged).take(4).for_each(|created| {
        check_whole(site, created);
    });
    unheard
}

/// An account has all its mailboxes.
fn check_whole(site: &Site, created: &Created) {
    if created.kind == "accounts" {
        let (status, page) = site.rest("GET", &format!("/api/v1/accounts/{}/mailboxes", created.address), "");
        let mailboxes = page["items"].as_array().unwrap_or_else(|| panic!("mailboxes: {status} {page}"));
        let mut names: Vec<&str> = mailboxes.iter().filter_map(|mailbox| mailbox["name"].as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, MAILBOXES, "{}", created.address);
    }
}

/// All items of a list, page by page.
pub fn list(site: &Site, path: &str) -> Vec<Value> {
    let (mut items, mut cursor) = (Vec::new(), String::new());
    loop {
        let (status, mut page) = site.rest("GET", &format!("{path}?limit={PAGE}{cursor}"), "");
        assert_eq!(status, 200, "{path}: {page}");
        items.append(page["items"].as_array_mut().expect("a page has items"));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return items,
        }
    }
}
