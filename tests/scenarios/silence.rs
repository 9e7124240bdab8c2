//! Lives here: carriers that fall silent or say goodbye.
//! Never here: carriers that talk nonsense (`hostile`).

use std::time::{Duration, Instant};

use mnara_loadtest::smsc::Script;
use mnara_smpp::pdu::Pdu;
use mnara_smpp::status::CommandStatus;

use crate::hand::Hand;
use crate::world::{Carrier, LIMIT, Plan, World, eventually, sms};

#[tokio::test]
async fn a_half_open_connection_is_noticed_and_bound_anew_and_what_was_on_it_is_in_doubt() {
    let carrier = Carrier::simulated("vodacom_tz", Script::default())
        .bind("window = 50\nenquire_link_s = 1\nresponse_timeout_ms = 1000");
    let world = World::start(Plan::of([carrier])).await;
    let carrier = world.carrier();
    let began = Instant::now();
    carrier.smsc.half_open_all();
    let lost = world
        .client
        .send(&sms("vodacom_tz", 1, "promotional", "into the void"))
        .await;
    world.until(lost, "uncertain").await;
    let again = carrier.smsc.wait_until(LIMIT, |stats| stats.binds >= 2);
    assert!(again.await, "{:?}", carrier.smsc.stats());
    let took = began.elapsed();
    assert!(took < Duration::from_secs(10), "noticed after {took:?}");
    let fresh = world
        .client
        .send(&sms("vodacom_tz", 2, "transactional", "fresh"))
        .await;
    world.until(fresh, "delivered").await;
    assert_eq!(
        world.client.message(lost).await["status_detail"],
        "uncertain"
    );
    assert!(carrier.submits_of("into the void").is_empty());
}

#[tokio::test]
async fn a_carrier_that_unbinds_may_still_answer_and_is_bound_anew_with_nothing_in_doubt() {
    let hand = Hand::listen().await;
    let plan = Plan::of([Carrier::at("vodacom_tz", hand.addr())]);
    let (world, mut bind) = tokio::join!(World::start(plan), hand.bound());
    let mut ids = Vec::new();
    let mut sequences = Vec::new();
    for text in ["answered before", "answered behind"] {
        let sms = sms("vodacom_tz", 1, "transactional", text);
        ids.push(world.client.send(&sms).await);
        sequences.push(bind.submit().await.0);
    }
    bind.accept(sequences[0], "U1").await;
    let unbind = 0x2000;
    bind.answer(unbind, CommandStatus::ESME_ROK, &Pdu::Unbind)
        .await;
    // Nothing new comes over a bind that is being left.
    eventually("the bind is being left", LIMIT, async || {
        let binds = world.ctl(&["binds"]).await;
        (binds["binds"][0]["state"] == "unbinding").then_some(())
    })
    .await;
    let waiting = sms("vodacom_tz", 1, "transactional", "waits for the next bind");
    ids.push(world.client.send(&waiting).await);
    bind.accept(sequences[1], "U2").await;
    let (header, pdu) = bind.pdu().await;
    assert_eq!((header.sequence, pdu), (unbind, Pdu::UnbindResp));
    bind.closed().await;
    world.until(ids[0], "submitted").await;
    world.until(ids[1], "submitted").await;
    // The next bind takes the rest, the receipts of the first messages included.
    let mut bind = hand.bound().await;
    let (sequence, submit) = bind.submit().await;
    assert_eq!(&submit.short_message[..], b"waits for the next bind");
    bind.accept(sequence, "U3").await;
    for (message, id) in ids.into_iter().zip(["U1", "U2", "U3"]) {
        assert_eq!(bind.receipt(id, "DELIVRD").await, CommandStatus::ESME_ROK);
        world.until(message, "delivered").await;
    }
}
