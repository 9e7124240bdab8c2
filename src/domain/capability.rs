//! Lives here: what a carrier account can take, as far as a route must know it before it chooses
//! the account.
//! Never here: how the rules are written (`config`), what goes to the wire (`carrier::profile`).

use super::phone::{Sender, SenderKind};

/// What an account can take. Immutable; shared by its binds and by the routing plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capability {
    /// Names.
    pub alphanumeric: SenderRule,
    /// Short codes.
    pub short_code: SenderRule,
    /// Numbers.
    pub international: SenderRule,
    /// The senders that it takes, as patterns; empty = all that the rules above let through.
    pub senders: Vec<Pattern>,
    /// The most segments that one message may have, 1 to 16.
    pub parts_max: u8,
}

/// Which senders of one kind an account takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderRule {
    /// Whether any.
    pub allowed: bool,
    /// Characters at least.
    pub length_min: u8,
    /// Characters at most.
    pub length_max: u8,
}

/// Why an account cannot take a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// No senders of this kind.
    SenderKind,
    /// The sender is too short or too long for it.
    SenderLength,
    /// The sender matches none of its patterns: it is not registered there.
    SenderUnknown,
    /// It has more segments than one message may have.
    Parts,
}

impl Unfit {
    /// For explanations, metrics and logs.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::SenderKind => "sender_kind_not_allowed",
            Self::SenderLength => "sender_length_not_allowed",
            Self::SenderUnknown => "sender_not_registered",
            Self::Parts => "too_many_parts",
        }
    }
}

impl Default for Capability {
    /// Everything that we can send.
    fn default() -> Self {
        let any = |length_min, length_max| SenderRule {
            allowed: true,
            length_min,
            length_max,
        };
        Self {
            alphanumeric: any(1, 11),
            short_code: any(3, 8),
            international: any(9, 15),
            senders: Vec::new(),
            parts_max: 10,
        }
    }
}

impl Capability {
    /// The rule for senders of a kind.
    pub const fn rule(&self, kind: SenderKind) -> &SenderRule {
        match kind {
            SenderKind::Alphanumeric => &self.alphanumeric,
            SenderKind::ShortCode => &self.short_code,
            SenderKind::International => &self.international,
        }
    }

    /// Whether the account takes a message of this sender with this many segments.
    ///
    /// # Errors
    /// The first reason why not.
    pub fn accepts(&self, from: &Sender, segments: u8) -> Result<(), Unfit> {
        let rule = self.rule(from.kind());
        let length = from.as_str().len();
        if !rule.allowed {
            Err(Unfit::SenderKind)
        } else if !(usize::from(rule.length_min)..=usize::from(rule.length_max)).contains(&length) {
            Err(Unfit::SenderLength)
        } else if segments > self.parts_max {
            Err(Unfit::Parts)
        } else if !self.senders.is_empty()
            && !self
                .senders
                .iter()
                .any(|pattern| pattern.matches(from.as_str()))
        {
            Err(Unfit::SenderUnknown)
        } else {
            Ok(())
        }
    }
}

/// A sender, or several: `*` stands for any characters, all else for itself, without regard to case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(pub Box<str>);

impl Pattern {
    /// Whether the whole text fits.
    pub fn matches(&self, text: &str) -> bool {
        let (mut pattern, mut text) = (self.0.as_bytes(), text.as_bytes());
        // Where to go on when what follows the last star did not fit: one octet further.
        let mut star: Option<(&[u8], &[u8])> = None;
        loop {
            match (pattern, text) {
                ([b'*', behind @ ..], _) => {
                    star = Some((behind, text));
                    pattern = behind;
                }
                ([one, behind @ ..], [other, rest @ ..]) if one.eq_ignore_ascii_case(other) => {
                    (pattern, text) = (behind, rest);
                }
                ([], []) => return true,
                _ => match star {
                    Some((behind, [_, rest @ ..])) => {
                        star = Some((behind, rest));
                        (pattern, text) = (behind, rest);
                    }
                    Some((_, [])) | None => return false,
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    use super::*;

    fn sender(text: &str) -> Sender {
        Sender::parse(text).unwrap()
    }

    #[test]
    fn an_account_says_why_it_cannot_take_a_message() {
        let mut can = Capability::default();
        assert_eq!(can.accepts(&sender("MojaWave"), 10), Ok(()));
        assert_eq!(can.accepts(&sender("MojaWave"), 11), Err(Unfit::Parts));
        can.international.allowed = false;
        can.alphanumeric.length_min = 4;
        can.senders = vec![Pattern("moja*".into()), Pattern("15*".into())];
        let table = [
            ("+255753276939", Err(Unfit::SenderKind)),
            ("ABC", Err(Unfit::SenderLength)),
            ("OtherBank", Err(Unfit::SenderUnknown)),
            ("MOJAWAVE", Ok(())),
            ("15300", Ok(())),
            ("16300", Err(Unfit::SenderUnknown)),
        ];
        for (from, expected) in table {
            assert_eq!(can.accepts(&sender(from), 1), expected, "{from}");
        }
    }

    #[test]
    fn stars_stand_for_any_characters() {
        for (pattern, text, fits) in [
            ("*", "", true),
            ("*", "anything", true),
            ("MTECH-*", "mtech-mkt", true),
            ("MTECH-*", "MTECH", false),
            ("*bank", "My Bank", true),
            ("*b*k", "bank-book", true),
            ("*ab", "aab", true),
            ("a*b", "ab c", false),
            ("", "", true),
            ("", "x", false),
        ] {
            assert_eq!(
                Pattern(pattern.into()).matches(text),
                fits,
                "{pattern} of {text}"
            );
        }
    }

    proptest! {
        #[test]
        fn a_text_fits_itself_and_any_prefix_of_it_with_a_star(text in "[ -)+-~]{0,20}", at in 0usize..20) {
            prop_assert!(Pattern(text.as_str().into()).matches(&text));
            let at = at.min(text.len());
            let (prefix, suffix) = (format!("{}*", &text[..at]), format!("*{}", &text[at..]));
            prop_assert!(Pattern(prefix.into()).matches(&text));
            prop_assert!(Pattern(suffix.into()).matches(&text));
        }

        #[test]
        fn matching_is_what_the_plain_recursion_says(pattern in "[ab*]{0,8}", text in "[ab]{0,8}") {
            fn plain(pattern: &[u8], text: &[u8]) -> bool {
                match (pattern, text) {
                    ([b'*', behind @ ..], _) => {
                        (0..=text.len()).any(|skipped| plain(behind, &text[skipped..]))
                    }
                    ([one, behind @ ..], [other, rest @ ..]) => one == other && plain(behind, rest),
                    (rest, behind) => rest.is_empty() && behind.is_empty(),
                }
            }
            let expected = plain(pattern.as_bytes(), text.as_bytes());
            prop_assert_eq!(Pattern(pattern.into()).matches(&text), expected);
        }
    }
}
