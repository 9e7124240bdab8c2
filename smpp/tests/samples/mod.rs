//! Lives here: PDUs of every kind, typical and extreme, all of them legal: what tshark is shown and what fuzzing
//! starts from.
//! Never here: what peers get wrong (`fuzz/tests/seeds.rs`).

use bytes::Bytes;
use mnara_smpp::codec::CommandId;
use mnara_smpp::pdu::{
    Address, Bind, BindKind, BindResp, DeliverSm, DeliverSmResp, OctetStr, Outbind, Pdu, SubmitSm,
    SubmitSmResp, Version, esm_class,
};
use mnara_smpp::status::CommandStatus;
use mnara_smpp::tlv::{Tlv, Tlvs, tag};

pub(crate) mod optional;
mod rare;

/// A PDU, the status it is sent with, and a name for messages and files.
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) status: CommandStatus,
    pub(crate) pdu: Pdu,
}

/// The samples. A kind of PDU that is missing here fails `dissect`.
pub(crate) fn all() -> Vec<Sample> {
    let mut samples = Vec::new();
    binds(&mut samples);
    messages(&mut samples);
    responses(&mut samples);
    rare::multi(&mut samples);
    rare::data(&mut samples);
    rare::manage(&mut samples);
    rare::broadcast(&mut samples);
    bare(&mut samples);
    samples
}

fn add(samples: &mut Vec<Sample>, name: impl Into<String>, status: CommandStatus, pdu: Pdu) {
    samples.push(Sample {
        name: name.into(),
        status,
        pdu,
    });
}

fn ok(samples: &mut Vec<Sample>, name: impl Into<String>, pdu: Pdu) {
    add(samples, name, CommandStatus::ESME_ROK, pdu);
}

/// A string of so many octets, none like its neighbour.
pub(crate) fn long(len: usize) -> OctetStr {
    let octets: Vec<u8> = (b'A'..=b'Z').cycle().take(len).collect();
    OctetStr::copy_from_slice(&octets)
}

fn tlvs<const N: usize>(tlvs: [Tlv; N]) -> Tlvs {
    tlvs.into_iter().collect()
}

fn binds(samples: &mut Vec<Sample>) {
    for (name, kind) in [
        ("transmitter", BindKind::Transmitter),
        ("receiver", BindKind::Receiver),
        ("transceiver", BindKind::Transceiver),
    ] {
        let bind = Bind {
            kind,
            system_id: "mnara".into(),
            password: "secret08".into(),
            system_type: "SMPP".into(),
            interface_version: Version::V3_4,
            address: Address::new(1, 1, "^2557"),
            ..Bind::default()
        };
        ok(samples, format!("bind_{name}"), Pdu::Bind(bind));
        let longest = Bind {
            kind,
            system_id: long(15),
            password: long(8),
            system_type: long(12),
            interface_version: Version::V5_0,
            address: Address::new(6, 18, long(40)),
            ..Bind::default()
        };
        ok(samples, format!("bind_{name}_longest"), Pdu::Bind(longest));
        let resp = BindResp {
            kind,
            system_id: "smsc".into(),
            tlvs: tlvs([Tlv::u8(tag::SC_INTERFACE_VERSION, 0x34)]),
        };
        ok(samples, format!("bind_{name}_resp"), Pdu::BindResp(resp));
        let refusal = BindResp {
            kind,
            system_id: OctetStr::EMPTY,
            tlvs: Tlvs::new(),
        };
        let status = CommandStatus::ESME_RINVPASWD;
        let name = format!("bind_{name}_resp_refused");
        add(samples, name, status, Pdu::BindResp(refusal));
    }
    let outbind = Outbind {
        system_id: "smsc".into(),
        password: "secret08".into(),
    };
    ok(samples, "outbind", Pdu::Outbind(outbind));
    let longest = Outbind {
        system_id: long(15),
        password: long(8),
    };
    ok(samples, "outbind_longest", Pdu::Outbind(longest));
}

fn submit() -> SubmitSm {
    SubmitSm {
        source: Address::new(5, 0, "MNARA"),
        dest: Address::new(1, 1, "255753276939"),
        registered_delivery: 1,
        short_message: Bytes::from_static(b"Hujambo, karibu sana"),
        ..SubmitSm::default()
    }
}

/// Every field at its longest and greatest.
fn longest_submit() -> SubmitSm {
    SubmitSm {
        service_type: long(5),
        source: Address::new(6, 18, long(20)),
        dest: Address::new(6, 18, long(20)),
        esm_class: 0x03,
        protocol_id: 0xFF,
        priority_flag: 4,
        schedule_delivery_time: "261121102530004+".into(),
        validity_period: "000007000000000R".into(),
        registered_delivery: 0x1F,
        replace_if_present: 1,
        data_coding: 4,
        sm_default_msg_id: 254,
        short_message: (0..=254).collect::<Vec<u8>>().into(),
        tlvs: Tlvs::new(),
    }
}

fn deliver() -> DeliverSm {
    DeliverSm {
        source: Address::new(1, 1, "255753276939"),
        dest: Address::new(5, 0, "MNARA"),
        short_message: Bytes::from_static(b"Habari"),
        ..DeliverSm::default()
    }
}

fn messages(samples: &mut Vec<Sample>) {
    ok(samples, "submit_sm", Pdu::SubmitSm(submit()));
    ok(
        samples,
        "submit_sm_longest",
        Pdu::SubmitSm(longest_submit()),
    );
    let empty = SubmitSm {
        short_message: Bytes::new(),
        ..submit()
    };
    ok(samples, "submit_sm_empty", Pdu::SubmitSm(empty.clone()));
    let part = SubmitSm {
        esm_class: esm_class::UDHI,
        short_message: Bytes::from_static(b"\x05\0\x03\x2A\x02\x01part one"),
        ..submit()
    };
    ok(samples, "submit_sm_udh", Pdu::SubmitSm(part));
    let payload = SubmitSm {
        tlvs: tlvs([Tlv::new(tag::MESSAGE_PAYLOAD, vec![b'x'; 2000])]),
        ..empty.clone()
    };
    ok(samples, "submit_sm_payload", Pdu::SubmitSm(payload));
    let segment = SubmitSm {
        tlvs: tlvs([
            Tlv::u16(tag::SAR_MSG_REF_NUM, 0x1234),
            Tlv::u8(tag::SAR_TOTAL_SEGMENTS, 3),
            Tlv::u8(tag::SAR_SEGMENT_SEQNUM, 1),
        ]),
        ..submit()
    };
    ok(samples, "submit_sm_sar", Pdu::SubmitSm(segment));
    let every = SubmitSm {
        tlvs: optional::every(),
        ..empty
    };
    ok(samples, "submit_sm_every_tlv", Pdu::SubmitSm(every));

    ok(samples, "deliver_sm", Pdu::DeliverSm(deliver()));
    let receipt = DeliverSm {
        esm_class: esm_class::RECEIPT,
        short_message: Bytes::from_static(
            b"id:0123456789 sub:001 dlvrd:001 submit date:2611211024 done date:2611211025 \
              stat:DELIVRD err:000 text:Habari",
        ),
        tlvs: tlvs([
            Tlv::cstr(tag::RECEIPTED_MESSAGE_ID, "0123456789"),
            Tlv::u8(tag::MESSAGE_STATE, 2),
            Tlv::new(tag::NETWORK_ERROR_CODE, &b"\x03\0\0"[..]),
        ]),
        ..deliver()
    };
    ok(samples, "deliver_sm_receipt", Pdu::DeliverSm(receipt));
    let ucs2 = DeliverSm {
        data_coding: 8,
        short_message: Bytes::from_static(b"\0H\0a\xD8\x3D\xDE\0"),
        ..deliver()
    };
    ok(samples, "deliver_sm_ucs2", Pdu::DeliverSm(ucs2));
}

fn responses(samples: &mut Vec<Sample>) {
    let resp = |id: OctetStr| SubmitSmResp {
        message_id: id,
        tlvs: Tlvs::new(),
    };
    ok(
        samples,
        "submit_sm_resp",
        Pdu::SubmitSmResp(resp("04000000086ECD50".into())),
    );
    ok(
        samples,
        "submit_sm_resp_longest",
        Pdu::SubmitSmResp(resp(long(64))),
    );
    let throttled = CommandStatus::ESME_RTHROTTLED;
    add(
        samples,
        "submit_sm_resp_throttled",
        throttled,
        Pdu::SubmitSmResp(resp(OctetStr::EMPTY)),
    );
    let congested = SubmitSmResp {
        tlvs: tlvs([Tlv::u8(tag::CONGESTION_STATE, 80)]),
        ..resp("1".into())
    };
    ok(
        samples,
        "submit_sm_resp_congestion",
        Pdu::SubmitSmResp(congested),
    );
    ok(
        samples,
        "deliver_sm_resp",
        Pdu::DeliverSmResp(DeliverSmResp::default()),
    );
    let full = CommandStatus::ESME_RX_T_APPN;
    add(
        samples,
        "deliver_sm_resp_refused",
        full,
        Pdu::DeliverSmResp(DeliverSmResp::default()),
    );
}

fn bare(samples: &mut Vec<Sample>) {
    ok(samples, "enquire_link", Pdu::EnquireLink);
    ok(samples, "enquire_link_resp", Pdu::EnquireLinkResp);
    ok(samples, "cancel_sm_resp", Pdu::CancelSmResp);
    ok(samples, "replace_sm_resp", Pdu::ReplaceSmResp);
    ok(
        samples,
        "cancel_broadcast_sm_resp",
        Pdu::CancelBroadcastSmResp,
    );
    ok(samples, "unbind", Pdu::Unbind);
    ok(samples, "unbind_resp", Pdu::UnbindResp);
    let length = CommandStatus::ESME_RINVCMDLEN;
    add(samples, "generic_nack", length, Pdu::GenericNack);
    let vendors = Pdu::Unknown {
        command: CommandId(0x0001_0200),
        body: Bytes::from_static(b"whatever"),
    };
    ok(samples, "unknown", vendors);
}
