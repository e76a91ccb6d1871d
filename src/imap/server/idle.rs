use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::link::End;
use super::selected::{Selected, SyncError};
use super::session::{Session, State};
use crate::base::limits;
use crate::imap::wire::Answer;

/// What ends a wait.
enum Woken {
    Changed,
    Input(usize),
    Silence,
    Stop,
}

impl Session {
    /// Tells what changes at once, until the client ends it. What waits here should hold as little as it can.
    // RFC 2177
    pub(super) async fn idle(&mut self, mut state: State) -> Result<(State, Answer), End> {
        self.link.connection.write(b"+ idling\r\n");
        let selected = match &mut state {
            State::Selected(_, selected) => Some(&mut **selected),
            _ => None,
        };
        self.wait_for_done(selected).await?;
        let answer = match self.link.line(limits::IDLE_LINE_BYTES, true).await? {
            Some(line) if line.eq_ignore_ascii_case(b"DONE") => Answer::ok("idling is done"),
            _ => Answer::bad("expected DONE"),
        };
        Ok((state, answer))
    }

    /// Comes back when there is input.
    async fn wait_for_done(&mut self, mut selected: Option<&mut Selected>) -> Result<(), End> {
        let mut changed = selected.as_ref().map(|selected| selected.view.watch());
        let end = Instant::now() + self.link.idle;
        loop {
            if let Some(selected) = &mut selected {
                if let Some(changed) = &mut changed {
                    changed.mark_unchanged();
                }
                self.tell_changes(selected).await?;
            }
            self.link.flush().await?;
            if !self.link.connection.buffered().is_empty() {
                return Ok(());
            }
            self.link.connection.rest();
            let keepalive = Instant::now() + self.context.keepalive;
            let woken = tokio::select! {
                biased;
                () = self.link.stop.cancelled() => Woken::Stop,
                filled = self.link.connection.fill(Duration::MAX) => Woken::Input(filled?),
                true = has_changed(changed.as_mut()) => Woken::Changed,
                () = sleep_until(keepalive.min(end)) => Woken::Silence,
            };
            match woken {
                Woken::Stop => return Err(self.link.stopped()),
                Woken::Input(0) => return Err(End::Eof),
                Woken::Input(_) => return Ok(()),
                Woken::Changed => {}
                Woken::Silence if Instant::now() >= end => return Err(End::SILENT),
                // Routers on the way forget a connection over which nothing goes.
                Woken::Silence => self.link.connection.write(b"* OK still here\r\n"),
            }
        }
    }

    async fn tell_changes(&mut self, selected: &mut Selected) -> Result<(), End> {
        let (link, store) = (&mut self.link, &self.context.store);
        match Box::pin(selected.sync(link, store, self.enabled, true, &[])).await {
            Ok(()) => Ok(()),
            Err(SyncError::End(end)) => Err(end),
            Err(SyncError::Gone) => Err(End::Bye("the mailbox was deleted")),
            Err(SyncError::Store(error)) => {
                tracing::error!(%error, "a mailbox could not be read");
                Ok(())
            }
        }
    }
}

/// Waits for the next change; false when there will be none.
async fn has_changed(watch: Option<&mut tokio::sync::watch::Receiver<u64>>) -> bool {
    match watch {
        Some(watch) => watch.changed().await.is_ok(),
        None => std::future::pending().await,
    }
}
