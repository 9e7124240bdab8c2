//! Lives here: two accounts for one network, of which the first gets into trouble: its breaker
//! opens, traffic goes by the other, and comes back when the first is well.
//! Never here: when a breaker opens (`domain::breaker` has its own tests).

use std::time::{Duration, Instant};

use mnara_loadtest::smsc::{Rule, Script, Then};
use mnara_smpp::status::CommandStatus;
use uuid::Uuid;

use crate::world::{Carrier, LIMIT, Plan, World, eventually};

/// The accounts, the first choice first.
const FIRST: &str = "first";
const SECOND: &str = "second";

/// Waits that fit a test; everything else as it is by default.
const FAILOVER: &str = "[failover]\ncool_down_ms = 500\nbind_grace_ms = 300\nprobe_timeout_ms = 2000\n\
                        stall_ms = 1000\nsamples_min = 10";

async fn world(bind: &'static str) -> World {
    let account = |id| {
        Carrier::simulated("vodacom_tz", Script::default())
            .named(id)
            .bind(bind)
    };
    let world = World::start(Plan::of([account(FIRST), account(SECOND)]).with(FAILOVER)).await;
    for id in [FIRST, SECOND] {
        let bound = |stats: &mnara_loadtest::smsc::Stats| stats.binds_open == 1;
        assert!(world.carrier_of(id).smsc.wait_until(LIMIT, bound).await);
    }
    world
}

async fn send(world: &World, index: u64, class: &str, text: &str) -> Uuid {
    let sms = world.sms("vodacom_tz", index, class, text);
    world.client.send(&sms).await
}

/// 1 = in use, 0 = out of use.
async fn health(world: &World, carrier: &str) -> f64 {
    let label = format!("carrier=\"{carrier}\"");
    world.metric("mnara_route_health", &[&label]).await
}

async fn opened(world: &World) -> f64 {
    let labels = ["carrier=\"first\"", "to=\"open\""];
    world
        .metric("mnara_breaker_transitions_total", &labels)
        .await
}

/// Messages of a class until the breaker stands so.
async fn traffic_until(world: &World, class: &str, wanted: f64) -> Vec<Uuid> {
    let mut sent = Vec::new();
    eventually("the breaker changes", LIMIT, async || {
        sent.push(send(world, sent.len() as u64, class, "traffic").await);
        (health(world, FIRST).await == wanted).then_some(())
    })
    .await;
    sent
}

fn count(world: &World, carrier: &str, text: &str) -> usize {
    world.carrier_of(carrier).submits_of(text).len()
}

/// The first account is used again: new OTP go there.
async fn back_to_the_first(world: &World) {
    traffic_until(world, "transactional", 1.0).await;
    let before = count(world, FIRST, "back");
    for index in 0..5 {
        let otp = send(world, index, "otp", "back").await;
        world.until(otp, "delivered").await;
    }
    assert_eq!(count(world, FIRST, "back"), before + 5);
    assert_eq!(count(world, SECOND, "back"), 0);
}

#[tokio::test]
async fn when_a_carrier_dies_otp_goes_by_the_other_and_returns_when_it_is_back() {
    let world = world("window = 50").await;
    let first = world.carrier_of(FIRST);
    let before = send(&world, 0, "otp", "before").await;
    world.until(before, "delivered").await;
    assert_eq!(count(&world, FIRST, "before"), 1);
    first.smsc.set_script(Script {
        refuse_binds: Some(CommandStatus::ESME_RBINDFAIL.0),
        ..Script::default()
    });
    first.smsc.disconnect_all();
    let died = Instant::now();
    eventually("its breaker is open", LIMIT, async || {
        (health(&world, FIRST).await == 0.0).then_some(())
    })
    .await;
    let otp = send(&world, 1, "otp", "by the other").await;
    world.until(otp, "delivered").await;
    let took = died.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_eq!(count(&world, SECOND, "by the other"), 1);
    first.smsc.set_script(Script::default());
    back_to_the_first(&world).await;
    assert_eq!(opened(&world).await, 1.0);
}

#[tokio::test]
async fn a_carrier_that_fails_everything_is_left_and_chosen_again_once_it_works() {
    let world = world("window = 50").await;
    let first = world.carrier_of(FIRST);
    first.smsc.set_rules(vec![Rule::always(Then::status(
        CommandStatus::ESME_RSYSERR,
    ))]);
    traffic_until(&world, "promotional", 0.0).await;
    for index in 0..10 {
        let otp = send(&world, index, "otp", "safe").await;
        world.until(otp, "delivered").await;
    }
    assert_eq!(count(&world, SECOND, "safe"), 10, "no OTP is a probe");
    first.smsc.set_rules(Vec::new());
    back_to_the_first(&world).await;
}

#[tokio::test]
async fn a_carrier_that_never_answers_is_left_long_before_its_answers_time_out() {
    let world = world("window = 50\nresponse_timeout_ms = 10000").await;
    let first = world.carrier_of(FIRST);
    first.smsc.set_rules(vec![Rule::always(Then::Drop)]);
    let began = Instant::now();
    traffic_until(&world, "promotional", 0.0).await;
    let took = began.elapsed();
    assert!(took < Duration::from_secs(8), "{took:?}");
    let otp = send(&world, 1, "otp", "safe").await;
    world.until(otp, "delivered").await;
    assert_eq!(count(&world, SECOND, "safe"), 1);
    first.smsc.set_rules(Vec::new());
    back_to_the_first(&world).await;
}
