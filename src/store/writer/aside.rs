//! Lives here: what the writer does when the database refuses a batch for what is in it, over a
//! connection that is well: one bad row must not keep everything else from being written.
//!
//! The batch is tried again, then halved until a part is refused alone; everything else commits.
//! What then becomes of the part, by kind, is what is safe:
//! - accept: its client is told no (503; nothing was kept, it was never told yes);
//! - answer (what carriers said of one message): the message is put in doubt instead, without
//!   attempt or text. In doubt is not failed, and it ends by its validity. Were not even that
//!   accepted, it would stay as it is, and the run's end is not noted as orderly;
//! - move without an attempt: the same if it says that the message was sent. Else it is dropped; the
//!   message stays where it was, until its time is up or the next start finds it;
//! - receipt: not kept, and its carrier is told so: it will send it again, or give it up itself;
//! - intent: its messages are not sent; they come to the end of their lane again;
//! - the end of intents: they stay open, and the next start takes what is in them for in doubt;
//! - delivery: dropped; its event is delivered again when its lease ends, with the same id;
//! - event that is due again: dropped; its lease ends;
//! - chore: whoever asked is told no.
//!
//! If of one kind nothing at all can be written any more it is not the row that is bad, and setting
//! aside would lose everything: then the writer waits, as for a full disk. Accepts and chores never
//! wait: who asked has been told, and nothing is lost.
//! Never here: how a batch is divided (`portions`), when it is tried (`writer`).

use std::collections::VecDeque;
use std::sync::atomic::Ordering;

use super::{Task, turn_back};
use crate::flow::ReceiptResult;
use crate::store::StoreError;
use crate::store::batch::{Batch, Settle};
use crate::store::portions::{self, Alone, Kind};
use crate::store::rows::Rows;

/// How often a batch is refused before it is divided: once it may be for what this program took for
/// granted (a partition that somebody has dropped), and has unlearnt by the second time.
const TRIES: u32 = 2;

/// Parts of one kind that are set aside with none kept between them; then it is the database.
const IN_A_ROW: u32 = 16;

/// How many parts of each kind have been set aside since one was kept.
#[derive(Debug, Default)]
pub(super) struct Aside([u32; Kind::ALL.len()]);

impl Aside {
    /// Whether another one may be: always if who is waiting for it is told.
    fn may(&self, kind: Kind) -> bool {
        kind.is_told() || self.0[kind as usize] < IN_A_ROW
    }

    /// One is; says whether the log is to tell, which it does not without end.
    fn put(&mut self, kind: Kind) -> bool {
        let so_far = &mut self.0[kind as usize];
        *so_far = so_far.saturating_add(1);
        *so_far <= IN_A_ROW
    }

    /// These are kept.
    pub(super) fn kept(&mut self, batch: &Batch) {
        // Nearly always there is nothing to forget, and every commit comes by here. What is written
        // instead of a part says nothing of its kind.
        if !batch.instead && self.0.iter().any(|count| *count > 0) {
            for kind in batch.kinds() {
                self.0[kind as usize] = 0;
            }
        }
    }
}

/// What has become of a part: what it is of, by its ids, and what is done instead.
type Fate = (String, &'static str);

impl<R: Rows> Task<R> {
    /// Deals with a batch that was refused for what is in it: what is to be tried next is put in
    /// front of `todo`. Gives it back if it has only to be waited for.
    pub(super) fn sift(
        &mut self,
        mut batch: Batch,
        error: &StoreError,
        todo: &mut VecDeque<Batch>,
    ) -> Option<Batch> {
        batch.refusals += 1;
        if batch.refusals < TRIES {
            todo.push_front(batch);
            return None;
        }
        if batch.parts() > 1 {
            let first = batch.divide();
            todo.push_front(batch);
            todo.push_front(first);
            return None;
        }
        let kind = batch.kinds().next()?;
        let last = batch.instead;
        if !last {
            if !self.aside.may(kind) {
                return Some(batch);
            }
            self.meter.set_aside(kind as usize);
        }
        // What is written instead says nothing of its kind, and comes no oftener than what may be.
        let tell = last || self.aside.put(kind);
        let (subject, became) = match batch.into_alone()? {
            Alone::Settle(settle) if last => self.give_up(settle),
            alone => set_aside(alone, todo),
        };
        if tell {
            // The error shows no contents: see `StoreError`.
            let kind = kind.name();
            tracing::error!(kind, subject, became, %error, "the database will not have this");
        }
        None
    }

    /// Not even what was written instead could be. The message stays as it is: after a restart it
    /// may be sent again, and only an OTP is marked then: its intent has ended with its neighbours.
    fn give_up(&mut self, settle: Settle) -> Fate {
        self.orderly.store(false, Ordering::Relaxed);
        let subject = named(&settle);
        settled(settle);
        (
            subject,
            "nothing is written of it: its row must be looked at",
        )
    }
}

/// Tells whoever waits for a part, and puts what is written instead in front of `todo`.
fn set_aside(alone: Alone, todo: &mut VecDeque<Batch>) -> Fate {
    match alone {
        Alone::Accept(accept) => {
            let subject = format!("message {}", accept.message.id.0);
            let _ = accept.reply.send(Err(StoreError::Unfit));
            (subject, "its client is told that it was not accepted")
        }
        Alone::Settle(mut settle) => {
            let subject = named(&settle);
            let became = if let Some(doubt) = portions::doubt(&settle.settlement) {
                settle.settlement = doubt;
                todo.push_front(Batch::instead(settle));
                "it is put in doubt"
            } else {
                settled(settle);
                "it is left where it was"
            };
            (subject, became)
        }
        Alone::Receipt(receipts) => {
            let subject = receipts.receipts.first().map(|receipt| {
                let (carrier, key) = (&receipt.carrier, receipt.key.0);
                format!("receipt with the key {key} of {carrier}")
            });
            let results = receipts.receipts.iter().map(|_| ReceiptResult::Refused);
            let results = results.collect();
            receipts.answer(results);
            (
                subject.unwrap_or_default(),
                "its carrier is told that it was not kept",
            )
        }
        Alone::Intent(intent) => {
            let subject = format!("{} messages for {}", intent.batch.len(), intent.bind);
            let settle = Settle {
                settlement: portions::again(&intent),
                reply: None,
            };
            turn_back(vec![intent]);
            todo.push_front(Batch::instead(settle));
            (subject, "they come to the end of their lane again")
        }
        Alone::Closing(intent) => (
            format!("intent {}", intent.0),
            "it stays open: the next start takes what is in it for in doubt",
        ),
        Alone::Delivery(deliveries) => {
            let event = deliveries.records.first().map(|record| record.job.event);
            let _ = deliveries.reply.map(|reply| reply.send(()));
            let subject = event.map(|event| format!("event {}", event.0));
            (
                subject.unwrap_or_default(),
                "it is delivered again when its lease ends",
            )
        }
        Alone::Event(event) => (
            format!("event {}", event.0),
            "it is due when its lease ends",
        ),
        Alone::Chore(errand) => {
            let name = errand.chore.name();
            errand.asked.answer(Err(StoreError::Unfit));
            (name.into(), "who asked is told no")
        }
    }
}

/// Tells who waits for an outcome that it has been dealt with.
fn settled(settle: Settle) {
    let _ = settle.reply.map(|reply| reply.send(()));
}

fn named(settle: &Settle) -> String {
    match portions::subject(&settle.settlement) {
        Some(message) => format!("message {}", message.0),
        None => {
            let closed = settle.settlement.closed_intents.iter();
            let closed: Vec<u64> = closed.map(|intent| intent.0 as u64).collect();
            format!("the end of intents {closed:?}")
        }
    }
}
