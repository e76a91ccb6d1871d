//! A session that takes what arrives in INBOX into Archive, until the server goes away.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;

use super::shelf::Seen;
use crate::imap::{Imap, Response, Value, item};
use crate::site::PASSWORD;

/// Knows which messages of INBOX it was told to be gone from there, and where they went.
pub struct Mover {
    user: String,
    /// UIDs of INBOX that were moved.
    gone: BTreeSet<u32>,
    /// UIDs of Archive that they got.
    arrived: BTreeSet<u32>,
}

impl Mover {
    pub fn new(user: &str) -> Self {
        Self { user: user.to_owned(), gone: BTreeSet::new(), arrived: BTreeSet::new() }
    }

    /// Works until the connection breaks.
    pub fn work_until_the_end(mut self, imap: SocketAddr) -> Self {
        if let Ok(mut session) = Imap::login(imap, &self.user, PASSWORD) {
            let _ = self.work(&mut session);
        }
        self
    }

    fn work(&mut self, session: &mut Imap) -> io::Result<()> {
        let opened = session.ok("SELECT INBOX")?;
        let mut there =
            opened.untagged.iter().filter_map(|response| response.counted("EXISTS")).next_back().unwrap_or(0);
        loop {
            // Waits for mail as programs do.
            if there == 0 {
                let tag = session.begin("IDLE")?;
                while there == 0 {
                    there = session.response()?.counted("EXISTS").unwrap_or(0);
                }
                session.write(b"DONE\r\n")?;
                session.end(&tag)?;
            }
            let listed = session.ok("FETCH 1:* (UID)")?;
            let uids: Vec<u32> =
                listed.fetches().filter_map(|(_, items)| item(items, "UID")?.number()?.try_into().ok()).collect();
            if let Some(back) = uids.iter().find(|uid| self.gone.contains(uid)) {
                panic!("{}: UID {back} is back", self.user);
            }
            for uids in uids.chunks(5) {
                let set = uids.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
                let answer = session.ok(&format!("UID MOVE {set} Archive"))?;
                let code = answer.code("COPYUID").unwrap_or_else(|| panic!("COPYUID in {answer:?}"));
                self.gone.extend(uids);
                self.arrived.extend(code.get(2).into_iter().flat_map(numbers));
            }
            there =
                u32::try_from(session.ok("STATUS INBOX (MESSAGES)")?.untagged.iter().find_map(messages).unwrap_or(0))
                    .unwrap_or(0);
        }
    }

    /// How many moves were answered.
    pub fn acknowledged(&self) -> usize {
        self.gone.len()
    }

    /// After a restart: what was moved is in Archive and not in INBOX. Returns all that is in both.
    pub fn verify(&self, imap: SocketAddr) -> Vec<Vec<u8>> {
        let mut session = Imap::login(imap, &self.user, PASSWORD).expect("a mover logs in again");
        let inbox: Vec<(u32, Vec<u8>)> = Seen::look(&mut session, "INBOX").contents().collect();
        let archive: Vec<(u32, Vec<u8>)> = Seen::look(&mut session, "Archive").contents().collect();
        let back: Vec<&u32> = inbox.iter().map(|(uid, _)| uid).filter(|uid| self.gone.contains(uid)).collect();
        assert!(back.is_empty(), "{}: UIDs {back:?} were moved and are back", self.user);
        let there: BTreeSet<u32> = archive.iter().map(|(uid, _)| *uid).collect();
        let lost: Vec<&u32> = self.arrived.difference(&there).collect();
        assert!(lost.is_empty(), "{}: UIDs {lost:?} were moved to Archive and are not there", self.user);
        inbox.into_iter().chain(archive).map(|(_, content)| content).collect()
    }
}

fn messages(response: &Response) -> Option<u64> {
    item(response.after("STATUS")?.get(1)?.list()?, "MESSAGES")?.number()
}

/// The numbers of a set.
fn numbers(set: &Value) -> Vec<u32> {
    let text = set.bytes().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).unwrap_or_default();
    let run = |run: &str| {
        let (first, last) = run.split_once(':').unwrap_or((run, run));
        let number = |text: &str| text.parse::<u32>().unwrap_or_else(|_| panic!("a set: {set}"));
        number(first)..=number(last)
    };
    text.split(',').flat_map(run).collect()
}

/// Deletes all that a mover has.
pub fn empty(imap: SocketAddr, user: &str) {
    let mut session = Imap::login(imap, user, PASSWORD).expect("a mover logs in");
    for name in ["INBOX", "Archive"] {
        session.ok(&format!("SELECT {name}")).expect("it opens");
        session.ok("UID STORE 1:* +FLAGS.SILENT (\\Deleted)").expect("STORE answers");
        session.ok("EXPUNGE").expect("EXPUNGE answers");
    }
}
