//! Lives here: a carrier that sends nonsense: it is counted and refused, and costs nobody else.
//! Never here: the parser's own tests.

use bytes::Bytes;
use mnara_loadtest::smsc::Script;
use mnara_smpp::codec::CommandId;
use mnara_smpp::pdu::{DeliverSm, Pdu};
use mnara_smpp::status::CommandStatus;

use crate::hand::{Hand, HandBind};
use crate::world::{Carrier, Plan, World, sms};

const ERRORS: &str = "mnara_pdu_decode_errors_total";

#[tokio::test]
async fn nonsense_from_a_carrier_is_refused_and_counted_and_the_stream_goes_on() {
    let (world, mut bind, _hand) = world().await;
    let id = world
        .client
        .send(&sms("vodacom_tz", 1, "transactional", "mine"))
        .await;
    let (sequence, _) = bind.submit().await;

    // An operation nobody knows.
    bind.claim(20, CommandId(0x0000_0FFF), 900, b"what").await;
    expect(
        &mut bind,
        CommandId::GENERIC_NACK,
        900,
        CommandStatus::ESME_RINVCMDID,
    )
    .await;
    // Answers to what was never asked, and to another operation.
    bind.accept(0x7000_0000, "STRANGER").await;
    bind.answer(sequence, CommandStatus::ESME_ROK, &Pdu::EnquireLinkResp)
        .await;
    // A deliver_sm that ends in the middle of an address.
    bind.claim(19, CommandId::DELIVER_SM, 901, b"\0\x01\x01")
        .await;
    refused(&mut bind, 901).await;
    // One that claims more text than it has.
    let lies = deliver_with_sm_length(200);
    bind.claim(16 + lies.len(), CommandId::DELIVER_SM, 902, &lies)
        .await;
    refused(&mut bind, 902).await;
    // One beyond any size.
    bind.claim(
        200_000,
        CommandId::DELIVER_SM,
        903,
        &vec![b'x'; 200_000 - 16],
    )
    .await;
    refused(&mut bind, 903).await;
    // A receipt that names nothing.
    let empty = Pdu::DeliverSm(DeliverSm {
        esm_class: 0x04,
        short_message: Bytes::from_static(b"\xff\xfe no id here"),
        ..DeliverSm::default()
    });
    bind.answer(904, CommandStatus::ESME_ROK, &empty).await;
    let (header, _) = bind.pdu().await;
    assert_eq!(
        (header.command, header.sequence),
        (CommandId::DELIVER_SM_RESP, 904)
    );

    // The message under way has kept its own outcome.
    assert_eq!(world.client.message(id).await["status_detail"], "queued");
    bind.accept(sequence, "M1").await;
    world.until(id, "submitted").await;
    assert_eq!(bind.receipt("M1", "DELIVRD").await, CommandStatus::ESME_ROK);
    assert_eq!(world.client.message(id).await["status_detail"], "delivered");
    for reason in ["unknown_command", "unexpected_response", "oversized"] {
        let label = format!("\"{reason}\"");
        let count = world.metric(ERRORS, &["vodacom_tz", &label]).await;
        assert!(count >= 1.0, "{reason}: {count}");
    }
    let undecodable = world.metric(ERRORS, &["\"undecodable_request\""]).await;
    assert!(undecodable >= 1.0, "{undecodable}");
    others_are_unaffected(&world).await;
}

#[tokio::test]
async fn a_yes_without_an_id_is_a_yes_for_which_no_receipt_can_come() {
    let (world, mut bind, _hand) = world().await;
    let id = world
        .client
        .send(&sms("vodacom_tz", 1, "transactional", "nameless"))
        .await;
    let (sequence, _) = bind.submit().await;
    bind.accept(sequence, "").await;
    world.until(id, "submitted").await;
    assert_eq!(bind.receipt("", "DELIVRD").await, CommandStatus::ESME_ROK);
    assert_eq!(world.client.message(id).await["status_detail"], "submitted");
    // The next one has a name, and is not taken for it.
    let second = world
        .client
        .send(&sms("vodacom_tz", 2, "transactional", "named"))
        .await;
    let (sequence, _) = bind.submit().await;
    bind.accept(sequence, "M7").await;
    world.until(second, "submitted").await;
    assert_eq!(bind.receipt("M7", "DELIVRD").await, CommandStatus::ESME_ROK);
    assert_eq!(
        world.client.message(second).await["status_detail"],
        "delivered"
    );
}

#[tokio::test]
async fn a_stream_without_sense_is_closed_and_bound_anew() {
    let (mut world, mut bind, hand) = world().await;
    for garbage in [
        &b"GET / HTTP/1.1\r\nHost: carrier\r\n\r\n"[..],
        &[0xff; 64],
        &[0, 0, 0, 15, 0, 0, 0, 4],
        &[0; 4],
    ] {
        bind.raw(garbage).await;
        bind.closed().await;
        bind = hand.bound().await;
    }
    let id = world
        .client
        .send(&sms("vodacom_tz", 1, "transactional", "again"))
        .await;
    let (sequence, _) = bind.submit().await;
    bind.accept(sequence, "").await;
    // Without an id no receipt can be matched: it stays with the carrier.
    world.until(id, "submitted").await;
    assert!(world.daemon.lives());
    others_are_unaffected(&world).await;
}

async fn world() -> (World, HandBind, Hand) {
    let hand = Hand::listen().await;
    let plan = Plan::of([
        Carrier::at("vodacom_tz", hand.addr()),
        Carrier::simulated("tigo_tz", Script::default()),
    ]);
    let (world, bind) = tokio::join!(World::start(plan), hand.bound());
    (world, bind, hand)
}

async fn others_are_unaffected(world: &World) {
    let id = world
        .client
        .send(&sms("tigo_tz", 1, "transactional", "elsewhere"))
        .await;
    world.until(id, "delivered").await;
}

async fn expect(bind: &mut HandBind, command: CommandId, sequence: u32, status: CommandStatus) {
    let (header, _) = bind.pdu().await;
    assert_eq!(
        (header.command, header.sequence, header.status),
        (command, sequence, status)
    );
}

/// Refused either way: by a generic_nack or by its own response with an error.
async fn refused(bind: &mut HandBind, sequence: u32) {
    let (header, pdu) = bind.pdu().await;
    assert_eq!(header.sequence, sequence, "{pdu:?}");
    assert!(!header.status.is_ok(), "{sequence}: {pdu:?}");
    assert!(
        [CommandId::GENERIC_NACK, CommandId::DELIVER_SM_RESP].contains(&header.command),
        "{pdu:?}"
    );
}

/// A deliver_sm's body whose sm_length promises more than follows.
fn deliver_with_sm_length(length: u8) -> Vec<u8> {
    let mut body = Vec::new();
    body.extend_from_slice(b"\0");
    body.extend_from_slice(b"\x01\x01255750000001\0");
    body.extend_from_slice(b"\x05\x00MNARA\0");
    body.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 0, length]);
    body.extend_from_slice(b"short");
    body
}
