//! Lives here: where a transaction meets the books: what is accepted is paid for, what a carrier has
//! taken is used up, what none will take is given back; purchases and prices.
//! Never here: how amounts move (`domain::ledger`).

use std::collections::HashSet;
use std::sync::Arc;

use super::Engine;
use crate::domain::credits::Credits;
use crate::domain::ids::{MessageSeq, OrgId};
use crate::domain::ledger::{Channel, Sheet, Shortfall};
use crate::domain::message::{Message, State};
use crate::domain::time::Timestamp;
use crate::flow::Transition;
use crate::store::StoreError;
use crate::store::batch::{Accept, Batch, Effects};
use crate::store::memo::Known;
use crate::store::rows::{Rows, Stored, day_of};
use crate::store::till::{Bought, Purchase, TillDone, TillWork};

impl<R: Rows> Engine<R> {
    /// What a batch comes to that holds nothing but messages that cannot be paid for: it needs no
    /// transaction. `None`: it is another.
    pub(in crate::store) fn all_short(&self, batch: &Batch) -> Option<Effects> {
        // What is in memory may be behind the rows: a transaction finds out.
        if self.unresolved || self.behind || !batch.only_accepts() {
            return None;
        }
        let mut effects = Effects::default();
        for accept in &batch.accepts {
            // Whether a request has been answered before only the rows can say.
            if accept.memo.is_some() {
                return None;
            }
            let held = self.hold(&accept.message, &mut effects.sheet);
            effects.short.insert(accept.message.seq, held.err()?);
        }
        Some(effects)
    }

    /// Holds what these messages cost, in their order; returns those that are paid for. The others,
    /// and those that repeat a request, are not accepted.
    pub(super) fn charge(
        &self,
        accepts: &[Accept],
        known: &mut Known,
        effects: &mut Effects,
    ) -> Vec<Arc<Message>> {
        let mut paid = Vec::with_capacity(accepts.len());
        for accept in accepts {
            let message = &accept.message;
            let memo = accept.memo.as_ref();
            if let Some(repeat) = memo.and_then(|memo| known.repeat(memo)) {
                effects.repeats.insert(message.seq, repeat);
                continue;
            }
            match self.hold(message, &mut effects.sheet) {
                Ok(()) => {
                    paid.push(Arc::clone(message));
                    memo.into_iter().for_each(|memo| known.add(memo));
                }
                Err(short) => {
                    effects.short.insert(message.seq, short);
                }
            }
        }
        paid
    }

    fn hold(&self, message: &Message, sheet: &mut Sheet) -> Result<(), Shortfall> {
        if !message.live {
            return Ok(());
        }
        let (purse, day) = ((message.org, Channel::Sms), day_of(message.accepted_at));
        sheet.reserve(&self.books, purse, day, message.cost)
    }

    /// Of messages that these moves would end, those for which something is still held. Ends are
    /// rare but for those that receipts bring, so a question for them costs little.
    pub(super) async fn held(
        &mut self,
        moves: &[&Transition],
    ) -> Result<HashSet<MessageSeq>, StoreError> {
        let ends = moves.iter().filter(|one| one.to.is_terminal());
        let costly = ends.filter(|one| one.message.live && one.message.cost > Credits::ZERO);
        let asked: Vec<MessageSeq> = costly.map(|one| one.message.seq).collect();
        if asked.is_empty() {
            return Ok(HashSet::new());
        }
        let stored = self.rows.messages(&asked).await?;
        let held = |one: &&Stored| one.sent_at.is_none() && !one.state.is_terminal();
        let held = stored.iter().filter(held);
        Ok(held.map(|one| one.message.seq).collect())
    }

    /// A message has moved by a carrier's answer or by the clock. What was held for it is used up or
    /// given back, once: a carrier's late refusal may follow an end that we concluded.
    pub(super) fn charge_move(
        &self,
        one: &Transition,
        held: &mut HashSet<MessageSeq>,
        effects: &mut Effects,
    ) {
        let message = &one.message;
        let (purse, day) = ((message.org, Channel::Sms), day_of(one.at));
        let sheet = &mut effects.sheet;
        if one.to == State::Submitted {
            held.remove(&message.seq);
            if message.live {
                sheet.capture(&self.books, purse, day, message.cost);
            }
        } else if one.to.is_terminal() && held.remove(&message.seq) {
            sheet.refund(&self.books, purse, day, message.cost);
        }
    }

    /// A message turns out to have been with a carrier, though no response said so.
    pub(super) fn charge_taken(
        &self,
        org: OrgId,
        cost: Credits,
        at: Timestamp,
        effects: &mut Effects,
    ) {
        let purse = (org, Channel::Sms);
        let sheet = &mut effects.sheet;
        sheet.capture(&self.books, purse, day_of(at), cost);
    }

    /// Writes what the batch has moved.
    pub(super) async fn write_sheet(&mut self, effects: &Effects) -> Result<(), StoreError> {
        let sheet = &effects.sheet;
        if sheet.is_empty() {
            return Ok(());
        }
        let purses: Vec<_> = sheet.purses().map(|(id, purse)| (id, *purse)).collect();
        self.rows.put_purses(&purses).await?;
        self.rows.post(sheet.over()).await
    }

    /// Does what an operator wants of the till.
    pub(super) async fn till(
        &mut self,
        work: &TillWork,
        effects: &mut Effects,
    ) -> Result<TillDone, StoreError> {
        Ok(match work {
            TillWork::Buy(purchase) => TillDone::Bought(self.buy(purchase, effects).await?),
            TillWork::Threshold(purse, threshold) => {
                TillDone::Changed(effects.sheet.set_threshold(&self.books, *purse, *threshold))
            }
            TillWork::SetPrice(price) => {
                self.rows.put_price(price).await?;
                TillDone::Changed(true)
            }
            TillWork::RemovePrice(scope) => TillDone::Changed(self.rows.remove_price(scope).await?),
        })
    }

    async fn buy(
        &mut self,
        purchase: &Purchase,
        effects: &mut Effects,
    ) -> Result<Bought, StoreError> {
        let (purse, day) = (purchase.purse, day_of(purchase.at));
        if effects.sheet.purse(&self.books, purse).is_none() {
            return Ok(Bought::Missing);
        }
        // Before it is noted: what is refused may be tried again under its reference.
        let mut sheet = effects.sheet.clone();
        if let Err(short) = sheet.purchase(&self.books, purse, day, purchase.amount) {
            return Ok(Bought::Short(short));
        }
        if !self.rows.note_purchase(purchase).await? {
            return Ok(Bought::Known);
        }
        effects.sheet = sheet;
        let now = effects.sheet.purse(&self.books, purse);
        Ok(now.map_or(Bought::Missing, Bought::Done))
    }
}
