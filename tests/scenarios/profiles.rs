//! Lives here: a carrier that does much in its own way, as its profile tells the daemon.
//! Never here: how profiles are read (`config::profile`).

use bytes::Bytes;
use mnara_loadtest::smsc::Script;
use mnara_smpp::pdu::{DeliverSm, Pdu, SubmitSmResp, esm_class};
use mnara_smpp::status::CommandStatus;
use mnara_smpp::tlv::tag;

use crate::hand::{Hand, HandBind};
use crate::world::{Carrier, LIMIT, Plan, World};

const QUIRKY: &str = concat!(
    "profile = \"",
    env!("CARGO_MANIFEST_DIR"),
    "/tests/scenarios/profiles/quirky.toml\""
);

const PICKY: &str = concat!(
    "profile = \"",
    env!("CARGO_MANIFEST_DIR"),
    "/tests/scenarios/profiles/picky.toml\""
);

async fn world() -> (World, HandBind) {
    let hand = Hand::listen().await;
    let plan = Plan::of([Carrier::at("vodacom_tz", hand.addr()).account(QUIRKY)]);
    tokio::join!(World::start(plan), hand.bound())
}

#[tokio::test]
async fn a_long_message_goes_in_one_payload_and_one_receipt_delivers_all_of_it() {
    let (world, mut bind) = world().await;
    let text = format!("£{}", "[a]".repeat(60));
    let sms = world.sms("vodacom_tz", 1, "transactional", &text);
    let answer = world.client.try_send(&sms).await.unwrap();
    assert_eq!(
        answer.json()["data"]["segments"],
        2,
        "counted as ever: {}",
        answer.text()
    );

    let (sequence, submit) = bind.submit().await;
    let latin: Vec<u8> = std::iter::once(0xA3)
        .chain("[a]".repeat(60).into_bytes())
        .collect();
    let payload = submit.tlvs.get(tag::MESSAGE_PAYLOAD).unwrap();
    assert_eq!((&payload[..], submit.short_message.len()), (&latin[..], 0));
    assert_eq!((submit.data_coding, submit.priority_flag), (3, 2));
    assert_eq!((submit.source.ton, submit.source.npi), (0, 9));
    assert_eq!(submit.service_type.as_bytes(), b"BULK");
    assert!(submit.validity_period.is_empty());
    assert!(submit.tlvs.get_u16(tag::USER_MESSAGE_REFERENCE).is_some());
    bind.accept(sequence, "P1").await;
    world.until(answer.id(), "submitted").await;

    assert_eq!(bind.receipt("P1", "ACCEPTD").await, CommandStatus::ESME_ROK);
    let message = world.client.message(answer.id()).await;
    assert_eq!(message["status_detail"], "delivered", "{message}");
    let told = |hook: &mnara_loadtest::hook::Receiver| hook.seen(answer.id()).delivered;
    assert!(world.hook.wait_until(LIMIT, told).await);
    assert_eq!(world.hook.counts().doubled, 0);
}

#[tokio::test]
async fn an_error_that_may_follow_acceptance_is_doubt_and_the_carrier_s_own_codes_have_meaning() {
    let (world, mut bind) = world().await;
    let send = async |index, text| {
        let sms = world.sms("vodacom_tz", index, "promotional", text);
        world.client.send(&sms).await
    };
    let doubtful = send(1, "perhaps").await;
    let (sequence, _) = bind.submit().await;
    refuse(&mut bind, sequence, CommandStatus::ESME_RSYSERR).await;
    let message = world.until(doubtful, "uncertain").await;
    assert_eq!(message["status"], "queued");

    let spam = send(2, "win").await;
    let (sequence, _) = bind.submit().await;
    refuse(&mut bind, sequence, CommandStatus(0x401)).await;
    let message = world.until(spam, "rejected").await;
    assert_eq!(message["failure_code"], "spam_filtered", "{message}");

    let blocked = send(3, "news").await;
    let (sequence, _) = bind.submit().await;
    bind.accept(sequence, "B1").await;
    world.until(blocked, "submitted").await;
    let receipt = Pdu::DeliverSm(DeliverSm {
        esm_class: esm_class::RECEIPT,
        short_message: Bytes::from_static(b"id:B1 stat:NOSUCH err:21B"),
        ..DeliverSm::default()
    });
    bind.answer(7, CommandStatus::ESME_ROK, &receipt).await;
    let message = world.until(blocked, "undelivered").await;
    assert_eq!(message["failure_code"], "blocked_dnd", "{message}");
}

async fn refuse(bind: &mut HandBind, sequence: u32, status: CommandStatus) {
    let answer = Pdu::SubmitSmResp(SubmitSmResp::default());
    bind.answer(sequence, status, &answer).await;
}

#[tokio::test]
async fn what_an_account_would_refuse_goes_by_another_and_without_one_is_refused_at_once() {
    // Two accounts of one network, under its two names.
    let picky = Carrier::simulated("tigo_tz", Script::default()).account(PICKY);
    let other = Carrier::simulated("yas_tz", Script::default());
    let alone = Carrier::simulated("vodacom_tz", Script::default()).account(PICKY);
    let world = World::start(Plan::of([picky, other, alone])).await;
    let from = |network, sender: &str, text: &str| {
        let mut sms = world.sms(network, 1, "transactional", text);
        sms["from"] = sender.into();
        sms
    };
    let long = "long".repeat(50);
    for (sender, text, network) in [
        ("BANKONE", "first choice", "tigo_tz"),
        ("MNARA", "no bank", "yas_tz"),
        ("BANKONE", &long, "yas_tz"),
    ] {
        let id = world.client.send(&from("tigo_tz", sender, text)).await;
        world.until(id, "delivered").await;
        let went = world.carrier_of(network).log.snapshot();
        assert!(went.iter().any(|submit| submit.source == sender), "{text}");
    }
    assert_eq!(world.carrier_of("tigo_tz").log.count(|_| true), 1);

    for (sender, text, code, field) in [
        ("MNARA", "no bank", "sender_invalid", "from"),
        ("BANKONE", &long, "message_too_long", "message"),
    ] {
        let answer = world
            .client
            .try_send(&from("vodacom_tz", sender, text))
            .await;
        let answer = answer.unwrap();
        assert_eq!(answer.status, 422, "{}", answer.text());
        let error = answer.json();
        assert_eq!(error["code"], code, "{error}");
        assert!(answer.text().contains(field), "{error}");
    }
}
