//! Lives here: dates of the civil calendar from 2000 to 2099, to and from UNIX time.
//! Never here: time zones, the sixteen octets of SMPP times.

use super::{TimeError, TimePart};

/// Seconds of a day.
pub(super) const DAY_SECS: i64 = 86_400;

/// A date and time of day without zone, always one that exists, from 2000 to 2099: SMPP writes years with two
/// digits and names no century.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DateTime {
    year: u16,
    month: u8,
    day: u8,
    hour: u8,
    minute: u8,
    second: u8,
}

impl DateTime {
    /// The first second of 2000.
    pub const MIN: Self = Self {
        year: 2000,
        month: 1,
        day: 1,
        hour: 0,
        minute: 0,
        second: 0,
    };

    /// The last second of 2099.
    pub const MAX: Self = Self {
        year: 2099,
        month: 12,
        day: 31,
        hour: 23,
        minute: 59,
        second: 59,
    };

    /// Year 2000 to 2099, month and day from 1, hour 0 to 23, minute and second 0 to 59. A leap second (60) is
    /// read as 59.
    ///
    /// # Errors
    /// [`TimeError::OutOfRange`] with the first part that does not fit; a 30 February is a wrong day.
    pub fn new(
        year: u16,
        month: u8,
        day: u8,
        hour: u8,
        minute: u8,
        second: u8,
    ) -> Result<Self, TimeError> {
        let check = |part, value: u16, low: u16, high: u16| {
            if (low..=high).contains(&value) {
                Ok(())
            } else {
                Err(TimeError::OutOfRange(part, value))
            }
        };
        check(TimePart::Year, year, 2000, 2099)?;
        check(TimePart::Month, month.into(), 1, 12)?;
        check(
            TimePart::Day,
            day.into(),
            1,
            days_of_month(year, month).into(),
        )?;
        check(TimePart::Hour, hour.into(), 0, 23)?;
        check(TimePart::Minute, minute.into(), 0, 59)?;
        check(TimePart::Second, second.into(), 0, 60)?;
        Ok(Self {
            year,
            month,
            day,
            hour,
            minute,
            second: second.min(59),
        })
    }

    /// The civil time of this many seconds since 1970, of the same zone.
    ///
    /// # Errors
    /// [`TimeError::Century`] before 2000 and after 2099.
    pub fn from_unix(seconds: i64) -> Result<Self, TimeError> {
        if !(Self::MIN.unix()..=Self::MAX.unix()).contains(&seconds) {
            return Err(TimeError::Century);
        }
        // Days since 1 March 0000, so that a leap day ends its year (Howard Hinnant's `civil_from_days`).
        // Everything is positive and small from here, as the range was checked.
        let days = seconds / DAY_SECS + 719_468;
        let (era, of_era) = (days / 146_097, days % 146_097);
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month_from_march + 2) / 5 + 1;
        let (month, later) = if month_from_march < 10 {
            (month_from_march + 3, 0)
        } else {
            (month_from_march - 9, 1)
        };
        let of_day = seconds % DAY_SECS;
        Ok(Self {
            year: (era * 400 + year_of_era + later) as u16,
            month: month as u8,
            day: day as u8,
            hour: (of_day / 3_600) as u8,
            minute: (of_day / 60 % 60) as u8,
            second: (of_day % 60) as u8,
        })
    }

    /// Seconds since 1970, taking this as UTC.
    #[must_use]
    pub const fn unix(self) -> i64 {
        let march = self.month > 2;
        let year = self.year as i64 - if march { 0 } else { 1 };
        let month = self.month as i64 + if march { -3 } else { 9 };
        let (era, year_of_era) = (year / 400, year % 400);
        let of_year = (153 * month + 2) / 5 + self.day as i64 - 1;
        let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
        let days = era * 146_097 + of_era - 719_468;
        days * DAY_SECS + self.hour as i64 * 3_600 + self.minute as i64 * 60 + self.second as i64
    }

    /// 2000 to 2099.
    #[must_use]
    pub const fn year(self) -> u16 {
        self.year
    }

    /// 1 to 12.
    #[must_use]
    pub const fn month(self) -> u8 {
        self.month
    }

    /// 1 to 31.
    #[must_use]
    pub const fn day(self) -> u8 {
        self.day
    }

    /// 0 to 23.
    #[must_use]
    pub const fn hour(self) -> u8 {
        self.hour
    }

    /// 0 to 59.
    #[must_use]
    pub const fn minute(self) -> u8 {
        self.minute
    }

    /// 0 to 59.
    #[must_use]
    pub const fn second(self) -> u8 {
        self.second
    }

    /// `YYMMDDhhmmss`; the first ten octets are the date of SMPP appendix B.
    #[must_use]
    pub fn digits(self) -> [u8; 12] {
        let year = (self.year - 2000) as u8;
        super::digit_pairs([
            year,
            self.month,
            self.day,
            self.hour,
            self.minute,
            self.second,
        ])
    }

    /// Reads `YYMMDDhhmm`, `YYMMDDhhmmss`, `YYYYMMDDhhmm` and `YYYYMMDDhhmmss`, seconds being 0 where they are
    /// not written. Twelve digits that fit both forms and start with 20 start with a four-digit year: as two
    /// digits that were 2020. All octets must be ASCII digits.
    pub(crate) fn from_digits(digits: &[u8]) -> Result<Self, TimeError> {
        match digits.len() {
            12 if digits.starts_with(b"20") => {
                Self::four_digit_year(digits).or_else(|_| Self::two_digit_year(digits))
            }
            10 | 12 => Self::two_digit_year(digits),
            14 => Self::four_digit_year(digits),
            other => Err(TimeError::Length(other)),
        }
    }

    /// Reads `YYMMDDhhmm` and `YYMMDDhhmmss`. All octets must be ASCII digits.
    pub(crate) fn two_digit_year(digits: &[u8]) -> Result<Self, TimeError> {
        Self::from_fields(digits, 2)
    }

    /// Reads `YYYYMMDDhhmm` and `YYYYMMDDhhmmss`. All octets must be ASCII digits.
    pub(crate) fn four_digit_year(digits: &[u8]) -> Result<Self, TimeError> {
        Self::from_fields(digits, 4)
    }

    /// Reads year, month, day, hour, minute and, when written, second.
    fn from_fields(digits: &[u8], year_digits: usize) -> Result<Self, TimeError> {
        let (year, rest) = digits
            .split_at_checked(year_digits)
            .ok_or(TimeError::Length(digits.len()))?;
        let year = year
            .iter()
            .fold(0u16, |year, digit| year * 10 + u16::from(digit - b'0'));
        let pair = |at: usize| match rest.get(at..at + 2) {
            Some([tens, ones]) => (tens - b'0') * 10 + (ones - b'0'),
            _ => 0,
        };
        let year = if year_digits == 2 { 2000 + year } else { year };
        Self::new(year, pair(0), pair(2), pair(4), pair(6), pair(8))
    }
}

const fn days_of_month(year: u16, month: u8) -> u8 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::{DAY_SECS, DateTime, days_of_month};
    use crate::time::{TimeError, TimePart};

    #[test]
    fn every_day_of_the_century_is_counted_both_ways() {
        // 2000-01-01 is day 10 957 of UNIX time; the calendar is walked by hand.
        let mut days = 10_957;
        for year in 2000..=2099 {
            for month in 1..=12 {
                for day in 1..=days_of_month(year, month) {
                    let noon = DateTime::new(year, month, day, 12, 34, 56).expect("it exists");
                    let seconds = days * DAY_SECS + 12 * 3_600 + 34 * 60 + 56;
                    assert_eq!(noon.unix(), seconds);
                    assert_eq!(DateTime::from_unix(seconds), Ok(noon));
                    days += 1;
                }
            }
        }
        assert_eq!(days, 10_957 + 36_525, "a century with 25 leap years");
    }

    #[test]
    fn known_seconds_are_met_and_other_centuries_refused() {
        assert_eq!(DateTime::MIN.unix(), 946_684_800);
        assert_eq!(DateTime::MAX.unix(), 4_102_444_799);
        assert_eq!(DateTime::from_unix(946_684_799), Err(TimeError::Century));
        assert_eq!(DateTime::from_unix(4_102_444_800), Err(TimeError::Century));
        assert_eq!(DateTime::from_unix(i64::MIN), Err(TimeError::Century));
        let read = DateTime::from_digits(b"20261121102407").map(DateTime::unix);
        assert_eq!(read, Ok(1_795_256_647));
    }

    #[test]
    fn days_that_do_not_exist_are_refused() {
        for (year, month, day, part, value) in [
            (2026, 2, 29, TimePart::Day, 29),
            (2024, 2, 30, TimePart::Day, 30),
            (2026, 4, 31, TimePart::Day, 31),
            (2026, 0, 1, TimePart::Month, 0),
            (2026, 13, 1, TimePart::Month, 13),
            (2026, 1, 0, TimePart::Day, 0),
            (1999, 1, 1, TimePart::Year, 1999),
        ] {
            assert_eq!(
                DateTime::new(year, month, day, 0, 0, 0),
                Err(TimeError::OutOfRange(part, value))
            );
        }
        let leap = DateTime::new(2016, 12, 31, 23, 59, 60).expect("a leap second");
        assert_eq!(leap.second(), 59);
    }
}
