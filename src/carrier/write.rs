//! Lives here: what a session writes, segment by segment: whose turn it is, with which slot and token,
//! and what is not written because its time is over or its account is not to be used.
//! Never here: what is staged (`pull`, `live`), answers.

use std::time::Instant;

use mnara_smpp::pdu::Pdu;
use mnara_smpp::session::{Input, Refused};

use super::live::{Live, Staged};
use super::rate::{Slots, reserve};
use super::translate;
use crate::domain::class::Class;
use crate::domain::ids::IntentId;
use crate::flow::{Answer, Ready};

impl Live<'_> {
    /// Writes segment by segment what the window and the pace allow, OTP first. `None`: nothing
    /// waits, or an answer must come first; otherwise when there will be a token.
    pub(super) fn write(&mut self) -> Option<Instant> {
        loop {
            let now = Instant::now();
            let otp_at = self.take_otp(now);
            let Some(turn) = self.stage.turn() else {
                return otp_at;
            };
            if self.expire_front(turn.class) {
                continue;
            }
            if !self.has_slot(turn.share) {
                return otp_at;
            }
            if let Some(until) = self.desk.pace.wait(turn.share, now) {
                return sooner(otp_at, until);
            }
            let slots = self.account.slots.as_ref();
            if slots.is_some_and(|slots| !slots.take(turn.share)) {
                return otp_at;
            }
            if let Err(until) = self.account.rate.take(turn.share, now) {
                self.free_slot();
                return sooner(otp_at, until);
            }
            self.desk.pace.charge(turn.share, now);
            if let Some((_, staged)) = self.stage.take(turn.class) {
                self.send(staged, now);
            }
        }
    }

    /// OTP stays in the lane, where any bind may take it, until it can be written at once: its
    /// accept is its intent. One that is already a resend is recorded like the rest: it goes once
    /// only. Says when there will be a token, if one waits for it.
    fn take_otp(&mut self, now: Instant) -> Option<Instant> {
        let classes = self.desk.seat.config.classes;
        if !self.may_pull() || !classes.contains(Class::Otp) {
            return None;
        }
        let mut resends = Vec::new();
        while self.stage.len(Class::Otp) == 0 && self.has_slot(Class::Otp) {
            let account = &self.account;
            let wait = self.desk.pace.wait(Class::Otp, now);
            if let Some(until) = wait.or_else(|| account.rate.wait(Class::Otp, now)) {
                let waits = account.lanes.depth(Class::Otp) > 0;
                self.ask(resends);
                return waits.then_some(until);
            }
            let resending = self.desk.intending[Class::Otp.index()] + resends.len();
            if resending >= self.desk.window {
                break;
            }
            let Some(ready) = account.lanes.take(Class::Otp, classes) else {
                break;
            };
            if ready.message.valid_until < (self.desk.links.now)() {
                self.expire(ready, IntentId(0), 0);
            } else if ready.possible_duplicate {
                resends.push(ready);
            } else {
                self.stage(&ready, IntentId(0));
            }
        }
        self.ask(resends);
        None
    }

    /// Whether the window has a slot for this class: the last ones are for OTP, and a carrier that has
    /// gone silent is asked by one segment at a time.
    fn has_slot(&mut self, class: Class) -> bool {
        let window = self.desk.window;
        let kept = match class {
            Class::Otp => 0,
            Class::Transactional | Class::Promotional => {
                reserve(window, self.desk.config.otp_reserve_percent)
            }
        };
        let session = self.connection.session();
        let in_flight = session.in_flight();
        session.window_free() > 0 && in_flight + kept < window && (!self.deaf || in_flight == 0)
    }

    pub(super) fn free_slot(&self) {
        let slots = self.account.slots.as_ref();
        if slots.is_some_and(Slots::free) {
            self.account.lanes.wake();
        }
    }

    fn send(&mut self, staged: Staged, now: Instant) {
        let Staged { mut handed, piece } = staged;
        handed.submitted_at = (self.desk.links.now)();
        handed.sent = now;
        let (profile, message) = (&self.account.config.profile, &handed.ready.message);
        let pdu = translate::submit_sm(profile, message, &piece, handed.submitted_at);
        let input = Input::Request {
            pdu: &Pdu::SubmitSm(pdu),
            token: handed.clone(),
        };
        let Err(refused) = self.connection.send(input, &mut self.actions) else {
            return;
        };
        self.free_slot();
        match refused {
            Refused::Encode(_) => self.unencodable(handed),
            Refused::WindowFull | Refused::NotBound | Refused::NotPermitted => {
                self.outcome(handed, 0, Answer::NotSent);
            }
        }
    }

    /// Drops the next message of a class if it is past its validity and nothing of it has gone.
    fn expire_front(&mut self, class: Class) -> bool {
        let wall = (self.desk.links.now)();
        let Some(front) = self.stage.front(class) else {
            return false;
        };
        let handed = &front.handed;
        if !handed.is_unbegun() || handed.ready.message.valid_until >= wall {
            return false;
        }
        let (ready, intent, place) = (handed.ready.clone(), handed.intent, handed.place);
        let mut parts = 0;
        while self
            .stage
            .front(class)
            .is_some_and(|next| next.handed.place == place)
        {
            if let Some((_, dropped)) = self.stage.drop_front(class) {
                parts += dropped.handed.parts.count();
            }
        }
        self.expire(ready, intent, parts);
        true
    }

    /// A message that is not sent because its time is over; `staged` of its segments stood under
    /// the intent.
    pub(super) fn expire(&mut self, ready: Ready, intent: IntentId, staged: u32) {
        let closes = self.close(intent, staged);
        let part = ready.parts.iter().next().unwrap_or(1);
        let now = (self.desk.links.now)();
        self.push((ready, part, now), 0, closes, Answer::Expired);
    }

    /// What stands unwritten goes back; a message of which a part has gone is finished.
    pub(super) fn give_back_unbegun(&mut self) {
        let mut going = None;
        let back = self.stage.empty(|(place, _), staged| {
            if staged.handed.is_unbegun() {
                going = Some(place);
            }
            going != Some(place)
        });
        for staged in back {
            self.outcome(staged.handed, 0, Answer::NotSent);
        }
    }
}

/// An OTP in the lane may have its token before the class whose turn it is here.
fn sooner(otp_at: Option<Instant>, until: Instant) -> Option<Instant> {
    Some(otp_at.map_or(until, |otp| otp.min(until)))
}
