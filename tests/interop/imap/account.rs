//! What an account holds, read and changed from outside by `account.py`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::letters::{NAMES, letter};
use crate::mails;
use crate::programs::run;
use crate::site::{PASSWORD, Site};
use crate::wire::{Pop3, Smtp};

/// What every account has from its beginning.
pub const MAILBOXES: [&str; 6] = ["INBOX", "Archive", "Drafts", "Junk", "Sent", "Trash"];

/// An account on a server, and a folder for what is read of it.
pub struct Account<'a> {
    /// The server.
    pub site: &'a Site,
    /// Its address.
    pub user: &'static str,
    /// How a field begins that the program under test adds to what it uploads; empty: there is none.
    pub own_field: &'static str,
    folder: PathBuf,
}

/// A mailbox as it was read.
#[derive(Debug, PartialEq, Eq)]
pub struct Mailbox {
    /// What LIST says of it.
    pub attributes: BTreeSet<String>,
    /// Its UIDVALIDITY.
    pub uid_validity: u64,
    /// In the order of their UIDs.
    pub messages: Vec<Message>,
}

/// A message as it was read.
#[derive(PartialEq, Eq)]
pub struct Message {
    /// Its UID.
    pub uid: u64,
    /// The local part of its Message-ID.
    pub name: String,
    /// Its flags but \Recent.
    pub flags: BTreeSet<String>,
    /// Its internal date.
    pub date: String,
    /// All of it.
    pub content: Vec<u8>,
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { uid, name, flags, date, content } = self;
        write!(f, "{uid} {name} {flags:?} {date} {} octets {}", content.len(), blake3::hash(content))
    }
}

/// Every mailbox by its name.
pub type Mailboxes = BTreeMap<String, Mailbox>;

impl<'a> Account<'a> {
    /// `user`'s account on `site`; what is read of it goes below `folder`.
    pub fn new(site: &'a Site, user: &'static str, folder: &Path) -> Self {
        let folder = folder.join("account");
        fs::create_dir_all(&folder).expect("a folder for what is read");
        Self { site, user, own_field: "", folder }
    }

    /// Delivers the letters `names` over SMTP, in their order.
    pub fn deliver(&self, names: &[&str]) {
        let there = Pop3::count_of(self.site.address("pop3"), self.user, PASSWORD).expect("the account can log in");
        let mut session = Smtp::connect(self.site.address("smtp")).expect("the server greets");
        for (number, name) in names.iter().enumerate() {
            session.submit("sender@elsewhere.test", &[self.user], &letter(name)).expect("the letter is taken");
            self.site.wait_for(self.user, there + number + 1);
        }
        session.quit().expect("QUIT answers");
    }

    /// The action that appends the letter `name` to `mailbox`.
    pub fn append(&self, mailbox: &str, name: &str, flags: &str) -> Value {
        let file = self.folder.join(name);
        fs::write(&file, letter(name)).expect("the letter is written");
        json!(["append", mailbox, flags, "02-Jan-2026 03:04:05 +0100", file])
    }

    /// Carries out actions of `account.py`, and reads the account.
    pub fn change(&self, actions: &[Value]) -> Mailboxes {
        let contents = self.folder.join("contents");
        let _ = fs::remove_dir_all(&contents);
        fs::create_dir(&contents).expect("a folder for the contents");
        let input = self.folder.join("actions.json");
        fs::write(&input, json!(actions).to_string()).expect("the actions are written");
        let mut command = Command::new("python3");
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/imap/account.py"));
        command.args([&self.site.port("imaps"), self.user, PASSWORD]).arg(&contents);
        let output = run(&mut command, Some(&input), &self.folder);
        let Value::Object(read) = serde_json::from_slice(&output).expect("account.py prints JSON") else {
            panic!("account.py prints an object")
        };
        read.iter().map(|(name, mailbox)| (name.clone(), mailbox_of(mailbox))).collect()
    }

    /// Everything that the account holds.
    pub fn read(&self) -> Mailboxes {
        self.change(&[])
    }

    /// The only message in `mailbox`.
    pub fn only(&self, mailbox: &str) -> Message {
        let mut messages = self.read().remove(mailbox).expect("the mailbox is there").messages;
        assert_eq!(messages.len(), 1, "one message in {mailbox}: {messages:?}");
        messages.remove(0)
    }

    /// Reads the account and fails unless it holds `expected`: a line for each mailbox that has messages or is not one of
    /// [`MAILBOXES`], as in `INBOX: one \Seen, two`, in any order; or when a letter is not what [`letter`] made, or POP3
    /// shows another INBOX.
    pub fn assert_holds(&self, expected: &str) -> Mailboxes {
        let held = self.read();
        assert_listed(&held, expected);
        let letters = held.values().flat_map(|mailbox| &mailbox.messages);
        for message in letters.filter(|message| NAMES.contains(&message.name.as_str())) {
            mails::assert_same(&message.name, &letter(&message.name), &self.without_own_field(&message.content));
        }
        let mut session = Pop3::login(self.site.address("pop3"), self.user, PASSWORD).expect("the account can log in");
        for (number, message) in held["INBOX"].messages.iter().enumerate() {
            // TOP reads a message without marking it as seen.
            let content = session.top(number + 1).expect("POP3 has it");
            assert!(content == message.content, "POP3 and IMAP have the same {}", message.name);
        }
        assert_eq!(session.count().expect("STAT answers"), held["INBOX"].messages.len());
        session.quit().expect("QUIT answers");
        held
    }

    /// A content as it was before the program added its field.
    pub fn without_own_field(&self, content: &[u8]) -> Vec<u8> {
        let is_own = |line: &[u8]| !self.own_field.is_empty() && line.starts_with(self.own_field.as_bytes());
        content.split_inclusive(|byte| *byte == b'\n').filter(|line| !is_own(line)).flatten().copied().collect()
    }
}

fn assert_listed(held: &Mailboxes, expected: &str) {
    let mut lines = Vec::new();
    for (name, mailbox) in held {
        // Whether a mailbox is made for the levels above another one is the server's choice.
        let is_above_another = held.keys().any(|other| other.starts_with(&format!("{name}/")));
        if mailbox.messages.is_empty() && (is_above_another || MAILBOXES.contains(&name.as_str())) {
            continue;
        }
        let words = |message: &Message| [&message.name].into_iter().chain(&message.flags).cloned().collect::<Vec<_>>();
        lines.push(line(name, mailbox.messages.iter().map(words).collect()));
    }
    let expected = expected.lines().map(str::trim).filter(|line| !line.is_empty()).map(|text| {
        let (name, messages) = text.split_once(':').expect("a mailbox and its messages");
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        line(name, messages.split(',').map(words).filter(|words| !words.is_empty()).collect())
    });
    let mut expected: Vec<String> = expected.collect();
    lines.sort();
    expected.sort();
    assert_eq!(lines, expected);
}

/// A mailbox in a line: its messages in the order of their names, each with its flags in order.
fn line(mailbox: &str, mut messages: Vec<Vec<String>>) -> String {
    messages.iter_mut().for_each(|words| words[1..].sort());
    messages.sort();
    let messages: Vec<String> = messages.iter().map(|words| words.join(" ")).collect();
    format!("{mailbox}: {}", messages.join(", "))
}

fn mailbox_of(json: &Value) -> Mailbox {
    let messages = json["messages"].as_array().expect("a list of messages").iter().map(|message| {
        let content = fs::read(message["file"].as_str().expect("a file")).expect("the content is read");
        Message {
            uid: message["uid"].as_u64().expect("a UID"),
            name: name_of(&content),
            flags: words_of(&message["flags"]),
            date: message["date"].as_str().expect("a date").to_owned(),
            content,
        }
    });
    Mailbox {
        uid_validity: json["uid_validity"].as_u64().expect("a UIDVALIDITY"),
        attributes: words_of(&json["attributes"]),
        messages: messages.collect(),
    }
}

fn words_of(json: &Value) -> BTreeSet<String> {
    let words = json.as_array().expect("a list of words").iter();
    words.map(|word| word.as_str().expect("a word").to_owned()).collect()
}

/// The local part of a content's Message-ID.
pub fn name_of(content: &[u8]) -> String {
    let header = content.split(|byte| *byte == b'\n').take_while(|line| !line.trim_ascii().is_empty());
    let field = header.map(String::from_utf8_lossy).find(|line| line.to_ascii_lowercase().starts_with("message-id:"));
    let name = field.and_then(|line| Some(line.split_once('<')?.1.split_once('@')?.0.to_owned()));
    name.unwrap_or_else(|| panic!("a Message-ID in {}", content[..content.len().min(500)].escape_ascii()))
}

/// A content from the blank line behind its header on.
pub fn body_of(content: &[u8]) -> &[u8] {
    let at = content.windows(4).position(|octets| octets == b"\r\n\r\n");
    &content[at.expect("a blank line")..]
}
