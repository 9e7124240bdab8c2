//! Lives here: making the message id of a submit_sm_resp and that of its receipt meet at one key.
//! Never here: guessing which rule a carrier needs; its profile says so.

use std::borrow::Cow;
use std::iter;

use thiserror::Error;

/// How one of a carrier's two ids becomes a key.
///
/// An id that is not in the form its rule expects (a letter in a decimal one, more than [`IdRule::MAX_LEN`]
/// octets) is its own key, unchanged, so that no rule can lose an id. White space around an id never counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum IdRule {
    /// `raw`: the id is the key.
    #[default]
    Raw,
    /// `fold-case`: ASCII letters in lower case.
    FoldCase,
    /// `strip-zeros`: without leading zeros; case counts.
    StripZeros,
    /// `decimal`: a decimal number, without leading zeros.
    Decimal,
    /// `hex` or `hex-to-decimal`: a hexadecimal number in either case, with or without `0x`; the key is its
    /// decimal form, so that it meets `decimal`.
    HexToDecimal,
    /// `fold-hex`: a hexadecimal number; the key is its hexadecimal form in lower case without leading zeros.
    FoldHex,
    /// `decimal-to-hex`: a decimal number; the key is its hexadecimal form, so that it meets `fold-hex`.
    DecimalToHex,
}

/// A carrier's two rules. The usual trouble, hex in the response and decimal in the receipt, is
/// `IdDialect { response: IdRule::HexToDecimal, receipt: IdRule::Decimal }`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct IdDialect {
    /// For the `message_id` of a `submit_sm_resp`.
    pub response: IdRule,
    /// For the id in a receipt.
    pub receipt: IdRule,
}

impl IdDialect {
    /// The key of a `submit_sm_resp`'s id.
    #[must_use]
    pub fn response_key<'a>(&self, id: &'a str) -> Cow<'a, str> {
        self.response.normalise(id)
    }

    /// The key of a receipt's id.
    #[must_use]
    pub fn receipt_key<'a>(&self, id: &'a str) -> Cow<'a, str> {
        self.receipt.normalise(id)
    }
}

/// A rule's name that is none.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "unknown id rule {0:?}; known are raw, fold-case, strip-zeros, decimal, hex, fold-hex, decimal-to-hex"
)]
pub struct UnknownIdRule(pub String);

impl IdRule {
    /// The longest id that is converted, in octets; SMPP allows 64, and some carriers write more.
    pub const MAX_LEN: usize = 128;

    /// The rule with this name: `raw`, `fold-case`, `strip-zeros`, `decimal`, `hex` (also `hex-to-decimal`),
    /// `fold-hex`, `decimal-to-hex`; `_` may stand for `-`, in any case.
    ///
    /// # Errors
    /// [`UnknownIdRule`]: the configuration is at fault.
    pub fn parse(name: &str) -> Result<Self, UnknownIdRule> {
        Ok(match name.to_ascii_lowercase().replace('_', "-").as_str() {
            "raw" => Self::Raw,
            "fold-case" => Self::FoldCase,
            "strip-zeros" => Self::StripZeros,
            "decimal" => Self::Decimal,
            "hex" | "hex-to-decimal" => Self::HexToDecimal,
            "fold-hex" => Self::FoldHex,
            "decimal-to-hex" => Self::DecimalToHex,
            _ => return Err(UnknownIdRule(name.to_owned())),
        })
    }

    /// The name [`IdRule::parse`] reads.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::FoldCase => "fold-case",
            Self::StripZeros => "strip-zeros",
            Self::Decimal => "decimal",
            Self::HexToDecimal => "hex",
            Self::FoldHex => "fold-hex",
            Self::DecimalToHex => "decimal-to-hex",
        }
    }

    /// The key of an id. Allocates only when the key is no part of the id.
    #[must_use]
    pub fn normalise<'a>(&self, raw: &'a str) -> Cow<'a, str> {
        let id = raw.trim_matches(|c: char| c.is_whitespace() || c == '\0');
        let key = match self {
            Self::Raw => None,
            Self::FoldCase => Some(lower_case(id)),
            Self::StripZeros => Some(Cow::Borrowed(strip_zeros(id))),
            Self::Decimal => number(id, 10).map(Cow::Borrowed),
            Self::HexToDecimal => hex(id).map(|digits| Cow::Owned(convert(digits, 16, 10))),
            Self::FoldHex => hex(id).map(lower_case),
            Self::DecimalToHex => number(id, 10).map(|digits| Cow::Owned(convert(digits, 10, 16))),
        };
        key.unwrap_or(Cow::Borrowed(id))
    }
}

fn hex(id: &str) -> Option<&str> {
    number(
        id.strip_prefix("0x")
            .or_else(|| id.strip_prefix("0X"))
            .unwrap_or(id),
        16,
    )
}

/// The id without leading zeros if it is a number of this base and not too long.
fn number(id: &str, base: u32) -> Option<&str> {
    let is_number =
        !id.is_empty() && id.len() <= IdRule::MAX_LEN && id.chars().all(|c| c.is_digit(base));
    is_number.then(|| strip_zeros(id))
}

/// Zero itself keeps one digit.
fn strip_zeros(id: &str) -> &str {
    match id.trim_start_matches('0') {
        "" => &id[id.len().saturating_sub(1)..],
        digits => digits,
    }
}

fn lower_case(id: &str) -> Cow<'_, str> {
    if id.bytes().any(|octet| octet.is_ascii_uppercase()) {
        Cow::Owned(id.to_ascii_lowercase())
    } else {
        Cow::Borrowed(id)
    }
}

/// Rewrites digits of base `from` in base `to`, both at most 16.
fn convert(digits: &str, from: u32, to: u32) -> String {
    if let Ok(value) = u128::from_str_radix(digits, from) {
        return if to == 16 {
            format!("{value:x}")
        } else {
            value.to_string()
        };
    }
    // Beyond 128 bits: schoolbook, least significant digit first; at most 128 by 155 steps.
    let mut out: Vec<u32> = Vec::new();
    for digit in digits.chars().filter_map(|c| c.to_digit(from)) {
        let mut carry = digit;
        for place in &mut out {
            let value = *place * from + carry;
            *place = value % to;
            carry = value / to;
        }
        let beyond =
            iter::successors(Some(carry), |rest| Some(rest / to)).take_while(|rest| *rest > 0);
        out.extend(beyond.map(|rest| rest % to));
    }
    out.iter()
        .rev()
        .filter_map(|digit| char::from_digit(*digit, to))
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::{IdDialect, IdRule, convert};

    const ALL: [IdRule; 7] = [
        IdRule::Raw,
        IdRule::FoldCase,
        IdRule::StripZeros,
        IdRule::Decimal,
        IdRule::HexToDecimal,
        IdRule::FoldHex,
        IdRule::DecimalToHex,
    ];

    #[test]
    fn each_rule_gives_its_key() {
        for (rule, id, key) in [
            (IdRule::Raw, " 00aB\0", "00aB"),
            (IdRule::FoldCase, "00aB-X", "00ab-x"),
            (IdRule::StripZeros, "00aB", "aB"),
            (IdRule::StripZeros, "000", "0"),
            (IdRule::StripZeros, "", ""),
            (IdRule::Decimal, "0042", "42"),
            (IdRule::Decimal, "00a", "00a"),
            (
                IdRule::HexToDecimal,
                "04000000086ECD50",
                "288230376293190992",
            ),
            (IdRule::HexToDecimal, "0xff", "255"),
            (IdRule::HexToDecimal, "0000", "0"),
            (IdRule::HexToDecimal, "no-number", "no-number"),
            (IdRule::HexToDecimal, "", ""),
            (IdRule::FoldHex, "04000000086ECD50", "4000000086ecd50"),
            (
                IdRule::DecimalToHex,
                "288230376293190992",
                "4000000086ecd50",
            ),
            (
                IdRule::DecimalToHex,
                "0288230376293190992",
                "4000000086ecd50",
            ),
            (IdRule::DecimalToHex, "ff", "ff"),
        ] {
            assert_eq!(rule.normalise(id), key, "{rule:?} of {id:?}");
        }
    }

    #[test]
    fn trap_03_ids_of_65_digits_are_converted_and_endless_ones_kept() {
        let wide = "f".repeat(65);
        // 16^65 - 1.
        let decimal =
            "1852673427797059126777135760139006525652319754650249024631321344126610074238975";
        assert_eq!(IdRule::HexToDecimal.normalise(&wide), decimal);
        assert_eq!(IdRule::DecimalToHex.normalise(decimal), wide);
        let endless = "1".repeat(IdRule::MAX_LEN + 1);
        for rule in ALL {
            assert_eq!(rule.normalise(&endless), endless);
        }
    }

    #[test]
    fn trap_01_hex_in_the_response_meets_decimal_in_the_receipt() {
        let dialect = IdDialect {
            response: IdRule::HexToDecimal,
            receipt: IdRule::Decimal,
        };
        for (response, receipt) in [
            ("04000000086ECD50", "288230376293190992"),
            ("04000000086ecd50", "00288230376293190992"),
            ("0x4000000086ecd50", " 288230376293190992\0"),
            ("FAB", "4011"),
            ("10", "16"),
            ("0", "0000"),
        ] {
            assert_eq!(dialect.response_key(response), dialect.receipt_key(receipt));
        }
    }

    #[test]
    fn trap_02_digits_mean_what_the_carriers_own_rule_says() {
        assert_eq!(IdRule::HexToDecimal.normalise("255"), "597");
        assert_eq!(IdRule::Decimal.normalise("255"), "255");
        assert_eq!(IdRule::Raw.normalise("255"), "255");
        // Under one rule, two ids have one key only when they are one number.
        for rule in [IdRule::Decimal, IdRule::HexToDecimal, IdRule::FoldHex] {
            assert_ne!(rule.normalise("ff"), rule.normalise("255"), "{rule:?}");
        }
    }

    #[test]
    fn trap_03_zeros_and_padding_do_not_part_the_ids() {
        for (rule, one, other) in [
            (IdRule::StripZeros, "0012ab", "12ab"),
            (IdRule::Decimal, "0000000255", "255"),
            (IdRule::FoldHex, "0FAB", "fab"),
            (IdRule::FoldHex, "0x0fab", "FAB"),
        ] {
            assert_eq!(rule.normalise(one), rule.normalise(other), "{rule:?}");
        }
        let beyond_u64 = "18446744073709551616";
        assert_eq!(
            IdRule::DecimalToHex.normalise(beyond_u64),
            "10000000000000000"
        );
    }

    #[test]
    fn trap_04_an_id_that_is_hex_in_both_is_not_converted_twice() {
        let dialect = IdDialect {
            response: IdRule::FoldHex,
            receipt: IdRule::FoldHex,
        };
        assert_eq!(
            dialect.response_key("04000000086ECD50"),
            dialect.receipt_key("4000000086ecd50")
        );
        assert_eq!(dialect.receipt_key("10"), "10");
    }

    #[test]
    fn names_are_read_and_others_refused() {
        for rule in ALL {
            assert_eq!(IdRule::parse(rule.name()), Ok(rule));
        }
        assert_eq!(IdRule::parse("hex_to_decimal"), Ok(IdRule::HexToDecimal));
        assert!(IdRule::parse("octal").is_err_and(|error| error.to_string().contains("octal")));
    }

    proptest! {
        #[test]
        fn both_ids_of_a_dialect_meet(value: u128, zeros in 0usize..20) {
            let dialects = [(IdRule::HexToDecimal, IdRule::Decimal), (IdRule::FoldHex, IdRule::DecimalToHex)];
            for (response, receipt) in dialects {
                let dialect = IdDialect { response, receipt };
                let hex = format!("{}{value:X}", "0".repeat(zeros));
                let decimal = format!("{}{value}", "0".repeat(zeros));
                prop_assert_eq!(dialect.response_key(&hex), dialect.receipt_key(&decimal));
            }
        }

        #[test]
        fn wide_numbers_survive_both_conversions(hex in "[1-9a-f][0-9a-f]{0,100}") {
            prop_assert_eq!(convert(&convert(&hex, 16, 10), 10, 16), hex);
        }

        #[test]
        fn a_key_is_its_own_key(id in " ?[0-9A-Fa-fxX-]{0,140}") {
            for rule in [IdRule::Raw, IdRule::FoldCase, IdRule::StripZeros, IdRule::Decimal, IdRule::FoldHex] {
                let key = rule.normalise(&id).into_owned();
                prop_assert_eq!(rule.normalise(&key), key.clone());
            }
        }

        #[test]
        fn no_id_panics(id in any::<String>()) {
            for rule in ALL {
                let _ = rule.normalise(&id);
            }
        }
    }
}
