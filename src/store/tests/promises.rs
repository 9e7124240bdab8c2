//! Lives here: the promises under faults and crashes at any point, on the model: what was said yes
//! to is there, what was refused is not, nothing is applied or told twice, and numbers go on.
//! Never here: what is the same with and without faults (`history`).

use std::collections::HashSet;

use super::dice::Dice;
use super::history::{seeds, soothe, vex};
use super::*;
use crate::store::memory::Faults;

const ROUNDS: usize = 40;

/// What somebody was told who asked for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Yes,
    No,
    /// The daemon ended before it said anything.
    Nothing,
}

/// A message, and what was said about it.
struct Entry {
    message: Arc<Message>,
    accepted: Said,
    /// Whether it was submitted, if that was asked for; the carrier's id is its number.
    submitted: Option<Said>,
    /// Whether its receipt was kept.
    delivered: Option<Said>,
}

struct Storm {
    dice: Dice,
    ground: Ground,
    world: Option<World>,
    ledger: Vec<Entry>,
    /// The newest number that lanes were told.
    last: MessageSeq,
    /// Messages and events that were told, by number.
    queued: HashSet<MessageId>,
    told: HashSet<(MessageSeq, u32)>,
}

impl Storm {
    async fn of(seed: u64) -> Self {
        let ground = Ground::memory().await;
        Self {
            dice: Dice::new(seed),
            world: Some(World::open(&ground).await),
            ground,
            ledger: Vec::new(),
            last: MessageSeq(0),
            queued: HashSet::new(),
            told: HashSet::new(),
        }
    }

    fn faults(&self) -> Faults {
        self.ground.faults()
    }

    fn world(&self) -> &World {
        self.world.as_ref().unwrap()
    }

    /// Asks for several things at once while something goes wrong. Some wait for their answers, in
    /// others the daemon is killed meanwhile.
    async fn round(&mut self) {
        let faults = self.faults();
        vex(&mut self.dice, &faults);
        let patience = match self.dice.below(3) {
            0 => Duration::from_millis(self.dice.roll() % 600),
            _ => Duration::from_secs(60),
        };
        let deadline = tokio::time::Instant::now() + patience;
        let accepts: Vec<_> = (0..self.dice.below(4)).map(|_| self.accept()).collect();
        let submits = self.submit();
        let receipts = self.receive();
        for (number, asked) in accepts {
            self.ledger[number].accepted = answer(asked, deadline).await;
        }
        for (number, asked) in submits {
            self.ledger[number].submitted = Some(answer(asked, deadline).await);
        }
        for (number, asked) in receipts {
            self.ledger[number].delivered = Some(answer(asked, deadline).await);
        }
        let unanswered = self.world().writer.is_finished() || patience < Duration::from_secs(60);
        if unanswered {
            self.crash().await;
        } else if self.dice.percent(10) {
            tokio::time::sleep(Duration::from_secs(10)).await;
            soothe(&self.faults());
            self.listen();
            self.world.take().unwrap().close().await;
            self.world = Some(World::open(&self.ground).await);
        }
        self.listen();
    }

    fn accept(&mut self) -> (usize, JoinHandle<Said>) {
        let message = message(1);
        let store = self.world().store.clone();
        self.ledger.push(Entry {
            message: Arc::new(message.clone()),
            accepted: Said::Nothing,
            submitted: None,
            delivered: None,
        });
        let asked = tokio::spawn(async move {
            match store.accept(message).await {
                Ok(()) => Said::Yes,
                Err(StoreError::Unavailable) => Said::No,
                Err(_) => Said::Nothing,
            }
        });
        (self.ledger.len() - 1, asked)
    }

    /// Some of those that lanes know have been taken by their carrier.
    fn submit(&mut self) -> Vec<(usize, JoinHandle<Said>)> {
        let mut asked = Vec::new();
        for number in 0..self.ledger.len() {
            let entry = &self.ledger[number];
            let known = entry.message.seq > MessageSeq(0) && entry.submitted.is_none();
            if !known || self.dice.percent(60) {
                continue;
            }
            let entry = &self.ledger[number];
            let settlement = Settlement {
                attempts: vec![taken(&entry.message, 1, &number.to_string())],
                transitions: vec![moved(&entry.message, State::Submitted)],
                ..Settlement::default()
            };
            let store = self.world().store.clone();
            let settled = async move { store.settle(settlement).await };
            asked.push((number, tokio::spawn(async move { said(settled.await) })));
        }
        asked
    }

    fn receive(&mut self) -> Vec<(usize, JoinHandle<Said>)> {
        let mut asked = Vec::new();
        for number in 0..self.ledger.len() {
            let entry = &self.ledger[number];
            let waits = entry.submitted == Some(Said::Yes) && entry.delivered != Some(Said::Yes);
            if !waits || self.dice.percent(60) {
                continue;
            }
            let receipt = receipt(&number.to_string(), Some(SegmentState::Delivered));
            let store = self.world().store.clone();
            let received = async move { store.receipts(vec![receipt]).await };
            asked.push((number, tokio::spawn(async move { said(received.await) })));
        }
        asked
    }

    async fn crash(&mut self) {
        self.listen();
        let mut world = self.world.take().unwrap();
        world.writer.abort();
        let _ = (&mut world.writer).await;
        drop(world);
        tokio::time::sleep(Duration::from_secs(10)).await;
        soothe(&self.faults());
        self.world = Some(World::open(&self.ground).await);
    }

    /// What lanes and webhook workers have been told: everything once, in order.
    fn listen(&mut self) {
        let Some(world) = &mut self.world else {
            return;
        };
        while let Ok(committed) = world.committed.try_recv() {
            for ready in committed.messages {
                assert!(ready.message.seq > self.last, "numbers rise");
                self.last = ready.message.seq;
                assert!(self.queued.insert(ready.message.id), "told once");
                let id = ready.message.id;
                let entry = self.ledger.iter_mut().find(|one| one.message.id == id);
                entry.unwrap().message = ready.message;
            }
        }
        while let Ok(event) = world.events.try_recv() {
            let new = self.told.insert((event.seq(), event.sequence));
            assert!(new, "told once");
        }
    }

    async fn finish(mut self) {
        tokio::time::sleep(Duration::from_secs(10)).await;
        soothe(&self.faults());
        self.listen();
        for entry in &self.ledger {
            let found = self
                .world()
                .store
                .any_message(entry.message.id)
                .await
                .unwrap();
            let state = found.as_ref().map(|(view, _)| view.state);
            match entry.accepted {
                Said::Yes => assert!(state.is_some(), "nothing that was said yes to is lost"),
                Said::No => assert!(state.is_none(), "nothing that was refused is there"),
                Said::Nothing => {}
            }
            let (submitted, delivered) = (entry.submitted, entry.delivered);
            let expected: &[State] = match (submitted, delivered) {
                (_, Some(Said::Yes)) => &[State::Delivered],
                (_, Some(_)) => &[State::Submitted, State::Delivered],
                (Some(Said::Yes), None) => &[State::Submitted],
                (Some(_), None) => &[State::Queued, State::Submitted],
                (None, None) => &[State::Queued],
            };
            assert!(
                state.is_none_or(|state| expected.contains(&state)),
                "{state:?} {expected:?}"
            );
        }
        self.world.take().unwrap().close().await;
        let dump = self.ground.dump().await;
        let mut events = HashSet::new();
        for row in &dump["outbox"] {
            assert!(
                events.insert((row[1].clone(), row[2].clone())),
                "{row:?} is there twice"
            );
        }
        assert_eq!(dump["receipt_inbox"], Vec::<Vec<_>>::new());
    }
}

fn said<T>(answer: Result<T, StoreError>) -> Said {
    answer.map_or(Said::Nothing, |_| Said::Yes)
}

async fn answer(asked: JoinHandle<Said>, deadline: tokio::time::Instant) -> Said {
    match tokio::time::timeout_at(deadline, asked).await {
        Ok(said) => said.unwrap(),
        Err(_) => Said::Nothing,
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_fails_and_whenever_it_crashes_the_promises_are_kept() {
    for seed in seeds(200) {
        eprintln!("seed {seed}");
        let mut storm = Storm::of(seed).await;
        for _ in 0..ROUNDS {
            storm.round().await;
        }
        storm.finish().await;
    }
}
