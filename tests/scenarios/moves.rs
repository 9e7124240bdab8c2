//! Lives here: messages that wait for an account that is out of use, will not have them, or may
//! have lost them, and go by another.
//! Never here: when a breaker opens (`failover`), one account alone with its doubts (`doubt`).

use std::collections::HashSet;

use mnara_loadtest::smsc::{Fate, Rule, Script, Then};
use mnara_smpp::status::CommandStatus;

use crate::world::{Carrier, LIMIT, Plan, World, sms};

const MESSAGES: usize = 300;

/// Two accounts of one network, the first choice first.
async fn world(first: Script, account: &'static str, sections: &str) -> World {
    let first = Carrier::simulated("vodacom_tz", first)
        .named("first")
        .account(account);
    let second = Carrier::simulated("vodacom_tz", Script::default()).named("second");
    let world = World::start(Plan::of([first, second]).with(sections)).await;
    for id in ["first", "second"] {
        let bound = |stats: &mnara_loadtest::smsc::Stats| stats.binds_open == 1;
        assert!(world.carrier_of(id).smsc.wait_until(LIMIT, bound).await);
    }
    world
}

#[tokio::test]
async fn what_waits_for_a_paused_account_goes_by_the_other_from_memory_and_store_and_once() {
    // A slow account with a small memory: nearly all waits in the store.
    let patience = "[scheduler]\nready_max = 16\n[failover]\ntransactional_after_s = 0";
    let world = world(Script::default(), "max_tps = 2", patience).await;
    let mut ids = Vec::new();
    for index in 0..MESSAGES {
        let class = ["transactional", "otp", "promotional"][index % 3];
        let text = format!("{class} {index}");
        let sms = sms("vodacom_tz", index as u64, class, &text);
        ids.push((class, world.client.send(&sms).await));
    }
    let pause = ["carriers", "pause", "first", "--reason", "works"];
    world.ctl(&pause).await;
    let moved = ids.iter().filter(|(class, _)| *class != "promotional");
    for (_, id) in moved {
        world.until(*id, "delivered").await;
    }
    let texts = |id: &str| -> Vec<String> {
        let log = world.carrier_of(id).log.snapshot();
        log.into_iter().map(|submit| submit.text).collect()
    };
    let (first, second) = (texts("first"), texts("second"));
    assert!(second.len() > MESSAGES / 2, "{}", second.len());
    assert!(
        second.iter().all(|text| !text.starts_with("promotional")),
        "promotional stands by its account"
    );
    let all: HashSet<&String> = first.iter().chain(&second).collect();
    assert_eq!(all.len(), first.len() + second.len(), "nothing went twice");
    let labels = ["from=\"first\"", "to=\"second\"", "reason=\"paused\""];
    let counted = world.metric("mnara_failover_total", &labels).await;
    assert!(counted >= second.len() as f64, "{counted}");
    world.ctl(&["carriers", "resume", "first"]).await;
}

#[tokio::test]
async fn what_one_account_will_not_have_another_may_and_the_attempts_tell() {
    let refusing = Script {
        rules: vec![Rule::always(Then::status(CommandStatus::ESME_RINVSRCADR))],
        ..Script::default()
    };
    let world = world(refusing, "", "").await;
    let id = world
        .client
        .send(&sms("vodacom_tz", 1, "transactional", "elsewhere"))
        .await;
    world.until(id, "delivered").await;
    let events = world.client.events(id).await;
    let accounts: Vec<&str> = events
        .iter()
        .filter_map(|event| event["carrier"].as_str())
        .collect();
    assert_eq!(accounts, ["first", "second"], "{events:?}");
    let message = world.client.message(id).await;
    assert_ne!(message["possible_duplicate"], true, "it was refused");
}

#[tokio::test]
async fn an_otp_in_doubt_is_resent_by_the_other_account_and_marked() {
    let silent = Script {
        rules: vec![Rule::always(Then::Drop)],
        ..Script::default()
    };
    let world = world(silent, "", "[scheduler]\notp_resend_after_s = 1").await;
    let first = world.carrier_of("first");
    let id = world
        .client
        .send(&sms("vodacom_tz", 1, "otp", "perhaps"))
        .await;
    first.until_submits(1).await;
    first.smsc.set_rules(Vec::new());
    first.smsc.disconnect_all();
    let message = world.until(id, "delivered").await;
    assert_eq!(message["possible_duplicate"], true);
    assert_eq!(first.submits_of("perhaps")[0].fate, Fate::Dropped);
    assert_eq!(world.carrier_of("second").submits_of("perhaps").len(), 1);
    let labels = ["reason=\"doubt\"", "class=\"otp\""];
    assert_eq!(world.metric("mnara_failover_total", &labels).await, 1.0);
}
