//! Lives here: the readers' face of the model: committed rows only.
//! Never here: writing.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::MemoryReader;
use super::messages::LAST_ORG;
use super::tables::{AttemptRow, MessageRow, Tables};
use crate::domain::class::Class;
use crate::domain::ids::{CarrierId, CarrierIndex, MessageId, MessageSeq, OrgId, Place};
use crate::domain::lifecycle::SegmentState;
use crate::domain::message::{Message, State};
use crate::domain::phone::Msisdn;
use crate::domain::proof::ToldBy;
use crate::domain::receipt::Receipt;
use crate::domain::time::Timestamp;
use crate::flow::{Parts, Tried, Waiting};
use crate::store::control::{AuditEntry, HoldRow};
use crate::store::inbox::{InboxPage, InboxRow};
use crate::store::reads::{Reads, Response};
use crate::store::rows::{AttemptId, Candidate, day_of, first_of_day};
use crate::store::{Carriers, MessageView, QueueRow, StoreError, Tally, TimelineEntry};

type Answer<T> = Result<T, StoreError>;

impl MemoryReader {
    /// One look at what is committed.
    pub(super) fn look<T>(&self, look: impl FnOnce(&Tables, &Carriers) -> T) -> Answer<T> {
        self.faults.reach()?;
        Ok(look(&self.disk.platter().kept, &self.carriers))
    }
}

impl Reads for MemoryReader {
    async fn message(&self, org: OrgId, id: MessageId) -> Answer<Option<MessageView>> {
        self.look(|tables, carriers| {
            let row = tables.message(id).filter(|row| row.message.org == org);
            row.map(|row| row.view(carriers))
        })
    }

    async fn any_message(&self, id: MessageId) -> Answer<Option<(MessageView, Box<str>)>> {
        self.look(|tables, carriers| {
            let row = tables.message(id);
            row.map(|row| (row.view(carriers), (&*row.carrier).into()))
        })
    }

    async fn timeline(&self, seq: MessageSeq) -> Answer<Vec<TimelineEntry>> {
        self.look(|tables, _| tables.timeline(seq))
    }

    async fn waiting(
        &self,
        (carrier, class): (CarrierIndex, Class),
        org: OrgId,
        after: Place,
        limit: u32,
    ) -> Answer<Vec<Waiting>> {
        self.look(|tables, carriers| {
            let from = (org, Place(after.0.saturating_add(1)));
            let lane = carriers.text(carrier);
            tables
                .lane((&lane, class), from, (org, Place(i64::MAX)))
                .take(limit as usize)
                .map(|row| tables.with_attempts(carriers, row))
                .collect()
        })
    }

    async fn backlog(
        &self,
        (carrier, class): (CarrierIndex, Class),
    ) -> Answer<Vec<(OrgId, Place)>> {
        self.look(|tables, carriers| {
            let from = (OrgId(uuid::Uuid::nil()), Place(i64::MIN));
            let lane = carriers.text(carrier);
            let rows = tables.lane((&lane, class), from, (LAST_ORG, Place(i64::MAX)));
            let newest: BTreeMap<OrgId, Place> =
                rows.map(|row| (row.message.org, row.place)).collect();
            newest.into_iter().collect()
        })
    }

    async fn still_there(
        &self,
        carrier: CarrierIndex,
        messages: &[MessageSeq],
    ) -> Answer<HashSet<MessageSeq>> {
        self.look(|tables, carriers| {
            let Some(carrier) = carriers.id(carrier) else {
                return HashSet::new();
            };
            let asked: Vec<_> = messages.iter().map(|seq| (*seq, carrier)).collect();
            tables.unsent(&asked)
        })
    }

    async fn in_doubt(&self, after: MessageSeq, limit: u32) -> Answer<Vec<Waiting>> {
        self.look(|tables, carriers| {
            let rows = tables.uncertain(after).take(limit as usize);
            rows.map(|row| tables.with_attempts(carriers, row))
                .collect()
        })
    }

    async fn sandboxed(&self, after: MessageSeq, limit: u32) -> Answer<Vec<(Message, Timestamp)>> {
        self.look(|tables, _| {
            let behind = tables.messages.all().filter(|row| row.message.seq > after);
            let taken = |row: &&MessageRow| row.state == State::Submitted && !row.message.live;
            let known = |row: &MessageRow| row.sent_at.unwrap_or(row.message.accepted_at);
            let rows = behind.filter(taken).take(limit as usize);
            rows.map(|row| (row.message.clone(), known(row))).collect()
        })
    }

    async fn queue(&self) -> Answer<Vec<QueueRow>> {
        self.look(|tables, _| tables.queue())
    }

    async fn tallies(&self) -> Answer<Vec<Tally>> {
        self.look(|tables, _| tables.tallies())
    }

    async fn ahead_of(&self, id: MessageId) -> Answer<u64> {
        self.look(|tables, _| tables.ahead_of(id))
    }

    async fn preview(
        &self,
        lane: (&str, Class),
        org: Option<OrgId>,
        accepted_before: Option<Timestamp>,
    ) -> Answer<(u64, Vec<MessageId>)> {
        self.look(|tables, _| tables.preview(lane, org, accepted_before))
    }

    async fn candidate(&self, id: MessageId) -> Answer<Option<Candidate>> {
        self.look(|tables, carriers| tables.candidate(carriers, id))
    }

    async fn under_way(&self) -> Answer<HashSet<MessageSeq>> {
        self.look(|tables, _| tables.under_way())
    }

    async fn audit(&self, limit: u32) -> Answer<Vec<AuditEntry>> {
        self.look(|tables, _| {
            let rows = tables.audit.all().rev().take(limit as usize);
            rows.map(|row| row.entry.clone()).collect()
        })
    }

    async fn holds(&self) -> Answer<Vec<HoldRow>> {
        self.look(|tables, _| tables.holds.all().cloned().collect())
    }

    async fn inbox(&self, page: &InboxPage) -> Answer<Vec<InboxRow>> {
        self.look(|tables, _| tables.inbox_page(page))
    }

    async fn unmatched(
        &self,
        from: Timestamp,
        until: Timestamp,
    ) -> Answer<Vec<(CarrierIndex, u64)>> {
        self.look(|tables, carriers| tables.unmatched(carriers, from, until))
    }

    async fn inbox_since(
        &self,
        carrier: &CarrierId,
        since: Timestamp,
        limit: u32,
    ) -> Answer<Vec<Receipt>> {
        self.look(|tables, _| tables.inbox_since(carrier, since, limit))
    }

    async fn responses(
        &self,
        carrier: &CarrierId,
        after: AttemptId,
        limit: u32,
    ) -> Answer<Vec<(Response, Msisdn)>> {
        self.look(|tables, _| {
            let response = |row: &AttemptRow| {
                let open = row.state == SegmentState::Submitted && row.carrier == carrier.0;
                let raw = row.raw_id.clone().filter(|_| open)?;
                let to = tables.messages.get(&row.id.0)?.message.to;
                Some((Response { id: row.id, raw }, to))
            };
            let behind = (std::ops::Bound::Excluded(after), std::ops::Bound::Unbounded);
            let rows = tables.attempts.range(behind);
            rows.filter_map(response).take(limit as usize).collect()
        })
    }

    async fn before(&self, at: Timestamp) -> Answer<MessageSeq> {
        self.look(|tables, _| {
            let mut rows = tables.messages.range(first_of_day(day_of(at))..);
            let first = rows.find(|row| row.message.accepted_at >= at);
            first.map_or(MessageSeq(i64::MAX), |row| {
                MessageSeq(row.message.seq.0 - 1)
            })
        })
    }
}

impl Tables {
    /// A message that waits, with what its attempts say of the next one.
    fn with_attempts(&self, carriers: &Carriers, row: &MessageRow) -> Waiting {
        let (mut taken, mut tried, mut attempts) = (Parts::default(), Tried::new(), 0);
        for attempt in self.attempts_of(row.message.seq) {
            let (_, part, number) = attempt.id;
            attempts = attempts.max(number);
            if attempt.state == SegmentState::Submitted || attempt.state.is_final() {
                taken.insert(part);
            } else if let Some(account) = carriers.index(&attempt.carrier)
                && !tried.contains(&account)
            {
                tried.push(account);
            }
        }
        Waiting {
            message: Arc::new(row.message(carriers)),
            state: row.state,
            place: row.place,
            tried,
            parts: Parts::all(row.message.segments).without(taken),
            attempts,
            possible_duplicate: row.possible_duplicate,
        }
    }

    /// In order of time; at one time attempts (by number and part, each with its receipt behind
    /// it) come before other receipts, and these before webhooks.
    fn timeline(&self, seq: MessageSeq) -> Vec<TimelineEntry> {
        let mut entries = Vec::new();
        let mut attempts: Vec<&AttemptRow> = self.attempts_of(seq).collect();
        attempts.sort_by_key(|row| (row.id.2, row.id.1));
        for row in attempts {
            let (_, part, attempt) = row.id;
            entries.push(TimelineEntry::Attempt {
                at: row.submitted_at,
                answered_at: row.answered_at,
                part,
                attempt,
                carrier: (&*row.carrier).into(),
                bind: (&*row.bind).into(),
                sequence: row.sequence,
                state: row.state,
                status: row.status,
                carrier_message_id: row.raw_id.clone(),
                told_by: row.resolved.and_then(ToldBy::from_index),
            });
            entries.extend(row.receipt.as_ref().map(|receipt| TimelineEntry::Receipt {
                at: receipt.at,
                part,
                stat: receipt.stat.clone(),
                err: receipt.err.clone(),
                done_date: receipt.done_date.clone(),
                conflict: false,
            }));
        }
        let first = ((seq, 0, 0), Timestamp(i64::MIN), "".into());
        let rest = self.receipt_events.range(first..);
        let own = rest.take_while(|row| row.id.0 == seq);
        entries.extend(own.map(|row| TimelineEntry::Receipt {
            at: row.received_at,
            part: row.id.1,
            stat: row.stat.clone(),
            err: row.err.clone(),
            done_date: row.done_date.clone(),
            conflict: row.conflict,
        }));
        entries.extend(self.deliveries_of(seq).map(|row| TimelineEntry::Webhook {
            at: row.at,
            event: row.event.event,
            sequence: row.event.sequence,
            attempt: row.attempt,
            latency_ms: row.latency_ms,
            status: row.status,
            error: row.error.clone(),
        }));
        entries.sort_by_key(TimelineEntry::at);
        entries
    }
}
