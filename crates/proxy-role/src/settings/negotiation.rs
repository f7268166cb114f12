use xmpp_proto::stream::Methods;

/// Microsoft's three words for TLS and for SASL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Negotiation {
    /// Nothing goes without.
    Required,
    /// The partner decides.
    Optional,
    /// Never.
    NotSupported,
}

impl Negotiation {
    /// Every word, in Microsoft's order.
    pub const ALL: [Self; 3] = [Self::Required, Self::Optional, Self::NotSupported];

    /// Returns the word as the configuration writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Optional => "optional",
            Self::NotSupported => "not-supported",
        }
    }

    /// Reads the word of a configuration.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|negotiation| negotiation.as_str() == word)
    }
}

/// Returns by which methods a partner with these settings may be proved: Microsoft's table of eighteen
/// rows in closed form. No method at all means that the settings contradict each other.
#[must_use]
pub fn methods(tls: Negotiation, sasl: Negotiation, dialback: bool) -> Methods {
    use Negotiation::{NotSupported, Required};
    Methods {
        external: tls != NotSupported && sasl != NotSupported,
        dialback_over_tls: dialback && tls != NotSupported && !(tls == Required && sasl == Required),
        dialback_in_clear: dialback && tls != Required,
    }
}

#[cfg(test)]
mod tests {
    use super::Negotiation::{NotSupported as N, Optional as O, Required as R};
    use super::*;

    /// The table as Microsoft published it: what each row leaves, best first.
    const TABLE: [(Negotiation, Negotiation, &str, &str); 9] = [
        (R, R, "sasl", "sasl"),
        (O, R, "sasl tls-dialback tcp-dialback", "sasl"),
        (N, R, "tcp-dialback", ""),
        (R, O, "sasl tls-dialback", "sasl"),
        (O, O, "sasl tls-dialback tcp-dialback", "sasl"),
        (N, O, "tcp-dialback", ""),
        (R, N, "tls-dialback", ""),
        (O, N, "tls-dialback tcp-dialback", ""),
        (N, N, "tcp-dialback", ""),
    ];

    fn words(methods: Methods) -> String {
        let all = [
            (methods.external, "sasl"),
            (methods.dialback_over_tls, "tls-dialback"),
            (methods.dialback_in_clear, "tcp-dialback"),
        ];
        let words: Vec<&str> = all.into_iter().filter(|(has, _)| *has).map(|(_, word)| word).collect();
        words.join(" ")
    }

    #[test]
    fn all_eighteen_rows_are_those_of_microsofts_table() {
        let mut invalid = 0;
        for (tls, sasl, with_dialback, without) in TABLE {
            assert_eq!(words(methods(tls, sasl, true)), with_dialback, "{tls:?} {sasl:?} dialback");
            assert_eq!(words(methods(tls, sasl, false)), without, "{tls:?} {sasl:?}");
            invalid += [with_dialback, without].iter().filter(|words| words.is_empty()).count();
        }

        assert_eq!(invalid, 5);
    }

    #[test]
    fn every_word_is_read_back() {
        for negotiation in Negotiation::ALL {
            assert_eq!(Negotiation::parse(negotiation.as_str()), Some(negotiation));
        }
        assert_eq!(Negotiation::parse("Required"), None);
    }
}
