use std::borrow::Cow;

use clock_types::Date;

use crate::header::{ContentType, Event, HeaderName, MsDiagnostics, NameAddr, SubscriptionState, Warning};
use crate::malformed::BadHeader;
use crate::text::{HeaderText, Text, Token};

/// The headers of a message in the order they stood.
///
/// A value never holds a line end: a folded line is read as one line (RFC 3261 §7.3.1). Otherwise the
/// octets are the sender's. `Content-Length` is not kept: it follows from the body.
#[derive(Clone, Debug, Default)]
pub struct Headers {}

/// One header line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Which header it is.
    pub name: HeaderName,
    /// Its name as written.
    pub written: &'a str,
    /// Its value as written.
    pub value: &'a [u8],
}

impl Headers {
    /// Returns all lines in order.
    pub fn iter(&self) -> impl Iterator<Item = Line<'_>> {
        std::iter::empty()
    }

    /// Returns whether the header is there.
    #[must_use]
    pub fn has(&self, _name: HeaderName) -> bool {
        unimplemented!()
    }

    /// Returns the first line's value as written.
    #[must_use]
    pub fn get(&self, _name: HeaderName) -> Option<&[u8]> {
        unimplemented!()
    }

    /// Returns the first line's value of a header that [`HeaderName`] does not know; any case.
    #[must_use]
    pub fn get_other(&self, _name: &str) -> Option<&[u8]> {
        unimplemented!()
    }

    /// Returns the first line's value as text, invalid UTF-8 replaced.
    #[must_use]
    pub fn text(&self, _name: HeaderName) -> Option<Cow<'_, str>> {
        unimplemented!()
    }

    /// Returns every value of a comma-separated header as written, line after line; commas inside quotes,
    /// angle brackets and parentheses do not separate.
    pub fn values(&self, _name: HeaderName) -> impl Iterator<Item = &[u8]> {
        std::iter::empty()
    }

    /// Returns whether a comma-separated list (`Require`, `Supported`, `Allow`, …) names `token`, in any case.
    #[must_use]
    pub fn lists(&self, _name: HeaderName, _token: &str) -> bool {
        unimplemented!()
    }

    /// Appends a header.
    pub fn push(&mut self, _name: HeaderName, _value: &HeaderText) {
        unimplemented!()
    }

    /// Appends a header that [`HeaderName`] does not know.
    pub fn push_other(&mut self, _name: &Token, _value: &HeaderText) {
        unimplemented!()
    }

    /// Appends every line of a header of another message, octet for octet.
    pub fn copy(&mut self, _name: HeaderName, _from: &Self) {
        unimplemented!()
    }

    /// Appends each Record-Route value of `from` as a Route, octet for octet; `reversed` is what a client does
    /// with a response (RFC 3261 §12.1.2), in order what a server does with a request (§12.1.1).
    pub fn copy_values(&mut self, _name: HeaderName, _from: &[Text]) {
        unimplemented!()
    }

    /// Removes every line of a header.
    pub fn remove(&mut self, _name: HeaderName) {
        unimplemented!()
    }

    /// Returns every value of an address header: Contact, Route, Record-Route, P-Asserted-Identity.
    ///
    /// # Errors
    /// Says what is wrong with which header.
    pub fn addresses(&self, _name: HeaderName) -> Result<Vec<NameAddr>, BadHeader> {
        unimplemented!()
    }

    /// Returns the first Contact value; `None` if there is none or it is `*`.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn contact(&self) -> Result<Option<NameAddr>, BadHeader> {
        unimplemented!()
    }

    /// Returns `Content-Type`.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn content_type(&self) -> Result<Option<ContentType>, BadHeader> {
        unimplemented!()
    }

    /// Returns `Max-Forwards`; values over 255 read as 255 (RFC 4475 §3.1.2.4).
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn max_forwards(&self) -> Result<Option<u8>, BadHeader> {
        unimplemented!()
    }

    /// Returns `Expires` in seconds; a number too large reads as 2^32-1.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn expires(&self) -> Result<Option<u32>, BadHeader> {
        unimplemented!()
    }

    /// Returns `Min-Expires` in seconds.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn min_expires(&self) -> Result<Option<u32>, BadHeader> {
        unimplemented!()
    }

    /// Returns `Event`.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn event(&self) -> Result<Option<Event>, BadHeader> {
        unimplemented!()
    }

    /// Returns `Subscription-State`.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn subscription_state(&self) -> Result<Option<SubscriptionState>, BadHeader> {
        unimplemented!()
    }

    /// Returns `Date`.
    ///
    /// # Errors
    /// Says what is wrong with it; RFC 3261 §20.17 knows GMT only.
    pub fn date(&self) -> Result<Option<Date>, BadHeader> {
        unimplemented!()
    }

    /// Returns the seconds of `Retry-After`.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn retry_after(&self) -> Result<Option<u32>, BadHeader> {
        unimplemented!()
    }

    /// Returns the well-formed values of `Warning`.
    #[must_use]
    pub fn warnings(&self) -> Vec<Warning> {
        unimplemented!()
    }

    /// Returns `ms-diagnostics`, else `ms-diagnostics-public`, if well-formed.
    #[must_use]
    pub fn ms_diagnostics(&self) -> Option<MsDiagnostics> {
        unimplemented!()
    }
}
