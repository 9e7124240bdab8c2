//! Lives here: the four crates behind one trait, and the octets that all of them read and write.
//! Never here: clocks (`benches/codec.rs`), allocators (`src/bin/allocations.rs`).
//!
//! # What is compared
//! *Decode* is the way from the octets of a stream, of which at least one PDU has arrived whole, to the typed PDU, as
//! a user of the crate goes it with the buffer that the crate asks for; cutting the PDU off the stream belongs to it.
//! *Encode* is the way from a PDU that exists to octets that can be handed to a socket.
//!
//! | crate | decode | encode |
//! |---|---|---|
//! | mnara-smpp | `FrameDecoder::next` on a `BytesMut`, `Pdu::decode` | `Pdu::encode` into a reused `BytesMut` |
//! | rusmpp | `CommandCodec::decode` on a `BytesMut` | `CommandCodec::encode` of `&Command` into a reused `BytesMut` |
//! | smpp34 | length by hand, `CommandHeader::decode`, the PDU's `decode` on a slice | the PDU's `encode`, which consumes the PDU and returns a new `Vec` |
//! | smpp-codec | length by hand, the PDU's `decode` on a slice | the PDU's `encode` into a reused `Vec` |
//!
//! smpp34 and smpp-codec have no type for "any PDU" that a slice decodes to: their users match `command_id` and call
//! the one type's `decode`, so the match is in the figure and no wrapping enum is. What the decoders do beside the
//! work of reading is theirs and is kept: mnara-smpp looks for violations, rusmpp turns octets into enums, smpp34 and
//! smpp-codec check UTF-8.

use bytes::BytesMut;
use mnara_smpp::codec::FrameDecoder;
use mnara_smpp::pdu::{Address, Decoded, DeliverSm, Pdu, SubmitSm, esm_class};
use mnara_smpp::status::CommandStatus;
use mnara_smpp::tlv::{Tlv, tag};
use rusmpp::Command;
use rusmpp::tokio_codec::CommandCodec;
use smpp_codec::pdus::{DeliverSmRequest, SubmitSmRequest};
use smpp34::{CommandHeader, deliver_sm, submit_sm};
use tokio_util::codec::{Decoder, Encoder};

/// Sequence number of every sample.
const SEQUENCE: u32 = 7;

/// One crate, reading and writing one kind of PDU.
pub trait Codec {
    /// The crate's name and version.
    const NAME: &'static str;
    /// Octets that have arrived, in the form the crate decodes from.
    type Input;
    /// What decoding gives.
    type Decoded;
    /// A PDU about to be encoded.
    type Outgoing;
    /// Where the octets go.
    type Output: Default + AsRef<[u8]>;

    /// Octets as they come off a socket.
    fn input(octets: &[u8]) -> Self::Input;
    /// Takes the next PDU off the front.
    ///
    /// # Panics
    /// When the crate cannot read it.
    fn decode(input: &mut Self::Input) -> Self::Decoded;
    /// The PDU to encode, made of a decoded one.
    fn outgoing(decoded: &Self::Decoded) -> Self::Outgoing;
    /// Writes the PDU over what `out` held.
    ///
    /// # Panics
    /// When the crate refuses it.
    fn encode(pdu: &mut Self::Outgoing, out: &mut Self::Output);
}

/// A submit_sm of exactly 100 octets: an alphanumeric sender, 50 octets of text, a receipt asked for.
#[must_use]
pub fn submit_wire() -> Vec<u8> {
    let octets = wire(&Pdu::SubmitSm(SubmitSm {
        source: Address::new(5, 0, "MNARA"),
        dest: Address::new(1, 1, "255753276939"),
        registered_delivery: 1,
        short_message: b"Hujambo, karibu sana. Msimbo wako ni 048213 (5 m)."[..].into(),
        ..SubmitSm::default()
    }));
    assert_eq!(octets.len(), 100, "the size that the figures speak of");
    octets
}

/// A receipt with the text of appendix B and both receipt TLVs.
#[must_use]
pub fn receipt_wire() -> Vec<u8> {
    let text = b"id:0123456789 sub:001 dlvrd:001 submit date:2611211024 done date:2611211025 \
                 stat:DELIVRD err:000 text:Hujambo, karibu sana";
    wire(&Pdu::DeliverSm(DeliverSm {
        source: Address::new(1, 1, "255753276939"),
        dest: Address::new(5, 0, "MNARA"),
        esm_class: esm_class::RECEIPT,
        short_message: text[..].into(),
        tlvs: [
            Tlv::cstr(tag::RECEIPTED_MESSAGE_ID, "0123456789"),
            Tlv::u8(tag::MESSAGE_STATE, 2),
        ]
        .into_iter()
        .collect(),
        ..DeliverSm::default()
    }))
}

fn wire(pdu: &Pdu) -> Vec<u8> {
    let mut out = BytesMut::new();
    pdu.encode(CommandStatus::ESME_ROK, SEQUENCE, &mut out)
        .expect("the specification allows the samples");
    out.to_vec()
}

/// Asserts that the crate reads these octets off the front of a stream and writes the same octets.
///
/// # Panics
/// When it does not.
pub fn assert_same_octets<C: Codec>(octets: &[u8]) {
    let mut input = C::input(&octets.repeat(2));
    for _ in 0..2 {
        let decoded = C::decode(&mut input);
        let mut out = C::Output::default();
        C::encode(&mut C::outgoing(&decoded), &mut out);
        assert_eq!(out.as_ref(), octets, "{}", C::NAME);
    }
}

/// mnara-smpp, any PDU.
#[derive(Debug)]
pub struct Mnara;

impl Codec for Mnara {
    const NAME: &'static str = "mnara-smpp";
    type Input = (FrameDecoder, BytesMut);
    type Decoded = Decoded;
    type Outgoing = Pdu;
    type Output = BytesMut;

    fn input(octets: &[u8]) -> Self::Input {
        (FrameDecoder::default(), BytesMut::from(octets))
    }

    #[inline]
    fn decode((decoder, buf): &mut Self::Input) -> Decoded {
        let frame = decoder.next(buf).expect("sound").expect("whole");
        Pdu::decode(frame).expect("readable")
    }

    fn outgoing(decoded: &Decoded) -> Pdu {
        decoded.pdu.clone()
    }

    #[inline]
    fn encode(pdu: &mut Pdu, out: &mut BytesMut) {
        out.clear();
        pdu.encode(CommandStatus::ESME_ROK, SEQUENCE, out)
            .expect("writable");
    }
}

/// rusmpp, any PDU.
#[derive(Debug)]
pub struct Rusmpp;

impl Codec for Rusmpp {
    const NAME: &'static str = "rusmpp 0.4";
    type Input = (CommandCodec, BytesMut);
    type Decoded = Command;
    type Outgoing = Command;
    type Output = BytesMut;

    fn input(octets: &[u8]) -> Self::Input {
        (CommandCodec::new(), BytesMut::from(octets))
    }

    #[inline]
    fn decode((codec, buf): &mut Self::Input) -> Command {
        codec.decode(buf).expect("sound").expect("whole")
    }

    fn outgoing(decoded: &Command) -> Command {
        decoded.clone()
    }

    #[inline]
    fn encode(pdu: &mut Command, out: &mut BytesMut) {
        out.clear();
        CommandCodec::new().encode(&*pdu, out).expect("writable");
    }
}

/// Octets that were received, and how many of them are decoded.
type Position = (Vec<u8>, usize);

/// The next PDU of a stream for the crates that leave framing to their user.
#[inline]
fn next_slice((octets, at): &mut Position) -> &[u8] {
    let rest = &octets[*at..];
    let length = u32::from_be_bytes(*rest.first_chunk().expect("a length")) as usize;
    *at += length;
    &rest[..length]
}

macro_rules! smpp34 {
    ($($name:ident, $pdu:ident, $command:literal;)*) => { $(
        /// smpp34, one kind of PDU.
        #[derive(Debug)]
        pub struct $name;

        impl Codec for $name {
            const NAME: &'static str = "smpp34 1.5";
            type Input = Position;
            type Decoded = $pdu;
            type Outgoing = Option<$pdu>;
            type Output = Vec<u8>;

            fn input(octets: &[u8]) -> Position {
                (octets.to_vec(), 0)
            }

            #[inline]
            fn decode(input: &mut Position) -> $pdu {
                let octets = next_slice(input);
                let header = CommandHeader::decode(octets).expect("sound");
                match header.command_id {
                    $command => $pdu::decode(header, octets).expect("readable"),
                    other => unreachable!("command {other} was not sent"),
                }
            }

            fn outgoing(decoded: &$pdu) -> Option<$pdu> {
                Some(decoded.clone())
            }

            #[inline]
            fn encode(pdu: &mut Option<$pdu>, out: &mut Vec<u8>) {
                *out = pdu.take().expect("encoded once").encode();
            }
        }
    )* };
}

smpp34! {
    Smpp34Submit, submit_sm, 4;
    Smpp34Deliver, deliver_sm, 5;
}

macro_rules! smpp_codec {
    ($($name:ident, $pdu:ident, $command:literal;)*) => { $(
        /// smpp-codec, one kind of PDU.
        #[derive(Debug)]
        pub struct $name;

        impl Codec for $name {
            const NAME: &'static str = "smpp-codec 0.2";
            type Input = Position;
            type Decoded = $pdu;
            type Outgoing = $pdu;
            type Output = Vec<u8>;

            fn input(octets: &[u8]) -> Position {
                (octets.to_vec(), 0)
            }

            #[inline]
            fn decode(input: &mut Position) -> $pdu {
                let octets = next_slice(input);
                match octets[4..8] {
                    [0, 0, 0, $command] => $pdu::decode(octets).expect("readable"),
                    ref other => unreachable!("command {other:?} was not sent"),
                }
            }

            fn outgoing(decoded: &$pdu) -> $pdu {
                decoded.clone()
            }

            #[inline]
            fn encode(pdu: &mut $pdu, out: &mut Vec<u8>) {
                out.clear();
                pdu.encode(out).expect("writable");
            }
        }
    )* };
}

smpp_codec! {
    SmppCodecSubmit, SubmitSmRequest, 4;
    SmppCodecDeliver, DeliverSmRequest, 5;
}
