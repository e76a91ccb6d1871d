use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::ServerError;
use super::doors::{Doors, Entrance};
use crate::store::{Opening, Stage};

/// So long a start may take before clients are told to come again later: until then they wait, and are served.
const QUIET_START: Duration = Duration::from_millis(300);
/// How often the log says how far it is.
const LOG_EVERY: Duration = Duration::from_secs(5);

/// Waits for what is opened behind the doors. `None`: it was told to stop before, and has changed nothing.
pub(super) async fn wait<T>(
    doors: Entrance,
    opening: &Arc<Opening>,
    stop: impl Future<Output = &'static str>,
    opened: impl Future<Output = Result<T, ServerError>>,
) -> Result<Option<(Doors, T)>, ServerError> {
    let (mut opened, mut stop) = (pin!(opened), pin!(stop));
    let (mut doors, mut closed) = match doors {
        Entrance::Open(doors) => (Some(doors), None),
        Entrance::Closed(doors) => (None, Some(doors)),
    };
    let mut logged = Instant::now();
    let mut look = tokio::time::interval_at(tokio::time::Instant::now() + QUIET_START, QUIET_START);
    let opened = loop {
        tokio::select! {
            opened = &mut opened => break opened?,
            signal = &mut stop => {
                tracing::info!(signal, "stopping before the file is open");
                opening.give_up();
                return Ok(None);
            }
            _ = look.tick() => {}
        }
        let stage = opening.stage();
        // Perhaps another server has the file, and this one is about to end.
        if stage == Stage::Waiting {
            continue;
        }
        if let Some(doors) = doors.take() {
            closed = Some(doors.close(opening)?);
        }
        if let Stage::Repairing(percent) = stage
            && logged.elapsed() >= LOG_EVERY
        {
            logged = Instant::now();
            tracing::warn!(event = "repairing", percent, "the file is being repaired");
        }
        if let Stage::Upgrading(percent) = stage
            && logged.elapsed() >= LOG_EVERY
        {
            logged = Instant::now();
            tracing::warn!(event = "upgrading", percent, "the file is being upgraded");
        }
    };
    if let Some(closed) = closed {
        doors = Some(closed.open().await?);
    }
    Ok(doors.map(|doors| (doors, opened)))
}
