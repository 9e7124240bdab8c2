//! Lives here: one session of a bind: messages out, answers in, the drain at the end.
//! Never here: connecting (`bind`), what the carrier asks of us (`inward`), what an outcome means.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mnara_smpp::pdu::Pdu;
use mnara_smpp::session::{Action, CloseReason, Input};
use mnara_smpp::status::CommandStatus;
use mnara_smpp::transport::Connection;
use tokio_util::sync::CancellationToken;

use super::bind::{Desk, UNBINDING};
use super::pull::{self, Pulled};
use super::stage::Stage;
use super::translate::{self, Piece};
use super::{Account, Mode, inward, sandbox, signs};
use crate::domain::class::Class;
use crate::domain::ids::IntentId;
use crate::domain::message::FailureCode;
use crate::domain::time::Timestamp;
use crate::domain::verdict::Verdict;
use crate::flow::{Answer, Answered, Outcome, Parts, Ready};

/// How long a segment that is throttled again and again stays with the bind, so that the order is
/// kept; after that it goes back to the scheduler, which may know another account.
const KEPT_THROTTLED: Duration = Duration::from_secs(5);
/// A pause of the carrier's that is longer than this stages nothing: other binds may have it.
const LONG_PAUSE: Duration = Duration::from_millis(100);

/// What the session keeps for each outstanding submit_sm.
#[derive(Clone)]
pub(super) struct Handed {
    pub(super) ready: Ready,
    /// The parts that it carries: one, or all where the carrier divides messages itself.
    pub(super) parts: Parts,
    pub(super) intent: IntentId,
    /// Its message's place among those of its class.
    pub(super) place: u64,
    /// Another part of its message may have been taken: it is finished whatever its validity.
    begun: bool,
    /// When the carrier first said "slower" to it.
    throttled_since: Option<Instant>,
    pub(super) sent: Instant,
    pub(super) submitted_at: Timestamp,
}

/// A submit_sm that waits for its turn to be written.
pub(super) struct Staged {
    pub(super) handed: Handed,
    pub(super) piece: Piece,
}

/// A bound session.
pub(super) struct Live<'a> {
    pub(super) desk: &'a mut Desk,
    pub(super) connection: Connection<Handed>,
    pub(super) account: Arc<Account>,
    pub(super) actions: Vec<Action<Handed>>,
    /// What may be written as soon as its turn comes. Bounded by what is pulled: the share of the
    /// pace that is staged for each class, and the window for what was throttled.
    pub(super) stage: Stage<Staged>,
    /// The batch whose intent the writer's queue had no room for.
    unasked: Option<Vec<Ready>>,
    /// Segments of each intent that have no outcome yet.
    open: HashMap<IntentId, u32>,
    /// When the carrier last answered a submit_sm of this session, however late.
    heard: Option<Instant>,
    /// Nothing has been answered since a segment was written that has timed out: until something
    /// is, one segment at a time finds out. A carrier that hangs gets no second window.
    pub(super) deaf: bool,
    /// The session is being left: nothing is pulled any more, and at this instant it ends.
    leaving: Option<tokio::time::Instant>,
    closed: Option<CloseReason>,
}

impl<'a> Live<'a> {
    pub(super) fn new(desk: &'a mut Desk, connection: Connection<Handed>) -> Self {
        desk.pace.begin(desk.seat.config.warm_up, Instant::now());
        Self {
            account: Arc::clone(&desk.seat.account),
            stage: Stage::new(desk.config.promotional_floor),
            desk,
            connection,
            actions: Vec::new(),
            unasked: None,
            open: HashMap::new(),
            heard: None,
            deaf: false,
            leaving: None,
            closed: None,
        }
    }

    /// Runs until the session ends; says why.
    pub(super) async fn run(mut self, stop: &CancellationToken) -> &'static str {
        let outcomes = self.desk.links.outcomes.clone();
        let (lanes, place) = (Arc::clone(&self.account.lanes), self.desk.seat.place);
        while self.closed.is_none() {
            let wait = self.work();
            if self.leaving.is_some() && self.is_idle() {
                self.unbind();
            }
            let in_flight = self.connection.session().in_flight();
            self.desk.tell.progress(in_flight, &mut self.desk.pace);
            let leaving = self.leaving;
            let drained = leaving.unwrap_or_else(far);
            let wake = wait.map_or_else(far, Into::into);
            // `recv` (both), `reserve`, `ready` and `drive` are cancel-safe: a branch that is dropped
            // has taken nothing.
            tokio::select! {
                biased;
                // First, or a flood of receipts could keep an operator, or the end, waiting.
                () = stop.cancelled(), if leaving.is_none() => self.leave(),
                Some(command) = self.desk.commands.recv() => {
                    if self.desk.command(command) {
                        self.leave();
                    }
                    let window = self.desk.window;
                    self.connection.session().set_window(window);
                }
                Some(answer) = self.desk.answers.recv() => self.answered(answer),
                permit = outcomes.reserve(), if !self.desk.outcomes.is_empty() => {
                    if let Ok(permit) = permit {
                        permit.send(self.desk.take_outcomes());
                    } else {
                        break;
                    }
                }
                () = self.connection.drive(&mut self.actions) => self.act(),
                // Also while the pace is spent: an OTP may still find a token.
                () = lanes.ready(place) => {}
                () = tokio::time::sleep_until(wake), if wait.is_some() => {}
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
            self.give_back_unbegun();
        }
    }

    fn is_idle(&mut self) -> bool {
        self.connection.session().in_flight() == 0
            && self.stage.is_empty()
            && self.desk.intending() == 0
            && self.desk.receipts == 0
    }

    fn unbind(&mut self) {
        // Refused only when the session is over; an unbind that is under way, ours or the carrier's, goes on.
        let _ = self.connection.send(Input::Unbind, &mut self.actions);
    }

    /// Fills the stage and writes what may be written; says when to look again, if nothing
    /// happens before.
    fn work(&mut self) -> Option<Instant> {
        let now = Instant::now();
        self.desk.pace.step(now);
        if self.account.lanes.is_closed() {
            self.give_back_unbegun();
        }
        if self.leaving.is_none() && self.is_suspended() {
            return Some(soon());
        }
        self.ask(Vec::new());
        self.fill(now);
        let written = self.write();
        let unasked = self.unasked.is_some().then(soon);
        [written, unasked].into_iter().flatten().min()
    }

    /// The store cannot commit, or outcomes are behind: what is sent now could not be recorded.
    fn is_suspended(&self) -> bool {
        self.desk.outcomes.len() > 2 * self.desk.window || !self.desk.links.store.health().is_well()
    }

    pub(super) fn may_pull(&self) -> bool {
        self.leaving.is_none() && self.desk.seat.config.mode != Mode::Receiver
    }

    /// Takes from the lanes what can be written soon, and asks for its intent.
    fn fill(&mut self, now: Instant) {
        let pause = self.desk.pace.paused(now);
        let waits = pause.is_some_and(|until| until > now + LONG_PAUSE);
        while self.may_pull() && !waits && self.unasked.is_none() {
            let most = pull::stage_max(self.desk.pace.rate(), self.desk.window);
            let staged =
                Class::ALL.map(|class| self.stage.len(class) + self.desk.intending[class.index()]);
            let wall = (self.desk.links.now)();
            let classes = self.desk.seat.config.classes;
            let Pulled {
                to_intend,
                expired,
                full,
            } = pull::pull(&self.account.lanes, classes, staged, most, wall);
            for ready in expired {
                self.expire(ready, IntentId(0), 0);
            }
            self.ask(to_intend);
            if !full {
                break;
            }
        }
    }

    /// Asks for the intent of a batch; first of all for the one that found no room.
    pub(super) fn ask(&mut self, batch: Vec<Ready>) {
        self.desk.intends(&batch);
        let batch = match self.unasked.take() {
            Some(mut unasked) => {
                unasked.extend(batch);
                unasked
            }
            None => batch,
        };
        if batch.is_empty() {
            return;
        }
        let seat = &self.desk.seat;
        let by = (self.account.config.id.clone(), seat.name.clone());
        let to = self.desk.answers_to.clone();
        let now = (self.desk.links.now)();
        self.unasked = self.desk.links.store.intend(by, now, batch, to).err();
    }

    /// Cuts a message and stages its pieces.
    pub(super) fn stage(&mut self, ready: &Ready, intent: IntentId) {
        let handed = Handed {
            ready: ready.clone(),
            parts: ready.parts,
            intent,
            place: self.stage.place(),
            begun: false,
            throttled_since: None,
            sent: Instant::now(),
            submitted_at: (self.desk.links.now)(),
        };
        if !ready.message.live {
            // The second wall; the first is `flow::routes`.
            tracing::error!(message = %ready.message.id, bind = %self.desk.seat.name,
                "a test message stood in a carrier's lane; it goes to the sandbox");
            return self.outcome(handed, 0, sandbox::astray());
        }
        self.put(handed);
    }

    /// Stages what these parts of a message are to this carrier, at their place.
    fn put(&mut self, handed: Handed) {
        let (profile, message) = (&self.account.config.profile, &handed.ready.message);
        let class = message.class;
        let pieces = translate::pieces(profile, message, handed.parts);
        if pieces.is_empty() {
            return self.unencodable(handed);
        }
        for piece in pieces {
            let place = (handed.place, piece.parts.iter().next().unwrap_or(1));
            let handed = Handed {
                parts: piece.parts,
                ..handed.clone()
            };
            self.stage.put(class, place, Staged { handed, piece });
        }
    }

    /// What we cannot write in this carrier's way; another's may do.
    pub(super) fn unencodable(&mut self, handed: Handed) {
        let answer = Answer::Refused {
            status: CommandStatus::ESME_RINVMSGLEN.0,
            verdict: Verdict::OtherRoute(FailureCode::CarrierRejected),
            late: false,
        };
        self.outcome(handed, 0, answer);
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
                } => self.intended(batch, &turned_back, intent),
                Answered::Receipt {
                    session,
                    sequence,
                    pdu,
                    kept,
                } => self.receipt_answered(session, sequence, pdu, kept),
            }
            next = self.desk.answers.try_recv().ok();
        }
    }

    fn intended(&mut self, batch: Vec<Ready>, turned_back: &[Ready], intent: IntentId) {
        self.desk.answered_intent(&batch, turned_back);
        if self.leaving.is_some() || self.account.lanes.is_closed() {
            return self.desk.give_back(batch, Some(intent));
        }
        let segments: u32 = batch.iter().map(|ready| ready.parts.count()).sum();
        if segments > 0 {
            self.open.insert(intent, segments);
        }
        for ready in batch {
            self.stage(&ready, intent);
        }
    }

    fn hear(&mut self, now: Instant) {
        self.heard = Some(now);
        self.deaf = false;
    }

    pub(super) fn act(&mut self) {
        let mut actions = std::mem::take(&mut self.actions);
        let now = Instant::now();
        for action in actions.drain(..) {
            match action {
                Action::Response {
                    token,
                    sequence,
                    status,
                    pdu,
                    rtt,
                } => {
                    self.hear(now);
                    self.free_slot();
                    self.desk.tell.meter.answered(status.is_ok(), rtt);
                    self.responded(token, sequence, (status, pdu), now);
                }
                Action::Late {
                    token,
                    sequence,
                    status,
                    pdu,
                } => {
                    self.hear(now);
                    let answer = self.answer(status, pdu, true);
                    let token = Handed {
                        intent: IntentId(0),
                        ..token
                    };
                    self.outcome(token, sequence, answer);
                }
                Action::Expired { token, sequence } | Action::InDoubt { token, sequence } => {
                    self.deaf |= self.heard.is_none_or(|heard| heard < token.sent);
                    self.free_slot();
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
                Action::Notice(notice) => {
                    self.desk.tell.meter.pdu_error(inward::reason_of(&notice));
                }
                Action::Closed { reason } => self.closed = Some(reason),
                Action::Congestion { state } => self.desk.pace.congestion(state, now),
                Action::Bound { .. }
                | Action::BindRejected { .. }
                | Action::BindRequested { .. } => {}
            }
        }
        actions.append(&mut self.actions);
        self.actions = actions;
        if !self.actions.is_empty() {
            self.act();
        }
    }

    /// The carrier has answered in time.
    fn responded(
        &mut self,
        mut handed: Handed,
        sequence: u32,
        (status, pdu): (CommandStatus, Option<Pdu>),
        now: Instant,
    ) {
        if status.is_ok() {
            self.desk.pace.accepted(handed.sent, now);
        }
        let answer = self.answer(status, pdu, false);
        match &answer {
            Answer::Refused {
                verdict: Verdict::SlowDown(pause),
                ..
            } => {
                self.desk.tell.throttled();
                self.desk.pace.throttled(handed.sent, *pause, now);
                let since = *handed.throttled_since.get_or_insert(now);
                let kept = now < since + KEPT_THROTTLED;
                if kept && self.leaving.is_none() && !self.account.lanes.is_closed() {
                    self.tell_throttled(&handed, now);
                    return self.stage_again(handed);
                }
            }
            Answer::Refused {
                verdict: Verdict::Session,
                ..
            } => {
                // The carrier and we disagree about this session: begin another.
                self.leave();
            }
            Answer::Refused { .. }
            | Answer::Accepted { .. }
            | Answer::NotSent
            | Answer::InDoubt
            | Answer::Expired => {}
        }
        self.outcome(handed, sequence, answer);
    }

    /// A throttled segment that stays here has no outcome yet; its account's health is told.
    fn tell_throttled(&self, handed: &Handed, now: Instant) {
        let took = now.saturating_duration_since(handed.sent);
        let class = handed.ready.message.class;
        let sign = signs::throttled(self.account.index, class, took);
        self.desk.links.signs.tell(vec![sign]);
    }

    /// A throttled segment goes before all that came after it.
    fn stage_again(&mut self, mut handed: Handed) {
        handed.begun = handed.parts != handed.ready.parts;
        self.put(handed);
    }

    fn answer(&self, status: CommandStatus, pdu: Option<Pdu>, late: bool) -> Answer {
        if !status.is_ok() {
            return Answer::Refused {
                status: status.0,
                verdict: self.account.config.profile.verdict(status.0),
                late,
            };
        }
        let raw_id: Box<str> = match pdu {
            Some(Pdu::SubmitSmResp(resp)) => translate::carrier_id(&resp.message_id.to_str_lossy()),
            _ => "".into(),
        };
        let normalised = self.account.config.profile.ids.response_key(&raw_id).into();
        Answer::Accepted {
            raw_id,
            normalised,
            late,
        }
    }

    /// Each part has an outcome of its own, also where one submit_sm carried several.
    pub(super) fn outcome(&mut self, handed: Handed, sequence: u32, answer: Answer) {
        let mut parts = handed.parts.iter();
        let Some(first) = parts.next() else { return };
        for part in parts {
            let closes = self.close(handed.intent, 1);
            let what = (handed.ready.clone(), part, handed.submitted_at);
            self.push(what, sequence, closes, answer.clone());
        }
        let closes = self.close(handed.intent, 1);
        let what = (handed.ready, first, handed.submitted_at);
        self.push(what, sequence, closes, answer);
    }

    /// So many more segments of an intent have their outcome; says whether it is done.
    pub(super) fn close(&mut self, intent: IntentId, segments: u32) -> Option<IntentId> {
        let left = self.open.get_mut(&intent)?;
        *left = left.saturating_sub(segments);
        if *left > 0 {
            return None;
        }
        self.open.remove(&intent).map(|_| intent)
    }

    pub(super) fn push(
        &mut self,
        (ready, part, submitted_at): (Ready, u8, Timestamp),
        sequence: u32,
        closes: Option<IntentId>,
        answer: Answer,
    ) {
        self.desk.outcomes.push(Outcome {
            ready,
            part,
            closes,
            carrier: self.account.config.id.clone(),
            bind: self.desk.seat.name.clone(),
            sequence,
            submitted_at,
            answered_at: (self.desk.links.now)(),
            answer,
        });
    }

    /// The session is over: what was not written goes back, what was is in doubt already.
    /// Intents still at the writer come back to `bind`, which gives them back as well.
    async fn end(mut self) -> &'static str {
        self.desk.tell.progress(0, &mut self.desk.pace);
        for staged in self.stage.empty(|_, _| false) {
            self.outcome(staged.handed, 0, Answer::NotSent);
        }
        if let Some(batch) = self.unasked.take() {
            self.desk.answered_intent(&batch, &[]);
            self.desk.give_back(batch, None);
        }
        self.desk.flush().await;
        inward::name_of(self.closed)
    }
}

impl Handed {
    /// Whether nothing of its message can have gone, as far as this segment knows: it is the first.
    pub(super) fn is_unbegun(&self) -> bool {
        !self.begun && self.ready.parts.iter().next() == self.parts.iter().next()
    }
}

/// When to look again at what has no bell of its own.
fn soon() -> Instant {
    Instant::now() + Duration::from_millis(10)
}

/// A deadline for branches that are switched off.
fn far() -> tokio::time::Instant {
    tokio::time::Instant::now() + Duration::from_secs(3600)
}
