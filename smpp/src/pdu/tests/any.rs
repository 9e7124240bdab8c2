//! Lives here: strategies for every PDU that can be written.
//! Never here: properties.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::strategy::Union;

use crate::pdu::{
    Address, AlertNotification, Bind, BindKind, BindResp, BroadcastSm, BroadcastSmResp,
    CancelBroadcastSm, CancelSm, DataSm, DataSmResp, DeliverSm, DeliverSmResp, Destination,
    OctetStr, Outbind, Pdu, QueryBroadcastSm, QueryBroadcastSmResp, QuerySm, QuerySmResp,
    ReplaceSm, SubmitMulti, SubmitMultiResp, SubmitSm, SubmitSmResp, Unsuccess, Version,
};
use crate::status::CommandStatus;
use crate::tlv::{Shape, Tlv, Tlvs, tag};

fn text(max: usize) -> impl Strategy<Value = OctetStr> {
    vec(1u8.., 0..=max).prop_map(|octets| OctetStr::copy_from_slice(&octets))
}

/// A string at the start of a response: with control characters it could not be told from TLVs.
fn id(max: usize) -> impl Strategy<Value = OctetStr> {
    vec(b'!'..=b'~', 0..=max).prop_map(|octets| OctetStr::copy_from_slice(&octets))
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

/// A value of the tag's shape.
fn tlv(tag: u16) -> impl Strategy<Value = Tlv> {
    let (least, most) = match tag::shape(tag) {
        Shape::U8 => (1, 1),
        Shape::U16 => (2, 2),
        Shape::U32 => (4, 4),
        Shape::U8U16 => (3, 3),
        Shape::Text(least, most) | Shape::Octets(least, most) => (least, most.min(least + 40)),
    };
    vec(any::<u8>(), least..=most).prop_map(move |value| Tlv::new(tag, value))
}

/// Standard and foreign tags, save `message_payload`, which excludes a `short_message`.
fn tlvs() -> impl Strategy<Value = Tlvs> {
    let tag = prop_oneof![proptest::sample::select(tag::STANDARD), any::<u16>()]
        .prop_filter("excludes short_message", |tag| *tag != tag::MESSAGE_PAYLOAD);
    vec(tag.prop_flat_map(tlv), 0..4).prop_map(|tlvs| tlvs.into_iter().collect())
}

fn tlvs_with(needed: &'static [u16]) -> impl Strategy<Value = Tlvs> {
    let needed: Vec<_> = needed.iter().map(|tag| tlv(*tag)).collect();
    (needed, tlvs()).prop_map(|(needed, others)| {
        let mut tlvs: Tlvs = needed.into_iter().collect();
        tlvs.extend(others.iter().cloned());
        tlvs
    })
}

fn message() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..=255).prop_map(Bytes::from)
}

fn kind() -> impl Strategy<Value = BindKind> {
    proptest::sample::select(&[
        BindKind::Transmitter,
        BindKind::Receiver,
        BindKind::Transceiver,
    ])
}

/// The single octets of a message: those with reserved values within their limits.
fn octets() -> impl Strategy<Value = [u8; 7]> {
    (any::<[u8; 7]>(), 0u8..=4, 0u8..=1).prop_map(|(mut octets, priority, replace)| {
        octets[2] = priority;
        octets[4] = replace;
        octets
    })
}

fn multi() -> impl Strategy<Value = SubmitMulti> {
    let dest = prop_oneof![
        address(20).prop_map(Destination::Address),
        text(20).prop_map(Destination::List)
    ];
    let strings = (text(5), address(20), time(), time());
    (strings, vec(dest, 1..6), octets(), message(), tlvs()).prop_map(
        |((service_type, source, schedule, validity), dests, octets, short_message, tlvs)| {
            SubmitMulti {
                service_type,
                source,
                dests,
                esm_class: octets[0],
                protocol_id: octets[1],
                priority_flag: octets[2],
                schedule_delivery_time: schedule,
                validity_period: validity,
                registered_delivery: octets[3],
                replace_if_present: octets[4],
                data_coding: octets[5],
                sm_default_msg_id: octets[6],
                short_message,
                tlvs,
            }
        },
    )
}

macro_rules! of_multi {
    ($name:ident, $dest:expr, $multi:expr) => {{
        let multi: SubmitMulti = $multi;
        $name {
            service_type: multi.service_type,
            source: multi.source,
            dest: $dest,
            esm_class: multi.esm_class,
            protocol_id: multi.protocol_id,
            priority_flag: multi.priority_flag,
            schedule_delivery_time: multi.schedule_delivery_time,
            validity_period: multi.validity_period,
            registered_delivery: multi.registered_delivery,
            replace_if_present: multi.replace_if_present,
            data_coding: multi.data_coding,
            sm_default_msg_id: multi.sm_default_msg_id,
            short_message: multi.short_message,
            tlvs: multi.tlvs,
        }
    }};
}

fn binds() -> Vec<proptest::strategy::BoxedStrategy<Pdu>> {
    let strings = (text(15), text(8), text(12));
    vec![
        (kind(), strings, any::<u8>(), address(40), tlvs())
            .prop_map(|(kind, strings, version, address, tlvs)| {
                let (system_id, password, system_type) = strings;
                Pdu::Bind(Bind {
                    kind,
                    system_id,
                    password,
                    system_type,
                    interface_version: Version(version),
                    address,
                    tlvs,
                    long_credentials: false,
                })
            })
            .boxed(),
        (kind(), id(15), tlvs())
            .prop_map(|(kind, system_id, tlvs)| {
                Pdu::BindResp(BindResp {
                    kind,
                    system_id,
                    tlvs,
                })
            })
            .boxed(),
        (text(15), text(8))
            .prop_map(|(system_id, password)| {
                Pdu::Outbind(Outbind {
                    system_id,
                    password,
                })
            })
            .boxed(),
    ]
}

fn messages() -> Vec<proptest::strategy::BoxedStrategy<Pdu>> {
    let failure = (address(20), any::<u32>()).prop_map(|(dest, status)| Unsuccess {
        dest,
        status: CommandStatus(status),
    });
    vec![
        (multi(), address(20))
            .prop_map(|(multi, dest)| Pdu::SubmitSm(of_multi!(SubmitSm, dest, multi)))
            .boxed(),
        (multi(), address(20))
            .prop_map(|(multi, dest)| Pdu::DeliverSm(of_multi!(DeliverSm, dest, multi)))
            .boxed(),
        multi().prop_map(Pdu::SubmitMulti).boxed(),
        (
            text(5),
            address(64),
            address(64),
            any::<[u8; 3]>(),
            tlvs_with(&[tag::MESSAGE_PAYLOAD]),
        )
            .prop_map(|(service_type, source, dest, octets, tlvs)| {
                Pdu::DataSm(DataSm {
                    service_type,
                    source,
                    dest,
                    esm_class: octets[0],
                    registered_delivery: octets[1],
                    data_coding: octets[2],
                    tlvs,
                })
            })
            .boxed(),
        (id(64), tlvs())
            .prop_map(|(message_id, tlvs)| Pdu::SubmitSmResp(SubmitSmResp { message_id, tlvs }))
            .boxed(),
        (id(64), tlvs())
            .prop_map(|(message_id, tlvs)| Pdu::DataSmResp(DataSmResp { message_id, tlvs }))
            .boxed(),
        tlvs()
            .prop_map(|tlvs| {
                Pdu::DeliverSmResp(DeliverSmResp {
                    message_id: OctetStr::EMPTY,
                    tlvs,
                })
            })
            .boxed(),
        (id(64), vec(failure, 0..4), tlvs())
            .prop_map(|(message_id, unsuccess, tlvs)| {
                Pdu::SubmitMultiResp(SubmitMultiResp {
                    message_id,
                    unsuccess,
                    tlvs,
                })
            })
            .boxed(),
    ]
}

fn management() -> Vec<proptest::strategy::BoxedStrategy<Pdu>> {
    vec![
        (text(64), address(20))
            .prop_map(|(message_id, source)| Pdu::QuerySm(QuerySm { message_id, source }))
            .boxed(),
        (id(64), time(), any::<u8>(), any::<u8>(), tlvs())
            .prop_map(
                |(message_id, final_date, message_state, error_code, tlvs)| {
                    Pdu::QuerySmResp(QuerySmResp {
                        message_id,
                        final_date,
                        message_state,
                        error_code,
                        tlvs,
                    })
                },
            )
            .boxed(),
        (text(5), text(64), address(20), address(20))
            .prop_map(|(service_type, message_id, source, dest)| {
                Pdu::CancelSm(CancelSm {
                    service_type,
                    message_id,
                    source,
                    dest,
                })
            })
            .boxed(),
        (text(64), multi())
            .prop_map(|(message_id, multi)| {
                Pdu::ReplaceSm(ReplaceSm {
                    message_id,
                    source: multi.source,
                    schedule_delivery_time: multi.schedule_delivery_time,
                    validity_period: multi.validity_period,
                    registered_delivery: multi.registered_delivery,
                    sm_default_msg_id: multi.sm_default_msg_id,
                    short_message: multi.short_message,
                    tlvs: multi.tlvs,
                })
            })
            .boxed(),
        (address(64), address(64), tlvs())
            .prop_map(|(source, esme, tlvs)| {
                Pdu::AlertNotification(AlertNotification { source, esme, tlvs })
            })
            .boxed(),
    ]
}

fn broadcasts() -> Vec<proptest::strategy::BoxedStrategy<Pdu>> {
    const SENT: &[u16] = &[
        tag::BROADCAST_AREA_IDENTIFIER,
        tag::BROADCAST_CONTENT_TYPE,
        tag::BROADCAST_REP_NUM,
        tag::BROADCAST_FREQUENCY_INTERVAL,
    ];
    const STATE: &[u16] = &[
        tag::MESSAGE_STATE,
        tag::BROADCAST_AREA_IDENTIFIER,
        tag::BROADCAST_AREA_SUCCESS,
    ];
    vec![
        (multi(), text(64), tlvs_with(SENT))
            .prop_map(|(multi, message_id, tlvs)| {
                Pdu::BroadcastSm(BroadcastSm {
                    service_type: multi.service_type,
                    source: multi.source,
                    message_id,
                    priority_flag: multi.priority_flag,
                    schedule_delivery_time: multi.schedule_delivery_time,
                    validity_period: multi.validity_period,
                    replace_if_present: multi.replace_if_present,
                    data_coding: multi.data_coding,
                    sm_default_msg_id: multi.sm_default_msg_id,
                    tlvs,
                })
            })
            .boxed(),
        (id(64), tlvs())
            .prop_map(|(message_id, tlvs)| {
                Pdu::BroadcastSmResp(BroadcastSmResp { message_id, tlvs })
            })
            .boxed(),
        (text(64), address(20), tlvs())
            .prop_map(|(message_id, source, tlvs)| {
                Pdu::QueryBroadcastSm(QueryBroadcastSm {
                    message_id,
                    source,
                    tlvs,
                })
            })
            .boxed(),
        (id(64), tlvs_with(STATE))
            .prop_map(|(message_id, tlvs)| {
                Pdu::QueryBroadcastSmResp(QueryBroadcastSmResp { message_id, tlvs })
            })
            .boxed(),
        (text(5), text(64), address(20), tlvs())
            .prop_map(|(service_type, message_id, source, tlvs)| {
                Pdu::CancelBroadcastSm(CancelBroadcastSm {
                    service_type,
                    message_id,
                    source,
                    tlvs,
                })
            })
            .boxed(),
    ]
}

/// Any PDU within all limits of version 5.0.
pub(super) fn pdu() -> impl Strategy<Value = Pdu> {
    let bare = proptest::sample::select(vec![
        Pdu::CancelSmResp,
        Pdu::ReplaceSmResp,
        Pdu::CancelBroadcastSmResp,
        Pdu::EnquireLink,
        Pdu::EnquireLinkResp,
        Pdu::Unbind,
        Pdu::UnbindResp,
        Pdu::GenericNack,
    ]);
    let mut all = vec![bare.boxed()];
    all.extend(binds());
    all.extend(messages());
    all.extend(management());
    all.extend(broadcasts());
    Union::new(all)
}
