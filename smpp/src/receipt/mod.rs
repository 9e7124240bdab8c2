//! Lives here: delivery receipts (SMPP appendix B and the receipt TLVs) in all the dialects carriers write.
//! Never here: finding the message a receipt belongs to; which states end it for a given carrier.

mod date;
mod fields;
mod id_rule;

use bytes::Bytes;
use thiserror::Error;

pub use date::ReceiptDate;
pub use id_rule::{IdDialect, IdRule, UnknownIdRule};

use crate::pdu::{DeliverSm, esm_class};
use crate::text::{split_udh, ucs2_decode};
use crate::tlv::tag;
use fields::Fields;

/// The states of `message_state` (SMPP 5.2.28, 5.0 4.7.15).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReceiptState {
    /// 0 (5.0): waits for its time.
    Scheduled,
    /// 1: on its way.
    Enroute,
    /// 2: on the handset.
    Delivered,
    /// 3: its validity ended.
    Expired,
    /// 4: removed at the carrier.
    Deleted,
    /// 5: cannot be delivered.
    Undeliverable,
    /// 6: read by customer service or taken by the next network; no proof of delivery.
    Accepted,
    /// 7: the carrier does not know, or wrote a state that we do not know.
    Unknown,
    /// 8: refused.
    Rejected,
    /// 9 (5.0): left out.
    Skipped,
}

impl ReceiptState {
    /// The state with this `message_state` value.
    #[must_use]
    pub const fn from_value(value: u8) -> Option<Self> {
        Some(match value {
            0 => Self::Scheduled,
            1 => Self::Enroute,
            2 => Self::Delivered,
            3 => Self::Expired,
            4 => Self::Deleted,
            5 => Self::Undeliverable,
            6 => Self::Accepted,
            7 => Self::Unknown,
            8 => Self::Rejected,
            9 => Self::Skipped,
            _ => return None,
        })
    }

    /// The `message_state` value.
    #[must_use]
    pub const fn value(self) -> u8 {
        match self {
            Self::Scheduled => 0,
            Self::Enroute => 1,
            Self::Delivered => 2,
            Self::Expired => 3,
            Self::Deleted => 4,
            Self::Undeliverable => 5,
            Self::Accepted => 6,
            Self::Unknown => 7,
            Self::Rejected => 8,
            Self::Skipped => 9,
        }
    }

    /// The state a `stat:` text means, in any case: the seven letters of appendix B, their full words, and what
    /// vendors write in their place. `None` for other texts.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        const TEXTS: [(&str, ReceiptState); 27] = [
            ("DELIVRD", ReceiptState::Delivered),
            ("DELIVERED", ReceiptState::Delivered),
            ("DELIVERD", ReceiptState::Delivered),
            ("0", ReceiptState::Delivered),
            ("UNDELIV", ReceiptState::Undeliverable),
            ("UNDELIVERABLE", ReceiptState::Undeliverable),
            ("UNDELIVERED", ReceiptState::Undeliverable),
            ("UNDELIVRD", ReceiptState::Undeliverable),
            ("FAILED", ReceiptState::Undeliverable),
            ("EXPIRED", ReceiptState::Expired),
            ("REJECTD", ReceiptState::Rejected),
            ("REJECTED", ReceiptState::Rejected),
            ("ENROUTE", ReceiptState::Enroute),
            ("EN_ROUTE", ReceiptState::Enroute),
            ("ACKED", ReceiptState::Enroute),
            ("BUFFRED", ReceiptState::Enroute),
            ("BUFFERD", ReceiptState::Enroute),
            ("BUFFERED", ReceiptState::Enroute),
            ("ACCEPTD", ReceiptState::Accepted),
            ("ACCEPTED", ReceiptState::Accepted),
            ("DELETED", ReceiptState::Deleted),
            ("UNKNOWN", ReceiptState::Unknown),
            ("UNKNOWED", ReceiptState::Unknown),
            ("SCHEDLD", ReceiptState::Scheduled),
            ("SCHEDULED", ReceiptState::Scheduled),
            ("SKIPPED", ReceiptState::Skipped),
            ("SKIPED", ReceiptState::Skipped),
        ];
        TEXTS
            .iter()
            .find(|(known, _)| text.eq_ignore_ascii_case(known))
            .map(|(_, state)| *state)
    }

    /// Whether nothing more is to come. `Unknown` is final by the specification; `Accepted` is not, though some
    /// routes stop there: that is for a carrier's profile.
    #[must_use]
    pub const fn is_final(self) -> bool {
        match self {
            Self::Scheduled | Self::Enroute | Self::Accepted => false,
            Self::Delivered
            | Self::Expired
            | Self::Deleted
            | Self::Undeliverable
            | Self::Unknown
            | Self::Rejected
            | Self::Skipped => true,
        }
    }
}

/// `network_error_code` (SMPP 5.3.2.31).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NetworkError {
    /// 1 ANSI-136, 2 IS-95, 3 GSM, 4 to 8 from 5.0; 0 when the carrier wrote only a number.
    pub kind: u8,
    /// The network's code.
    pub code: u32,
}

impl NetworkError {
    /// Reads type and 16-bit code, and what carriers write in its place: three ASCII digits, or four octets with
    /// type and three digits or a 24-bit code.
    #[must_use]
    pub fn from_octets(octets: &[u8]) -> Option<Self> {
        // No type is an ASCII digit, so that three digits cannot be mistaken for type and code.
        Some(match *octets {
            [a, b, c] | [a, b, c, 0] if digits(&[a, b, c]).is_some() => Self {
                kind: 0,
                code: digits(&[a, b, c]).unwrap_or_default(),
            },
            [kind, high, low] => Self {
                kind,
                code: u32::from(u16::from_be_bytes([high, low])),
            },
            [kind, a, b, c] => Self {
                kind,
                code: digits(&[a, b, c]).unwrap_or(u32::from_be_bytes([0, a, b, c])),
            },
            _ => return None,
        })
    }
}

/// One receipt, with everything the carrier wrote kept raw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The message's id as the carrier wrote it, from `receipted_message_id` or else from `id:`; never empty.
    /// Normalise it with the carrier's [`IdDialect`].
    pub id: String,
    /// `id:` from the text, when both are there and differ; carriers are seen to write one of them in hex.
    pub text_id: Option<String>,
    /// From `message_state` or else from `stat:`. Without either: `Enroute` for an intermediate notification,
    /// else `Unknown`.
    pub state: ReceiptState,
    /// `stat:` as written; empty when absent.
    pub state_text: String,
    /// `err:` as written, often not a number (`21b`); empty when absent.
    pub err: String,
    /// `submit date:` as written; empty when absent.
    pub submit_date: String,
    /// `done date:` as written; empty when absent. See [`Receipt::done_at`].
    pub done_date: String,
    /// `network_error_code`.
    pub network_error: Option<NetworkError>,
    /// The PDU calls itself an intermediate notification (`esm_class` type 0x20).
    pub intermediate: bool,
    /// The TLVs and the text name different ids or states. The TLVs were believed.
    pub conflict: bool,
}

impl Receipt {
    /// `done date:` read; `None` when absent or in no known form.
    #[must_use]
    pub fn done_at(&self) -> Option<ReceiptDate> {
        ReceiptDate::parse(&self.done_date)
    }

    /// `submit date:` read; `None` when absent or in no known form.
    #[must_use]
    pub fn submitted_at(&self) -> Option<ReceiptDate> {
        ReceiptDate::parse(&self.submit_date)
    }
}

/// Why a `deliver_sm` gives no receipt. The carrier is at fault; acknowledge and keep the PDU for a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ReceiptError {
    /// Neither `receipted_message_id` nor an `id:` in the text.
    #[error("the receipt names no message id")]
    NoId,
    /// `esm_class` says that this is no receipt.
    #[error("esm_class says that this is not a receipt")]
    NotAReceipt,
}

/// Whether `esm_class` calls this a delivery receipt or an intermediate notification (SMPP 5.2.12). Other bits,
/// the UDHI bit among them, do not matter.
#[must_use]
pub const fn is_receipt(deliver: &DeliverSm) -> bool {
    matches!(
        deliver.esm_class & esm_class::TYPE_MASK,
        esm_class::RECEIPT | esm_class::INTERMEDIATE
    )
}

/// Whether the content is a receipt's, whatever `esm_class` says: the receipt TLVs, or `id:` and `stat:` in the
/// text. For carriers known to send receipts with `esm_class` 0; anybody can write such a text in a message.
#[must_use]
pub fn looks_like_receipt(deliver: &DeliverSm) -> bool {
    if deliver.tlvs.get(tag::RECEIPTED_MESSAGE_ID).is_some()
        && deliver.tlvs.get(tag::MESSAGE_STATE).is_some()
    {
        return true;
    }
    let text = body_text(deliver);
    let fields = Fields::scan(&text);
    !fields.id.is_empty() && !fields.stat.is_empty()
}

/// Reads a receipt.
///
/// # Errors
/// [`ReceiptError::NotAReceipt`] when [`is_receipt`] is false, [`ReceiptError::NoId`].
pub fn parse(deliver: &DeliverSm) -> Result<Receipt, ReceiptError> {
    if is_receipt(deliver) {
        parse_content(deliver)
    } else {
        Err(ReceiptError::NotAReceipt)
    }
}

/// Reads a receipt without asking `esm_class`; see [`looks_like_receipt`].
///
/// # Errors
/// [`ReceiptError::NoId`].
pub fn parse_content(deliver: &DeliverSm) -> Result<Receipt, ReceiptError> {
    let text = body_text(deliver);
    let fields = Fields::scan(&text);
    let intermediate = deliver.esm_class & esm_class::TYPE_MASK == esm_class::INTERMEDIATE;

    let tlv_id = deliver
        .tlvs
        .get_cstr(tag::RECEIPTED_MESSAGE_ID)
        .map(String::from_utf8_lossy);
    let tlv_id = tlv_id.as_deref().map_or("", trimmed);
    let (id, text_id) = match (tlv_id, fields.id) {
        ("", "") => return Err(ReceiptError::NoId),
        ("", id) => (id, None),
        (id, "") => (id, None),
        (id, other) => (
            id,
            (!id.eq_ignore_ascii_case(other)).then(|| other.to_owned()),
        ),
    };

    let tlv_state = deliver
        .tlvs
        .get_u8(tag::MESSAGE_STATE)
        .and_then(ReceiptState::from_value);
    let text_state = ReceiptState::from_text(fields.stat);
    let state = match (tlv_state.or(text_state), fields.stat) {
        (Some(state), _) => state,
        (None, "") if intermediate => ReceiptState::Enroute,
        (None, _) => ReceiptState::Unknown,
    };
    let states_differ = matches!((tlv_state, text_state), (Some(tlv), Some(text)) if tlv != text);

    Ok(Receipt {
        id: id.to_owned(),
        conflict: text_id.is_some() || states_differ,
        text_id,
        state,
        state_text: fields.stat.to_owned(),
        err: fields.err.to_owned(),
        submit_date: fields.submit_date.to_owned(),
        done_date: fields.done_date.to_owned(),
        network_error: deliver
            .tlvs
            .get(tag::NETWORK_ERROR_CODE)
            .and_then(|octets| NetworkError::from_octets(octets)),
        intermediate,
    })
}

/// The text of a receipt. Whatever the carrier's default alphabet, receipts are written in ASCII; only UCS-2 is
/// told apart, by its octets, because `data_coding` is sometimes wrong in either direction.
fn body_text(deliver: &DeliverSm) -> String {
    let message: &Bytes = deliver.message();
    let octets = if deliver.has_udh() {
        split_udh(message).1
    } else {
        message
    };
    match *octets {
        // The first character of a receipt is a letter: in UCS-2 its high octet is zero.
        [0, second, ..] if second != 0 => ucs2_decode(octets),
        _ => octets.iter().copied().map(char::from).collect(),
    }
}

/// Without the white space, control characters and separators that carriers put around values.
fn trimmed(value: &str) -> &str {
    value.trim_matches(|c: char| {
        c.is_whitespace() || c.is_control() || matches!(c, ',' | ';' | '"' | '\'')
    })
}

fn digits(octets: &[u8]) -> Option<u32> {
    octets.iter().try_fold(0, |value, octet| {
        octet
            .is_ascii_digit()
            .then(|| value * 10 + u32::from(octet - b'0'))
    })
}

#[cfg(test)]
mod tests;
