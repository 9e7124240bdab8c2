//! Lives here: the targets that read what a peer sends: a stream, one PDU, TLVs.
//! Never here: sessions, the meaning of messages.

use bytes::BytesMut;
use mnara_smpp::codec::{
    CommandId, Frame, FrameDecoder, FrameError, HARD_MAX_PDU, HEADER_LEN, Header,
};
use mnara_smpp::pdu::{Decoded, OctetStr, Pdu};
use mnara_smpp::status::CommandStatus;
use mnara_smpp::tlv::{TLVS_MAX, tag};

use crate::random::SplitMix64;

/// Largest piece in which a stream arrives, in octets.
const PIECE_MAX: usize = 100;

/// What a stream consists of, as far as framing goes.
#[derive(Debug, PartialEq, Eq)]
enum Event {
    Frame(Header, Vec<u8>),
    Oversized(Header),
    /// The length; of the rest of the header, not all may have arrived.
    Garbage(u32),
}

/// A stream that arrives in pieces is cut exactly where `command_length` says, whatever the bodies hold.
///
/// # Panics
/// When it is not, or when more is buffered than promised.
pub fn frame(data: &[u8]) {
    let mut random = SplitMix64::of_input(data);
    let max_pdu = HEADER_LEN + random.below(300);
    let expected = expected_events(data, max_pdu);

    let mut decoder = FrameDecoder::new(max_pdu);
    let mut buf = BytesMut::new();
    let mut events = Vec::new();
    let mut rest = data;
    let mut ended = false;
    while !rest.is_empty() && !ended {
        let (piece, behind) = rest.split_at(rest.len().min(1 + random.below(PIECE_MAX)));
        buf.extend_from_slice(piece);
        rest = behind;
        ended = !take_frames(&mut decoder, &mut buf, &mut events);
        assert!(
            ended || buf.len() < max_pdu,
            "an incomplete PDU is below the cap"
        );
    }
    assert_eq!(events, expected, "cap {max_pdu}");
}

/// Takes all there is; `false` when the stream is over.
fn take_frames(decoder: &mut FrameDecoder, buf: &mut BytesMut, events: &mut Vec<Event>) -> bool {
    loop {
        let error = match decoder.next(buf) {
            Ok(None) => return true,
            Ok(Some(frame)) => {
                events.push(Event::Frame(frame.header, frame.body().to_vec()));
                continue;
            }
            Err(error) => error,
        };
        match error {
            FrameError::Oversized { header } => events.push(Event::Oversized(header)),
            FrameError::Garbage { header } => {
                events.push(Event::Garbage(header.length));
                let before = buf.len();
                assert!(decoder.next(buf).is_err_and(|again| again.is_fatal()));
                assert!(error.is_fatal() && buf.len() == before);
                return false;
            }
        }
    }
}

/// The same by the shortest possible reading of SMPP 3.2.
fn expected_events(mut data: &[u8], max_pdu: usize) -> Vec<Event> {
    let mut events = Vec::new();
    while let Some(length) = data.first_chunk().copied().map(u32::from_be_bytes) {
        let octets = length as usize;
        if !(HEADER_LEN..=HARD_MAX_PDU).contains(&octets) {
            events.push(Event::Garbage(length));
            break;
        }
        let Some((pdu, behind)) = data.split_at_checked(octets) else {
            break;
        };
        let header = Header::parse(pdu).expect("16 octets at least");
        events.push(if octets > max_pdu {
            Event::Oversized(header)
        } else {
            Event::Frame(header, pdu[HEADER_LEN..].to_vec())
        });
        data = behind;
    }
    events
}

/// Any header with any body decodes or yields an error with that header; what decodes and can be written is written
/// in a form that reads back the same, without violations, and that is written the same again.
///
/// The first 16 octets are the header (its length is ignored), the rest is the body.
///
/// # Panics
/// When it is not so.
pub fn pdu(data: &[u8]) {
    let Some(header) = Header::parse(data) else {
        return;
    };
    let header = Header {
        length: data.len() as u32,
        ..header
    };
    let mut body = BytesMut::from(&data[HEADER_LEN..]);
    match Pdu::decode(Frame::new(header, &mut body)) {
        Ok(decoded) => canonical(&header, &decoded),
        Err(error) => {
            assert_eq!(error.header, header);
            assert!(
                !header.command.is_response(),
                "responses always decode: {error}"
            );
        }
    }
}

fn canonical(header: &Header, first: &Decoded) {
    assert_eq!(first.pdu.command(), header.command);
    if answer_string(&first.pdu).is_some_and(|text| text.as_bytes().first() < Some(&b' ')) {
        return;
    }
    let mut wire = BytesMut::from(&b"before"[..]);
    if first
        .pdu
        .encode(header.status, header.sequence, &mut wire)
        .is_err()
    {
        assert_eq!(wire, b"before"[..], "a refused PDU leaves no octets");
        return;
    }
    let mut stream = wire.split_off(b"before".len());
    let octets = stream.clone().freeze();
    let frame = FrameDecoder::new(HARD_MAX_PDU)
        .next(&mut stream)
        .expect("what we write has a sound length")
        .expect("what we write is whole");
    assert_eq!(
        (frame.header.status, frame.header.sequence),
        (header.status, header.sequence)
    );
    let second = Pdu::decode(frame).expect("what we write can be read");
    assert!(
        stream.is_empty(),
        "command_length is the number of octets written"
    );
    // Credentials over the limit are written where they are known to be wanted, and remarked on when read.
    let long = matches!(&first.pdu, Pdu::Bind(bind) if bind.long_credentials);
    assert!(
        second.violations.is_empty() || long,
        "{second:?} from {first:?}"
    );
    if !loses_its_body(&first.pdu, header.status) {
        assert_eq!(second.pdu, first.pdu);
    }
    let mut again = BytesMut::new();
    second
        .pdu
        .encode(header.status, header.sequence, &mut again)
        .expect("what was written once is written again");
    assert_eq!(again, octets, "the written form is stable");
}

/// The string that starts a response. One that starts with a control character cannot be told from TLVs behind an
/// absent string; no carrier sends such an id, and many leave the string out.
fn answer_string(pdu: &Pdu) -> Option<&OctetStr> {
    Some(match pdu {
        Pdu::BindResp(resp) => &resp.system_id,
        Pdu::SubmitSmResp(resp) => &resp.message_id,
        Pdu::SubmitMultiResp(resp) => &resp.message_id,
        Pdu::DataSmResp(resp) => &resp.message_id,
        Pdu::QuerySmResp(resp) => &resp.message_id,
        Pdu::BroadcastSmResp(resp) => &resp.message_id,
        Pdu::QueryBroadcastSmResp(resp) => &resp.message_id,
        _ => return None,
    })
    .filter(|text| !text.is_empty())
}

/// Of these, what is read is not all written: the message_id that a deliver_sm_resp does not use, and the body of
/// some responses with an error status.
fn loses_its_body(pdu: &Pdu, status: CommandStatus) -> bool {
    match pdu {
        Pdu::DeliverSmResp(_) => true,
        Pdu::BindResp(_)
        | Pdu::SubmitSmResp(_)
        | Pdu::SubmitMultiResp(_)
        | Pdu::QueryBroadcastSmResp(_) => !status.is_ok(),
        _ => false,
    }
}

/// TLVs come out as they lie in the octets, in order, with repetition and with unknown tags, up to the first that
/// does not fit; every accessor takes every value.
///
/// # Panics
/// When they do not.
pub fn tlv(data: &[u8]) {
    let mut body = BytesMut::from(&[b"1\0", data].concat()[..]);
    let header = Header {
        length: (HEADER_LEN + body.len()) as u32,
        command: CommandId::SUBMIT_SM_RESP,
        status: CommandStatus::ESME_ROK,
        sequence: 1,
    };
    let decoded = Pdu::decode(Frame::new(header, &mut body)).expect("responses always decode");
    let Pdu::SubmitSmResp(resp) = &decoded.pdu else {
        panic!("not a submit_sm_resp: {decoded:?}");
    };
    let (expected, whole) = expected_tlvs(data);
    let read: Vec<(u16, &[u8])> = resp
        .tlvs
        .iter()
        .map(|tlv| (tlv.tag, &tlv.value[..]))
        .collect();
    assert_eq!(read, expected);
    let regular = expected
        .iter()
        .all(|(tag, value)| tag::shape(*tag).allows(value.len()));
    assert_eq!(
        decoded.violations.is_empty(),
        whole && regular,
        "{decoded:?}"
    );
    for tlv in &resp.tlvs {
        let allowed = tag::shape(tlv.tag).allows(tlv.value.len());
        assert_eq!(tlv.typed().is_some(), allowed, "{tlv:?}");
    }
    for (tag, _) in &expected {
        let first = resp.tlvs.get(*tag).expect("it is among those read");
        assert_eq!(resp.tlvs.get_u8(*tag).is_some(), first.len() == 1);
        assert_eq!(
            resp.tlvs.get_u16(*tag).is_some(),
            matches!(first.len(), 1 | 2)
        );
        let _ = resp.tlvs.get_u32(*tag);
        let all = resp.tlvs.get_all(*tag).count();
        assert_eq!(all, expected.iter().filter(|(t, _)| t == tag).count());
        let text = resp.tlvs.get_cstr(*tag).expect("any value is a string");
        assert!(first.starts_with(text) && !text.contains(&0));
    }
}

/// The TLVs by the shortest possible reading of SMPP 5.3.1, and whether nothing is left behind them.
fn expected_tlvs(mut data: &[u8]) -> (Vec<(u16, &[u8])>, bool) {
    let mut tlvs = Vec::new();
    while let [t1, t2, l1, l2, rest @ ..] = data
        && tlvs.len() < TLVS_MAX
    {
        let length = usize::from(u16::from_be_bytes([*l1, *l2]));
        let Some((value, behind)) = rest.split_at_checked(length) else {
            break;
        };
        tlvs.push((u16::from_be_bytes([*t1, *t2]), value));
        data = behind;
    }
    (tlvs, data.is_empty())
}
