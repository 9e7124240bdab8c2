//! Lives here: what operators change of what waits: holds, sweeps' rounds, single messages
//! cancelled or resent; the audit that goes with each in the same transaction.
//! Never here: recalling lanes, deciding whether an OTP may be with a bind (`admin`); whether a
//! message may be changed (`judge`).

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::Engine;
use super::judge::{may_cancel, may_resend, sweepable};
use crate::domain::ids::{MessageId, MessageSeq, Place};
use crate::domain::message::{FailureCode, Message, State};
use crate::domain::time::Timestamp;
use crate::flow::Transition;
use crate::store::StoreError;
use crate::store::batch::{ChoreDone, Effects};
use crate::store::control::{
    AuditEntry, Bookmark, Control, Controlled, Obstacle, Sweep, SweepAudit, Swept,
};
use crate::store::rows::{LaneRow, Rows};

/// For so long every batch is looked at after an operator has changed what waits: a bind may have
/// taken a message before its lane was recalled, and ask for its intent after.
pub(super) const WATCHFUL: Duration = Duration::from_secs(300);
/// Rows that one round looks at: accepts that come meanwhile wait for a few milliseconds.
const ROUND: u32 = 256;

impl<R: Rows> Engine<R> {
    /// What an operator wants changed.
    pub(super) async fn control(
        &mut self,
        control: &Control,
        effects: &mut Effects,
    ) -> Result<Controlled, StoreError> {
        match control {
            Control::Note => {}
            Control::Hold(row) => self.rows.hold(row).await?,
            Control::Free(carrier) => self.rows.free(carrier).await?,
            Control::Sweep(sweep) => {
                return self.sweep(sweep, effects).await.map(Controlled::Swept);
            }
            Control::Cancel {
                message,
                at,
                detail,
                otp,
            } => return self.cancel(*message, *at, detail, *otp, effects).await,
            Control::Resend { message, at } => return self.resend(*message, *at).await,
        }
        Ok(Controlled::Done)
    }

    /// Writes the line of the audit that belongs to a chore, with what came of it.
    pub(super) async fn note_done(
        &mut self,
        entry: &AuditEntry,
        done: &ChoreDone,
    ) -> Result<(), StoreError> {
        let refused = match done {
            ChoreDone::People(done) => done.refusal(),
            ChoreDone::Controlled(Controlled::Left(why)) => Some(why.name()),
            ChoreDone::Till(done) => done.refusal(),
            ChoreDone::Jobs(done) => done.refusal(),
            ChoreDone::Hooks(done) => done.refusal(),
            ChoreDone::Count(_)
            | ChoreDone::Events(_)
            | ChoreDone::Receipts(_)
            | ChoreDone::Desk(_)
            | ChoreDone::Kept(_)
            | ChoreDone::Controlled(Controlled::Done | Controlled::Swept(_)) => None,
        };
        let mut entry = entry.clone();
        if let Some(refused) = refused {
            entry.outcome = refused.into();
        }
        self.rows.note(&entry).await.map(drop)
    }

    async fn sweep(&mut self, sweep: &Sweep, effects: &mut Effects) -> Result<Swept, StoreError> {
        self.watchful_until = self.watchful_until.max(sweep.at + WATCHFUL);
        let under_way = self.rows.under_way().await?;
        let page = self.rows.lane_page(sweep, ROUND).await?;
        let round = sorted(page, sweep, &under_way, self.unsure);
        let changed = if let Some(to) = &sweep.to {
            let moved = round.chosen.iter().map(|message| message.seq);
            let placed: Vec<_> = moved.map(|seq| (seq, self.next_place())).collect();
            self.rows.to_lane(&placed, to).await?
        } else {
            let cancelled = round.chosen.into_iter();
            let moves: Vec<_> = cancelled
                .map(|message| cancelling(message, sweep.at, &sweep.detail))
                .collect();
            self.transitions(&moves.iter().collect::<Vec<_>>(), effects)
                .await?;
            moves.len() as u64
        };
        let so_far = (changed, round.spared);
        let ended = round.next.is_none() && sweep.last;
        let audit = self.note_round(&sweep.audit, so_far, ended).await?;
        Ok(Swept {
            changed,
            spared: round.spared,
            next: round.next,
            audit,
        })
    }

    /// Writes how far a command has come; returns the row.
    async fn note_round(
        &mut self,
        audit: &SweepAudit,
        (changed, spared): (u64, u64),
        ended: bool,
    ) -> Result<i64, StoreError> {
        let (changed, spared) = (audit.before.0 + changed, audit.before.1 + spared);
        let so_far = if ended { "" } else { "so far " };
        let outcome = format!("{so_far}{changed} changed, {spared} left alone");
        let Some(row) = audit.row else {
            let entry = AuditEntry {
                outcome: outcome.into(),
                ..audit.entry.clone()
            };
            return self.rows.note(&entry).await;
        };
        self.rows.renote(row, &outcome).await?;
        Ok(row)
    }

    async fn cancel(
        &mut self,
        id: MessageId,
        at: Timestamp,
        detail: &str,
        otp: bool,
        effects: &mut Effects,
    ) -> Result<Controlled, StoreError> {
        self.watchful_until = self.watchful_until.max(at + WATCHFUL);
        let Some(found) = self.rows.candidate(id).await? else {
            return Ok(Controlled::Left(Obstacle::Missing));
        };
        let under_way = self.rows.under_way().await?;
        if let Err(why) = may_cancel(&found, &under_way, otp, self.unsure) {
            return Ok(Controlled::Left(why));
        }
        let cancelling = cancelling(found.message, at, detail);
        self.transitions(&[&cancelling], effects).await?;
        Ok(Controlled::Done)
    }

    async fn resend(&mut self, id: MessageId, at: Timestamp) -> Result<Controlled, StoreError> {
        let Some(found) = self.rows.candidate(id).await? else {
            return Ok(Controlled::Left(Obstacle::Missing));
        };
        let under_way = self.rows.under_way().await?;
        if let Err(why) = may_resend(&found, &under_way, at) {
            return Ok(Controlled::Left(why));
        }
        let place = self.next_place();
        self.rows.requeue(found.message.seq, place).await?;
        Ok(Controlled::Done)
    }
}

/// What a round has found.
struct Round {
    /// Messages to cancel or to move, in the lane's order.
    chosen: Vec<Message>,
    /// Messages left alone.
    spared: u64,
    /// Where to go on.
    next: Option<Bookmark>,
}

/// Sorts a page of a lane: what can be changed, and what may be with a carrier.
fn sorted(
    page: Vec<LaneRow>,
    sweep: &Sweep,
    under_way: &HashSet<MessageSeq>,
    unsure: Place,
) -> Round {
    let full = page.len() >= ROUND as usize;
    let last = page.last().filter(|_| full);
    let mut round = Round {
        chosen: Vec::new(),
        spared: 0,
        next: last.map(|row| Bookmark(row.org, row.place.0)),
    };
    for row in page {
        let accepted = row.message.as_ref().map(|message| message.accepted_at);
        let newer = |before| accepted.is_some_and(|accepted| accepted >= before);
        if sweep.accepted_before.is_some_and(newer) {
            continue;
        }
        // Test messages can be cancelled; no carrier account gets them.
        let stays = |message: &Message| sweep.to.is_some() && !message.live;
        match sweepable(row, under_way, unsure).filter(|message| !stays(message)) {
            Some(message) => round.chosen.push(message),
            None => round.spared += 1,
        }
    }
    round
}

/// The move of a cancelled message.
pub(super) fn cancelling(message: Message, at: Timestamp, detail: &str) -> Transition {
    Transition {
        carrier: message.carrier,
        message: Arc::new(message),
        to: State::Cancelled,
        at,
        sent_at: None,
        failure: Some(FailureCode::Canceled),
        detail: Some(detail.into()),
        possible_duplicate: false,
    }
}
