use time::{Date, Month};

use super::cursor::Cursor;

/// 1970-01-01 in Julian days.
const EPOCH: i32 = 2_440_588;
const MONTHS: [&[u8; 3]; 12] =
    [b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"];

/// The day that the value of a Date field names, in days since 1970-01-01; its time and zone are disregarded.
// RFC 5322 §3.3, §4.3
pub(super) fn day(value: &[u8]) -> Option<i32> {
    let mut cursor = Cursor::new(value);
    cursor.skip_blank();
    // The name of the day says nothing, and obsolete forms leave out its comma.
    cursor.take_while(|byte| byte.is_ascii_alphabetic());
    cursor.skip_blank();
    cursor.eat(b',');
    cursor.skip_blank();
    let day = number(&mut cursor, 2)?;
    separator(&mut cursor);
    let name = cursor.take_while(|byte| byte.is_ascii_alphabetic()).get(..3)?;
    let month = (1_u8..).zip(MONTHS).find(|(_, month)| name.eq_ignore_ascii_case(*month))?.0;
    separator(&mut cursor);
    let digits = cursor.clone().take_while(|byte| byte.is_ascii_digit()).len();
    let year = match (digits, number(&mut cursor, 4)?) {
        // RFC 5322 §4.3: obs-year
        (2, year @ 0..50) => year + 2000,
        (2 | 3, year) => year + 1900,
        (4, year) => year,
        _ => return None,
    };
    let date = Date::from_calendar_date(year, Month::try_from(month).ok()?, u8::try_from(day).ok()?).ok()?;
    date.to_julian_day().checked_sub(EPOCH)
}

/// White space, comments, or the hyphens of a date as in `1-Jan-2026`.
fn separator(cursor: &mut Cursor<'_>) {
    cursor.skip_blank();
    cursor.eat(b'-');
    cursor.skip_blank();
}

fn number(cursor: &mut Cursor<'_>, digits_max: usize) -> Option<i32> {
    let digits = cursor.take_while(|byte| byte.is_ascii_digit());
    if digits.is_empty() || digits.len() > digits_max {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &str, expected: Option<i32>) {
        assert_eq!(day(value.as_bytes()), expected, "{value}");
    }

    #[test]
    fn dates_of_mail_are_read() {
        check("Thu, 01 Jan 1970 00:00:00 +0000", Some(0));
        check("1 Jan 1970 23:59:59 -1200", Some(0));
        check(" Wed, 31 Dec 1969 12:00:00 GMT", Some(-1));
        check("Sun, 22 Nov 2026 07:50:11 +0000", Some(20_779));
        check("Sun,22 nov 2026 07:50", Some(20_779));
        check("Sun (a day), (b) 22 (c) Nov (d) 2026 (e) 07:50:11 +0000", Some(20_779));
        check("Sun,\r\n 22 Nov\r\n\t26 07:50:11 PST", Some(20_779));
        check("Sunday 22 November 2026", Some(20_779));
        check("22-Nov-2026 07:50:11 +0000", Some(20_779));
        check("1 Jan 70", Some(0));
        check("1 Jan 100 00:00:00 EST", Some(10_957));
        check("1 Jan 00 00:00:00 EST", Some(10_957));
        check("29 Feb 2024", Some(19_782));
    }

    #[test]
    fn what_is_no_date_is_none() {
        for wrong in [
            "",
            "today",
            "Thu, ",
            "32 Jan 2026",
            "0 Jan 2026",
            "29 Feb 2023",
            "1 Foo 2026",
            "1 Ja",
            "1 Jan",
            "1 Jan 5",
            "1 Jan 20260",
            "001 Jan 2026",
            "99999999999999999999 Jan 2026",
            "Mon Nov 22 07:50:11 2026",
        ] {
            check(wrong, None);
        }
    }
}
