//! Lives here: the session's timers: when the next is due and what happens then.
//! Never here: a clock.

use std::time::Instant;

use crate::codec::CommandId;
use crate::session::{Action, CloseReason, Enquiry, Phase, Session, put_header};
use crate::status::CommandStatus;

impl<T: Clone> Session<T> {
    /// When `Input::Tick` is due at the latest; `None` once closed. Cheap: constant time.
    pub fn next_deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Open { until }
            | Phase::BindSent { until, .. }
            | Phase::BindAsked { until, .. } => Some(until),
            Phase::Bound { .. } => self.link_deadline(),
            Phase::Draining { until, .. } => earliest(Some(until), self.link_deadline()),
            Phase::Unbinding { until, .. } | Phase::PeerUnbinding { until, .. } => {
                earliest(Some(until), self.response_deadline())
            }
            Phase::Closed => None,
        }
    }

    pub(super) fn tick(&mut self, now: Instant, actions: &mut Vec<Action<T>>) {
        self.expire(now, actions);
        match self.phase {
            Phase::Open { until } | Phase::BindSent { until, .. } => {
                if until <= now {
                    self.abort(CloseReason::BindTimeout, actions);
                }
            }
            Phase::BindAsked {
                kind,
                sequence,
                until,
                ..
            } => {
                if until <= now {
                    let status = CommandStatus::ESME_RSYSERR;
                    self.answer(kind.command().response(), status, sequence);
                    self.abort(CloseReason::BindTimeout, actions);
                }
            }
            Phase::Bound { .. } => self.tick_link(now, actions),
            Phase::Draining { kind, until, .. } => {
                if until <= now {
                    self.send_unbind(kind, now);
                } else {
                    self.tick_link(now, actions);
                }
            }
            Phase::Unbinding { until, .. } => {
                if until <= now {
                    self.abort(CloseReason::UnbindTimeout, actions);
                }
            }
            Phase::PeerUnbinding { until, .. } => {
                if until <= now {
                    self.answer_unbind(actions);
                }
            }
            Phase::Closed => {}
        }
    }

    /// The oldest request is the first to expire, since all have the same timeout.
    fn response_deadline(&self) -> Option<Instant> {
        Some(self.in_flight.oldest()?.sent + self.config.response_timeout)
    }

    fn link_deadline(&self) -> Option<Instant> {
        let link = match self.enquiry {
            Some(enquiry) => enquiry.until,
            None => self.last_received + self.config.enquire_link_interval,
        };
        earliest(
            earliest(Some(link), self.response_deadline()),
            self.inactivity_deadline(),
        )
    }

    fn inactivity_deadline(&self) -> Option<Instant> {
        Some(self.last_transaction + self.config.inactivity_timeout?)
    }

    fn expire(&mut self, now: Instant, actions: &mut Vec<Action<T>>) {
        while self
            .response_deadline()
            .is_some_and(|deadline| deadline <= now)
        {
            let Some(entry) = self.in_flight.remove_oldest() else {
                break;
            };
            self.late
                .insert(entry.sequence, entry.command, entry.token.clone());
            actions.push(Action::Expired {
                token: entry.token,
                sequence: entry.sequence,
            });
        }
    }

    fn tick_link(&mut self, now: Instant, actions: &mut Vec<Action<T>>) {
        if self.enquiry.is_some_and(|enquiry| enquiry.until <= now) {
            self.abort(CloseReason::EnquireLinkTimeout, actions);
            return;
        }
        if self
            .inactivity_deadline()
            .is_some_and(|deadline| deadline <= now)
        {
            let sequence = self.free_sequence();
            put_header(
                &mut self.output,
                CommandId::UNBIND,
                CommandStatus::ESME_ROK,
                sequence,
            );
            self.abort(CloseReason::Inactivity, actions);
            return;
        }
        if self.enquiry.is_none() && self.last_received + self.config.enquire_link_interval <= now {
            let sequence = self.free_sequence();
            self.use_sequence(sequence);
            put_header(
                &mut self.output,
                CommandId::ENQUIRE_LINK,
                CommandStatus::ESME_ROK,
                sequence,
            );
            self.enquiry = Some(Enquiry {
                sequence,
                until: now + self.config.response_timeout,
            });
        }
    }
}

fn earliest(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, None) => a,
        (None, b) => b,
    }
}
