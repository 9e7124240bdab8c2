//! Lives here: retention, redaction and erasure in the model.
//! Never here: when any of it is due (`housekeeping`).

use std::collections::{BTreeSet, HashSet};

use super::table::Row;
use super::tables::{InboxKey, MessageRow, Tables};
use super::{Memory, MemoryReader};
use crate::domain::ids::MessageSeq;
use crate::domain::message::State;
use crate::domain::phone::Msisdn;
use crate::store::StoreError;
use crate::store::rows::day_of_seq;
use crate::store::upkeep::{Dropped, Held, Marks, Page, Span, Survey, Upkeep, Wanted};

type Answer<T> = Result<T, StoreError>;

const LOOKED: &str = "redaction_looked";
const DONE: &str = "redaction_done";
const SEEN: &str = "clock_seen";

impl Upkeep for Memory {
    async fn drop_day(&mut self, _day: i64) -> Answer<Dropped> {
        self.tables()?;
        Ok(Dropped::ByRows)
    }

    async fn delete(&mut self, messages: &[(MessageSeq, State)]) -> Answer<u64> {
        let tables = self.tables()?.0;
        let mut gone = Vec::with_capacity(messages.len());
        for (seq, state) in messages {
            if tables.delete(*seq, *state) {
                gone.push(*seq);
            }
        }
        let last = gone.iter().max();
        let of_notices = tables.deliveries.all().filter(|row| {
            row.event.notice.is_some() && last.is_some_and(|last| row.event.message < *last)
        });
        for key in of_notices.map(Row::key).collect::<Vec<_>>() {
            tables.deliveries.remove(&key);
        }
        Ok(gone.len() as u64)
    }

    async fn there(&mut self, messages: &[MessageSeq]) -> Answer<HashSet<MessageSeq>> {
        let tables = self.tables()?.0;
        let there = |seq: &&MessageSeq| tables.messages.get(seq).is_some();
        Ok(messages.iter().filter(there).copied().collect())
    }

    async fn redact(&mut self, messages: &[MessageSeq]) -> Answer<u64> {
        let tables = self.tables()?.0;
        let mut redact = |seq: &&MessageSeq| {
            let redact = |row: &mut MessageRow| row.message.body = "".into();
            tables.messages.change(seq, has_ended, redact)
        };
        Ok(messages.iter().filter(&mut redact).count() as u64)
    }

    async fn erase(&mut self, messages: &[(MessageSeq, State)]) -> Answer<u64> {
        let tables = self.tables()?.0;
        let mut erase = |(seq, state): &&(MessageSeq, State)| tables.erase(*seq, *state);
        Ok(messages.iter().filter(&mut erase).count() as u64)
    }

    async fn forget(&mut self, number: Msisdn) -> Answer<u64> {
        let tables = self.tables()?.0;
        let about = tables.about(number);
        for key in &about {
            tables.inbox.remove(key);
        }
        Ok(about.len() as u64)
    }

    async fn come_to(&mut self, marks: Marks) -> Answer<()> {
        let tables = self.tables()?.0;
        tables.leave(LOOKED, marks.looked);
        tables.leave(DONE, marks.done);
        tables.leave(SEEN, marks.seen);
        Ok(())
    }
}

impl Survey for MemoryReader {
    async fn days(&self) -> Answer<Vec<i64>> {
        self.look(|tables, _| {
            let days = tables.messages.all().map(|row| day_of_seq(row.message.seq));
            days.collect::<BTreeSet<i64>>().into_iter().collect()
        })
    }

    async fn held(&self, day: i64) -> Answer<Held> {
        self.look(|tables, _| {
            let of_day = |seq: MessageSeq| day_of_seq(seq) == day;
            let mut messages = tables.messages.all();
            let mut events = tables.outbox.all();
            Held {
                open: messages.any(|row| of_day(row.message.seq) && !has_ended(row)),
                events: events.any(|row| of_day(row.event.message)),
            }
        })
    }

    async fn page(&self, span: Span, wanted: Wanted, limit: u32) -> Answer<Page> {
        self.look(|tables, _| {
            let first = MessageSeq(span.after.0.saturating_add(1));
            let looked: Vec<&MessageRow> = tables
                .messages
                .range(first..span.before)
                .take(limit as usize)
                .collect();
            let is_wanted = |row: &&&MessageRow| match wanted {
                Wanted::Ended => has_ended(row),
                Wanted::Texts => has_ended(row) && !row.message.body.is_empty(),
                Wanted::To(number) => row.message.to == number,
            };
            let found = looked.iter().filter(is_wanted);
            let full = looked.len() == limit as usize;
            let last = looked.last().filter(|_| full);
            Page {
                found: found.map(|row| (row.message.seq, row.state)).collect(),
                upto: last.map(|row| row.message.seq),
            }
        })
    }

    async fn awaited(&self, messages: &[MessageSeq]) -> Answer<HashSet<MessageSeq>> {
        self.look(|tables, _| {
            let events = tables.outbox.all().map(|row| row.event.message);
            events.filter(|seq| messages.contains(seq)).collect()
        })
    }

    async fn about(&self, number: Msisdn) -> Answer<u64> {
        self.look(|tables, _| tables.about(number).len() as u64)
    }

    async fn marks(&self) -> Answer<Marks> {
        self.look(|tables, _| Marks {
            looked: tables.left(LOOKED),
            done: tables.left(DONE),
            seen: tables.left(SEEN),
        })
    }
}

fn has_ended(row: &MessageRow) -> bool {
    row.state.is_terminal()
}

impl Tables {
    /// Deletes a message that stands so, with all that is of it; whether it did.
    fn delete(&mut self, seq: MessageSeq, state: State) -> bool {
        let stands = |row: &MessageRow| has_ended(row) && row.state == state;
        if !self.messages.get(&seq).is_some_and(stands) {
            return false;
        }
        self.messages.remove(&seq);
        let of_it = (seq, 0, 0)..=(seq, u8::MAX, u16::MAX);
        let attempts: Vec<_> = self.attempts.range(of_it).map(|row| row.id).collect();
        for id in attempts {
            self.attempts.remove(&id);
        }
        let events = self.receipt_events.all().filter(|row| row.id.0 == seq);
        let events: Vec<_> = events.map(Row::key).collect();
        for key in events {
            self.receipt_events.remove(&key);
        }
        let deliveries: Vec<_> = self.deliveries_of(seq).map(Row::key).collect();
        for key in deliveries {
            self.deliveries.remove(&key);
        }
        true
    }

    /// Takes the person from a message that stands so; whether it did.
    fn erase(&mut self, seq: MessageSeq, state: State) -> bool {
        let erased = self.messages.change(
            &seq,
            |row| has_ended(row) && row.state == state,
            |row| {
                row.message.to = Msisdn::ERASED;
                row.message.body = "".into();
                row.message.metadata = None;
                row.message.tags = None;
                row.message.client_ref = None;
                row.message.webhook_url = None;
                row.detail = None;
            },
        );
        if erased {
            let of_it = (seq, 0, 0)..=(seq, u8::MAX, u16::MAX);
            let attempts: Vec<_> = self.attempts.range(of_it).map(|row| row.id).collect();
            for id in attempts {
                self.attempts
                    .change(&id, |_| true, |row| row.recipient = None);
            }
            let deliveries: Vec<_> = self.deliveries_of(seq).map(Row::key).collect();
            for key in deliveries {
                self.deliveries
                    .change(&key, |_| true, |row| row.response = None);
            }
        }
        erased
    }

    /// The receipts in the inbox about a number.
    fn about(&self, number: Msisdn) -> Vec<InboxKey> {
        let receipts = self.inbox.all();
        let about = receipts.filter(|row| row.receipt.evidence.recipient == Some(number));
        about.map(Row::key).collect()
    }
}
