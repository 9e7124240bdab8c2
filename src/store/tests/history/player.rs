//! Lives here: a store that a history is played on, and in words what it has answered and told, the
//! same for the same behaviour.
//! Never here: what is played (`deeds`), what is compared (`history`).

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::mpsc;

use super::super::ground::Ground;
use super::super::moving::moved;
use super::super::{World, attempt};
use super::customers::{check_purses, open_purses};
use super::deeds::{ACCOUNTS, Answer, Deed, Ending, account_at};
use super::words::{say, sorted, text, viewed};
use crate::domain::class::Class;
use crate::domain::ids::{
    BindName, CarrierId, CarrierIndex, EventId, IntentId, MessageSeq, OrgId, Place,
};
use crate::domain::message::{Message, State};
use crate::domain::time::Timestamp;
use crate::flow::{
    About, Answered, AttemptRecord, DeliveryRecord, EventJob, Ready, Reroute, Settlement,
    Transition,
};
use crate::store::inbox::{Inbox, InboxPage};
use crate::store::memo::{Memo, Repeat};
use crate::store::memory::Faults;
use crate::store::sql::dump::Dump;
use crate::store::{Bookmark, Store, StoreError, Sweep, SweepAudit, TimelineEntry};

/// How often a client asks that is told to try again, and how long it waits before.
const PATIENCE: u32 = 100;
const PAUSE: Duration = Duration::from_millis(100);

/// A store and what one has seen of it.
pub(super) struct Player {
    ground: Ground,
    /// What the tables held at each restart, if it moves to the other database there.
    pub(super) moves: Option<Vec<Dump>>,
    world: Option<World>,
    /// The history's messages, each as it was last told to its lane.
    messages: Vec<Ready>,
    intents: Vec<IntentId>,
    events: Vec<EventJob>,
    /// Ids of events are random: which event each is.
    known: HashMap<EventId, (MessageSeq, u32)>,
    bookmark: Option<Bookmark>,
}

/// What a deed has come to: what was answered, and what of it is needed later.
#[derive(Default)]
struct Done {
    words: Vec<String>,
    accepted: Option<Ready>,
    intent: Option<IntentId>,
    events: Vec<EventJob>,
    bookmark: Option<Option<Bookmark>>,
}

impl Player {
    pub(super) async fn on(ground: Ground) -> Self {
        let world = World::of_accounts(&ground, &ACCOUNTS).await;
        open_purses(&world).await;
        Self {
            ground,
            moves: None,
            world: Some(world),
            messages: Vec::new(),
            intents: Vec::new(),
            events: Vec::new(),
            known: HashMap::new(),
            bookmark: None,
        }
    }

    /// What goes wrong with it.
    pub(super) fn faults(&self) -> Faults {
        self.ground.faults()
    }

    /// Plays what reaches the writer at once; returns what was answered and told.
    pub(super) async fn play(&mut self, deeds: &[Deed]) -> Vec<String> {
        if let [Deed::Restart(ending)] = deeds {
            return vec![self.restart(*ending).await];
        }
        let mut words = Vec::new();
        let (accepts, rest): (Vec<&Deed>, Vec<&Deed>) = deeds
            .iter()
            .partition(|deed| matches!(deed, Deed::Accept(..)));
        for together in [accepts, rest] {
            let done = all(together.into_iter().map(|deed| self.act(deed)).collect()).await;
            for done in done {
                words.extend(done.words);
                self.messages.extend(done.accepted);
                self.intents.extend(done.intent);
                words.extend(self.told("claimed", done.events));
                if let Some(bookmark) = done.bookmark {
                    self.bookmark = bookmark;
                }
            }
            words.extend(self.heard());
        }
        words
    }

    /// Ends the run, and says what every table holds.
    pub(super) async fn end(mut self) -> Dump {
        let world = self.world.take().expect("open");
        check_purses(&world).await;
        world.close().await;
        let mut dump = self.ground.dump().await;
        let known: HashMap<Box<str>, String> = self
            .known
            .iter()
            .map(|(id, of)| (id.0.to_string().into(), format!("{of:?}")))
            .collect();
        for (table, column) in [("outbox", 0), ("deliveries", 1)] {
            let rows = dump.get_mut(table).expect("a table");
            for row in rows.iter_mut() {
                let id = row[column].as_deref().expect("an id");
                row[column] = Some(known.get(id).map_or("unseen", String::as_str).into());
            }
            rows.sort();
        }
        dump
    }

    async fn restart(&mut self, ending: Ending) -> String {
        let mut world = self.world.take().expect("open");
        match ending {
            Ending::Orderly => world.close().await,
            Ending::Unsure => {
                world.orderly.store(false, Ordering::Relaxed);
                world.close().await;
            }
            Ending::Crash => {
                world.writer.abort();
                let _ = (&mut world.writer).await;
                drop(world);
            }
        }
        if let Some(moves) = &mut self.moves {
            let (ground, dump) = moved(&self.ground).await;
            self.ground = ground;
            moves.push(dump);
        }
        let world = World::of_accounts(&self.ground, &ACCOUNTS).await;
        let words = format!(
            "opened: {} uncertain, last {:?}",
            world.uncertain, world.last
        );
        self.world = Some(world);
        self.intents.clear();
        words
    }

    /// What has come through the channels.
    fn heard(&mut self) -> Vec<String> {
        let world = self.world.as_mut().expect("open");
        let mut words = Vec::new();
        while let Ok(committed) = world.committed.try_recv() {
            for ready in committed.messages {
                words.push(format!("to its lane: {ready:?}"));
                let id = ready.message.id;
                if let Some(known) = self.messages.iter_mut().find(|one| one.message.id == id) {
                    *known = ready;
                }
            }
        }
        while let Ok(news) = world.news.try_recv() {
            words.extend(sorted(&news.unparked));
            words.extend(sorted(&news.proven));
            words.extend(sorted(&news.ended));
        }
        let jobs = std::iter::from_fn(|| world.events.try_recv().ok()).collect();
        words.extend(self.told("event", jobs));
        words
    }

    /// Which events these are, in words; their order is free.
    fn told(&mut self, how: &str, jobs: Vec<EventJob>) -> Vec<String> {
        let mut words = Vec::new();
        for job in jobs {
            let of = (job.seq(), job.sequence);
            let known = self.known.entry(job.event).or_insert(of);
            assert_eq!(*known, of, "an id is one event's for good");
            let EventJob {
                event: _,
                target,
                kind,
                sequence,
                about,
                at,
                attempts,
                attempts_before,
            } = &job;
            let about = match about {
                About::Message {
                    message,
                    sent_at,
                    state,
                    failure,
                } => format!("{sent_at:?} {state:?} {failure:?} of {}", text(message)),
                About::Notice(notice) => format!("{notice:?}"),
            };
            words.push(format!(
                "{how}: {target:?} {kind:?} {sequence} {at:?} {attempts} {attempts_before} {about}"
            ));
            let place = self
                .events
                .iter()
                .position(|known| known.event == job.event);
            match place {
                Some(place) => self.events[place] = job,
                None => self.events.push(job),
            }
        }
        // The order in which a commit tells its events is free: what names them by number later must
        // not depend on it.
        self.events.sort_by_key(|job| (job.seq(), job.sequence));
        words.sort();
        words
    }

    async fn act(&self, deed: &Deed) -> Done {
        let store = &self.world.as_ref().expect("open").store;
        match deed {
            Deed::Accept(message, memo) => return accept(store, message, memo.as_ref()).await,
            Deed::Intend {
                bind,
                at,
                messages,
                again,
            } => {
                return self.intend(*bind, *at, messages, *again).await;
            }
            Deed::Claim(now) => {
                let events = store.claim_events(*now, 1000).await.unwrap();
                return Done {
                    events,
                    ..Done::default()
                };
            }
            Deed::Sweep { .. } => return self.sweep(deed).await,
            Deed::Look {
                message,
                lane,
                org,
                now,
                limit,
            } => {
                let message = &self.messages[*message].message;
                return Done {
                    words: self.look(message, *lane, *org, *now, *limit).await,
                    ..Done::default()
                };
            }
            _ => {}
        }
        Done {
            words: vec![self.ask(store, deed).await],
            ..Done::default()
        }
    }

    /// What is answered in one word.
    async fn ask(&self, store: &Store, deed: &Deed) -> String {
        match deed {
            Deed::Settle { answers, closes } => {
                say(store.settle(self.settlement(answers, *closes)).await)
            }
            Deed::Receive(receipts) => say(store.receipts(receipts.clone()).await),
            Deed::ReleaseDue(now, limit) => say(store.release_due(*now, *limit).await),
            Deed::EndOverdue {
                queued_before,
                open_before,
                at,
            } => say(store
                .end_overdue(*queued_before, *open_before, *at, 1000)
                .await),
            Deed::Leave(event, due) => {
                let left = self.event(*event).map(|job| (job.event, *due));
                store.leave_events(left.into_iter().collect());
                // Nobody answers: what is asked for with it has its answer with it.
                say(store.release_due(Timestamp(0), 1).await)
            }
            Deed::Deliver {
                event,
                at,
                status,
                retry_at,
            } => {
                let record = |job: &EventJob| DeliveryRecord {
                    job: job.clone(),
                    at: *at,
                    latency_ms: 4,
                    status: *status,
                    error: status.is_none().then(|| "timed out".into()),
                    response: status.map(|_| "thanks".into()),
                    retry_at: *retry_at,
                };
                say(store
                    .deliveries(self.event(*event).map(record).into_iter().collect())
                    .await)
            }
            Deed::GiveUp(before) => say(store.give_up_events(*before, 500).await),
            Deed::Cancel(message, otp, audit) => {
                let id = self.messages[*message].message.id;
                say(store.cancel(id, *otp, "typo".into(), audit.clone()).await)
            }
            Deed::Resend(message, audit) => say(store
                .resend(self.messages[*message].message.id, audit.clone())
                .await),
            Deed::Hold(hold, audit) => say(store.hold(hold.clone(), audit.clone()).await),
            Deed::Free(carrier, audit) => say(store.free(carrier.clone(), audit.clone()).await),
            Deed::Note(audit) => say(store.note(audit.clone()).await),
            Deed::Buy(purchase, audit) => say(store.buy(purchase.clone(), audit.clone()).await),
            Deed::Price(price, audit) => say(store.set_price(price.clone(), audit.clone()).await),
            Deed::Refuse(memo) => answered(store, memo).await,
            Deed::DropAnswers(before) => say(store.drop_answers(*before, 5).await),
            Deed::Keep(keeping) => say(store.keep_receipts(*keeping).await),
            Deed::Prove(from, now) => say(store.prove_receipts(*from, *now).await),
            Deed::Replay(replay, audit) => {
                say(store.replay_receipts(replay, Some(audit.clone())).await)
            }
            Deed::Discard(carrier, before, audit) => say(store
                .drop_receipts(carrier.clone(), *before, Some(audit.clone()))
                .await),
            Deed::People(work, audit) => say(store.people(work.clone(), audit.clone()).await),
            Deed::MakeEndpoint(one) => say(store.make_endpoint(one.clone(), None).await),
            Deed::Order(order) => say(store.order_job((**order).clone()).await),
            Deed::Draft(campaign) => say(store.draft(campaign.clone()).await),
            Deed::Accept(..)
            | Deed::Intend { .. }
            | Deed::Claim(_)
            | Deed::Sweep { .. }
            | Deed::Look { .. }
            | Deed::Restart(_) => unreachable!("answered elsewhere"),
        }
    }

    fn event(&self, number: usize) -> Option<&EventJob> {
        let number = number.checked_rem(self.events.len())?;
        self.events.iter().rev().nth(number)
    }

    async fn intend(&self, bind: usize, at: Timestamp, messages: &[usize], again: bool) -> Done {
        let batch: Vec<Ready> = messages
            .iter()
            .map(|message| Ready {
                possible_duplicate: again,
                ..self.messages[*message].clone()
            })
            .collect();
        let by = account_at(CarrierIndex(batch[0].carrier.0 % 2));
        let bind = BindName(format!("{by}/{bind}").into());
        let (to, mut answered) = mpsc::channel(1);
        let store = &self.world.as_ref().expect("open").store;
        store.intend((by, bind), at, batch, to).unwrap();
        let Some(Answered::Intent {
            batch,
            turned_back,
            intent,
        }) = answered.recv().await
        else {
            panic!("an intent was asked for")
        };
        Done {
            words: vec![format!(
                "intent {intent}: {batch:?}, turned back {turned_back:?}"
            )],
            intent: Some(intent),
            ..Done::default()
        }
    }

    fn settlement(&self, answers: &[Answer], closes: Option<usize>) -> Settlement {
        let mut settlement = Settlement::default();
        for answer in answers {
            let ready = &self.messages[answer.message];
            let message = &ready.message;
            for (part, state, id) in &answer.parts {
                settlement.attempts.push(AttemptRecord {
                    attempt: answer.attempt,
                    carrier: account_at(answer.account),
                    bind: BindName(format!("{}/1", account_at(answer.account)).into()),
                    sequence: u32::from(answer.attempt) * 16 + u32::from(*part),
                    submitted_at: Timestamp(answer.at.0 - 500),
                    answered_at: answer.at,
                    ..attempt(message, *part, *state, id.as_deref())
                });
            }
            settlement
                .transitions
                .extend(answer.to.map(|to| Transition {
                    message: Arc::clone(message),
                    carrier: answer.account,
                    to,
                    at: answer.at,
                    sent_at: (to == State::Submitted).then_some(answer.at),
                    failure: answer.failure,
                    detail: answer.failure.map(|_| "in the carrier's words".into()),
                    possible_duplicate: answer.marked,
                }));
            settlement.reroutes.extend(answer.reroute.map(|to| Reroute {
                ready: Ready {
                    possible_duplicate: answer.marked,
                    ..ready.clone()
                },
                to,
            }));
        }
        let closed = closes.and_then(|back| self.intents.iter().rev().nth(back));
        settlement.closed_intents.extend(closed);
        settlement
    }

    async fn sweep(&self, deed: &Deed) -> Done {
        let Deed::Sweep {
            carrier,
            class,
            org,
            accepted_before,
            go_on,
            to,
            audit,
        } = deed
        else {
            unreachable!("a sweep")
        };
        let store = &self.world.as_ref().expect("open").store;
        let swept = store.sweep(Sweep {
            carrier: (*carrier).into(),
            class: *class,
            org: *org,
            accepted_before: *accepted_before,
            after: self.bookmark.filter(|_| *go_on),
            to: to.map(|to| CarrierId(to.into())),
            at: audit.at,
            detail: "purged".into(),
            last: true,
            audit: SweepAudit {
                entry: audit.clone(),
                row: None,
                before: (0, 0),
            },
        });
        let swept = swept.await.unwrap();
        Done {
            words: vec![format!("{swept:?}")],
            bookmark: Some(swept.next),
            ..Done::default()
        }
    }

    /// Reads of every kind. What has no order is put in one.
    async fn look(
        &self,
        message: &Message,
        lane: (CarrierIndex, Class),
        org: OrgId,
        now: Timestamp,
        limit: u32,
    ) -> Vec<String> {
        let store = &self.world.as_ref().expect("open").store;
        let id = message.id;
        let account = account_at(lane.0);
        let mut words = vec![
            viewed(store.message(org, id).await.unwrap().as_ref()),
            say(store
                .any_message(id)
                .await
                .map(|found| found.map(|(view, lane)| (viewed(Some(&view)), lane)))),
            say(store.ahead_of(id).await),
            say(store.may_cancel(id, false).await),
            say(store.may_cancel(id, true).await),
            say(store.may_resend(id, now).await),
            say(store.backlog(lane).await),
            say(store
                .preview((&account.0, lane.1), Some(org), Some(now))
                .await),
            say(store.preview((&account.0, lane.1), None, None).await),
            say(store.audit(limit).await),
            say(store.holds().await),
            say(store.organisation_named("Duka 1").await),
            say(store.credential(&[1; 32]).await),
            say(store.id_samples(&account, Timestamp(0), limit).await),
        ];
        for waiting in store.waiting(lane, org, Place(0), limit).await.unwrap() {
            words.push(format!("{waiting:?} {}", text(&waiting.message)));
        }
        let every: Vec<MessageSeq> = self.messages.iter().map(|one| one.message.seq).collect();
        words.extend(sorted(store.still_there(lane.0, &every).await.unwrap()));
        for doubtful in store.in_doubt(MessageSeq(0), limit).await.unwrap() {
            words.push(format!("{doubtful:?} {}", text(&doubtful.message)));
        }
        words.extend(sorted(store.queue().await.unwrap()));
        words.extend(sorted(store.tallies().await.unwrap()));
        for inbox in [Inbox::Parked, Inbox::Quarantine] {
            let carrier = (limit == 1).then(|| account.clone());
            let page = InboxPage {
                inbox,
                carrier,
                since: Timestamp(0),
                offset: 0,
                limit,
            };
            words.push(say(store.inbox(&page).await));
        }
        words.extend(sorted(
            store.unmatched_receipts(Timestamp(0), now).await.unwrap(),
        ));
        let story = store.timeline(message.seq).await.unwrap();
        assert!(story.is_sorted_by_key(TimelineEntry::at));
        words.extend(sorted(story.iter().map(|entry| match entry {
            TimelineEntry::Webhook {
                event, sequence, ..
            } => {
                let known = self.known.get(event);
                assert_eq!(known, Some(&(message.seq, *sequence)));
                format!("{entry:?}").replace(&event.0.to_string(), "")
            }
            TimelineEntry::Attempt { .. } | TimelineEntry::Receipt { .. } => format!("{entry:?}"),
        })));
        words
    }
}

/// Accepts a message as a patient client does.
async fn accept(store: &Store, message: &Message, memo: Option<&Arc<Memo>>) -> Done {
    for _ in 0..PATIENCE {
        let message = message.clone();
        let done = match memo {
            None => store.accept(message).await.map(|()| None),
            Some(memo) => store.accept_once(message, Arc::clone(memo)).await,
        };
        match done {
            Ok(None) => break,
            Ok(Some(repeat)) => panic!("nobody has asked before: {repeat:?}"),
            Err(StoreError::Unavailable) => tokio::time::sleep(PAUSE).await,
            Err(error) => panic!("{error}"),
        }
    }
    let (view, lane) = store.any_message(message.id).await.unwrap().unwrap();
    Done {
        words: vec![format!("{} {lane}", viewed(Some(&view)))],
        accepted: Some(Ready::first(Arc::new(view.message))),
        ..Done::default()
    }
}

/// Refuses a request; all of what it is told, of which `Debug` leaves the body out.
async fn answered(store: &Store, memo: &Memo) -> String {
    match store.keep_answer(Arc::new(memo.clone())).await.unwrap() {
        Some(Repeat::Replay(known)) => format!("{known:?} {:?}", known.body),
        other => say(other),
    }
}

/// Polls all until each has ended, in their order: the writer finds what they ask for together.
async fn all<'a, T>(asked: Vec<impl Future<Output = T> + 'a>) -> Vec<T> {
    let mut asked: Vec<Pin<Box<dyn Future<Output = T> + 'a>>> =
        asked.into_iter().map(|one| Box::pin(one) as _).collect();
    let mut done: Vec<Option<T>> = asked.iter().map(|_| None).collect();
    poll_fn(|context| {
        for (one, done) in asked.iter_mut().zip(&mut done) {
            if done.is_none()
                && let Poll::Ready(value) = one.as_mut().poll(context)
            {
                *done = Some(value);
            }
        }
        if done.iter().all(Option::is_some) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
    done.into_iter().flatten().collect()
}
