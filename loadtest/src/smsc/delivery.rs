//! Lives here: the receipts of one connection: planned at the submit, sent as the window allows, sent again.
//! Never here: binds, or answers to submit_sm.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use mnara_smpp::{
    pdu::SubmitSm,
    session::{Action, Input},
    status::CommandStatus,
    transport::Connection,
};
use rand::RngExt;

use super::{
    connection::{Peer, Token, add},
    receipts::{Head, ReceiptJob, UNWATCHED},
    script::Stat,
};

/// Wait before a receipt that was not acknowledged is sent again.
pub(super) const RECEIPT_RETRY: Duration = Duration::from_secs(1);

/// A receipt is given up after it was sent this often.
const RECEIPT_TRIES_MAX: u32 = 20;

/// Time from the final state to its contradiction.
const SECOND_THOUGHT: Duration = Duration::from_millis(100);

/// Head start of a receipt that must travel on another bind than the response it is to overtake.
const OVERTAKE: Duration = Duration::from_millis(20);

impl Peer {
    pub(super) fn job(
        &self,
        id: u64,
        submit: &SubmitSm,
        text: &[u8],
        stat: Stat,
        tag: u64,
    ) -> Token {
        Arc::new(ReceiptJob {
            id,
            source: submit.source.clone(),
            dest: submit.dest.clone(),
            stat,
            form: self.live.script.receipts.form,
            tag,
            submitted_minute: self.minute,
            head: Head::of(text),
            tries: AtomicU32::new(0),
        })
    }

    /// Puts the receipt into its time, or sends it ahead of the response; returns the response's delay.
    pub(super) fn plan_receipt(
        &mut self,
        connection: &mut Connection<Token>,
        job: Token,
        delay: Duration,
        more: &mut Vec<Action<Token>>,
    ) -> Duration {
        let receipts = &self.live.script.receipts;
        let (before, duplicate) = (receipts.before_response, receipts.duplicate);
        let wait = if before {
            Duration::ZERO
        } else {
            receipts.delay_ms.draw(&mut self.rng)
        };
        // A receipt without delay is due at once, not at the next full millisecond.
        let tick = if before || (wait + delay).is_zero() {
            0
        } else {
            self.shared.tick_after(self.now + delay + wait)
        };
        self.plan_dirt(&job, delay, wait);
        if duplicate {
            self.fresh.push((tick, Arc::clone(&job)));
        }
        if before && self.receives && connection.session().window_free() > 0 {
            self.send_receipt(connection, job, more);
            return delay;
        }
        self.fresh.push((tick, job));
        // Without a delay the answer of this very batch would be written before the receipt in any case.
        if before { delay.max(OVERTAKE) } else { delay }
    }

    /// What the carrier sends beside the true receipt: intermediate states, a contradiction, a stranger's receipt.
    fn plan_dirt(&mut self, job: &Token, delay: Duration, wait: Duration) {
        let live = Arc::clone(&self.live);
        let receipts = &live.script.receipts;
        let steps = u32::try_from(receipts.intermediate.len()).unwrap_or(u32::MAX);
        for (step, stat) in (1..).zip(&receipts.intermediate) {
            let at = self.now + delay + wait * step / (steps + 1);
            let told = Arc::new(job.beside(job.id, *stat));
            self.fresh.push((self.shared.tick_after(at), told));
        }
        let at = self.now + delay + wait + SECOND_THOUGHT;
        if receipts.contradict {
            let told = Arc::new(job.beside(job.id, job.stat.opposite()));
            self.fresh.push((self.shared.tick_after(at), told));
        }
        if receipts.stray > 0.0 && self.rng.random_bool(receipts.stray.clamp(0.0, 1.0)) {
            let id = self.shared.next_id.fetch_add(1, Ordering::Relaxed);
            let told = Arc::new(job.beside(id, job.stat));
            self.fresh.push((self.shared.tick_after(at), told));
        }
    }

    /// Hands this batch's receipts to the account, where any bind of it can take them.
    pub(super) fn store_receipts(&mut self) {
        let Some(account) = self.account.as_ref().filter(|_| !self.fresh.is_empty()) else {
            return;
        };
        let lost = account.push(&mut self.fresh, self.shared.config.receipts_max);
        self.shared
            .counters
            .receipts_lost
            .fetch_add(lost, Ordering::Relaxed);
        if !self.receives {
            account.wake.notify_one();
        }
    }

    /// Sends what is due, as far as the window goes.
    pub(super) fn send_receipts(
        &mut self,
        connection: &mut Connection<Token>,
        more: &mut Vec<Action<Token>>,
    ) {
        let Some(account) = self.account.clone().filter(|_| self.receives) else {
            return;
        };
        let free = connection.session().window_free();
        let tick = self.shared.tick(self.now);
        let mut ready = std::mem::take(&mut self.ready);
        let next = account.pop(tick, free, &mut ready);
        let filled = ready.len() == free;
        for job in ready.drain(..) {
            self.send_receipt(connection, job, more);
        }
        self.ready = ready;
        // A full window waits for answers, not for the time; another bind may have room.
        self.next_receipt = next.filter(|_| !filled);
        if filled && next.is_some_and(|next| next <= tick) {
            account.wake.notify_one();
        }
    }

    pub(super) fn send_receipt(
        &mut self,
        connection: &mut Connection<Token>,
        job: Token,
        more: &mut Vec<Action<Token>>,
    ) {
        let pdu = self.renderer.render(&job, self.shared.config.id_style);
        if connection
            .send(
                Input::Request {
                    pdu: &pdu,
                    token: Arc::clone(&job),
                },
                more,
            )
            .is_ok()
        {
            job.tries.fetch_add(1, Ordering::Relaxed);
            add(&self.shared.counters.receipts_sent);
        } else {
            // The bind is ending: another one takes it. `end` stores what is still fresh then.
            self.fresh.push((0, job));
        }
    }

    pub(super) fn receipt_answered(&mut self, job: Token, status: CommandStatus) {
        if status.is_ok() {
            add(&self.shared.counters.receipts_acknowledged);
            if let Some(observer) = &self.shared.config.observer
                && job.tag != UNWATCHED
            {
                observer.receipt_acknowledged(job.tag, self.now);
            }
            return;
        }
        add(&self.shared.counters.receipts_refused);
        if matches!(
            status,
            CommandStatus::ESME_RX_P_APPN | CommandStatus::ESME_RX_R_APPN
        ) {
            add(&self.shared.counters.receipts_lost);
        } else {
            self.again(job, self.now + RECEIPT_RETRY);
        }
    }

    pub(super) fn receipt_in_doubt(&mut self, job: Token, at: Instant) {
        add(&self.shared.counters.receipts_in_doubt);
        self.again(job, at);
    }

    pub(super) fn again(&mut self, job: Token, at: Instant) {
        if job.tries.load(Ordering::Relaxed) < RECEIPT_TRIES_MAX {
            self.fresh.push((self.shared.tick_after(at), job));
        } else {
            add(&self.shared.counters.receipts_lost);
        }
    }
}

/// registered_delivery bits 1 and 0: 1 asks for any final receipt, 2 for failures, 3 (5.0) for successes.
pub(super) fn wants_receipt(registered_delivery: u8, stat: Stat) -> bool {
    match registered_delivery & 0x03 {
        0 => false,
        2 => stat != Stat::Delivrd,
        3 => stat == Stat::Delivrd,
        _ => true,
    }
}
