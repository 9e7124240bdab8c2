//! Lives here: one session of a bind: messages out, answers and receipts in, the drain at the end.
//! Never here: connecting (`bind`), what may be taken (`pull`), what an outcome means.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use mnara_smpp::pdu::{DataSmResp, DeliverSmResp, Pdu};
use mnara_smpp::receipt::Incoming;
use mnara_smpp::session::{Action, CloseReason, Input, Notice, Refused};
use mnara_smpp::status::CommandStatus;
use mnara_smpp::transport::Connection;
use tokio_util::sync::CancellationToken;

use super::Mode;
use super::bind::{Desk, UNBINDING, segments_of};
use super::pull::{Pulled, Puller};
use super::translate::{self, Delivered, Piece};
use crate::domain::ids::IntentId;
use crate::domain::message::FailureCode;
use crate::domain::time::Timestamp;
use crate::domain::verdict::Verdict;
use crate::flow::{
    Answer, Answered, Outcome, Parts, Ready, ReceiptAck, ReceiptArrived, ReceiptPdu,
};

/// What the session keeps for each outstanding submit_sm.
#[derive(Clone)]
pub(super) struct Handed {
    ready: Ready,
    /// The parts that it carries: one, or all where the carrier divides messages itself.
    parts: Parts,
    intent: IntentId,
    submitted_at: Timestamp,
}

/// A submit_sm that may be written as soon as the window has a slot.
struct Unsent {
    handed: Handed,
    piece: Piece,
}

/// A bound session.
pub(super) struct Live<'a> {
    desk: &'a mut Desk,
    connection: Connection<Handed>,
    puller: Puller,
    actions: Vec<Action<Handed>>,
    unsent: VecDeque<Unsent>,
    /// The batch whose intent the writer's queue had no room for.
    unasked: Option<Vec<Ready>>,
    /// Segments of each intent that have no outcome yet.
    open: HashMap<IntentId, u32>,
    /// The session is being left: nothing is pulled any more, and at this instant it ends.
    leaving: Option<tokio::time::Instant>,
    closed: Option<CloseReason>,
}

impl<'a> Live<'a> {
    pub(super) fn new(desk: &'a mut Desk, connection: Connection<Handed>) -> Self {
        let now = Instant::now();
        let config = &desk.seat.config;
        let max_tps = config.max_tps.unwrap_or(desk.seat.account.config.max_tps);
        let puller = Puller::new(config.window, desk.config.otp_reserve_percent, max_tps, now);
        Self {
            desk,
            connection,
            puller,
            actions: Vec::new(),
            unsent: VecDeque::new(),
            unasked: None,
            open: HashMap::new(),
            leaving: None,
            closed: None,
        }
    }

    /// Runs until the session ends; says why.
    pub(super) async fn run(mut self, stop: &CancellationToken) -> &'static str {
        let outcomes = self.desk.links.outcomes.clone();
        let (lanes, place) = (
            Arc::clone(&self.desk.seat.account.lanes),
            self.desk.seat.place,
        );
        while self.closed.is_none() {
            let pulled = self.pull();
            let (empty, wait) = (pulled.empty, pulled.wait_until);
            self.hand(pulled);
            self.write();
            if self.leaving.is_some() && self.is_idle() {
                self.unbind();
            }
            self.desk
                .tell
                .in_flight(self.connection.session().in_flight());
            let wake = wait.or_else(|| self.unasked.as_ref().map(|_| soon()));
            let leaving = self.leaving;
            let drained = leaving.unwrap_or_else(far);
            let wake = wake.map_or_else(far, Into::into);
            // `recv`, `reserve`, `ready` and `drive` are cancel-safe: a branch that is dropped
            // has taken nothing.
            tokio::select! {
                biased;
                Some(answer) = self.desk.answers.recv() => self.answered(answer),
                permit = outcomes.reserve(), if !self.desk.outcomes.is_empty() => {
                    if let Ok(permit) = permit {
                        permit.send(self.desk.take_outcomes());
                    } else {
                        break;
                    }
                }
                () = self.connection.drive(&mut self.actions) => self.act(),
                () = lanes.ready(place), if empty => {}
                () = tokio::time::sleep_until(wake), if wait.is_some() || self.unasked.is_some() => {}
                () = stop.cancelled(), if leaving.is_none() => self.leave(),
                () = tokio::time::sleep_until(drained), if leaving.is_some() => {
                    self.connection.session().abort(CloseReason::Aborted, &mut self.actions);
                    self.act();
                }
            }
        }
        self.end().await
    }

    /// Pulls no more; the session ends when what is under way is done, or the drain time is over.
    fn leave(&mut self) {
        if self.leaving.is_none() {
            self.leaving = Some(tokio::time::Instant::now() + self.desk.config.drain_timeout);
            self.desk.tell.state(UNBINDING, None);
        }
    }

    fn is_idle(&mut self) -> bool {
        self.connection.session().in_flight() == 0
            && self.unsent.is_empty()
            && self.desk.intending == 0
            && self.desk.receipts == 0
    }

    fn unbind(&mut self) {
        // Refused only when the session is over; an unbind that is under way, ours or the carrier's, goes on.
        let _ = self.connection.send(Input::Unbind, &mut self.actions);
    }

    /// Takes from the lanes what the window and the pace allow.
    fn pull(&mut self) -> Pulled {
        let window = self.desk.seat.config.window;
        let waiting = self.desk.intending + self.unsent.len();
        let account = &self.desk.seat.account;
        if self.desk.seat.config.mode == Mode::Receiver || self.leaving.is_some() {
            return Pulled::default();
        }
        let busy = self.unasked.is_some() || self.desk.outcomes.len() > 2 * window;
        if busy || !self.desk.links.store.health().is_well() {
            // Suspended, or behind: look again soon, or when the queue has room.
            return Pulled {
                wait_until: Some(soon()),
                ..Pulled::default()
            };
        }
        let free = self
            .connection
            .session()
            .window_free()
            .saturating_sub(waiting);
        let wall = (self.desk.links.now)();
        self.puller
            .pull(&account.lanes, &account.rate, free, Instant::now(), wall)
    }

    /// Sends OTP on its way and asks for the rest's intent.
    fn hand(&mut self, pulled: Pulled) {
        for ready in pulled.expired {
            let part = Parts::one(ready.parts.iter().next().unwrap_or(1));
            let now = (self.desk.links.now)();
            let handed = Handed {
                ready,
                parts: part,
                intent: IntentId(0),
                submitted_at: now,
            };
            self.outcome(handed, 0, Answer::Expired);
        }
        for ready in pulled.at_once {
            self.queue(&ready, IntentId(0));
        }
        let batch = match self.unasked.take() {
            Some(batch) => batch,
            None => {
                self.desk.intending += segments_of(&pulled.to_intend);
                pulled.to_intend
            }
        };
        if batch.is_empty() {
            return;
        }
        let seat = &self.desk.seat;
        let (by, to) = (
            (seat.account.config.id.clone(), seat.name.clone()),
            self.desk.answers_to.clone(),
        );
        let asked = self
            .desk
            .links
            .store
            .intend(by, (self.desk.links.now)(), batch, to);
        if let Err(batch) = asked {
            self.unasked = Some(batch);
        }
    }

    /// Cuts a message and queues its pieces for the wire.
    fn queue(&mut self, ready: &Ready, intent: IntentId) {
        let profile = &self.desk.seat.account.config.profile;
        let pieces = translate::pieces(profile, &ready.message, ready.parts);
        let submitted_at = (self.desk.links.now)();
        let handed = |parts| Handed {
            ready: ready.clone(),
            parts,
            intent,
            submitted_at,
        };
        if pieces.is_empty() {
            return self.unencodable(handed(ready.parts));
        }
        self.unsent.extend(pieces.into_iter().map(|piece| Unsent {
            handed: handed(piece.parts),
            piece,
        }));
    }

    /// What we cannot write in this carrier's way; another's may do.
    fn unencodable(&mut self, handed: Handed) {
        let answer = Answer::Refused {
            status: CommandStatus::ESME_RINVMSGLEN.0,
            verdict: Verdict::OtherRoute(FailureCode::CarrierRejected),
            late: false,
        };
        self.outcome(handed, 0, answer);
    }

    /// Writes what the window takes. OTP was queued first where it came with others.
    fn write(&mut self) {
        while self.connection.session().window_free() > 0
            && let Some(Unsent { mut handed, piece }) = self.unsent.pop_front()
        {
            handed.submitted_at = (self.desk.links.now)();
            let profile = &self.desk.seat.account.config.profile;
            let pdu =
                translate::submit_sm(profile, &handed.ready.message, &piece, handed.submitted_at);
            let input = Input::Request {
                pdu: &Pdu::SubmitSm(pdu),
                token: handed.clone(),
            };
            match self.connection.send(input, &mut self.actions) {
                Ok(()) => {}
                Err(Refused::Encode(_)) => self.unencodable(handed),
                Err(Refused::WindowFull | Refused::NotBound | Refused::NotPermitted) => {
                    self.outcome(handed, 0, Answer::NotSent);
                }
            }
        }
    }

    /// The store has answered an intent or a receipt.
    fn answered(&mut self, first: Answered) {
        let mut next = Some(first);
        while let Some(answer) = next {
            match answer {
                Answered::Intent {
                    batch,
                    turned_back,
                    intent,
                } => {
                    self.desk.answered_intent(&batch, &turned_back);
                    let segments = segments_of(&batch);
                    if segments > 0 {
                        self.open.insert(intent, segments as u32);
                    }
                    for ready in batch {
                        self.queue(&ready, intent);
                    }
                }
                Answered::Receipt {
                    session,
                    sequence,
                    pdu,
                    kept,
                } => {
                    self.desk.receipts = self.desk.receipts.saturating_sub(1);
                    if session != self.desk.session {
                        next = self.desk.answers.try_recv().ok();
                        continue;
                    }
                    let status = if kept {
                        CommandStatus::ESME_ROK
                    } else {
                        CommandStatus::ESME_RX_T_APPN
                    };
                    self.respond(sequence, pdu, status);
                }
            }
            next = self.desk.answers.try_recv().ok();
        }
    }

    fn respond(&mut self, sequence: u32, pdu: ReceiptPdu, status: CommandStatus) {
        let pdu = match pdu {
            ReceiptPdu::DeliverSm => Pdu::DeliverSmResp(DeliverSmResp::default()),
            ReceiptPdu::DataSm => Pdu::DataSmResp(DataSmResp::default()),
        };
        // Refused only when the session has ended: the carrier will send it again.
        let _ = self.connection.send(
            Input::Respond {
                sequence,
                status,
                pdu: &pdu,
            },
            &mut self.actions,
        );
    }

    fn act(&mut self) {
        let mut actions = std::mem::take(&mut self.actions);
        for action in actions.drain(..) {
            match action {
                Action::Response {
                    token,
                    sequence,
                    status,
                    pdu,
                    rtt,
                } => {
                    if status.is_ok() {
                        self.desk.tell.meter.accepted(rtt);
                    } else {
                        self.desk.tell.meter.refused(rtt);
                    }
                    let answer = self.answer(status, pdu, false);
                    self.outcome(token, sequence, answer);
                }
                Action::Late {
                    token,
                    sequence,
                    status,
                    pdu,
                } => {
                    let answer = self.answer(status, pdu, true);
                    let token = Handed {
                        intent: IntentId(0),
                        ..token
                    };
                    self.outcome(token, sequence, answer);
                }
                Action::Expired { token, sequence } | Action::InDoubt { token, sequence } => {
                    self.desk.tell.meter.in_doubt();
                    self.outcome(token, sequence, Answer::InDoubt);
                }
                Action::Request {
                    sequence,
                    pdu,
                    violations,
                } => {
                    if !violations.is_empty() {
                        self.desk.tell.meter.pdu_error("violation");
                    }
                    self.request(sequence, pdu);
                }
                Action::Notified { .. } => self.desk.tell.meter.pdu_error("ignored"),
                // What is outstanding may still be answered: pull nothing more, keep reading.
                Action::PeerUnbinding => self.leave(),
                Action::Notice(notice) => self.desk.tell.meter.pdu_error(reason_of(&notice)),
                Action::Closed { reason } => self.closed = Some(reason),
                Action::Bound { .. }
                | Action::BindRejected { .. }
                | Action::BindRequested { .. }
                | Action::Congestion { .. } => {}
            }
        }
        actions.append(&mut self.actions);
        self.actions = actions;
        if !self.actions.is_empty() {
            self.act();
        }
    }

    fn answer(&mut self, status: CommandStatus, pdu: Option<Pdu>, late: bool) -> Answer {
        if !status.is_ok() {
            let verdict = self.desk.seat.account.config.profile.verdict(status.0);
            match verdict {
                Verdict::SlowDown(pause) if !late => self.puller.slow_down(pause, Instant::now()),
                // The carrier and we disagree about this session: begin another.
                Verdict::Session if !late => self.leave(),
                _ => {}
            }
            return Answer::Refused {
                status: status.0,
                verdict,
                late,
            };
        }
        let raw_id: Box<str> = match pdu {
            Some(Pdu::SubmitSmResp(resp)) => translate::carrier_id(&resp.message_id.to_str_lossy()),
            _ => "".into(),
        };
        let normalised = self
            .desk
            .seat
            .account
            .config
            .profile
            .ids
            .response_key(&raw_id)
            .into();
        Answer::Accepted {
            raw_id,
            normalised,
            late,
        }
    }

    /// Each part has an outcome of its own, also where one submit_sm carried several.
    fn outcome(&mut self, handed: Handed, sequence: u32, answer: Answer) {
        let mut parts = handed.parts.iter();
        let Some(first) = parts.next() else { return };
        for part in parts {
            self.outcome_of(part, handed.clone(), sequence, answer.clone());
        }
        self.outcome_of(first, handed, sequence, answer);
    }

    fn outcome_of(&mut self, part: u8, handed: Handed, sequence: u32, answer: Answer) {
        let closes = match self.open.get_mut(&handed.intent) {
            Some(left) if *left <= 1 => self.open.remove(&handed.intent).map(|_| handed.intent),
            Some(left) => {
                *left -= 1;
                None
            }
            None => None,
        };
        self.desk.outcomes.push(Outcome {
            ready: handed.ready,
            part,
            closes,
            carrier: self.desk.seat.account.config.id.clone(),
            bind: self.desk.seat.name.clone(),
            sequence,
            submitted_at: handed.submitted_at,
            answered_at: (self.desk.links.now)(),
            answer,
        });
    }

    fn request(&mut self, sequence: u32, pdu: Pdu) {
        match pdu {
            Pdu::DeliverSm(deliver) => {
                self.deliver(sequence, ReceiptPdu::DeliverSm, (&deliver).into());
            }
            Pdu::DataSm(data) => self.deliver(sequence, ReceiptPdu::DataSm, (&data).into()),
            other => {
                self.desk.tell.meter.pdu_error("unexpected_request");
                let input = Input::Decline {
                    sequence,
                    command: other.command(),
                    status: CommandStatus::ESME_RINVCMDID,
                };
                // Refused only when the session has ended.
                let _ = self.connection.send(input, &mut self.actions);
            }
        }
    }

    fn deliver(&mut self, sequence: u32, pdu: ReceiptPdu, incoming: Incoming<'_>) {
        let account = &self.desk.seat.account.config;
        let now = (self.desk.links.now)();
        match translate::delivered(&account.id, &account.profile, incoming, now) {
            Delivered::Receipt(receipt) => {
                let (to, session) = (self.desk.answers_to.clone(), self.desk.session);
                let ack = ReceiptAck {
                    to,
                    session,
                    sequence,
                    pdu,
                };
                let room = self.desk.receipts < self.desk.config.receipts_max;
                if room
                    && self
                        .desk
                        .links
                        .receipts
                        .try_send(ReceiptArrived { receipt, ack })
                        .is_ok()
                {
                    self.desk.receipts += 1;
                } else {
                    self.desk.tell.meter.receipt_refused();
                    self.respond(sequence, pdu, CommandStatus::ESME_RX_T_APPN);
                }
            }
            Delivered::Useless => {
                self.desk.tell.meter.pdu_error("receipt_without_id");
                self.respond(sequence, pdu, CommandStatus::ESME_ROK);
            }
            Delivered::Acknowledgement => {
                self.desk.tell.meter.pdu_error("sme_acknowledgement");
                self.respond(sequence, pdu, CommandStatus::ESME_ROK);
            }
            Delivered::MobileOriginated => {
                self.desk.tell.meter.mo_refused();
                self.respond(sequence, pdu, CommandStatus::ESME_RX_R_APPN);
            }
        }
    }

    /// The session is over: what was not written goes back, what was is in doubt already.
    /// Intents still at the writer come back to `bind`, which gives them back as well.
    async fn end(mut self) -> &'static str {
        self.desk.tell.in_flight(0);
        while let Some(unsent) = self.unsent.pop_front() {
            self.outcome(unsent.handed, 0, Answer::NotSent);
        }
        if let Some(batch) = self.unasked.take() {
            self.desk.intending = self.desk.intending.saturating_sub(segments_of(&batch));
            self.desk.give_back(batch, None);
        }
        self.desk.flush().await;
        name_of(self.closed)
    }
}

/// When to look again at what has no bell of its own.
fn soon() -> Instant {
    Instant::now() + std::time::Duration::from_millis(10)
}

/// A deadline for branches that are switched off.
fn far() -> tokio::time::Instant {
    tokio::time::Instant::now() + std::time::Duration::from_secs(3600)
}

fn reason_of(notice: &Notice) -> &'static str {
    match notice {
        Notice::UndecodableRequest { .. } => "undecodable_request",
        Notice::UndecodableResponse { .. } => "undecodable_response",
        Notice::UnexpectedResponse { .. } => "unexpected_response",
        Notice::Violations { .. } => "violation",
        Notice::Oversized { .. } => "oversized",
        Notice::UnknownCommand { .. } => "unknown_command",
        Notice::NotPermitted { .. } => "not_permitted",
        Notice::Ignored { .. } => "ignored",
    }
}

fn name_of(reason: Option<CloseReason>) -> &'static str {
    match reason {
        None => "shutdown",
        Some(CloseReason::Unbound) => "unbound",
        Some(CloseReason::PeerUnbound) => "peer_unbound",
        Some(CloseReason::PeerClosed) => "peer_closed",
        Some(CloseReason::BindRefused(_)) => "bind_refused",
        Some(CloseReason::BindTimeout) => "bind_timeout",
        Some(CloseReason::EnquireLinkTimeout) => "enquire_link_timeout",
        Some(CloseReason::Inactivity) => "inactivity",
        Some(CloseReason::UnbindTimeout) => "unbind_timeout",
        Some(CloseReason::Garbage) => "garbage",
        Some(CloseReason::PeerNotReading) => "peer_not_reading",
        Some(CloseReason::Io(_)) => "io",
        Some(CloseReason::Aborted) => "aborted",
    }
}
