//! Lives here: the model's webhook events and the attempts to deliver them.
//! Never here: HTTP, the schedule of retries.

use std::sync::Arc;

use super::once;
use super::tables::{DeliveryRow, OutboxRow, Tables};
use crate::domain::ids::EventId;
use crate::domain::time::Timestamp;
use crate::flow::{DeliveryRecord, EventJob};
use crate::store::Carriers;
use crate::store::batch::EVENT_LEASE;

impl Tables {
    pub(super) fn insert_events(&mut self, jobs: &[EventJob]) {
        for job in jobs {
            self.outbox.insert(OutboxRow {
                event: job.event,
                message: job.message.seq,
                sequence: job.sequence,
                kind: job.kind,
                at: job.at,
                state: job.state,
                failure: job.failure,
                due_at: job.at + EVENT_LEASE,
                attempts: 0,
            });
        }
    }

    pub(super) fn record_deliveries(&mut self, records: &[&DeliveryRecord]) {
        for record in records {
            self.deliveries.insert((*record).into());
            match record.retry_at {
                None => {
                    self.outbox.remove(&record.event);
                }
                Some(at) => {
                    self.outbox.change(
                        &record.event,
                        |_| true,
                        |row| {
                            row.due_at = at;
                            row.attempts = record.attempt;
                        },
                    );
                }
            }
        }
    }

    pub(super) fn set_due(&mut self, events: &[(EventId, Timestamp)]) {
        once(events, |one| one.0);
        for (event, at) in events {
            self.outbox.change(event, |_| true, |row| row.due_at = *at);
        }
    }

    pub(super) fn due_events(
        &self,
        carriers: &Carriers,
        now: Timestamp,
        limit: u32,
    ) -> Vec<EventJob> {
        let job = |row: &OutboxRow| {
            let message = self.messages.get(&row.message)?.stored(carriers);
            Some(EventJob {
                event: row.event,
                kind: row.kind,
                sequence: row.sequence,
                at: row.at,
                state: row.state,
                failure: row.failure,
                attempts: row.attempts,
                sent_at: message.sent_at,
                message: Arc::new(message.message),
            })
        };
        let due = self.outbox.marked(..=now);
        due.filter_map(job).take(limit as usize).collect()
    }

    pub(super) fn give_up_events(&mut self, before: Timestamp, limit: u32) -> u64 {
        // In order of their ids, and so of their times.
        let old = self.outbox.all().filter(|row| row.at < before);
        let old = old.take(limit as usize);
        let old: Vec<EventId> = old.map(|row| row.event).collect();
        for event in &old {
            self.outbox.remove(event);
        }
        old.len() as u64
    }

    /// The attempts to deliver a message's events, by event and attempt.
    pub(super) fn deliveries_of(
        &self,
        message: crate::domain::ids::MessageSeq,
    ) -> impl Iterator<Item = &DeliveryRow> {
        let all = (message, 0, 0)..=(message, u32::MAX, u16::MAX);
        self.deliveries.range(all)
    }
}
