use chrono::{DateTime, Utc};
use croner::Cron;
use croner::errors::CronError;
use serde::{Deserialize, Serialize};

use super::session::{Role, sessions};
use crate::base::{SessionId, Timestamp, limits};
use crate::store::{Read, StoreError};

/// When we begin a session with a peer by ourselves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Schedule {
    /// So many seconds after the beginning of the last session that we began.
    Every {
        /// [`limits::SCHEDULE_EVERY_S_MIN`] to [`limits::SCHEDULE_EVERY_S_MAX`].
        seconds: u32,
    },
    /// At the times of a line of cron: minute, hour, day of the month, month and day of the week, in UTC.
    Cron(String),
}

/// What a schedule can't be, in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadSchedule(String);

impl Schedule {
    /// Whether there is such a schedule.
    ///
    /// # Errors
    /// [`BadSchedule`].
    pub fn check(&self) -> Result<(), BadSchedule> {
        match self {
            Self::Every { seconds } => {
                let (least, most) = (limits::SCHEDULE_EVERY_S_MIN, limits::SCHEDULE_EVERY_S_MAX);
                match (least..=most).contains(seconds) {
                    true => Ok(()),
                    false => Err(BadSchedule(format!("every {least} to {most} seconds"))),
                }
            }
            Self::Cron(line) if line.len() > limits::CRON_BYTES => {
                Err(BadSchedule(format!("at most {} octets", limits::CRON_BYTES)))
            }
            Self::Cron(line) => {
                let cron = read(line).map_err(|error| {
                    let how = "minute, hour, day of the month, month and day of the week, as in `*/15 * * * *`";
                    let why = match &error {
                        CronError::ComponentError(why) | CronError::IllegalCharacters(why) => why,
                        // The library would speak of a sixth, for seconds.
                        _ => "five fields are needed",
                    };
                    BadSchedule(format!("{why}: {how}"))
                })?;
                // The 30th of February.
                let next = cron.find_next_occurrence(&DateTime::<Utc>::UNIX_EPOCH, false);
                next.map(drop).map_err(|_| BadSchedule("that time never comes".to_owned()))
            }
        }
    }

    /// The first time behind `after`; `None` where there is none that can be told.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Every { seconds } => Some(after.plus_ms(u64::from(*seconds) * 1000)),
            Self::Cron(line) => {
                let after = DateTime::from_timestamp_millis(i64::try_from(after.ms()).ok()?)?;
                let next = read(line).ok()?.find_next_occurrence(&after, false).ok()?;
                // What was passed in the middle of a minute comes at its beginning.
                let whole_s = u64::try_from(next.timestamp()).ok()?;
                Some(Timestamp(whole_s * 1000))
            }
        }
    }
}

/// Five fields: nobody is dialled every second.
fn read(line: &str) -> Result<Cron, CronError> {
    Cron::new(line).parse()
}

/// When we last began a session with a peer, among those that are kept.
///
/// # Errors
/// [`StoreError`].
pub fn last_call(read: &impl Read, peer: &str) -> Result<Option<Timestamp>, StoreError> {
    let mut before: Option<SessionId> = None;
    while let Some((id, session)) = sessions(read, Some(peer), before, 1)?.pop() {
        if session.role == Role::Initiated {
            return Ok(Some(session.started_at));
        }
        before = Some(id);
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cron(line: &str) -> Schedule {
        Schedule::Cron(line.to_owned())
    }

    #[test]
    fn the_next_time_lies_behind_the_last() {
        let at = |text: &str| Timestamp::parse_rfc3339(&format!("2026-{text}Z")).unwrap();
        for (schedule, after, expected) in [
            (Schedule::Every { seconds: 900 }, "11-22T10:00:01", "11-22T10:15:01"),
            (cron("*/15 * * * *"), "11-22T10:00:00", "11-22T10:15:00"),
            (cron("*/15 * * * *"), "11-22T10:14:59.999", "11-22T10:15:00"),
            (cron("*/15 * * * *"), "11-22T10:15:00.001", "11-22T10:30:00"),
            (cron("30 6 * * *"), "11-22T06:30:00", "11-23T06:30:00"),
            // 0 and 7 are Sunday, as in every crontab: the 22nd is one.
            (cron("0 6 * * 1"), "11-22T06:00:00", "11-23T06:00:00"),
            (cron("0 6 * * 7"), "11-22T06:00:00", "11-29T06:00:00"),
            (cron("0 6 * * MON-FRI"), "11-20T07:00:00", "11-23T06:00:00"),
            (cron("0 0 1 12 *"), "11-22T06:00:00", "12-01T00:00:00"),
        ] {
            assert_eq!(schedule.next(at(after)), Some(at(expected)), "{schedule:?} {after}");
            assert_eq!(schedule.check(), Ok(()));
        }
    }

    #[test]
    fn what_is_no_schedule_is_told() {
        for (wrong, word) in [
            (Schedule::Every { seconds: 59 }, "every 60 to 604800 seconds"),
            (Schedule::Every { seconds: 604_801 }, "every 60 to 604800 seconds"),
            (cron(""), "minute, hour"),
            (cron("* * * *"), "five fields are needed: minute, hour"),
            (cron("*/15 * * * * *"), "five fields are needed: minute, hour"),
            (cron("61 * * * *"), "minute, hour"),
            (cron("0 0 30 2 *"), "never comes"),
            (cron(&format!("{}0 0 * * *", "0,".repeat(60))), "at most 100 octets"),
        ] {
            let told = wrong.check().unwrap_err().to_string();
            assert!(told.contains(word), "{wrong:?}: {told}");
        }
    }
}
