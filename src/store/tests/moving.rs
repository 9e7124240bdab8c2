//! Lives here: moving a store from one database to the other: it is the same there, it can be
//! broken off and gone on with, and it is refused where it would do harm.
//! Never here: the world they run in (`tests`); going on after a move (`history`).

use tokio::sync::Notify;

use super::*;
use crate::store::sql::dump::Dump;

/// Enough for several pages.
const MANY: u64 = 10_000;

on_databases! {
    a_copy_that_was_broken_off_is_not_opened_and_goes_on_without_doubling_a_row,
    a_copy_of_a_store_that_was_used_since_does_not_go_on,
    a_copy_goes_into_an_empty_database_only,
    a_store_that_a_daemon_has_is_not_copied_and_not_copied_to,
    a_copy_that_differs_says_so_and_stays_shut,
    the_audit_goes_on_behind_what_was_copied,
}

/// Moves a store to the other database; what both hold.
pub(super) async fn moved(from: &Ground) -> (Ground, Dump) {
    let to = from.across().await;
    let copied = copy(&from.url(), &to.url(), |_| ()).await.unwrap();
    assert!(copied.is_complete(), "{copied:?}");
    assert!(!copied.resumed);
    let dump = from.dump().await;
    let rows = dump.values().map(Vec::len).sum::<usize>() - dump["house"].len();
    assert_eq!(copied.rows, rows as u64);
    assert_eq!(to.dump().await, dump);
    (to, dump)
}

/// Copies, and is broken off after so many pages.
async fn broken_off(from: &Ground, to: &Ground, pages: u32) {
    let (enough, mut told) = (Notify::new(), 0);
    let (from, to) = (from.url(), to.url());
    let copying = copy(&from, &to, |_| {
        told += 1;
        if told == pages {
            enough.notify_one();
        }
    });
    tokio::select! {
        biased;
        () = enough.notified() => {}
        done = copying => panic!("it was done before: {done:?}"),
    }
}

async fn opens(ground: &Ground) -> Result<(), String> {
    let ((committed, _one), (events, _two)) = (mpsc::channel(10), mpsc::channel(10));
    let opened = ground.try_open(vec![carrier()], committed, events).await;
    opened.map(drop).map_err(|error| error.to_string())
}

async fn refusal(from: &Ground, to: &Ground) -> String {
    let copied = copy(&from.url(), &to.url(), |_| ()).await;
    copied.unwrap_err().to_string()
}

async fn a_copy_that_was_broken_off_is_not_opened_and_goes_on_without_doubling_a_row(from: Ground) {
    fill(&from.url(), MANY, 2).await.unwrap();
    let to = from.across().await;
    let mut before = 0;
    for pages in [3, 4] {
        broken_off(&from, &to, pages).await;
        let there: usize = to.dump().await.values().map(Vec::len).sum();
        assert!(there > before, "it has gone on");
        before = there;
        let refused = opens(&to).await.unwrap_err();
        assert!(refused.contains("a copy that is not complete"), "{refused}");
        // Neither can it be copied from.
        let refused = refusal(&to, &from.another().await).await;
        assert!(refused.starts_with("--from: "), "{refused}");
    }
    let copied = copy(&from.url(), &to.url(), |_| ()).await.unwrap();
    assert!(copied.is_complete() && copied.resumed, "{copied:?}");
    assert!((1..MANY * 4).contains(&copied.rows), "{}", copied.rows);
    assert_eq!(to.dump().await, from.dump().await);
    opens(&to).await.unwrap();
}

async fn a_copy_of_a_store_that_was_used_since_does_not_go_on(from: Ground) {
    fill(&from.url(), MANY, 0).await.unwrap();
    let to = from.across().await;
    broken_off(&from, &to, 2).await;
    let mut world = World::open(&from).await;
    world.accept(1).await;
    world.close().await;
    let refused = refusal(&from, &to).await;
    assert!(refused.contains("has been used since"), "{refused}");
}

async fn a_copy_goes_into_an_empty_database_only(from: Ground) {
    let to = from.across().await;
    let mut world = World::open(&to).await;
    let message = world.accept(1).await;
    world.close().await;
    World::open(&from).await.close().await;
    let refused = refusal(&from, &to).await;
    assert!(refused.contains("messages is not empty"), "{refused}");
    // Nothing has happened to it.
    let world = World::open(&to).await;
    assert_eq!(world.state(&message).await, State::Queued);
    world.close().await;
    assert!(refusal(&from, &from).await.contains("the same store"));
    let refused = copy("sqlite:/nowhere/mnara.db", &to.url(), |_| ()).await;
    assert!(matches!(refused, Err(CopyError::Missing { .. })));
    // One that a daemon has had, but nobody's messages, is as good as a fresh one.
    let had = from.across().await;
    World::open(&had).await.close().await;
    assert!(
        copy(&from.url(), &had.url(), |_| ())
            .await
            .unwrap()
            .is_complete()
    );
    assert_eq!(had.dump().await, from.dump().await);
}

async fn a_store_that_a_daemon_has_is_not_copied_and_not_copied_to(from: Ground) {
    let to = from.across().await;
    let world = at_work(&from).await;
    let refused = refusal(&from, &to).await;
    assert!(refused.starts_with("--from: another daemon"), "{refused}");
    world.close().await;
    let world = at_work(&to).await;
    let refused = refusal(&from, &to).await;
    assert!(refused.starts_with("--to: another daemon"), "{refused}");
    world.close().await;
    assert!(
        copy(&from.url(), &to.url(), |_| ())
            .await
            .unwrap()
            .is_complete()
    );
}

/// A daemon whose writer has the lock: between opening and its first work it lets go of it once, to
/// take it with a connection of its own thread.
async fn at_work(ground: &Ground) -> World {
    let world = World::open(ground).await;
    world.store.deliveries(Vec::new()).await.unwrap();
    world
}

async fn a_copy_that_differs_says_so_and_stays_shut(from: Ground) {
    fill(&from.url(), MANY, 0).await.unwrap();
    let to = from.across().await;
    broken_off(&from, &to, 2).await;
    to.run("update messages set detail = 'other' where seq = (select min(seq) from messages)")
        .await;
    let copied = copy(&from.url(), &to.url(), |_| ()).await.unwrap();
    assert!(!copied.is_complete());
    let differing: Vec<&str> = copied
        .tables
        .iter()
        .filter(|one| !one.agrees())
        .map(|one| one.table)
        .collect();
    assert_eq!(differing, ["messages"]);
    assert!(opens(&to).await.is_err());
}

async fn the_audit_goes_on_behind_what_was_copied(from: Ground) {
    let entry = |action: &str| AuditEntry {
        at: Timestamp(1),
        actor: "she".into(),
        action: action.into(),
        subject: "it".into(),
        detail: "{}".into(),
        outcome: "done".into(),
    };
    let world = World::open(&from).await;
    for action in ["one", "two"] {
        world.store.note(entry(action)).await.unwrap();
    }
    world.close().await;
    let (to, _) = moved(&from).await;
    let world = World::open(&to).await;
    world.store.note(entry("three")).await.unwrap();
    let actions: Vec<String> = world
        .store
        .audit(10)
        .await
        .unwrap()
        .into_iter()
        .map(|entry| entry.action.to_string())
        .collect();
    assert_eq!(actions, ["three", "two", "one"]);
    world.close().await;
}

#[tokio::test]
async fn what_postgresql_cannot_hold_of_a_carriers_field_is_cleaned_and_counted() {
    let from = Ground::sqlite().await;
    World::open(&from).await.close().await;
    from.run(
        "insert into receipt_inbox (carrier, normalised, stat, done_date, receipt_key, raw_id, err, \
         received_at) values ('mtn_ng', 'a' || char(0), 'DELIVRD', 'x' || char(0), 1, 'a', '', 5), \
         ('mtn_ng', 'b', 'DELIVRD', '', 1, 'b', '', 5)",
    )
    .await;
    let to = Ground::postgres().await;
    let copied = copy(&from.url(), &to.url(), |_| ()).await.unwrap();
    assert!(copied.is_complete(), "{copied:?}");
    let cleaned = |copied: &Copied| -> u64 { copied.tables.iter().map(Compared::cleaned).sum() };
    assert_eq!(cleaned(&copied), 2);
    let inbox = &to.dump().await["receipt_inbox"];
    assert_eq!(inbox[0][1].as_deref(), Some("a\u{fffd}"));
    // Where it can be held it is kept.
    let other = Ground::sqlite().await;
    let copied = copy(&from.url(), &other.url(), |_| ()).await.unwrap();
    assert!(copied.is_complete(), "{copied:?}");
    assert_eq!(cleaned(&copied), 0);
    assert_eq!(other.dump().await, from.dump().await);
}
