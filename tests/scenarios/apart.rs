//! Lives here: accounts of several binds: transmitter and receiver apart, one bind lost of two.
//! Never here: one bind's life (`binding`, `silence`).

use mnara_loadtest::smsc::{Rule, Script, Then, When};

use crate::world::{Carrier, LIMIT, Plan, World, sms};

#[tokio::test]
async fn receipts_come_over_the_receiver_where_transmitter_and_receiver_are_apart() {
    let carrier = Carrier::simulated("airtel_ng", Script::default()).bind(
        "mode = \"transmitter\"\nwindow = 20\n[[carrier.bind]]\nhost = \"127.0.0.1\"\nport = PORT\n\
         system_id = \"mnara\"\npassword = \"s3cr3t-p\"\nmode = \"receiver\"",
    );
    let world = World::start(Plan::of([carrier])).await;
    let bound = |stats: &mnara_loadtest::smsc::Stats| stats.binds_open == 2;
    assert!(world.carrier().smsc.wait_until(LIMIT, bound).await);
    for index in 0..10 {
        let id = world
            .client
            .send(&sms("airtel_ng", index, "transactional", "apart"))
            .await;
        world.until(id, "delivered").await;
    }
    assert_eq!(world.carrier().submits_of("apart").len(), 10);
    let binds = world.ctl(&["binds"]).await;
    assert_eq!(binds["binds"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn when_one_of_two_binds_is_cut_the_other_carries_on() {
    let cut = When {
        text_contains: Some("cut".into()),
        first: Some(1),
        ..When::default()
    };
    let script = Script {
        rules: vec![Rule::when(cut, Then::Disconnect)],
        ..Script::default()
    };
    let carrier = Carrier::simulated("vodacom_tz", script).bind("count = 2\nwindow = 10");
    let world = World::start(Plan::of([carrier])).await;
    let two = |stats: &mnara_loadtest::smsc::Stats| stats.binds_open == 2;
    assert!(world.carrier().smsc.wait_until(LIMIT, two).await);
    let lost = world
        .client
        .send(&sms("vodacom_tz", 1, "promotional", "cut"))
        .await;
    world.until(lost, "uncertain").await;
    for index in 0..50 {
        let id = world
            .client
            .send(&sms("vodacom_tz", index, "transactional", "on"))
            .await;
        world.until(id, "delivered").await;
    }
    assert_eq!(world.ask_admin("/readyz").await.status, 200);
    assert!(
        world.carrier().smsc.wait_until(LIMIT, two).await,
        "and it comes back"
    );
    assert_eq!(world.carrier().submits_of("on").len(), 50);
}
