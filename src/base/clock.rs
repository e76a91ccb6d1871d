use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

/// Milliseconds of a day.
pub const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// A moment: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// Milliseconds since 1970.
    pub fn ms(self) -> u64 {
        self.0
    }

    /// The moment `ms` milliseconds later; the end of time instead of an overflow.
    #[must_use]
    pub fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds since `earlier`; 0 when it is later.
    pub fn ms_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    fn date_time(self) -> OffsetDateTime {
        // A row's time may be damaged: the last second of the year 9999 stands for what has no date.
        let seconds = i64::try_from(self.0 / 1000).unwrap_or(i64::MAX).min(253_402_300_799);
        let moment = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        moment + time::Duration::milliseconds((self.0 % 1000) as i64)
    }

    /// As in `2026-11-22T10:05:00.123Z` (RFC 3339), for JSON and people.
    pub fn rfc3339(self) -> String {
        self.date_time().format(&Rfc3339).unwrap_or_default()
    }

    /// The same without what is not good in a file's name, as in `20261122T100500Z`.
    pub fn in_a_name(self) -> String {
        self.rfc3339().replace(['-', ':'], "")
    }

    /// As in `Sun, 22 Nov 2026 10:05:00 +0000`, for header fields.
    // RFC 5322 §3.3
    pub fn rfc5322(self) -> String {
        let format = format_description!(
            "[weekday repr:short], [day padding:none] [month repr:short] [year] [hour]:[minute]:[second] +0000"
        );
        self.date_time().format(&format).unwrap_or_default()
    }

    /// Reads an RFC 3339 time.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        let moment = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        u64::try_from(moment.unix_timestamp_nanos() / 1_000_000).ok().map(Self)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339())
    }
}

/// What time it is; passed in, so that a test can turn it.
pub trait Clock: Send + Sync + 'static {
    /// Now, by the wall clock.
    fn now(&self) -> Timestamp;

    /// Milliseconds since some fixed moment, by a clock that nobody sets: it never jumps.
    fn monotonic_ms(&self) -> u64;
}

/// The machine's own clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    fn monotonic_ms(&self) -> u64 {
        static START: OnceLock<Instant> = OnceLock::new();
        u64::try_from(START.get_or_init(Instant::now).elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// A clock that stands still until it is turned.
#[derive(Debug)]
pub struct TurnedClock {
    wall: AtomicU64,
    monotonic: AtomicU64,
}

impl TurnedClock {
    /// A clock that shows `start`.
    pub fn new(start: Timestamp) -> Self {
        Self { wall: AtomicU64::new(start.0), monotonic: AtomicU64::new(0) }
    }

    /// Lets time pass.
    pub fn advance_ms(&self, ms: u64) {
        self.wall.fetch_add(ms, Ordering::SeqCst);
        self.monotonic.fetch_add(ms, Ordering::SeqCst);
    }

    /// Sets the wall clock, also backwards: it jumps, and no time has passed.
    pub fn set(&self, to: Timestamp) {
        self.wall.store(to.0, Ordering::SeqCst);
    }
}

impl Clock for TurnedClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.wall.load(Ordering::SeqCst))
    }

    fn monotonic_ms(&self) -> u64 {
        self.monotonic.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_reads_as_its_rfcs_write_it() {
        let moment = Timestamp(1_795_341_900_123);
        assert_eq!(moment.rfc3339(), "2026-11-22T10:05:00.123Z");
        assert_eq!(moment.rfc5322(), "Sun, 22 Nov 2026 10:05:00 +0000");
        assert_eq!(Timestamp::parse_rfc3339("2026-11-22T11:05:00.123+01:00"), Some(moment));
        assert_eq!(Timestamp(u64::MAX).rfc3339().len(), "9999-12-31T23:59:59.615Z".len());
    }
}
