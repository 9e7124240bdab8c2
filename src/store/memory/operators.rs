//! Lives here: what operators write into the model and read from it.
//! Never here: what they change of messages (`messages`).

use std::collections::BTreeMap;

use super::messages::LAST_ORG;
use super::tables::{AuditRow, MessageRow, Tables};
use crate::domain::class::Class;
use crate::domain::ids::{MessageId, OrgId, Place};
use crate::domain::message::State;
use crate::domain::time::Timestamp;
use crate::store::control::AuditEntry;
use crate::store::{QueueRow, Tally};

/// Ids that a preview shows.
const SAMPLE: usize = 5;

impl Tables {
    pub(super) fn note(&mut self, entry: &AuditEntry) -> i64 {
        let id = 1 + self.audit.all().next_back().map_or(0, |row| row.id);
        let entry = entry.clone();
        self.audit.put(AuditRow { id, entry });
        id
    }

    pub(super) fn renote(&mut self, row: i64, outcome: &str) {
        let replace = |row: &mut AuditRow| row.entry.outcome = outcome.into();
        self.audit.change(&row, |_| true, replace);
    }

    pub(super) fn queue(&self) -> Vec<QueueRow> {
        let mut rows: BTreeMap<_, QueueRow> = BTreeMap::new();
        let waits = |row: &&MessageRow| matches!(row.state, State::Queued | State::Scheduled);
        for row in self.messages.all().filter(waits) {
            let accepted_at = row.message.accepted_at;
            let lane = (&row.carrier, row.message.class, row.state.index());
            let counted = rows.entry(lane).or_insert_with(|| QueueRow {
                carrier: (&*row.carrier).into(),
                class: row.message.class,
                state: row.state,
                messages: 0,
                oldest: accepted_at,
            });
            counted.messages += 1;
            counted.oldest = counted.oldest.min(accepted_at);
        }
        rows.into_values().collect()
    }

    pub(super) fn tallies(&self) -> Vec<Tally> {
        let mut rows: BTreeMap<_, (Tally, Place)> = BTreeMap::new();
        let counts = |row: &&MessageRow| {
            matches!(
                row.state,
                State::Queued | State::Scheduled | State::Uncertain
            )
        };
        for row in self.messages.all().filter(counts) {
            let message = &row.message;
            let lane = (&row.carrier, message.class, message.org, row.state.index());
            let due = (row.state == State::Scheduled).then_some(message.due_at);
            let (tally, first) = rows.entry(lane).or_insert_with(|| {
                let org = self.organisations.get(&message.org);
                let tally = Tally {
                    carrier: (&*row.carrier).into(),
                    class: message.class,
                    org: message.org,
                    org_name: org.map(|org| org.name.clone()).unwrap_or_default(),
                    state: row.state,
                    messages: 0,
                    oldest: message.accepted_at,
                    due,
                };
                (tally, row.place)
            });
            tally.messages += 1;
            tally.due = tally.due.min(due);
            if row.state != State::Queued {
                tally.oldest = tally.oldest.min(message.accepted_at);
            } else if row.place < *first {
                (tally.oldest, *first) = (message.accepted_at, row.place);
            }
        }
        rows.into_values().map(|(tally, _)| tally).collect()
    }

    pub(super) fn ahead_of(&self, id: MessageId) -> u64 {
        let Some(own) = self.message(id).filter(|row| row.state == State::Queued) else {
            return 0;
        };
        let lane = self.lane(
            (&own.carrier, own.message.class),
            (OrgId(uuid::Uuid::nil()), Place(i64::MIN)),
            (LAST_ORG, Place(i64::MAX)),
        );
        lane.filter(|row| row.place < own.place).count() as u64
    }

    pub(super) fn preview(
        &self,
        lane: (&str, Class),
        org: Option<OrgId>,
        accepted_before: Option<Timestamp>,
    ) -> (u64, Vec<MessageId>) {
        let from = (org.unwrap_or(OrgId(uuid::Uuid::nil())), Place(i64::MIN));
        let until = (org.unwrap_or(LAST_ORG), Place(i64::MAX));
        let rows = self.lane(lane, from, until);
        let asked = rows
            .filter(|row| accepted_before.is_none_or(|before| row.message.accepted_at < before));
        let ids: Vec<MessageId> = asked.map(|row| row.message.id).collect();
        (ids.len() as u64, ids.into_iter().take(SAMPLE).collect())
    }
}
