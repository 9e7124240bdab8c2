//! Lives here: the readers' face of both databases: each question on a connection of the pool,
//! within the time that an answer may take.
//! Never here: statements.

use std::collections::HashSet;

use super::db::Conn;
use super::{ANSWER, Pool, Reader, attempts, inbox, operators, read, tallies, within};
use crate::domain::class::Class;
use crate::domain::ids::{CarrierId, CarrierIndex, MessageId, MessageSeq, OrgId, Place};
use crate::domain::message::Message;
use crate::domain::phone::Msisdn;
use crate::domain::receipt::Receipt;
use crate::domain::time::Timestamp;
use crate::flow::Waiting;
use crate::store::control::{AuditEntry, HoldRow};
use crate::store::inbox::{InboxPage, InboxRow};
use crate::store::reads::{Reads, Response};
use crate::store::rows::{AttemptId, Candidate};
use crate::store::{MessageView, QueueRow, StoreError, Tally, TimelineEntry};

/// Puts a question to a connection of the pool.
macro_rules! ask {
    ($self:ident, |$db:ident| $question:expr) => {{
        let mut conn = $self.conn().await?;
        let done = {
            let mut lent = conn.db();
            let $db = &mut lent;
            within(ANSWER, $question).await
        };
        if let Err(error) = &done
            && error.breaks()
        {
            conn.give_up();
        }
        done
    }};
}

pub(super) use ask;

impl Reader {
    pub(super) async fn conn(&self) -> Result<Conn, StoreError> {
        Ok(match &self.pool {
            Pool::Sqlite(pool) => Conn::PooledSqlite(pool.acquire().await?),
            Pool::Postgres(server) => Conn::PooledPostgres(server.reader().await?),
        })
    }
}

impl Reads for Reader {
    async fn message(&self, org: OrgId, id: MessageId) -> Result<Option<MessageView>, StoreError> {
        ask!(self, |db| read::message(db, &self.carriers, org, id))
    }

    async fn any_message(
        &self,
        id: MessageId,
    ) -> Result<Option<(MessageView, Box<str>)>, StoreError> {
        ask!(self, |db| read::any_message(db, &self.carriers, id))
    }

    async fn timeline(&self, seq: MessageSeq) -> Result<Vec<TimelineEntry>, StoreError> {
        ask!(self, |db| read::timeline(db, seq))
    }

    async fn waiting(
        &self,
        lane: (CarrierIndex, Class),
        org: OrgId,
        after: Place,
        limit: u32,
    ) -> Result<Vec<Waiting>, StoreError> {
        ask!(self, |db| read::waiting(
            db,
            &self.carriers,
            lane,
            org,
            after,
            limit
        ))
    }

    async fn backlog(
        &self,
        lane: (CarrierIndex, Class),
    ) -> Result<Vec<(OrgId, Place)>, StoreError> {
        ask!(self, |db| read::backlog(db, &self.carriers, lane))
    }

    async fn still_there(
        &self,
        carrier: CarrierIndex,
        messages: &[MessageSeq],
    ) -> Result<HashSet<MessageSeq>, StoreError> {
        ask!(self, |db| read::still_there(
            db,
            &self.carriers,
            carrier,
            messages
        ))
    }

    async fn in_doubt(&self, after: MessageSeq, limit: u32) -> Result<Vec<Waiting>, StoreError> {
        ask!(self, |db| read::in_doubt(db, &self.carriers, after, limit))
    }

    async fn sandboxed(
        &self,
        after: MessageSeq,
        limit: u32,
    ) -> Result<Vec<(Message, Timestamp)>, StoreError> {
        ask!(self, |db| read::sandboxed(db, &self.carriers, after, limit))
    }

    async fn queue(&self) -> Result<Vec<QueueRow>, StoreError> {
        ask!(self, |db| tallies::queue(db))
    }

    async fn tallies(&self) -> Result<Vec<Tally>, StoreError> {
        ask!(self, |db| tallies::tallies(db))
    }

    async fn ahead_of(&self, id: MessageId) -> Result<u64, StoreError> {
        ask!(self, |db| tallies::ahead_of(db, id))
    }

    async fn preview(
        &self,
        lane: (&str, Class),
        org: Option<OrgId>,
        accepted_before: Option<Timestamp>,
    ) -> Result<(u64, Vec<MessageId>), StoreError> {
        ask!(self, |db| tallies::preview(db, lane, org, accepted_before))
    }

    async fn candidate(&self, id: MessageId) -> Result<Option<Candidate>, StoreError> {
        ask!(self, |db| attempts::candidate(db, &self.carriers, id))
    }

    async fn under_way(&self) -> Result<HashSet<MessageSeq>, StoreError> {
        ask!(self, |db| attempts::under_way(db))
    }

    async fn audit(&self, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        ask!(self, |db| operators::audit(db, limit))
    }

    async fn holds(&self) -> Result<Vec<HoldRow>, StoreError> {
        ask!(self, |db| operators::holds(db))
    }

    async fn inbox(&self, page: &InboxPage) -> Result<Vec<InboxRow>, StoreError> {
        ask!(self, |db| inbox::inbox(db, page))
    }

    async fn unmatched(
        &self,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<(CarrierIndex, u64)>, StoreError> {
        ask!(self, |db| inbox::unmatched(db, &self.carriers, from, until))
    }

    async fn inbox_since(
        &self,
        carrier: &CarrierId,
        since: Timestamp,
        limit: u32,
    ) -> Result<Vec<Receipt>, StoreError> {
        ask!(self, |db| inbox::inbox_since(db, carrier, since, limit))
    }

    async fn responses(
        &self,
        carrier: &CarrierId,
        after: AttemptId,
        limit: u32,
    ) -> Result<Vec<(Response, Msisdn)>, StoreError> {
        ask!(self, |db| inbox::responses(db, carrier, after, limit))
    }

    async fn before(&self, at: Timestamp) -> Result<MessageSeq, StoreError> {
        ask!(self, |db| inbox::before(db, at))
    }
}
