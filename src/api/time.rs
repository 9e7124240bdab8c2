//! Lives here: RFC 3339 as the API writes it (UTC, milliseconds, `Z`) and reads it.
//! Never here: clocks but the one reading of it, time zones.

use std::time::SystemTime;

use crate::domain::time::Timestamp;

/// The instants that four digits of a year can say: 0000-01-01 to 9999-12-31.
const FIRST: i64 = -62_167_219_200_000;
const LAST: i64 = 253_402_300_799_999;

/// The wall clock.
pub(super) fn now() -> Timestamp {
    SystemTime::now().into()
}

/// `2026-04-05T12:03:04.485Z`. Written by hand because every accepted message needs two of them.
pub(super) fn rfc3339(at: Timestamp) -> Text {
    let millis = at.0.clamp(FIRST, LAST);
    let (days, of_day) = (millis.div_euclid(86_400_000), millis.rem_euclid(86_400_000));
    let (year, month, day) = civil(days);
    let mut text = *b"0000-00-00T00:00:00.000Z";
    let mut put = |from: usize, digits: usize, mut value: i64| {
        for octet in text[from..from + digits].iter_mut().rev() {
            *octet = b'0' + (value % 10) as u8;
            value /= 10;
        }
    };
    put(0, 4, year);
    put(5, 2, month);
    put(8, 2, day);
    put(11, 2, of_day / 3_600_000);
    put(14, 2, of_day / 60_000 % 60);
    put(17, 2, of_day / 1000 % 60);
    put(20, 3, of_day % 1000);
    Text(text)
}

/// Reads RFC 3339; an offset (or `Z`) is mandatory. `None` if it is not that.
pub(super) fn parse(text: &str) -> Option<Timestamp> {
    let instant: jiff::Timestamp = text.trim().parse().ok()?;
    Some(Timestamp(instant.as_millisecond()))
}

/// A written instant: 24 ASCII characters.
#[derive(Clone, Copy)]
pub(super) struct Text([u8; 24]);

impl Text {
    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl serde::Serialize for Text {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Days since 1970-01-01 as year, month and day of the Gregorian calendar (the well-known
/// shift of the year to March, so that the leap day comes last).
const fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + (month <= 2) as i64;
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_written_as_the_calendar_library_writes_them() {
        let mut millis = FIRST;
        while millis < LAST {
            let expected = jiff::Timestamp::from_millisecond(millis).unwrap();
            let expected = expected.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string();
            assert_eq!(rfc3339(Timestamp(millis)).as_str(), expected, "{millis}");
            millis += 7_777_777_777_777 / 23;
        }
        assert_eq!(rfc3339(Timestamp(0)).as_str(), "1970-01-01T00:00:00.000Z");
        let leap = rfc3339(Timestamp(951_782_400_000));
        assert_eq!(leap.as_str(), "2000-02-29T00:00:00.000Z");
    }

    #[test]
    fn instants_beyond_four_digits_of_year_stop_there() {
        assert_eq!(
            rfc3339(Timestamp(i64::MAX)).as_str(),
            "9999-12-31T23:59:59.999Z"
        );
        assert_eq!(
            rfc3339(Timestamp(i64::MIN)).as_str(),
            "0000-01-01T00:00:00.000Z"
        );
    }

    #[test]
    fn an_offset_is_mandatory() {
        let at = parse("2026-04-05T15:03:04.485+03:00").unwrap();
        assert_eq!(rfc3339(at).as_str(), "2026-04-05T12:03:04.485Z");
        assert_eq!(parse("2026-04-05T12:03:04Z").map(|at| at.0 % 1000), Some(0));
        for text in [
            "",
            "2026-04-05",
            "2026-04-05T12:03:04",
            "tomorrow",
            "1775390584",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
