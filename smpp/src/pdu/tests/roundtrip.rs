//! Lives here: the properties of reading and writing: what is written is read back, and no octets panic.
//! Never here: single cases.

use bytes::BytesMut;
use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};

use super::{OK, encode, frame};
use crate::codec::{CommandId, FrameDecoder, HEADER_LEN};
use crate::pdu::{
    Address, Bind, BindKind, BindResp, DeliverSm, DeliverSmResp, OctetStr, Pdu, SubmitSm,
    SubmitSmResp,
};
use crate::status::CommandStatus;
use crate::tlv::{Tlv, Tlvs, tag};

fn text(max: usize) -> impl Strategy<Value = OctetStr> {
    proptest::collection::vec(1u8.., 0..=max).prop_map(|octets| OctetStr::copy_from_slice(&octets))
}

fn id(max: usize) -> impl Strategy<Value = OctetStr> {
    proptest::collection::vec(b'!'..=b'~', 0..=max)
        .prop_map(|octets| OctetStr::copy_from_slice(&octets))
}

fn time() -> impl Strategy<Value = OctetStr> {
    prop_oneof![
        Just(OctetStr::EMPTY),
        "[0-9]{15}[-+R]".prop_map(OctetStr::from)
    ]
}

fn address(max: usize) -> impl Strategy<Value = Address> {
    (any::<u8>(), any::<u8>(), text(max)).prop_map(|(ton, npi, addr)| Address { ton, npi, addr })
}

fn tlvs() -> impl Strategy<Value = Tlvs> {
    let tlv = (any::<u16>(), proptest::collection::vec(any::<u8>(), 0..40))
        .prop_filter("message_payload excludes short_message", |(tag, _)| {
            *tag != tag::MESSAGE_PAYLOAD
        });
    proptest::collection::vec(tlv, 0..4).prop_map(|tlvs| {
        tlvs.into_iter()
            .map(|(tag, value)| Tlv::new(tag, value))
            .collect()
    })
}

fn submit() -> impl Strategy<Value = SubmitSm> {
    let octets = any::<[u8; 8]>();
    let message = proptest::collection::vec(any::<u8>(), 0..=254);
    (
        text(5),
        address(20),
        address(20),
        time(),
        time(),
        octets,
        message,
        tlvs(),
    )
        .prop_map(
            |(
                service_type,
                source,
                dest,
                schedule_delivery_time,
                validity_period,
                octets,
                message,
                tlvs,
            )| SubmitSm {
                service_type,
                source,
                dest,
                esm_class: octets[0],
                protocol_id: octets[1],
                priority_flag: octets[2],
                schedule_delivery_time,
                validity_period,
                registered_delivery: octets[3],
                replace_if_present: octets[4],
                data_coding: octets[5],
                sm_default_msg_id: octets[6],
                short_message: message.into(),
                tlvs,
            },
        )
}

fn deliver_of(submit: SubmitSm) -> DeliverSm {
    DeliverSm {
        service_type: submit.service_type,
        source: submit.source,
        dest: submit.dest,
        esm_class: submit.esm_class,
        protocol_id: submit.protocol_id,
        priority_flag: submit.priority_flag,
        schedule_delivery_time: submit.schedule_delivery_time,
        validity_period: submit.validity_period,
        registered_delivery: submit.registered_delivery,
        replace_if_present: submit.replace_if_present,
        data_coding: submit.data_coding,
        sm_default_msg_id: submit.sm_default_msg_id,
        short_message: submit.short_message,
        tlvs: submit.tlvs,
    }
}

fn kind() -> impl Strategy<Value = BindKind> {
    prop_oneof![
        Just(BindKind::Transmitter),
        Just(BindKind::Receiver),
        Just(BindKind::Transceiver)
    ]
}

fn pdu() -> impl Strategy<Value = Pdu> {
    let bind = (
        kind(),
        text(15),
        text(8),
        text(12),
        any::<u8>(),
        address(40),
    )
        .prop_map(
            |(kind, system_id, password, system_type, interface_version, address)| {
                Pdu::Bind(Bind {
                    kind,
                    system_id,
                    password,
                    system_type,
                    interface_version,
                    address,
                })
            },
        );
    let bind_resp = (kind(), id(15), tlvs()).prop_map(|(kind, system_id, tlvs)| {
        Pdu::BindResp(BindResp {
            kind,
            system_id,
            tlvs,
        })
    });
    let submit_resp = (id(64), tlvs())
        .prop_map(|(message_id, tlvs)| Pdu::SubmitSmResp(SubmitSmResp { message_id, tlvs }));
    let deliver_resp = tlvs().prop_map(|tlvs| {
        Pdu::DeliverSmResp(DeliverSmResp {
            message_id: OctetStr::EMPTY,
            tlvs,
        })
    });
    let bare = prop_oneof![
        Just(Pdu::EnquireLink),
        Just(Pdu::EnquireLinkResp),
        Just(Pdu::Unbind),
        Just(Pdu::UnbindResp),
        Just(Pdu::GenericNack),
    ];
    prop_oneof![
        bind,
        bind_resp,
        submit().prop_map(Pdu::SubmitSm),
        submit_resp,
        submit().prop_map(|submit| Pdu::DeliverSm(deliver_of(submit))),
        deliver_resp,
        bare,
    ]
}

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
        prop_assert!(wire.is_empty());
        prop_assert_eq!(frame.header.sequence, sequence);
        let decoded = Pdu::decode(&frame).expect("readable");
        prop_assert_eq!(decoded.pdu, pdu);
        prop_assert_eq!(decoded.violations.len(), 0);
    }

    #[test]
    fn random_octets_never_panic(
        command in command(),
        status: u32,
        body in proptest::collection::vec(prop_oneof![Just(0u8), any::<u8>(), 0u8..40], 0..200),
    ) {
        let _ = Pdu::decode(&frame(command, CommandStatus(status), &body));
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
        let result = Pdu::decode(&frame(pdu.command(), OK, &body));
        prop_assert!(result.is_ok() || !pdu.command().is_response());
    }
}
