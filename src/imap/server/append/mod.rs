//! APPEND: messages stream into the store while they come, and are committed together when the command is complete.

use super::context::{Context, Enabled, User};
use super::copy::{destination, no_such_mailbox, over_quota, too_many_keywords};
use super::fault::{disk_full, unavailable};
use super::flags::settable;
use super::link::{End, Link};
use crate::base::{MailboxId, SystemFlags, Timestamp, limits};
use crate::imap::wire::{self, Answer, AppendMessage, AppendRest, Code, Frame, Framer, Literal};
use crate::intake::{Append, AppendRefused, Appended, Incoming, IncomingRefused, Taken};
use crate::mailbox;
use crate::message::HeaderError;
use crate::store::WriteError;

/// APPEND (RFC 9051 §6.3.12, RFC 3502, RFC 6855 §4), from the moment when the framer has found the announcement of the
/// first message's literal ([`crate::imap::wire::append`] has read it) to the end of the command. The messages stream
/// into the store.
pub(super) async fn append(
    link: &mut Link,
    framer: &mut Framer,
    context: &Context,
    user: &User,
    enabled: Enabled,
    literal: Literal,
) -> Result<Answer, End> {
    let mut appending = Appending { link, framer, context, enabled, messages: Vec::new(), held_bytes: 0 };
    let mailbox = match appending.begin(user) {
        Ok(mailbox) => mailbox,
        Err(answer) => return appending.refuse(answer).await,
    };
    let mut place = Place::First;
    let mut literal = literal;
    loop {
        let announced = match appending.announced(place, literal) {
            Ok(announced) => announced,
            Err(answer) => return appending.refuse(answer).await,
        };
        let is_utf8 = announced.is_utf8;
        let taken = appending.receive(literal).await?;
        // What follows is read to its end even when the message was refused.
        let next = appending.next().await?;
        let kept = match taken {
            Ok(taken) => appending.keep(announced, taken),
            Err(answer) => Err(answer),
        };
        match (kept, next) {
            (Err(answer), Next::Literal(_)) => return appending.refuse(answer).await,
            (Err(answer), Next::End(_) | Next::Oversize) => return Ok(answer),
            (Ok(()), Next::Literal(next)) => {
                place = Place::Behind { was_utf8: is_utf8 };
                literal = next;
            }
            (Ok(()), Next::Oversize) => return Ok(Answer::bad("the command is too long")),
            (Ok(()), Next::End(rest)) => {
                let read = wire::append_rest(&rest, is_utf8).map(|rest| matches!(rest, AppendRest::End));
                let is_end = read.map_err(|error| error.what);
                appending.framer.recycle(rest);
                return match is_end {
                    Ok(true) => appending.commit(user, mailbox).await,
                    Ok(false) => Ok(Answer::bad("a message is announced and does not come")),
                    Err(what) => Ok(Answer::bad(what)),
                };
            }
        }
    }
}

struct Appending<'a> {
    link: &'a mut Link,
    framer: &'a mut Framer,
    context: &'a Context,
    enabled: Enabled,
    messages: Vec<Appended>,
    /// Octets that the messages take in memory.
    held_bytes: usize,
}

/// Where the announcement of a message stands.
#[derive(Clone, Copy)]
enum Place {
    /// Behind the mailbox.
    First,
    /// Behind another message.
    Behind { was_utf8: bool },
}

/// What was said of a message before it came.
struct Announced {
    flags: SystemFlags,
    keywords: Vec<String>,
    internal_date: Option<Timestamp>,
    is_utf8: bool,
}

/// What follows behind a message.
enum Next {
    /// The end of the command: the rest of its line.
    End(Vec<u8>),
    /// The announcement of a literal.
    Literal(Literal),
    Oversize,
}

impl Appending<'_> {
    /// The mailbox that the command names.
    fn begin(&self, user: &User) -> Result<MailboxId, Answer> {
        match wire::append(self.framer.so_far()) {
            Some(Ok(append)) => destination(self.context, user, self.enabled, &append.mailbox),
            Some(Err(error)) => Err(Answer::bad(error.what)),
            None => Err(Answer::bad("usage: APPEND mailbox [(flags)] [date] message")),
        }
    }

    /// What is said of the message that comes next, when it may come.
    fn announced(&self, place: Place, literal: Literal) -> Result<Announced, Answer> {
        let so_far = self.framer.so_far();
        let usage = Answer::bad("usage: APPEND mailbox [(flags)] [date] message");
        let message = match place {
            Place::First => wire::append(so_far).ok_or(usage)?.map_err(|error| Answer::bad(error.what))?.message,
            Place::Behind { was_utf8 } => match wire::append_rest(so_far, was_utf8) {
                Ok(AppendRest::Message(message)) => message,
                Ok(AppendRest::End) => return Err(usage),
                Err(error) => return Err(Answer::bad(error.what)),
            },
        };
        self.admit(&message, literal)?;
        let (flags, keywords) = settable(&message.flags).ok_or_else(|| Answer::bad("there is no such system flag"))?;
        Ok(Announced { flags, keywords, internal_date: message.internal_date, is_utf8: message.is_utf8 })
    }

    fn admit(&self, message: &AppendMessage<'_>, literal: Literal) -> Result<(), Answer> {
        // RFC 6855 §4
        if message.is_utf8 && !self.enabled.utf8 {
            return Err(Answer::bad("UTF8 is for those who have enabled UTF8=ACCEPT"));
        }
        // RFC 3516 §4.4: what is binary would have to be encoded.
        if literal.is_binary && !message.is_utf8 {
            return Err(Answer::no("binary messages are not taken").with(Code::UnknownCte));
        }
        // RFC 3502 §6.3.11: how a client takes the command back.
        if literal.size_bytes == 0 {
            return Err(Answer::no("an empty message is none"));
        }
        if literal.size_bytes > self.context.message_bytes_max {
            return Err(too_big());
        }
        Ok(())
    }

    /// Takes the octets of a message.
    async fn receive(&mut self, literal: Literal) -> Result<Result<Taken, Answer>, End> {
        if literal.is_synchronising {
            self.link.output().extend_from_slice(b"+ go ahead\r\n");
        }
        self.framer.leave();
        let mut incoming = Incoming::new(self.context.message_bytes_max);
        let mut left = literal.size_bytes;
        while left > 0 {
            let input = self.link.connection.buffered();
            let piece = &input[..input.len().min(usize::try_from(left).unwrap_or(usize::MAX))];
            if piece.is_empty() {
                self.fill().await?;
                continue;
            }
            incoming.push(piece, &self.context.store).await;
            let taken = piece.len();
            left -= taken as u64;
            self.link.connection.consume(taken);
        }
        Ok(incoming.finish().await.map_err(incoming_refusal))
    }

    /// What stands behind a message.
    async fn next(&mut self) -> Result<Next, End> {
        loop {
            let (frame, used) = self.framer.next(self.link.connection.buffered(), limits::IMAP_COMMAND_BYTES);
            self.link.connection.consume(used);
            match frame {
                Frame::Command => return Ok(Next::End(self.framer.take())),
                Frame::Literal(literal) => return Ok(Next::Literal(literal)),
                Frame::Oversize => return Ok(Next::Oversize),
                Frame::Incomplete => self.fill().await?,
            }
        }
    }

    async fn fill(&mut self) -> Result<(), End> {
        self.link.flush().await?;
        match self.link.connection.fill(self.link.idle).await? {
            0 => Err(End::Eof),
            _ => Ok(()),
        }
    }

    /// Passes over what is left of the command. A client that waits for `+` and hears `NO` sends nothing more of it
    /// (RFC 9051 §4.3).
    async fn refuse(&mut self, answer: Answer) -> Result<Answer, End> {
        self.framer.skip();
        match self.next().await? {
            Next::End(rest) => self.framer.recycle(rest),
            Next::Oversize | Next::Literal(_) => {}
        }
        Ok(answer)
    }

    fn keep(&mut self, announced: Announced, taken: Taken) -> Result<(), Answer> {
        let keywords: usize = announced.keywords.iter().map(|keyword| keyword.len() + 24).sum();
        self.held_bytes += taken.held_bytes() + keywords + limits::APPENDED_MESSAGE_BYTES;
        if self.held_bytes > limits::APPENDED_BYTES_HELD {
            return Err(Answer::no("that is too much for one command").with(Code::Limit));
        }
        let now = self.context.clock.now();
        self.messages.push(Appended {
            id: self.context.ids.message(now),
            header_block: taken.header_block,
            body: taken.body,
            summary: taken.summary,
            flags: announced.flags,
            keywords: announced.keywords,
            internal_date: announced.internal_date.unwrap_or(now),
            message_id_field: taken.message_id_field,
        });
        Ok(())
    }

    async fn commit(&mut self, user: &User, mailbox: MailboxId) -> Result<Answer, End> {
        let keywords: Vec<String> = self.messages.iter().flat_map(|message| message.keywords.iter().cloned()).collect();
        if let Err(error) = mailbox::make_room_for_keywords(&self.context.store, mailbox, &keywords).await {
            return Ok(unavailable(&error));
        }
        let append = Append {
            account: user.account,
            mailbox,
            messages: std::mem::take(&mut self.messages),
            by: user.actor(),
            peer_ip: Some(self.link.connection.peer().ip()),
            at: self.context.clock.now(),
        };
        let appended = match self.context.store.write(append).await {
            Ok(appended) => appended.into_inner(),
            Err(error) => return Ok(refusal(error)),
        };
        // RFC 4315 §3
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        for uid in &appended.uids {
            match ranges.last_mut() {
                Some((_, last)) if *last + 1 == uid.0 => *last = uid.0,
                _ => ranges.push((uid.0, uid.0)),
            }
        }
        Ok(Answer::ok("APPEND done").with(Code::AppendUid(appended.uid_validity, ranges)))
    }
}

/// RFC 7889 §4
fn too_big() -> Answer {
    Answer::no("the message is larger than messages may be").with(Code::TooBig)
}

fn incoming_refusal(refused: IncomingRefused) -> Answer {
    match refused {
        IncomingRefused::Nul => Answer::no("there is a NUL in the message").with(Code::Cannot),
        IncomingRefused::TooBig => too_big(),
        IncomingRefused::Header(error) => Answer::no(match error {
            HeaderError::TooLong => format!("the header of the message is longer than {} octets", limits::HEADER_BYTES),
            HeaderError::TooManyLines => {
                format!("the header of the message has more than {} lines", limits::HEADER_LINES)
            }
        })
        .with(Code::Limit),
        IncomingRefused::Full => disk_full(),
        IncomingRefused::Broken(cause) => unavailable(&cause),
    }
}

fn refusal(error: WriteError<AppendRefused>) -> Answer {
    match error {
        WriteError::Refused(AppendRefused::Gone) => no_such_mailbox(),
        WriteError::Refused(AppendRefused::OverQuota) => over_quota(),
        WriteError::Refused(AppendRefused::TooManyKeywords) => too_many_keywords(),
        WriteError::Full => disk_full(),
        other => unavailable(&other),
    }
}
