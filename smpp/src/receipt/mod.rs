//! Lives here: delivery receipts (SMPP appendix B and the receipt TLVs) in all the dialects carriers write, and
//! the one dialect that we write.
//! Never here: finding the message a receipt belongs to; which states end it for a given carrier.
//!
//! ```
//! use bytes::Bytes;
//! use mnara_smpp::pdu::{DeliverSm, esm_class};
//! use mnara_smpp::receipt::{self, IdDialect, IdRule, ReceiptState};
//!
//! let deliver = DeliverSm {
//!     esm_class: esm_class::RECEIPT,
//!     short_message: Bytes::from_static(b"id:0288230376293190992 stat:DELIVRD err:000 done date:2611211025"),
//!     ..DeliverSm::default()
//! };
//! let receipt = receipt::parse(&deliver)?;
//! assert_eq!((receipt.state(), receipt.is_final()), (ReceiptState::Delivered, true));
//! assert_eq!(receipt.done_at().map(|at| at.local.minute()), Some(25));
//!
//! // This carrier's submit_sm_resp named the message in hexadecimal.
//! let ids = IdDialect { response: IdRule::HexToDecimal, receipt: IdRule::Decimal };
//! assert_eq!(ids.receipt_key(receipt.id()), ids.response_key("04000000086ECD50"));
//! # Ok::<(), receipt::ReceiptError>(())
//! ```

mod body;
mod date;
mod fields;
mod id_rule;
mod message_type;
mod network_error;
mod state;
mod write;

use std::borrow::Cow;
use std::fmt;

use thiserror::Error;

pub use date::ReceiptDate;
pub use id_rule::{IdDialect, IdRule, UnknownIdRule};
pub use message_type::MessageType;
pub use network_error::NetworkError;
pub use state::ReceiptState;
pub use write::{NewReceipt, WriteError};

use crate::pdu::{Address, DataSm, DeliverSm, esm_class};
use crate::text::split_udh;
use crate::tlv::{Tlvs, tag};
use fields::{Fields, Span, trimmed};

/// What a receipt is read from, whichever PDU brings it (`deliver_sm` or `data_sm`, on whichever bind).
#[derive(Clone, Copy, Debug)]
pub struct Incoming<'a> {
    /// As received; its type says whether this is a receipt.
    pub esm_class: u8,
    /// The message's octets, a user data header included: `short_message`, or `message_payload`.
    pub message: &'a [u8],
    /// All TLVs.
    pub tlvs: &'a Tlvs,
    /// The PDU's `source_addr`. A receipt travels back, so that this is whom the message was sent to.
    pub source: &'a Address,
    /// The PDU's `destination_addr`: for a receipt, the message's own sender.
    pub dest: &'a Address,
}

impl Incoming<'_> {
    /// What `esm_class` says this is.
    #[must_use]
    pub const fn message_type(&self) -> MessageType {
        MessageType::of(self.esm_class)
    }
}

impl<'a> From<&'a DeliverSm> for Incoming<'a> {
    fn from(deliver: &'a DeliverSm) -> Self {
        Self {
            esm_class: deliver.esm_class,
            message: deliver.message(),
            tlvs: &deliver.tlvs,
            source: &deliver.source,
            dest: &deliver.dest,
        }
    }
}

impl<'a> From<&'a DataSm> for Incoming<'a> {
    fn from(data: &'a DataSm) -> Self {
        Self {
            esm_class: data.esm_class,
            message: data.message(),
            tlvs: &data.tlvs,
            source: &data.source,
            dest: &data.dest,
        }
    }
}

/// One receipt, with everything the carrier wrote kept raw. It borrows from its PDU; reading an ordinary one
/// allocates nothing.
///
/// Addresses are not part of it: they are the PDU's, and swapped. To match on the message's destination, use the
/// PDU's source ([`Incoming::source`]).
#[derive(Clone, PartialEq, Eq)]
pub struct Receipt<'a> {
    message_type: MessageType,
    text: Cow<'a, str>,
    fields: Fields,
    tlv_id: Cow<'a, str>,
    message_state: Option<u8>,
    state: ReceiptState,
    network_error: Option<NetworkError>,
}

impl Receipt<'_> {
    /// What `esm_class` called it: a receipt, an intermediate notification, or for [`parse_content`] an ordinary
    /// message.
    #[must_use]
    pub const fn message_type(&self) -> MessageType {
        self.message_type
    }

    /// The message's id as the carrier wrote it, from `receipted_message_id` or else from `id:`; never empty,
    /// without white space around it, and as long as the carrier likes (SMPP allows 64 octets). Normalise it with
    /// the carrier's [`IdDialect`].
    #[must_use]
    pub fn id(&self) -> &str {
        self.tlv_id().unwrap_or_else(|| self.value(self.fields.id))
    }

    /// `receipted_message_id`; `None` when absent or empty.
    #[must_use]
    pub fn tlv_id(&self) -> Option<&str> {
        (!self.tlv_id.is_empty()).then_some(&self.tlv_id)
    }

    /// `id:` from the text; `None` when absent or empty.
    #[must_use]
    pub fn text_id(&self) -> Option<&str> {
        (!self.fields.id.is_empty()).then(|| self.value(self.fields.id))
    }

    /// Whether TLV and text name different ids (case apart); carriers are seen to write one of them in hex.
    #[must_use]
    pub fn ids_differ(&self) -> bool {
        matches!((self.tlv_id(), self.text_id()), (Some(tlv), Some(text)) if !tlv.eq_ignore_ascii_case(text))
    }

    /// From `message_state` or else from `stat:`. Without either: `Enroute` for an intermediate notification,
    /// else `Unknown`.
    #[must_use]
    pub const fn state(&self) -> ReceiptState {
        self.state
    }

    /// `message_state` as written; `None` when absent, or not one octet or a number of two octets below 256.
    #[must_use]
    pub const fn message_state(&self) -> Option<u8> {
        self.message_state
    }

    /// `message_state` read; `None` when absent or of no known value.
    #[must_use]
    pub fn tlv_state(&self) -> Option<ReceiptState> {
        self.message_state.and_then(ReceiptState::from_value)
    }

    /// `stat:` read; `None` when absent or in no known word.
    #[must_use]
    pub fn text_state(&self) -> Option<ReceiptState> {
        ReceiptState::from_text(self.state_text())
    }

    /// `stat:` as written; empty when absent.
    #[must_use]
    pub fn state_text(&self) -> &str {
        self.value(self.fields.stat)
    }

    /// Whether TLV and text name different states.
    #[must_use]
    pub fn states_differ(&self) -> bool {
        matches!((self.tlv_state(), self.text_state()), (Some(tlv), Some(text)) if tlv != text)
    }

    /// Whether nothing more is to come: the state is final, and the PDU does not call itself intermediate. Some
    /// carriers send states on the way as plain receipts, and the final one for the same id after them.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        !matches!(self.message_type, MessageType::Intermediate) && self.state.is_final()
    }

    /// `err:` as written, often not a number (`21b`); empty when absent.
    #[must_use]
    pub fn err(&self) -> &str {
        self.value(self.fields.err)
    }

    /// `network_error_code`; `None` when absent or in no known form.
    #[must_use]
    pub const fn network_error(&self) -> Option<NetworkError> {
        self.network_error
    }

    /// `sub:`, how many messages were submitted; `None` when absent or not a number below 65 536.
    #[must_use]
    pub fn sub(&self) -> Option<u16> {
        self.value(self.fields.sub).parse().ok()
    }

    /// `dlvrd:`, how many of them were delivered; `None` when absent or not a number below 65 536.
    #[must_use]
    pub fn dlvrd(&self) -> Option<u16> {
        self.value(self.fields.dlvrd).parse().ok()
    }

    /// `submit date:` as written; empty when absent.
    #[must_use]
    pub fn submit_date(&self) -> &str {
        self.value(self.fields.submit_date)
    }

    /// `done date:` as written; empty when absent.
    #[must_use]
    pub fn done_date(&self) -> &str {
        self.value(self.fields.done_date)
    }

    /// `submit date:` read; `None` when absent or in no known form.
    #[must_use]
    pub fn submitted_at(&self) -> Option<ReceiptDate> {
        ReceiptDate::parse(self.submit_date())
    }

    /// `done date:` read; `None` when absent or in no known form.
    #[must_use]
    pub fn done_at(&self) -> Option<ReceiptDate> {
        ReceiptDate::parse(self.done_date())
    }

    /// The beginning of the message as the carrier quotes it: all that stands behind `text:`, untouched, control
    /// characters and what looks like further fields included. Octets of the carrier's alphabet are not
    /// translated (GSM's `@` is U+0000 here). Empty when absent.
    ///
    /// A field counts where it first stands before `text:`; one that is missing there is looked for behind it, since
    /// some carriers quote first. In a receipt without `id:` or `stat:` of its own, what the message says may then be
    /// taken for it.
    #[must_use]
    pub fn quote(&self) -> &str {
        self.value(self.fields.quote)
    }

    /// The whole text the fields were found in; empty when the receipt has TLVs only. It quotes the message: do
    /// not log it.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The receipt without its PDU; copies the text.
    #[must_use]
    pub fn into_owned(self) -> Receipt<'static> {
        Receipt {
            text: Cow::Owned(self.text.into_owned()),
            tlv_id: Cow::Owned(self.tlv_id.into_owned()),
            ..self
        }
    }

    fn value(&self, span: Span) -> &str {
        span.of(&self.text)
    }
}

impl fmt::Debug for Receipt<'_> {
    /// All but the quoted message.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receipt")
            .field("message_type", &self.message_type)
            .field("tlv_id", &self.tlv_id())
            .field("text_id", &self.text_id())
            .field("state", &self.state)
            .field("message_state", &self.message_state)
            .field("state_text", &self.state_text())
            .field("err", &self.err())
            .field("network_error", &self.network_error)
            .field("submit_date", &self.submit_date())
            .field("done_date", &self.done_date())
            .finish_non_exhaustive()
    }
}

/// Why a PDU gives no receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ReceiptError {
    /// Neither `receipted_message_id` nor an `id:` in the text. The carrier is at fault; acknowledge and keep the
    /// PDU for a person.
    #[error("the receipt names no message id")]
    NoId,
    /// It is something else: a message, or what an SME acknowledges. Nobody is at fault.
    #[error("this is not a receipt but of type {0:?}")]
    NotAReceipt(MessageType),
}

/// Reads what `esm_class` calls a receipt or an intermediate notification.
///
/// # Errors
/// [`ReceiptError::NotAReceipt`] for all other types, [`ReceiptError::NoId`].
pub fn parse<'a>(pdu: impl Into<Incoming<'a>>) -> Result<Receipt<'a>, ReceiptError> {
    let pdu = pdu.into();
    match pdu.message_type() {
        MessageType::Receipt | MessageType::Intermediate => read(&pdu),
        other @ (MessageType::Default
        | MessageType::DeliveryAck
        | MessageType::UserAck
        | MessageType::ConversationAbort
        | MessageType::Reserved(_)) => Err(ReceiptError::NotAReceipt(other)),
    }
}

/// As [`parse`], and reads ordinary messages (type 0) too when they name an id and a state, in TLVs or in the
/// text. For carriers known to send their receipts so, and for them only: anybody can write such a text in a
/// message.
///
/// # Errors
/// [`ReceiptError::NotAReceipt`], [`ReceiptError::NoId`].
pub fn parse_content<'a>(pdu: impl Into<Incoming<'a>>) -> Result<Receipt<'a>, ReceiptError> {
    let pdu = pdu.into();
    if pdu.message_type() != MessageType::Default {
        return parse(pdu);
    }
    let names_a_state =
        |receipt: &Receipt<'_>| receipt.message_state.is_some() || !receipt.fields.stat.is_empty();
    read(&pdu)
        .ok()
        .filter(names_a_state)
        .ok_or(ReceiptError::NotAReceipt(MessageType::Default))
}

fn read<'a>(pdu: &Incoming<'a>) -> Result<Receipt<'a>, ReceiptError> {
    let (text, fields) = body(pdu);
    let tlv_id = match pdu.tlvs.get_cstr(tag::RECEIPTED_MESSAGE_ID) {
        None => Cow::default(),
        Some(octets) => match body::narrow(octets) {
            Cow::Borrowed(id) => Cow::Borrowed(trimmed(id)),
            Cow::Owned(id) => Cow::Owned(trimmed(&id).to_owned()),
        },
    };
    if tlv_id.is_empty() && fields.id.is_empty() {
        return Err(ReceiptError::NoId);
    }
    let message_type = pdu.message_type();
    let message_state = pdu
        .tlvs
        .get_u16(tag::MESSAGE_STATE)
        .and_then(|value| u8::try_from(value).ok());
    let stat = fields.stat.of(&text);
    let state = message_state
        .and_then(ReceiptState::from_value)
        .or_else(|| ReceiptState::from_text(stat))
        .unwrap_or(match message_type {
            MessageType::Intermediate if stat.is_empty() => ReceiptState::Enroute,
            _ => ReceiptState::Unknown,
        });
    let network_error = pdu.tlvs.get(tag::NETWORK_ERROR_CODE);
    Ok(Receipt {
        message_type,
        fields,
        tlv_id,
        message_state,
        state,
        network_error: network_error.and_then(|octets| NetworkError::from_octets(octets)),
        text,
    })
}

/// The text and its fields. Where the text should be there is sometimes something else: octets that are no header
/// although the UDHI bit is set, or a `short_message` of filler with the text in `message_payload`. The first
/// place that names an id or a state is taken.
fn body<'a>(pdu: &Incoming<'a>) -> (Cow<'a, str>, Fields) {
    let expected = if pdu.esm_class & esm_class::UDHI == 0 {
        pdu.message
    } else {
        split_udh(pdu.message).1
    };
    let payload = pdu.tlvs.get(tag::MESSAGE_PAYLOAD);
    let elsewhere = [
        (expected.len() < pdu.message.len()).then_some(pdu.message),
        payload.map(|octets| &octets[..]),
    ];
    let scan = |octets: &'a [u8]| {
        let text = body::decode(octets);
        let fields = Fields::scan(&text);
        (text, fields)
    };
    let first = scan(expected);
    if first.1.says_something() {
        return first;
    }
    elsewhere
        .into_iter()
        .flatten()
        .map(scan)
        .find(|(_, fields)| fields.says_something())
        .unwrap_or(first)
}

#[cfg(test)]
mod tests;
