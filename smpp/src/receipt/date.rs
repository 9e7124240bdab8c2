//! Lives here: the dates of receipts, in the forms carriers write.
//! Never here: which zone a carrier means; a receipt seldom states one, the carrier's profile does.

use crate::time::{AbsoluteTime, DateTime, TimeError};

/// A date and time as a receipt gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ReceiptDate {
    /// What the carrier's clock showed; seconds are 0 when not written.
    pub local: DateTime,
    /// Quarters of an hour east of UTC, only when the carrier wrote them.
    pub offset_quarters: Option<i8>,
}

impl ReceiptDate {
    /// Reads `YYMMDDhhmm` (appendix B), `YYMMDDhhmmss`, `YYYYMMDDhhmm`, `YYYYMMDDhhmmss`, `YYMMDDhhmmsstnnp`
    /// (SMPP 7.1.1), and dates like `2026-11-21T10:24:07.5+03:00`: `-`, `/`, `.` or nothing between year, month
    /// and day, `T`, `_`, `-` or blanks before the time, `:` or nothing in it, seconds and their fraction as one
    /// likes, then nothing, `Z`, or an offset of whole quarters. Days before months and names of months are not
    /// read. Twelve digits that fit both forms and start with 20 are taken to start with a four-digit year.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim_ascii();
        let (run, rest) = digits(text.as_bytes());
        match (run.len(), rest) {
            (10 | 12 | 14, _) => Self::with_zone(DateTime::from_digits(run), rest),
            (15, [b'+' | b'-']) => Self::smpp(run, rest),
            (4 | 6 | 8, _) => Self::spaced(text.as_bytes()),
            _ => None,
        }
    }

    /// Seconds since 1970, when a date without offset is in the zone this many quarters of an hour ahead of UTC.
    #[must_use]
    pub fn unix(self, carrier_offset_quarters: i8) -> i64 {
        let quarters = self.offset_quarters.unwrap_or(carrier_offset_quarters);
        self.local.unix() - i64::from(quarters) * 900
    }

    /// `YYMMDDhhmmsstnn` and a sign; tenths of a second are not kept.
    fn smpp(run: &[u8], sign: &[u8]) -> Option<Self> {
        let (date, rest) = run.split_at_checked(12)?;
        let [_, tens, ones] = *rest else {
            return None;
        };
        let quarters = ((tens - b'0') * 10 + (ones - b'0')) as i8;
        let quarters = if sign == b"-" { -quarters } else { quarters };
        Self::zoned(DateTime::two_digit_year(date).ok()?, Some(quarters))
    }

    /// Date and time apart, in any of the usual ways: their digits are put together.
    fn spaced(text: &[u8]) -> Option<Self> {
        let mut all = Vec::with_capacity(14);
        let (date, mut rest) = digits(text);
        all.extend_from_slice(date);
        if date.len() == 4 {
            let (separator, behind) = rest.split_first()?;
            if !b"-/.".contains(separator) {
                return None;
            }
            let (month, behind) = two_digits(behind)?;
            let (day, behind) = two_digits(behind.strip_prefix(&[*separator])?)?;
            all.extend_from_slice(&[month, day].concat());
            rest = behind;
        }
        let time = rest
            .iter()
            .position(u8::is_ascii_digit)
            .filter(|gap| *gap > 0)?;
        if !rest[..time].iter().all(|octet| b"Tt_- ".contains(octet)) {
            return None;
        }
        let (hour, behind) = two_digits(&rest[time..])?;
        let (minute, mut behind) = two_digits(behind.strip_prefix(b":").unwrap_or(behind))?;
        all.extend_from_slice(&[hour, minute].concat());
        let second = behind.strip_prefix(b":").unwrap_or(behind);
        if let Some((second, rest)) = two_digits(second) {
            all.extend_from_slice(&second);
            behind = match rest.strip_prefix(b".") {
                Some(fraction) => digits(fraction).1,
                None => rest,
            };
        }
        // How the digits are grouped says how many the year has, so that nothing is guessed here.
        let local = if date.len() == 6 {
            DateTime::two_digit_year(&all)
        } else {
            DateTime::four_digit_year(&all)
        };
        Self::with_zone(local, behind)
    }

    /// Reads what follows the time.
    fn with_zone(local: Result<DateTime, TimeError>, zone: &[u8]) -> Option<Self> {
        let local = local.ok()?;
        let zone = zone.trim_ascii();
        let (sign, offset) = match zone {
            [] => return Self::zoned(local, None),
            b"Z" | b"z" | b"UTC" | b"GMT" => return Self::zoned(local, Some(0)),
            [b'+', offset @ ..] => (1, offset),
            [b'-', offset @ ..] => (-1, offset),
            _ => return None,
        };
        let ([tens, ones], rest) = two_digits(offset)?;
        let hours = i16::from(tens - b'0') * 10 + i16::from(ones - b'0');
        let minutes = match rest.strip_prefix(b":").unwrap_or(rest) {
            [] => 0,
            b"00" => 0,
            b"15" => 1,
            b"30" => 2,
            b"45" => 3,
            _ => return None,
        };
        let quarters = i8::try_from(hours * 4 + minutes).ok()?;
        Self::zoned(local, Some(sign * quarters))
    }

    /// An offset is one that SMPP can write, within twelve hours; the few islands beyond lose it and keep the raw
    /// text.
    fn zoned(local: DateTime, offset_quarters: Option<i8>) -> Option<Self> {
        AbsoluteTime::new(local, 0, offset_quarters.unwrap_or(0)).ok()?;
        Some(Self {
            local,
            offset_quarters,
        })
    }
}

/// The leading digits, and what follows them.
fn digits(octets: &[u8]) -> (&[u8], &[u8]) {
    let count = octets.iter().take_while(|octet| octet.is_ascii_digit());
    octets.split_at(count.count())
}

fn two_digits(octets: &[u8]) -> Option<([u8; 2], &[u8])> {
    let (pair, rest) = octets.split_first_chunk::<2>()?;
    pair.iter().all(u8::is_ascii_digit).then_some((*pair, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, proptest};

    use super::ReceiptDate;
    use crate::time::DateTime;

    fn date(
        ymd: (u16, u8, u8),
        hms: (u8, u8, u8),
        offset_quarters: Option<i8>,
    ) -> Option<ReceiptDate> {
        let local = DateTime::new(ymd.0, ymd.1, ymd.2, hms.0, hms.1, hms.2).expect("it exists");
        Some(ReceiptDate {
            local,
            offset_quarters,
        })
    }

    #[test]
    fn trap_08_dates_of_all_lengths_are_read() {
        let day = (2026, 11, 21);
        for (text, expected) in [
            ("2611211024", date(day, (10, 24, 0), None)),
            ("261121102407", date(day, (10, 24, 7), None)),
            ("202611211024", date(day, (10, 24, 0), None)),
            ("20261121102407", date(day, (10, 24, 7), None)),
            ("2011211024", date((2020, 11, 21), (10, 24, 0), None)),
            ("201121102407", date((2020, 11, 21), (10, 24, 7), None)),
            ("180711070003912+", date((2018, 7, 11), (7, 0, 3), Some(12))),
            ("180711070003904-", date((2018, 7, 11), (7, 0, 3), Some(-4))),
        ] {
            assert_eq!(ReceiptDate::parse(text), expected, "{text}");
        }
    }

    #[test]
    fn trap_08_dates_with_separators_and_offsets_are_read() {
        let day = (2026, 11, 21);
        for (text, expected) in [
            ("2026-11-21 10:24:07", date(day, (10, 24, 7), None)),
            ("2026-11-21T10:24:07Z", date(day, (10, 24, 7), Some(0))),
            (
                "2026-11-21T10:24:07.512+03:00",
                date(day, (10, 24, 7), Some(12)),
            ),
            ("2026/11/21 10:24", date(day, (10, 24, 0), None)),
            (
                "2026.11.21-10:24:07 -0430",
                date(day, (10, 24, 7), Some(-18)),
            ),
            ("20261121 102407", date(day, (10, 24, 7), None)),
            ("20261121T1024", date(day, (10, 24, 0), None)),
            ("261121 10:24:07", date(day, (10, 24, 7), None)),
            ("201121 102407", date((2020, 11, 21), (10, 24, 7), None)),
            ("20261121102407+0545", date(day, (10, 24, 7), Some(23))),
            ("2611211024Z", date(day, (10, 24, 0), Some(0))),
        ] {
            assert_eq!(ReceiptDate::parse(text), expected, "{text}");
        }
    }

    #[test]
    fn a_zone_is_the_carriers_unless_it_is_written() {
        let unix = |text| ReceiptDate::parse(text).map(|date| date.unix(12));
        assert_eq!(unix("20261121102407"), Some(1_795_256_647 - 3 * 3600));
        assert_eq!(unix("20261121102407Z"), Some(1_795_256_647));
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in [
            "",
            "0",
            "261321102407",
            "260230102407",
            "26112110",
            "2611211024+",
            "2611211024+0310",
            "2611211024+9900",
            "261121102407049+",
            "abcdefghij",
            "000000000000",
            "2611211024077",
            "2026-11-21",
            "2026-11-21x10:24",
            "21-11-2026 10:24",
            "2026-11/21 10:24",
            "261121102407000R",
        ] {
            assert_eq!(ReceiptDate::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(any in "\\PC{0,40}", like in "[0-9]{0,16}[-/.+:TZ ]{0,2}[0-9]{0,4}[-+:. ]?[0-9:]{0,9}[-+Z]?") {
            let _ = ReceiptDate::parse(&any);
            let read = ReceiptDate::parse(&like);
            prop_assert!(read.is_none_or(|date| date.local.year() >= 2000));
        }
    }
}
