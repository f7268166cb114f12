//! Dates as XMPP and CPIM write them.

use clock_types::Date;

/// Reads a date and time of XEP-0082 or RFC 3339: `2026-04-04T12:16:49.5-05:00`. `None` for everything else,
/// such as a 30th of February.
pub(crate) fn parse_date_time(text: &str) -> Option<Date> {
    let octets = text.as_bytes();
    let separators = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if octets.len() < 20 || separators.iter().any(|(at, octet)| octets[*at] != *octet) {
        return None;
    }
    let number = |from: usize, to: usize| digits(&octets[from..to]);
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    // A leap second is read as the second before it.
    if !(1..=12).contains(&month)
        || !(1..=days_in(year, month)).contains(&day)
        || hour > 23
        || minute > 59
        || second > 60
    {
        return None;
    }
    let (millis, zone) = fraction(&octets[19..])?;
    let seconds = (days_from_civil(year, month, day) * 24 + hour) * 3600 + minute * 60 + second.min(59);
    Some(Date::from_unix_millis((seconds - offset(zone)?) * 1000 + millis))
}

/// Reads `.5` and leaves the zone.
fn fraction(rest: &[u8]) -> Option<(i64, &[u8])> {
    let Some(rest) = rest.strip_prefix(b".") else {
        return Some((0, rest));
    };
    let end = rest.iter().position(|octet| !octet.is_ascii_digit())?;
    if end == 0 {
        return None;
    }
    let mut millis = 0;
    for place in 0..3 {
        millis = millis * 10 + rest[..end].get(place).map_or(0, |digit| i64::from(digit - b'0'));
    }
    Some((millis, &rest[end..]))
}

/// Reads `Z` or `+hh:mm` as seconds east of Greenwich.
fn offset(zone: &[u8]) -> Option<i64> {
    let (sign, rest) = match zone {
        b"Z" => return Some(0),
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => return None,
    };
    let [h1, h2, b':', m1, m2] = rest else {
        return None;
    };
    let (hours, minutes) = (digits(&[*h1, *h2])?, digits(&[*m1, *m2])?);
    (hours <= 23 && minutes <= 59).then_some(sign * (hours * 3600 + minutes * 60))
}

fn digits(octets: &[u8]) -> Option<i64> {
    octets
        .iter()
        .try_fold(0, |number, octet| octet.is_ascii_digit().then(|| number * 10 + i64::from(octet - b'0')))
}

const fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Returns the number of days since 1970-01-01; years start in March inside, so that the leap day ends one.
const fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let march_month = (month + 9) % 12;
    let of_year = (153 * march_month + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_both_forms_are_read() {
        for (text, printed) in [
            ("2010-11-13T23:29:00Z", "2010-11-13T23:29:00.000Z"),
            ("2000-02-29T12:00:00.5678+02:30", "2000-02-29T09:30:00.567Z"),
            ("1969-12-31T23:59:59.9-00:00", "1969-12-31T23:59:59.900Z"),
            ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59.000Z"),
        ] {
            assert_eq!(
                parse_date_time(text).map(|date| date.to_string()).as_deref(),
                Some(printed),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in [
            "",
            "2010-11-13",
            "2010-11-13T23:29:00",
            "2010-02-30T23:29:00Z",
            "2010-13-01T23:29:00Z",
            "2010-11-13T24:00:00Z",
            "2010-11-13T23:29:00.Z",
            "2010-11-13T23:29:00.5",
            "2010-11-13T23:29:00+1:00",
            "2010-11-13T23:29:00Zéééé",
            "éééééééééééééééééééé",
        ] {
            assert_eq!(parse_date_time(text), None, "{text}");
        }
    }
}
