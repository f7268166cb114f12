use std::fmt;
use std::time::Duration;

/// An instant of the calendar (UTC), in milliseconds since 1970-01-01.
///
/// Prints as RFC 3339 with milliseconds, the form XEP-0082 and RFC 3339 readers expect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(i64);

impl Date {
    /// Returns the instant `milliseconds` after 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn from_unix_millis(milliseconds: i64) -> Self {
        Self(milliseconds)
    }

    /// Returns the milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn unix_millis(self) -> i64 {
        self.0
    }

    /// Returns the instant `later` after this one.
    #[must_use]
    pub fn plus(self, later: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(later.as_millis()).unwrap_or(i64::MAX)))
    }

    /// Returns the calendar fields.
    #[must_use]
    pub fn fields(self) -> Fields {
        let days = self.0.div_euclid(86_400_000);
        let of_day = self.0.rem_euclid(86_400_000);
        let (year, month, day) = civil_from_days(days);
        let weekday = (days + 4).rem_euclid(7);
        Fields {
            year,
            month,
            day,
            hour: of_day / 3_600_000,
            minute: of_day / 60_000 % 60,
            second: of_day / 1000 % 60,
            millisecond: of_day % 1000,
            weekday: WEEKDAYS[usize::try_from(weekday).unwrap_or(0)],
        }
    }

    /// Returns the form of the SIP `Date` header: `Sat, 13 Nov 2010 23:29:00 GMT` (RFC 3261 §20.17).
    #[must_use]
    pub fn to_sip_date(self) -> String {
        let f = self.fields();
        let month = MONTHS[usize::try_from(f.month - 1).unwrap_or(0)];
        format!(
            "{}, {:02} {month} {:04} {:02}:{:02}:{:02} GMT",
            f.weekday, f.day, f.year, f.hour, f.minute, f.second
        )
    }
}

/// A date taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the calendar's")]
pub struct Fields {
    pub year: i64,
    pub month: i64,
    pub day: i64,
    pub hour: i64,
    pub minute: i64,
    pub second: i64,
    pub millisecond: i64,
    pub weekday: &'static str,
}

impl fmt::Display for Date {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let f = self.fields();
        write!(
            out,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
            f.year, f.month, f.day, f.hour, f.minute, f.second, f.millisecond
        )
    }
}

const WEEKDAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Returns year, month and day of a day number counted from 1970-01-01 in the proleptic Gregorian
/// calendar. Years start in March inside, so that the leap day is the last day of its year.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_prints_in_the_forms_of_both_protocols() {
        let date = Date::from_unix_millis(1_289_690_940_000);

        assert_eq!(date.to_string(), "2010-11-13T23:29:00.000Z");
        assert_eq!(date.to_sip_date(), "Sat, 13 Nov 2010 23:29:00 GMT");
    }

    #[test]
    fn leap_days_and_dates_before_the_epoch_are_right() {
        assert_eq!(Date::from_unix_millis(951_782_400_000).to_string(), "2000-02-29T00:00:00.000Z");
        assert_eq!(Date::from_unix_millis(-1).to_string(), "1969-12-31T23:59:59.999Z");
    }
}
