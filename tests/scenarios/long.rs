//! Lives here: messages of several segments, seen part by part.
//! Never here: the arithmetic of segmentation.

use mnara_smpp::pdu::{SubmitSm, esm_class};
use mnara_smpp::status::CommandStatus;
use mnara_smpp::text::{Gsm7, ucs2_decode};

use crate::hand::{Hand, HandBind};
use crate::world::{Carrier, Plan, World};

#[tokio::test]
async fn a_long_gsm_message_goes_in_three_parts_and_is_delivered_when_all_are() {
    // The euro sign takes two septets and falls on the end of a part.
    let text = format!("{}€{}", "a".repeat(152), "b".repeat(247));
    let (world, mut bind) = world().await;
    let (id, parts) = send(&world, &mut bind, &text, 3).await;
    let octets: Vec<&[u8]> = parts.iter().map(body).collect();
    assert!(octets.iter().all(|octets| octets.len() <= 153));
    let whole: String = octets
        .iter()
        .map(|octets| Gsm7::DEFAULT.decode(octets))
        .collect();
    assert_eq!(whole, text);
    assert!(parts.iter().all(|part| part.data_coding == 0));
    assert_eq!(
        world.client.message(id).await["credits_cost"],
        3,
        "each part is charged"
    );

    for part in ["P1", "P3"] {
        assert_eq!(bind.receipt(part, "DELIVRD").await, CommandStatus::ESME_ROK);
        let message = world.client.message(id).await;
        assert_eq!(message["status_detail"], "submitted", "after {part}");
    }
    assert_eq!(bind.receipt("P2", "DELIVRD").await, CommandStatus::ESME_ROK);
    assert_eq!(world.client.message(id).await["status_detail"], "delivered");
    assert!(
        world
            .hook
            .wait_until(crate::world::LIMIT, |hook| hook.seen(id).delivered)
            .await
    );
    assert_eq!(world.hook.counts().doubled, 0);
}

#[tokio::test]
async fn a_long_ucs2_message_never_parts_a_surrogate_pair() {
    // 66 single units, then pairs: the 67th unit would be half a character.
    let text = format!("{}{}", "ш".repeat(66), "😀".repeat(40));
    let (world, mut bind) = world().await;
    let (id, parts) = send(&world, &mut bind, &text, 3).await;
    let octets: Vec<&[u8]> = parts.iter().map(body).collect();
    assert!(octets.iter().all(|octets| octets.len() <= 134));
    for octets in &octets {
        let units: Vec<u16> = octets
            .chunks(2)
            .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
            .collect();
        String::from_utf16(&units).expect("each part is whole characters");
    }
    let whole: String = octets.iter().map(|octets| ucs2_decode(octets)).collect();
    assert_eq!(whole, text);
    assert!(parts.iter().all(|part| part.data_coding == 8));
    // One part that fails is a message that fails.
    for (part, stat) in [("P1", "DELIVRD"), ("P2", "UNDELIV"), ("P3", "DELIVRD")] {
        assert_eq!(bind.receipt(part, stat).await, CommandStatus::ESME_ROK);
    }
    assert_eq!(world.client.message(id).await["status"], "failed");
}

async fn world() -> (World, HandBind) {
    let hand = Hand::listen().await;
    let plan = Plan::of([Carrier::at("vodacom_tz", hand.addr())]);
    tokio::join!(World::start(plan), hand.bound())
}

/// Sends a text and accepts its parts as P1, P2, …; returns them in order of their number.
async fn send(
    world: &World,
    bind: &mut HandBind,
    text: &str,
    count: u8,
) -> (uuid::Uuid, Vec<SubmitSm>) {
    let sms = world.sms("vodacom_tz", 1, "transactional", text);
    let answer = world.client.try_send(&sms).await.unwrap();
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_eq!(answer.json()["data"]["segments"], count);
    let mut parts = Vec::new();
    for _ in 0..count {
        let (sequence, submit) = bind.submit().await;
        let header = &submit.short_message[..6];
        assert_eq!(
            header[..3],
            [5, 0, 3],
            "an 8-bit reference (23.040 9.2.3.24.1)"
        );
        assert_eq!(header[4], count);
        assert_ne!(submit.esm_class & esm_class::UDHI, 0);
        bind.accept(sequence, &format!("P{}", header[5])).await;
        parts.push(submit);
    }
    parts.sort_by_key(|submit| submit.short_message[5]);
    let numbers: Vec<u8> = parts.iter().map(|part| part.short_message[5]).collect();
    assert_eq!(numbers, (1..=count).collect::<Vec<_>>());
    assert!(
        parts
            .iter()
            .all(|part| part.short_message[3] == parts[0].short_message[3]),
        "one reference"
    );
    let id = answer.id();
    world.until(id, "submitted").await;
    (id, parts)
}

fn body(part: &SubmitSm) -> &[u8] {
    &part.short_message[6..]
}
