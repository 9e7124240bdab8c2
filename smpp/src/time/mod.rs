//! Lives here: the times of the protocol (SMPP 7.1.1; 5.0 4.7.23.4 and 4.7.23.5), absolute and relative, read
//! leniently and written strictly, and what they are as UNIX time and as `Duration`.
//! Never here: clocks; the dates in receipts' texts (`receipt`).

mod civil;

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use thiserror::Error;

use crate::pdu::OctetStr;
pub use civil::DateTime;

/// Octets of a time as it is written, without the terminating NUL.
pub const TIME_LEN: usize = 16;

/// Milliseconds of a quarter of an hour.
const QUARTER_MS: i64 = 900_000;
/// How far a local time may be from UTC, in quarters of an hour.
const QUARTERS_MAX: i8 = 48;

/// `schedule_delivery_time`, `validity_period`, `final_date`, `broadcast_end_time`.
///
/// ```
/// use std::time::Duration;
/// use mnara_smpp::time::{RelativeTime, SmppTime};
///
/// let hour = SmppTime::Relative(RelativeTime::from_duration(Duration::from_secs(3600)));
/// assert_eq!(hour.to_string(), "000000010000000R");
/// assert_eq!(SmppTime::parse(b"000000010000000R"), Ok(Some(hour)));
///
/// let Ok(Some(due)) = SmppTime::parse(b"261121102407012+") else { panic!("a time") };
/// assert_eq!(due.unix_ms(0), 1_795_256_647_000 - 3 * 3_600_000);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SmppTime {
    /// `YYMMDDhhmmsstnnp`.
    Absolute(AbsoluteTime),
    /// `YYMMDDhhmmss000R`: counted from when the carrier took the message.
    Relative(RelativeTime),
}

/// A point in time, to a tenth of a second, with the offset of the zone it is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AbsoluteTime {
    local: DateTime,
    tenths: u8,
    offset_quarters: i8,
}

/// A span of time, to a second.
///
/// The specification counts it in calendar years and months and does not say how long those are. They are read
/// here as 365 and 30 days wherever a length is needed ([`RelativeTime::duration`]); another system may take the
/// calendar's. Spans of at most 31 days are therefore written without months: those all systems read alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RelativeTime {
    /// Years, months, days, hours, minutes, seconds: at most 99, 12, 31, 23, 59, 59.
    parts: [u8; 6],
}

/// Why octets are not a time, or a time cannot be written. On a `submit_sm` the ESME is at fault: answer
/// `ESME_RINVSCHED` or `ESME_RINVEXPIRY`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TimeError {
    /// A number of digits that no form has.
    #[error("{0} digits are no time")]
    Length(usize),
    /// An octet between digits that is none.
    #[error("octet {octet:#04x} at {at} is not a digit")]
    NotADigit {
        /// Its place, from 0.
        at: usize,
        /// The octet.
        octet: u8,
    },
    /// The last octet, behind digits, is not `+`, `-` or `R`: a `Z`, say.
    #[error("a time ends in +, - or R, not in octet {0:#04x}")]
    Sign(u8),
    /// An offset from UTC without the `+` or `-` behind it.
    #[error("the offset from UTC has no sign")]
    NoSign,
    /// A part of the time that the calendar or the specification does not have.
    #[error("{0} {1} does not exist")]
    OutOfRange(TimePart, u16),
    /// A time before 2000 or after 2099, which two digits of a year cannot say.
    #[error("the year is not one of 2000 to 2099")]
    Century,
}

/// The parts of a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimePart {
    /// `YY`.
    Year,
    /// `MM`.
    Month,
    /// `DD`.
    Day,
    /// `hh`.
    Hour,
    /// `mm`.
    Minute,
    /// `ss`.
    Second,
    /// `t`.
    Tenths,
    /// `nn`: quarters of an hour.
    Offset,
}

impl SmppTime {
    /// Reads a field; `None` when it is empty (NULL), as both forms of the specification allow: at once, or the
    /// carrier's default. White space around it and all from the first NUL are overlooked.
    ///
    /// Accepted beyond the specification, as peers write it:
    /// - absolute times without offset, taken as UTC: 10, 12 and 14 digits (14 with a four-digit year, and 12
    ///   that start with 20 if they can), or 15 whose offset is 00;
    /// - no digit for tenths, or two or three (the first is taken);
    /// - relative times of 10 or more digits before the `R` (only the first 12 are read), with parts beyond the
    ///   calendar's: 72 hours are three days. `r` for `R`.
    ///
    /// # Errors
    /// [`TimeError`], saying what is wrong.
    pub fn parse(octets: &[u8]) -> Result<Option<Self>, TimeError> {
        let until_nul = octets.split(|octet| *octet == 0).next().unwrap_or_default();
        let text = until_nul.trim_ascii();
        let Some((last, rest)) = text.split_last() else {
            return Ok(None);
        };
        let digits = if last.is_ascii_digit() { text } else { rest };
        if let Some(at) = digits.iter().position(|octet| !octet.is_ascii_digit()) {
            let octet = digits[at];
            return Err(TimeError::NotADigit { at, octet });
        }
        match last {
            b'+' => AbsoluteTime::read(digits, Some(1)).map(Self::Absolute),
            b'-' => AbsoluteTime::read(digits, Some(-1)).map(Self::Absolute),
            b'R' | b'r' => RelativeTime::read(digits).map(Self::Relative),
            b'0'..=b'9' => AbsoluteTime::read(digits, None).map(Self::Absolute),
            other => Err(TimeError::Sign(*other)),
        }
        .map(Some)
    }

    /// The sixteen octets of the specification's form.
    #[must_use]
    pub fn to_octets(self) -> [u8; TIME_LEN] {
        match self {
            Self::Absolute(time) => time.to_octets(),
            Self::Relative(time) => time.to_octets(),
        }
    }

    /// Milliseconds since 1970, when a relative time counts from `now_ms`, in the same unit.
    #[must_use]
    pub fn unix_ms(self, now_ms: i64) -> i64 {
        match self {
            Self::Absolute(time) => time.unix_ms(),
            Self::Relative(time) => now_ms
                .saturating_add(i64::try_from(time.duration().as_millis()).unwrap_or(i64::MAX)),
        }
    }
}

impl fmt::Display for SmppTime {
    /// As on the wire.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_octets()
            .iter()
            .try_for_each(|octet| fmt::Write::write_char(f, char::from(*octet)))
    }
}

impl From<SmppTime> for OctetStr {
    fn from(time: SmppTime) -> Self {
        Self::copy_from_slice(&time.to_octets())
    }
}

impl AbsoluteTime {
    /// `local` is the time on a clock that is `offset_quarters` quarters of an hour ahead of UTC (-48 to 48);
    /// `tenths` of a second are 0 to 9.
    ///
    /// # Errors
    /// [`TimeError::OutOfRange`].
    pub const fn new(local: DateTime, tenths: u8, offset_quarters: i8) -> Result<Self, TimeError> {
        if tenths > 9 {
            return Err(TimeError::OutOfRange(TimePart::Tenths, tenths as u16));
        }
        let quarters = offset_quarters.unsigned_abs();
        if quarters > QUARTERS_MAX.unsigned_abs() {
            return Err(TimeError::OutOfRange(TimePart::Offset, quarters as u16));
        }
        Ok(Self {
            local,
            tenths,
            offset_quarters,
        })
    }

    /// This many milliseconds since 1970, written with this offset; rounded down to a tenth of a second.
    ///
    /// # Errors
    /// [`TimeError::Century`] when the local time is not in 2000 to 2099, [`TimeError::OutOfRange`] for the
    /// offset.
    pub fn from_unix_ms(unix_ms: i64, offset_quarters: i8) -> Result<Self, TimeError> {
        let local_ms = unix_ms.saturating_add(i64::from(offset_quarters) * QUARTER_MS);
        let local = DateTime::from_unix(local_ms.div_euclid(1000))?;
        let tenths = local_ms.rem_euclid(1000) / 100;
        Self::new(local, tenths as u8, offset_quarters)
    }

    /// As [`AbsoluteTime::from_unix_ms`].
    ///
    /// # Errors
    /// The same.
    pub fn from_system_time(time: SystemTime, offset_quarters: i8) -> Result<Self, TimeError> {
        let since_1970 = time
            .duration_since(UNIX_EPOCH)
            .map_err(|_| TimeError::Century)?;
        let unix_ms = i64::try_from(since_1970.as_millis()).map_err(|_| TimeError::Century)?;
        Self::from_unix_ms(unix_ms, offset_quarters)
    }

    /// Milliseconds since 1970; never negative.
    #[must_use]
    pub fn unix_ms(self) -> i64 {
        self.local.unix() * 1000 + i64::from(self.tenths) * 100
            - i64::from(self.offset_quarters) * QUARTER_MS
    }

    /// The same point in time for the standard library.
    #[must_use]
    pub fn system_time(self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.unix_ms().unsigned_abs())
    }

    /// What a clock of that zone shows.
    #[must_use]
    pub const fn local(self) -> DateTime {
        self.local
    }

    /// 0 to 9.
    #[must_use]
    pub const fn tenths(self) -> u8 {
        self.tenths
    }

    /// Quarters of an hour that the zone is ahead of UTC, -48 to 48.
    #[must_use]
    pub const fn offset_quarters(self) -> i8 {
        self.offset_quarters
    }

    /// `YYMMDDhhmmsstnnp`.
    #[must_use]
    pub fn to_octets(self) -> [u8; TIME_LEN] {
        let mut octets = [0; TIME_LEN];
        octets[..12].copy_from_slice(&self.local.digits());
        octets[12] = b'0' + self.tenths;
        octets[13..15].copy_from_slice(&digit_pair(self.offset_quarters.unsigned_abs()));
        octets[15] = if self.offset_quarters < 0 { b'-' } else { b'+' };
        octets
    }

    fn read(digits: &[u8], sign: Option<i8>) -> Result<Self, TimeError> {
        match (digits.len(), sign) {
            (10 | 12 | 14, None) => Self::new(DateTime::from_digits(digits)?, 0, 0),
            (15, None) if digits.ends_with(b"00") => Self::read(digits, Some(1)),
            (15, None) => Err(TimeError::NoSign),
            (14..=17, Some(sign)) => {
                let (local, rest) = digits.split_at(12);
                let (tenths, quarters) = rest.split_at(rest.len() - 2);
                let tenths = tenths.first().map_or(0, |digit| digit - b'0');
                let quarters = quarters
                    .iter()
                    .fold(0, |value, digit| value * 10 + (digit - b'0'));
                // Two digits are at most 99.
                Self::new(
                    DateTime::two_digit_year(local)?,
                    tenths,
                    sign * quarters as i8,
                )
            }
            (other, _) => Err(TimeError::Length(other)),
        }
    }
}

impl RelativeTime {
    const YEAR_DAYS: u64 = 365;
    const MONTH_DAYS: u64 = 30;
    const DAY_SECS: u64 = civil::DAY_SECS.unsigned_abs();

    /// The longest that [`RelativeTime::from_duration`] gives: 99 years, 12 months, 4 days, a second before midnight.
    pub const MAX: Self = Self {
        parts: [99, 12, 4, 23, 59, 59],
    };

    /// This span, rounded up to a second, so that a validity is never shorter than asked and zero only for zero;
    /// one longer than [`RelativeTime::MAX`] becomes that.
    #[must_use]
    pub fn from_duration(span: Duration) -> Self {
        let seconds = span
            .as_secs()
            .saturating_add(u64::from(span.subsec_nanos() > 0));
        if seconds >= Self::MAX.duration().as_secs() {
            return Self::MAX;
        }
        let (days, rest) = (seconds / Self::DAY_SECS, seconds % Self::DAY_SECS);
        let (years, days) = if days > 31 {
            (days / Self::YEAR_DAYS, days % Self::YEAR_DAYS)
        } else {
            (0, days)
        };
        let (months, days) = if days > 31 {
            (days / Self::MONTH_DAYS, days % Self::MONTH_DAYS)
        } else {
            (0, days)
        };
        let parts = [years, months, days, rest / 3_600, rest / 60 % 60, rest % 60];
        Self {
            parts: parts.map(|part| part as u8),
        }
    }

    /// How long it is, a year being 365 days and a month 30.
    #[must_use]
    pub fn duration(self) -> Duration {
        Self::length(self.parts)
    }

    /// Years, months, days, hours, minutes and seconds as written, for a system that counts by the calendar.
    #[must_use]
    pub const fn parts(self) -> [u8; 6] {
        self.parts
    }

    /// `YYMMDDhhmmss000R`.
    #[must_use]
    pub fn to_octets(self) -> [u8; TIME_LEN] {
        let mut octets = *b"000000000000000R";
        octets[..12].copy_from_slice(&digit_pairs(self.parts));
        octets
    }

    fn read(digits: &[u8]) -> Result<Self, TimeError> {
        if !matches!(digits.len(), 10 | 12..=15) {
            return Err(TimeError::Length(digits.len()));
        }
        let mut parts = [0; 6];
        for (part, pair) in parts.iter_mut().zip(digits.chunks_exact(2)) {
            *part = pair
                .iter()
                .fold(0, |value, digit| value * 10 + (digit - b'0'));
        }
        let [_, months, days, hours, minutes, seconds] = parts;
        let fits = months <= 12 && days <= 31 && hours <= 23 && minutes <= 59 && seconds <= 59;
        Ok(if fits {
            Self { parts }
        } else {
            Self::from_duration(Self::length(parts))
        })
    }

    fn length(parts: [u8; 6]) -> Duration {
        let [years, months, days, hours, minutes, seconds] = parts.map(u64::from);
        let days = years * Self::YEAR_DAYS + months * Self::MONTH_DAYS + days;
        Duration::from_secs(days * Self::DAY_SECS + hours * 3_600 + minutes * 60 + seconds)
    }
}

impl fmt::Display for TimePart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Year => "year",
            Self::Month => "month",
            Self::Day => "day",
            Self::Hour => "hour",
            Self::Minute => "minute",
            Self::Second => "second",
            Self::Tenths => "tenth of a second",
            Self::Offset => "quarter of an hour from UTC",
        })
    }
}

/// Two ASCII digits; `value` is at most 99.
const fn digit_pair(value: u8) -> [u8; 2] {
    [b'0' + value / 10, b'0' + value % 10]
}

fn digit_pairs(values: [u8; 6]) -> [u8; 12] {
    let mut digits = [0; 12];
    for (pair, value) in digits.chunks_exact_mut(2).zip(values) {
        pair.copy_from_slice(&digit_pair(value));
    }
    digits
}

#[cfg(test)]
mod tests;
