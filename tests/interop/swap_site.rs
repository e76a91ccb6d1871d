//! Servers that swap roles: how their domains, accounts, peers and routes are made over REST, how mail is put into them,
//! and what they say of their queue, jobs and sessions.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::site::{PASSWORD, Site, binary};
use super::swap_talk::{Talk, auth_plain, hex};
use super::wire::Pop3;

/// The secret of every peer.
pub const SECRET: &str = "a-secret-of-two-servers-0123456789abcdef";
/// How long something that is not waited for in a session may take.
const SOON: Duration = Duration::from_secs(60);

/// A running server with its own domain.
pub struct Swapper {
    /// The process.
    pub site: Site,
    /// Its own domain, as in `hub.test`.
    pub domain: String,
    token: String,
}

impl Swapper {
    /// Starts one on `folder`'s file, with its domain and an account for each of `accounts`. It listens on `odmr` too,
    /// asks no DNS but the one in `arguments`, and tries again soon.
    pub fn start(folder: &Path, domain: &str, accounts: &[&str], arguments: &[&str]) -> Self {
        let swapper = Self::again(folder, domain, arguments);
        swapper.rest("PUT", &format!("/domains/{domain}"), &json!({})).is(201);
        for account in accounts {
            let path = format!("/accounts/{account}@{domain}");
            swapper.rest("PUT", &path, &json!({"password": PASSWORD})).is(201);
        }
        swapper
    }

    /// Starts one again on a file that has all that.
    pub fn again(folder: &Path, domain: &str, arguments: &[&str]) -> Self {
        let mut all = vec!["--listen", "odmr=127.0.0.1:0", "--set", "queue.retry_seconds=1"];
        // What is held back from attackers would hold up the tests.
        all.extend(["--set", "limits.refusal_delay_ms=0"]);
        // Nothing answers on the discard port: a test that needs the DNS brings its own.
        if !arguments.contains(&"--resolver") {
            all.extend(["--resolver", "127.0.0.1:9"]);
        }
        all.extend(arguments);
        let site = Site::serve_as(folder, &format!("mx.{domain}"), &all);
        let token = fs::read_to_string(folder.join("token")).expect("the token file");
        Self { site, domain: domain.to_owned(), token }
    }

    /// A call of the REST interface, below `/api/v1`.
    pub fn rest(&self, method: &str, path: &str, body: &Value) -> Answer {
        let address = self.site.address("http");
        let mut stream = TcpStream::connect(address).expect("the http listener answers");
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = format!(
            "{method} /api/v1{path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.token,
            body.len()
        );
        stream.write_all(request.as_bytes()).expect("the request is sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the answer is read");
        let (head, body) = answer.split_once("\r\n\r\n").expect("an HTTP answer");
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("an HTTP status");
        let location = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("location").then(|| value.to_owned())
        });
        let body = serde_json::from_str(body).unwrap_or(Value::Null);
        Answer { asked: format!("{method} {path}"), status, location, body }
    }

    /// Reads what is there.
    pub fn get(&self, path: &str) -> Value {
        let answer = self.rest("GET", path, &Value::Null);
        answer.is(200);
        answer.body
    }

    /// Makes or replaces a peer that dials us: `fields` over the usual ones.
    pub fn put_peer(&self, name: &str, domains: &[&str], fields: &Value) {
        let mut body = json!({
            "verbs": ["turn", "atrn", "etrn"],
            "direction": "accept",
            "domains": domains,
            "auth": {"sasl_user": name, "secret": SECRET},
        });
        for (key, value) in fields.as_object().expect("fields are an object") {
            body[key] = value.clone();
        }
        let answer = self.rest("PUT", &format!("/turn/peers/{name}"), &body);
        assert!(answer.status == 200 || answer.status == 201, "{answer:?}");
    }

    /// Makes or replaces a peer that we dial at `address`, whose certificate has that fingerprint; `user` is our name
    /// there.
    pub fn put_provider(&self, name: &str, domains: &[&str], user: &str, address: SocketAddr, sha256: &str) {
        self.put_peer(
            name,
            domains,
            &json!({
                "direction": "initiate",
                "host": format!("[{}]", address.ip()),
                "port": address.port(),
                "auth": {"sasl_user": user, "secret": SECRET},
                "tls": {"mode": "pinned", "server_cert_sha256": sha256},
            }),
        );
    }

    /// The fingerprint of its certificate.
    pub fn fingerprint(&self) -> String {
        let mut talk = Talk::dial(self.site.address("smtp"));
        talk.expect("220");
        talk.say("EHLO probe.example.test", "250");
        talk.say("STARTTLS", "220");
        hex(&talk.start_tls())
    }

    /// Submits a message of `from`, an account of its own domain, with that subject.
    pub fn submit(&self, from: &str, to: &str, subject: &str) {
        let mut talk = self.submission(from);
        submit_over(&mut talk, &format!("{from}@{}", self.domain), to, subject);
        talk.say("QUIT", "221");
    }

    /// A submission session in which `account` has logged in.
    pub fn submission(&self, account: &str) -> Talk {
        let mut talk = Talk::dial(self.site.address("submission"));
        talk.expect("220");
        talk.say("EHLO client.example.test", "250");
        talk.say("STARTTLS", "220");
        talk.start_tls();
        talk.say("EHLO client.example.test", "250");
        talk.say(&auth_plain(&format!("{account}@{}", self.domain), PASSWORD), "235");
        talk
    }

    /// A session on `listener` in which the peer `name` has logged in under TLS.
    pub fn as_peer(&self, listener: &str, name: &str) -> Talk {
        let mut talk = self.under_tls(listener);
        talk.say(&auth_plain(name, SECRET), "235");
        talk
    }

    /// A session on `listener` under TLS, behind the second EHLO.
    pub fn under_tls(&self, listener: &str) -> Talk {
        let mut talk = Talk::dial(self.site.address(listener));
        talk.expect("220");
        talk.say("EHLO peer.example.test", "250");
        talk.say("STARTTLS", "220");
        talk.start_tls();
        talk.say("EHLO peer.example.test", "250");
        talk
    }

    /// The subjects of what `account` has, oldest first.
    pub fn subjects(&self, account: &str) -> Vec<String> {
        let address = format!("{account}@{}", self.domain);
        let mut session = Pop3::login(self.site.address("pop3"), &address, PASSWORD).expect("the account logs in");
        let messages = session.retrieve_all().expect("all is read");
        session.quit().expect("QUIT answers");
        messages.iter().map(|message| subject_of(message)).collect()
    }

    /// The entries of the queue.
    pub fn queue(&self) -> Vec<Value> {
        items(&self.get("/queue?limit=500"))
    }

    /// Waits until the queue has so many entries.
    pub fn wait_for_queue(&self, count: usize) {
        wait_until(&format!("{count} entries in the queue"), || self.queue().len() == count);
    }

    /// What waits for a domain: how many entries.
    pub fn waiting(&self, domain: &str) -> u64 {
        let answer = self.get(&format!("/turn/domains/{domain}/waiting"));
        answer["count"].as_u64().unwrap_or_else(|| panic!("a count in {answer}"))
    }

    /// Starts a session with a peer and waits for the job's end: the job.
    pub fn call(&self, peer: &str, body: &Value) -> Value {
        let answer = self.rest("POST", &format!("/turn/peers/{peer}/sessions"), body);
        answer.is(202);
        let location = answer.location.clone().unwrap_or_else(|| panic!("a Location in {answer:?}"));
        let path =
            location.strip_prefix("/api/v1").unwrap_or_else(|| panic!("a job's path, not {location}")).to_owned();
        let mut job = Value::Null;
        wait_until("the end of the job", || {
            job = self.get(&path);
            !matches!(job["state"].as_str(), Some("queued" | "running"))
        });
        job
    }

    /// The newest session with a peer, as it was written down.
    pub fn last_session(&self) -> Value {
        items(&self.get("/turn/sessions?limit=1")).into_iter().next().expect("a session was written down")
    }

    /// Waits until the newest session is over, and gives it.
    pub fn ended_session(&self) -> Value {
        let mut session = Value::Null;
        wait_until("the end of the session", || {
            session = self.last_session();
            session["state"] != "running"
        });
        session
    }

    /// What has happened to an entry that is in the queue.
    pub fn history(&self, entry: &Value) -> Vec<Value> {
        let id = entry["id"].as_str().unwrap_or_else(|| panic!("an id in {entry}"));
        let answer = self.get(&format!("/queue/{id}"));
        answer["history"].as_array().unwrap_or_else(|| panic!("a history in {answer}")).clone()
    }

    /// What the command line prints, as the administrator whom the server knows by its socket.
    pub fn command_line(&self, arguments: &[&str]) -> String {
        let output = Command::new(binary())
            .args(arguments)
            .env("PILLARBOX_URL", format!("http://{}", self.site.address("http")))
            .env("PILLARBOX_TOKEN", &self.token)
            .stdin(Stdio::null())
            .output()
            .expect("the program starts");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("what is printed is text")
    }
}

/// What the REST interface answered.
#[derive(Debug)]
pub struct Answer {
    /// Method and path.
    pub asked: String,
    /// The status.
    pub status: u16,
    /// The Location field.
    pub location: Option<String>,
    /// The body, null where it is no JSON.
    pub body: Value,
}

impl Answer {
    /// Fails the test unless the status is this.
    pub fn is(&self, status: u16) {
        assert_eq!(self.status, status, "{self:?}");
    }
}

/// MAIL, RCPT, DATA and a small message with that subject; insists on its 250.
pub fn submit_over(talk: &mut Talk, from: &str, to: &str, subject: &str) {
    talk.say(&format!("MAIL FROM:<{from}>"), "250");
    talk.say(&format!("RCPT TO:<{to}>"), "250");
    talk.say("DATA", "354");
    talk.send(message(from, to, subject));
    talk.send(".\r\n");
    talk.expect("250");
}

/// A small message, its subject in the text again.
pub fn message(from: &str, to: &str, subject: &str) -> String {
    format!(
        "From: <{from}>\r\nTo: <{to}>\r\nSubject: {subject}\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\n\
         Message-ID: <{subject}@client.example.test>\r\n\r\nthe text of {subject}\r\n"
    )
}

/// The subject of a message.
pub fn subject_of(message: &[u8]) -> String {
    let text = String::from_utf8_lossy(message);
    let subject = text.lines().find_map(|line| line.strip_prefix("Subject: "));
    subject.unwrap_or_else(|| panic!("a subject in {text}")).trim_end().to_owned()
}

/// Waits until something holds that is not waited for in a session.
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !holds() {
        assert!(Instant::now() < deadline, "still waiting for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn items(list: &Value) -> Vec<Value> {
    list["items"].as_array().unwrap_or_else(|| panic!("items in {list}")).clone()
}
