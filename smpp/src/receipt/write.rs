//! Lives here: writing receipts as SMPP appendix B has them, for an SMSC.
//! Never here: dialects; who receives a receipt, and when.

use bytes::{BufMut, Bytes, BytesMut};
use thiserror::Error;

use super::network_error::NetworkError;
use super::state::ReceiptState;
use crate::pdu::{DeliverSm, SubmitSm, esm_class};
use crate::time::DateTime;
use crate::tlv::{Tlv, Tlvs, tag};

/// Octets of an id (SMPP 5.3.2.12 allows 65 with the NUL).
const ID_MAX: usize = 64;
/// `sub:`, `dlvrd:` and `err:` have three digits.
const THREE_DIGITS_MAX: u16 = 999;
/// Characters of the message that are quoted.
const QUOTE_MAX: usize = 20;

/// A receipt to be written. Send it with [`super::MessageType::Receipt`] in `esm_class` (or `Intermediate`), from
/// the message's destination to its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewReceipt<'a> {
    /// The id that the `submit_sm_resp` gave: 1 to 64 octets of printable ASCII without space, `:`, `,`, `;`,
    /// `|` and quotation marks, which readers take for the end of it.
    pub id: &'a str,
    /// Messages submitted, at most 999; 1 unless the receipt speaks for a whole submission to a list.
    pub sub: u16,
    /// Messages delivered of those, at most 999.
    pub dlvrd: u16,
    /// When the message was taken, in the zone the ESME was told; written to the minute.
    pub submit_date: DateTime,
    /// When it reached its state; written to the minute.
    pub done_date: DateTime,
    /// Its state.
    pub state: ReceiptState,
    /// The error's number, at most 999; 0 for none.
    pub err: u16,
    /// The message, or its beginning: 20 characters are quoted, those outside printable ASCII as `?`.
    pub text: &'a str,
    /// For the TLV; left out when `None`.
    pub network_error: Option<NetworkError>,
}

/// What the specification forbids in a receipt; nothing is written. The caller is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum WriteError {
    /// The id is empty or longer than 64 octets: this many.
    #[error("an id has 1 to 64 octets, not {0}")]
    IdLen(usize),
    /// The id has a character that ends it for readers.
    #[error("an id cannot hold {0:?}")]
    IdCharacter(char),
    /// `sub`, `dlvrd` or `err` is above 999.
    #[error("{0} has more than three digits")]
    ThreeDigits(u16),
    /// The network's code needs more than 16 bits.
    #[error("a network_error_code of {0} does not fit 16 bits")]
    NetworkError(u32),
}

impl<'a> NewReceipt<'a> {
    /// A receipt for one message that came to this state at the minute it was submitted.
    #[must_use]
    pub fn new(id: &'a str, state: ReceiptState, at: DateTime) -> Self {
        Self {
            id,
            sub: 1,
            dlvrd: u16::from(state == ReceiptState::Delivered),
            submit_date: at,
            done_date: at,
            state,
            err: 0,
            text: "",
            network_error: None,
        }
    }

    /// The deliver_sm that brings the receipt to the sender of this message, with text and TLVs.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn to_sender_of(&self, submit: &SubmitSm) -> Result<DeliverSm, WriteError> {
        let mut text = BytesMut::new();
        self.write_text(&mut text)?;
        Ok(DeliverSm {
            source: submit.dest.clone(),
            dest: submit.source.clone(),
            esm_class: esm_class::RECEIPT,
            short_message: text.freeze(),
            tlvs: self.tlvs()?,
            ..DeliverSm::default()
        })
    }

    /// The most octets that [`NewReceipt::write_text`] appends; they fit a `short_message`.
    pub const TEXT_MAX: usize = 176;

    /// Appends the text: `id:… sub:… dlvrd:… submit date:… done date:… stat:… err:… text:…`, to be sent with
    /// `data_coding` 0.
    ///
    /// # Errors
    /// [`WriteError`]; `out` is then as it was.
    pub fn write_text(&self, out: &mut BytesMut) -> Result<(), WriteError> {
        self.check_id()?;
        let numbers = [self.sub, self.dlvrd, self.err];
        if let Some(wide) = numbers
            .into_iter()
            .find(|number| *number > THREE_DIGITS_MAX)
        {
            return Err(WriteError::ThreeDigits(wide));
        }
        let [sub, dlvrd, err] = numbers.map(three_digits);
        for part in [
            b"id:",
            self.id.as_bytes(),
            b" sub:",
            &sub,
            b" dlvrd:",
            &dlvrd,
            b" submit date:",
            &self.submit_date.digits()[..10],
            b" done date:",
            &self.done_date.digits()[..10],
            b" stat:",
            self.state.text().as_bytes(),
            b" err:",
            &err,
            b" text:",
        ] {
            out.put_slice(part);
        }
        for character in self.text.chars().take(QUOTE_MAX) {
            let is_printable = matches!(character, ' '..='~');
            out.put_u8(if is_printable { character as u8 } else { b'?' });
        }
        Ok(())
    }

    /// `receipted_message_id`, `message_state` and, where there is one, `network_error_code`.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn tlvs(&self) -> Result<Tlvs, WriteError> {
        self.check_id()?;
        let mut tlvs = Tlvs::new();
        tlvs.push(Tlv::cstr(tag::RECEIPTED_MESSAGE_ID, self.id));
        tlvs.push(Tlv::u8(tag::MESSAGE_STATE, self.state.value()));
        if let Some(error) = self.network_error {
            let octets = error
                .to_octets()
                .ok_or(WriteError::NetworkError(error.code))?;
            tlvs.push(Tlv::new(
                tag::NETWORK_ERROR_CODE,
                Bytes::copy_from_slice(&octets),
            ));
        }
        Ok(tlvs)
    }

    fn check_id(&self) -> Result<(), WriteError> {
        if self.id.is_empty() || self.id.len() > ID_MAX {
            return Err(WriteError::IdLen(self.id.len()));
        }
        let ends_it = |c: char| !c.is_ascii_graphic() || ":,;|\"'".contains(c);
        match self.id.chars().find(|c| ends_it(*c)) {
            Some(character) => Err(WriteError::IdCharacter(character)),
            None => Ok(()),
        }
    }
}

/// `value` is at most 999.
fn three_digits(value: u16) -> [u8; 3] {
    [value / 100, value / 10 % 10, value % 10].map(|digit| b'0' + digit as u8)
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    use super::{NewReceipt, WriteError};
    use crate::pdu::DeliverSm;
    use crate::receipt::{MessageType, NetworkError, ReceiptState, parse};
    use crate::time::DateTime;

    fn receipt(id: &str) -> NewReceipt<'_> {
        NewReceipt {
            id,
            sub: 1,
            dlvrd: 0,
            submit_date: DateTime::new(2026, 11, 21, 10, 24, 7).expect("it exists"),
            done_date: DateTime::new(2026, 11, 21, 10, 25, 8).expect("it exists"),
            state: ReceiptState::Undeliverable,
            err: 27,
            text: "habari ₦ yako leo asubuhi mapema",
            network_error: Some(NetworkError { kind: 3, code: 27 }),
        }
    }

    fn text(receipt: &NewReceipt<'_>) -> Result<BytesMut, WriteError> {
        let mut out = BytesMut::new();
        receipt.write_text(&mut out).map(|()| out)
    }

    #[test]
    fn the_text_is_that_of_appendix_b() {
        assert_eq!(
            text(&receipt("0123456789")).expect("nothing is forbidden"),
            &b"id:0123456789 sub:001 dlvrd:000 submit date:2611211024 done date:2611211025 \
               stat:UNDELIV err:027 text:habari ? yako leo as"[..]
        );
        let (id, quote) = ("7".repeat(64), "x".repeat(200));
        let longest = NewReceipt {
            text: &quote,
            ..receipt(&id)
        };
        assert_eq!(
            text(&longest).map(|text| text.len()),
            Ok(NewReceipt::TEXT_MAX)
        );
    }

    #[test]
    fn what_the_specification_forbids_is_refused_and_nothing_written() {
        let long = "7".repeat(65);
        for (id, error) in [
            ("", WriteError::IdLen(0)),
            (&long[..], WriteError::IdLen(65)),
            ("a b", WriteError::IdCharacter(' ')),
            ("a:b", WriteError::IdCharacter(':')),
            ("é", WriteError::IdCharacter('é')),
        ] {
            assert_eq!(text(&receipt(id)), Err(error));
            assert_eq!(receipt(id).tlvs(), Err(error));
        }
        let mut out = BytesMut::from(&b"before"[..]);
        let wide = NewReceipt {
            err: 1000,
            ..receipt("1")
        };
        assert_eq!(
            wide.write_text(&mut out),
            Err(WriteError::ThreeDigits(1000))
        );
        assert_eq!(out, &b"before"[..]);
        let wide = NewReceipt {
            network_error: Some(NetworkError {
                kind: 3,
                code: 65_536,
            }),
            ..receipt("1")
        };
        assert_eq!(wide.tlvs(), Err(WriteError::NetworkError(65_536)));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            id in "[!-~&&[^:,;|\"']]{1,64}",
            state in 0u8..10,
            (sub, dlvrd, err) in (0u16..1000, 0u16..1000, 0u16..1000),
            seconds in 946_684_800i64..4_102_444_800,
            quote in "\\PC{0,30}",
            (with_text, with_tlvs) in proptest::prop_oneof![
                proptest::prelude::Just((true, false)),
                proptest::prelude::Just((false, true)),
                proptest::prelude::Just((true, true)),
            ],
        ) {
            let date = DateTime::from_unix(seconds / 60 * 60).expect("in this century");
            let state = ReceiptState::from_value(state).expect("ten states");
            let written = NewReceipt {
                sub, dlvrd, err, state, submit_date: date, done_date: date, text: &quote, ..receipt(&id)
            };
            let mut deliver = DeliverSm { esm_class: MessageType::Receipt.bits(), ..DeliverSm::default() };
            if with_text {
                deliver.short_message = text(&written).expect("nothing is forbidden").freeze();
                prop_assert!(deliver.short_message.len() <= NewReceipt::TEXT_MAX);
            }
            if with_tlvs {
                deliver.tlvs = written.tlvs().expect("nothing is forbidden");
            }
            let read = parse(&deliver).expect("a receipt");
            prop_assert_eq!((read.id(), read.state()), (&id[..], state));
            prop_assert!(!read.ids_differ() && !read.states_differ());
            prop_assert_eq!(read.network_error(), written.network_error.filter(|_| with_tlvs));
            if with_text {
                prop_assert_eq!((read.sub(), read.dlvrd()), (Some(sub), Some(dlvrd)));
                prop_assert_eq!(read.err().parse(), Ok(err));
                prop_assert_eq!(read.done_at().map(|at| at.local), Some(date));
                prop_assert_eq!(read.submitted_at().map(|at| at.local), Some(date));
                prop_assert_eq!(read.quote().len(), quote.chars().count().min(20));
            }
        }
    }
}
