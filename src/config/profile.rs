//! Lives here: carrier profiles as files: those built in, those that an account names, and what
//! their keys must be. What a file leaves out stays as it was, so that files lie in layers.
//! Never here: what a profile does (`carrier::profile`).

mod shape;

use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use jiff::tz::{Offset, TimeZone};
use mnara_smpp::pdu::{OctetStr, Version};
use mnara_smpp::receipt::IdRule;
use mnara_smpp::status::CommandStatus;
use toml::Spanned;

use self::shape::{
    File, Label, Receipts, Sender, Session, StatusRow, Submit, Text, Then, VerdictName,
};
use super::check::{Checked, beside, or};
use super::place::Source;
use crate::carrier::profile::{Alphabet, Profile, Segmentation, TonNpi};
use crate::domain::capability::{Pattern, SenderRule};
use crate::domain::ids::NetworkId;
use crate::domain::lifecycle::SegmentState;
use crate::domain::message::FailureCode;
use crate::domain::verdict::{AfterRetries, Retry, Verdict, of_status};

/// The profiles that ship with this version, by name: one for each network, and the default.
pub(super) const BUILT_IN: [(&str, &str); 9] = [
    (
        "default",
        include_str!("../../config/carriers/default.toml"),
    ),
    (
        "vodacom_tz",
        include_str!("../../config/carriers/vodacom_tz.toml"),
    ),
    (
        "tigo_tz",
        include_str!("../../config/carriers/tigo_tz.toml"),
    ),
    (
        "airtel_tz",
        include_str!("../../config/carriers/airtel_tz.toml"),
    ),
    (
        "halotel_tz",
        include_str!("../../config/carriers/halotel_tz.toml"),
    ),
    ("mtn_ng", include_str!("../../config/carriers/mtn_ng.toml")),
    ("glo_ng", include_str!("../../config/carriers/glo_ng.toml")),
    (
        "airtel_ng",
        include_str!("../../config/carriers/airtel_ng.toml"),
    ),
    (
        "ninemobile_ng",
        include_str!("../../config/carriers/ninemobile_ng.toml"),
    ),
];

/// Entries of a list or table at most.
const ENTRIES_MAX: usize = 256;

/// The profile that an account names, or else its network's own, or else the default.
pub(super) fn resolve(
    typed: Option<&Spanned<String>>,
    network: &NetworkId,
    source: &Source<'_>,
) -> Checked<Profile> {
    let built_in = |name: &str| BUILT_IN.iter().find(|(known, _)| *known == name);
    let mut profile = Profile::default();
    let Some(typed) = typed else {
        if let Some((name, text)) = built_in(&network.0) {
            apply_built_in(&mut profile, name, text)?;
        }
        return Ok(profile);
    };
    let name = typed.get_ref();
    if let Some((name, text)) = built_in(name) {
        apply_built_in(&mut profile, name, text)?;
        return Ok(profile);
    }
    if !name.contains('/') && !name.ends_with(".toml") {
        let names: Vec<&str> = BUILT_IN.iter().map(|(name, _)| *name).collect();
        let message = format!(
            "no profile \"{name}\" is built in; give one of {}, or a file such as \"./{name}.toml\"",
            names.join(", ")
        );
        return Err(source.error(Some(typed.span()), message));
    }
    let path = beside(Path::new(name), source);
    let text = std::fs::read_to_string(&path).map_err(|error| {
        source.error(Some(typed.span()), format!("{}: {error}", path.display()))
    })?;
    apply(&mut profile, &Source::new(&text, &path))?;
    Ok(profile)
}

fn apply_built_in(profile: &mut Profile, name: &str, text: &str) -> Checked<()> {
    let path = format!("built-in profile {name}");
    apply(profile, &Source::new(text, Path::new(&path)))
}

/// Puts a file's keys over a profile.
///
/// # Errors
/// The first thing that is wrong, with its place.
pub(super) fn apply(profile: &mut Profile, source: &Source<'_>) -> Checked<()> {
    let file: File =
        toml::from_str(source.text).map_err(|error| source.error(error.span(), error.message()))?;
    limited(file.status.len(), "status", source)?;
    for (status, row) in &file.status {
        profile
            .verdicts
            .set(status_of(status, source)?, verdict(status, row, source)?);
    }
    set(
        &mut profile.ids.response,
        rule(file.ids.response.as_ref(), source)?,
    );
    set(
        &mut profile.ids.receipt,
        rule(file.ids.receipt.as_ref(), source)?,
    );
    receipts(profile, &file.receipts, source)?;
    errors(profile, &file, source)?;
    text(profile, &file.text, source)?;
    senders(profile, &file, source)?;
    submit(profile, &file.submit, source)?;
    session(profile, &file.session, source)
}

/// An id rule by its name.
pub(super) fn rule(
    typed: Option<&Spanned<String>>,
    source: &Source<'_>,
) -> Checked<Option<IdRule>> {
    parsed(typed, source, |name| {
        IdRule::parse(name).map_err(|error| error.to_string())
    })
}

fn set<T>(place: &mut T, typed: Option<T>) {
    if let Some(typed) = typed {
        *place = typed;
    }
}

fn limited(count: usize, name: &str, source: &Source<'_>) -> Checked<()> {
    if count <= ENTRIES_MAX {
        return Ok(());
    }
    let message = format!("{name} has {count} entries; at most {ENTRIES_MAX} are allowed");
    Err(source.error(None, message))
}

/// A text read by `read`, whose error becomes one at its place.
fn parsed<T>(
    typed: Option<&Spanned<String>>,
    source: &Source<'_>,
    read: impl Fn(&str) -> Result<T, String>,
) -> Checked<Option<T>> {
    let read = |typed: &Spanned<String>| {
        read(typed.get_ref()).map_err(|message| source.error(Some(typed.span()), message))
    };
    typed.map(read).transpose()
}

/// One of a few words.
fn choice<T: Copy>(
    typed: Option<&Spanned<String>>,
    key: &str,
    choices: &[(&str, T)],
    source: &Source<'_>,
) -> Checked<Option<T>> {
    parsed(typed, source, |word| {
        let known = choices.iter().find(|(name, _)| *name == word);
        known.map(|(_, value)| *value).ok_or_else(|| {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            format!("{key} is one of {}; not \"{word}\"", names.join(", "))
        })
    })
}

fn number(
    place: &mut u8,
    typed: Option<&Spanned<u8>>,
    range: RangeInclusive<u8>,
    source: &Source<'_>,
) -> Checked<()> {
    *place = or(*place, typed, range, source)?;
    Ok(())
}

/// A status by its number in hexadecimal or by the standard's name.
fn status_of(typed: &Spanned<String>, source: &Source<'_>) -> Checked<u32> {
    let text = typed.get_ref();
    let number = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => CommandStatus::from_name(text).map(|status| status.0),
    };
    let message = match number {
        Some(0) => "ESME_ROK always means that the message was taken; take this entry out".into(),
        Some(number) => return Ok(number),
        None => format!(
            "\"{text}\" is no status; give its number such as \"0x0B\" or the standard's name such \
             as ESME_RINVDSTADR"
        ),
    };
    Err(source.error(Some(typed.span()), message))
}

fn verdict(
    status: &Spanned<String>,
    typed: &Spanned<StatusRow>,
    source: &Source<'_>,
) -> Checked<Verdict> {
    use VerdictName as Name;
    let row = typed.get_ref();
    let wrong = |message: String| source.error(Some(typed.span()), message);
    let only = |given: bool, key: &str, names: &[Name], whose: &str| {
        if given && !names.contains(&row.verdict) {
            Err(wrong(format!(
                "{key} belongs to verdict {whose}; take it out"
            )))
        } else {
            Ok(())
        }
    };
    only(
        row.after_s.is_some(),
        "after_s",
        &[Name::Retry],
        "\"retry\"",
    )?;
    only(
        row.attempts.is_some(),
        "attempts",
        &[Name::Retry],
        "\"retry\"",
    )?;
    only(row.then.is_some(), "then", &[Name::Retry], "\"retry\"")?;
    only(
        row.after_ms.is_some(),
        "after_ms",
        &[Name::SlowDown],
        "\"slow_down\"",
    )?;
    let failing = [Name::Retry, Name::OtherRoute, Name::Permanent];
    let whose = "\"retry\", \"other_route\" or \"permanent\"";
    only(row.failure.is_some(), "failure", &failing, whose)?;
    let failure = match &row.failure {
        None => FailureCode::CarrierRejected,
        Some(name) => failure(name).map_err(wrong)?,
    };
    let within = |value: u64, most: u64, key: &str| {
        if value <= most {
            Ok(value)
        } else {
            Err(wrong(format!("{key} is {value}; give 0 to {most}")))
        }
    };
    let number = status_of(status, source)?;
    Ok(match row.verdict {
        Name::Retry => {
            let default = if let Verdict::Retry(retry) = of_status(number) {
                (retry.after.as_secs(), retry.attempts)
            } else {
                (30, 2)
            };
            let attempts = row.attempts.unwrap_or(default.1);
            within(attempts.into(), 20, "attempts")?;
            Verdict::Retry(Retry {
                after: Duration::from_secs(within(
                    row.after_s.unwrap_or(default.0),
                    3_600,
                    "after_s",
                )?),
                attempts,
                then: match row.then {
                    None | Some(Then::OtherRoute) => AfterRetries::OtherRoute(failure),
                    Some(Then::Permanent) => AfterRetries::Permanent(failure),
                },
            })
        }
        Name::SlowDown => {
            let after = within(row.after_ms.unwrap_or(500), 300_000, "after_ms")?;
            Verdict::SlowDown(Duration::from_millis(after))
        }
        Name::OtherRoute => Verdict::OtherRoute(failure),
        Name::Permanent => Verdict::Permanent(failure),
        Name::Session => Verdict::Session,
        Name::AfterAcceptance => Verdict::AfterAcceptance,
    })
}

/// A failure code that a carrier can be the cause of.
fn failure(name: &str) -> Result<FailureCode, String> {
    const CARRIERS: [FailureCode; 6] = [
        FailureCode::AbsentSubscriber,
        FailureCode::UnknownSubscriber,
        FailureCode::BlockedDnd,
        FailureCode::SpamFiltered,
        FailureCode::CarrierRejected,
        FailureCode::Expired,
    ];
    let known = CARRIERS.into_iter().find(|code| code.name() == name);
    known.ok_or_else(|| {
        let names = CARRIERS.map(FailureCode::name).join(", ");
        format!("\"{name}\" is no failure of a carrier's; give one of {names}")
    })
}

fn receipts(profile: &mut Profile, typed: &Receipts, source: &Source<'_>) -> Checked<()> {
    const STATES: [(&str, Option<SegmentState>); 6] = [
        ("intermediate", None),
        ("delivered", Some(SegmentState::Delivered)),
        ("undelivered", Some(SegmentState::Undelivered)),
        ("rejected", Some(SegmentState::Rejected)),
        ("expired", Some(SegmentState::Expired)),
        ("unknown", Some(SegmentState::Unknown)),
    ];
    let rules = &mut profile.receipts;
    set(&mut rules.request, typed.request);
    set(&mut rules.esm_class_0, typed.esm_class_0);
    let acceptd = [("intermediate", false), ("delivered", true)];
    let acceptd = choice(typed.acceptd.as_ref(), "acceptd", &acceptd, source)?;
    set(&mut rules.acceptd_is_delivered, acceptd);
    let id_from = [("tlv", false), ("text", true)];
    let id_from = choice(typed.id_from.as_ref(), "id_from", &id_from, source)?;
    set(&mut rules.id_from_text, id_from);
    let other = choice(typed.other_words.as_ref(), "other_words", &STATES, source)?;
    set(&mut rules.other_words, other);
    limited(typed.words.len(), "receipts.words", source)?;
    for (word, state) in &typed.words {
        if word.get_ref().trim().is_empty() {
            return Err(source.error(Some(word.span()), "give the word as the carrier writes it"));
        }
        let state = choice(Some(state), "a word's state", &STATES, source)?.flatten();
        rules
            .words
            .retain(|(known, _)| !known.eq_ignore_ascii_case(word.get_ref()));
        rules.words.push((word.get_ref().trim().into(), state));
    }
    set(
        &mut rules.timezone,
        parsed(typed.timezone.as_ref(), source, timezone)?,
    );
    Ok(())
}

/// `+03:00`, `UTC`, or a name of the IANA database.
fn timezone(name: &str) -> Result<TimeZone, String> {
    let wrong = || {
        format!(
            "\"{name}\" is no time zone; give an offset such as \"+03:00\", or a name such as \
             \"Africa/Lagos\" if this machine has the tz database"
        )
    };
    let Some(sign) = name.chars().next().filter(|sign| "+-".contains(*sign)) else {
        return TimeZone::get(name).map_err(|_| wrong());
    };
    let (hours, minutes) = name[1..].split_once(':').ok_or_else(wrong)?;
    let read = |digits: &str, most: i32| -> Result<i32, String> {
        let shaped = digits.len() == 2 && digits.bytes().all(|octet| octet.is_ascii_digit());
        let number = digits.parse().ok().filter(|number| *number <= most);
        number.filter(|_| shaped).ok_or_else(wrong)
    };
    let seconds = read(hours, 14)? * 3_600 + read(minutes, 59)? * 60;
    let offset = Offset::from_seconds(if sign == '-' { -seconds } else { seconds });
    offset.map(TimeZone::fixed).map_err(|_| wrong())
}

fn errors(profile: &mut Profile, file: &File, source: &Source<'_>) -> Checked<()> {
    limited(file.errors.len(), "errors", source)?;
    limited(file.network_errors.len(), "network_errors", source)?;
    let at = |typed: &Spanned<String>| {
        failure(typed.get_ref()).map_err(|message| source.error(Some(typed.span()), message))
    };
    for (text, code) in &file.errors {
        let key = text.get_ref().trim().trim_start_matches('0');
        if key.is_empty() {
            let message = "give the error as it stands after err: and not 0, which is none";
            return Err(source.error(Some(text.span()), message));
        }
        let texts = &mut profile.errors.texts;
        texts.retain(|(known, _)| !known.eq_ignore_ascii_case(key));
        texts.push((key.into(), at(code)?));
    }
    for (text, code) in &file.network_errors {
        let key = text.get_ref().parse().map_err(|_| {
            let message = "give the number in network_error_code, in decimal digits";
            source.error(Some(text.span()), message)
        })?;
        let network = &mut profile.errors.network;
        network.retain(|(known, _)| *known != key);
        network.push((key, at(code)?));
    }
    Ok(())
}

fn text(profile: &mut Profile, typed: &Text, source: &Source<'_>) -> Checked<()> {
    let rules = &mut profile.text;
    set(&mut rules.gsm7_data_coding, typed.gsm7_data_coding);
    set(&mut rules.ucs2_data_coding, typed.ucs2_data_coding);
    let alphabets = [
        ("gsm7", Alphabet::Gsm7),
        ("gsm7-packed", Alphabet::Gsm7Packed),
        ("latin1", Alphabet::Latin1),
        ("ascii", Alphabet::Ascii),
    ];
    let alphabet = choice(typed.alphabet.as_ref(), "alphabet", &alphabets, source)?;
    set(&mut rules.alphabet, alphabet);
    let methods = [
        ("udh8", Segmentation::Udh8),
        ("udh16", Segmentation::Udh16),
        ("sar", Segmentation::Sar),
        ("payload", Segmentation::Payload),
    ];
    let method = choice(
        typed.segmentation.as_ref(),
        "segmentation",
        &methods,
        source,
    )?;
    set(&mut rules.segmentation, method);
    let parts_max = &mut profile.capability.parts_max;
    number(parts_max, typed.parts_max.as_ref(), 1..=10, source)
}

fn senders(profile: &mut Profile, file: &File, source: &Source<'_>) -> Checked<()> {
    let can = &mut profile.capability;
    let labels = &mut profile.addresses;
    let typed = &file.sender;
    sender(
        &mut can.alphanumeric,
        &mut labels.alphanumeric,
        &typed.alphanumeric,
        source,
    )?;
    sender(
        &mut can.short_code,
        &mut labels.short_code,
        &typed.short_code,
        source,
    )?;
    sender(
        &mut can.international,
        &mut labels.international,
        &typed.international,
        source,
    )?;
    let Label { ton, npi } = &file.recipient;
    label(&mut labels.recipient, ton.as_ref(), npi.as_ref(), source)?;
    let Some(allow) = &typed.allow else {
        return Ok(());
    };
    limited(allow.get_ref().len(), "sender.allow", source)?;
    can.senders.clear();
    for pattern in allow.get_ref() {
        let text = pattern.get_ref();
        let shaped = |octet: u8| octet.is_ascii_alphanumeric() || b" ._&-*".contains(&octet);
        if text.is_empty() || text.len() > 32 || !text.bytes().all(shaped) {
            let message = "a pattern is 1 to 32 letters, digits, space . _ & - and *, without plus";
            return Err(source.error(Some(pattern.span()), message));
        }
        can.senders.push(Pattern(text.as_str().into()));
    }
    Ok(())
}

fn sender(
    rule: &mut SenderRule,
    place: &mut TonNpi,
    typed: &Sender,
    source: &Source<'_>,
) -> Checked<()> {
    set(&mut rule.allowed, typed.allowed);
    number(
        &mut rule.length_min,
        typed.length_min.as_ref(),
        1..=15,
        source,
    )?;
    number(
        &mut rule.length_max,
        typed.length_max.as_ref(),
        1..=15,
        source,
    )?;
    if rule.length_min > rule.length_max {
        let lengths = [&typed.length_min, &typed.length_max];
        let at = lengths.into_iter().flatten().next().map(Spanned::span);
        return Err(source.error(at, "length_min is more than length_max"));
    }
    label(place, typed.ton.as_ref(), typed.npi.as_ref(), source)
}

fn label(
    place: &mut TonNpi,
    ton: Option<&Spanned<u8>>,
    npi: Option<&Spanned<u8>>,
    source: &Source<'_>,
) -> Checked<()> {
    number(&mut place.ton, ton, 0..=6, source)?;
    number(&mut place.npi, npi, 0..=18, source)
}

fn submit(profile: &mut Profile, typed: &Submit, source: &Source<'_>) -> Checked<()> {
    let fields = &mut profile.submit;
    set(&mut fields.validity_period, typed.validity_period);
    set(
        &mut fields.user_message_reference,
        typed.user_message_reference,
    );
    let service_type = parsed(typed.service_type.as_ref(), source, |text| {
        if text.len() <= 5 && text.bytes().all(|octet| octet.is_ascii_graphic()) {
            Ok(OctetStr::copy_from_slice(text.as_bytes()))
        } else {
            Err("service_type has at most 5 printable characters".into())
        }
    })?;
    set(&mut fields.service_type, service_type);
    let priorities = [
        &typed.otp_priority,
        &typed.transactional_priority,
        &typed.promotional_priority,
    ];
    for (place, typed) in fields.priority.iter_mut().zip(priorities) {
        number(place, typed.as_ref(), 0..=4, source)?;
    }
    let wanted = &mut fields.registered_delivery;
    number(wanted, typed.registered_delivery.as_ref(), 0..=31, source)
}

fn session(profile: &mut Profile, typed: &Session, source: &Source<'_>) -> Checked<()> {
    const VERSIONS: [(&str, Version); 3] = [
        ("3.3", Version::V3_3),
        ("3.4", Version::V3_4),
        ("5.0", Version::V5_0),
    ];
    // A version, or the word for none.
    let read = |typed: &Option<Spanned<String>>, key: &str, none: &str| {
        let versions = VERSIONS.map(|(name, version)| (name, Some(version)));
        let choices = [&versions[..], &[(none, None)]].concat();
        choice(typed.as_ref(), key, &choices, source)
    };
    let session = &mut profile.session;
    let offered = typed.interface_version.as_ref();
    let offered = choice(offered, "interface_version", &VERSIONS, source)?;
    set(&mut session.interface_version, offered);
    let least = read(&typed.least_version, "least_version", "any")?;
    set(&mut session.least_version, least);
    let untold = read(&typed.untold_version, "untold_version", "offered")?;
    set(&mut session.untold_version, untold);
    Ok(())
}

#[cfg(test)]
mod tests;
