use std::time::Duration;

use super::context::Enabled;
use super::link::End;
use super::session::{Done, Session, State};
use crate::base::limits;
use crate::imap::wire::{Answer, Code, Framer, write_answer};

impl Session {
    /// Whether STARTTLS would do something.
    pub(super) fn can_start_tls(&self) -> bool {
        self.context.tls.is_some() && self.link.connection.tls().is_none() && !self.context.is_disabled("STARTTLS")
    }

    // RFC 9051 §6.2.1
    pub(super) async fn start_tls(&mut self, tag: &[u8]) -> Result<Done, End> {
        let Some(tls) = self.context.tls.clone().filter(|_| self.can_start_tls()) else {
            let is_active = self.link.connection.tls().is_some();
            let text = if is_active { "TLS is active already" } else { "TLS is not available" };
            return Ok(Done::error(State::NotAuthenticated, Answer::bad(text)));
        };
        // Whatever came behind STARTTLS came in the clear; answered inside TLS, it would pass for protected.
        if !self.link.connection.buffered().is_empty() {
            return Err(End::BytesBehindStartTls);
        }
        write_answer(self.link.output(), Some(tag), &Answer::ok("begin TLS"));
        self.link.flush().await?;
        self.link.connection.start_tls(tls, Duration::from_secs(limits::TLS_HANDSHAKE_S)).await?;
        // What was said in the clear is forgotten.
        (self.framer, self.enabled) = (Framer::new(), Enabled::default());
        Ok(Done::answered(State::NotAuthenticated))
    }

    // RFC 4978 §3
    pub(super) async fn compress(&mut self, state: State, tag: &[u8], algorithm: &[u8]) -> Result<Done, End> {
        if !algorithm.eq_ignore_ascii_case(b"DEFLATE") {
            return Ok(Done::error(state, Answer::bad("the only algorithm is DEFLATE")));
        }
        if self.link.connection.is_deflated() {
            let answer = Answer::no("the connection is compressed already").with(Code::CompressionActive);
            return Ok(Done::new(state, answer));
        }
        // What is there already can't be compressed: the client did not know yet.
        if !self.link.connection.buffered().is_empty() {
            return Ok(Done::error(state, Answer::bad("COMPRESS must be the last command before its answer")));
        }
        write_answer(self.link.output(), Some(tag), &Answer::ok("compression begins"));
        self.link.flush().await?;
        self.link.connection.start_deflate();
        Ok(Done::answered(state))
    }
}
