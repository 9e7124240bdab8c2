//! Lives here: the databases' faces for webhook endpoints and deliveries: the writer's and the
//! readers'.
//! Never here: statements (`endpoints`, `outbox`).

use super::db::Conn;
use super::{ANSWER, Reader, Sql, endpoints, lost, reader, rows, within};
use crate::domain::endpoint::Endpoint;
use crate::domain::ids::{EndpointId, EventId, MessageSeq, OrgId};
use crate::domain::time::Timestamp;
use crate::store::StoreError;
use crate::store::hooks::{
    Deliveries, Delivery, DeliveryId, DeliveryPage, History, Hooks, Past, PastPage,
};

impl Hooks for Sql {
    async fn endpoints(&mut self) -> Result<Vec<Endpoint>, StoreError> {
        rows::ask!(self, |db| endpoints::endpoints(db))
    }

    async fn put_endpoint(&mut self, endpoint: &Endpoint) -> Result<(), StoreError> {
        rows::ask!(self, |db| endpoints::put_endpoint(db, endpoint))
    }

    async fn remove_endpoint(&mut self, id: EndpointId) -> Result<(), StoreError> {
        rows::ask!(self, |db| endpoints::remove_endpoint(db, id))
    }

    async fn replay(
        &mut self,
        events: &[(MessageSeq, EventId)],
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        rows::ask!(self, |db| endpoints::replay(db, events, now))
    }
}

impl History for Reader {
    async fn delivery_page(&self, page: &DeliveryPage) -> Result<Deliveries, StoreError> {
        reader::ask!(self, |db| endpoints::delivery_page(db, page))
    }

    async fn past(&self, past: &Past) -> Result<PastPage, StoreError> {
        reader::ask!(self, |db| endpoints::past(db, past))
    }

    async fn delivery(&self, org: OrgId, id: DeliveryId) -> Result<Option<Delivery>, StoreError> {
        reader::ask!(self, |db| endpoints::delivery(db, &self.carriers, org, id))
    }
}
