//! A point in time, as people write it.

use std::{fmt, str::FromStr, time::SystemTime};

use serde::{Deserialize, Serialize};
use toml::value::{Datetime, Offset};

/// Seconds since 1970; in text a date, which begins at midnight UTC, or a time as RFC 3339 has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Moment(
    /// The seconds.
    pub u64,
);

/// What a moment is, for whoever wrote something else.
pub(crate) const EXPECTED: &str =
    "a date or a time since 1970 in quotes, such as \"2030-01-31\" or \"2030-01-31T18:00:00Z\"";

const DAY_S: i64 = 24 * 3600;

impl Moment {
    /// As this machine's clock has it.
    pub fn now() -> Self {
        // A clock before 1970 is wrong; that nothing has expired by then is not.
        let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Self(since_1970.map_or(0, |since| since.as_secs()))
    }
}

impl FromStr for Moment {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Datetime { date: Some(date), time, offset } = text.trim().parse().map_err(|_| EXPECTED)? else {
            return Err(EXPECTED);
        };
        let offset_minutes = match (&time, offset) {
            (None, None) | (Some(_), Some(Offset::Z)) => 0,
            (Some(_), Some(Offset::Custom { minutes })) => i64::from(minutes),
            // Whose noon it is nobody knows.
            _ => return Err(EXPECTED),
        };
        let of_day = time.map_or(0, |time| {
            i64::from(time.hour) * 3600 + i64::from(time.minute) * 60 + i64::from(time.second)
        });
        let days = days_since_1970(i64::from(date.year), i64::from(date.month), i64::from(date.day));
        u64::try_from(days * DAY_S + of_day - offset_minutes * 60).map(Self).map_err(|_| EXPECTED)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = i64::try_from(self.0).unwrap_or(i64::MAX);
        let (days, of_day) = (seconds / DAY_S, seconds % DAY_S);
        let (year, month, day) = date_of(days);
        write!(f, "{year:04}-{month:02}-{day:02}")?;
        if of_day != 0 {
            write!(f, "T{:02}:{:02}:{:02}Z", of_day / 3600, of_day / 60 % 60, of_day % 60)?;
        }
        Ok(())
    }
}

impl TryFrom<String> for Moment {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Moment> for String {
    fn from(moment: Moment) -> Self {
        moment.to_string()
    }
}

/// Days of the Gregorian calendar, counted in eras of 400 years that begin on 1 March, so that a leap day is a year's
/// last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month > 2 { year } else { year - 1 };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn date_of(days_since_1970: i64) -> (i64, i64, i64) {
    let days = days_since_1970 + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_and_written() {
        let check = |text: &str, seconds: u64, written: &str| {
            let moment: Moment = text.parse().unwrap_or_else(|_| panic!("{text}"));
            assert_eq!((moment.0, moment.to_string().as_str()), (seconds, written), "{text}");
            assert_eq!(written.parse(), Ok(moment));
        };
        check("1970-01-01", 0, "1970-01-01");
        check("2000-02-29", 951_782_400, "2000-02-29");
        check("2026-11-21T21:48:06Z", 1_795_297_686, "2026-11-21T21:48:06Z");
        check("2030-01-31 18:00:00+02:00", 1_896_105_600, "2030-01-31T16:00:00Z");
        check("9999-12-31", 253_402_214_400, "9999-12-31");
        for wrong in ["", "tomorrow", "1969-12-31", "2030-13-01", "12:00:00", "2030-01-31T18:00:00", "2030"] {
            assert!(wrong.parse::<Moment>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_day_is_its_own() {
        for day in (0..80_000).step_by(17) {
            let (year, month, of_month) = date_of(day);
            assert_eq!(days_since_1970(year, month, of_month), day);
        }
    }
}
