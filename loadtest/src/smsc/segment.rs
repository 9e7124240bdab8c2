//! Lives here: where a submit_sm's text begins and which part of a longer message it is.
//! Never here: decoding the text.
//!
//! Deliberately not `mnara_smpp::text::concat`: the simulator must not read a header with the code that wrote it.

use mnara_smpp::{pdu::SubmitSm, tlv::tag};

/// Concatenation of a submit_sm, from its user data header or its sar_ TLVs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment<'a> {
    pub(super) reference: Option<u16>,
    pub(super) part: u8,
    pub(super) parts: u8,
    pub(super) text: &'a [u8],
}

/// Reads what is there; a broken user data header makes the whole message text.
pub(super) fn of(submit: &SubmitSm) -> Segment<'_> {
    let message: &[u8] = submit.message();
    if submit.has_udh()
        && let Some(segment) = from_header(message)
    {
        return segment;
    }
    let sar = |tag| submit.tlvs.get_u8(tag);
    match (
        submit.tlvs.get_u16(tag::SAR_MSG_REF_NUM),
        sar(tag::SAR_SEGMENT_SEQNUM),
        sar(tag::SAR_TOTAL_SEGMENTS),
    ) {
        (Some(reference), Some(part), Some(parts)) => Segment {
            reference: Some(reference),
            part,
            parts,
            text: message,
        },
        _ => Segment {
            reference: None,
            part: 1,
            parts: 1,
            text: message,
        },
    }
}

fn from_header(message: &[u8]) -> Option<Segment<'_>> {
    let (length, rest) = message.split_first()?;
    let (mut elements, text) = rest.split_at_checked(usize::from(*length))?;
    while let [id, length, tail @ ..] = elements {
        let (value, tail) = tail.split_at_checked(usize::from(*length))?;
        match (id, value) {
            (0x00, [reference, parts, part]) => {
                return Some(Segment {
                    reference: Some(u16::from(*reference)),
                    part: *part,
                    parts: *parts,
                    text,
                });
            }
            (0x08, [high, low, parts, part]) => {
                let reference = u16::from_be_bytes([*high, *low]);
                return Some(Segment {
                    reference: Some(reference),
                    part: *part,
                    parts: *parts,
                    text,
                });
            }
            _ => elements = tail,
        }
    }
    Some(Segment {
        reference: None,
        part: 1,
        parts: 1,
        text,
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn submit(message: &'static [u8]) -> SubmitSm {
        SubmitSm {
            esm_class: 0x40,
            short_message: Bytes::from_static(message),
            ..SubmitSm::default()
        }
    }

    #[test]
    fn both_reference_widths_are_read() {
        let narrow = submit(b"\x05\x00\x03\x2a\x03\x02text");
        assert_eq!(
            of(&narrow),
            Segment {
                reference: Some(42),
                part: 2,
                parts: 3,
                text: b"text"
            }
        );
        let wide = submit(b"\x06\x08\x04\x01\x02\x02\x01text");
        assert_eq!(
            of(&wide),
            Segment {
                reference: Some(258),
                part: 1,
                parts: 2,
                text: b"text"
            }
        );
    }

    #[test]
    fn a_broken_header_leaves_the_whole_message_as_text() {
        for message in [&b"\xfftext"[..], b"\x05\x00\x09\x01\x01\x01t", b""] {
            let segment = of(&submit(Box::leak(message.to_vec().into_boxed_slice())))
                .text
                .to_vec();
            assert_eq!(segment, message);
        }
    }
}
