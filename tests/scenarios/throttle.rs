//! Lives here: a carrier that says "slower": everything arrives, nothing fails.
//! Never here: the pace itself (its own tests have a virtual clock).

use std::time::Instant;

use mnara_loadtest::smsc::{Script, Stats};

use crate::world::{Carrier, LIMIT, Plan, World, sms};

#[tokio::test]
async fn a_throttling_carrier_gets_everything_and_no_message_fails() {
    const MESSAGES: u64 = 100;
    // Less than one client after the other sends, also on a busy machine.
    const PACE: u32 = 20;
    let script = Script {
        throttle_per_s: Some(PACE),
        ..Script::default()
    };
    // The contract says twice what the carrier lets through today.
    let carrier = Carrier::simulated("vodacom_tz", script).account("max_tps = 40");
    let world = World::start(Plan::of([carrier])).await;
    let began = Instant::now();
    let mut ids = Vec::new();
    for index in 0..MESSAGES {
        let class = ["otp", "transactional", "promotional"][(index % 3) as usize];
        ids.push(
            world
                .client
                .send(&sms("vodacom_tz", index, class, "slow"))
                .await,
        );
    }
    let carrier = world.carrier();
    let taken = |stats: &Stats| stats.accepted == MESSAGES;
    assert!(
        carrier.smsc.wait_until(LIMIT, taken).await,
        "{:?}",
        carrier.smsc.stats()
    );
    let took = began.elapsed();
    for id in ids {
        let message = world.until(id, "delivered").await;
        assert_eq!(message["possible_duplicate"], false);
    }
    let stats = carrier.smsc.stats();
    assert_eq!(stats.accepted, MESSAGES);
    assert!(stats.throttled > 0, "the carrier did throttle: {stats:?}");
    println!(
        "{MESSAGES} messages in {took:?} at {PACE}/s; {} were throttled",
        stats.throttled
    );
}
