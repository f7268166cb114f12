//! The headers as typed values, parsed when asked for.

use clock_types::Date;

use super::Headers;
use crate::header::{
    ContentType, Event, HeaderName, MsDiagnostics, NameAddr, SubscriptionState, Via, Warning,
};
use crate::malformed::BadHeader;
use crate::octets;
use crate::text::Text;

impl Headers {
    /// Returns every value of an address header: Contact, Route, Record-Route, P-Asserted-Identity.
    ///
    /// # Errors
    /// Says what is wrong with which header.
    pub fn addresses(&self, name: HeaderName) -> Result<Vec<NameAddr>, BadHeader> {
        self.verbatim(name)
            .iter()
            .map(|value| NameAddr::parse(value.to_text()).map_err(|what| BadHeader { name, what }))
            .collect()
    }

    /// Returns every Via, the top one first.
    ///
    /// # Errors
    /// Says what is wrong with one of them.
    pub fn vias(&self) -> Result<Vec<Via>, BadHeader> {
        self.verbatim(HeaderName::Via)
            .iter()
            .map(|value| {
                Via::parse(value.to_text()).map_err(|what| BadHeader { name: HeaderName::Via, what })
            })
            .collect()
    }

    /// Returns the first Contact value; `None` if there is none or it is `*`.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn contact(&self) -> Result<Option<NameAddr>, BadHeader> {
        let name = HeaderName::Contact;
        match self.verbatim(name).first() {
            None => Ok(None),
            Some(value) if value.as_bytes() == b"*" => Ok(None),
            Some(value) => {
                NameAddr::parse(value.to_text()).map(Some).map_err(|what| BadHeader { name, what })
            }
        }
    }

    /// Returns `Content-Type`.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn content_type(&self) -> Result<Option<ContentType>, BadHeader> {
        self.parsed(HeaderName::ContentType, ContentType::parse, "it is no media type")
    }

    /// Returns `Max-Forwards`; values over 255 read as 255 (RFC 4475 §3.1.2.4).
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn max_forwards(&self) -> Result<Option<u8>, BadHeader> {
        let hops = self.number(HeaderName::MaxForwards, u32::from(u8::MAX))?;
        Ok(hops.map(|hops| u8::try_from(hops).unwrap_or(u8::MAX)))
    }

    /// Returns `Expires` in seconds; a number too large reads as 2^32-1 (RFC 3261 §20.19).
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn expires(&self) -> Result<Option<u32>, BadHeader> {
        self.number(HeaderName::Expires, u32::MAX)
    }

    /// Returns `Min-Expires` in seconds.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn min_expires(&self) -> Result<Option<u32>, BadHeader> {
        self.number(HeaderName::MinExpires, u32::MAX)
    }

    /// Returns `Event`.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn event(&self) -> Result<Option<Event>, BadHeader> {
        self.parsed(HeaderName::Event, Event::parse, "it is no event package")
    }

    /// Returns `Subscription-State`.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn subscription_state(&self) -> Result<Option<SubscriptionState>, BadHeader> {
        self.parsed(HeaderName::SubscriptionState, SubscriptionState::parse, "it is no state")
    }

    /// Returns `Date`.
    ///
    /// # Errors
    /// Says what is wrong with it; RFC 3261 §20.17 knows GMT only.
    pub fn date(&self) -> Result<Option<Date>, BadHeader> {
        self.parsed(HeaderName::Date, |text| parse_date(&text), "it is no date in GMT")
    }

    /// Returns the seconds of `Retry-After`, its comment and parameters left out.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn retry_after(&self) -> Result<Option<u32>, BadHeader> {
        let name = HeaderName::RetryAfter;
        let Some(value) = self.get(name) else { return Ok(None) };
        let end = value.iter().position(|octet| !octet.is_ascii_digit()).unwrap_or(value.len());
        let what = "it is no number of seconds";
        octets::digits(&value[..end])
            .map(|number| Some(number.capped(u32::MAX)))
            .ok_or(BadHeader { name, what })
    }

    /// Returns the well-formed values of `Warning`.
    #[must_use]
    pub fn warnings(&self) -> Vec<Warning> {
        self.verbatim(HeaderName::Warning)
            .iter()
            .filter_map(|value| Warning::parse(value.to_text()))
            .collect()
    }

    /// Returns `ms-diagnostics`, else `ms-diagnostics-public`, else `ms-client-diagnostics`, if well-formed.
    #[must_use]
    pub fn ms_diagnostics(&self) -> Option<MsDiagnostics> {
        [HeaderName::MsDiagnostics, HeaderName::MsDiagnosticsPublic]
            .into_iter()
            .find_map(|name| self.shared(name).and_then(MsDiagnostics::parse))
            .or_else(|| {
                let value = self.get_other("ms-client-diagnostics")?;
                MsDiagnostics::parse(Text::from(String::from_utf8_lossy(value).as_ref()))
            })
    }

    /// Parses every header that has a typed value here.
    ///
    /// # Errors
    /// Says what is wrong with the first that does not parse.
    pub fn check(&self) -> Result<(), BadHeader> {
        self.vias()?;
        if self.get(HeaderName::Contact) != Some(b"*") {
            self.addresses(HeaderName::Contact)?;
        }
        for name in [HeaderName::Route, HeaderName::RecordRoute, HeaderName::PAssertedIdentity] {
            self.addresses(name)?;
        }
        self.content_type()?;
        self.max_forwards()?;
        self.expires()?;
        self.min_expires()?;
        self.event()?;
        self.subscription_state()?;
        self.date()?;
        self.retry_after()?;
        Ok(())
    }

    fn parsed<T>(
        &self,
        name: HeaderName,
        parse: impl FnOnce(Text) -> Option<T>,
        what: &'static str,
    ) -> Result<Option<T>, BadHeader> {
        match self.shared(name) {
            Some(text) => parse(text).map(Some).ok_or(BadHeader { name, what }),
            None => Ok(None),
        }
    }

    fn number(&self, name: HeaderName, max: u32) -> Result<Option<u32>, BadHeader> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let what = "it is no number";
        octets::digits(value).map(|number| Some(number.capped(max))).ok_or(BadHeader { name, what })
    }
}

/// Returns the date of `Sat, 13 Nov 2010 23:29:00 GMT` (RFC 3261 §25.1 `rfc1123-date`).
fn parse_date(text: &str) -> Option<Date> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (weekday, rest) = text.split_once(", ")?;
    if !["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"].contains(&weekday) {
        return None;
    }
    let mut parts = rest.split(' ');
    let (day, month, year, time, zone) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    if zone != "GMT" || parts.next().is_some() || day.len() != 2 || year.len() != 4 {
        return None;
    }
    let number = |text: &str, max: u32| octets::digits(text.as_bytes())?.up_to(max).map(i64::from);
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    let (year, day) = (number(year, 9999)?, number(day, 31).filter(|day| *day > 0)?);
    let mut clock = time.split(':');
    let (hour, minute, second) = (clock.next()?, clock.next()?, clock.next()?);
    if clock.next().is_some() || time.len() != 8 {
        return None;
    }
    let seconds = number(hour, 23)? * 3600 + number(minute, 59)? * 60 + number(second, 60)?;
    let days = days_from_civil(year, i64::try_from(month).ok()?, day);
    Some(Date::from_unix_millis((days * 86_400 + seconds) * 1000))
}

/// Returns the number of days from 1970-01-01 in the proleptic Gregorian calendar; years start in March
/// inside, so that the leap day is the last of its year.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::{HeaderText, Token};

    #[test]
    fn a_date_reads_as_it_prints() {
        for millis in [0, 951_782_400_000, 1_289_690_940_000, 4_102_444_799_000] {
            let date = Date::from_unix_millis(millis);

            assert_eq!(parse_date(&date.to_sip_date()), Some(date));
        }
    }

    #[test]
    fn a_date_is_in_gmt() {
        for text in
            ["Fri, 01 Jan 2010 16:00:00 EST", "01 Jan 2010 16:00:00 GMT", "Fri, 32 Jan 2010 16:00:00 GMT", ""]
        {
            assert_eq!(parse_date(text), None, "{text}");
        }
    }

    #[test]
    fn scalars_never_wrap() {
        let mut headers = Headers::default();
        headers.push(HeaderName::Expires, &HeaderText::from_static("4294967296"));
        headers.push(HeaderName::MaxForwards, &HeaderText::from_static("0300"));
        headers.push(HeaderName::RetryAfter, &HeaderText::from_static("18000;duration=3600 (in a meeting)"));

        assert_eq!(headers.expires(), Ok(Some(u32::MAX)));
        assert_eq!(headers.max_forwards(), Ok(Some(255)));
        assert_eq!(headers.retry_after(), Ok(Some(18000)));
        headers.remove(HeaderName::Expires);
        headers.push(HeaderName::Expires, &HeaderText::from_static("-1"));
        assert!(headers.expires().is_err());
    }

    #[test]
    fn diagnostics_are_found_under_each_of_their_names() {
        let mut headers = Headers::default();
        assert_eq!(headers.ms_diagnostics(), None);

        let client = Token::parse("Ms-Client-Diagnostics").unwrap();
        headers.push_other(&client, &HeaderText::from_static("52094;reason=\"y\""));
        assert_eq!(headers.ms_diagnostics().unwrap().id, 52094);
        headers.push(HeaderName::MsDiagnosticsPublic, &HeaderText::from_static("1009;reason=\"x\""));
        assert_eq!(headers.ms_diagnostics().unwrap().id, 1009);
    }
}
