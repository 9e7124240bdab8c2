//! Lives here: PDU <-> flow: a segment becomes a submit_sm, a deliver_sm or data_sm becomes a receipt.
//! Never here: sessions, queues, what a receipt does.

use std::time::Duration;

use bytes::Bytes;
use mnara_smpp::pdu::{Address, OctetStr, SubmitSm, esm_class};
use mnara_smpp::receipt::{self, Incoming, ReceiptError, ReceiptState};
use mnara_smpp::text;
use mnara_smpp::time::{RelativeTime, SmppTime};
use smallvec::SmallVec;

use super::AccountConfig;
use crate::domain::ids::ReceiptKey;
use crate::domain::lifecycle::SegmentState;
use crate::domain::message::{Encoding, Message};
use crate::domain::phone::SenderKind;
use crate::domain::receipt::{Evidence, Receipt};
use crate::domain::time::Timestamp;

/// The shortest validity that is asked for.
const VALIDITY_MIN: Duration = Duration::from_secs(60);

/// The octets of each segment of a message, headers included.
pub(super) fn segments(message: &Message) -> SmallVec<[Bytes; 1]> {
    let encoding = match message.encoding {
        Encoding::Gsm7 => text::Encoding::GSM7,
        Encoding::Ucs2 => text::Encoding::Ucs2,
    };
    // Ingest measured the text with the same functions, so it does not fail here; if a later
    // version cannot cut what an earlier one stored, the empty list rejects the message.
    text::Layout::new(encoding, text::Method::Udh8(reference(message)))
        .split(&message.body)
        .map(|segments| segments.parts.into_iter().map(|part| part.octets).collect())
        .unwrap_or_default()
}

/// The concatenation reference: the same at every attempt, so that a resent part still fits.
fn reference(message: &Message) -> u8 {
    message.id.0.as_bytes()[15]
}

/// One segment as a submit_sm.
pub(super) fn submit_sm(
    account: &AccountConfig,
    message: &Message,
    segment: Bytes,
    now: Timestamp,
) -> SubmitSm {
    let (ton, npi) = match message.from.kind() {
        SenderKind::Alphanumeric => (5, 0),
        SenderKind::ShortCode => (3, 0),
        SenderKind::International => (1, 1),
    };
    let octets = |text: &str| OctetStr::copy_from_slice(text.as_bytes());
    SubmitSm {
        source: Address {
            ton,
            npi,
            addr: octets(message.from.as_str()),
        },
        dest: Address {
            ton: 1,
            npi: 1,
            addr: octets(message.to.digits()),
        },
        esm_class: if message.segments > 1 {
            esm_class::UDHI
        } else {
            0
        },
        validity_period: if account.validity_period {
            validity(message, now)
        } else {
            OctetStr::EMPTY
        },
        registered_delivery: u8::from(account.receipts),
        data_coding: match message.encoding {
            Encoding::Gsm7 => 0x00,
            Encoding::Ucs2 => 0x08,
        },
        short_message: segment,
        ..SubmitSm::default()
    }
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
    /// A message from a handset.
    MobileOriginated,
}

/// Reads what a carrier of this account has sent.
pub(super) fn delivered(
    account: &AccountConfig,
    incoming: Incoming<'_>,
    now: Timestamp,
) -> Delivered {
    let parsed = match receipt::parse(incoming) {
        Ok(parsed) => parsed,
        Err(ReceiptError::NotAReceipt(_)) => return Delivered::MobileOriginated,
        Err(ReceiptError::NoId) => return Delivered::Useless,
    };
    let raw_id = carrier_id(parsed.id());
    let normalised = account.ids.receipt_key(&raw_id);
    Delivered::Receipt(Receipt {
        carrier: account.id.clone(),
        key: ReceiptKey::new(&account.id, &normalised),
        normalised: (*normalised).into(),
        state: segment_state(parsed.state()).filter(|_| parsed.is_final()),
        stat: cut(parsed.state_text()),
        err: cut(parsed.err()),
        done_date: cut(parsed.done_date()),
        raw_id,
        done_at: None,
        evidence: Evidence::default(),
        received_at: now,
    })
}

/// The final state a receipt brings, or `None` for one on the way.
fn segment_state(state: ReceiptState) -> Option<SegmentState> {
    match state {
        ReceiptState::Delivered => Some(SegmentState::Delivered),
        ReceiptState::Undeliverable | ReceiptState::Skipped => Some(SegmentState::Undelivered),
        ReceiptState::Rejected => Some(SegmentState::Rejected),
        ReceiptState::Expired | ReceiptState::Deleted => Some(SegmentState::Expired),
        ReceiptState::Unknown => Some(SegmentState::Unknown),
        ReceiptState::Scheduled | ReceiptState::Enroute | ReceiptState::Accepted => None,
    }
}

/// A carrier's message id as we keep it: twice what the standard allows (65 octets with NUL), so
/// that a hostile one cannot fill the store. Responses and receipts are cut alike.
pub(super) fn carrier_id(raw: &str) -> Box<str> {
    match raw.char_indices().nth(128) {
        Some((end, _)) => raw[..end].into(),
        None => raw.into(),
    }
}

/// Carriers' texts are kept for people, 32 characters of them.
fn cut(text: &str) -> Box<str> {
    text.chars().take(32).collect::<String>().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::carrier::bind::tests::message;
    use mnara_smpp::pdu::DeliverSm;
    use mnara_smpp::receipt::IdDialect;

    fn account() -> AccountConfig {
        AccountConfig {
            id: crate::domain::ids::CarrierId("c".into()),
            network: crate::domain::ids::NetworkId("c".into()),
            max_tps: 1,
            ids: IdDialect::default(),
            receipts: true,
            validity_period: true,
            binds: Vec::new(),
        }
    }

    fn deliver(esm_class: u8, text: &'static str) -> DeliverSm {
        DeliverSm {
            esm_class,
            short_message: Bytes::from_static(text.as_bytes()),
            ..DeliverSm::default()
        }
    }

    #[test]
    fn a_segment_carries_sender_kind_validity_and_the_wish_for_a_receipt() {
        let mut message = message("hujambo", 1);
        message.valid_until = Timestamp(3_723_000);
        let pdu = submit_sm(
            &account(),
            &message,
            segments(&message)[0].clone(),
            Timestamp(0),
        );
        assert_eq!((pdu.source.ton, pdu.source.npi), (5, 0));
        assert_eq!(pdu.validity_period.as_bytes(), b"000000010203000R");
        assert_eq!(
            (pdu.esm_class, pdu.registered_delivery, pdu.data_coding),
            (0, 1, 0)
        );
        assert_eq!(&pdu.short_message[..], b"hujambo");
    }

    #[test]
    fn several_segments_share_a_reference_at_every_attempt() {
        let message = message(&"a".repeat(200), 2);
        let parts = segments(&message);
        assert_eq!(parts.len(), 2);
        assert_eq!(parts[0][..6], [5, 0, 3, reference(&message), 2, 1]);
        assert_eq!(segments(&message), parts);
    }

    #[test]
    fn deliver_sm_is_told_apart() {
        let account = account();
        let now = Timestamp(5);
        let text = "id:77 sub:001 dlvrd:001 submit date:2601010000 done date:2601010001 stat:UNDELIV err:21b text:";
        let Delivered::Receipt(receipt) = delivered(&account, (&deliver(0x04, text)).into(), now)
        else {
            panic!("a receipt");
        };
        assert_eq!(
            (&*receipt.normalised, &*receipt.stat, &*receipt.err),
            ("77", "UNDELIV", "21b")
        );
        assert_eq!(receipt.state, Some(SegmentState::Undelivered));
        let enroute = "id:77 stat:ENROUTE err:000";
        let Delivered::Receipt(receipt) =
            delivered(&account, (&deliver(0x04, enroute)).into(), now)
        else {
            panic!("a receipt");
        };
        assert_eq!(receipt.state, None);
        assert!(matches!(
            delivered(&account, (&deliver(0x04, "stat:DELIVRD")).into(), now),
            Delivered::Useless
        ));
        assert!(matches!(
            delivered(&account, (&deliver(0, "STOP")).into(), now),
            Delivered::MobileOriginated
        ));
    }
}
