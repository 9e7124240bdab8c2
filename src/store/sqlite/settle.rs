//! Lives here: attempts, transitions and intents, as `settle` has decided them.
//! Never here: deciding; receipts (`receipts`).

use sqlx::Row;
use sqlx::sqlite::SqliteConnection;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, LazyLock};

use super::accept::carrier_text;
use super::bulk::{Bound, Bulk};
use crate::domain::ids::{CarrierId, IntentId, MessageSeq, Place, ReceiptKey};
use crate::domain::lifecycle::{self, SegmentState};
use crate::domain::message::{FailureCode, State};
use crate::domain::time::Timestamp;
use crate::flow::{AttemptRecord, Ready, Reroute, Transition};
use crate::store::Carriers;
use crate::store::batch::Intent;

static ATTEMPTS: Bulk = Bulk::new(
    "insert into attempts (message, part, attempt, carrier, bind, sequence, submitted_at, \
     answered_at, state, status, carrier_message_id, normalised, receipt_key, recipient) values",
    "(?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
    // Only an attempt in doubt can be answered a second time: by its late response.
    "on conflict (message, part, attempt) do update set answered_at = excluded.answered_at, \
     state = excluded.state, status = excluded.status, \
     carrier_message_id = excluded.carrier_message_id, normalised = excluded.normalised, \
     receipt_key = excluded.receipt_key, \
     resolved = case excluded.state when 0 then 1 when 6 then 2 end where attempts.state = 7",
);

/// Writes attempt rows; returns the receipt keys that are new.
pub(super) async fn attempts(
    conn: &mut SqliteConnection,
    records: &[&AttemptRecord],
) -> sqlx::Result<Vec<ReceiptKey>> {
    let mut keys = Vec::new();
    let rows: Vec<(&AttemptRecord, Option<ReceiptKey>)> = records
        .iter()
        .map(|record| {
            let key = record
                .carrier_message_id
                .as_ref()
                .map(|(_, normalised)| ReceiptKey::new(&record.carrier, normalised));
            keys.extend(key);
            (*record, key)
        })
        .collect();
    ATTEMPTS
        .execute(conn, &rows, |query, (record, key)| {
            let id = record.carrier_message_id.as_ref();
            let in_doubt = record.state == SegmentState::InDoubt;
            query
                .bind(record.message.seq.0)
                .bind(i64::from(record.part))
                .bind(i64::from(record.attempt))
                .bind(carrier_text(&record.carrier))
                .bind(Arc::clone(&record.bind.0))
                .bind(i64::from(record.sequence))
                .bind(record.submitted_at.0)
                .bind(record.answered_at.0)
                .bind(record.state.index())
                .bind(record.status.map(i64::from))
                .bind(id.map(|(raw, _)| &**raw))
                .bind(id.map(|(_, normalised)| &**normalised))
                .bind(key.map(|key| key.0))
                .bind(in_doubt.then(|| record.message.to.digits().to_owned()))
        })
        .await?;
    Ok(keys)
}

const MOVE_HEAD: &str = "with v (seq, state, mask, sent_at, final_at, failure, detail) as (values";
const MOVE_ROW: &str = "(?,?,?,?,?,?,?)";
const MOVE_TAIL: &str = ") update messages set state = v.state, sent_at = coalesce(messages.sent_at, v.sent_at), \
     final_at = v.final_at, failure = v.failure, detail = v.detail \
     from v where messages.seq = v.seq and ((v.mask >> messages.state) & 1) = 1";
static MOVE: Bulk = Bulk::new(MOVE_HEAD, MOVE_ROW, MOVE_TAIL);
/// The same, telling which messages have moved.
static MOVE_TOLD: LazyLock<Bulk> = LazyLock::new(|| {
    let tail = format!("{MOVE_TAIL} returning seq");
    Bulk::new(MOVE_HEAD, MOVE_ROW, Box::leak(tail.into_boxed_str()))
});

/// Where messages stand and since when: taken for submitted ones, ended for ended ones.
static STANDING: Bulk = Bulk::new(
    "select seq, state, case state when 4 then sent_at else final_at end from messages \
     where seq in (",
    "?",
    ")",
);

static UNSENT: Bulk = Bulk::new(
    "with v (seq, carrier) as (values",
    "(?,?)",
    ") select m.seq from v join messages m on m.seq = v.seq and m.carrier = v.carrier \
     where m.state in (1, 3)",
);

/// The states from which a move to `to` is legal, as a bit mask over their numbers.
fn legal_from(to: State) -> i64 {
    State::ALL
        .into_iter()
        .filter(|from| lifecycle::permits(*from, to))
        .fold(0, |mask, from| mask | 1 << from.index())
}

/// One move, in the form that the store needs.
pub(super) struct Move {
    pub(super) seq: MessageSeq,
    pub(super) to: State,
    pub(super) at: Timestamp,
    pub(super) failure: Option<&'static str>,
    pub(super) detail: Option<Box<str>>,
    pub(super) possible_duplicate: bool,
    /// The states it may start from, as a bit mask over their numbers.
    from: i64,
}

impl Move {
    /// What receipts have come to: every state may be left that the lifecycle lets go. `why` is
    /// what a receipt says of the failure beyond the state.
    pub(super) fn by_receipt(
        seq: MessageSeq,
        to: State,
        at: Timestamp,
        detail: Option<Box<str>>,
        why: Option<FailureCode>,
    ) -> Self {
        Self {
            seq,
            to,
            at,
            failure: why
                .or_else(|| lifecycle::failure_of(to))
                .map(FailureCode::name),
            detail,
            possible_duplicate: false,
            from: legal_from(to),
        }
    }
}

impl Move {
    /// Since when a message stands where this takes it, in its row.
    fn since(&self) -> Option<i64> {
        let timed = self.to == State::Submitted || self.to.is_terminal();
        timed.then_some(self.at.0)
    }
}

impl From<&Transition> for Move {
    /// What an attempt's outcome or the clock has come to. It never undoes what a carrier has
    /// taken: only receipts, and the clock's `unknown`, end a submitted message.
    fn from(transition: &Transition) -> Self {
        let submitted = 1 << State::Submitted.index();
        let from = match transition.to {
            State::Unknown => legal_from(State::Unknown),
            // What is in doubt has perhaps been sent: only the carrier can say that it expired.
            State::Expired => 1 << State::Queued.index(),
            to => legal_from(to) & !submitted,
        };
        Self {
            seq: transition.message.seq,
            to: transition.to,
            at: transition.at,
            failure: transition.failure.map(FailureCode::name),
            detail: transition.detail.clone(),
            possible_duplicate: transition.possible_duplicate,
            from,
        }
    }
}

static MARK: Bulk = Bulk::new(
    "update messages set possible_duplicate = 1 where seq in (",
    "?",
    ")",
);

/// Moves messages, in order; a move that is not legal from where the message stands does nothing.
/// Says of each whether it was made. A mark as possible duplicate is kept in any case.
pub(super) async fn moves(conn: &mut SqliteConnection, moves: &[Move]) -> sqlx::Result<Vec<bool>> {
    let marked: Vec<i64> = moves
        .iter()
        .filter(|one| one.possible_duplicate)
        .map(|one| one.seq.0)
        .collect();
    MARK.execute(conn, &marked, |query, seq| query.bind(*seq))
        .await?;
    let mut made = vec![false; moves.len()];
    let mut rest: Vec<usize> = (0..moves.len()).collect();
    while !rest.is_empty() {
        // One statement takes each message once; what moves twice goes into another round.
        let mut seen = HashSet::with_capacity(rest.len());
        let (round, later): (Vec<usize>, Vec<usize>) = rest
            .into_iter()
            .partition(|index| seen.insert(moves[*index].seq));
        let chosen: Vec<&Move> = round.iter().map(|index| &moves[*index]).collect();
        for (index, done) in round.into_iter().zip(move_once(conn, &chosen).await?) {
            made[index] = done;
        }
        rest = later;
    }
    Ok(made)
}

/// Moves each message once. The usual case, that every move is legal, costs no row to be
/// returned (`run singles` with a row for each: 21,000 a second, without: 25,000); what is queued
/// or in doubt has no time by which a move could be known again.
async fn move_once(conn: &mut SqliteConnection, moves: &[&Move]) -> sqlx::Result<Vec<bool>> {
    let bind = |query: Bound, one: &&Move| {
        query
            .bind(one.seq.0)
            .bind(one.to.index())
            .bind(one.from)
            .bind((one.to == State::Submitted).then_some(one.at.0))
            .bind(one.to.is_terminal().then_some(one.at.0))
            .bind(one.failure)
            .bind(one.detail.as_deref())
    };
    if moves.iter().any(|one| one.since().is_none()) {
        let rows = MOVE_TOLD.fetch(conn, moves, bind).await?;
        let moved = rows.iter().map(|row| row.try_get(0));
        let moved: HashSet<i64> = moved.collect::<sqlx::Result<_>>()?;
        return Ok(moves.iter().map(|one| moved.contains(&one.seq.0)).collect());
    }
    let changed = MOVE.execute(conn, moves, bind).await?;
    if changed == moves.len() as u64 {
        return Ok(vec![true; moves.len()]);
    }
    // Some were refused: a move was made if its message stands there since then.
    let rows = STANDING
        .fetch(conn, moves, |query, one| query.bind(one.seq.0))
        .await?;
    let mut standing = HashSet::with_capacity(rows.len());
    for row in &rows {
        let place: (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
        standing.insert((place, row.try_get::<Option<i64>, _>(2)?));
    }
    let made = |one: &&Move| standing.contains(&((one.seq.0, one.to.index()), one.since()));
    Ok(moves.iter().map(made).collect())
}

static REROUTE: Bulk = Bulk::new(
    "with v (seq, source, carrier, place, marked) as (values",
    "(?,?,?,?,?)",
    // A mark that only memory knows (an OTP of before a crash) must outlast the other lane's store;
    // that of a resend is written when it has gone, or a restart before that would make none.
    ") update messages set carrier = v.carrier, place = v.place, \
     possible_duplicate = messages.possible_duplicate | (v.marked and messages.state = 1) \
     from v where messages.seq = v.seq \
     and messages.carrier = v.source and messages.state in (1, 3)",
);

static PLACES: Bulk = Bulk::new(
    "select seq, place, state from messages where seq in (",
    "?",
    ")",
);

/// Puts messages that still wait, or are in doubt, at the ends of their new lanes; returns those
/// that have come there. What is in doubt is in no lane's order: it comes without a place.
pub(super) async fn reroute(
    conn: &mut SqliteConnection,
    carriers: &Carriers,
    reroutes: &[(&Reroute, Place)],
) -> sqlx::Result<Vec<Ready>> {
    let changed = REROUTE
        .execute(conn, reroutes, |query, (reroute, place)| {
            query
                .bind(reroute.ready.message.seq.0)
                .bind(carriers.text(reroute.ready.carrier))
                .bind(carriers.text(reroute.to))
                .bind(place.0)
                .bind(reroute.ready.possible_duplicate)
        })
        .await?;
    if changed == 0 {
        return Ok(Vec::new());
    }
    let rows = PLACES
        .fetch(conn, reroutes, |query, (reroute, _)| {
            query.bind(reroute.ready.message.seq.0)
        })
        .await?;
    let mut standing = HashMap::with_capacity(rows.len());
    for row in &rows {
        let place = (MessageSeq(row.try_get(0)?), Place(row.try_get(1)?));
        standing.insert(place, row.try_get::<i64, _>(2)?);
    }
    let come = |(reroute, place): &(&Reroute, Place)| {
        let state = standing.get(&(reroute.ready.message.seq, *place))?;
        let queued = *state == State::Queued.index();
        Some(Ready {
            carrier: reroute.to,
            place: if queued { *place } else { Place::default() },
            ..reroute.ready.clone()
        })
    };
    Ok(reroutes.iter().filter_map(come).collect())
}

/// Which of these messages may still be handed to this account: they wait, and in its lane.
pub(super) async fn still_unsent(
    conn: &mut SqliteConnection,
    asked: &[(MessageSeq, &CarrierId)],
) -> sqlx::Result<HashSet<MessageSeq>> {
    let rows = UNSENT
        .fetch(conn, asked, |query, (seq, carrier)| {
            query.bind(seq.0).bind(carrier_text(carrier))
        })
        .await?;
    rows.iter()
        .map(|row| Ok(MessageSeq(row.try_get(0)?)))
        .collect()
}

static INTEND: Bulk = Bulk::new(
    "insert into intents (id, carrier, bind, at, messages) values",
    "(?,?,?,?,?)",
    "on conflict (id) do nothing",
);

/// Records what is about to be handed to binds.
pub(super) async fn intend(conn: &mut SqliteConnection, intents: &[Intent]) -> sqlx::Result<()> {
    INTEND
        .execute(conn, intents, |query, intent| {
            let seqs = intent
                .batch
                .iter()
                .flat_map(|ready| ready.message.seq.0.to_be_bytes());
            query
                .bind(intent.id.0)
                .bind(carrier_text(&intent.carrier))
                .bind(Arc::clone(&intent.bind.0))
                .bind(intent.at.0)
                .bind(seqs.collect::<Vec<u8>>())
        })
        .await?;
    Ok(())
}

static CLOSE: Bulk = Bulk::new("delete from intents where id in (", "?", ")");

/// Forgets intents all of whose outcomes are recorded.
pub(super) async fn close(conn: &mut SqliteConnection, intents: &[IntentId]) -> sqlx::Result<()> {
    CLOSE
        .execute(conn, intents, |query, id| query.bind(id.0))
        .await?;
    Ok(())
}

/// What was found open at start.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Recovered {
    /// Messages still queued that had been handed to a bind: now uncertain.
    pub(crate) uncertain: u64,
    /// The newest number given, as a `seq` or as a place.
    pub(crate) last: Place,
    /// The last run ended by itself: every attempt that it made has its outcome.
    pub(crate) orderly: bool,
}

/// Notes that the run ends by itself; `recover` takes the note off again.
pub(super) async fn sign_off(conn: &mut SqliteConnection) -> sqlx::Result<()> {
    // The migrations keep their own table; this number of the file's header is free.
    sqlx::query("pragma user_version = 1").execute(conn).await?;
    Ok(())
}

/// An attempt that the last run had intended and not settled.
struct Interrupted {
    message: i64,
    carrier: String,
    bind: String,
    at: i64,
}

/// The attempts that stand in an open intent; of several the newest, which is with the account that
/// had the message last.
async fn interrupted(conn: &mut SqliteConnection) -> sqlx::Result<Vec<Interrupted>> {
    let rows = sqlx::query("select bind, at, messages, carrier from intents order by id desc")
        .fetch_all(conn)
        .await?;
    let mut found = Vec::new();
    for row in &rows {
        let blob: &[u8] = row.try_get(2)?;
        for octets in blob.chunks_exact(8) {
            let message = octets
                .try_into()
                .map(i64::from_be_bytes)
                .unwrap_or_default();
            found.push(Interrupted {
                message,
                carrier: row.try_get(3)?,
                bind: row.try_get(0)?,
                at: row.try_get(1)?,
            });
        }
    }
    found.sort_by_key(|one| one.message);
    found.dedup_by_key(|one| one.message);
    Ok(found)
}

/// The rows of interrupted attempts: each segment that no carrier has taken is in doubt. Its
/// sequence number is not known any more (0).
static INTERRUPTED: Bulk = Bulk::new(
    "with recursive v (message, carrier, bind, at) as (values",
    "(?,?,?,?)",
    "), n (part) as (select 1 union all select part + 1 from n where part < 16) \
     insert into attempts (message, part, attempt, carrier, bind, sequence, submitted_at, \
     answered_at, state, recipient) select distinct m.seq, n.part, 1 + coalesce((select max(a.attempt) \
     from attempts a where a.message = m.seq), 0), v.carrier, v.bind, 0, v.at, v.at, 7, m.recipient \
     from v join messages m on m.seq = v.message join n on n.part <= m.segments \
     where m.state in (1, 3) and not exists (select 1 from attempts a where a.message = m.seq \
     and a.part = n.part and a.state not in (6, 7)) on conflict do nothing",
);

/// After a crash: whatever was intended and has no outcome becomes uncertain, its attempt in
/// doubt. One that was in doubt already, or an OTP (its first attempt has no intent), has had its
/// one resend.
pub(super) async fn recover(conn: &mut SqliteConnection) -> sqlx::Result<Recovered> {
    let intended = interrupted(conn).await?;
    INTERRUPTED
        .execute(conn, &intended, |query, one| {
            query
                .bind(one.message)
                .bind(one.carrier.clone())
                .bind(one.bind.clone())
                .bind(one.at)
        })
        .await?;
    static DOUBT: Bulk = Bulk::new(
        "update messages set state = 3, \
         possible_duplicate = possible_duplicate | (state = 3 or class = 0) where state in (1, 3) \
         and seq in (",
        "?",
        ")",
    );
    let uncertain = DOUBT
        .execute(conn, &intended, |query, one| query.bind(one.message))
        .await?;
    sqlx::query("delete from intents")
        .execute(&mut *conn)
        .await?;
    // Places of what waits no more are in nobody's order.
    let last: i64 = sqlx::query(
        "select max(coalesce((select max(seq) from messages), 0), coalesce((select max(place) \
         from messages indexed by messages_waiting where state = 1), 0))",
    )
    .fetch_one(&mut *conn)
    .await?
    .try_get(0)?;
    let signed_off: i64 = sqlx::query("pragma user_version")
        .fetch_one(&mut *conn)
        .await?
        .try_get(0)?;
    sqlx::query("pragma user_version = 0")
        .execute(&mut *conn)
        .await?;
    // Workers that held a lease on an event not yet attempted are gone with their process.
    sqlx::query("update outbox set due_at = at where attempts = 0 and due_at > at")
        .execute(&mut *conn)
        .await?;
    Ok(Recovered {
        orderly: signed_off == 1 && intended.is_empty(),
        uncertain,
        last: Place(last),
    })
}
