//! Lives here: what a recipient number and a sender are, and how text becomes one.
//! Never here: which network a number belongs to (see `numbering`).

use std::fmt;

/// A recipient in E.164 without the plus sign: 7 to 15 digits. `Debug` and [`Msisdn::masked`]
/// hide the middle; only the wire, the store and the owner's own reads see it whole. A stored
/// message's may have been erased: [`Msisdn::ERASED`].
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Msisdn {
    digits: [u8; 15],
    length: u8,
}

/// Why a text is not a number in E.164.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MsisdnError {
    /// Nothing was given.
    #[error("the number is empty; give it in E.164, for example +255712345678")]
    Empty,
    /// Something other than digits, spaces, dashes, dots, brackets or one leading plus.
    #[error(
        "the number has a character that is not a digit; give it in E.164, for example +255712345678"
    )]
    NotDigits,
    /// Fewer than 7 or more than 15 digits.
    #[error("the number has {0} digits; E.164 numbers have 7 to 15")]
    Length(usize),
}

/// A number as typed: either international or with a national trunk prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Typed {
    /// It began with `+` or `00`, or with neither and no trunk zero.
    International(Msisdn),
    /// It began with a single `0`: which country it is of must be known from elsewhere.
    Local(Msisdn),
}

impl Msisdn {
    /// Stands in messages for a number that has been erased from them. It has no digits: no text
    /// that a person or a carrier gives can be read as it, and no number equals it.
    pub const ERASED: Self = Self {
        digits: [0; 15],
        length: 0,
    };

    /// Whether this is [`Msisdn::ERASED`].
    pub const fn is_erased(&self) -> bool {
        self.length == 0
    }

    /// Reads back what [`Msisdn::digits`] gave the store: of an erased number an empty text.
    ///
    /// # Errors
    /// As for [`Msisdn::from_digits`].
    pub fn from_store(text: &str) -> Result<Self, MsisdnError> {
        if text.is_empty() {
            Ok(Self::ERASED)
        } else {
            Self::from_digits(text)
        }
    }

    /// Builds a number from ASCII digits.
    ///
    /// # Errors
    /// [`MsisdnError::NotDigits`] and [`MsisdnError::Length`].
    pub fn from_digits(text: &str) -> Result<Self, MsisdnError> {
        let length = text.len();
        if !(7..=15).contains(&length) {
            return Err(if text.is_empty() {
                MsisdnError::Empty
            } else {
                MsisdnError::Length(length)
            });
        }
        if !text.bytes().all(|octet| octet.is_ascii_digit()) {
            return Err(MsisdnError::NotDigits);
        }
        let mut digits = [0; 15];
        digits[..length].copy_from_slice(text.as_bytes());
        Ok(Self {
            digits,
            length: length as u8,
        })
    }

    /// Reads what a person types: separators are dropped, `+` and `00` mean international,
    /// a single leading `0` means local (the zero is dropped).
    ///
    /// # Errors
    /// [`MsisdnError`], each variant with its remedy.
    pub fn parse(text: &str) -> Result<Typed, MsisdnError> {
        let text = text.trim();
        let (text, plus) = match text.strip_prefix('+') {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        let mut digits = String::with_capacity(text.len());
        for character in text.chars() {
            match character {
                '0'..='9' => digits.push(character),
                separator if is_separator(separator) => {}
                _ => return Err(MsisdnError::NotDigits),
            }
        }
        if digits.is_empty() {
            return Err(MsisdnError::Empty);
        }
        if plus {
            return Self::from_digits(&digits).map(Typed::International);
        }
        if let Some(rest) = digits.strip_prefix("00") {
            return Self::from_digits(rest).map(Typed::International);
        }
        if let Some(rest) = digits.strip_prefix('0') {
            return Self::from_digits(rest).map(Typed::Local);
        }
        Self::from_digits(&digits).map(Typed::International)
    }

    /// The digits, without plus.
    pub fn digits(&self) -> &str {
        std::str::from_utf8(&self.digits[..usize::from(self.length)]).unwrap_or_default()
    }

    /// The digits as a number: at most 15 digits, below 2^50.
    pub const fn value(&self) -> u64 {
        let (mut value, mut at) = (0, 0);
        while at < self.length {
            value = value * 10 + (self.digits[at as usize] - b'0') as u64;
            at += 1;
        }
        value
    }

    /// Whether a text of a person's names this number, worldwide or at home (`+255712345678`,
    /// `0712 345-678`): no country's code has more than three digits.
    pub fn is_in(&self, text: &str) -> bool {
        let plain: String = text.chars().filter(|one| !is_separator(*one)).collect();
        let at_home = &self.digits()[3.min(self.digits().len())..];
        !at_home.is_empty() && plain.contains(at_home)
    }

    /// Whether a text that is to be a number is this one; `at_home`: local ones are of its country.
    pub fn is_typed(&self, text: &str, at_home: bool) -> bool {
        match Self::parse(text) {
            Ok(Typed::International(number)) => number == *self,
            Ok(Typed::Local(local)) => at_home && self.digits().ends_with(local.digits()),
            Err(_) => false,
        }
    }

    /// For logs: the first four and last three digits, stars between.
    pub fn masked(&self) -> String {
        if self.is_erased() {
            return self.to_string();
        }
        let digits = self.digits();
        let head = &digits[..4.min(digits.len())];
        let tail = &digits[digits.len().saturating_sub(3)..];
        format!("+{head}***{tail}")
    }
}

/// What people write between digits.
const fn is_separator(character: char) -> bool {
    matches!(character, ' ' | '-' | '.' | '(' | ')' | '\u{a0}')
}

impl fmt::Display for Msisdn {
    /// E.164 with its plus: for the owner's reads, never for logs. `[erased]` for what is gone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_erased() {
            return f.write_str("[erased]");
        }
        write!(f, "+{}", self.digits())
    }
}

impl fmt::Debug for Msisdn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

/// Who a message says it is from: alphanumeric (TON 5), a short code or a number.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sender {
    text: Box<str>,
    kind: SenderKind,
}

/// The three kinds of sender, each with its own TON and NPI on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SenderKind {
    /// 1 to 11 characters of `A-Z a-z 0-9 space . _ & -` with at least one letter.
    Alphanumeric,
    /// 3 to 8 digits.
    ShortCode,
    /// 9 to 15 digits.
    International,
}

/// Why a text is not a sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SenderError {
    /// Nothing was given.
    #[error("the sender is empty; give a registered sender id of at most 11 characters")]
    Empty,
    /// More than 11 characters with letters, or more than 15 digits.
    #[error("the sender is too long; at most 11 characters, or 15 digits")]
    TooLong,
    /// A character that no network takes in a sender.
    #[error(
        "the sender has a character that networks refuse; letters, digits, space and . _ & - are allowed"
    )]
    Character,
    /// Digits only, but fewer than 3.
    #[error("a numeric sender has 3 to 15 digits")]
    TooShort,
}

impl Sender {
    /// Reads a sender as the API gives it.
    ///
    /// # Errors
    /// [`SenderError`], each variant with its remedy.
    pub fn parse(text: &str) -> Result<Self, SenderError> {
        let text = text.trim();
        let number = text.strip_prefix('+').unwrap_or(text);
        if text.is_empty() {
            return Err(SenderError::Empty);
        }
        if !number.is_empty() && number.bytes().all(|octet| octet.is_ascii_digit()) {
            let kind = match number.len() {
                0..=2 => return Err(SenderError::TooShort),
                3..=8 => SenderKind::ShortCode,
                9..=15 => SenderKind::International,
                _ => return Err(SenderError::TooLong),
            };
            return Ok(Self {
                text: number.into(),
                kind,
            });
        }
        let allowed = |octet: u8| octet.is_ascii_alphanumeric() || b" ._&-".contains(&octet);
        if !text.bytes().all(allowed) || !text.bytes().any(|octet| octet.is_ascii_alphabetic()) {
            return Err(SenderError::Character);
        }
        if text.len() > 11 {
            return Err(SenderError::TooLong);
        }
        Ok(Self {
            text: text.into(),
            kind: SenderKind::Alphanumeric,
        })
    }

    /// The sender as it goes to the wire, without plus.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Which kind of sender it is.
    pub const fn kind(&self) -> SenderKind {
        self.kind
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typed_numbers_are_told_apart() {
        let table = [
            ("+255753276939", Ok(("255753276939", true))),
            ("00255753276939", Ok(("255753276939", true))),
            ("255 753-276-939", Ok(("255753276939", true))),
            ("0753 276 939", Ok(("753276939", false))),
            ("(0803) 123.4567", Ok(("8031234567", false))),
            ("", Err(MsisdnError::Empty)),
            ("+", Err(MsisdnError::Empty)),
            ("+2557532769391234", Err(MsisdnError::Length(16))),
            ("12345", Err(MsisdnError::Length(5))),
            ("+25575327693x", Err(MsisdnError::NotDigits)),
            ("++255753276939", Err(MsisdnError::NotDigits)),
            ("+٢٥٥٧٥٣٢٧٦٩٣٩", Err(MsisdnError::NotDigits)),
        ];
        for (text, expected) in table {
            let found = Msisdn::parse(text).map(|typed| match typed {
                Typed::International(number) => (number.digits().to_owned(), true),
                Typed::Local(number) => (number.digits().to_owned(), false),
            });
            assert_eq!(
                found,
                expected.map(|(digits, whole)| (digits.to_owned(), whole)),
                "{text}"
            );
        }
    }

    #[test]
    fn a_number_is_found_in_a_text_however_it_is_written() {
        let number = Msisdn::from_digits("255753276939").unwrap();
        for text in [
            "she, +255753276939, asked",
            "0753276939",
            "of 255 753-276-939.",
            "(0753) 276 939",
            "ticket 255753276939x",
        ] {
            assert!(number.is_in(text), "{text}");
        }
        for text in ["she asked", "+255753276938", "tickets 753 and 276939", ""] {
            assert!(!number.is_in(text), "{text}");
        }
        assert!(!Msisdn::ERASED.is_in("she asked"));
    }

    #[test]
    fn a_number_is_known_as_it_is_typed_at_home_and_abroad() {
        let number = Msisdn::from_digits("255753276939").unwrap();
        for (text, here, abroad) in [
            ("+255 753-276-939", true, true),
            ("00255753276939", true, true),
            ("0753276939", true, false),
            ("0753276938", false, false),
            ("+254753276939", false, false),
            ("x", false, false),
        ] {
            let found = (number.is_typed(text, true), number.is_typed(text, false));
            assert_eq!(found, (here, abroad), "{text}");
        }
    }

    #[test]
    fn debug_never_shows_a_whole_number() {
        let number = Msisdn::from_digits("255753276939").unwrap();
        assert_eq!(format!("{number:?}"), "+2557***939");
        assert_eq!(number.to_string(), "+255753276939");
    }

    #[test]
    fn an_erased_number_is_told_from_every_other() {
        let number = Msisdn::from_digits("255753276939").unwrap();
        for kept in [Msisdn::ERASED, number] {
            assert_eq!(Msisdn::from_store(kept.digits()), Ok(kept));
        }
        assert_eq!(Msisdn::from_digits(""), Err(MsisdnError::Empty));
        assert_eq!(Msisdn::from_store("1"), Err(MsisdnError::Length(1)));
        assert_eq!(format!("{0} {0:?}", Msisdn::ERASED), "[erased] [erased]");
        assert_eq!(Msisdn::ERASED.value(), 0);
    }

    #[test]
    fn senders_are_sorted_into_their_kinds() {
        let table = [
            ("MojaWave", Ok(SenderKind::Alphanumeric)),
            ("MTECH-MKT", Ok(SenderKind::Alphanumeric)),
            ("15300", Ok(SenderKind::ShortCode)),
            ("+255753276939", Ok(SenderKind::International)),
            ("", Err(SenderError::Empty)),
            ("TwelveLetter", Err(SenderError::TooLong)),
            ("12", Err(SenderError::TooShort)),
            ("1234567890123456", Err(SenderError::TooLong)),
            ("Möja", Err(SenderError::Character)),
            ("a\0b", Err(SenderError::Character)),
            ("---", Err(SenderError::Character)),
            ("+", Err(SenderError::Character)),
        ];
        for (text, expected) in table {
            assert_eq!(
                Sender::parse(text).map(|sender| sender.kind()),
                expected,
                "{text}"
            );
        }
    }
}
