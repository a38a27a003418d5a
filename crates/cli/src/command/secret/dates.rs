//! When a secret ends, and when it should be another one.

use crate::{cli::Given, failure::Failure, say::when, settings};
use decision::Timestamp;
use store::SecretListing;

/// Before a date, for so long, there is a warning.
const SOON_US: u64 = 14 * 24 * 3_600 * 1_000_000;

/// Nothing is decided for longer: what is said to hold for centuries was mistyped, or never looked at again.
const YEARS_MAX: u64 = 10;
const AHEAD_US_MAX: u64 = (YEARS_MAX * 365 + 3) * 24 * 3_600 * 1_000_000;

/// A time from now, such as `90d`, or a date, which begins at midnight in UTC.
pub(crate) fn parse(text: &str, now: Timestamp) -> Result<Timestamp, Failure> {
    let wrong = || {
        Failure::Usage(format!(
            "`{text}` is no date: write `90d`, `2027-01-31`, `2027-01-31T12:00:00Z` or `never`"
        ))
    };
    let us = |at: jiff::Timestamp| u64::try_from(at.as_microsecond()).map(Timestamp).map_err(|_| wrong());
    let at = if let Some(wait) = settings::duration(text) {
        let wait = u64::try_from(wait.as_micros()).unwrap_or(u64::MAX);
        Timestamp(now.0.saturating_add(wait))
    } else if let Ok(date) = text.parse::<jiff::civil::Date>()
        && text.len() == "2027-01-31".len()
    {
        us(date.to_zoned(jiff::tz::TimeZone::UTC).map_err(|_| wrong())?.timestamp())?
    } else {
        us(text.parse().map_err(|_| wrong())?)?
    };
    if at <= now {
        return Err(Failure::Usage(format!("`{text}` is over already")));
    }
    if is_too_far(at, now) {
        return Err(Failure::Usage(format!("`{text}` is more than {YEARS_MAX} years ahead")));
    }
    Ok(at)
}

/// The date that was said, none where that is `never`, or else the one that is kept.
pub(super) fn chosen(
    said: Option<&str>,
    kept: Option<Timestamp>,
    now: Timestamp,
) -> Result<Option<Timestamp>, Failure> {
    match said {
        None => Ok(kept),
        Some("never") => Ok(None),
        Some(text) => parse(text, now).map(Some),
    }
}

/// Says what a new value has of the one before, with what ends that, and which end it has no longer.
pub(super) fn tell_kept(
    given: &Given,
    kept: &[Option<String>],
    before: &SecretListing,
    keeps_end: bool,
    now: Timestamp,
) {
    let kept: Vec<&str> = kept.iter().flatten().map(String::as_str).collect();
    if !kept.is_empty() {
        given.say.aside(format!("note: as before, {}", kept.join(", ")));
    }
    if keeps_end && before.expires_at.is_some_and(|at| at <= now) {
        given
            .say
            .aside("note: the end of the old value is over; the new one has none: `--expires` gives it one");
    }
}

fn is_too_far(at: Timestamp, now: Timestamp) -> bool {
    at.since(now) > AHEAD_US_MAX
}

/// How a secret stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Good,
    RotateSoon(Timestamp),
    RotateNow(Timestamp),
    ExpiresSoon(Timestamp),
    Expired(Timestamp),
}

pub(crate) fn state(secret: &SecretListing, now: Timestamp) -> State {
    let soon = |at: Timestamp| at.0 <= now.0.saturating_add(SOON_US);
    match (secret.expires_at, secret.rotate_by) {
        (Some(at), _) if at <= now => State::Expired(at),
        (_, Some(at)) if at <= now => State::RotateNow(at),
        (Some(at), _) if soon(at) => State::ExpiresSoon(at),
        (_, Some(at)) if soon(at) => State::RotateSoon(at),
        (_, _) => State::Good,
    }
}

impl State {
    /// For programs.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::RotateSoon(_) => "rotate-soon",
            Self::RotateNow(_) => "rotate-now",
            Self::ExpiresSoon(_) => "expires-soon",
            Self::Expired(_) => "expired",
        }
    }
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Good => f.write_str("good"),
            Self::RotateSoon(at) => write!(f, "to be rotated by {}", when(*at)),
            Self::RotateNow(at) => write!(f, "should have been rotated by {}", when(*at)),
            Self::ExpiresSoon(at) => write!(f, "expires at {}", when(*at)),
            Self::Expired(at) => write!(f, "expired at {}", when(*at)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 24 * 3_600 * 1_000_000;
    /// 2026-11-25 18:00:00 UTC.
    const NOW: Timestamp = Timestamp(1_795_629_600_000_000);

    #[test]
    fn a_date_is_a_time_from_now_or_a_day_and_is_to_come() {
        assert_eq!(parse("90d", NOW).unwrap(), Timestamp(NOW.0 + 90 * DAY));
        assert_eq!(when(parse("2027-01-31", NOW).unwrap()), "2027-01-31 00:00:00");
        assert_eq!(when(parse("2027-01-31T12:00:00+01:00", NOW).unwrap()), "2027-01-31 11:00:00");
        for bad in [
            "",
            "soon",
            "0d",
            "2026-11-25",
            "2027-02-30",
            "2027-01-31 12",
            "1990-01-01T00:00:00Z",
            "31.1.2027",
        ] {
            assert!(matches!(parse(bad, NOW), Err(Failure::Usage(_))), "{bad}");
        }
    }

    #[test]
    fn nothing_is_decided_for_more_than_ten_years() {
        for fine in ["3653d", "2036-11-25", "2036-11-25T18:00:00Z"] {
            assert!(parse(fine, NOW).is_ok(), "{fine}");
        }
        for far in ["3654d", "99999d", "2036-11-27", "2036-11-25T18:00:00.000001Z", "9999-01-01"] {
            let Err(Failure::Usage(told)) = parse(far, NOW) else { panic!("{far}") };
            assert_eq!(told, format!("`{far}` is more than 10 years ahead"));
        }
    }

    #[test]
    fn what_is_over_counts_before_what_is_near() {
        let of = |expires: Option<i64>, rotate: Option<i64>| {
            let at = |days: i64| Timestamp(NOW.0.saturating_add_signed(days * DAY.cast_signed()));
            let secret = SecretListing {
                name: "key".parse().unwrap(),
                user: None,
                server: None,
                version: 1,
                created_at: NOW,
                updated_at: NOW,
                expires_at: expires.map(at),
                rotate_by: rotate.map(at),
            };
            state(&secret, NOW).as_str()
        };
        assert_eq!(of(None, None), "good");
        assert_eq!(of(Some(30), Some(15)), "good");
        assert_eq!(of(Some(30), Some(14)), "rotate-soon");
        assert_eq!(of(Some(14), Some(10)), "expires-soon");
        assert_eq!(of(Some(14), Some(0)), "rotate-now");
        assert_eq!(of(Some(0), Some(-3)), "expired");
    }
}
