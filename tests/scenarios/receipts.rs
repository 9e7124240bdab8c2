//! Lives here: receipts as carriers send them: early, twice, with other ids, against each other.
//! Never here: their parsing.

use mnara_loadtest::smsc::{IdStyle, ReceiptForm, Receipts, Script, SmscConfig, Span, Stats};
use mnara_smpp::pdu::{AlertNotification, DataSm, Pdu, esm_class};
use mnara_smpp::status::CommandStatus;
use mnara_smpp::tlv::{Tlv, tag};

use crate::hand::Hand;
use crate::world::{Carrier, LIMIT, Plan, Stored, World, sms};

#[tokio::test]
async fn a_receipt_that_outruns_the_response_is_matched_when_the_response_comes() {
    early(Stored::Sqlite).await;
}

#[tokio::test]
async fn a_receipt_that_outruns_the_response_is_matched_when_the_response_comes_on_postgresql() {
    early(Stored::Postgres).await;
}

async fn early(stored: Stored) {
    let script = Script {
        response_delay_ms: Span::fixed(300),
        receipts: Receipts {
            before_response: true,
            ..Receipts::default()
        },
        ..Script::default()
    };
    let world =
        World::start(Plan::of([Carrier::simulated("vodacom_tz", script)]).stored(stored)).await;
    let id = world
        .client
        .send(&sms("vodacom_tz", 1, "transactional", "early"))
        .await;
    world.until(id, "delivered").await;
    assert!(world.metric("mnara_dlr_total", &["\"parked\""]).await >= 1.0);
    assert_eq!(world.carrier().submits_of("early").len(), 1);
}

#[tokio::test]
async fn a_receipt_that_comes_twice_has_its_effect_once() {
    twice(Stored::Sqlite).await;
}

#[tokio::test]
async fn a_receipt_that_comes_twice_has_its_effect_once_on_postgresql() {
    twice(Stored::Postgres).await;
}

async fn twice(stored: Stored) {
    let script = Script {
        receipts: Receipts {
            duplicate: true,
            form: ReceiptForm::Both,
            ..Receipts::default()
        },
        ..Script::default()
    };
    let world =
        World::start(Plan::of([Carrier::simulated("vodacom_tz", script)]).stored(stored)).await;
    let id = world
        .client
        .send(&world.sms("vodacom_tz", 1, "transactional", "twice"))
        .await;
    // Acknowledged after their commit, whether they came before the response or behind it.
    let both = |stats: &Stats| stats.receipts_acknowledged == 2;
    assert!(world.carrier().smsc.wait_until(LIMIT, both).await);
    let told = world
        .hook
        .wait_until(LIMIT, |hook| hook.seen(id).delivered && hook.seen(id).sent)
        .await;
    assert!(told);
    world.until(id, "delivered").await;
    let counts = world.hook.counts();
    assert_eq!((counts.delivered, counts.doubled, counts.failed), (1, 0, 0));
}

#[tokio::test]
async fn hexadecimal_ids_in_responses_meet_decimal_ids_in_receipts() {
    let smsc = SmscConfig {
        id_style: IdStyle::HexDecimal,
        ..SmscConfig::default()
    };
    let carrier = Carrier::configured("vodacom_tz", smsc)
        .account("response_ids = \"hex\"\nreceipt_ids = \"decimal\"");
    let world = World::start(Plan::of([carrier])).await;
    for index in 0..10 {
        let id = world
            .client
            .send(&sms("vodacom_tz", index, "transactional", "hex"))
            .await;
        world.until(id, "delivered").await;
    }
}

#[tokio::test]
async fn the_first_final_receipt_wins_and_a_contradiction_is_kept_as_an_event() {
    let hand = Hand::listen().await;
    let (world, mut bind) = tokio::join!(
        World::start(Plan::of([Carrier::at("vodacom_tz", hand.addr())])),
        hand.bound()
    );
    let id = world
        .client
        .send(&world.sms("vodacom_tz", 1, "transactional", "both"))
        .await;
    let (sequence, _) = bind.submit().await;
    bind.accept(sequence, "A1").await;
    world.until(id, "submitted").await;
    for stat in ["ENROUTE", "DELIVRD", "UNDELIV", "DELIVRD"] {
        assert_eq!(
            bind.receipt("A1", stat).await,
            CommandStatus::ESME_ROK,
            "{stat}"
        );
    }
    // The answers to receipts come after their commit: no waiting is needed from here.
    let message = world.client.message(id).await;
    assert_eq!(message["status_detail"], "delivered", "{message}");
    let events = world.client.events(id).await;
    let receipts: Vec<_> = events
        .iter()
        .filter(|event| event["type"] == "dlr")
        .collect();
    let conflicts: Vec<_> = receipts
        .iter()
        .filter(|event| event["conflict"] == true)
        .collect();
    assert_eq!(conflicts.len(), 1, "{receipts:?}");
    assert_eq!(conflicts[0]["stat"], "UNDELIV");
    for result in ["intermediate", "applied", "conflict", "duplicate"] {
        let label = format!("\"{result}\"");
        assert_eq!(
            world.metric("mnara_dlr_total", &[&label]).await,
            1.0,
            "{result}"
        );
    }
    assert_eq!(world.hook.counts().failed, 0);
}

#[tokio::test]
async fn an_unknown_id_is_acknowledged_and_changes_nobodys_message() {
    let hand = Hand::listen().await;
    let (world, mut bind) = tokio::join!(
        World::start(Plan::of([Carrier::at("vodacom_tz", hand.addr())])),
        hand.bound()
    );
    let id = world
        .client
        .send(&sms("vodacom_tz", 1, "transactional", "mine"))
        .await;
    let (sequence, _) = bind.submit().await;
    bind.accept(sequence, "1001").await;
    world.until(id, "submitted").await;
    for stranger in ["1002", "01001", "3E9"] {
        assert_eq!(
            bind.receipt(stranger, "UNDELIV").await,
            CommandStatus::ESME_ROK
        );
    }
    assert_eq!(world.client.message(id).await["status_detail"], "submitted");
    assert_eq!(
        bind.receipt("1001", "UNDELIV").await,
        CommandStatus::ESME_ROK
    );
    assert_eq!(
        world.client.message(id).await["status_detail"],
        "undelivered"
    );
}

#[tokio::test]
async fn a_receipt_in_a_data_sm_is_answered_in_kind_and_other_pdus_are_counted() {
    let hand = Hand::listen().await;
    let (world, mut bind) = tokio::join!(
        World::start(Plan::of([Carrier::at("vodacom_tz", hand.addr())])),
        hand.bound()
    );
    let id = world
        .client
        .send(&sms("vodacom_tz", 1, "transactional", "data"))
        .await;
    let (sequence, _) = bind.submit().await;
    bind.accept(sequence, "D1").await;
    world.until(id, "submitted").await;
    let text = &b"id:D1 stat:DELIVRD err:000 text:"[..];
    let receipt = Pdu::DataSm(DataSm {
        esm_class: esm_class::RECEIPT,
        tlvs: [Tlv::new(tag::MESSAGE_PAYLOAD, text)].into_iter().collect(),
        ..DataSm::default()
    });
    // It has no response, and we make no use of it.
    let alert = Pdu::AlertNotification(AlertNotification::default());
    bind.answer(76, CommandStatus::ESME_ROK, &alert).await;
    bind.answer(77, CommandStatus::ESME_ROK, &receipt).await;
    let (header, answer) = bind.pdu().await;
    assert_eq!(
        (header.sequence, header.status),
        (77, CommandStatus::ESME_ROK)
    );
    assert!(matches!(answer, Pdu::DataSmResp(_)), "{answer:?}");
    assert_eq!(world.client.message(id).await["status_detail"], "delivered");
    let ignored = world
        .metric("mnara_pdu_decode_errors_total", &["\"ignored\""])
        .await;
    assert_eq!(ignored, 1.0);
}
