//! Lives here: how `feed` reads the store: who has a backlog, pages of it, and at start what the
//! last run left in doubt. One read at a time, OTP first, and nobody left out.
//! Never here: SQL, whose turn it is (`fair`).

use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::fair::Wanted;
use super::feed::{Feed, Lane};
use super::settle;
use crate::domain::class::Class;
use crate::domain::ids::{CarrierIndex, MessageSeq, OrgId, Place};
use crate::domain::message::State;
use crate::flow::{Ready, Return, Waiting};
use crate::store::{Store, StoreError};

/// How long reads are left alone after one has failed.
const READ_AGAIN: Duration = Duration::from_secs(1);
const DOUBT_PAGE: u32 = 1_000;
/// One read in so many begins with the last class, so that a flood of one class starves no other.
const TURN: u64 = 8;

/// What has been read.
pub(super) enum Page {
    Backlog(Lane, Result<Vec<(OrgId, Place)>, StoreError>),
    Waiting(Lane, Wanted, Result<Vec<Waiting>, StoreError>),
    Doubt(Result<Vec<Waiting>, StoreError>),
}

/// Reading, and what it goes by.
pub(super) struct Refill {
    store: Store,
    pub(super) reading: JoinSet<Page>,
    /// Reads so far: whose turn it is.
    turn: u64,
    not_before: Instant,
    /// OTP up to here may have been sent before a crash: they need no intent.
    before_start: Place,
    /// Messages in doubt of the last run behind this one are still to be read.
    doubt_after: Option<MessageSeq>,
}

impl Refill {
    pub(super) fn new(store: Store, before_start: Place) -> Self {
        Self {
            store,
            reading: JoinSet::new(),
            turn: 0,
            not_before: Instant::now(),
            before_start,
            doubt_after: Some(MessageSeq(0)),
        }
    }

    fn backlog(&mut self, lane: Lane) {
        let store = self.store.clone();
        self.reading
            .spawn(async move { Page::Backlog(lane, store.backlog(lane).await) });
    }

    fn waiting(&mut self, lane: Lane, wanted: Wanted) {
        let store = self.store.clone();
        let limit = u32::try_from(wanted.limit).unwrap_or(u32::MAX);
        self.reading.spawn(async move {
            let rows = store.waiting(lane, wanted.org, wanted.after, limit).await;
            Page::Waiting(lane, wanted, rows)
        });
    }

    fn doubt(&mut self, after: MessageSeq) {
        let store = self.store.clone();
        self.reading
            .spawn(async move { Page::Doubt(store.in_doubt(after, DOUBT_PAGE).await) });
    }

    fn ready(&self, carrier: CarrierIndex, waiting: Waiting) -> Ready {
        let otp_of_before = waiting.message.class == Class::Otp
            && waiting.place <= self.before_start
            && waiting.state == State::Queued;
        Ready {
            carrier,
            place: waiting.place,
            tried: waiting.tried,
            parts: waiting.parts,
            attempt: waiting.attempts + 1,
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
        if let Some(after) = self.refill.doubt_after {
            return self.refill.doubt(after);
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
                return self.refill.backlog(lane);
            }
            if let Some(wanted) = fair.wanted() {
                self.refill.turn += 1;
                return self.refill.waiting(lane, wanted);
            }
        }
    }

    /// A read has ended.
    pub(super) fn page(&mut self, page: Page) {
        match page {
            Page::Backlog(lane, Ok(backlog)) => {
                self.accounts[lane.0.index()].fair[lane.1.index()].found(backlog);
                self.top_up(lane);
            }
            Page::Waiting(lane, wanted, Ok(rows)) => {
                let rows = rows.into_iter();
                let rows = rows.map(|row| self.refill.ready(lane.0, row)).collect();
                self.accounts[lane.0.index()].fair[lane.1.index()].page(wanted, rows);
                self.top_up(lane);
            }
            Page::Doubt(Ok(rows)) => self.doubt_read(rows),
            Page::Backlog(_, Err(error))
            | Page::Waiting(_, _, Err(error))
            | Page::Doubt(Err(error)) => {
                tracing::error!(%error, "reading waiting messages failed; trying again");
                self.refill.not_before = Instant::now() + READ_AGAIN;
            }
        }
    }

    /// Messages that the last run left in doubt: their class decides.
    fn doubt_read(&mut self, rows: Vec<Waiting>) {
        let full = rows.len() == DOUBT_PAGE as usize;
        self.refill.doubt_after = rows.last().filter(|_| full).map(|last| last.message.seq);
        let now = Instant::now();
        for waiting in rows {
            let Waiting {
                message,
                parts,
                attempts,
                possible_duplicate,
                ..
            } = waiting;
            let resend = settle::resend(&message, parts, attempts, possible_duplicate);
            if let Some((ready, delay)) = resend.filter(|(ready, _)| !ready.parts.is_empty()) {
                self.returns.take(Return::Again {
                    ready,
                    at: now + delay,
                    in_doubt: true,
                });
            }
        }
    }
}
