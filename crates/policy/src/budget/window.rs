//! For how long a use counts.

use decision::Timestamp;
use decision::budget::Span;
use std::fmt;
use std::str::FromStr;

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;
/// A sliding window is counted in so many parts: a use counts for its window, and at most one part longer.
const PARTS: u64 = 60;
/// Farthest from UTC that a clock on earth is.
const OFFSET_MAX: i16 = 14 * 60;

/// A stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// The last so many microseconds.
    Sliding(u64),
    /// Of the calendar; with the clock's minutes ahead of UTC.
    Day(i16),
    /// From Monday.
    Week(i16),
    Month(i16),
}

impl Window {
    /// Which uses count now, and for how long one that is made now will.
    pub fn at(self, now: Timestamp) -> Span {
        match self {
            Self::Sliding(length) => {
                let part = (length / PARTS).max(1);
                let bucket = now.0 - now.0 % part;
                let since = (now.0 + 1).saturating_sub(part + length);
                let until = bucket.saturating_add(part + length);
                Span { bucket: Timestamp(bucket), since: Timestamp(since), until: Timestamp(until) }
            }
            Self::Day(offset) => days(now, offset, |day| (day, day + 1)),
            Self::Week(offset) => days(now, offset, |day| {
                // the epoch was a Thursday
                let monday = day - (day + 3).rem_euclid(7);
                (monday, monday + 7)
            }),
            Self::Month(offset) => days(now, offset, |day| {
                let (year, month) = month_of(day);
                let next = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
                (first_of(year, month), first_of(next.0, next.1))
            }),
        }
    }
}

/// A stretch of whole days of a clock.
fn days(now: Timestamp, offset: i16, stretch: impl Fn(i64) -> (i64, i64)) -> Span {
    let ahead = i64::from(offset) * 60 * SECOND;
    let here = i64::try_from(now.0).unwrap_or(i64::MAX - DAY * 400).saturating_add(ahead);
    let (from, to) = stretch(here.div_euclid(DAY));
    let time = |day: i64| Timestamp(u64::try_from(day.saturating_mul(DAY) - ahead).unwrap_or_default());
    Span { bucket: time(from), since: time(from), until: time(to) }
}

/// The year and month of a day since the epoch (Hinnant, "chrono-compatible low-level date algorithms").
fn month_of(day: i64) -> (i64, i64) {
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month)
}

/// A time as people write it, in UTC.
pub fn utc(at: Timestamp) -> String {
    let seconds = i64::try_from(at.0 / 1_000_000).unwrap_or(i64::MAX);
    let (day, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, month) = month_of(day);
    let date = day - first_of(year, month) + 1;
    format!("{year:04}-{month:02}-{date:02} {:02}:{:02}:{:02} UTC", rest / 3_600, rest / 60 % 60, rest % 60)
}

/// The first day of a month, in days since the epoch.
fn first_of(year: i64, month: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let from_march = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * from_march + 2) / 5;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year - 719_468
}

impl FromStr for Window {
    type Err = &'static str;

    /// `day`, `week +02:00`, `month`, or a number with a unit such as `90s`, `5m`, `1h`, `30d`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong =
            "write a time such as `1h`, or `day`, `week` or `month`, perhaps with an offset: `day +02:00`";
        let (word, offset) = match text.split_once(' ') {
            Some((word, rest)) => (word, offset(rest).ok_or(wrong)?),
            None => (text, 0),
        };
        match word {
            "day" => return Ok(Self::Day(offset)),
            "week" => return Ok(Self::Week(offset)),
            "month" => return Ok(Self::Month(offset)),
            _ => {}
        }
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at_checked(digits).ok_or(wrong)?;
        let unit: u64 = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            _ => return Err(wrong),
        };
        let seconds = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
        match seconds.filter(|seconds| (1..=366 * 86_400).contains(seconds)) {
            Some(seconds) => Ok(Self::Sliding(seconds * 1_000_000)),
            None => Err("a window is at least a second and at most 366 days long"),
        }
    }
}

/// `+02:00`, `-05:30`, `UTC`, in minutes.
fn offset(text: &str) -> Option<i16> {
    if text == "UTC" {
        return Some(0);
    }
    let (sign, rest) =
        text.strip_prefix('+').map(|rest| (1, rest)).or(text.strip_prefix('-').map(|rest| (-1, rest)))?;
    let (hours, minutes) = rest.split_once(':')?;
    let number = |text: &str| text.parse::<i16>().ok().filter(|_| text.len() == 2);
    let minutes = number(hours)? * 60 + number(minutes).filter(|minutes| *minutes < 60)?;
    (minutes <= OFFSET_MAX).then_some(sign * minutes)
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, offset) = match *self {
            Self::Sliding(length) => {
                let seconds = length / 1_000_000;
                let units = [("d", 86_400), ("h", 3_600), ("m", 60)];
                let unit = units.into_iter().find(|(_, each)| seconds.is_multiple_of(*each));
                let (unit, each) = unit.unwrap_or(("s", 1));
                return write!(f, "{}{unit}", seconds / each);
            }
            Self::Day(offset) => ("day", offset),
            Self::Week(offset) => ("week", offset),
            Self::Month(offset) => ("month", offset),
        };
        match offset {
            0 => f.write_str(word),
            _ => {
                let sign = if offset < 0 { '-' } else { '+' };
                write!(f, "{word} {sign}{:02}:{:02}", offset.abs() / 60, offset.abs() % 60)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Microseconds of a UTC time.
    fn at(days: i64, seconds: i64) -> Timestamp {
        Timestamp(u64::try_from(days * DAY + seconds * SECOND).unwrap())
    }

    #[test]
    fn what_is_written_reads_back() {
        for text in ["1s", "90s", "5m", "1h", "30d", "day", "week", "month", "day +02:00", "month -05:30"] {
            assert_eq!(text.parse::<Window>().unwrap().to_string(), text);
        }
        assert_eq!("day UTC".parse(), Ok(Window::Day(0)));
        for text in [
            "",
            "h",
            "0s",
            "367d",
            "1.5h",
            "1h +01:00",
            "day 02:00",
            "day +2:00",
            "day +15:00",
            "day +01:60",
            "year",
        ] {
            // a sliding window knows no offset
            assert!(text.parse::<Window>().is_err(), "{text}");
        }
    }

    #[test]
    fn days_weeks_and_months_begin_at_midnight_of_their_clock() {
        let is = |window: &str, now: Timestamp, from: Timestamp, to: Timestamp| {
            let span = window.parse::<Window>().unwrap().at(now);
            assert_eq!((span.bucket, span.since, span.until), (from, from, to), "{window}");
        };
        // 2026-03-01 00:30 UTC is day 20513, a Sunday
        let now = at(20_513, 1_800);
        is("day", now, at(20_513, 0), at(20_514, 0));
        is("day -01:00", now, at(20_512, 3_600), at(20_513, 3_600));
        is("day +02:00", now, at(20_512, 79_200), at(20_513, 79_200));
        is("week", now, at(20_507, 0), at(20_514, 0));
        is("month", now, at(20_513, 0), at(20_544, 0));
        is("month -01:00", now, at(20_485, 3_600), at(20_513, 3_600));
        // the leap day of 2028
        is("month", at(21_243, 5), at(21_215, 0), at(21_244, 0));
        is("month", at(20_818, 5), at(20_788, 0), at(20_819, 0));
    }

    #[test]
    fn times_are_written_as_people_do() {
        assert_eq!(utc(Timestamp(1_700_000_000_000_000)), "2023-11-14 22:13:20 UTC");
        assert_eq!(utc(at(21_243, 86_399)), "2028-02-29 23:59:59 UTC");
        assert_eq!(utc(Timestamp(0)), "1970-01-01 00:00:00 UTC");
    }

    #[test]
    fn a_use_counts_for_its_whole_window_and_little_longer() {
        let window = Window::Sliding(60 * 1_000_000);
        for used in [0, 1, 999_999, 1_000_000, 59_999_999, 123_456_789] {
            let span = window.at(Timestamp(used));
            for later in [0, 1, 59_999_999] {
                let since = window.at(Timestamp(used + later)).since;
                assert!(span.bucket >= since, "used at {used}, asked {later} later");
            }
            assert!(span.bucket < window.at(Timestamp(used + 61_000_000)).since, "{used}");
            assert!(span.bucket >= window.at(Timestamp(span.until.0 - 1)).since, "counts until then");
            assert!(span.bucket < window.at(span.until).since, "and there is room again");
        }
    }
}
