//! Lives here: a second daemon started by mistake.
//! Never here: several nodes.

use crate::daemon::run;
use crate::world::{Plan, Stored, World, sms};

#[tokio::test]
async fn a_second_daemon_on_the_same_database_is_refused_and_the_first_goes_on() {
    two(Stored::Sqlite).await;
}

#[tokio::test]
async fn a_second_daemon_on_the_same_postgresql_database_is_refused_and_the_first_goes_on() {
    two(Stored::Postgres).await;
}

async fn two(stored: Stored) {
    let mut world = World::start(Plan::simple().stored(stored)).await;
    let output = run(&["serve", "--config", world.config.to_str().unwrap()]).await;
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("another daemon"), "{error}");
    let holder = match stored {
        Stored::Sqlite => "mnara.db.lock".to_owned(),
        Stored::Postgres => format!("mnara writer (process {})", world.daemon.pid()),
    };
    assert!(error.contains(&holder), "{error}");
    let id = world
        .client
        .send(&sms("vodacom_tz", 1, "transactional", "first"))
        .await;
    world.until(id, "delivered").await;
    // After a kill nothing is in the way of the next one.
    world.daemon.kill().await;
    world.restart().await;
    world.until(id, "delivered").await;
}
