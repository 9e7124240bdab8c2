//! Lives here: amounts of credits, exact, and how they are written.
//! Never here: prices, balances, what is moved from where to where.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};

/// Thousandths of a credit: what balances, prices and costs are counted in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Credits(pub i64);

impl Credits {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The most that an amount may be: a thousandth of what the number could hold, so that no sum of
    /// a thousand of them overflows.
    pub const MAX: Self = Self(i64::MAX / 1000);

    /// Whole credits; at most [`Credits::MAX`].
    pub const fn whole(credits: i64) -> Self {
        Self(credits.saturating_mul(1000))
    }

    /// So many times this.
    pub const fn times(self, number: u64) -> Self {
        // A number of recipients or segments: far below 2^63.
        Self(self.0.saturating_mul(number.cast_signed()))
    }

    /// Reads what [`fmt::Display`] writes: a decimal number with at most three places.
    pub fn parse(text: &str) -> Option<Self> {
        let (sign, digits) = match text.strip_prefix('-') {
            Some(digits) => (-1, digits),
            None => (1, text),
        };
        let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
        let all_digits = |text: &str| text.bytes().all(|octet| octet.is_ascii_digit());
        if whole.is_empty() || part.len() > 3 || !all_digits(whole) || !all_digits(part) {
            return None;
        }
        if digits.contains('.') && part.is_empty() {
            return None;
        }
        let whole: i64 = whole.parse().ok()?;
        let part: i64 = format!("{part:0<3}").parse().ok()?;
        let amount = whole.checked_mul(1000)?.checked_add(part)?;
        (amount <= Self::MAX.0).then_some(Self(sign * amount))
    }
}

/// As in JSON: without a fraction when whole, else with as many places as it needs.
impl fmt::Display for Credits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let amount = self.0.unsigned_abs();
        let (whole, part) = (amount / 1000, amount % 1000);
        if part == 0 {
            return write!(f, "{sign}{whole}");
        }
        let part = format!("{part:03}");
        write!(f, "{sign}{whole}.{}", part.trim_end_matches('0'))
    }
}

impl Add for Credits {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Credits {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Neg for Credits {
    type Output = Self;
    fn neg(self) -> Self {
        Self(self.0.saturating_neg())
    }
}

impl AddAssign for Credits {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl SubAssign for Credits {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl Sum for Credits {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_written_as_short_as_they_can_be_and_read_back() {
        for (amount, text) in [
            (0, "0"),
            (5_000_000, "5000"),
            (1_500, "1.5"),
            (-20, "-0.02"),
            (1, "0.001"),
            (Credits::MAX.0, "9223372036854.775"),
        ] {
            assert_eq!(Credits(amount).to_string(), text);
            assert_eq!(Credits::parse(text), Some(Credits(amount)));
        }
        assert_eq!(Credits::parse("2.50"), Some(Credits(2_500)));
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for text in [
            "",
            "-",
            ".5",
            "1.",
            "1.0001",
            "1e3",
            "+1",
            " 1",
            "9223372036854776",
            "1,5",
        ] {
            assert_eq!(Credits::parse(text), None, "{text:?}");
        }
    }
}
