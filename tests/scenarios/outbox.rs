//! Lives here: a webhook receiver that fails for a while.
//! Never here: the schedule of retries; `webhooks` has its own tests.

use mnara_loadtest::hook::Answer;

use crate::world::{LIMIT, Plan, World, eventually, header};

#[tokio::test]
async fn an_event_that_was_refused_comes_again_as_it_was() {
    let world = World::start(Plan::simple()).await;
    world
        .hook
        .answer_next([Answer::Status(500), Answer::Status(404)]);
    let sms = world.sms("vodacom_tz", 1, "transactional", "try again");
    let id = world.client.send(&sms).await;
    let told = world
        .hook
        .wait_until(LIMIT, |hook| hook.seen(id).sent && hook.seen(id).delivered)
        .await;
    assert!(told, "{:?}", world.hook.counts());
    let events = world.hook.events();
    assert_eq!(events.len(), 4);
    for refused in &events[..2] {
        let name = header(refused, "webhook-id");
        let again: Vec<_> = events[2..]
            .iter()
            .filter(|event| header(event, "webhook-id") == name)
            .collect();
        assert_eq!(again.len(), 1, "{name}");
        assert_eq!(again[0].body, refused.body);
        assert_eq!(again[0].signature_ok, Some(true));
    }
    let counts = world.hook.counts();
    assert_eq!((counts.sent, counts.delivered, counts.doubled), (1, 1, 0));
    eventually("the timeline tells of the failures", LIMIT, async || {
        let events = world.client.events(id).await;
        let attempts = events.iter().filter(|event| event["type"] == "webhook");
        (attempts.count() == 4).then_some(())
    })
    .await;
}

#[tokio::test]
async fn events_that_wait_at_a_kill_are_delivered_after_the_restart() {
    let mut world = World::start(Plan::simple()).await;
    world.hook.set_answer(Answer::Hang);
    let sms = world.sms("vodacom_tz", 1, "transactional", "remember");
    let id = world.client.send(&sms).await;
    world.until(id, "delivered").await;
    assert!(
        world
            .hook
            .wait_until(LIMIT, |hook| hook.counts().requests >= 1)
            .await
    );
    world.daemon.kill().await;
    world.hook.set_answer(Answer::Status(204));
    world.restart().await;
    let told = world
        .hook
        .wait_until(LIMIT, |hook| hook.seen(id).sent && hook.seen(id).delivered)
        .await;
    assert!(told, "{:?}", world.hook.counts());
    assert_eq!(world.hook.counts().doubled, 0);
}
