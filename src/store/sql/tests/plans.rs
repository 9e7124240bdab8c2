//! Lives here: how PostgreSQL goes about statements that were prepared: always by an index.
//! Never here: what they answer.

use sqlx::{AssertSqlSafe, Row as _};

use super::*;
use crate::domain::ids::{BindName, EndpointId, EventId, IntentId, OrgId, Place, ReceiptKey};
use crate::domain::message::State;
use crate::store::batch::Intent;
use crate::store::hooks::{DeliveryPage, Hooks, Past};
use crate::store::memo::Memos;
use crate::store::rows::{Interrupted, Move, Overdue};
use crate::store::sql::endpoints;
use crate::store::upkeep::{Dropped, Upkeep};

/// The tables that grow, and the first columns of their keys.
const LARGE: [(&str, &str); 7] = [
    ("messages", "seq"),
    ("attempts", "message"),
    ("receipt_events", "message"),
    ("deliveries", "message"),
    ("outbox", "event"),
    ("receipt_inbox", "carrier"),
    ("memos", "key"),
];

/// The statements that a session has prepared, each with the plan that it will keep.
async fn plans(sql: &mut Sql) -> Vec<(String, Vec<String>)> {
    let Db::Postgres(conn, _) = sql.conn().unwrap().db() else {
        unreachable!("plans are PostgreSQL's");
    };
    let prepared = sqlx::raw_sql(
        "select name, statement, cardinality(parameter_types) from pg_prepared_statements",
    )
    .fetch_all(&mut *conn)
    .await
    .unwrap();
    let mut plans = Vec::new();
    for row in &prepared {
        let (name, statement): (String, String) = (row.get(0), row.get(1));
        let parameters: i32 = row.get(2);
        let nulls = vec!["null"; usize::try_from(parameters).unwrap()].join(", ");
        let call = if nulls.is_empty() {
            String::new()
        } else {
            format!("({nulls})")
        };
        let explain = format!("explain (costs off) execute {name}{call}");
        let Ok(lines) = sqlx::raw_sql(AssertSqlSafe(explain))
            .fetch_all(&mut *conn)
            .await
        else {
            // Words such as `begin` have no plan.
            continue;
        };
        let lines = lines.iter().map(|line| line.get(0)).collect();
        plans.push((statement, lines));
    }
    plans
}

/// What is wrong with a plan: a large table is walked, or its key, from one end to the other.
fn walks(plan: &[String]) -> Option<&String> {
    plan.iter().enumerate().find_map(|(at, line)| {
        let (how, on) = line.trim().split_once(" on ")?;
        let large = LARGE.iter().any(|(table, _)| {
            on.starts_with(&format!("{table}_d")) || on.split(' ').next() == Some(*table)
        });
        if !large || !how.contains("Scan") || how.contains("Bitmap Heap Scan") {
            return None;
        }
        let condition = plan.get(at + 1).filter(|next| next.contains("Index Cond"));
        let by_key = how.ends_with("_pkey");
        let first = LARGE
            .iter()
            .find(|(table, _)| on.starts_with(table))
            .map_or("", |(_, first)| *first);
        let found = condition.is_some_and(|condition| !by_key || condition.contains(first));
        (how.contains("Seq Scan") || !found).then_some(line)
    })
}

async fn ask_everything(sql: &mut Sql, number: i64) {
    let seqs = [message(1).seq, message(2).seq];
    let carrier = CarrierId("mtn_ng".into());
    let now = Timestamp(DAY * 86_400_000 + 2_000);
    sql.begin().await.unwrap();
    sql.messages(&seqs).await.unwrap();
    sql.standing(&seqs).await.unwrap();
    sql.mark(&seqs).await.unwrap();
    sql.unsent(&[(seqs[0], &carrier), (seqs[1], &carrier)])
        .await
        .unwrap();
    sql.due(now, 10).await.unwrap();
    sql.overdue(Overdue::Open, now, 10).await.unwrap();
    sql.overdue(Overdue::Unsent, now, 10).await.unwrap();
    sql.due_events(now, 10).await.unwrap();
    sql.give_up_events(now, 10).await.unwrap();
    sql.replay(&[(seqs[0], EventId(Uuid::nil()))], now)
        .await
        .unwrap();
    history(sql).await;
    sql.keyed(&[ReceiptKey(7), ReceiptKey(8)], now)
        .await
        .unwrap();
    sql.parked_keys().await.unwrap();
    sql.unpark(&[ReceiptKey(7)]).await.unwrap();
    let asked = [(carrier.clone(), message(1).to)];
    sql.doubts(&asked).await.unwrap();
    sql.orphans(&asked).await.unwrap();
    sql.release(&[(seqs[0], Place(seqs[0].0))]).await.unwrap();
    let to = |seq| Move::by_receipt(seq, State::Delivered, now, None, None);
    sql.make_moves(&[&to(seqs[0]), &to(seqs[1])]).await.unwrap();
    let intent = Intent {
        id: IntentId(1),
        carrier: carrier.clone(),
        bind: BindName("mtn_ng/1".into()),
        at: now,
        batch: Vec::new(),
        to: tokio::sync::mpsc::channel(1).0,
    };
    sql.intend(&[intent]).await.unwrap();
    let interrupted = Interrupted {
        message: seqs[0],
        carrier: carrier.clone(),
        bind: BindName("mtn_ng/1".into()),
        at: now,
    };
    sql.doubt(&[interrupted]).await.unwrap();
    sql.close_intents(&[IntentId(1)]).await.unwrap();
    sql.to_lane(&[(seqs[0], Place(seqs[0].0))], &carrier)
        .await
        .unwrap();
    sql.requeue(seqs[0], Place(seqs[0].0)).await.unwrap();
    sql.candidate(message(1).id).await.unwrap();
    let gone = [message(5_001).seq, message(5_002).seq];
    sql.there(&gone).await.unwrap();
    sql.redact(&gone).await.unwrap();
    let gone = gone.map(|seq| (seq, State::Delivered));
    sql.erase(&gone).await.unwrap();
    sql.delete(&gone).await.unwrap();
    sql.forget(message(1).to).await.unwrap();
    sql.memos(&[[7; 32], [8; 32]]).await.unwrap();
    sql.drop_memos(now, 10).await.unwrap();
    sql.commit(number).await.unwrap();
}

/// What is asked of the history of deliveries; beside the writer, in the same words.
async fn history(sql: &mut Sql) {
    let (org, target) = (OrgId(Uuid::nil()), EndpointId(Uuid::nil()));
    let mut db = sql.conn().unwrap().db();
    let page = DeliveryPage {
        org,
        live: true,
        after: None,
        delivered: Some(false),
        kind: None,
        target: Some(target),
        limit: 10,
        look: 100,
    };
    endpoints::delivery_page(&mut db, &page).await.unwrap();
    let past = Past {
        org,
        live: true,
        target: Some(target),
        after: EventId(Uuid::nil()),
        upto: EventId(Uuid::max()),
        failed_only: true,
        kept_from: message(1).seq,
        look: 100,
    };
    endpoints::past(&mut db, &past).await.unwrap();
}

async fn check(sql: &mut Sql) {
    let plans = plans(sql).await;
    assert!(plans.len() > 20, "{} plans", plans.len());
    let walking: Vec<String> = plans
        .into_iter()
        // At a start, once.
        .filter(|(statement, _)| !statement.contains("max(seq)"))
        .filter(|(statement, _)| !statement.contains("update outbox set due_at = at"))
        .filter_map(|(statement, plan)| {
            walks(&plan).map(|line| format!("{statement}\n{line} in\n{}", plan.join("\n")))
        })
        .collect();
    assert!(walking.is_empty(), "{}", walking.join("\n\n"));
}

#[tokio::test]
async fn statements_go_by_an_index_whether_planned_on_empty_or_on_filled_tables() {
    let database = database();
    let (mut sql, _reader) = opened(database.url()).await.unwrap();
    sql.prepare_day(DAY).await.unwrap();
    ask_everything(&mut sql, 1).await;
    check(&mut sql).await;
    // Analysed while empty: the planner then takes a table for empty and not for small.
    database.run("analyze").unwrap();
    ask_everything(&mut sql, 2).await;
    check(&mut sql).await;
    let messages: Vec<_> = (1..=2_000).map(message).collect();
    sql.begin().await.unwrap();
    sql.insert_messages(&messages).await.unwrap();
    sql.commit(3).await.unwrap();
    ask_everything(&mut sql, 4).await;
    check(&mut sql).await;
    database.run("analyze").unwrap();
    ask_everything(&mut sql, 5).await;
    check(&mut sql).await;
}

#[tokio::test]
async fn lists_go_to_the_partitions_of_their_days() {
    let database = database();
    let (mut sql, _reader) = opened(database.url()).await.unwrap();
    sql.prepare_day(DAY).await.unwrap();
    ask_everything(&mut sql, 1).await;
    let Db::Postgres(conn, _) = sql.conn().unwrap().db() else {
        unreachable!("plans are PostgreSQL's");
    };
    let whole: Vec<String> = sqlx::query_scalar(
        "select statement from pg_prepared_statements where statement like 'with v%' \
         and statement ~ '(update|join) (messages|attempts) '",
    )
    .fetch_all(conn)
    .await
    .unwrap();
    // What is done at a start, or by retention, goes to the whole table.
    let seldom = [
        "body = ''",
        "recipient = ",
        "n (part)",
        "case when state = 3",
    ];
    let is_often = |text: &&String| !seldom.iter().any(|part| text.contains(part));
    let often: Vec<&String> = whole.iter().filter(is_often).collect();
    assert!(often.is_empty(), "{often:#?}");
}

#[tokio::test]
async fn a_day_whose_drop_was_not_kept_is_looked_into() {
    let database = database();
    let (mut sql, _reader) = opened(database.url()).await.unwrap();
    sql.prepare_day(DAY).await.unwrap();
    commit(&mut sql, 1).await.unwrap();
    database.run("update messages set state = 5").unwrap();
    sql.begin().await.unwrap();
    assert_eq!(sql.drop_day(DAY).await.unwrap(), Dropped::Gone);
    assert!(sql.messages(&[message(1).seq]).await.unwrap().is_empty());
    sql.rollback().await;
    assert!(kept(&mut sql, 1).await);
}

#[tokio::test]
async fn a_partition_that_somebody_dropped_fails_one_transaction() {
    let database = database();
    let (mut sql, _reader) = opened(database.url()).await.unwrap();
    sql.prepare_day(DAY).await.unwrap();
    commit(&mut sql, 1).await.unwrap();
    database
        .run(&format!("drop table attempts_d{DAY}"))
        .unwrap();
    sql.begin().await.unwrap();
    assert!(sql.standing(&[message(1).seq]).await.is_err());
    sql.rollback().await;
    sql.begin().await.unwrap();
    assert!(sql.standing(&[message(1).seq]).await.unwrap().is_empty());
    sql.commit(2).await.unwrap();
}
