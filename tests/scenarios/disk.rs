//! Lives here: a disk that takes no more: the daemon stops saying yes, and goes on when it can.
//! Never here: what a file system does in a power loss.

use tokio::process::Command;

use crate::world::{LIMIT, Plan, World, eventually, sms};

#[tokio::test]
async fn on_a_full_disk_the_daemon_says_503_stops_submitting_and_goes_on_by_itself() {
    let mut world = World::start(Plan::simple()).await;
    let before = world
        .client
        .send(&sms("vodacom_tz", 1, "transactional", "before"))
        .await;
    world.until(before, "delivered").await;
    // No file may grow any more, as on a full disk; the daemon gets EFBIG instead of ENOSPC.
    limit(&world, "0").await;
    let refused = eventually("a send is refused", LIMIT, async || {
        let sms = sms("vodacom_tz", 2, "otp", "full");
        let answer = world.client.try_send(&sms).await.unwrap();
        (answer.status != 201).then_some(answer)
    })
    .await;
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert_eq!(refused.json()["code"], "overloaded");
    assert!(refused.headers.contains_key("retry-after"), "{refused:?}");
    let submits = world.carrier().smsc.stats().submits;
    for _ in 0..20 {
        let sms = sms("vodacom_tz", 3, "transactional", "full");
        let answer = world.client.try_send(&sms).await.unwrap();
        assert_eq!(answer.status, 503, "{}", answer.text());
    }
    assert_eq!(world.carrier().smsc.stats().submits, submits);
    // What was accepted can still be read.
    assert_eq!(world.client.message(before).await["status"], "delivered");
    assert!(world.daemon.lives());

    limit(&world, "unlimited").await;
    let after = eventually("the daemon accepts again", LIMIT, async || {
        let sms = sms("vodacom_tz", 4, "transactional", "after");
        let answer = world.client.try_send(&sms).await.unwrap();
        (answer.status == 201).then(|| answer.id())
    })
    .await;
    world.until(after, "delivered").await;
    world.until_ready().await;
    assert!(world.carrier().submits_of("full").is_empty());
    assert_eq!(world.carrier().submits_of("after").len(), 1);
}

async fn limit(world: &World, octets: &str) {
    let pid = world.daemon.pid().to_string();
    let fsize = format!("--fsize={octets}:unlimited");
    let set = Command::new("prlimit")
        .args(["--pid", &pid, &fsize])
        .status()
        .await;
    assert!(
        set.is_ok_and(|status| status.success()),
        "this scenario limits the daemon's files: install util-linux's prlimit"
    );
}

#[tokio::test]
async fn sigterm_while_the_disk_is_full_ends_soon_and_the_next_start_finds_everything() {
    let mut world = World::start(Plan::simple()).await;
    let before = world
        .client
        .send(&sms("vodacom_tz", 1, "transactional", "before"))
        .await;
    world.until(before, "delivered").await;
    limit(&world, "0").await;
    eventually("a send is refused", LIMIT, async || {
        let sms = sms("vodacom_tz", 2, "otp", "full");
        let answer = world.client.try_send(&sms).await.unwrap();
        (answer.status == 503).then_some(())
    })
    .await;
    world.daemon.terminate().await;
    // Within the time of a drain; without a commit nobody could finish before its deadline.
    world.daemon.ended().await;
    let left = world.daemon.log().event("the store's writer has ended");
    assert!(left.is_some(), "{:?}", world.daemon.log().lines());
    world.restart().await;
    world.until(before, "delivered").await;
}
