use super::reader::{Read, Reader};
use crate::base::Timestamp;

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DATE: &str = "expected a date such as 1-Feb-1994";
const DATE_TIME: &str = "expected a date-time such as \"17-Jul-1996 02:44:25 -0700\"";
const SECONDS_PER_DAY: i64 = 86_400;

impl Reader<'_> {
    /// A day, in quotes or not: days since 1970-01-01.
    // RFC 9051 §9 "date"
    pub(super) fn date(&mut self) -> Read<i32> {
        let is_quoted = self.eat(b'"');
        let day = self.day(DATE)?;
        if is_quoted {
            self.expect(b'"', DATE)?;
        }
        i32::try_from(day).map_err(|_| DATE)
    }

    /// A moment, in quotes. What is before 1970 becomes its first moment.
    // RFC 9051 §9 "date-time"
    pub(super) fn date_time(&mut self) -> Read<Timestamp> {
        self.expect(b'"', DATE_TIME)?;
        self.spaces();
        let day = self.day(DATE_TIME)?;
        self.expect(b' ', DATE_TIME)?;
        let hour = self.digits(2, 23, DATE_TIME)?;
        self.expect(b':', DATE_TIME)?;
        let minute = self.digits(2, 59, DATE_TIME)?;
        self.expect(b':', DATE_TIME)?;
        let second = self.digits(2, 60, DATE_TIME)?;
        self.expect(b' ', DATE_TIME)?;
        let is_west = self.eat(b'-');
        if !is_west {
            self.expect(b'+', DATE_TIME)?;
        }
        let zone_s = self.digits(2, 99, DATE_TIME)? * 3600 + self.digits(2, 59, DATE_TIME)? * 60;
        self.expect(b'"', DATE_TIME)?;
        let local_s = day * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second;
        let utc_s = if is_west { local_s + zone_s } else { local_s - zone_s };
        Ok(Timestamp(u64::try_from(utc_s).unwrap_or(0).saturating_mul(1000)))
    }

    // RFC 9051 §9 "date-text"
    fn day(&mut self, what: &'static str) -> Read<i64> {
        let digits = if self.digits_ahead() == 1 { 1 } else { 2 };
        let day = self.digits(digits, 31, what)?;
        self.expect(b'-', what)?;
        let name = self.take_while(|byte| byte.is_ascii_alphabetic());
        let month = (1..).zip(MONTHS).find(|(_, month)| name.eq_ignore_ascii_case(month.as_bytes()));
        let (month, _) = month.ok_or(what)?;
        self.expect(b'-', what)?;
        let year = self.digits(4, 9999, what)?;
        if !(1..=days_of_month(year, month)).contains(&day) {
            return Err("a month does not have that day");
        }
        Ok(days_since_1970(year, month, day))
    }

    fn digits_ahead(&self) -> usize {
        let mut ahead = *self;
        ahead.take_while(|byte| byte.is_ascii_digit()).len()
    }

    fn digits(&mut self, count: usize, max: i64, what: &'static str) -> Read<i64> {
        let mut number = 0;
        for _ in 0..count {
            let digit = self.peek().filter(u8::is_ascii_digit).ok_or(what)?;
            self.eat(digit);
            number = number * 10 + i64::from(digit - b'0');
        }
        if number > max { Err(what) } else { Ok(number) }
    }
}

/// Writes a date-time with its quotes, in UTC. RFC 9051 §9 "date-time"
pub fn write_date_time(out: &mut Vec<u8>, at: Timestamp) {
    // A row's time may be damaged: the last second of the year 9999 stands for what has no date.
    let seconds = i64::try_from(at.0 / 1000).unwrap_or(i64::MAX).min(253_402_300_799);
    let (year, month, day) = civil(seconds / SECONDS_PER_DAY);
    let month = usize::try_from(month - 1).ok().and_then(|month| MONTHS.get(month)).copied().unwrap_or_default();
    let time = seconds % SECONDS_PER_DAY;
    out.push(b'"');
    // RFC 9051 §9 "date-day-fixed": a space stands for a first digit that is 0.
    out.push(if day < 10 { b' ' } else { digit(day / 10) });
    out.extend_from_slice(&[digit(day), b'-']);
    out.extend_from_slice(month.as_bytes());
    out.push(b'-');
    out.extend_from_slice(&[digit(year / 1000), digit(year / 100), digit(year / 10), digit(year), b' ']);
    out.extend_from_slice(&[digit(time / 36_000), digit(time / 3600), b':']);
    out.extend_from_slice(&[digit(time / 600 % 6), digit(time / 60), b':']);
    out.extend_from_slice(&[digit(time / 10 % 6), digit(time)]);
    out.extend_from_slice(b" +0000\"");
}

/// The last decimal digit of a number.
fn digit(number: i64) -> u8 {
    b'0' + (number % 10).unsigned_abs() as u8
}

fn days_of_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to that day of the Gregorian calendar. Years are counted from March on, so that the leap day is
/// the last of its year; 400 of them have 146,097 days.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The other way: year, month and day.
pub(super) fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expected: Option<i32>) {
        let mut reader = Reader::new(text.as_bytes());
        let seen = reader.date().ok().filter(|_| reader.is_empty());
        assert_eq!(seen, expected, "{text:?}");
    }

    fn check_moment(text: &str, expected: Option<u64>) {
        let mut reader = Reader::new(text.as_bytes());
        let seen = reader.date_time().ok().filter(|_| reader.is_empty()).map(|at| at.0);
        assert_eq!(seen, expected.map(|seconds| seconds * 1000), "{text:?}");
    }

    #[test]
    fn dates_are_days_since_1970() {
        check("1-Jan-1970", Some(0));
        check("\"31-dec-1969\"", Some(-1));
        check("01-FEB-1994", Some(8797));
        check("29-Feb-2000", Some(11016));
        check("1-Mar-2000", Some(11017));
        check("28-Feb-1900", Some(-25509));
        check("31-Dec-9999", Some(2_932_896));
        check("1-Jan-0000", Some(-719_528));
        for wrong in
            ["29-Feb-1900", "29-Feb-2023", "31-Apr-2020", "0-Jan-2020", "32-Jan-2020", "1-Foo-2020", "1-January-2020"]
        {
            check(wrong, None);
        }
        for wrong in
            ["001-Jan-2020", "1-Jan-20", "1-Jan-20200", "1 Jan 2020", "2020-01-01", "\"1-Jan-2020", "1-Jan-2020\"", ""]
        {
            check(wrong, None);
        }
    }

    #[test]
    fn moments_are_seconds_since_1970_in_utc() {
        check_moment("\"17-Jul-1996 02:44:25 -0700\"", Some(837_596_665));
        check_moment("\" 1-Jan-1970 00:00:00 +0000\"", Some(0));
        check_moment("\"1-Jan-1970 00:00:01 +0000\"", Some(1));
        check_moment("\" 1-Jan-1970 01:30:01 +0130\"", Some(1));
        check_moment("\"31-Dec-1969 23:59:59 +0000\"", Some(0));
        check_moment("\"31-Dec-2016 23:59:60 +0000\"", Some(1_483_228_800));
        check_moment("\"22-Nov-2026 10:05:00 +0000\"", Some(1_795_341_900));
        for wrong in ["17-Jul-1996 24:44:25 -0700", "17-Jul-1996 02:60:25 -0700", "17-Jul-1996 02:44:61 -0700"] {
            check_moment(&format!("\"{wrong}\""), None);
        }
        for wrong in [
            "17-Jul-1996 2:44:25 -0700",
            "17-Jul-1996 02:44:25 GMT",
            "17-Jul-1996 02:44:25",
            "17-Jul-1996 02:44:25 -07:00",
        ] {
            check_moment(&format!("\"{wrong}\""), None);
        }
        check_moment("17-Jul-1996 02:44:25 -0700", None);
    }

    #[test]
    fn a_moment_is_written_in_utc() {
        let written = |seconds: u64| {
            let mut out = Vec::new();
            write_date_time(&mut out, Timestamp(seconds.saturating_mul(1000)));
            String::from_utf8(out).unwrap()
        };
        assert_eq!(written(837_596_665), "\"17-Jul-1996 09:44:25 +0000\"");
        assert_eq!(written(0), "\" 1-Jan-1970 00:00:00 +0000\"");
        assert_eq!(written(u64::MAX), "\"31-Dec-9999 23:59:59 +0000\"");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(seconds in 0..253_402_300_799_u64) {
            let mut out = Vec::new();
            write_date_time(&mut out, Timestamp(seconds * 1000));
            prop_assert_eq!(Reader::new(&out).date_time(), Ok(Timestamp(seconds * 1000)));
            // The time crate counts in its own way.
            let shown = Timestamp(seconds * 1000).rfc5322();
            let (day, time) = (shown.split(' ').nth(1).unwrap(), shown.split(' ').nth(4).unwrap());
            let written = String::from_utf8(out).unwrap();
            prop_assert!(written.contains(time) && written.trim_start_matches(['"', ' ']).starts_with(day), "{} {}", shown, written);
        }
    }
}
