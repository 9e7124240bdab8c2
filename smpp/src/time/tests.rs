//! Lives here: the tests of SMPP times in both directions.
//! Never here: civil dates (`civil`).

use std::time::{Duration, UNIX_EPOCH};

use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};

use super::{AbsoluteTime, DateTime, RelativeTime, SmppTime, TimeError, TimePart};
use crate::pdu::OctetStr;

fn absolute(text: &str) -> AbsoluteTime {
    match SmppTime::parse(text.as_bytes()) {
        Ok(Some(SmppTime::Absolute(time))) => time,
        other => panic!("{text:?} is {other:?}"),
    }
}

fn seconds(text: &str) -> u64 {
    match SmppTime::parse(text.as_bytes()) {
        Ok(Some(SmppTime::Relative(time))) => time.duration().as_secs(),
        other => panic!("{text:?} is {other:?}"),
    }
}

#[test]
fn both_forms_are_read_and_written() {
    for text in [
        "261121102407000+",
        "261121102407912+",
        "180711070003904-",
        "991231235959948-",
        "000101000000048+",
        "000000000000000R",
        "020610233429000R",
    ] {
        let time = SmppTime::parse(text.as_bytes())
            .expect("a time")
            .expect("not empty");
        assert_eq!(time.to_string(), text);
        assert_eq!(OctetStr::from(time), text);
    }
}

#[test]
fn an_offset_says_how_far_the_local_clock_is_ahead() {
    let utc = absolute("261121102407000+");
    assert_eq!(utc.unix_ms(), 1_795_256_647_000);
    let nairobi = absolute("261121132407012+");
    assert_eq!(nairobi.unix_ms(), utc.unix_ms());
    assert_eq!(
        (nairobi.local().hour(), nairobi.offset_quarters()),
        (13, 12)
    );
    let west = absolute("261121092407504-");
    assert_eq!((west.unix_ms(), west.tenths()), (utc.unix_ms() + 500, 5));
    assert_eq!(
        AbsoluteTime::from_system_time(nairobi.system_time(), 12),
        Ok(nairobi)
    );
    assert_eq!(AbsoluteTime::from_unix_ms(utc.unix_ms() + 99, 0), Ok(utc));
    assert_eq!(
        AbsoluteTime::from_system_time(UNIX_EPOCH, 0),
        Err(TimeError::Century)
    );
    assert_eq!(
        AbsoluteTime::from_unix_ms(utc.unix_ms(), 49),
        Err(TimeError::OutOfRange(TimePart::Offset, 49))
    );
    assert!(AbsoluteTime::new(DateTime::MIN, 10, 0).is_err());
}

#[test]
fn trap_32_null_and_times_of_other_lengths_are_read() {
    for empty in [
        &b""[..],
        b"\0",
        b"\0\0\x01",
        b"  ",
        b" \x00261121102407000+",
    ] {
        assert_eq!(SmppTime::parse(empty), Ok(None), "{empty:?}");
    }
    let expected = absolute("261121102407000+");
    for text in [
        "261121102407",
        "20261121102407",
        "261121102407000",
        "26112110240700+",
        "2611211024070000+",
        "26112110240700000+",
        "261121102407000-",
        " 261121102407000+ ",
    ] {
        assert_eq!(absolute(text).unix_ms(), expected.unix_ms(), "{text:?}");
    }
    assert_eq!(absolute("261121102407900+").tenths(), 9);
    assert_eq!(absolute("2611211024079900+").tenths(), 9);
    assert_eq!(
        absolute("202611211024").local(),
        absolute("2611211024").local()
    );
    for text in [
        "000001000000000R",
        "000001000000R",
        "0000010000R",
        "000001000000000r",
        "000000240000000R",
    ] {
        assert_eq!(seconds(text), 86_400, "{text:?}");
    }
    assert_eq!(
        seconds("999999999999999R"),
        RelativeTime::MAX.duration().as_secs()
    );
}

#[test]
fn trap_32_what_is_written_has_one_digit_of_tenths() {
    let time = AbsoluteTime::from_unix_ms(1_795_256_647_999, 0).expect("in this century");
    assert_eq!(&time.to_octets(), b"261121102407900+");
}

#[test]
fn dirt_is_named() {
    for (text, error) in [
        ("261121102407Z", TimeError::Sign(b'Z')),
        ("261121102407000\u{1}", TimeError::Sign(1)),
        ("now", TimeError::NotADigit { at: 0, octet: b'n' }),
        ("2026-11-21", TimeError::NotADigit { at: 4, octet: b'-' }),
        ("+", TimeError::Length(0)),
        ("R", TimeError::Length(0)),
        ("7", TimeError::Length(1)),
        ("26112110240700000000000+", TimeError::Length(23)),
        ("261121102407012", TimeError::NoSign),
        (
            "261121102407049+",
            TimeError::OutOfRange(TimePart::Offset, 49),
        ),
        (
            "261321102407000+",
            TimeError::OutOfRange(TimePart::Month, 13),
        ),
        ("260229102407000+", TimeError::OutOfRange(TimePart::Day, 29)),
        (
            "261121242407000+",
            TimeError::OutOfRange(TimePart::Hour, 24),
        ),
        (
            "261121106007000+",
            TimeError::OutOfRange(TimePart::Minute, 60),
        ),
        (
            "261121102461000+",
            TimeError::OutOfRange(TimePart::Second, 61),
        ),
        (
            "19991121102407",
            TimeError::OutOfRange(TimePart::Year, 1999),
        ),
    ] {
        assert_eq!(SmppTime::parse(text.as_bytes()), Err(error), "{text:?}");
        assert!(!error.to_string().is_empty());
    }
}

#[test]
fn a_validity_is_never_shorter_than_asked() {
    for (span, text) in [
        (Duration::ZERO, "000000000000000R"),
        (Duration::from_nanos(1), "000000000001000R"),
        (Duration::from_millis(59_001), "000000000100000R"),
        (Duration::from_secs(3_723), "000000010203000R"),
        (Duration::from_secs(31 * 86_400), "000031000000000R"),
        (Duration::from_secs(32 * 86_400), "000102000000000R"),
        (Duration::from_secs(364 * 86_400), "001204000000000R"),
        (Duration::from_secs(366 * 86_400), "010001000000000R"),
        (Duration::MAX, "991204235959000R"),
    ] {
        let time = RelativeTime::from_duration(span);
        assert_eq!(SmppTime::Relative(time).to_string(), text);
    }
    assert_eq!(seconds("010101000000000R"), (365 + 30 + 1) * 86_400);
}

#[test]
fn a_relative_time_counts_from_the_given_now() {
    let day = SmppTime::Relative(RelativeTime::from_duration(Duration::from_secs(86_400)));
    assert_eq!(day.unix_ms(5), 86_400_005);
    assert_eq!(day.unix_ms(i64::MAX), i64::MAX);
}

fn time_like() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..24),
        "[0-9]{0,18}[-+RrZ ]?".prop_map(String::into_bytes),
        (
            "(00|20|26)(0[0-9]|1[0-9])[0-3][0-9][0-2][0-9]([0-6][0-9]){2}[0-9][0-4][0-9]",
            Just(b'+')
        )
            .prop_map(|(text, sign)| {
                let mut octets = text.into_bytes();
                octets.push(sign);
                octets
            }),
    ]
}

proptest! {
    #[test]
    fn points_in_time_survive_the_way_there_and_back(
        tenths in 9_467_280_000i64..41_024_016_000,
        offset in -48i8..=48,
    ) {
        let time = AbsoluteTime::from_unix_ms(tenths * 100, offset).expect("in this century");
        prop_assert_eq!(time.unix_ms(), tenths * 100);
        prop_assert_eq!(SmppTime::parse(&time.to_octets()), Ok(Some(SmppTime::Absolute(time))));
        prop_assert_eq!(AbsoluteTime::from_system_time(time.system_time(), offset), Ok(time));
    }

    #[test]
    fn spans_survive_the_way_there_and_back(seconds in 0..RelativeTime::MAX.duration().as_secs()) {
        let span = Duration::from_secs(seconds);
        let time = RelativeTime::from_duration(span);
        prop_assert_eq!(time.duration(), span);
        prop_assert_eq!(SmppTime::parse(&time.to_octets()), Ok(Some(SmppTime::Relative(time))));
    }

    #[test]
    fn every_input_has_an_answer_and_what_was_read_is_written_strictly(octets in time_like()) {
        if let Ok(Some(time)) = SmppTime::parse(&octets) {
            let written = time.to_octets();
            prop_assert!(written[..15].iter().all(u8::is_ascii_digit));
            prop_assert_eq!(SmppTime::parse(&written), Ok(Some(time)));
        }
    }
}
