//! Lives here: how `feed` reads the store: who has a backlog, and pages of it, to be loaded or, for
//! an account that is given up, to be gone through. One read at a time, OTP first, and nobody left
//! out.
//! Never here: SQL, whose turn it is (`fair`).

use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::fair::Wanted;
use super::feed::{Feed, Lane};
use crate::domain::class::Class;
use crate::domain::ids::{CarrierIndex, OrgId, Place};
use crate::domain::message::State;
use crate::flow::{Ready, Return, Waiting};
use crate::store::{Store, StoreError};

/// How long reads are left alone after one has failed.
const READ_AGAIN: Duration = Duration::from_secs(1);
/// One read in so many begins with the last class, so that a flood of one class starves no other.
const TURN: u64 = 8;

/// What has been read.
pub(super) enum Page {
    /// Who has a backlog, in this epoch.
    Backlog(Lane, u32, Result<Vec<(OrgId, Place)>, StoreError>),
    /// To be loaded.
    Waiting(Lane, Wanted, Result<Vec<Waiting>, StoreError>),
    /// To be gone through for messages that can go elsewhere.
    Swept(Lane, OrgId, Result<Vec<Waiting>, StoreError>),
    /// What was recalled from memory and still waits.
    Kept(Vec<Return>),
}

/// Reading, and what it goes by.
pub(super) struct Refill {
    store: Store,
    pub(super) reading: JoinSet<Page>,
    /// Reads so far: whose turn it is.
    turn: u64,
    not_before: Instant,
    /// Whether the last read failed.
    failing: bool,
    /// OTP up to here may have been sent before a crash: they need no intent.
    before_start: Place,
}

impl Refill {
    pub(super) fn new(store: Store, before_start: Place) -> Self {
        Self {
            store,
            reading: JoinSet::new(),
            turn: 0,
            not_before: Instant::now(),
            failing: false,
            before_start,
        }
    }

    fn backlog(&mut self, lane: Lane, epoch: u32) {
        let store = self.store.clone();
        self.reading
            .spawn(async move { Page::Backlog(lane, epoch, store.backlog(lane).await) });
    }

    fn waiting(&mut self, lane: Lane, wanted: Wanted) {
        let store = self.store.clone();
        let limit = u32::try_from(wanted.limit).unwrap_or(u32::MAX);
        self.reading.spawn(async move {
            let rows = store.waiting(lane, wanted.org, wanted.after, limit).await;
            Page::Waiting(lane, wanted, rows)
        });
    }

    fn sweep(&mut self, lane: Lane, (org, after, limit): (OrgId, Place, u32)) {
        let store = self.store.clone();
        self.reading.spawn(async move {
            let rows = store.waiting(lane, org, after, limit).await;
            Page::Swept(lane, org, rows)
        });
    }

    fn ready(&self, carrier: CarrierIndex, waiting: Waiting) -> Ready {
        let otp_of_before = waiting.message.class == Class::Otp
            && waiting.message.live
            && waiting.place <= self.before_start
            && waiting.state == State::Queued;
        Ready {
            carrier,
            place: waiting.place,
            tried: waiting.tried,
            parts: waiting.parts,
            attempt: waiting.attempts + 1,
            refusals: 0,
            possible_duplicate: waiting.possible_duplicate || otp_of_before,
            message: waiting.message,
        }
    }
}

impl Feed {
    /// Starts the next read, if one is wanted: lanes in order of class, accounts in turn.
    pub(super) fn refill(&mut self) {
        if !self.refill.reading.is_empty() || Instant::now() < self.refill.not_before {
            return;
        }
        let (turn, accounts) = (self.refill.turn, self.accounts.len());
        for place in 0..accounts * Class::ALL.len() {
            let class = if turn % TURN == TURN - 1 {
                Class::ALL[Class::ALL.len() - 1 - place / accounts]
            } else {
                Class::ALL[place / accounts]
            };
            let account = (place + (turn / TURN) as usize) % accounts;
            let lane = (CarrierIndex(account as u16), class);
            let fair = &mut self.accounts[account].fair[class.index()];
            if fair.is_unknown() {
                self.refill.turn += 1;
                return self.refill.backlog(lane, fair.epoch());
            }
            if let Some(wanted) = self.moves.wanted(lane) {
                self.refill.turn += 1;
                return self.refill.sweep(lane, wanted);
            }
            if self.moves.is_sweeping(lane) {
                continue;
            }
            if let Some(wanted) = fair.wanted() {
                self.refill.turn += 1;
                return self.refill.waiting(lane, wanted);
            }
        }
    }

    /// A read has ended.
    pub(super) fn page(&mut self, page: Page) {
        let failing = matches!(
            page,
            Page::Backlog(_, _, Err(_)) | Page::Waiting(_, _, Err(_)) | Page::Swept(_, _, Err(_))
        );
        let was_failing = std::mem::replace(&mut self.refill.failing, failing);
        if was_failing && !failing {
            tracing::info!("waiting messages are read again");
        }
        match page {
            Page::Backlog(lane, epoch, Ok(backlog)) => {
                self.accounts[lane.0.index()].fair[lane.1.index()].found(epoch, backlog);
                self.top_up(lane);
            }
            Page::Waiting(lane, wanted, Ok(rows)) => {
                let rows = rows.into_iter();
                let rows = rows.map(|row| self.refill.ready(lane.0, row)).collect();
                self.accounts[lane.0.index()].fair[lane.1.index()].page(wanted, rows);
                self.moves.touched(lane);
                self.top_up(lane);
            }
            Page::Swept(lane, org, Ok(rows)) => {
                let rows = rows.into_iter();
                let rows = rows.map(|row| self.refill.ready(lane.0, row)).collect();
                let wall = (self.links.now)();
                let links = &self.links;
                let elsewhere = |ready: &Ready| links.elsewhere(ready, wall);
                self.moves.swept(lane, org, rows, elsewhere);
            }
            Page::Kept(kept) => kept.into_iter().for_each(|one| self.returns.take(one)),
            Page::Backlog(_, _, Err(error))
            | Page::Waiting(_, _, Err(error))
            | Page::Swept(_, _, Err(error)) => {
                if !was_failing {
                    tracing::error!(%error, "reading waiting messages failed; trying until it works");
                }
                self.refill.not_before = Instant::now() + READ_AGAIN;
            }
        }
    }
}

/// Those of an account's recalled messages that still wait with it, or are in doubt there.
pub(super) async fn still_there(
    store: Store,
    carrier: CarrierIndex,
    mut kept: Vec<Return>,
) -> Vec<Return> {
    let seqs: Vec<_> = kept.iter().map(|one| one.ready.message.seq).collect();
    let mut told = false;
    loop {
        match store.still_there(carrier, &seqs).await {
            Ok(there) => {
                kept.retain(|one| there.contains(&one.ready.message.seq));
                return kept;
            }
            Err(error) => {
                if !std::mem::replace(&mut told, true) {
                    tracing::error!(%error, "reading recalled messages failed; trying until it works");
                }
                tokio::time::sleep(READ_AGAIN).await;
            }
        }
    }
}
