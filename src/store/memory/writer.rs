//! Lives here: the writer's face of the model, one line for each statement, and transactions.
//! Never here: what the statements do (beside it, by subject).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::Memory;
use super::faults::{CommitFault, Poison, injected};
use super::tables::{COMMIT, GIVEN, ORDERLY, Tables};
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

type Answer<T> = Result<T, StoreError>;

impl Memory {
    /// The tables, for one more statement of the open transaction.
    pub(super) fn tables(&mut self) -> Answer<(&mut Tables, &Carriers)> {
        let life = self.open.expect("a statement stands in a transaction");
        self.faults.statement(life)?;
        Ok((&mut self.tables, &self.carriers))
    }

    fn undo(&mut self) {
        let platter = self.lock.0.platter();
        self.tables.undo(&platter.kept);
        self.open = None;
    }

    fn outside(&self) {
        assert!(self.open.is_none(), "this stands outside transactions");
    }
}

impl Rows for Memory {
    fn carriers(&self) -> &Arc<Carriers> {
        &self.carriers
    }

    async fn begin(&mut self) -> Answer<()> {
        self.outside();
        let frozen = self.faults.frozen();
        if !frozen.is_zero() {
            tokio::time::sleep(frozen).await;
        }
        self.open = Some(self.faults.begin()?);
        Ok(())
    }

    async fn commit(&mut self, number: i64) -> Result<(), Unkept> {
        let life = self.open.expect("a commit ends a transaction");
        let last = self.tables.left(COMMIT);
        assert!(number > last, "commit {number} follows {last}");
        let fault = self.faults.commit(life);
        if fault == Some(CommitFault::Refused) {
            return Err(Unkept::Refused(injected("a commit")));
        }
        if fault == Some(CommitFault::LostBefore) {
            self.undo();
        } else {
            self.tables.leave(COMMIT, number);
            self.tables.commit(&mut self.lock.0.platter().kept);
            self.open = None;
        }
        match fault {
            None => Ok(()),
            Some(_) => Err(Unkept::Unknown(injected("a commit's answer"))),
        }
    }

    async fn rollback(&mut self) {
        self.undo();
    }

    async fn was_kept(&mut self, number: i64) -> Answer<bool> {
        self.outside();
        self.faults.question()?;
        Ok(self.tables.left(COMMIT) == number)
    }

    async fn prepare_day(&mut self, day: i64) -> Answer<()> {
        self.outside();
        self.faults.reach()?;
        self.tables.days.insert(day);
        self.lock.0.platter().kept.days.insert(day);
        Ok(())
    }

    async fn probe(&mut self) -> Answer<()> {
        self.outside();
        let life = self.faults.begin()?;
        match self.faults.commit(life) {
            None => Ok(()),
            Some(_) => Err(injected("a probe")),
        }
    }

    async fn close(mut self, orderly: bool) -> Answer<()> {
        self.outside();
        self.faults.reach()?;
        if orderly {
            self.tables.leave(ORDERLY, 1);
            self.tables.commit(&mut self.lock.0.platter().kept);
        }
        Ok(())
    }

    async fn house(&mut self) -> Answer<House> {
        Ok(self.tables()?.0.open_house())
    }

    async fn note_given(&mut self, last: Place) -> Answer<()> {
        self.tables()?.0.leave(GIVEN, last.0);
        Ok(())
    }

    async fn interrupted(&mut self) -> Answer<Vec<Interrupted>> {
        Ok(self.tables()?.0.interrupted())
    }

    async fn doubt(&mut self, interrupted: &[Interrupted]) -> Answer<u64> {
        Ok(self.tables()?.0.doubt(interrupted))
    }

    async fn insert_messages(&mut self, messages: &[Arc<Message>]) -> Answer<()> {
        self.faults
            .taste(messages.iter().map(|one| Poison::Message(one.id)))?;
        let (tables, carriers) = self.tables()?;
        tables.insert_messages(carriers, messages)
    }

    async fn messages(&mut self, seqs: &[MessageSeq]) -> Answer<Vec<Stored>> {
        let (tables, carriers) = self.tables()?;
        Ok(tables.stored(carriers, seqs))
    }

    async fn due(&mut self, now: Timestamp, limit: u32) -> Answer<Vec<Message>> {
        let (tables, carriers) = self.tables()?;
        Ok(tables.due(carriers, now, limit))
    }

    async fn release(&mut self, placed: &[(MessageSeq, Place)]) -> Answer<()> {
        self.faults
            .taste(placed.iter().map(|one| Poison::Release(one.0)))?;
        self.tables()?.0.release(placed);
        Ok(())
    }

    async fn overdue(
        &mut self,
        which: Overdue,
        before: Timestamp,
        limit: u32,
    ) -> Answer<Vec<Stored>> {
        let (tables, carriers) = self.tables()?;
        Ok(tables.overdue(carriers, which, before, limit))
    }

    async fn mark(&mut self, messages: &[MessageSeq]) -> Answer<()> {
        self.tables()?.0.mark(messages);
        Ok(())
    }

    async fn make_moves(&mut self, moves: &[&Move]) -> Answer<Vec<bool>> {
        self.faults
            .taste(moves.iter().map(|one| Poison::Move(one.seq)))?;
        Ok(self.tables()?.0.make_moves(moves))
    }

    async fn reroute(
        &mut self,
        reroutes: &[(&Reroute, Place)],
    ) -> Answer<HashMap<MessageSeq, State>> {
        let (tables, carriers) = self.tables()?;
        Ok(tables.reroute(carriers, reroutes))
    }

    async fn unsent(&mut self, asked: &[(MessageSeq, &CarrierId)]) -> Answer<HashSet<MessageSeq>> {
        Ok(self.tables()?.0.unsent(asked))
    }

    async fn write_attempts(
        &mut self,
        attempts: &[(&AttemptRecord, Option<ReceiptKey>)],
    ) -> Answer<()> {
        self.faults.taste(
            attempts
                .iter()
                .map(|one| Poison::Attempt(one.0.message.seq)),
        )?;
        self.tables()?.0.write_attempts(attempts);
        Ok(())
    }

    async fn keyed(&mut self, keys: &[ReceiptKey], _at: Timestamp) -> Answer<Vec<Keyed>> {
        let (tables, carriers) = self.tables()?;
        Ok(tables.keyed(carriers, keys))
    }

    async fn standing(
        &mut self,
        messages: &[MessageSeq],
    ) -> Answer<Vec<(AttemptId, SegmentState)>> {
        Ok(self.tables()?.0.standing(messages))
    }

    async fn settle_attempts(
        &mut self,
        settled: &[(AttemptId, SegmentState, &Receipt)],
    ) -> Answer<()> {
        self.faults
            .taste(settled.iter().map(|one| Poison::Receipt(one.2.key)))?;
        self.tables()?.0.settle_attempts(settled);
        Ok(())
    }

    async fn note_receipts(&mut self, receipts: &[(AttemptId, &Receipt, bool)]) -> Answer<()> {
        self.faults
            .taste(receipts.iter().map(|one| Poison::Receipt(one.1.key)))?;
        self.tables()?.0.note_receipts(receipts);
        Ok(())
    }

    async fn doubts(&mut self, recipients: &[Recipient]) -> Answer<Vec<Doubt>> {
        let (tables, carriers) = self.tables()?;
        Ok(tables.doubts(carriers, recipients))
    }

    async fn prove(&mut self, proofs: &[Proof]) -> Answer<()> {
        self.tables()?.0.prove(proofs);
        Ok(())
    }

    async fn rekey(&mut self, rekeyed: &[(AttemptId, &Match)]) -> Answer<()> {
        self.tables()?.0.rekey(rekeyed);
        Ok(())
    }

    async fn intend(&mut self, intents: &[Intent]) -> Answer<()> {
        self.faults.taste(
            intents
                .iter()
                .flat_map(|one| &one.batch)
                .map(|one| Poison::Intent(one.message.seq)),
        )?;
        self.tables()?.0.intend(intents);
        Ok(())
    }

    async fn close_intents(&mut self, intents: &[IntentId]) -> Answer<()> {
        self.tables()?.0.close_intents(intents);
        Ok(())
    }

    async fn under_way(&mut self) -> Answer<HashSet<MessageSeq>> {
        Ok(self.tables()?.0.under_way())
    }

    async fn parked_keys(&mut self) -> Answer<HashSet<ReceiptKey>> {
        self.faults.reach()?;
        Ok(self.tables.parked_keys())
    }

    async fn park(&mut self, receipts: &[&Receipt]) -> Answer<()> {
        self.faults
            .taste(receipts.iter().map(|one| Poison::Receipt(one.key)))?;
        self.tables()?.0.park(receipts);
        Ok(())
    }

    async fn unpark(&mut self, keys: &[ReceiptKey]) -> Answer<Vec<Receipt>> {
        Ok(self.tables()?.0.unpark(keys))
    }

    async fn orphans(&mut self, recipients: &[Recipient]) -> Answer<Vec<Receipt>> {
        Ok(self.tables()?.0.orphans(recipients))
    }

    async fn orphaned(&mut self, from: Timestamp, until: Timestamp) -> Answer<HashSet<Recipient>> {
        Ok(self.tables()?.0.orphaned(from, until))
    }

    async fn keep_inbox(&mut self, keeping: &Keeping) -> Answer<Kept> {
        Ok(self.tables()?.0.keep_inbox(keeping))
    }

    async fn discard(&mut self, carrier: &CarrierId, before: Timestamp) -> Answer<u64> {
        Ok(self.tables()?.0.discard(carrier, before))
    }

    async fn take_matched(&mut self, matches: &[Match]) -> Answer<Vec<bool>> {
        Ok(self.tables()?.0.take_matched(matches))
    }

    async fn insert_events(&mut self, jobs: &[EventJob]) -> Answer<()> {
        self.tables()?.0.insert_events(jobs);
        Ok(())
    }

    async fn record_deliveries(&mut self, records: &[&DeliveryRecord]) -> Answer<()> {
        self.faults
            .taste(records.iter().map(|one| Poison::Delivery(one.job.event)))?;
        self.tables()?.0.record_deliveries(records);
        Ok(())
    }

    async fn set_due(&mut self, events: &[(EventId, Timestamp)]) -> Answer<()> {
        self.tables()?.0.set_due(events);
        Ok(())
    }

    async fn due_events(&mut self, now: Timestamp, limit: u32) -> Answer<Vec<EventJob>> {
        let (tables, carriers) = self.tables()?;
        Ok(tables.due_events(carriers, now, limit))
    }

    async fn give_up_events(&mut self, before: Timestamp, limit: u32) -> Answer<u64> {
        Ok(self.tables()?.0.give_up_events(before, limit))
    }

    async fn note(&mut self, entry: &AuditEntry) -> Answer<i64> {
        Ok(self.tables()?.0.note(entry))
    }

    async fn renote(&mut self, row: i64, outcome: &str) -> Answer<()> {
        self.tables()?.0.renote(row, outcome);
        Ok(())
    }

    async fn hold(&mut self, hold: &HoldRow) -> Answer<()> {
        self.tables()?.0.holds.put(hold.clone());
        Ok(())
    }

    async fn free(&mut self, carrier: &CarrierId) -> Answer<()> {
        self.tables()?.0.holds.remove(&carrier.0);
        Ok(())
    }

    async fn lane_page(&mut self, sweep: &Sweep, limit: u32) -> Answer<Vec<LaneRow>> {
        let (tables, carriers) = self.tables()?;
        Ok(tables.lane_page(carriers, sweep, limit))
    }

    async fn to_lane(&mut self, placed: &[(MessageSeq, Place)], to: &CarrierId) -> Answer<u64> {
        Ok(self.tables()?.0.put_in_lane(placed, to))
    }

    async fn requeue(&mut self, message: MessageSeq, place: Place) -> Answer<()> {
        self.tables()?.0.requeue(message, place);
        Ok(())
    }

    async fn candidate(&mut self, id: MessageId) -> Answer<Option<Candidate>> {
        let (tables, carriers) = self.tables()?;
        Ok(tables.candidate(carriers, id))
    }
}
