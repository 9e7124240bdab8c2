//! Lives here: a carrier's profile: everything in which one carrier differs from another.
//! Never here: how a profile's file looks (`config::profile`), what is done with it (`translate`,
//! `live`, `bind`).

use jiff::tz::TimeZone;
use mnara_smpp::pdu::{OctetStr, Version};
use mnara_smpp::receipt::{IdDialect, MessageType, Receipt, ReceiptDate, ReceiptState};

use crate::domain::capability::{Capability, Unfit};
use crate::domain::lifecycle::SegmentState;
use crate::domain::message::FailureCode;
use crate::domain::phone::{Sender, SenderKind};
use crate::domain::time::Timestamp;
use crate::domain::verdict::{Table, Verdict};

/// What is particular to one carrier. The default is the standard's and most carriers' way;
/// config/carriers/default.toml explains every part.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Profile {
    /// What its statuses mean.
    pub verdicts: Table,
    /// How its message ids are written in responses and in receipts.
    pub ids: IdDialect,
    /// How its receipts are read.
    pub receipts: ReceiptRules,
    /// What its errors in receipts mean.
    pub errors: Errors,
    /// How texts are written to it.
    pub text: TextRules,
    /// How addresses are written to it.
    pub addresses: Addresses,
    /// Which senders and how many parts it takes.
    pub capability: Capability,
    /// The other fields of a submit_sm.
    pub submit: Submit,
    /// How the session is spoken.
    pub session: Session,
}

/// How receipts are asked for and read.
#[derive(Clone, Debug, PartialEq)]
pub struct ReceiptRules {
    /// Ask for them.
    pub request: bool,
    /// Read deliver_sm with esm_class 0 as receipts, too, when they look like one. Anybody who can
    /// send us a message could then forge a receipt.
    pub esm_class_0: bool,
    /// What ACCEPTD means: delivered (true), for carriers that send nothing after it, or on the way.
    pub acceptd_is_delivered: bool,
    /// Where `receipted_message_id` and `id:` differ, the text's counts.
    pub id_from_text: bool,
    /// The carrier's own words for states, before any other reading; `None` is a state on the way.
    pub words: Vec<(Box<str>, Option<SegmentState>)>,
    /// What a word means that nobody knows.
    pub other_words: Option<SegmentState>,
    /// Of dates without an offset.
    pub timezone: TimeZone,
}

/// What errors in receipts mean for the customer: few, so they are looked for one by one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Errors {
    /// By `err:`, without leading zeros.
    pub texts: Vec<(Box<str>, FailureCode)>,
    /// By the code in `network_error_code`.
    pub network: Vec<(u32, FailureCode)>,
}

/// How texts are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextRules {
    /// `data_coding` of texts in the carrier's default alphabet.
    pub gsm7_data_coding: u8,
    /// `data_coding` of UCS-2.
    pub ucs2_data_coding: u8,
    /// What the carrier's default alphabet is on the wire.
    pub alphabet: Alphabet,
    /// How parts are told to belong together.
    pub segmentation: Segmentation,
}

/// The octets of a text whose characters GSM 03.38 has. Its parts are the same in all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alphabet {
    /// GSM 03.38, one septet in an octet.
    Gsm7,
    /// GSM 03.38, eight septets in seven octets.
    Gsm7Packed,
    /// ISO 8859-1, which the carrier turns into GSM 03.38. What it lacks (the euro sign, Greek
    /// capitals) is sent in UCS-2 if that takes no more parts, else not by this account.
    Latin1,
    /// ASCII, in the same way.
    Ascii,
}

/// How several parts of one text are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Segmentation {
    /// A header with an 8-bit reference: what every carrier takes, and what parts are counted by.
    Udh8,
    /// A header with a 16-bit reference.
    Udh16,
    /// The three SAR parameters.
    Sar,
    /// One submit_sm with the whole text in `message_payload`.
    Payload,
}

/// Type of number and numbering plan of an address (SMPP 5.2.5, 5.2.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TonNpi {
    /// Type of number.
    pub ton: u8,
    /// Numbering plan indicator.
    pub npi: u8,
}

/// How addresses are labelled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// Senders that are names.
    pub alphanumeric: TonNpi,
    /// Senders that are short codes.
    pub short_code: TonNpi,
    /// Senders that are numbers.
    pub international: TonNpi,
    /// The recipient.
    pub recipient: TonNpi,
}

/// The remaining fields of a submit_sm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submit {
    /// Tell how long a message is valid.
    pub validity_period: bool,
    /// At most 5 octets.
    pub service_type: OctetStr,
    /// Send `user_message_reference`, which some carriers bring back in receipts: proof for an
    /// attempt in doubt.
    pub user_message_reference: bool,
    /// `priority_flag` of each class, by its index.
    pub priority: [u8; 3],
    /// The value when receipts are asked for.
    pub registered_delivery: u8,
}

/// How the session is spoken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// What we offer.
    pub interface_version: Version,
    /// Take the carrier for this version at least, whatever it tells.
    pub least_version: Option<Version>,
    /// What a carrier speaks that does not tell; `None` = what we offered, at most 3.4.
    pub untold_version: Option<Version>,
}

impl Profile {
    /// What this carrier means by a status.
    pub fn verdict(&self, status: u32) -> Verdict {
        self.verdicts.of(status)
    }

    /// Whether this carrier takes a message of this sender with this many segments.
    ///
    /// # Errors
    /// Why not.
    pub fn accepts(&self, from: &Sender, segments: u8) -> Result<(), Unfit> {
        self.capability.accepts(from, segments)
    }

    /// `registered_delivery` of every submit_sm.
    pub const fn registered_delivery(&self) -> u8 {
        if self.receipts.request {
            self.submit.registered_delivery
        } else {
            0
        }
    }
}

impl ReceiptRules {
    /// The id that counts.
    pub(super) fn id<'a>(&self, receipt: &'a Receipt<'_>) -> &'a str {
        receipt
            .text_id()
            .filter(|_| self.id_from_text)
            .unwrap_or_else(|| receipt.id())
    }

    /// The final state that a receipt brings, or `None` for one on the way.
    pub(super) fn state(&self, receipt: &Receipt<'_>) -> Option<SegmentState> {
        if receipt.message_type() == MessageType::Intermediate {
            return None;
        }
        let word = receipt.state_text();
        if let Some((_, own)) = self
            .words
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(word))
        {
            return *own;
        }
        match receipt.state() {
            ReceiptState::Delivered => Some(SegmentState::Delivered),
            ReceiptState::Undeliverable | ReceiptState::Skipped => Some(SegmentState::Undelivered),
            ReceiptState::Rejected => Some(SegmentState::Rejected),
            ReceiptState::Expired | ReceiptState::Deleted => Some(SegmentState::Expired),
            ReceiptState::Accepted if self.acceptd_is_delivered => Some(SegmentState::Delivered),
            ReceiptState::Scheduled | ReceiptState::Enroute | ReceiptState::Accepted => None,
            // Said so, or in a word that nobody knows.
            ReceiptState::Unknown if ReceiptState::from_text(word).is_some() || word.is_empty() => {
                Some(SegmentState::Unknown)
            }
            ReceiptState::Unknown => self.other_words,
        }
    }

    /// The instant that the carrier's clock showed. Of two in the hour that a zone repeats in
    /// autumn, the first; `None` beyond the calendar.
    pub(super) fn instant(&self, date: ReceiptDate) -> Option<Timestamp> {
        let seconds = if date.offset_quarters.is_some() {
            date.unix(0)
        } else {
            let local = jiff::Timestamp::from_second(date.local.unix()).ok()?;
            let civil = TimeZone::UTC.to_datetime(local);
            self.timezone.to_timestamp(civil).ok()?.as_second()
        };
        Some(Timestamp(seconds * 1_000))
    }
}

impl Errors {
    /// What a receipt's error means for the customer, if the carrier's profile knows it.
    pub(super) fn failure(&self, receipt: &Receipt<'_>) -> Option<FailureCode> {
        let err = receipt.err().trim_start_matches('0');
        let by_text = || {
            let mut known = self.texts.iter();
            known.find(|(text, _)| text.eq_ignore_ascii_case(err))
        };
        let by_network = || {
            let code = receipt.network_error()?.code;
            self.network.iter().find(|(known, _)| *known == code)
        };
        by_text()
            .map(|(_, failure)| *failure)
            .or_else(|| by_network().map(|(_, failure)| *failure))
    }
}

impl Addresses {
    /// The label of a sender.
    pub const fn of(&self, kind: SenderKind) -> TonNpi {
        match kind {
            SenderKind::Alphanumeric => self.alphanumeric,
            SenderKind::ShortCode => self.short_code,
            SenderKind::International => self.international,
        }
    }
}

impl Default for ReceiptRules {
    fn default() -> Self {
        Self {
            request: true,
            esm_class_0: false,
            acceptd_is_delivered: false,
            id_from_text: false,
            words: Vec::new(),
            other_words: Some(SegmentState::Unknown),
            timezone: TimeZone::UTC,
        }
    }
}

impl Default for TextRules {
    fn default() -> Self {
        Self {
            gsm7_data_coding: 0x00,
            ucs2_data_coding: 0x08,
            alphabet: Alphabet::Gsm7,
            segmentation: Segmentation::Udh8,
        }
    }
}

impl Default for Addresses {
    fn default() -> Self {
        Self {
            alphanumeric: TonNpi { ton: 5, npi: 0 },
            short_code: TonNpi { ton: 3, npi: 0 },
            international: TonNpi { ton: 1, npi: 1 },
            recipient: TonNpi { ton: 1, npi: 1 },
        }
    }
}

impl Default for Submit {
    fn default() -> Self {
        Self {
            validity_period: true,
            service_type: OctetStr::EMPTY,
            user_message_reference: false,
            priority: [0; 3],
            registered_delivery: 1,
        }
    }
}

impl Default for Session {
    fn default() -> Self {
        Self {
            interface_version: Version::V3_4,
            least_version: None,
            untold_version: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use mnara_smpp::pdu::DeliverSm;
    use mnara_smpp::receipt;
    use mnara_smpp::tlv::{Tlv, tag};

    use super::*;

    fn deliver(esm_class: u8, text: &str, tlvs: &[Tlv]) -> DeliverSm {
        DeliverSm {
            esm_class,
            short_message: Bytes::copy_from_slice(text.as_bytes()),
            tlvs: tlvs.iter().cloned().collect(),
            ..DeliverSm::default()
        }
    }

    fn state(rules: &ReceiptRules, esm_class: u8, text: &str) -> Option<SegmentState> {
        rules.state(&receipt::parse(&deliver(esm_class, text, &[])).unwrap())
    }

    #[test]
    fn states_are_read_by_the_carrier_s_own_words_first() {
        let default = ReceiptRules::default();
        let own = ReceiptRules {
            acceptd_is_delivered: true,
            words: vec![
                ("HANDSET".into(), Some(SegmentState::Delivered)),
                ("EXPIRED".into(), None),
            ],
            other_words: None,
            ..ReceiptRules::default()
        };
        let unknown = Some(SegmentState::Unknown);
        let delivered = Some(SegmentState::Delivered);
        for (text, by_default, by_own) in [
            ("id:1 stat:DELIVRD", delivered, delivered),
            ("id:1 stat:handset", unknown, delivered),
            ("id:1 stat:EXPIRED", Some(SegmentState::Expired), None),
            ("id:1 stat:ACCEPTD", None, delivered),
            ("id:1 stat:WHAT", unknown, None),
            ("id:1 stat:UNKNOWN", unknown, unknown),
            ("id:1 err:000", unknown, unknown),
        ] {
            assert_eq!(state(&default, 0x04, text), by_default, "{text}");
            assert_eq!(state(&own, 0x04, text), by_own, "{text}");
        }
        assert_eq!(state(&own, 0x20, "id:1 stat:HANDSET"), None);
    }

    #[test]
    fn the_id_that_counts_is_the_carrier_s_choice() {
        let tlv = Tlv::cstr(tag::RECEIPTED_MESSAGE_ID, "FF");
        let pdu = deliver(0x04, "id:255 stat:DELIVRD", &[tlv]);
        let parsed = receipt::parse(&pdu).unwrap();
        let from_text = ReceiptRules {
            id_from_text: true,
            ..ReceiptRules::default()
        };
        assert_eq!(ReceiptRules::default().id(&parsed), "FF");
        assert_eq!(from_text.id(&parsed), "255");
        let pdu = deliver(0x04, "id:255 stat:DELIVRD", &[]);
        assert_eq!(
            ReceiptRules::default().id(&receipt::parse(&pdu).unwrap()),
            "255"
        );
    }

    #[test]
    fn dates_are_the_carrier_s_unless_they_say_their_zone() {
        let at = |zone: TimeZone, text: &str| {
            let rules = ReceiptRules {
                timezone: zone,
                ..ReceiptRules::default()
            };
            rules.instant(ReceiptDate::parse(text).unwrap()).unwrap().0 / 1_000
        };
        let east = TimeZone::fixed(jiff::tz::Offset::from_hours(3).unwrap());
        let utc = 1_795_256_647;
        for (zone, text, expected) in [
            (TimeZone::UTC, "20261121102407", utc),
            (east.clone(), "20261121102407", utc - 3 * 3_600),
            (east.clone(), "20261121102407Z", utc),
            (east, "261121102407004-", utc + 3_600),
        ] {
            assert_eq!(at(zone, text), expected, "{text}");
        }
    }

    #[test]
    fn errors_have_the_meaning_that_the_carrier_gives_them() {
        let errors = Errors {
            texts: vec![
                ("21b".into(), FailureCode::BlockedDnd),
                ("1".into(), FailureCode::UnknownSubscriber),
            ],
            network: vec![(27, FailureCode::AbsentSubscriber)],
        };
        let network = [Tlv::u8_u16(tag::NETWORK_ERROR_CODE, 3, 27)];
        for (text, tlvs, expected) in [
            (
                "id:1 stat:UNDELIV err:21B",
                &[][..],
                Some(FailureCode::BlockedDnd),
            ),
            (
                "id:1 stat:UNDELIV err:001",
                &network,
                Some(FailureCode::UnknownSubscriber),
            ),
            (
                "id:1 stat:UNDELIV err:099",
                &network,
                Some(FailureCode::AbsentSubscriber),
            ),
            ("id:1 stat:UNDELIV err:000", &[], None),
            ("id:1 stat:UNDELIV", &[], None),
        ] {
            let pdu = deliver(0x04, text, tlvs);
            assert_eq!(
                errors.failure(&receipt::parse(&pdu).unwrap()),
                expected,
                "{text}"
            );
        }
    }
}
