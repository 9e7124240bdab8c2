//! Lives here: PDU <-> flow, by the carrier's profile: a message becomes one submit_sm for each
//! segment, a deliver_sm or data_sm becomes a receipt.
//! Never here: sessions, queues, what a receipt does.

use std::time::Duration;

use bytes::Bytes;
use mnara_smpp::pdu::{Address, OctetStr, SubmitSm};
use mnara_smpp::receipt::{self, Incoming, MessageType, Receipt as Parsed, ReceiptError};
use mnara_smpp::text::{self, Gsm7, Layout, Method, Segment};
use mnara_smpp::time::{RelativeTime, SmppTime};
use mnara_smpp::tlv::{Tlv, tag};
use smallvec::SmallVec;

use super::profile::{Alphabet, Profile, Segmentation, TextRules, TonNpi};
use crate::domain::ids::{CarrierId, ReceiptKey};
use crate::domain::lifecycle::SegmentState;
use crate::domain::message::{Encoding, Message};
use crate::domain::phone::Msisdn;
use crate::domain::receipt::{Evidence, Receipt, Words};
use crate::domain::time::Timestamp;
use crate::flow::Parts;

/// The shortest validity that is asked for.
const VALIDITY_MIN: Duration = Duration::from_secs(60);

/// What one submit_sm carries of a message.
pub(super) struct Piece {
    /// One part; all of them where the carrier divides messages itself.
    pub(super) parts: Parts,
    segment: Segment,
}

/// The submit_sm's contents for these parts of a message; none when this carrier's way of writing
/// texts cannot hold it.
pub(super) fn pieces(profile: &Profile, message: &Message, wanted: Parts) -> SmallVec<[Piece; 1]> {
    let rules = &profile.text;
    let all = Parts::all(message.segments);
    if rules.segmentation == Segmentation::Payload
        && message.segments > 1
        && wanted == all
        && let Some(mut whole) = cut(rules, message, Method::Payload)
    {
        let whole = whole.pop().into_iter();
        return whole
            .map(|segment| Piece {
                parts: all,
                segment,
            })
            .collect();
    }
    let (short, long) = reference(message);
    let method = match rules.segmentation {
        // Some parts of a message that another account has begun: they need its headers.
        Segmentation::Udh8 | Segmentation::Payload => Method::Udh8(short),
        Segmentation::Udh16 => Method::Udh16(long),
        Segmentation::Sar => Method::Sar(long),
    };
    let counted = |parts: &SmallVec<[Segment; 1]>| parts.len() == usize::from(message.segments);
    // The number of parts was fixed at accept, by 8-bit references: so it is cut where the
    // account's own method gives another number.
    let parts = cut(rules, message, method)
        .filter(counted)
        .or_else(|| cut(rules, message, Method::Udh8(short)).filter(counted));
    let numbered = (1..=message.segments).zip(parts.into_iter().flatten());
    numbered
        .filter(|(part, _)| wanted.contains(*part))
        .map(|(part, segment)| Piece {
            parts: Parts::one(part),
            segment,
        })
        .collect()
}

/// A message's concatenation references, 8 and 16 bits: the same at every attempt, so that a
/// resent part still fits.
fn reference(message: &Message) -> (u8, u16) {
    let [.., high, low] = *message.id.0.as_bytes();
    (low, u16::from_be_bytes([high, low]))
}

/// Divides and encodes a text.
fn cut(rules: &TextRules, message: &Message, method: Method) -> Option<SmallVec<[Segment; 1]>> {
    let body = &*message.body;
    // What GSM 03.38 has and the carrier's alphabet lacks goes in UCS-2.
    let (encoding, other) = match (message.encoding, rules.alphabet) {
        (Encoding::Ucs2, _) => (text::Encoding::Ucs2, None),
        (Encoding::Gsm7, Alphabet::Gsm7) => (text::Encoding::GSM7, None),
        (Encoding::Gsm7, Alphabet::Gsm7Packed) => (text::Encoding::GSM7_PACKED, None),
        (Encoding::Gsm7, Alphabet::Latin1) if text::Encoding::Latin1.encodes(body) => {
            (text::Encoding::GSM7, Some(Alphabet::Latin1))
        }
        (Encoding::Gsm7, Alphabet::Ascii) if text::Encoding::Ascii.encodes(body) => {
            (text::Encoding::GSM7, Some(Alphabet::Ascii))
        }
        (Encoding::Gsm7, Alphabet::Latin1 | Alphabet::Ascii) => (text::Encoding::Ucs2, None),
    };
    // Ingest measured the text with the same functions, so it does not fail here; if a later
    // version cannot cut what an earlier one stored, no piece comes of it.
    let mut parts = Layout::new(encoding, method).split(body).ok()?.parts;
    for part in &mut parts {
        part.data_coding = match encoding {
            text::Encoding::Ucs2 => rules.ucs2_data_coding,
            text::Encoding::Gsm7(..) | text::Encoding::Ascii | text::Encoding::Latin1 => {
                rules.gsm7_data_coding
            }
        };
        if other.is_some() {
            part.octets = eight_bit(part)?;
        }
    }
    Some(parts)
}

/// A part cut by the septets that it takes on the air, in octets of one character each (Latin-1,
/// of which ASCII is the lower half).
fn eight_bit(part: &Segment) -> Option<Bytes> {
    let header = match part.octets.first() {
        Some(length) if part.udhi => usize::from(*length) + 1,
        Some(_) | None => 0,
    };
    let (header, septets) = part.octets.split_at_checked(header)?;
    let mut octets = Vec::with_capacity(part.octets.len());
    octets.extend_from_slice(header);
    text::latin1_encode(&Gsm7::DEFAULT.decode(septets), &mut octets).ok()?;
    Some(octets.into())
}

/// One piece as a submit_sm.
pub(super) fn submit_sm(
    profile: &Profile,
    message: &Message,
    piece: &Piece,
    now: Timestamp,
) -> SubmitSm {
    let submit = &profile.submit;
    let address = |label: TonNpi, text: &str| Address {
        ton: label.ton,
        npi: label.npi,
        addr: OctetStr::copy_from_slice(text.as_bytes()),
    };
    let mut pdu = SubmitSm {
        service_type: submit.service_type.clone(),
        source: address(
            profile.addresses.of(message.from.kind()),
            message.from.as_str(),
        ),
        dest: address(profile.addresses.recipient, message.to.digits()),
        priority_flag: submit.priority[message.class.index()],
        validity_period: if submit.validity_period {
            validity(message, now)
        } else {
            OctetStr::EMPTY
        },
        registered_delivery: profile.registered_delivery(),
        ..SubmitSm::default()
    };
    piece.segment.fill(&mut pdu);
    if submit.user_message_reference {
        let part = piece.parts.iter().next().unwrap_or(1);
        let reference = message.id.reference(part);
        pdu.tlvs
            .push(Tlv::u16(tag::USER_MESSAGE_REFERENCE, reference));
    }
    pdu
}

/// What is left of the validity, relative, at least a minute: some SMSCs refuse less.
fn validity(message: &Message, now: Timestamp) -> OctetStr {
    let left = message.valid_until.since(now).max(VALIDITY_MIN);
    SmppTime::Relative(RelativeTime::from_duration(left)).into()
}

/// What a deliver_sm is to us.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every one is a receipt, which a box would cost an allocation"
)]
pub(super) enum Delivered {
    /// A receipt.
    Receipt(Receipt),
    /// A receipt that names no message: nothing can ever match it.
    Useless,
    /// What a handset or its owner acknowledges, or a conversation's end: no carrier's word on a
    /// message, and nobody's message either.
    Acknowledgement,
    /// A message from a handset.
    MobileOriginated,
}

/// Reads what a carrier of this account has sent.
pub(super) fn delivered(
    account: &CarrierId,
    profile: &Profile,
    incoming: Incoming<'_>,
    now: Timestamp,
) -> Delivered {
    let read = if profile.receipts.esm_class_0 {
        receipt::parse_content(incoming)
    } else {
        receipt::parse(incoming)
    };
    match read {
        Ok(parsed) => Delivered::Receipt(receipt(account, profile, &incoming, &parsed, now)),
        Err(ReceiptError::NoId) => Delivered::Useless,
        Err(ReceiptError::NotAReceipt(kind)) => match kind {
            MessageType::DeliveryAck | MessageType::UserAck | MessageType::ConversationAbort => {
                Delivered::Acknowledgement
            }
            MessageType::Default
            | MessageType::Receipt
            | MessageType::Intermediate
            | MessageType::Reserved(_) => Delivered::MobileOriginated,
        },
    }
}

fn receipt(
    account: &CarrierId,
    profile: &Profile,
    incoming: &Incoming<'_>,
    parsed: &Parsed<'_>,
    now: Timestamp,
) -> Receipt {
    let rules = &profile.receipts;
    let raw_id = carrier_id(rules.id(parsed));
    let normalised = profile.ids.receipt_key(&raw_id);
    let state = rules.state(parsed);
    let failed = matches!(state, Some(state) if state != SegmentState::Delivered);
    Receipt {
        carrier: account.clone(),
        key: ReceiptKey::new(account, &normalised),
        normalised: (*normalised).into(),
        state,
        stat: first(parsed.state_text(), 32).into(),
        err: first(parsed.err(), 32).into(),
        failure: failed.then(|| profile.errors.failure(parsed)).flatten(),
        done_date: first(parsed.done_date(), 32).into(),
        done_at: parsed.done_at().and_then(|date| rules.instant(date)),
        evidence: evidence(profile, incoming, parsed),
        raw_id,
        received_at: now,
    }
}

/// What a receipt says of its message beside the id. Its addresses are swapped: the source is whom
/// the message was for.
fn evidence(profile: &Profile, incoming: &Incoming<'_>, parsed: &Parsed<'_>) -> Evidence {
    let submitted_at = parsed.submitted_at();
    Evidence {
        recipient: international(&incoming.source.addr.to_str_lossy()),
        sender: first(&incoming.dest.addr.to_str_lossy(), 21).into(),
        words: Words(first(parsed.quote(), 20).into()),
        submitted_at: submitted_at.and_then(|date| profile.receipts.instant(date)),
        // Where we send none it is not ours; and some carriers write 0 for none.
        reference: incoming
            .tlvs
            .get_u16(tag::USER_MESSAGE_REFERENCE)
            .filter(|reference| profile.submit.user_message_reference && *reference != 0),
    }
}

/// A number as carriers write it in full; one in a national form could be anybody's.
fn international(text: &str) -> Option<Msisdn> {
    let digits = text.strip_prefix('+').or_else(|| text.strip_prefix("00"));
    let digits = digits.unwrap_or(text);
    let number = Msisdn::from_digits(digits).ok();
    number.filter(|_| !digits.starts_with('0'))
}

/// A carrier's message id as we keep it: twice what the standard allows (65 octets with NUL), so
/// that a hostile one cannot fill the store. Responses and receipts are cut alike.
pub(super) fn carrier_id(raw: &str) -> Box<str> {
    first(raw, 128).into()
}

/// The first characters of a carrier's text: what we keep has bounds.
fn first(text: &str, characters: usize) -> &str {
    match text.char_indices().nth(characters) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}

#[cfg(test)]
#[path = "translate_tests.rs"]
mod tests;
