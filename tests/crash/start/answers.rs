use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::site::{Site, data_file};
use crate::wire::Smtp;

/// A fault that no slow machine explains.
const LIMIT: Duration = Duration::from_secs(120);
const LISTENERS: [&str; 6] = ["smtp", "pop3", "imap", "imaps", "http", "https"];

/// What a listener says.
#[derive(Debug, PartialEq, Eq)]
pub enum Said {
    /// Too early: before a repair, or after it.
    Starting,
    /// Too early: so many of a hundred parts of a repair are done.
    Repairing(u64),
    /// It greets.
    Ready,
}

/// What the listeners of a server answer that may not be ready.
pub struct Answers {
    listeners: Vec<(&'static str, SocketAddr)>,
}

impl Answers {
    pub fn of(site: &Site) -> Self {
        Self { listeners: LISTENERS.map(|name| (name, site.address(name))).to_vec() }
    }

    /// The flags that let a server listen at the same addresses.
    pub fn listen(&self) -> Vec<String> {
        self.listeners.iter().map(|(name, address)| format!("{name}={address}")).collect()
    }

    fn address(&self, name: &str) -> SocketAddr {
        self.listeners.iter().find(|(known, _)| *known == name).expect("it is listed").1
    }

    /// What SMTP says. What listened once goes on to listen.
    pub fn smtp(&self) -> Said {
        let (_, greeting) = Smtp::greeting(self.address("smtp")).expect("it listens");
        match percent(&greeting.text) {
            _ if greeting.code == 220 => Said::Ready,
            Some(percent) if greeting.text.starts_with("421 4.3.2 ") => Said::Repairing(percent),
            None if greeting.text == "421 4.3.2 The server is starting, try again later" => Said::Starting,
            _ => panic!("{}", greeting.text),
        }
    }

    /// Waits for the first word on a repair; how far it is. `None`: it is ready without one.
    pub fn wait_for_repair(&self) -> Option<u64> {
        let deadline = Instant::now() + LIMIT;
        while TcpStream::connect(self.address("smtp")).is_err() {
            assert!(Instant::now() < deadline, "nothing listens");
            std::thread::sleep(Duration::from_millis(5));
        }
        loop {
            match self.smtp() {
                Said::Repairing(percent) => return Some(percent),
                Said::Ready => return None,
                Said::Starting => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    pub fn wait_for_220(&self) {
        let deadline = Instant::now() + LIMIT;
        while self.smtp() != Said::Ready {
            assert!(Instant::now() < deadline, "no 220");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// What all the others say during a repair.
    pub fn check(&self, folder: &Path) {
        let said = |name: &str| read_all(TcpStream::connect(self.address(name)).expect("it listens"));
        for (name, start) in [("pop3", "-ERR [SYS/TEMP] "), ("imap", "* BYE [UNAVAILABLE] ")] {
            let said = said(name);
            assert!(said.starts_with(start) && percent(&said).is_some() && said.ends_with("\r\n"), "{name}: {said}");
        }
        for name in ["imaps", "https"] {
            assert_eq!(said(name), "", "nothing can be said inside of TLS");
        }
        let get = |path| ask(TcpStream::connect(self.address("http")).expect("it listens"), path, "");
        assert!(get("/healthz").starts_with("HTTP/1.1 200 "));
        for path in ["/readyz", "/api/v1/domains"] {
            let (answer, by_socket) = (get(path), ask(unix(folder), path, ""));
            for answer in [answer, by_socket] {
                let (head, body) = answer.split_once("\r\n\r\n").expect("an HTTP answer");
                assert!(
                    head.starts_with("HTTP/1.1 503 ") && head.to_lowercase().contains("\r\nretry-after: "),
                    "{head}"
                );
                let problem: serde_json::Value = serde_json::from_str(body).expect("a problem");
                assert_eq!(problem["type"], "urn:pillarbox:problem:not-ready", "{problem}");
                assert!(problem["percent"].as_u64().is_some_and(|percent| percent < 100), "{problem}");
            }
        }
        let page = get("/admin/");
        assert!(page.starts_with("HTTP/1.1 503 ") && page.contains("<progress max=\"100\" value=\""), "{page}");
    }
}

/// The figures of a server, which the tests' token may read.
pub fn metrics(http: SocketAddr) -> String {
    let token = format!("Authorization: Bearer {}\r\n", crate::site::TOKEN);
    ask(TcpStream::connect(http).expect("the http listener answers"), "/metrics", &token)
}

fn unix(folder: &Path) -> UnixStream {
    UnixStream::connect(data_file(folder).with_extension("sock")).expect("the unix socket answers")
}

fn ask(mut stream: impl Read + Write, path: &str, fields: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{fields}Connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("the request is sent");
    read_all(stream)
}

fn read_all(mut stream: impl Read) -> String {
    let mut said = Vec::new();
    match stream.read_to_end(&mut said) {
        Err(error) if error.kind() != io::ErrorKind::ConnectionReset => panic!("{error}"),
        _ => String::from_utf8_lossy(&said).into_owned(),
    }
}

/// The number in front of the first percent sign.
fn percent(text: &str) -> Option<u64> {
    let before = text.split_once('%')?.0.trim_end();
    before.rsplit(|other: char| !other.is_ascii_digit()).next()?.parse().ok()
}
