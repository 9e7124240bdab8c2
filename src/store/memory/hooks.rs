//! Lives here: webhook endpoints and the history of deliveries in the model.
//! Never here: the outbox as the workers see it (`outbox`), HTTP.

use std::cmp::Reverse;

use super::table::Row;
use super::tables::{DeliveryRow, OutboxRow, Tables};
use super::{Memory, MemoryReader, once};
use crate::domain::endpoint::Endpoint;
use crate::domain::ids::{EndpointId, EventId, MessageSeq, OrgId};
use crate::domain::time::Timestamp;
use crate::store::StoreError;
use crate::store::hooks::{
    self, Deliveries, Delivery, DeliveryId, DeliveryPage, History, Hooks, Past, PastPage,
};

type Answer<T> = Result<T, StoreError>;

impl Row for Endpoint {
    type Key = EndpointId;
    type Mark = ();

    fn key(&self) -> EndpointId {
        self.id
    }
}

impl DeliveryRow {
    fn id(&self) -> DeliveryId {
        DeliveryId {
            event: self.event.event,
            attempt: self.attempt,
        }
    }

    fn is_delivered(&self) -> bool {
        matches!(self.status, Some(200..=299))
    }

    fn is_of(&self, past: &Past) -> bool {
        (self.org, self.live) == (past.org, past.live)
            && past
                .target
                .is_none_or(|target| self.event.target == Some(target))
            && self.event.message >= past.kept_from
            && !(past.failed_only && self.is_delivered())
    }

    fn is_on(&self, page: &DeliveryPage) -> bool {
        self.live == page.live
            && page.kind.is_none_or(|kind| kind == self.event.kind)
            && page
                .target
                .is_none_or(|target| Some(target) == self.event.target)
            && page
                .delivered
                .is_none_or(|delivered| delivered == self.is_delivered())
    }
}

impl Tables {
    fn listed(&self, row: &DeliveryRow) -> hooks::DeliveryRow {
        let message = self.messages.get(&row.event.message);
        hooks::DeliveryRow {
            id: row.id(),
            kind: row.event.kind,
            happened_at: row.event.at,
            message: message.map(|row| row.message.id),
            target: row.event.target,
            at: row.at,
            latency_ms: row.latency_ms,
            status: row.status,
            error: row.error.clone(),
        }
    }

    /// The last attempts of events, in the order of these.
    fn last_attempts(&self) -> Vec<&DeliveryRow> {
        let mut all: Vec<&DeliveryRow> = self.deliveries.all().collect();
        all.sort_by_key(|row| (row.event.event, Reverse(row.attempt)));
        all.dedup_by_key(|row| row.event.event);
        all
    }

    /// Puts an event's last attempt back; whether there is one.
    fn put_back(&mut self, event: EventId, now: Timestamp) -> bool {
        let mut last = self.last_attempts().into_iter();
        let back = last.find(|row| row.event.event == event);
        let Some(row) = back.cloned() else {
            return false;
        };
        let back = OutboxRow {
            event: row.event,
            due_at: now,
            attempts: row.attempt,
            attempts_before: row.attempt,
            asked_at: Some(now),
        };
        if !self.outbox.insert(back) {
            self.outbox.change(&event, |_| true, |row| row.due_at = now);
        }
        true
    }
}

impl Hooks for Memory {
    async fn endpoints(&mut self) -> Answer<Vec<Endpoint>> {
        Ok(self.tables()?.0.endpoints.all().cloned().collect())
    }

    async fn put_endpoint(&mut self, endpoint: &Endpoint) -> Answer<()> {
        self.tables()?.0.endpoints.put(endpoint.clone());
        Ok(())
    }

    async fn remove_endpoint(&mut self, id: EndpointId) -> Answer<()> {
        self.tables()?.0.endpoints.remove(&id);
        Ok(())
    }

    async fn replay(&mut self, events: &[(MessageSeq, EventId)], now: Timestamp) -> Answer<u64> {
        once(events, |one| one.1);
        let tables = self.tables()?.0;
        let back = events.iter().filter(|one| tables.put_back(one.1, now));
        Ok(back.count() as u64)
    }
}

impl History for MemoryReader {
    async fn delivery_page(&self, page: &DeliveryPage) -> Answer<Deliveries> {
        self.look(|tables, _| {
            let after = page.after.unwrap_or(DeliveryId::LAST);
            let all = tables.deliveries.all();
            let of_org = all.filter(|row| row.org == page.org && row.id() < after);
            let mut looked: Vec<&DeliveryRow> = of_org.collect();
            looked.sort_by_key(|row| Reverse(row.id()));
            let more = looked.len() > page.look as usize;
            looked.truncate(page.look as usize);
            let rest = looked.last().filter(|_| more).map(|row| row.id());
            let mut rows: Vec<&DeliveryRow> = looked;
            rows.retain(|row| row.is_on(page));
            let full = rows.len() > page.limit as usize;
            rows.truncate(page.limit as usize);
            let last = rows.last().map(|row| row.id());
            Deliveries {
                rows: rows.into_iter().map(|row| tables.listed(row)).collect(),
                next: if full { last } else { rest },
            }
        })
    }

    async fn past(&self, past: &Past) -> Answer<PastPage> {
        self.look(|tables, _| {
            let all = tables
                .deliveries
                .all()
                .map(|row| (row.org, row.event.event));
            let mut events: Vec<EventId> = all
                .filter(|(org, event)| *org == past.org && *event > past.after)
                .filter(|(_, event)| *event <= past.upto)
                .map(|(_, event)| event)
                .collect();
            events.sort();
            let look = past.look as usize;
            let next = events
                .get(look - 1)
                .filter(|_| events.len() > look)
                .copied();
            let upto = next.unwrap_or(past.upto);
            let last = tables.last_attempts().into_iter();
            let found = last
                .filter(|row| row.event.event > past.after && row.event.event <= upto)
                .filter(|row| row.is_of(past));
            PastPage {
                events: found
                    .map(|row| (row.event.message, row.event.event))
                    .collect(),
                next,
            }
        })
    }

    async fn delivery(&self, org: OrgId, id: DeliveryId) -> Answer<Option<Delivery>> {
        self.look(|tables, carriers| {
            let mut all = tables.deliveries.all();
            let row = all.find(|row| row.org == org && row.id() == id)?;
            let mut job = tables.event(carriers, &row.event)?;
            job.attempts = row.attempt.saturating_sub(1);
            Some(Delivery {
                row: tables.listed(row),
                job,
                response: row.response.clone(),
            })
        })
    }
}
