//! Lives here: a daemon to which nobody listens: what both its streams go to has ended.
//! Never here: what is logged.

use std::time::Duration;

use hyper::Method;

use crate::world::{Plan, World, sms};

/// The daemon's own deadlines for an end without work are shorter.
const END: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_daemon_whose_streams_are_broken_pipes_serves_and_ends_and_lets_its_database_go() {
    let mut world = World::start(Plan::simple()).await;
    world.daemon.hear_no_more();
    // A warning and an operator's command are to be logged.
    let pause = ["carriers", "pause", "vodacom_tz", "--reason", "unheard"];
    world.ctl(&pause).await;
    world.ctl(&["carriers", "resume", "vodacom_tz"]).await;
    world.daemon.hang_up().await;
    let body = sms("vodacom_tz", 1, "otp", "unheard");
    let id = world.client.send(&body).await;
    world.until(id, "delivered").await;
    world.daemon.terminate().await;
    let ended = tokio::time::timeout(END, world.daemon.ended()).await;
    assert!(ended.expect("it ends in time").success());
    // The lock is free.
    world.restart().await;
    let path = format!("/v1/messages/{id}");
    let found = world.client.call(Method::GET, &path, "").await.unwrap();
    assert_eq!(found.status, 200);
}
