use std::time::Duration;

use tokio::time::Instant;

use super::record::{begins_message, note_line};
use super::report::Asked;
use super::session::{End, Session, Smtp};
use crate::directory::Presence;
use crate::net::ConnectionError;
use crate::smtp::machine::{Effects, Input, Profile, State, step};
use crate::smtp::wire::{Frame, Framed, LineLimit};
use crate::telemetry::smtp_verb;

/// How often a waiting session looks whether others need its place.
const PATIENCE_CHECK: Duration = Duration::from_secs(5);

impl Session {
    /// RFC 5321 §4.3.1: the client waits for the greeting. One that does not is no mail server.
    pub(super) async fn first_input(&mut self) -> Result<Input<'static, Smtp>, End> {
        if self.profile == Profile::Submission {
            return Ok(Input::Connected);
        }
        if !self.connection.buffered().is_empty() {
            return Ok(Input::EarlyTalk);
        }
        match self.connection.fill(Duration::ZERO).await {
            Ok(0) => Err(End::Eof),
            Ok(_) => Ok(Input::EarlyTalk),
            Err(ConnectionError::TimedOut) => Ok(Input::Connected),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits for the next line, or for what comes instead of it, and takes the step.
    pub(super) async fn listen(&mut self, state: State<Smtp>) -> Result<(State<Smtp>, Effects<Smtp>), End> {
        // The time for a whole line: a client that sends it octet by octet gains nothing.
        let since = Instant::now();
        loop {
            if self.context.stop.is_cancelled() {
                return Ok(step(state, Input::Stop));
            }
            if self.is_logged_out() {
                return Ok(step(state, Input::LoggedOut));
            }
            if self.budget.is_spent(Instant::now()) {
                return Ok(step(state, Input::Exhausted));
            }
            let buffered = self.connection.buffered();
            let Framed { frame, consumed } = self.framer.next(buffered, state.line_limit());
            if let Some(frame) = frame {
                let is_followed = buffered.len() > consumed;
                if let Some(transcript) = self.connection.transcript() {
                    note_line(transcript, &mut self.mask, &frame, state.line_limit());
                }
                if begins_message(&frame) {
                    self.told.begin_message();
                }
                let verb = match &frame {
                    Frame::Line(_) if state.line_limit() == LineLimit::AuthAnswer => "AUTH",
                    Frame::Line(line) => smtp_verb(line),
                    Frame::TooLong { .. } | Frame::BareLf => "other",
                };
                self.spoken = Some((verb, Instant::now()));
                self.asked = match frame {
                    Frame::Line(line) => Asked::line(&state, line),
                    Frame::TooLong { .. } | Frame::BareLf => None,
                };
                let stepped = step(
                    state,
                    match frame {
                        Frame::Line(line) => Input::Line { line, is_followed },
                        Frame::TooLong { .. } => Input::LineTooLong,
                        Frame::BareLf => Input::BareLf,
                    },
                );
                self.connection.consume(consumed);
                return Ok(stepped);
            }
            self.connection.consume(consumed);
            // RFC 2920 §3.2: replies are gathered while there are commands, and sent before we wait for more.
            self.connection.flush(self.context.idle).await?;
            let stop = self.presence.as_ref().map_or(&self.context.stop, Presence::stop).clone();
            match stop.run_until_cancelled(self.fill(since, since + self.context.idle)).await {
                None if self.is_logged_out() => return Ok(step(state, Input::LoggedOut)),
                None => return Ok(step(state, Input::Stop)),
                Some(Ok(())) => {}
                Some(Err(End::Connection(ConnectionError::TimedOut))) if self.budget.is_spent(Instant::now()) => {}
                Some(Err(End::Connection(ConnectionError::TimedOut))) => return Ok(step(state, Input::Idle)),
                Some(Err(end)) => return Err(end),
            }
        }
    }

    /// Waits for more octets from a client that has been silent `since`, at the longest until `deadline`. The first
    /// that come behind our 250 say that the client has read it.
    pub(super) async fn fill(&mut self, since: Instant, deadline: Instant) -> Result<(), End> {
        let count = loop {
            let patience = if self.is_known { self.context.idle } else { self.connection.patience(self.context.idle) };
            let until = self.budget.cap(deadline.min(since + patience));
            let within = until.saturating_duration_since(Instant::now());
            match self.connection.fill(within.min(PATIENCE_CHECK)).await {
                Err(ConnectionError::TimedOut) if within > PATIENCE_CHECK => {}
                count => break count?,
            }
        };
        if count == 0 {
            return Err(End::Eof);
        }
        self.budget.spend(count);
        for confirm in self.unconfirmed.drain(..) {
            self.context.store.ride(confirm);
        }
        Ok(())
    }
}
