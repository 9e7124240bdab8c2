//! Lives here: receipts whose id nobody knows, for messages whose answer was lost: proof, or none.
//! Never here: answers that come late (`late`), resends (`doubt`).

use mnara_smpp::status::CommandStatus;

use crate::hand::{Hand, HandBind};
use crate::world::{Carrier, Plan, World};

const BIND: &str = "window = 10";

async fn world(hand: &Hand) -> (World, HandBind) {
    let carrier = Carrier::at("vodacom_tz", hand.addr()).bind(BIND);
    tokio::join!(World::start(Plan::of([carrier])), hand.bound())
}

/// Says what a carrier says of a message of ours that it delivered.
async fn delivered(bind: &mut HandBind, id: &str, to: &str, words: &str) {
    let said = bind.receipt_for(to, id, "DELIVRD", words).await;
    assert_eq!(said, CommandStatus::ESME_ROK);
}

#[tokio::test]
async fn a_receipt_after_a_lost_answer_proves_that_the_message_was_taken() {
    let hand = Hand::listen().await;
    let (world, mut bind) = world(&hand).await;
    let sms = world.sms("vodacom_tz", 1, "transactional", "Your balance is 5000 TZS");
    let to = sms["to"].as_str().unwrap().to_owned();
    let id = world.client.send(&sms).await;
    bind.submit().await;
    drop(bind);
    world.until(id, "uncertain").await;
    let mut bind = hand.bound().await;
    delivered(&mut bind, "A1", &to, "Your balance is 5000").await;
    let message = world.until(id, "delivered").await;
    assert_eq!(message["possible_duplicate"], false, "{message}");
    let events = world.client.events(id).await;
    let resolved: Vec<_> = events
        .iter()
        .filter(|event| event["type"] == "doubt_resolved")
        .collect();
    assert_eq!(resolved.len(), 1, "{events:?}");
    assert_eq!(resolved[0]["told_by"], "receipt");
    assert_eq!(resolved[0]["smsc_id"], "A1");
    let labels = ["\"vodacom_tz\"", "\"receipt\""];
    let proven = world
        .metric("mnara_uncertain_resolved_total", &labels)
        .await;
    assert_eq!(proven, 1.0);
    let told = world.hook.wait_until(crate::world::LIMIT, |hook| {
        hook.seen(id).sent && hook.seen(id).delivered
    });
    assert!(told.await);
    let text = world.daemon.log().lines().join("\n");
    assert!(!text.contains("balance"), "no text in the log");
}

#[tokio::test]
async fn a_receipt_before_the_answer_is_lost_proves_it_all_the_same() {
    let hand = Hand::listen().await;
    let (world, mut bind) = world(&hand).await;
    let sms = world.sms("vodacom_tz", 2, "otp", "Your code is 471100");
    let to = sms["to"].as_str().unwrap().to_owned();
    let id = world.client.send(&sms).await;
    bind.submit().await;
    delivered(&mut bind, "A1", &to, "Your code is 471100").await;
    drop(bind);
    // Proven before the five seconds after which an OTP would be sent again.
    let message = world.until(id, "delivered").await;
    assert_eq!(message["possible_duplicate"], false, "{message}");
}

#[tokio::test]
async fn two_messages_alike_in_doubt_are_not_guessed_at() {
    let hand = Hand::listen().await;
    let (world, mut bind) = world(&hand).await;
    let alike = world.sms("vodacom_tz", 3, "promotional", "Karibu tena dukani");
    let other = world.sms("vodacom_tz", 4, "promotional", "Asante kwa kununua");
    let mut ids = Vec::new();
    for sms in [&alike, &alike, &other] {
        ids.push(world.client.send(sms).await);
        bind.submit().await;
    }
    drop(bind);
    for id in &ids {
        world.until(*id, "uncertain").await;
    }
    let mut bind = hand.bound().await;
    for (sms, id, words) in [
        (&alike, "A1", "Karibu tena dukani"),
        (&other, "A2", "Asante kwa kununua"),
    ] {
        delivered(&mut bind, id, sms["to"].as_str().unwrap(), words).await;
    }
    // The later receipt has been looked at, so the earlier one has.
    world.until(ids[2], "delivered").await;
    for id in &ids[..2] {
        let message = world.client.message(*id).await;
        assert_eq!(message["status_detail"], "uncertain", "{message}");
    }
}
