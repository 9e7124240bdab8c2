//! Lives here: the model's webhook events and the attempts to deliver them.
//! Never here: HTTP, the schedule of retries.

use std::sync::Arc;

use super::once;
use super::tables::{DeliveryRow, EventRow, OutboxRow, Tables};
use crate::domain::ids::{EventId, MessageSeq};
use crate::domain::message::State;
use crate::domain::time::Timestamp;
use crate::flow::{About, DeliveryRecord, EventJob};
use crate::store::Carriers;
use crate::store::batch::EVENT_LEASE;

impl From<&EventJob> for EventRow {
    fn from(job: &EventJob) -> Self {
        let (state, failure, notice) = match &job.about {
            About::Message { state, failure, .. } => (*state, *failure, None),
            About::Notice(notice) => (State::Scheduled, None, Some(Arc::clone(notice))),
        };
        Self {
            event: job.event,
            message: job.seq(),
            sequence: job.sequence,
            kind: job.kind,
            at: job.at,
            state,
            failure,
            target: job.target,
            notice,
        }
    }
}

impl Tables {
    pub(super) fn insert_events(&mut self, jobs: &[EventJob]) {
        for job in jobs {
            self.outbox.insert(OutboxRow {
                event: job.into(),
                due_at: job.at + EVENT_LEASE,
                attempts: 0,
                attempts_before: 0,
                asked_at: None,
            });
        }
    }

    pub(super) fn record_deliveries(&mut self, records: &[&DeliveryRecord]) {
        for record in records {
            self.deliveries.insert((*record).into());
            let event = record.job.event;
            match record.retry_at {
                None => {
                    self.outbox.remove(&event);
                }
                Some(at) => {
                    self.outbox.change(
                        &event,
                        |_| true,
                        |row| {
                            row.due_at = at;
                            row.attempts = record.attempt();
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
            Some(EventJob {
                attempts: row.attempts,
                attempts_before: row.attempts_before,
                ..self.event(carriers, &row.event)?
            })
        };
        let due = self.outbox.marked(..=now);
        due.filter_map(job).take(limit as usize).collect()
    }

    /// An event that was never tried; `None`: its message is gone.
    pub(super) fn event(&self, carriers: &Carriers, row: &EventRow) -> Option<EventJob> {
        let about = match &row.notice {
            Some(notice) => About::Notice(Arc::clone(notice)),
            None => {
                let stored = self.messages.get(&row.message)?.stored(carriers);
                About::Message {
                    message: Arc::new(stored.message),
                    sent_at: stored.sent_at,
                    state: row.state,
                    failure: row.failure,
                }
            }
        };
        Some(EventJob {
            event: row.event,
            target: row.target,
            kind: row.kind,
            sequence: row.sequence,
            about,
            at: row.at,
            attempts: 0,
            attempts_before: 0,
        })
    }

    pub(super) fn give_up_events(&mut self, before: Timestamp, limit: u32) -> u64 {
        // In order of their ids, and so of their times.
        let old = self.outbox.all();
        let old = old.filter(|row| row.event.at < before);
        let old = old.filter(|row| row.asked_at.is_none_or(|asked_at| asked_at < before));
        let old = old.take(limit as usize);
        let old: Vec<EventId> = old.map(|row| row.event.event).collect();
        for event in &old {
            self.outbox.remove(event);
        }
        old.len() as u64
    }

    /// The attempts to deliver a message's events, by event and attempt.
    pub(super) fn deliveries_of(&self, message: MessageSeq) -> impl Iterator<Item = &DeliveryRow> {
        let first = (message, EventId(uuid::Uuid::nil()), 0);
        let last = (message, EventId(uuid::Uuid::max()), u16::MAX);
        self.deliveries.range(first..=last)
    }
}
