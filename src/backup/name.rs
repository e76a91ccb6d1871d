use std::fmt;
use std::str::FromStr;

use crate::base::Timestamp;

/// What every copy's name ends in.
const SUFFIX: &str = ".redb";

/// Why a copy was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// By the schedule: the oldest go when there are more than are wanted.
    Daily,
    /// Because somebody asked for it: it stays until somebody removes it.
    Manual,
}

/// A copy's id: why it was made and when, as in `daily-20261122T030000Z`. It is the file's name without its ending, and
/// nothing else is taken for one: no path leads out of the folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    /// When, to the second. First, so that the ids sort by it.
    pub at: Timestamp,
    /// Why.
    pub origin: Origin,
}

/// It is no id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the id of a backup is daily- or manual- and a time, as in daily-20261122T030000Z")]
pub struct NoId;

impl Id {
    /// That of a copy that is made now.
    pub fn new(origin: Origin, now: Timestamp) -> Self {
        Self { at: Timestamp(now.ms() / 1000 * 1000), origin }
    }

    /// That of the next second.
    pub(super) fn next(self) -> Self {
        Self { at: self.at.plus_ms(1000), ..self }
    }

    /// The name of its file.
    pub fn file_name(self) -> String {
        format!("{self}{SUFFIX}")
    }

    /// The id of a file with this name.
    pub fn of_file_name(name: &str) -> Option<Self> {
        name.strip_suffix(SUFFIX)?.parse().ok()
    }
}

impl Origin {
    /// As in an id.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Daily => "daily",
            Self::Manual => "manual",
        }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.at.in_a_name();
        write!(f, "{}-{at}", self.origin.as_str())
    }
}

impl FromStr for Id {
    type Err = NoId;

    fn from_str(text: &str) -> Result<Self, NoId> {
        let (origin, at) = text.split_once('-').ok_or(NoId)?;
        let origin = match origin {
            "daily" => Origin::Daily,
            "manual" => Origin::Manual,
            _ => return Err(NoId),
        };
        let digits =
            |from: usize, to: usize| at.get(from..to).filter(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
        let (Some(date), Some("T"), Some(clock), Some("Z")) = (digits(0, 8), at.get(8..9), digits(9, 15), at.get(15..))
        else {
            return Err(NoId);
        };
        let (year, month, day) = (&date[..4], &date[4..6], &date[6..]);
        let (hour, minute, second) = (&clock[..2], &clock[2..4], &clock[4..]);
        let at = Timestamp::parse_rfc3339(&format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z")).ok_or(NoId)?;
        Ok(Self { at, origin })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_is_shown() {
        let id = Id::new(Origin::Daily, Timestamp::parse_rfc3339("2026-11-22T03:00:00.750Z").unwrap());
        assert_eq!(id.to_string(), "daily-20261122T030000Z");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(Id::of_file_name(&id.file_name()), Some(id));
        assert!(id < Id { at: id.at.plus_ms(1000), origin: Origin::Daily });
    }

    #[test]
    fn what_is_none_is_refused() {
        for text in [
            "",
            "daily",
            "daily-",
            "weekly-20261122T030000Z",
            "daily-20261122T030000",
            "daily-20261122T030000Z/",
            "daily-20261122 030000Z",
            "daily-20261322T030000Z",
            "daily-2026112\u{661}T03000Z",
            "../daily-20261122T030000Z",
            "daily-../../etc/passwd",
        ] {
            assert_eq!(text.parse::<Id>(), Err(NoId), "{text}");
        }
    }
}
