use super::commit::Taken;
use super::session::Session;
use crate::base::Reply;
use crate::net::Transcript;
use crate::smtp::machine::DataEnd;
use crate::smtp::wire::{Frame, LineLimit, Mask};
use crate::turn;

/// What is written down of a session: with a peer all of it; of any other what is about the present message, so that the
/// trace can show what led to a refusal.
impl Session {
    /// A peer has logged in: from here on, what is said may become part of the record of a swap.
    pub(super) fn begin_record(&mut self, peer: &turn::Peer) {
        let transcript = Transcript::new();
        transcript.note(&format!("{} has logged in", peer.name));
        self.connection.record(transcript);
    }

    /// What was said of the present message.
    pub(super) fn dialogue(&self) -> String {
        self.connection.transcript().map(Transcript::message).unwrap_or_default()
    }

    /// TLS has begun.
    pub(super) fn note_tls(&self) {
        if let (Some(transcript), Some(tls)) = (self.connection.transcript(), self.tls_text()) {
            transcript.note(&format!("TLS begins: {tls}"));
        }
    }

    /// The message's end was seen.
    pub(super) fn note_data(&self, end: &DataEnd<Taken>) {
        if let (Some(transcript), DataEnd::Taken(taken)) = (self.connection.transcript(), end) {
            transcript.heard_data(taken.bytes);
        }
    }

    /// Our reply, line by line.
    pub(super) fn note_reply(&self, reply: &Reply) {
        let Some(transcript) = self.connection.transcript() else { return };
        let mut lines = Vec::new();
        reply.write_to(&mut lines);
        for line in String::from_utf8_lossy(&lines).lines() {
            transcript.said(line);
        }
    }
}

/// The client's line, without secrets; of an answer within AUTH nothing is kept.
pub(super) fn note_line(transcript: &Transcript, mask: &mut Mask, frame: &Frame<'_>, limit: LineLimit) {
    if begins_message(frame) {
        transcript.begin_message();
    }
    match frame {
        Frame::Line(_) if limit == LineLimit::AuthAnswer => transcript.heard_secret(),
        Frame::Line(line) => transcript.heard(&mask.command(line)),
        Frame::TooLong { .. } | Frame::BareLf => transcript.note("a line that can't be read"),
    }
}

/// MAIL, in whatever spelling.
pub(super) fn begins_message(frame: &Frame<'_>) -> bool {
    matches!(frame, Frame::Line(line) if line.get(..4).is_some_and(|verb| verb.eq_ignore_ascii_case(b"MAIL")))
}
