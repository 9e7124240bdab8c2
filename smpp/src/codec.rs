//! Lives here: the PDU header, command ids, and cutting a stream of octets into frames.
//! Never here: the meaning of a body (`pdu`), sockets, timers.

use std::fmt;

use bytes::{Buf, Bytes, BytesMut};
use thiserror::Error;

use crate::status::CommandStatus;

/// Octets of the header that starts every PDU (SMPP 3.2): four big-endian `u32`.
pub const HEADER_LEN: usize = 16;

/// Default for the longest PDU accepted, in octets: a `message_payload` TLV of 65 535 octets, the mandatory
/// fields, and room for the other TLVs.
pub const DEFAULT_MAX_PDU: usize = 68 * 1024;

/// A `command_length` above this (16 MiB) cannot come from an SMPP peer; the stream is something else.
pub const HARD_MAX_PDU: usize = 16 * 1024 * 1024;

/// The PDU header (SMPP 3.2), as the peer wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// `command_length`: octets of the whole PDU, the header included.
    pub length: u32,
    /// `command_id`.
    pub command: CommandId,
    /// `command_status`: zero in requests; any value in responses.
    pub status: CommandStatus,
    /// `sequence_number`: any value inbound, to be echoed untouched (zero and the full 32 bits occur).
    pub sequence: u32,
}

impl Header {
    /// Reads a header from exactly the first 16 octets; `None` when there are fewer.
    #[must_use]
    pub fn parse(octets: &[u8]) -> Option<Self> {
        let (words, _) = octets.first_chunk::<HEADER_LEN>()?.as_chunks::<4>();
        let word = |at: usize| u32::from_be_bytes(words[at]);
        Some(Self {
            length: word(0),
            command: CommandId(word(1)),
            status: CommandStatus(word(2)),
            sequence: word(3),
        })
    }

    /// The header's 16 octets.
    #[must_use]
    pub fn to_octets(self) -> [u8; HEADER_LEN] {
        let mut octets = [0; HEADER_LEN];
        octets[0..4].copy_from_slice(&self.length.to_be_bytes());
        octets[4..8].copy_from_slice(&self.command.0.to_be_bytes());
        octets[8..12].copy_from_slice(&self.status.0.to_be_bytes());
        octets[12..16].copy_from_slice(&self.sequence.to_be_bytes());
        octets
    }
}

/// A `command_id` (SMPP 5.1.2.1). Every `u32` is legal; the known ones have constants.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CommandId(pub u32);

macro_rules! commands {
    ($($const:ident = $value:literal, $name:literal;)*) => {
        impl CommandId {
            $(
                #[doc = concat!("`", $name, "` (", stringify!($value), ").")]
                pub const $const: Self = Self($value);
            )*

            /// The specification's name, or `"unknown"`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self.0 {
                    $($value => $name,)*
                    _ => "unknown",
                }
            }
        }
    };
}

commands! {
    BIND_RECEIVER = 0x0000_0001, "bind_receiver";
    BIND_RECEIVER_RESP = 0x8000_0001, "bind_receiver_resp";
    BIND_TRANSMITTER = 0x0000_0002, "bind_transmitter";
    BIND_TRANSMITTER_RESP = 0x8000_0002, "bind_transmitter_resp";
    QUERY_SM = 0x0000_0003, "query_sm";
    QUERY_SM_RESP = 0x8000_0003, "query_sm_resp";
    SUBMIT_SM = 0x0000_0004, "submit_sm";
    SUBMIT_SM_RESP = 0x8000_0004, "submit_sm_resp";
    DELIVER_SM = 0x0000_0005, "deliver_sm";
    DELIVER_SM_RESP = 0x8000_0005, "deliver_sm_resp";
    UNBIND = 0x0000_0006, "unbind";
    UNBIND_RESP = 0x8000_0006, "unbind_resp";
    REPLACE_SM = 0x0000_0007, "replace_sm";
    REPLACE_SM_RESP = 0x8000_0007, "replace_sm_resp";
    CANCEL_SM = 0x0000_0008, "cancel_sm";
    CANCEL_SM_RESP = 0x8000_0008, "cancel_sm_resp";
    BIND_TRANSCEIVER = 0x0000_0009, "bind_transceiver";
    BIND_TRANSCEIVER_RESP = 0x8000_0009, "bind_transceiver_resp";
    OUTBIND = 0x0000_000B, "outbind";
    ENQUIRE_LINK = 0x0000_0015, "enquire_link";
    ENQUIRE_LINK_RESP = 0x8000_0015, "enquire_link_resp";
    SUBMIT_MULTI = 0x0000_0021, "submit_multi";
    SUBMIT_MULTI_RESP = 0x8000_0021, "submit_multi_resp";
    ALERT_NOTIFICATION = 0x0000_0102, "alert_notification";
    DATA_SM = 0x0000_0103, "data_sm";
    DATA_SM_RESP = 0x8000_0103, "data_sm_resp";
    BROADCAST_SM = 0x0000_0111, "broadcast_sm";
    BROADCAST_SM_RESP = 0x8000_0111, "broadcast_sm_resp";
    QUERY_BROADCAST_SM = 0x0000_0112, "query_broadcast_sm";
    QUERY_BROADCAST_SM_RESP = 0x8000_0112, "query_broadcast_sm_resp";
    CANCEL_BROADCAST_SM = 0x0000_0113, "cancel_broadcast_sm";
    CANCEL_BROADCAST_SM_RESP = 0x8000_0113, "cancel_broadcast_sm_resp";
    GENERIC_NACK = 0x8000_0000, "generic_nack";
}

impl CommandId {
    const RESPONSE_BIT: u32 = 0x8000_0000;

    /// Whether bit 31 is set: a response, `generic_nack` included.
    #[must_use]
    pub const fn is_response(self) -> bool {
        self.0 & Self::RESPONSE_BIT != 0
    }

    /// The id of the request this response answers (bit 31 clear); a request stays itself. `generic_nack` gives 0,
    /// which is no command.
    #[must_use]
    pub const fn request(self) -> Self {
        Self(self.0 & !Self::RESPONSE_BIT)
    }

    /// Whether a response of this id answers that request; generic_nack answers any (SMPP 4.3).
    #[must_use]
    pub const fn answers(self, request: Self) -> bool {
        self.0 == request.response().0 || self.0 == Self::GENERIC_NACK.0
    }

    /// The id of the response to this request (bit 31 set); a response stays itself.
    #[must_use]
    pub const fn response(self) -> Self {
        Self(self.0 | Self::RESPONSE_BIT)
    }
}

impl fmt::Debug for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({:#010x})", self.name(), self.0)
    }
}

impl fmt::Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name() == "unknown" {
            write!(f, "{:#010x}", self.0)
        } else {
            f.write_str(self.name())
        }
    }
}

/// One whole PDU at the front of a stream's buffer. When it goes, decoded or not, the buffer starts with the next.
///
/// It borrows the buffer, so that a PDU with nothing in it worth sharing (most responses) costs no reference count.
#[derive(Debug)]
pub struct Frame<'b> {
    /// The header; its length is 16 plus the body's.
    pub header: Header,
    /// Starts with the body.
    buf: &'b mut BytesMut,
    /// Octets of the body that are still in `buf`.
    len: usize,
}

impl<'b> Frame<'b> {
    /// A frame of a header and a body that came another way; takes all of `body`.
    pub fn new(header: Header, body: &'b mut BytesMut) -> Self {
        let len = body.len();
        Self {
            header,
            buf: body,
            len,
        }
    }

    /// What follows the header.
    #[inline]
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.buf[..self.len]
    }

    /// The body as a slice of the buffer that may outlive it; not a copy.
    #[inline]
    #[must_use]
    pub fn into_body(mut self) -> Bytes {
        self.take_body()
    }

    /// [`Frame::into_body`], leaving an empty body.
    #[inline]
    pub(crate) fn take_body(&mut self) -> Bytes {
        let len = std::mem::take(&mut self.len);
        // A split costs an atomic increment, nothing none.
        if len == 0 {
            Bytes::new()
        } else {
            self.buf.split_to(len).freeze()
        }
    }
}

impl Drop for Frame<'_> {
    #[inline]
    fn drop(&mut self) {
        self.buf.advance(self.len);
    }
}

/// Why no frame could be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FrameError {
    /// A PDU longer than the cap was skipped whole without being stored. The stream goes on behind it; the
    /// peer deserves a `generic_nack` with `ESME_RINVCMDLEN`.
    #[error("{} of {} octets is over the cap and was skipped", header.command, header.length)]
    Oversized {
        /// The skipped PDU's header.
        header: Header,
    },
    /// `command_length` is below 16 or above [`HARD_MAX_PDU`]: this is not SMPP or the position is lost.
    /// Fatal; close the connection.
    #[error("command_length {} cannot be a PDU", header.length)]
    Garbage {
        /// What stood where a header should be; fields of which no octet had arrived are zero.
        header: Header,
    },
}

impl FrameError {
    /// Whether the stream's position is lost, so that the connection must be closed.
    #[must_use]
    pub const fn is_fatal(&self) -> bool {
        match self {
            Self::Oversized { .. } => false,
            Self::Garbage { .. } => true,
        }
    }

    /// The header that caused it.
    #[must_use]
    pub const fn header(&self) -> Header {
        match self {
            Self::Oversized { header } | Self::Garbage { header } => *header,
        }
    }
}

/// Cuts a stream into frames, always advancing by `command_length` (SMPP 3.2.1).
///
/// Holds at most one header between calls; the octets stay in the caller's buffer.
#[derive(Clone, Debug)]
pub struct FrameDecoder {
    max_pdu: usize,
    skipping: Option<Skip>,
}

#[derive(Clone, Copy, Debug)]
struct Skip {
    header: Header,
    left: usize,
}

impl Default for FrameDecoder {
    fn default() -> Self {
        Self::new(DEFAULT_MAX_PDU)
    }
}

impl FrameDecoder {
    /// A decoder that passes PDUs of up to `max_pdu` octets (header included; clamped to 16 octets..=16 MiB).
    #[must_use]
    pub fn new(max_pdu: usize) -> Self {
        Self {
            max_pdu: max_pdu.clamp(HEADER_LEN, HARD_MAX_PDU),
            skipping: None,
        }
    }

    /// Passes PDUs of up to `max_pdu` octets from now on, as [`FrameDecoder::new`].
    pub fn set_max_pdu(&mut self, max_pdu: usize) {
        self.max_pdu = max_pdu.clamp(HEADER_LEN, HARD_MAX_PDU);
    }

    /// Takes the next frame off the front of `buf`; `Ok(None)` means that more octets are needed.
    ///
    /// Allocates nothing that a peer's `command_length` could enlarge: the caller's buffer never needs more
    /// than `max_pdu` octets plus one read, because an oversized PDU is dropped as it arrives.
    ///
    /// # Errors
    /// [`FrameError::Oversized`] once, after the last octet of an oversized PDU was skipped: go on calling.
    /// [`FrameError::Garbage`] when the length is impossible (seen from the first four octets): nothing is
    /// taken off `buf` and every later call fails the same way.
    #[inline]
    pub fn next<'b>(&mut self, buf: &'b mut BytesMut) -> Result<Option<Frame<'b>>, FrameError> {
        if self.skipping.is_some() {
            return self.skip(buf);
        }
        let Some(header) = Header::parse(buf) else {
            return partial_header(buf);
        };
        let length = header.length as usize;
        if length < HEADER_LEN || length > self.max_pdu {
            if !(HEADER_LEN..=HARD_MAX_PDU).contains(&length) {
                return Err(FrameError::Garbage { header });
            }
            self.skipping = Some(Skip {
                header,
                left: length,
            });
            return self.skip(buf);
        }
        if buf.len() < length {
            return Ok(None);
        }
        buf.advance(HEADER_LEN);
        let len = length - HEADER_LEN;
        Ok(Some(Frame { header, buf, len }))
    }

    #[cold]
    fn skip<'b>(&mut self, buf: &mut BytesMut) -> Result<Option<Frame<'b>>, FrameError> {
        let Some(skip) = &mut self.skipping else {
            return Ok(None);
        };
        let gone = skip.left.min(buf.len());
        buf.advance(gone);
        skip.left -= gone;
        if skip.left > 0 {
            return Ok(None);
        }
        let header = skip.header;
        self.skipping = None;
        Err(FrameError::Oversized { header })
    }
}

/// Fewer than 16 octets: an impossible length is reported at once, because a peer that does not speak SMPP
/// (`\r\n` from a port scanner) may never send the rest.
#[cold]
fn partial_header<'b>(buf: &[u8]) -> Result<Option<Frame<'b>>, FrameError> {
    let Some(octets) = buf.first_chunk::<4>() else {
        return Ok(None);
    };
    let length = u32::from_be_bytes(*octets);
    if (HEADER_LEN..=HARD_MAX_PDU).contains(&(length as usize)) {
        return Ok(None);
    }
    let header = Header {
        length,
        command: CommandId(0),
        status: CommandStatus(0),
        sequence: 0,
    };
    Err(FrameError::Garbage { header })
}

#[cfg(test)]
mod tests {
    use bytes::{BufMut, Bytes, BytesMut};
    use proptest::prelude::{Just, Strategy, any, prop_assert_eq, prop_oneof, proptest};

    use super::{CommandId, FrameDecoder, FrameError, HARD_MAX_PDU, HEADER_LEN, Header};
    use crate::status::CommandStatus;

    fn pdu(command: CommandId, sequence: u32, body: &[u8]) -> Vec<u8> {
        let length = (HEADER_LEN + body.len()) as u32;
        let mut octets = Header {
            length,
            command,
            status: CommandStatus(0),
            sequence,
        }
        .to_octets()
        .to_vec();
        octets.extend_from_slice(body);
        octets
    }

    #[test]
    fn a_frame_waits_for_its_last_octet_and_leaves_the_rest() {
        let wire = [
            pdu(CommandId::BIND_TRANSMITTER_RESP, 1, b"smsc\0"),
            pdu(CommandId::ENQUIRE_LINK, 0x806A_179B, b""),
        ]
        .concat();
        let mut decoder = FrameDecoder::default();
        let mut buf = BytesMut::new();
        let mut frames = Vec::new();
        for octet in &wire {
            buf.put_u8(*octet);
            if let Some(frame) = decoder.next(&mut buf).expect("sound") {
                frames.push((frame.header, frame.into_body()));
            }
        }
        assert_eq!(frames.len(), 2);
        assert_eq!(frames[0].1, Bytes::from_static(b"smsc\0"));
        assert_eq!(
            (frames[1].0.command, frames[1].0.sequence),
            (CommandId::ENQUIRE_LINK, 0x806A_179B)
        );
        assert!(buf.is_empty());
    }

    #[test]
    fn trap_29_coalesced_frames_come_out_one_by_one_and_share_the_buffer() {
        let wire = [
            pdu(CommandId::SUBMIT_SM, 1, b"one"),
            pdu(CommandId::SUBMIT_SM, 2, b"two"),
            vec![0, 0],
        ]
        .concat();
        let mut buf = BytesMut::from(&wire[..]);
        let mut decoder = FrameDecoder::default();
        let first = decoder.next(&mut buf).expect("sound").expect("whole");
        let first = first.into_body();
        let second = decoder.next(&mut buf).expect("sound").expect("whole");
        assert_eq!((&first[..], second.body()), (&b"one"[..], &b"two"[..]));
        drop(second);
        assert!(matches!(decoder.next(&mut buf), Ok(None)));
        assert_eq!(&buf[..], [0, 0]);
    }

    #[test]
    fn trap_28_an_oversized_pdu_is_dropped_as_it_arrives_and_the_next_one_is_read() {
        let mut decoder = FrameDecoder::new(64);
        let big = pdu(CommandId::SUBMIT_SM, 9, &[0xAA; 1_000]);
        let mut buf = BytesMut::from(&big[..40]);
        assert!(matches!(decoder.next(&mut buf), Ok(None)));
        assert!(buf.is_empty(), "nothing of it is kept");
        buf.extend_from_slice(&big[40..]);
        buf.extend_from_slice(&pdu(CommandId::UNBIND, 10, b""));
        let error = decoder.next(&mut buf).expect_err("too long");
        assert!(!error.is_fatal());
        assert_eq!((error.header().sequence, error.header().length), (9, 1_016));
        let next = decoder.next(&mut buf).expect("sound").expect("whole");
        assert_eq!(next.header.command, CommandId::UNBIND);
    }

    #[test]
    fn trap_28_an_impossible_length_is_fatal_from_its_fourth_octet() {
        for length in [0, 15, HARD_MAX_PDU as u32 + 1, 0x0D0A_0D0A, u32::MAX] {
            let mut decoder = FrameDecoder::default();
            let mut buf = BytesMut::from(&length.to_be_bytes()[..3]);
            assert!(matches!(decoder.next(&mut buf), Ok(None)));
            buf.put_u8(length.to_be_bytes()[3]);
            let error = decoder.next(&mut buf).expect_err("impossible");
            assert!(error.is_fatal());
            assert_eq!(error.header().length, length);
            buf.extend_from_slice(&[7; 20]);
            assert!(
                matches!(decoder.next(&mut buf), Err(FrameError::Garbage { header }) if header.sequence == 0x0707_0707)
            );
        }
    }

    #[test]
    fn command_ids_know_their_names_and_responses() {
        assert!(CommandId::GENERIC_NACK.is_response());
        assert_eq!(CommandId::SUBMIT_SM.response(), CommandId::SUBMIT_SM_RESP);
        assert_eq!(
            CommandId::SUBMIT_SM_RESP.response(),
            CommandId::SUBMIT_SM_RESP
        );
        assert_eq!(
            format!("{:?} {}", CommandId(0x103), CommandId(0x99)),
            "data_sm(0x00000103) 0x00000099"
        );
    }

    /// Feeds octets in chunks and returns all that came out, until the stream is declared garbage.
    fn feed(
        wire: &[u8],
        chunks: &[usize],
        max_pdu: usize,
    ) -> Vec<Result<(Header, Bytes), FrameError>> {
        let mut decoder = FrameDecoder::new(max_pdu);
        let mut buf = BytesMut::new();
        let mut out = Vec::new();
        let mut rest = wire;
        let mut sizes = chunks.iter().copied().cycle();
        while !rest.is_empty() {
            let (chunk, behind) = rest.split_at(sizes.next().unwrap_or(1).clamp(1, rest.len()));
            rest = behind;
            buf.extend_from_slice(chunk);
            loop {
                match decoder.next(&mut buf) {
                    Ok(None) => break,
                    Ok(Some(frame)) => out.push(Ok((frame.header, frame.into_body()))),
                    Err(error) => {
                        out.push(Err(error));
                        if error.is_fatal() {
                            return out;
                        }
                    }
                }
            }
            assert!(buf.len() <= max_pdu, "more than one PDU is never kept");
        }
        out
    }

    fn chunks() -> impl Strategy<Value = Vec<usize>> {
        proptest::collection::vec(1usize..90, 1..8)
    }

    proptest! {
        #[test]
        fn chunk_sizes_do_not_matter(
            bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..120), 1..12),
            chunks in chunks(),
        ) {
            let wire: Vec<u8> = (0..).zip(&bodies).flat_map(|(at, body)| pdu(CommandId(at), at, body)).collect();
            let seen = feed(&wire, &chunks, 100);
            prop_assert_eq!(&seen, &feed(&wire, &[usize::MAX], 100));
            prop_assert_eq!(seen.len(), bodies.len());
            for (result, body) in seen.iter().zip(&bodies) {
                match result {
                    Ok((_, seen)) => prop_assert_eq!(&seen[..], &body[..]),
                    Err(error) => prop_assert_eq!(error.header().length as usize, HEADER_LEN + body.len()),
                }
            }
        }

        #[test]
        fn random_octets_never_panic(
            wire in proptest::collection::vec(prop_oneof![3 => Just(0u8), 1 => any::<u8>(), 1 => 0u8..64], 0..600),
            chunks in chunks(),
        ) {
            let _ = feed(&wire, &chunks, 100);
        }
    }
}
