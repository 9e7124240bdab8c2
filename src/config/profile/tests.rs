//! Lives here: what the shipped profiles mean, and what is said of wrong ones.
//! Never here: anything but tests.

use mnara_smpp::receipt::IdDialect;
use proptest::prelude::{prop_assert, proptest};

use super::*;
use crate::carrier::profile::{Addresses, Errors, ReceiptRules, TextRules};
use crate::domain::capability::Capability;
use crate::domain::verdict::Table;

fn over(profile: &mut Profile, text: &str) -> Result<(), String> {
    let source = Source::new(text, Path::new("p.toml"));
    apply(profile, &source).map_err(|error| error.to_string())
}

fn read(text: &str) -> Profile {
    let mut profile = Profile::default();
    over(&mut profile, text).unwrap();
    profile
}

fn shipped(name: &str) -> &'static str {
    BUILT_IN.iter().find(|(known, _)| *known == name).unwrap().1
}

/// Another profile than the default in everything that default.toml can set.
fn odd() -> Profile {
    let none = SenderRule {
        allowed: false,
        length_min: 2,
        length_max: 2,
    };
    let label = TonNpi { ton: 6, npi: 9 };
    let mut verdicts = Table::default();
    for status in CommandStatus::NAMED {
        verdicts.set(status.0, Verdict::AfterAcceptance);
    }
    Profile {
        verdicts,
        ids: IdDialect {
            response: IdRule::FoldHex,
            receipt: IdRule::FoldHex,
        },
        receipts: ReceiptRules {
            request: false,
            esm_class_0: true,
            acceptd_is_delivered: true,
            id_from_text: true,
            words: Vec::new(),
            other_words: None,
            timezone: TimeZone::fixed(jiff::tz::offset(5)),
        },
        errors: Errors::default(),
        text: TextRules {
            gsm7_data_coding: 1,
            ucs2_data_coding: 1,
            alphabet: Alphabet::Ascii,
            segmentation: Segmentation::Payload,
        },
        addresses: Addresses {
            alphanumeric: label,
            short_code: label,
            international: label,
            recipient: label,
        },
        capability: Capability {
            alphanumeric: none,
            short_code: none,
            international: none,
            senders: vec![Pattern("x".into())],
            parts_max: 1,
        },
        submit: crate::carrier::profile::Submit {
            validity_period: false,
            service_type: OctetStr::copy_from_slice(b"x"),
            user_message_reference: true,
            priority: [4; 3],
            registered_delivery: 2,
        },
        session: crate::carrier::profile::Session {
            interface_version: Version::V5_0,
            least_version: Some(Version::V3_3),
            untold_version: Some(Version::V3_3),
        },
    }
}

#[test]
fn the_default_file_names_every_key_with_its_default() {
    let mut profile = odd();
    over(&mut profile, shipped("default")).unwrap();
    assert_eq!(profile, Profile::default());
}

#[test]
fn every_shipped_profile_is_a_good_one_and_takes_ordinary_traffic() {
    let sender = crate::domain::phone::Sender::parse("MojaWave").unwrap();
    for (name, text) in BUILT_IN {
        let profile = read(text);
        assert_eq!(profile.accepts(&sender, 3), Ok(()), "{name}");
        let hours = match name.rsplit_once('_') {
            Some((_, "tz")) => 3,
            Some((_, "ng")) => 1,
            _ => 0,
        };
        let zone = &profile.receipts.timezone;
        let offset = zone.to_offset(jiff::Timestamp::UNIX_EPOCH);
        assert_eq!(offset, jiff::tz::offset(hours), "{name}");
    }
}

#[test]
fn the_commented_lines_of_the_default_file_are_good_ones_too() {
    let examples = shipped("default")
        .replace("# 001", "001")
        .replace("# 21b", "21b")
        .replace("# 27", "27")
        .replace("# HANDSET", "HANDSET")
        .replace("# RETRYING", "RETRYING");
    let profile = read(&examples);
    assert_eq!(profile.errors.texts.len(), 2);
    assert_eq!(
        profile.errors.network,
        [(27, FailureCode::AbsentSubscriber)]
    );
    assert_eq!(profile.receipts.words.len(), 2);
}

#[test]
fn statuses_are_read_by_name_and_by_number() {
    let profile = read(
        "[status]\n\
         \"0x0B\" = { verdict = \"other_route\" }\n\
         ESME_RSYSERR = { verdict = \"after_acceptance\" }\n\
         \"0x401\" = { verdict = \"permanent\", failure = \"blocked_dnd\" }\n\
         ESME_RTHROTTLED = { verdict = \"slow_down\", after_ms = 250 }\n\
         \"0x500\" = { verdict = \"retry\", after_s = 7, attempts = 3, then = \"permanent\" }\n",
    );
    let rejected = FailureCode::CarrierRejected;
    let retry = Retry {
        after: Duration::from_secs(7),
        attempts: 3,
        then: AfterRetries::Permanent(rejected),
    };
    for (status, verdict) in [
        (0x0B, Verdict::OtherRoute(rejected)),
        (0x08, Verdict::AfterAcceptance),
        (0x401, Verdict::Permanent(FailureCode::BlockedDnd)),
        (0x402, of_status(0x402)),
        (0x58, Verdict::SlowDown(Duration::from_millis(250))),
        (0x500, Verdict::Retry(retry)),
        (0, Verdict::Accepted),
    ] {
        assert_eq!(profile.verdict(status), verdict, "{status:#x}");
    }
}

#[test]
fn time_zones_are_offsets_or_names() {
    let at = |name: &str| timezone(name).map(|zone| zone.to_offset(jiff::Timestamp::UNIX_EPOCH));
    assert_eq!(at("+03:00"), Ok(jiff::tz::offset(3)));
    assert_eq!(at("-00:30"), Ok(Offset::from_seconds(-1_800).unwrap()));
    assert_eq!(at("UTC"), Ok(Offset::UTC));
    for wrong in [
        "",
        "+3",
        "+03",
        "+15:00",
        "+03:60",
        "+-3:00",
        "+03:0x",
        "Mars/Olympus",
    ] {
        assert!(at(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn wrong_profiles_are_refused_with_their_place() {
    for (text, expected) in [
        ("[txt]", "p.toml:1:2: unknown field `txt`"),
        (
            "[text]\nalfabet = \"gsm7\"",
            "p.toml:2:1: unknown field `alfabet`",
        ),
        (
            "[text]\nalphabet = \"utf8\"",
            "p.toml:2:12: alphabet is one of gsm7, gsm7-packed, latin1",
        ),
        (
            "[text]\nparts_max = 11",
            "p.toml:2:13: 11 is out of range; give 1 to 10",
        ),
        ("[ids]\nreceipt = \"octal\"", "p.toml:2:11: unknown id rule"),
        (
            "[status]\nESME_RNONE = { verdict = \"session\" }",
            "p.toml:2:1: \"ESME_RNONE\" is no status",
        ),
        (
            "[status]\n\"0xZZ\" = { verdict = \"session\" }",
            "p.toml:2:1: \"0xZZ\" is no status",
        ),
        (
            "[status]\nESME_ROK = { verdict = \"session\" }",
            "p.toml:2:1: ESME_ROK always means",
        ),
        (
            "[status]\n\"0x8\" = { verdict = \"again\" }",
            "p.toml:2:21: unknown variant `again`",
        ),
        (
            "[status]\n\"0x8\" = { verdict = \"session\", after_s = 3 }",
            "p.toml:2:9: after_s belongs to verdict \"retry\"",
        ),
        (
            "[status]\n\"0x8\" = { verdict = \"retry\", after_s = 9999 }",
            "p.toml:2:9: after_s is 9999; give 0 to 3600",
        ),
        (
            "[status]\n\"0x8\" = { verdict = \"permanent\", failure = \"canceled\" }",
            "p.toml:2:9: \"canceled\" is no failure of a carrier's",
        ),
        (
            "[receipts]\ntimezone = \"EAT+3\"",
            "p.toml:2:12: \"EAT+3\" is no time zone",
        ),
        (
            "[receipts]\nacceptd = \"final\"",
            "p.toml:2:11: acceptd is one of intermediate, delivered",
        ),
        (
            "[receipts.words]\nGONE = \"lost\"",
            "p.toml:2:8: a word's state is one of",
        ),
        (
            "[errors]\n000 = \"expired\"",
            "p.toml:2:1: give the error as it stands",
        ),
        (
            "[errors]\n001 = \"gone\"",
            "p.toml:2:7: \"gone\" is no failure",
        ),
        (
            "[network_errors]\nx1 = \"expired\"",
            "p.toml:2:1: give the number in network_error_code",
        ),
        (
            "[sender]\nallow = [\"MÖ*\"]",
            "p.toml:2:10: a pattern is 1 to 32",
        ),
        (
            "[sender.short_code]\nlength_min = 9",
            "p.toml:2:14: length_min is more than length_max",
        ),
        (
            "[submit]\nservice_type = \"TOOLONG\"",
            "p.toml:2:16: service_type has at most 5",
        ),
        (
            "[submit]\notp_priority = 9",
            "p.toml:2:16: 9 is out of range; give 0 to 4",
        ),
        (
            "[session]\ninterface_version = \"4.0\"",
            "p.toml:2:21: interface_version is one of 3.3",
        ),
    ] {
        let error = over(&mut Profile::default(), text).unwrap_err();
        assert!(error.starts_with(expected), "{error}\n  wanted {expected}");
    }
}

proptest! {
    #[test]
    fn no_file_makes_the_reader_panic(
        any in "\\PC{0,60}",
        line in 0usize..150,
        value in "-?[0-9]{1,20}|\"\\PC{0,12}\"|true|\\[\\]|\\{ verdict = \"retry\", after_s = [0-9]{1,19} \\}",
    ) {
        let lines: Vec<&str> = shipped("default").lines().collect();
        let changed: String = lines
            .iter()
            .enumerate()
            .map(|(at, text)| match text.split_once(" = ") {
                Some((key, _)) if at == line % lines.len() => format!("{key} = {value}\n"),
                Some(_) | None => format!("{text}\n"),
            })
            .collect();
        for text in [any, changed] {
            let mut profile = Profile::default();
            let _ = over(&mut profile, &text);
            prop_assert!(profile.verdicts.of(0) == Verdict::Accepted);
        }
    }
}
