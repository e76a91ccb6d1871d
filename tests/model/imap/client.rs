//! A client that knows of its mailbox only what it is told, and holds every response against the rules of when it may
//! come.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::timeout;

use super::oracle::{BoxId, Flags, Mailbox};
use crate::imap_wire::{Answer, Response, Responses, Status, Value, item};

/// How long a response may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A session.
pub struct Client {
    stream: DuplexStream,
    responses: Responses,
    tag: u32,
    /// It has a mailbox open.
    pub view: Option<View>,
    /// CONDSTORE is on: every FETCH response with flags has their MODSEQ.
    pub condstore: bool,
    idling: Option<String>,
}

/// A mailbox as the client was told of it.
#[derive(Debug)]
pub struct View {
    pub mailbox: BoxId,
    pub read_only: bool,
    pub messages: Vec<Told>,
}

/// A message as the client was told of it.
#[derive(Debug, Clone, Default)]
pub struct Told {
    pub uid: Option<u32>,
    pub flags: Option<Flags>,
    pub modseq: Option<u64>,
}

impl Client {
    /// Takes over a connection and logs in.
    pub async fn login(stream: DuplexStream, user: &str, password: &str) -> Result<Self, String> {
        let (responses, view) = (Responses::default(), None);
        let mut client = Self { stream, responses, tag: 0, view, condstore: false, idling: None };
        match client.response().await? {
            Some(Response::Status(greeting)) if greeting.kind == "OK" => {}
            other => return Err(format!("not a greeting: {other:?}")),
        }
        client.ok(&format!("LOGIN {user} {password}")).await?;
        Ok(client)
    }

    /// Sends a command and reads up to its end. `expunges`: the numbers of messages may change meanwhile. An answer
    /// whose status is BYE is the session's end.
    pub async fn command(&mut self, command: &str, expunges: bool) -> Result<Answer, String> {
        self.tag += 1;
        let tag = format!("t{}", self.tag);
        self.send(&format!("{tag} {command}\r\n")).await;
        self.end(&tag, expunges).await.map_err(|error| format!("{}: {error}", command.escape_debug()))
    }

    /// The same, but insists on OK.
    pub async fn ok(&mut self, command: &str) -> Result<Answer, String> {
        let answer = self.command(command, true).await?;
        match answer.status.kind.as_str() {
            "OK" => Ok(answer),
            _ => Err(format!("OK expected to {command}, not {:?}", answer.status)),
        }
    }

    async fn send(&mut self, text: &str) {
        // A server that has closed does not read: what it said before comes next.
        let _ = timeout(PATIENCE, self.stream.write_all(text.as_bytes())).await;
    }

    async fn end(&mut self, tag: &str, expunges: bool) -> Result<Answer, String> {
        let (mut untagged, mut bye) = (Vec::new(), None);
        loop {
            match self.response().await? {
                // What was done is answered also where the session ends with it.
                Some(Response::Status(status)) if status.tag == tag => {
                    return Ok(Answer { untagged, status: bye.unwrap_or(status) });
                }
                Some(Response::Status(status)) if status.kind == "BYE" => bye = Some(status),
                Some(response) => {
                    self.take(&response, expunges)?;
                    untagged.push(response);
                }
                None => {
                    let status = bye.ok_or("the session ended without BYE")?;
                    return Ok(Answer { untagged, status });
                }
            }
        }
    }

    async fn response(&mut self) -> Result<Option<Response>, String> {
        loop {
            if let Some(response) = self.responses.next()? {
                return Ok(Some(response));
            }
            let mut bytes = [0; 16 * 1024];
            let read = timeout(PATIENCE, self.stream.read(&mut bytes)).await;
            match read.map_err(|_| "the server is silent")?.map_err(|error| error.to_string())? {
                0 if self.responses.is_empty() => return Ok(None),
                0 => return Err("the server closed in the middle of a response".to_owned()),
                count => self.responses.push(&bytes[..count]),
            }
        }
    }

    /// Takes an untagged response over into the view.
    fn take(&mut self, response: &Response, expunges: bool) -> Result<(), String> {
        let wrong = |what: &str| Err(format!("{what}: {response:?}"));
        if response.code("CLOSED").is_some() {
            self.view = None;
        }
        let Some(view) = &mut self.view else { return Ok(()) };
        if let Some(count) = response.counted("EXISTS") {
            if (count as usize) < view.messages.len() {
                return wrong("EXISTS takes messages away");
            }
            view.messages.resize(count as usize, Told::default());
        }
        if let Some(number) = response.counted("EXPUNGE") {
            // RFC 9051 §7.5.1
            if !expunges {
                return wrong("EXPUNGE at a forbidden moment");
            }
            if number == 0 || number as usize > view.messages.len() {
                return wrong("EXPUNGE of a message that is not there");
            }
            view.messages.remove(number as usize - 1);
        }
        if let Some((number, items)) = response.fetch() {
            let Some(told) = (number as usize).checked_sub(1).and_then(|at| view.messages.get_mut(at)) else {
                return wrong("FETCH of a message that is not there");
            };
            if let Some(uid) = item(items, "UID").and_then(Value::number) {
                let uid = u32::try_from(uid).map_err(|_| "a UID of more than 32 bits")?;
                if told.uid.replace(uid).is_some_and(|before| before != uid) {
                    return wrong("another UID for the same message");
                }
            }
            if let Some(flags) = item(items, "FLAGS") {
                told.flags = Some(flags_of(flags));
                // RFC 7162 §3.2.4
                if self.condstore && item(items, "MODSEQ").is_none() {
                    return wrong("FLAGS without MODSEQ");
                }
            }
            let modseq = item(items, "MODSEQ").and_then(|value| value.list()?.first()?.number());
            if modseq.is_some() && told.modseq > modseq {
                return wrong("MODSEQ goes backwards");
            }
            told.modseq = modseq.or(told.modseq);
        }
        Ok(())
    }

    /// Opens a mailbox, and asks for what the client has to know of its messages.
    pub async fn open(
        &mut self,
        name: &str,
        mailbox: BoxId,
        read_only: bool,
        condstore: bool,
    ) -> Result<Answer, String> {
        self.view = None;
        self.condstore |= condstore;
        let verb = if read_only { "EXAMINE" } else { "SELECT" };
        let answer = self.ok(&format!("{verb} {name}{}", if condstore { " (CONDSTORE)" } else { "" })).await?;
        let exists = answer.untagged.iter().find_map(|response| response.counted("EXISTS")).ok_or("no EXISTS")?;
        let messages = vec![Told::default(); exists as usize];
        self.view = Some(View { mailbox, read_only, messages });
        let is_writable = answer.status.code_of("READ-WRITE").is_some();
        if is_writable == read_only {
            return Err(format!("{verb}: {:?}", answer.status));
        }
        self.ask().await?;
        Ok(answer)
    }

    /// Asks for the UIDs and flags of messages that came, as a client does that was told EXISTS.
    pub async fn ask(&mut self) -> Result<(), String> {
        let Some(view) = &self.view else { return Ok(()) };
        let Some(first) = view.messages.iter().position(|told| told.uid.is_none()) else { return Ok(()) };
        let items = if self.condstore { "UID FLAGS MODSEQ" } else { "UID FLAGS" };
        let answer = self.command(&format!("FETCH {}:* ({items})", first + 1), false).await?;
        // Nobody else has done anything since the messages were told.
        let view = self.view.as_ref().ok_or("the mailbox is gone")?;
        match view.messages.iter().all(|told| told.uid.is_some() && told.flags.is_some()) && answer.status.kind == "OK"
        {
            true => Ok(()),
            false => Err(format!("new messages are not told: {:?}", answer.status)),
        }
    }

    /// The view is as the mailbox, and the MODSEQs that were told are the newest.
    pub fn is_up_to_date(&self, mailbox: &Mailbox) -> Result<(), String> {
        self.agrees(mailbox)?;
        for (told, (uid, message)) in self.view.iter().flat_map(|view| &view.messages).zip(&mailbox.messages) {
            if self.condstore && told.modseq.is_some_and(|modseq| modseq != message.modseq) {
                return Err(format!("UID {uid} was told with MODSEQ {:?} and has {}", told.modseq, message.modseq));
            }
        }
        Ok(())
    }

    /// The view is as the mailbox, and what was asked for is known of each message.
    pub fn agrees(&self, mailbox: &Mailbox) -> Result<(), String> {
        let view = self.view.as_ref().ok_or("no mailbox is open")?;
        let told: Vec<(Option<u32>, Option<&Flags>)> =
            view.messages.iter().map(|told| (told.uid, told.flags.as_ref())).collect();
        let is: Vec<(Option<u32>, Option<&Flags>)> =
            mailbox.messages.iter().map(|(uid, message)| (Some(*uid), Some(&message.flags))).collect();
        if told != is {
            return Err(format!("the client was told {told:?}\n  and there is {is:?}"));
        }
        Ok(())
    }

    /// Begins to idle.
    pub async fn idle(&mut self) -> Result<(), String> {
        self.tag += 1;
        let tag = format!("t{}", self.tag);
        self.send(&format!("{tag} IDLE\r\n")).await;
        loop {
            match self.response().await? {
                Some(Response::Continue(_)) => {
                    self.idling = Some(tag);
                    return Ok(());
                }
                Some(Response::Status(Status { tag: of, kind, .. })) if of != "*" || kind == "BYE" => {
                    return Err(format!("{kind} to IDLE"));
                }
                Some(response) => self.take(&response, true)?,
                None => return Err("the session ended at IDLE".to_owned()),
            }
        }
    }

    pub fn is_idling(&self) -> bool {
        self.idling.is_some()
    }

    /// Waits until it has been told of `count` messages with these flags where it knows them, as an idling client has to
    /// be at once; then ends IDLE. False: the session has ended with BYE.
    pub async fn done(&mut self, mailbox: Option<&Mailbox>) -> Result<bool, String> {
        let Some(tag) = self.idling.take() else { return Ok(true) };
        loop {
            let is_told = match (mailbox, &self.view) {
                (Some(mailbox), Some(view)) => {
                    view.messages.len() == mailbox.messages.len()
                        && view.messages.iter().zip(&mailbox.messages).all(|(told, (uid, message))| {
                            told.uid.is_none_or(|told| told == *uid)
                                && (told.uid.is_none() || told.flags.as_ref() == Some(&message.flags))
                        })
                }
                _ => false,
            };
            if is_told {
                break;
            }
            match self.response().await.map_err(|error| format!("an idling client is not told: {error}"))? {
                Some(Response::Status(status)) if status.kind == "BYE" => return Ok(false),
                Some(response) => self.take(&response, true)?,
                None => return Err("the session ended in IDLE without BYE".to_owned()),
            }
        }
        self.send("DONE\r\n").await;
        let answer = self.end(&tag, true).await?;
        if answer.status.kind == "OK" { Ok(true) } else { Err(format!("DONE: {:?}", answer.status)) }
    }
}

/// A list of flags as a set, without `\Recent`.
fn flags_of(value: &Value) -> Flags {
    let flags = value.list().unwrap_or_default().iter().filter_map(Value::bytes);
    flags.map(|flag| String::from_utf8_lossy(flag).into_owned()).filter(|flag| flag != "\\Recent").collect()
}
