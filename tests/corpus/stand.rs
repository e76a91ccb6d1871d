//! The two servers, and how the mails get into them.

use std::net::SocketAddr;
use std::path::Path;

use crate::dovecot::Dovecot;
use crate::imap::Imap;
use crate::mails::Mail;
use crate::site::{PASSWORD, Site};
use crate::wire::Smtp;

/// Whose mailbox it is.
pub const USER: &str = "alice@example.test";
/// Octets of messages in one APPEND.
const APPEND_BYTES: usize = 1024 * 1024;
/// Messages in one APPEND.
const APPEND_MESSAGES: usize = 50;

/// Ours and Dovecot, each in a folder that is gone with it.
pub struct Stand {
    ours: Ours,
    peer: Dovecot,
    _folder: tempfile::TempDir,
}

enum Ours {
    Pillarbox(Box<Site>),
    /// With `PILLARBOX_AGAINST=dovecot`.
    Dovecot(Dovecot),
}

impl Stand {
    /// Starts both, empty.
    pub fn open() -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        let quick = [("PEER_FORMAT", "mdbox"), ("PEER_FSYNC", "never")];
        let ours = match std::env::var("PILLARBOX_AGAINST").as_deref() {
            Ok("dovecot") => Ours::Dovecot(Dovecot::start(&folder.path().join("ours"), &quick)),
            Ok(other) => panic!("PILLARBOX_AGAINST is dovecot or unset, not {other}"),
            Err(_) => Ours::Pillarbox(Box::new(serve(folder.path(), &[]))),
        };
        let peer = Dovecot::start(&folder.path().join("peer"), &quick);
        Self { ours, peer, _folder: folder }
    }

    /// Whether ours is ours.
    pub fn is_pillarbox(&self) -> bool {
        matches!(self.ours, Ours::Pillarbox(_))
    }

    /// Where ours listens for IMAP.
    pub fn ours(&self) -> SocketAddr {
        match &self.ours {
            Ours::Pillarbox(site) => site.address("imap"),
            Ours::Dovecot(dovecot) => dovecot.address(),
        }
    }

    /// Puts the mails into INBOX in their order: those that say so by SMTP, the others by APPEND.
    pub fn store(&self, mails: &[Mail]) {
        let mut session = Imap::login(self.ours(), USER, PASSWORD).expect("ours lets in");
        let mut smtp = match &self.ours {
            Ours::Pillarbox(site) => Some(Smtp::connect(site.address("smtp")).expect("ours greets")),
            Ours::Dovecot(_) => None,
        };
        for run in mails.chunk_by(|a, b| a.by_smtp == b.by_smtp) {
            match &mut smtp {
                Some(smtp) if run[0].by_smtp => {
                    for mail in run {
                        let sent = smtp.submit("sender@elsewhere.test", &[USER], &mail.content);
                        sent.unwrap_or_else(|error| panic!("{} is taken: {error}", mail.name));
                    }
                }
                _ => append(&mut session, run),
            }
        }
    }

    /// Puts the same into the peer's INBOX, and opens it.
    pub fn copy_to_peer(&self, mails: &[Mail]) -> Imap {
        let mut session = Imap::login(self.peer.address(), USER, PASSWORD).expect("Dovecot lets in");
        append(&mut session, mails);
        session.ok("SELECT INBOX").expect("INBOX opens");
        session
    }
}

/// Ours alone, with an empty mailbox.
pub fn serve(folder: &Path, arguments: &[&str]) -> Site {
    let site = Site::serve(folder, &[&["--listen", "imap=127.0.0.1:0"], arguments].concat());
    site.create_accounts(&["alice".to_owned()]);
    site
}

/// Puts the mails into INBOX of ours in their order.
pub fn fill(site: &Site, mails: &[Mail]) {
    append(&mut Imap::login(site.address("imap"), USER, PASSWORD).expect("ours lets in"), mails);
}

fn append(session: &mut Imap, mails: &[Mail]) {
    let mut rest = mails;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fitting = rest.iter().take(APPEND_MESSAGES).take_while(|mail| {
            bytes += mail.content.len();
            bytes <= APPEND_BYTES
        });
        let (now, later) = rest.split_at(fitting.count().max(1));
        let messages: Vec<(&str, &[u8])> = now.iter().map(|mail| ("", mail.content.as_slice())).collect();
        let answer = session.append("INBOX", &messages).expect("APPEND answers");
        assert_eq!(answer.status.kind, "OK", "{} and what follows is appended: {:?}", now[0].name, answer.status);
        rest = later;
    }
}
