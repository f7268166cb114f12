//! Normalisation of localparts and resources (RFC 6122 appendices A and B, RFC 3454).

use std::borrow::Cow;

use stringprep::tables;
use unicode_normalization::UnicodeNormalization;

use super::{JidError, PART_MAX};

/// Normalises a localpart (RFC 6122 appendix A).
pub(super) fn localpart(raw: &str) -> Result<Cow<'_, str>, JidError> {
    if raw.is_empty() {
        return Err(JidError::LocalpartEmpty);
    }
    if raw.is_ascii() {
        return ascii_localpart(raw);
    }
    if raw.len() > 8 * PART_MAX {
        return Err(JidError::LocalpartTooLong);
    }
    // Mapped to nothing by RFC 3454 table B.1, but then two spellings would be one address.
    if raw.chars().any(|c| tables::commonly_mapped_to_nothing(c) || is_invisible(c)) {
        return Err(JidError::LocalpartForbidden);
    }
    let normalised = fold(raw);
    // A mapping that changes its own result would let one address have two normal forms.
    if normalised.chars().any(forbidden_in_localpart)
        || contradicts_itself(&normalised)
        || fold(&normalised) != normalised
    {
        return Err(JidError::LocalpartForbidden);
    }
    match normalised.len() {
        0 => Err(JidError::LocalpartEmpty),
        1..=PART_MAX => Ok(Cow::Owned(normalised)),
        _ => Err(JidError::LocalpartTooLong),
    }
}

fn ascii_localpart(raw: &str) -> Result<Cow<'_, str>, JidError> {
    if raw.len() > PART_MAX {
        return Err(JidError::LocalpartTooLong);
    }
    if raw.bytes().any(|octet| forbidden_ascii(octet as char)) {
        return Err(JidError::LocalpartForbidden);
    }
    if raw.bytes().any(|octet| octet.is_ascii_uppercase()) {
        return Ok(Cow::Owned(raw.to_ascii_lowercase()));
    }
    Ok(Cow::Borrowed(raw))
}

/// Normalises a resource (RFC 6122 appendix B).
pub(super) fn resource(raw: &str) -> Result<Cow<'_, str>, JidError> {
    if raw.is_empty() {
        return Err(JidError::ResourceEmpty);
    }
    if raw.is_ascii() {
        return if raw.len() > PART_MAX {
            Err(JidError::ResourceTooLong)
        } else if raw.bytes().any(|octet| octet.is_ascii_control()) {
            Err(JidError::ResourceForbidden)
        } else {
            Ok(Cow::Borrowed(raw))
        };
    }
    if raw.len() > 8 * PART_MAX {
        return Err(JidError::ResourceTooLong);
    }
    let visible = |text: &str| -> String {
        text.chars().filter(|c| !tables::commonly_mapped_to_nothing(*c)).nfkc().collect()
    };
    let normalised = visible(raw);
    if normalised.chars().any(never_allowed)
        || contradicts_itself(&normalised)
        || visible(&normalised) != normalised
    {
        return Err(JidError::ResourceForbidden);
    }
    match normalised.len() {
        0 => Err(JidError::ResourceEmpty),
        1..=PART_MAX => Ok(Cow::Owned(normalised)),
        _ => Err(JidError::ResourceTooLong),
    }
}

/// Folds case by table B.2 of RFC 3454, and by today's Unicode what that table is too old to know.
fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for c in text.chars() {
        if tables::unassigned_code_point(c) {
            folded.extend(c.to_lowercase());
        } else {
            folded.extend(tables::case_fold_for_nfkc(c));
        }
    }
    folded.nfkc().collect()
}

const fn forbidden_ascii(c: char) -> bool {
    matches!(c, '\0'..=' ' | '\u{7F}' | '"' | '&' | '\'' | '/' | ':' | '<' | '>' | '@')
}

fn forbidden_in_localpart(c: char) -> bool {
    forbidden_ascii(c)
        || never_allowed(c)
        || is_invisible(c)
        || tables::unassigned_code_point(c) && !c.is_alphanumeric()
}

/// Tables C.1.2, C.2 to C.9 of RFC 3454, which both profiles prohibit.
fn never_allowed(c: char) -> bool {
    tables::non_ascii_space_character(c)
        || tables::ascii_control_character(c)
        || tables::non_ascii_control_character(c)
        || tables::private_use(c)
        || tables::non_character_code_point(c)
        || tables::inappropriate_for_plain_text(c)
        || tables::inappropriate_for_canonical_representation(c)
        || tables::change_display_properties_or_deprecated(c)
        || tables::tagging_character(c)
        // The isolates came after RFC 3454, and turn direction like the embeddings it names.
        || matches!(c, '\u{2066}'..='\u{2069}' | '\u{61C}')
}

/// Characters without a width that RFC 3454 is too old to know, or does not prohibit.
const fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}'..='\u{1160}' | '\u{17B4}'..='\u{17B5}'
        | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}'
        | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}

/// RFC 3454 §6: text from right to left neither holds letters from left to right, nor begins or ends
/// with anything else.
fn contradicts_itself(text: &str) -> bool {
    let mut ends = text.chars();
    let (first, last) = (ends.next(), text.chars().next_back());
    text.contains(tables::bidi_r_or_al)
        && (text.contains(tables::bidi_l)
            || !first.is_some_and(tables::bidi_r_or_al)
            || !last.is_some_and(tables::bidi_r_or_al))
}
