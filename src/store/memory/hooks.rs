//! Lives here: webhook endpoints and the history of deliveries in the model.
//! Never here: the outbox as the workers see it (`outbox`), HTTP.

use std::cmp::Reverse;

use super::table::Row;
use super::tables::{DeliveryRow, OutboxRow, Tables};
use super::{Memory, MemoryReader};
use crate::domain::endpoint::Endpoint;
use crate::domain::ids::{EndpointId, EventId, OrgId};
use crate::domain::time::Timestamp;
use crate::store::StoreError;
use crate::store::hooks::{
    self, Delivery, DeliveryId, DeliveryPage, History, Hooks, REPLAY_MAX, Replay,
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

    fn is_of(&self, replay: &Replay) -> bool {
        match replay {
            Replay::Event(event) => self.event.event == *event,
            Replay::Span {
                endpoint,
                since,
                until,
                failed_only,
            } => {
                let of_span = self.event.at >= *since && self.event.at < *until;
                let wanted = !failed_only || !self.is_delivered();
                self.event.target == Some(*endpoint) && of_span && wanted
            }
        }
    }

    fn is_on(&self, page: &DeliveryPage) -> bool {
        (self.org, self.live) == (page.org, page.live)
            && page.after.is_none_or(|after| self.id() < after)
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

    fn due_again(&mut self, events: &[EventId], now: Timestamp) {
        let last = self.last_attempts().into_iter();
        let asked = last.filter(|row| events.contains(&row.event.event));
        let back = asked.map(|row| OutboxRow {
            event: row.event.clone(),
            due_at: now,
            attempts: row.attempt,
            attempts_before: row.attempt,
        });
        for back in back.collect::<Vec<_>>() {
            let id = back.event.event;
            if !self.outbox.insert(back) {
                self.outbox.change(&id, |_| true, |row| row.due_at = now);
            }
        }
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

    async fn replay(
        &mut self,
        org: OrgId,
        live: bool,
        replay: &Replay,
        now: Timestamp,
    ) -> Answer<u64> {
        let tables = self.tables()?.0;
        let last = tables.last_attempts();
        let own = last
            .into_iter()
            .filter(|row| (row.org, row.live) == (org, live) && row.is_of(replay));
        let events: Vec<EventId> = own
            .take(REPLAY_MAX as usize)
            .map(|row| row.event.event)
            .collect();
        tables.due_again(&events, now);
        Ok(events.len() as u64)
    }
}

impl History for MemoryReader {
    async fn delivery_page(&self, page: &DeliveryPage) -> Answer<Vec<hooks::DeliveryRow>> {
        self.look(|tables, _| {
            let mut rows: Vec<&DeliveryRow> = tables
                .deliveries
                .all()
                .filter(|row| row.is_on(page))
                .collect();
            rows.sort_by_key(|row| Reverse(row.id()));
            rows.truncate(page.limit as usize);
            rows.into_iter().map(|row| tables.listed(row)).collect()
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
