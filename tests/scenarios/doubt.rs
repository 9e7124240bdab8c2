//! Lives here: a connection lost with a full window: each class follows its policy.
//! Never here: crashes of the daemon (`kill`), late answers (`late`).

use mnara_loadtest::smsc::{Fate, Rule, Script, Then};

use crate::world::{Carrier, LIMIT, Plan, Stored, World, eventually, sms};

const CLASSES: [&str; 3] = ["otp", "transactional", "promotional"];

#[tokio::test]
async fn after_a_lost_connection_an_otp_is_resent_once_and_the_others_wait_for_proof() {
    lost(Stored::Sqlite).await;
}

#[tokio::test]
async fn after_a_lost_connection_an_otp_is_resent_once_and_the_others_wait_for_proof_on_postgresql()
{
    lost(Stored::Postgres).await;
}

async fn lost(stored: Stored) {
    let script = Script {
        rules: vec![Rule::always(Then::Drop)],
        ..Script::default()
    };
    let world =
        World::start(Plan::of([Carrier::simulated("vodacom_tz", script)]).stored(stored)).await;
    let mut ids = Vec::new();
    for (index, class) in (1..).zip(CLASSES) {
        ids.push(
            world
                .client
                .send(&sms("vodacom_tz", index, class, class))
                .await,
        );
    }
    let carrier = world.carrier();
    carrier.until_submits(3).await;
    carrier.smsc.set_rules(Vec::new());
    carrier.smsc.disconnect_all();
    for id in &ids {
        world.until(*id, "uncertain").await;
    }
    world.until_ready().await;
    // What comes new is not held up by what is in doubt.
    let fresh = world
        .client
        .send(&sms("vodacom_tz", 9, "transactional", "fresh"))
        .await;
    world.until(fresh, "delivered").await;

    let otp = world.until(ids[0], "delivered").await;
    assert_eq!(otp["possible_duplicate"], true);
    let fates: Vec<_> = carrier
        .submits_of("otp")
        .iter()
        .map(|submit| submit.fate)
        .collect();
    assert_eq!(fates, [Fate::Dropped, Fate::Accepted]);
    for (id, class) in ids.iter().zip(CLASSES).skip(1) {
        let message = world.client.message(*id).await;
        assert_eq!(message["status_detail"], "uncertain", "{class}");
        assert_eq!(message["status"], "queued", "{class}");
        assert_eq!(carrier.submits_of(class).len(), 1, "{class}");
    }
    let duplicates = world
        .metric("mnara_possible_duplicates_total", &["\"otp\""])
        .await;
    assert_eq!(duplicates, 1.0);
}

#[tokio::test]
async fn a_window_lost_to_a_cut_in_the_middle_costs_no_other_message() {
    // The carrier cuts the line at every 40th message.
    let script = Script {
        rules: vec![Rule::when(
            mnara_loadtest::smsc::When {
                every_nth: Some(40),
                ..Default::default()
            },
            Then::Disconnect,
        )],
        ..Script::default()
    };
    let world = World::start(Plan::of([Carrier::simulated("vodacom_tz", script)])).await;
    let mut ids = Vec::new();
    for index in 0..100 {
        let text = format!("cut {index}");
        let sms = sms("vodacom_tz", index, "transactional", &text);
        ids.push((world.client.send(&sms).await, text));
    }
    let mut in_doubt = 0;
    for (id, text) in &ids {
        let message = eventually("every message is calm", LIMIT, async || {
            let message = world.client.message(*id).await;
            let status = message["status_detail"].as_str().unwrap().to_owned();
            assert!(
                ["queued", "submitted", "delivered", "uncertain"].contains(&&*status),
                "{message}"
            );
            (status == "delivered" || status == "uncertain").then_some(message)
        })
        .await;
        let uncertain = message["status_detail"] == "uncertain";
        in_doubt += usize::from(uncertain);
        // What was written behind the cut was never read: that is what doubt means.
        let submits = world.carrier().submits_of(text).len();
        assert!(
            submits == 1 || (uncertain && submits == 0),
            "{submits} of {message}"
        );
    }
    assert!((1..=60).contains(&in_doubt), "{in_doubt} in doubt");
}
