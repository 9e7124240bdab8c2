//! Lives here: messages for later.
//! Never here: which times are refused (`bad_input`).

use std::time::{Duration, Instant, SystemTime};

use crate::world::{Plan, Stored, World, sms};

#[tokio::test]
async fn a_scheduled_message_is_sent_when_it_is_due_and_not_before_even_across_a_restart() {
    later(Stored::Sqlite).await;
}

#[tokio::test]
async fn a_scheduled_message_is_sent_when_it_is_due_and_not_before_even_across_a_restart_on_postgresql()
 {
    later(Stored::Postgres).await;
}

async fn later(stored: Stored) {
    let mut world = World::start(Plan::simple().stored(stored)).await;
    let ahead = Duration::from_secs(3);
    let (due, due_at) = (Instant::now() + ahead, SystemTime::now() + ahead);
    let mut later = sms("vodacom_tz", 1, "transactional", "later");
    later["schedule_at"] = jiff::Timestamp::try_from(due_at)
        .unwrap()
        .to_string()
        .into();
    let answer = world.client.try_send(&later).await.unwrap();
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_eq!(answer.json()["data"]["status"], "scheduled");
    let id = answer.id();
    let now = world
        .client
        .send(&sms("vodacom_tz", 2, "promotional", "now"))
        .await;
    world.until(now, "delivered").await;
    world.daemon.terminate().await;
    assert!(world.daemon.ended().await.success());
    world.restart().await;

    world.until(id, "delivered").await;
    let submits = world.carrier().submits_of("later");
    assert_eq!(submits.len(), 1);
    let late = submits[0].at.checked_duration_since(due);
    // A millisecond is lost where the time is written in milliseconds.
    let early = due.saturating_duration_since(submits[0].at);
    assert!(early <= Duration::from_millis(2), "{early:?} too early");
    assert!(
        late.unwrap_or_default() < Duration::from_secs(10),
        "{late:?}"
    );
}
