//! Lives here: a message's row: writing it, reading it back, and every change of where it stands.
//! Never here: attempts, receipts, events; whether a change should be made (`engine`).

use super::db::Row;
use crate::domain::class::Class;
use crate::domain::ids::{CarrierIndex, MessageId, MessageSeq, OrgId};
use crate::domain::message::{Encoding, FailureCode, Message, State};
use crate::domain::phone::{Msisdn, Sender};
use crate::domain::time::Timestamp;
use crate::store::rows::Stored;
use crate::store::{Carriers, StoreError};

/// The columns that [`message`] reads, under the alias `m`: 18 of them, so what a statement
/// selects behind them begins at column 18.
pub(in crate::store) const COLUMNS: &str = "m.seq, m.id, m.org, m.class, m.state, m.carrier, \
     m.recipient, m.sender, m.body, m.encoding, m.segments, m.webhook_url, m.metadata, m.tags, \
     m.accepted_at, m.due_at, m.valid_until, m.sent_at";

/// Reads a row selected with [`COLUMNS`]. An account that is configured no more reads as index
/// `u16::MAX`.
pub(in crate::store) fn message(row: &Row, carriers: &Carriers) -> Result<Stored, StoreError> {
    let corrupt = |what: &'static str| StoreError::Corrupt { what };
    let state = State::from_index(row.int(4)?).ok_or_else(|| corrupt("messages.state"))?;
    let message = Message {
        seq: MessageSeq(row.int(0)?),
        id: MessageId(row.id(1)?),
        org: OrgId(row.id(2)?),
        class: Class::from_index(row.int(3)?).ok_or_else(|| corrupt("messages.class"))?,
        to: Msisdn::from_digits(row.text(6)?).map_err(|_| corrupt("messages.recipient"))?,
        from: Sender::parse(row.text(7)?).map_err(|_| corrupt("messages.sender"))?,
        body: row.text(8)?.into(),
        encoding: Encoding::from_index(row.int(9)?).ok_or_else(|| corrupt("messages.encoding"))?,
        segments: row.small(10)?,
        carrier: carriers
            .index(row.text(5)?)
            .unwrap_or(CarrierIndex(u16::MAX)),
        webhook_url: row.opt_text(11)?.map(Into::into),
        metadata: row.opt_text(12)?.map(Into::into),
        tags: row.opt_text(13)?.map(Into::into),
        accepted_at: Timestamp(row.int(14)?),
        due_at: Timestamp(row.int(15)?),
        valid_until: Timestamp(row.int(16)?),
    };
    Ok(Stored {
        message,
        state,
        sent_at: row.opt_int(17)?.map(Timestamp),
    })
}

/// A failure code's column.
pub(in crate::store) fn failure(text: Option<&str>) -> Option<FailureCode> {
    text.and_then(FailureCode::parse)
}

/// An account's id as rows hold it; empty for one that is configured no more.
pub(in crate::store) fn account(carriers: &Carriers, index: CarrierIndex) -> &str {
    carriers.id(index).map_or("", |id| &id.0)
}
