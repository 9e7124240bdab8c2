//! Lives here: the properties of reading and writing: what is written is read back, and no octets panic.
//! Never here: single cases.

use bytes::BytesMut;
use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};

use super::any::pdu;
use super::{OK, encode, read, read_leniently};
use crate::codec::{CommandId, FrameDecoder, HEADER_LEN};
use crate::pdu::Pdu;
use crate::status::CommandStatus;

fn command() -> impl Strategy<Value = CommandId> {
    let number = prop_oneof![0u32..0x24, 0x100u32..0x114, any::<u32>()];
    (number, any::<bool>()).prop_map(|(number, response)| {
        if response {
            CommandId(number).response()
        } else {
            CommandId(number)
        }
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back_without_violation(pdu in pdu(), sequence: u32) {
        let mut wire = BytesMut::new();
        pdu.encode(OK, sequence, &mut wire).expect("within all limits");
        let frame = FrameDecoder::default().next(&mut wire).expect("sound").expect("whole");
        prop_assert_eq!(frame.header.sequence, sequence);
        let decoded = Pdu::decode(frame).expect("readable");
        prop_assert!(wire.is_empty());
        prop_assert_eq!(decoded.pdu, pdu);
        prop_assert_eq!(decoded.violations.len(), 0);
    }

    #[test]
    fn random_octets_never_panic(
        command in command(),
        status: u32,
        body in proptest::collection::vec(prop_oneof![Just(0u8), any::<u8>(), 0u8..40], 0..200),
    ) {
        let _ = read(command, CommandStatus(status), &body);
    }

    #[test]
    fn a_damaged_pdu_never_panics_and_responses_always_decode(
        pdu in pdu(),
        at in any::<proptest::sample::Index>(),
        octet: u8,
        cut in any::<proptest::sample::Index>(),
    ) {
        let mut body = encode(&pdu, OK).split_off(HEADER_LEN);
        if !body.is_empty() {
            let at = at.index(body.len());
            body[at] = octet;
            body.truncate(cut.index(body.len() + 1));
        }
        let result = read(pdu.command(), OK, &body);
        // The quick reading of well-formed PDUs and the lenient one of all are the same reading.
        prop_assert_eq!(&result, &read_leniently(pdu.command(), OK, &body));
        prop_assert!(result.is_ok() || !pdu.command().is_response());
    }
}
