//! Lives here: the writer's face of both databases: each question is put to the writer's
//! connection, within the time that an answer may take.
//! Never here: statements; how transactions end (`commit`).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::db::Conn;
use super::{Sql, attempts, house, inbox, lost, messages, operators, outbox, receipts, within};
use crate::domain::ids::{CarrierId, EventId, IntentId, MessageId, MessageSeq, Place, ReceiptKey};
use crate::domain::lifecycle::SegmentState;
use crate::domain::message::{Message, State};
use crate::domain::receipt::Receipt;
use crate::domain::time::Timestamp;
use crate::flow::{AttemptRecord, DeliveryRecord, EventJob, Reroute};
use crate::store::batch::Intent;
use crate::store::control::{AuditEntry, HoldRow, Sweep};
use crate::store::inbox::{Keeping, Kept, Match};
use crate::store::rows::{
    AttemptId, Candidate, Doubt, House, Interrupted, Keyed, LaneRow, Move, Overdue, Proof,
    Recipient, Rows, Stored, Unkept,
};
use crate::store::{Carriers, StoreError};

/// Puts a question to the connection. One that is lost, or gives no answer in time, is given up,
/// and the transaction with it.
macro_rules! ask {
    ($self:ident, |$db:ident| $question:expr) => {{
        let patience = $self.patience;
        let conn = $self.conn.as_mut().ok_or_else(lost)?;
        // SQLite is no further away than the disk.
        let bounded = matches!(conn, Conn::Postgres(_));
        let mut lent = conn.db().with($self.days.as_ref());
        let $db = &mut lent;
        let done = if bounded {
            within(patience, $question).await
        } else {
            $question.await
        };
        $self.heed(done)
    }};
}

pub(super) use ask;

impl Rows for Sql {
    fn carriers(&self) -> &Arc<Carriers> {
        &self.carriers
    }

    async fn enter(&mut self) -> Result<(), StoreError> {
        self.enter().await
    }

    async fn begin(&mut self) -> Result<(), StoreError> {
        self.begin().await
    }

    async fn commit(&mut self, number: i64) -> Result<(), Unkept> {
        self.commit(number).await
    }

    async fn rollback(&mut self) {
        self.rollback().await;
    }

    async fn was_kept(&mut self, number: i64) -> Result<bool, StoreError> {
        self.was_kept(number).await
    }

    async fn prepare_day(&mut self, day: i64) -> Result<(), StoreError> {
        self.prepare_day(day).await
    }

    async fn probe(&mut self) -> Result<(), StoreError> {
        self.probe().await
    }

    async fn close(self, orderly: bool) -> Result<(), StoreError> {
        self.close(orderly).await
    }

    async fn house(&mut self) -> Result<House, StoreError> {
        ask!(self, |db| house::house(db))
    }

    async fn note_given(&mut self, last: Place) -> Result<(), StoreError> {
        ask!(self, |db| house::note_given(db, last))
    }

    async fn interrupted(&mut self) -> Result<Vec<Interrupted>, StoreError> {
        ask!(self, |db| attempts::interrupted(db))
    }

    async fn doubt(&mut self, interrupted: &[Interrupted]) -> Result<u64, StoreError> {
        ask!(self, |db| attempts::doubt(db, interrupted))
    }

    async fn insert_messages(&mut self, messages: &[Arc<Message>]) -> Result<(), StoreError> {
        ask!(self, |db| messages::insert_messages(
            db,
            &self.carriers,
            messages
        ))
    }

    async fn messages(&mut self, seqs: &[MessageSeq]) -> Result<Vec<Stored>, StoreError> {
        ask!(self, |db| messages::messages(db, &self.carriers, seqs))
    }

    async fn due(&mut self, now: Timestamp, limit: u32) -> Result<Vec<Message>, StoreError> {
        ask!(self, |db| messages::due(db, &self.carriers, now, limit))
    }

    async fn release(&mut self, placed: &[(MessageSeq, Place)]) -> Result<(), StoreError> {
        ask!(self, |db| messages::release(db, placed))
    }

    async fn overdue(
        &mut self,
        which: Overdue,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<Stored>, StoreError> {
        ask!(self, |db| messages::overdue(
            db,
            &self.carriers,
            which,
            before,
            limit
        ))
    }

    async fn mark(&mut self, messages: &[MessageSeq]) -> Result<(), StoreError> {
        ask!(self, |db| messages::mark(db, messages))
    }

    async fn make_moves(&mut self, moves: &[&Move]) -> Result<Vec<bool>, StoreError> {
        self.stamp += 1;
        let stamp = self.stamp;
        ask!(self, |db| messages::make_moves(db, moves, stamp))
    }

    async fn reroute(
        &mut self,
        reroutes: &[(&Reroute, Place)],
    ) -> Result<HashMap<MessageSeq, State>, StoreError> {
        ask!(self, |db| messages::reroute(db, &self.carriers, reroutes))
    }

    async fn unsent(
        &mut self,
        asked: &[(MessageSeq, &CarrierId)],
    ) -> Result<HashSet<MessageSeq>, StoreError> {
        ask!(self, |db| messages::unsent(db, asked))
    }

    async fn write_attempts(
        &mut self,
        attempts: &[(&AttemptRecord, Option<ReceiptKey>)],
    ) -> Result<(), StoreError> {
        ask!(self, |db| attempts::write_attempts(db, attempts))
    }

    async fn keyed(
        &mut self,
        keys: &[ReceiptKey],
        at: Timestamp,
    ) -> Result<Vec<Keyed>, StoreError> {
        ask!(self, |db| receipts::keyed(db, &self.carriers, keys, at))
    }

    async fn standing(
        &mut self,
        messages: &[MessageSeq],
    ) -> Result<Vec<(AttemptId, SegmentState)>, StoreError> {
        ask!(self, |db| attempts::standing(db, messages))
    }

    async fn settle_attempts(
        &mut self,
        settled: &[(AttemptId, SegmentState, &Receipt)],
    ) -> Result<(), StoreError> {
        ask!(self, |db| receipts::settle_attempts(db, settled))
    }

    async fn note_receipts(
        &mut self,
        receipts: &[(AttemptId, &Receipt, bool)],
    ) -> Result<(), StoreError> {
        ask!(self, |db| receipts::note_receipts(db, receipts))
    }

    async fn doubts(&mut self, recipients: &[Recipient]) -> Result<Vec<Doubt>, StoreError> {
        ask!(self, |db| receipts::doubts(db, &self.carriers, recipients))
    }

    async fn prove(&mut self, proofs: &[Proof]) -> Result<(), StoreError> {
        ask!(self, |db| receipts::prove(db, proofs))
    }

    async fn rekey(&mut self, rekeyed: &[(AttemptId, &Match)]) -> Result<(), StoreError> {
        ask!(self, |db| receipts::rekey(db, rekeyed))
    }

    async fn intend(&mut self, intents: &[Intent]) -> Result<(), StoreError> {
        ask!(self, |db| attempts::intend(db, intents))
    }

    async fn close_intents(&mut self, intents: &[IntentId]) -> Result<(), StoreError> {
        ask!(self, |db| attempts::close_intents(db, intents))
    }

    async fn under_way(&mut self) -> Result<HashSet<MessageSeq>, StoreError> {
        ask!(self, |db| attempts::under_way(db))
    }

    async fn parked_keys(&mut self) -> Result<HashSet<ReceiptKey>, StoreError> {
        ask!(self, |db| inbox::parked_keys(db))
    }

    async fn park(&mut self, receipts: &[&Receipt]) -> Result<(), StoreError> {
        ask!(self, |db| inbox::park(db, receipts))
    }

    async fn unpark(&mut self, keys: &[ReceiptKey]) -> Result<Vec<Receipt>, StoreError> {
        ask!(self, |db| inbox::unpark(db, keys))
    }

    async fn orphans(&mut self, recipients: &[Recipient]) -> Result<Vec<Receipt>, StoreError> {
        ask!(self, |db| inbox::orphans(db, recipients))
    }

    async fn orphaned(
        &mut self,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<HashSet<Recipient>, StoreError> {
        ask!(self, |db| inbox::orphaned(db, from, until))
    }

    async fn keep_inbox(&mut self, keeping: &Keeping) -> Result<Kept, StoreError> {
        ask!(self, |db| inbox::keep_inbox(db, keeping))
    }

    async fn discard(&mut self, carrier: &CarrierId, before: Timestamp) -> Result<u64, StoreError> {
        ask!(self, |db| inbox::discard(db, carrier, before))
    }

    async fn take_matched(&mut self, matches: &[Match]) -> Result<Vec<bool>, StoreError> {
        ask!(self, |db| inbox::take_matched(db, matches))
    }

    async fn insert_events(&mut self, jobs: &[EventJob]) -> Result<(), StoreError> {
        ask!(self, |db| outbox::insert_events(db, jobs))
    }

    async fn record_deliveries(&mut self, records: &[&DeliveryRecord]) -> Result<(), StoreError> {
        ask!(self, |db| outbox::record_deliveries(db, records))
    }

    async fn set_due(&mut self, events: &[(EventId, Timestamp)]) -> Result<(), StoreError> {
        ask!(self, |db| outbox::set_due(db, events))
    }

    async fn due_events(
        &mut self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<EventJob>, StoreError> {
        ask!(self, |db| outbox::due_events(
            db,
            &self.carriers,
            now,
            limit
        ))
    }

    async fn give_up_events(&mut self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        ask!(self, |db| outbox::give_up_events(db, before, limit))
    }

    async fn note(&mut self, entry: &AuditEntry) -> Result<i64, StoreError> {
        ask!(self, |db| operators::note(db, entry))
    }

    async fn renote(&mut self, row: i64, outcome: &str) -> Result<(), StoreError> {
        ask!(self, |db| operators::renote(db, row, outcome))
    }

    async fn hold(&mut self, hold: &HoldRow) -> Result<(), StoreError> {
        ask!(self, |db| operators::hold(db, hold))
    }

    async fn free(&mut self, carrier: &CarrierId) -> Result<(), StoreError> {
        ask!(self, |db| operators::free(db, carrier))
    }

    async fn lane_page(&mut self, sweep: &Sweep, limit: u32) -> Result<Vec<LaneRow>, StoreError> {
        ask!(self, |db| operators::lane_page(
            db,
            &self.carriers,
            sweep,
            limit
        ))
    }

    async fn to_lane(
        &mut self,
        placed: &[(MessageSeq, Place)],
        to: &CarrierId,
    ) -> Result<u64, StoreError> {
        ask!(self, |db| operators::to_lane(db, placed, to))
    }

    async fn requeue(&mut self, message: MessageSeq, place: Place) -> Result<(), StoreError> {
        ask!(self, |db| operators::requeue(db, message, place))
    }

    async fn candidate(&mut self, id: MessageId) -> Result<Option<Candidate>, StoreError> {
        ask!(self, |db| attempts::candidate(db, &self.carriers, id))
    }
}
