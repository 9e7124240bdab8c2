//! Lives here: samples of the PDUs that are not sent for each message.
//! Never here: binds, submit_sm, deliver_sm (`mod.rs`).

use bytes::Bytes;
use mnara_smpp::pdu::{
    Address, AlertNotification, BroadcastSm, BroadcastSmResp, CancelBroadcastSm, CancelSm, DataSm,
    DataSmResp, Destination, OctetStr, Pdu, QueryBroadcastSm, QueryBroadcastSmResp, QuerySm,
    QuerySmResp, ReplaceSm, SubmitMulti, SubmitMultiResp, Unsuccess, esm_class,
};
use mnara_smpp::status::CommandStatus;
use mnara_smpp::tlv::{Tlv, Tlvs, tag};

use super::{Sample, add, long, ok, optional, tlvs};

const ID: &str = "04000000086ECD50";

fn sender() -> Address {
    Address::new(5, 0, "MNARA")
}

fn number() -> Address {
    Address::new(1, 1, "255753276939")
}

fn longest() -> Address {
    Address::new(6, 18, long(20))
}

pub(super) fn multi(samples: &mut Vec<Sample>) {
    let multi = SubmitMulti {
        source: sender(),
        dests: vec![
            Destination::Address(number()),
            Destination::List("staff".into()),
            Destination::Address(Address::new(1, 1, "255753276940")),
        ],
        registered_delivery: 1,
        short_message: Bytes::from_static(b"Hujambo"),
        ..SubmitMulti::default()
    };
    let all = SubmitMulti {
        service_type: long(5),
        source: longest(),
        dests: (0..255)
            .map(|at| match at % 2 {
                0 => Destination::Address(longest()),
                _ => Destination::List(long(20)),
            })
            .collect(),
        esm_class: 0x03,
        protocol_id: 0xFF,
        priority_flag: 4,
        schedule_delivery_time: "261121102530004+".into(),
        validity_period: "000007000000000R".into(),
        registered_delivery: 0x1F,
        replace_if_present: 1,
        data_coding: 4,
        sm_default_msg_id: 254,
        short_message: vec![0xFF; 255].into(),
        tlvs: tlvs([Tlv::u16(tag::USER_MESSAGE_REFERENCE, 0xFFFF)]),
    };
    ok(samples, "submit_multi", Pdu::SubmitMulti(multi));
    ok(samples, "submit_multi_longest", Pdu::SubmitMulti(all));

    let resp = SubmitMultiResp {
        message_id: ID.into(),
        ..SubmitMultiResp::default()
    };
    let failed = SubmitMultiResp {
        message_id: long(64),
        unsuccess: vec![
            Unsuccess {
                dest: number(),
                status: CommandStatus::ESME_RINVDSTADR,
            },
            Unsuccess {
                dest: longest(),
                status: CommandStatus::ESME_RTHROTTLED,
            },
        ],
        tlvs: tlvs([Tlv::u8(tag::CONGESTION_STATE, 80)]),
    };
    ok(samples, "submit_multi_resp", Pdu::SubmitMultiResp(resp));
    let name = "submit_multi_resp_unsuccess";
    ok(samples, name, Pdu::SubmitMultiResp(failed));
    let refused = Pdu::SubmitMultiResp(SubmitMultiResp::default());
    let status = CommandStatus::ESME_RCNTSUBDL;
    add(samples, "submit_multi_resp_refused", status, refused);
}

pub(super) fn data(samples: &mut Vec<Sample>) {
    let data = DataSm {
        source: sender(),
        dest: number(),
        registered_delivery: 1,
        tlvs: tlvs([Tlv::new(tag::MESSAGE_PAYLOAD, &b"Hujambo"[..])]),
        ..DataSm::default()
    };
    let receipt = DataSm {
        source: Address::new(6, 18, long(64)),
        dest: Address::new(6, 18, long(64)),
        esm_class: esm_class::RECEIPT,
        tlvs: tlvs([
            Tlv::cstr(tag::RECEIPTED_MESSAGE_ID, ID),
            Tlv::u8(tag::MESSAGE_STATE, 5),
            Tlv::u8_u16(tag::NETWORK_ERROR_CODE, 3, 0x22),
        ]),
        ..DataSm::default()
    };
    let every = DataSm {
        tlvs: optional::every(),
        ..data.clone()
    };
    ok(samples, "data_sm", Pdu::DataSm(data));
    ok(samples, "data_sm_receipt_longest", Pdu::DataSm(receipt));
    ok(samples, "data_sm_every_tlv", Pdu::DataSm(every));

    let resp = DataSmResp {
        message_id: ID.into(),
        ..DataSmResp::default()
    };
    ok(samples, "data_sm_resp", Pdu::DataSmResp(resp));
    let failed = DataSmResp {
        message_id: OctetStr::EMPTY,
        tlvs: tlvs([
            Tlv::u8(tag::DELIVERY_FAILURE_REASON, 3),
            Tlv::u8_u16(tag::NETWORK_ERROR_CODE, 3, 0x22),
            Tlv::cstr(tag::ADDITIONAL_STATUS_INFO_TEXT, "absent subscriber"),
            Tlv::u8(tag::DPF_RESULT, 1),
        ]),
    };
    let status = CommandStatus::ESME_RDELIVERYFAILURE;
    let name = "data_sm_resp_failed";
    add(samples, name, status, Pdu::DataSmResp(failed));

    let alert = AlertNotification {
        source: number(),
        esme: Address::new(5, 0, "mnara"),
        tlvs: tlvs([Tlv::u8(tag::MS_AVAILABILITY_STATUS, 0)]),
    };
    let name = "alert_notification";
    ok(samples, name, Pdu::AlertNotification(alert));
    let longest = AlertNotification {
        source: Address::new(6, 18, long(64)),
        esme: Address::new(6, 18, long(64)),
        tlvs: Tlvs::new(),
    };
    let name = "alert_notification_longest";
    ok(samples, name, Pdu::AlertNotification(longest));
}

pub(super) fn manage(samples: &mut Vec<Sample>) {
    for (suffix, id, source, dest) in [
        ("", OctetStr::from(ID), sender(), number()),
        ("_longest", long(64), longest(), longest()),
    ] {
        let query = QuerySm {
            message_id: id.clone(),
            source: source.clone(),
        };
        ok(samples, format!("query_sm{suffix}"), Pdu::QuerySm(query));
        let resp = QuerySmResp {
            message_id: id.clone(),
            final_date: "261121102530004+".into(),
            message_state: 2,
            error_code: 255,
            tlvs: Tlvs::new(),
        };
        let name = format!("query_sm_resp{suffix}");
        ok(samples, name, Pdu::QuerySmResp(resp));
        let cancel = CancelSm {
            service_type: long(5),
            message_id: id.clone(),
            source: source.clone(),
            dest,
        };
        ok(samples, format!("cancel_sm{suffix}"), Pdu::CancelSm(cancel));
        let replace = ReplaceSm {
            message_id: id,
            source,
            schedule_delivery_time: OctetStr::EMPTY,
            validity_period: "000001000000000R".into(),
            registered_delivery: 1,
            sm_default_msg_id: 0,
            short_message: Bytes::from_static(b"another text"),
            tlvs: Tlvs::new(),
        };
        let name = format!("replace_sm{suffix}");
        ok(samples, name, Pdu::ReplaceSm(replace));
    }
    let waiting = QuerySmResp {
        message_id: ID.into(),
        message_state: 1,
        ..QuerySmResp::default()
    };
    ok(samples, "query_sm_resp_waiting", Pdu::QuerySmResp(waiting));
}

pub(super) fn broadcast(samples: &mut Vec<Sample>) {
    let area = || Tlv::new(tag::BROADCAST_AREA_IDENTIFIER, &b"\x00Tanga"[..]);
    let broadcast = BroadcastSm {
        source: sender(),
        validity_period: "000001000000000R".into(),
        tlvs: tlvs([
            area(),
            Tlv::u8_u16(tag::BROADCAST_CONTENT_TYPE, 1, 0x10),
            Tlv::u8_u16(tag::BROADCAST_FREQUENCY_INTERVAL, 9, 10),
            Tlv::new(tag::MESSAGE_PAYLOAD, &b"Mvua kubwa"[..]),
            Tlv::u16(tag::BROADCAST_REP_NUM, 4),
        ]),
        ..BroadcastSm::default()
    };
    let every = BroadcastSm {
        service_type: long(5),
        source: longest(),
        message_id: long(64),
        priority_flag: 4,
        schedule_delivery_time: "261121102530004+".into(),
        validity_period: "000007000000000R".into(),
        replace_if_present: 1,
        data_coding: 8,
        sm_default_msg_id: 254,
        tlvs: optional::every(),
    };
    ok(samples, "broadcast_sm", Pdu::BroadcastSm(broadcast));
    ok(samples, "broadcast_sm_every_tlv", Pdu::BroadcastSm(every));
    let resp = BroadcastSmResp {
        message_id: ID.into(),
        tlvs: tlvs([Tlv::u32(tag::BROADCAST_ERROR_STATUS, 0x0000_010D), area()]),
    };
    ok(samples, "broadcast_sm_resp", Pdu::BroadcastSmResp(resp));
    let query = QueryBroadcastSm {
        message_id: ID.into(),
        source: sender(),
        tlvs: tlvs([Tlv::u16(tag::USER_MESSAGE_REFERENCE, 7)]),
    };
    let name = "query_broadcast_sm";
    ok(samples, name, Pdu::QueryBroadcastSm(query));
    let resp = QueryBroadcastSmResp {
        message_id: ID.into(),
        tlvs: tlvs([
            Tlv::u8(tag::MESSAGE_STATE, 2),
            area(),
            Tlv::u8(tag::BROADCAST_AREA_SUCCESS, 100),
            area(),
            Tlv::u8(tag::BROADCAST_AREA_SUCCESS, 255),
            Tlv::cstr(tag::BROADCAST_END_TIME, "261121102530004+"),
        ]),
    };
    let name = "query_broadcast_sm_resp";
    ok(samples, name, Pdu::QueryBroadcastSmResp(resp));
    let cancel = CancelBroadcastSm {
        service_type: long(5),
        message_id: ID.into(),
        source: sender(),
        tlvs: tlvs([Tlv::u8_u16(tag::BROADCAST_CONTENT_TYPE, 1, 0x10)]),
    };
    let name = "cancel_broadcast_sm";
    ok(samples, name, Pdu::CancelBroadcastSm(cancel));
}
