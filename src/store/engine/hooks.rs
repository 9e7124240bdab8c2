//! Lives here: whom the events of a transaction go to, what their deliveries make of endpoints, and
//! the changes of endpoints.
//! Never here: HTTP; what an endpoint wants (`domain::endpoint`).

use std::sync::Arc;

use super::{Engine, new_event};
use crate::domain::endpoint::{ENDPOINTS_MAX, Endpoint, Endpoints, Heard};
use crate::domain::event::EventKind;
use crate::domain::ids::{EndpointId, MessageSeq, OrgId};
use crate::domain::message::{FailureCode, Message, State};
use crate::domain::time::Timestamp;
use crate::flow::{About, DeliveryRecord, EventJob, Notice, Transition};
use crate::store::StoreError;
use crate::store::batch::{Batch, Chore, Effects};
use crate::store::hooks::{HooksDone, HooksWork, Made, Rotated};
use crate::store::jobs::JobsWork;
use crate::store::notices::{self, CreditsLow, EndpointDisabled};
use crate::store::rows::Rows;

/// What has happened to a message.
pub(super) struct Happened {
    /// A state that is announced.
    pub(super) state: State,
    /// Among the message's events.
    pub(super) sequence: u32,
    pub(super) at: Timestamp,
    pub(super) sent_at: Option<Timestamp>,
    pub(super) failure: Option<FailureCode>,
}

/// Makes an event for each who is told: the message's own URL, and every endpoint that wants it. Who
/// has neither costs a look.
pub(super) fn tell(
    endpoints: &Endpoints,
    message: &Arc<Message>,
    happened: &Happened,
    jobs: &mut Vec<EventJob>,
) {
    let Some(kind) = EventKind::of_state(happened.state) else {
        return;
    };
    let own = message.webhook_url.as_ref().map(|_| (None, kind.plain()));
    let told = endpoints.told(message.org, message.live, kind);
    let all = own
        .into_iter()
        .chain(told.map(|(id, kind)| (Some(id), kind)));
    jobs.extend(all.map(|(target, kind)| EventJob {
        event: new_event(happened.at),
        target,
        kind,
        sequence: happened.sequence,
        about: About::Message {
            message: Arc::clone(message),
            sent_at: happened.sent_at,
            state: happened.state,
            failure: happened.failure,
        },
        at: happened.at,
        attempts: 0,
        attempts_before: 0,
    }));
}

/// Makes the events that announce a transition decided outside the store.
pub(super) fn announce(endpoints: &Endpoints, transition: &Transition, events: &mut Vec<EventJob>) {
    let happened = Happened {
        state: transition.to,
        sequence: if transition.to == State::Submitted {
            1
        } else {
            2
        },
        at: transition.at,
        sent_at: transition.sent_at,
        failure: transition.failure,
    };
    tell(endpoints, &transition.message, &happened, events);
}

/// Something of an organisation to be announced.
pub(in crate::store) struct Announcement {
    /// Whose.
    pub(in crate::store) org: OrgId,
    /// To its live (true) or test endpoints.
    pub(in crate::store) live: bool,
    /// What.
    pub(in crate::store) kind: EventKind,
    /// When.
    pub(in crate::store) at: Timestamp,
    /// The event's `data`, a JSON object.
    pub(in crate::store) data: Box<str>,
}

impl<R: Rows> Engine<R> {
    /// Announces something of an organisation to those of its endpoints that want to know, in this
    /// transaction. Whoever calls it from a chore needs do nothing more.
    pub(in crate::store) fn notify(&mut self, what: Announcement, effects: &mut Effects) {
        let endpoints = effects.endpoints.as_ref().unwrap_or(&self.endpoints);
        let told: Vec<_> = endpoints.told(what.org, what.live, what.kind).collect();
        if told.is_empty() {
            return;
        }
        let notice = Arc::new(Notice {
            seq: self.next_seq(what.at),
            org: what.org,
            live: what.live,
            data: what.data,
        });
        effects
            .events
            .extend(told.into_iter().map(|(id, kind)| EventJob {
                event: new_event(what.at),
                target: Some(id),
                kind,
                sequence: 1,
                about: About::Notice(Arc::clone(&notice)),
                at: what.at,
                attempts: 0,
                attempts_before: 0,
            }));
    }

    /// Announces the balances that have come down to their thresholds with this batch.
    pub(super) fn notify_of_balances(&mut self, batch: &Batch, effects: &mut Effects) {
        if self.endpoints.is_empty() {
            return;
        }
        let crossings = effects.sheet.crossings(&self.books);
        let low: Vec<_> = crossings.map(|(id, purse)| (id, *purse)).collect();
        if low.is_empty() {
            return;
        }
        let accepts = batch.accepts.iter().map(|one| one.message.accepted_at);
        let audits = batch.chores.iter().filter_map(|one| one.audit.as_ref());
        let jobs = batch.chores.iter().filter_map(|one| match &one.chore {
            Chore::Jobs(JobsWork::Create(order)) => Some(order.job.created_at),
            _ => None,
        });
        let changes = audits.map(|audit| audit.at).chain(jobs);
        let at = accepts.chain(changes).max();
        for ((org, channel), purse) in low {
            let announcement = Announcement {
                org,
                live: true,
                kind: EventKind::CreditsLow,
                at: at.unwrap_or_default(),
                data: notices::written(&CreditsLow::new(channel, &purse)),
            };
            self.notify(announcement, effects);
        }
    }

    /// What the deliveries of a batch make of their endpoints.
    pub(super) async fn heard(
        &mut self,
        records: &[&DeliveryRecord],
        effects: &mut Effects,
    ) -> Result<(), StoreError> {
        for record in records {
            let Some(id) = record.job.target else {
                continue;
            };
            let heard = match record.status {
                Some(200..=299) => Heard::Taken,
                Some(410) => Heard::Gone,
                Some(_) | None => Heard::Failed,
            };
            let Some(now) = self.endpoint(id, effects) else {
                continue;
            };
            if let Some(new) = now.after(heard, record.at) {
                let ended = new.disabled;
                let new = self.keep(new, effects).await?;
                if let Some((at, reason)) = ended {
                    let announcement = Announcement {
                        org: new.org,
                        live: new.live,
                        kind: EventKind::EndpointDisabled,
                        at,
                        data: notices::written(&EndpointDisabled::new(&new, reason)),
                    };
                    self.notify(announcement, effects);
                    effects.disabled.push((id, reason));
                }
            }
        }
        Ok(())
    }

    /// Does what is wanted of endpoints.
    pub(super) async fn hooks(
        &mut self,
        work: &HooksWork,
        effects: &mut Effects,
    ) -> Result<HooksDone, StoreError> {
        let of = |one: &Arc<Endpoint>, org: OrgId| one.org == org;
        Ok(match work {
            HooksWork::Make(endpoint) => {
                let endpoints = effects.endpoints.as_ref().unwrap_or(&self.endpoints);
                if endpoints.of(endpoint.org).len() >= ENDPOINTS_MAX {
                    return Ok(HooksDone::Made(Made::TooMany));
                }
                let made = self.keep(endpoint.clone(), effects).await?;
                HooksDone::Made(Made::Done(made))
            }
            HooksWork::Change {
                org,
                id,
                change,
                at,
            } => {
                let now = self.endpoint(*id, effects).filter(|one| of(one, *org));
                let new = now.map(|one| one.changed(change, *at));
                HooksDone::Changed(self.keep_some(new, effects).await?)
            }
            HooksWork::Rotate {
                org,
                id,
                secret,
                at,
                until,
            } => {
                let now = self.endpoint(*id, effects).filter(|one| of(one, *org));
                let new = now.map(|one| one.rotated(secret.clone(), *at, *until));
                HooksDone::Rotated(match new {
                    None => Rotated::Missing,
                    Some(Err(until)) => Rotated::Overlap(until),
                    Some(Ok(new)) => Rotated::Done(self.keep(new, effects).await?),
                })
            }
            HooksWork::Remove(org, id) => {
                let now = self.endpoint(*id, effects).filter(|one| of(one, *org));
                if now.is_some() {
                    self.rows.remove_endpoint(*id).await?;
                    self.changing(effects).remove(*id);
                }
                HooksDone::Removed(now.is_some())
            }
            HooksWork::Replay { events, now } => {
                HooksDone::Replayed(self.rows.replay(events, *now).await?)
            }
        })
    }

    /// An endpoint as the batch has it so far.
    fn endpoint(&self, id: EndpointId, effects: &Effects) -> Option<Arc<Endpoint>> {
        let endpoints = effects.endpoints.as_ref().unwrap_or(&self.endpoints);
        endpoints.get(id).cloned()
    }

    /// The endpoints as the batch leaves them: a copy from when the first of them changes.
    fn changing<'e>(&self, effects: &'e mut Effects) -> &'e mut Endpoints {
        let copy = || Endpoints::clone(&self.endpoints);
        effects.endpoints.get_or_insert_with(copy)
    }

    async fn keep(
        &mut self,
        endpoint: Endpoint,
        effects: &mut Effects,
    ) -> Result<Arc<Endpoint>, StoreError> {
        self.rows.put_endpoint(&endpoint).await?;
        let endpoint = Arc::new(endpoint);
        self.changing(effects).put(Arc::clone(&endpoint));
        Ok(endpoint)
    }

    async fn keep_some(
        &mut self,
        endpoint: Option<Endpoint>,
        effects: &mut Effects,
    ) -> Result<Option<Arc<Endpoint>>, StoreError> {
        match endpoint {
            Some(endpoint) => Ok(Some(self.keep(endpoint, effects).await?)),
            None => Ok(None),
        }
    }

    /// The numbers of notices whose deliveries this batch records: their days must have room.
    pub(super) fn notices(batch: &Batch) -> impl Iterator<Item = MessageSeq> {
        let records = batch.deliveries.iter().flat_map(|one| &one.records);
        records.filter_map(|record| Some(record.job.notice()?.seq))
    }
}
