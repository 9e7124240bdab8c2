//! Lives here: the contract for tables that somebody else has spoilt.
//! Never here: the world they run in (`tests`).

use super::*;

on_databases! {
    an_overdue_row_that_cannot_be_read_does_not_stop_all_writing,
}

async fn an_overdue_row_that_cannot_be_read_does_not_stop_all_writing(ground: Ground) {
    let mut world = World::open(&ground).await;
    let (bad, good) = (world.accept(1).await, world.accept(1).await);
    ground
        .run(&format!(
            "update messages set recipient = 'nobody' where seq = {}",
            bad.seq.0
        ))
        .await;
    let late = Timestamp(90_000);
    let ended = world.store.end_overdue(late, late, late, 10);
    let ended = tokio::time::timeout(Duration::from_secs(10), ended).await;
    assert_eq!(ended.expect("it is committed").unwrap(), 1);
    assert_eq!(world.state(&good).await, State::Expired);
    world.close().await;
}
