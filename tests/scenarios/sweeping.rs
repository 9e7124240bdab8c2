//! Lives here: operators who take back what waits while it is being sent: every message ends in one
//! way, and what was taken back is never seen by a carrier.
//! Never here: the sweep's own rules (`store::tests::control`).

use std::collections::HashMap;

use mnara_loadtest::smsc::Script;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::daemon::ctl;
use crate::world::{Carrier, LIMIT, Plan, World, eventually};

/// A carrier that is slow enough for a queue.
fn slow() -> Plan {
    let carrier = Carrier::simulated("vodacom_tz", Script::default());
    Plan::of([carrier.account("max_tps = 50")])
}

/// Sends so many messages; their ids with their texts.
async fn fill(world: &World, name: &str, classes: &[&str], count: usize) -> Vec<(Uuid, String)> {
    let mut sent = Vec::new();
    for index in 0..count {
        let text = format!("{name} {index}");
        let class = classes[index % classes.len()];
        let sms = world.sms("vodacom_tz", index as u64, class, &text);
        sent.push((world.client.send(&sms).await, text));
    }
    sent
}

/// Every message has ended, delivered once or cancelled unseen; the number of each.
async fn judge(world: &World, sent: &[(Uuid, String)]) -> (usize, usize) {
    let mut ended: HashMap<String, usize> = HashMap::new();
    for (id, text) in sent {
        let state = eventually(&format!("{id} ends"), LIMIT, async || {
            let message = world.client.message(*id).await;
            let state = message["status_detail"].as_str().unwrap().to_owned();
            ["delivered", "cancelled"]
                .contains(&&*state)
                .then_some(state)
        })
        .await;
        let seen = world.carrier().submits_of(text).len();
        assert_eq!(seen, usize::from(state == "delivered"), "{id} is {state}");
        *ended.entry(state).or_default() += 1;
    }
    let count = |state: &str| ended.get(state).copied().unwrap_or_default();
    (count("delivered"), count("cancelled"))
}

#[tokio::test]
async fn a_purge_under_load_never_doubles_or_loses_a_message() {
    let world = World::start(slow()).await;
    let sent = fill(&world, "swept", &["transactional", "promotional"], 300).await;
    let purge = [
        "queue",
        "purge",
        "--carrier",
        "vodacom_tz",
        "--reason",
        "a wrong text",
    ];
    let dry: Vec<&str> = purge.iter().copied().chain(["--dry-run"]).collect();
    let told = world.ctl(&dry).await;
    assert!(
        told["changed"].as_u64() > Some(0) && told["dry_run"] == true,
        "{told}"
    );
    let told = world.ctl(&purge).await;
    let purged = told["changed"].as_u64().unwrap() as usize;
    assert!(purged > 0, "{told}");
    // What comes after it is sent as ever, in the same lanes.
    let later = fill(&world, "later", &["transactional"], 20).await;
    let (delivered, cancelled) = judge(&world, &sent).await;
    assert_eq!((delivered + cancelled, cancelled), (sent.len(), purged));
    for (id, _) in later {
        world.until(id, "delivered").await;
    }
    eventually("their owner is told", LIMIT, async || {
        let events = world.hook.events();
        let canceled = events
            .iter()
            .filter(|event| event.kind == "message.canceled");
        (canceled.count() == purged).then_some(())
    })
    .await;
    let audit = world.ctl(&["audit"]).await;
    let line = &audit["audit"][0];
    assert_eq!(line["action"], "queue.purge");
    let outcome = line["outcome"].as_str().unwrap();
    assert!(
        outcome.starts_with(&format!("{purged} changed")),
        "{outcome}"
    );
}

#[tokio::test]
async fn single_cancels_race_with_the_binds_and_no_message_ends_twice() {
    let world = World::start(slow()).await;
    let sent = fill(
        &world,
        "swept",
        &["transactional", "promotional", "otp"],
        60,
    )
    .await;
    let mut cancelled = 0;
    for (id, _) in sent.iter().rev().step_by(2) {
        let id = id.to_string();
        let arguments = ["messages", "cancel", &id, "--reason", "typo", "--json"];
        let output = ctl(&world.config, world.daemon.admin, &arguments).await;
        match output.status.code() {
            Some(0) => cancelled += 1,
            Some(1) => {
                let error = String::from_utf8_lossy(&output.stderr);
                assert!(error.contains("(conflict)"), "{error}");
            }
            code => panic!("{code:?}"),
        }
    }
    let (delivered, ended) = judge(&world, &sent).await;
    assert_eq!((delivered + ended, ended), (sent.len(), cancelled));
}

#[tokio::test]
async fn a_paused_accounts_otp_can_be_purged_and_a_message_be_traced() {
    let world = World::start(slow()).await;
    let pause = ["carriers", "pause", "vodacom_tz", "--reason", "works"];
    world.ctl(&pause).await;
    let sent = fill(&world, "swept", &["otp", "transactional"], 10).await;
    let id = sent[0].0.to_string();
    let told = world.ctl(&["messages", "trace", &id]).await;
    assert_eq!(
        (&told["state"], &told["class"]),
        (&json!("queued"), &json!("otp"))
    );
    assert!(
        told["why"].as_str().unwrap().starts_with("paused by"),
        "{told}"
    );
    assert!(!told.to_string().contains("swept 0"), "without its text");
    let purge = ["queue", "purge", "--class", "otp", "--reason", "works"];
    // Only five seconds after the pause it is certain that no bind has one.
    let purged = eventually("the otp are purged", LIMIT, async || {
        let told = world.ctl(&purge).await;
        (told["otp_in_use"] == Value::Array(Vec::new())).then_some(told["changed"].clone())
    })
    .await;
    assert_eq!(purged, 5);
    world.ctl(&["carriers", "resume", "vodacom_tz"]).await;
    assert_eq!(judge(&world, &sent).await, (5, 5));
}
