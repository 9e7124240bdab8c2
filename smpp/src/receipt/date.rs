//! Lives here: the dates of receipts, in the forms carriers write.
//! Never here: time zones; a receipt does not state one, the carrier's profile does.

/// A date and time without zone, as a receipt gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReceiptDate {
    /// Four digits; two-digit years are taken as 2000 to 2099.
    pub year: u16,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31; not checked against the month.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 60; 0 when not written.
    pub second: u8,
    /// Quarters of an hour east of UTC, only when the carrier wrote the 16-octet SMPP form (SMPP 7.1.1).
    pub offset_quarters: Option<i8>,
}

impl ReceiptDate {
    /// Reads `YYMMDDhhmm` (appendix B), `YYMMDDhhmmss`, `YYYYMMDDhhmm`, `YYYYMMDDhhmmss` and `YYMMDDhhmmsstnnp`.
    /// Twelve digits that fit both forms and start with 20 are taken to start with a four-digit year.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let digits = text.strip_suffix(['+', '-', 'R']).unwrap_or(text);
        if !digits.bytes().all(|octet| octet.is_ascii_digit()) {
            return None;
        }
        match (digits.len(), text.len()) {
            (10 | 12, same) if same == digits.len() => {
                let long_year = digits
                    .starts_with("20")
                    .then(|| Self::fields(digits, 4))
                    .flatten();
                long_year.or_else(|| Self::fields(digits, 2))
            }
            (14, 14) => Self::fields(digits, 4),
            (15, 16) if !text.ends_with('R') => {
                let quarters = digits
                    .get(13..)?
                    .parse::<i8>()
                    .ok()
                    .filter(|quarters| *quarters <= 48)?;
                let sign = if text.ends_with('-') { -1 } else { 1 };
                let date = Self::fields(digits.get(..12)?, 2)?;
                Some(Self {
                    offset_quarters: Some(sign * quarters),
                    ..date
                })
            }
            _ => None,
        }
    }

    fn fields(digits: &str, year_digits: usize) -> Option<Self> {
        let (year, rest) = digits.split_at_checked(year_digits)?;
        let year: u16 = year.parse().ok()?;
        let two = |at: usize, range: std::ops::RangeInclusive<u8>| -> Option<u8> {
            rest.get(at..at + 2)?
                .parse()
                .ok()
                .filter(|value| range.contains(value))
        };
        Some(Self {
            year: if year_digits == 2 { 2000 + year } else { year },
            month: two(0, 1..=12)?,
            day: two(2, 1..=31)?,
            hour: two(4, 0..=23)?,
            minute: two(6, 0..=59)?,
            second: if rest.len() > 8 { two(8, 0..=60)? } else { 0 },
            offset_quarters: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::ReceiptDate;

    fn date(year: u16, month: u8, day: u8, hour: u8, minute: u8, second: u8) -> ReceiptDate {
        ReceiptDate {
            year,
            month,
            day,
            hour,
            minute,
            second,
            offset_quarters: None,
        }
    }

    #[test]
    fn all_lengths_are_read() {
        for (text, expected) in [
            ("2611211024", date(2026, 11, 21, 10, 24, 0)),
            ("261121102407", date(2026, 11, 21, 10, 24, 7)),
            ("202611211024", date(2026, 11, 21, 10, 24, 0)),
            ("20261121102407", date(2026, 11, 21, 10, 24, 7)),
            ("2011211024", date(2020, 11, 21, 10, 24, 0)),
        ] {
            assert_eq!(ReceiptDate::parse(text), Some(expected), "{text}");
        }
        let offset = ReceiptDate {
            offset_quarters: Some(12),
            ..date(2018, 7, 11, 7, 0, 3)
        };
        assert_eq!(ReceiptDate::parse("180711070003912+"), Some(offset));
        let offset = ReceiptDate {
            offset_quarters: Some(-4),
            ..date(2018, 7, 11, 7, 0, 3)
        };
        assert_eq!(ReceiptDate::parse("180711070003904-"), Some(offset));
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in [
            "",
            "0",
            "261321102407",
            "26112110",
            "2611211024+",
            "abcdefghij",
            "000000000000",
            "2611211024077",
        ] {
            assert_eq!(ReceiptDate::parse(text), None, "{text}");
        }
    }
}
