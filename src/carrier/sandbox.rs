//! Lives here: the carrier of test messages: it takes them from its lanes as a bind does, answers and
//! ends each as its recipient asks for (`domain::sandbox`), and hands outcomes and receipts to those
//! who take what binds bring. What it has not done when the daemon ends, the next run does.
//!
//! It writes no intents: a test message that is answered twice is no duplicate. Before it answers
//! it looks whether the message still waits, as an intent's commit does for a bind.
//! Never here: what an outcome means; sockets; live messages.

use std::cmp::Reverse;
use std::collections::hash_map::Entry;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use mnara_smpp::status::CommandStatus;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Links;
use crate::domain::class::{Class, ClassSet};
use crate::domain::ids::{BindName, CarrierId, CarrierIndex, MessageSeq, OrgId, ReceiptKey};
use crate::domain::message::{FailureCode, Message, State};
use crate::domain::receipt::{Evidence, Receipt};
use crate::domain::sandbox::{ACCOUNT, Ending, Magic, Reply, Word};
use crate::domain::time::Timestamp;
use crate::domain::verdict::Verdict;
use crate::flow::lane::Lanes;
use crate::flow::{
    Answer, Answered, Outcome, Parts, Ready, ReceiptAck, ReceiptArrived, ReceiptPdu, Settlement,
    Transition,
};
use crate::store::StoreError;

/// Messages of each class that stand ready in its lanes at most; more wait behind them.
pub const LANE: usize = 256;
/// Messages that wait for their answer, their end or their receipt's commit at most; beyond it
/// nothing is taken, the lanes keep it.
const HELD_MAX: usize = 10_000;
/// As many of one organisation at most wait for their time. What it has beyond it comes at once, so
/// that there is room for others.
const SHARE: usize = HELD_MAX / 5;
/// Receipts that may wait for their commit; more wait for room.
const RECEIPTS_MAX: usize = 1_024;
/// Receipts of one message at most.
const PARTS_MAX: usize = 16;
/// Messages answered in one go.
const BATCH: usize = 256;
/// Messages that are read at a time of what the last run has left.
const PAGE: u32 = 500;
/// After a question that the store did not answer.
const AGAIN: Duration = Duration::from_secs(1);
/// Between two looks at most, the wall clock may be set; and at least, what is due may have to wait
/// for room.
const LOOK: Duration = Duration::from_millis(250);
const SOON: Duration = Duration::from_millis(1);

/// What is due at a time.
enum Step {
    /// A submit waits for its answer.
    Answer(Ready),
    /// A message taken then comes to its end.
    End(Arc<Message>, Timestamp),
}

/// One step and its time; those of one time in order of arrival.
struct Timed {
    at: Timestamp,
    number: u64,
    step: Step,
}

/// What is due when; bounded by [`HELD_MAX`], past which nothing is taken.
#[derive(Default)]
struct Timetable {
    steps: BinaryHeap<Reverse<Timed>>,
    /// Steps so far.
    number: u64,
    /// How many of the steps are whose.
    of: HashMap<OrgId, usize>,
}

type Left = Result<Vec<(Message, Timestamp)>, StoreError>;

struct Sandbox {
    index: CarrierIndex,
    id: CarrierId,
    bind: BindName,
    lanes: Arc<Lanes>,
    links: Links,
    steps: Timetable,
    /// Submits and receipts so far.
    sequence: u32,
    answers_to: mpsc::Sender<Answered>,
    /// Messages whose receipts wait for their commit, by the receipts' sequence numbers.
    told: HashMap<u32, (Arc<Message>, Timestamp)>,
}

/// Starts the task; it ends with `stop`.
pub fn start(
    tasks: &mut JoinSet<()>,
    (index, lanes): (CarrierIndex, Arc<Lanes>),
    links: Links,
    stop: CancellationToken,
) {
    let (answers_to, answers) = mpsc::channel(RECEIPTS_MAX);
    let sandbox = Sandbox {
        index,
        id: CarrierId(ACCOUNT.into()),
        bind: BindName(ACCOUNT.into()),
        lanes,
        links,
        steps: Timetable::default(),
        sequence: 0,
        answers_to,
        told: HashMap::new(),
    };
    tasks.spawn(sandbox.run(answers, stop));
}

impl Sandbox {
    async fn run(mut self, mut answers: mpsc::Receiver<Answered>, stop: CancellationToken) {
        let lanes = Arc::clone(&self.lanes);
        // Until what was left has been read nothing is taken: a page might show what this run has
        // submitted.
        let (mut reading, mut told) = (Some((MessageSeq(0), (self.links.now)())), false);
        loop {
            let wait = self.wait();
            // Every branch only takes from a queue or a timer: dropping one loses nothing.
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                Some(answer) = answers.recv() => self.answered(&answer),
                () = lanes.ready(0) => {}
                () = tokio::time::sleep(wait) => {}
            }
            if !self.links.store.health().is_well() {
                continue;
            }
            match reading {
                Some((after, at)) if at <= (self.links.now)() && self.held() < HELD_MAX => {
                    let left = self.links.store.sandboxed(after, PAGE).await;
                    if let Err(error) = &left
                        && !std::mem::replace(&mut told, true)
                    {
                        tracing::error!(%error, "reading test messages failed; trying until it works");
                    }
                    reading = self.take_up(after, left);
                }
                Some(_) => {}
                None => self.pull(),
            }
            if self.act().await.is_err() {
                return;
            }
        }
    }

    /// How long until something is due that can be done.
    fn wait(&self) -> Duration {
        match self.steps.next() {
            Some(next) if self.links.store.health().is_well() => {
                next.since((self.links.now)()).clamp(SOON, LOOK)
            }
            Some(_) | None => LOOK,
        }
    }

    fn held(&self) -> usize {
        self.steps.len() + self.told.len()
    }

    fn next_sequence(&mut self) -> u32 {
        self.sequence = self.sequence.wrapping_add(1).max(1);
        self.sequence
    }

    /// What an earlier run has taken comes to its end; says behind which message to go on, and when.
    fn take_up(&mut self, after: MessageSeq, left: Left) -> Option<(MessageSeq, Timestamp)> {
        let now = (self.links.now)();
        let Ok(left) = left else {
            return Some((after, now + AGAIN));
        };
        let full = left.len() == PAGE as usize;
        let last = left.last().map(|(message, _)| message.seq);
        for (message, sent_at) in left {
            self.taken(Arc::new(message), sent_at);
        }
        last.filter(|_| full).map(|last| (last, now))
    }

    /// Takes what stands in the lanes.
    fn pull(&mut self) {
        while self.held() < HELD_MAX {
            let lanes = &self.lanes;
            let take = |class| lanes.take(class, ClassSet::ALL);
            let Some(ready) = Class::ALL.into_iter().find_map(take) else {
                break;
            };
            let due_at = ready.message.due_at;
            let submitted = (self.links.now)().since(due_at);
            let answers = Magic::of(ready.message.to).answers(submitted);
            let now = (self.links.now)();
            self.steps
                .put_in_turn(due_at + answers, now, Step::Answer(ready));
        }
    }

    /// Does what is due.
    async fn act(&mut self) -> Result<(), StoreError> {
        let now = (self.links.now)();
        let mut submits = Vec::new();
        while self.told.len() + PARTS_MAX < RECEIPTS_MAX
            && submits.len() < BATCH
            && let Some(step) = self.steps.take(now)
        {
            match step {
                Step::Answer(ready) => submits.push(ready),
                Step::End(message, sent_at) => self.end(message, sent_at, now).await?,
            }
        }
        if submits.is_empty() {
            return Ok(());
        }
        self.answer(submits, now).await
    }

    /// Answers those that still wait: meanwhile they may have been cancelled.
    async fn answer(&mut self, submits: Vec<Ready>, now: Timestamp) -> Result<(), StoreError> {
        let seqs: Vec<_> = submits.iter().map(|ready| ready.message.seq).collect();
        let Ok(there) = self.links.store.still_there(self.index, &seqs).await else {
            for ready in submits {
                self.steps.put(now + AGAIN, Step::Answer(ready));
            }
            return Ok(());
        };
        let there = |ready: &Ready| there.contains(&ready.message.seq);
        let mut outcomes = Vec::with_capacity(submits.len());
        for ready in submits.into_iter().filter(there) {
            self.reply(&ready, now, &mut outcomes);
        }
        if outcomes.is_empty() {
            return Ok(());
        }
        let sent = self.links.outcomes.send(outcomes).await;
        sent.map_err(|_| StoreError::Closed)
    }

    fn reply(&mut self, ready: &Ready, now: Timestamp, outcomes: &mut Vec<Outcome>) {
        let message = Arc::clone(&ready.message);
        if message.live {
            tracing::error!(message = %message.id,
                "a live message stood in the sandbox's lane; it goes to a carrier");
            let answer = astray();
            let parts = ready.parts;
            return self.outcomes(ready, parts, |_| answer.clone(), outcomes);
        }
        if message.valid_until < now {
            let first = ready
                .parts
                .iter()
                .next()
                .map_or(Parts::default(), Parts::one);
            return self.outcomes(ready, first, |_| Answer::Expired, outcomes);
        }
        let parts = ready.parts;
        let refused = |status, verdict| Answer::Refused {
            status,
            verdict,
            late: false,
        };
        match Magic::of(message.to).reply(now.since(message.due_at)) {
            Reply::Accepted => {
                let accepted = |part| {
                    let id = carrier_id(message.seq, part);
                    Answer::Accepted {
                        raw_id: id.clone(),
                        normalised: id,
                        late: false,
                    }
                };
                self.outcomes(ready, parts, accepted, outcomes);
                self.taken(message, now);
            }
            Reply::Refused(status, failure) => {
                let answer = refused(status, Verdict::Permanent(failure));
                self.outcomes(ready, parts, |_| answer.clone(), outcomes);
            }
            Reply::SlowDown(pause) => {
                let throttled = CommandStatus::ESME_RTHROTTLED.0;
                let answer = refused(throttled, Verdict::SlowDown(pause));
                self.outcomes(ready, parts, |_| answer.clone(), outcomes);
            }
        }
    }

    fn outcomes(
        &mut self,
        ready: &Ready,
        parts: Parts,
        answer: impl Fn(u8) -> Answer,
        outcomes: &mut Vec<Outcome>,
    ) {
        let now = (self.links.now)();
        for part in parts.iter() {
            outcomes.push(Outcome {
                ready: ready.clone(),
                part,
                closes: None,
                carrier: self.id.clone(),
                bind: self.bind.clone(),
                sequence: self.next_sequence(),
                submitted_at: now,
                answered_at: now,
                answer: answer(part),
            });
        }
    }

    /// A message has been taken then: its end follows.
    fn taken(&mut self, message: Arc<Message>, sent_at: Timestamp) {
        let (after, _) = Magic::of(message.to).ends();
        let now = (self.links.now)();
        self.steps
            .put_in_turn(sent_at + after, now, Step::End(message, sent_at));
    }

    async fn end(
        &mut self,
        message: Arc<Message>,
        sent_at: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        match Magic::of(message.to).ends().1 {
            Ending::Receipt(word) => {
                for part in Parts::all(message.segments).iter() {
                    self.tell(&message, part, word, (sent_at, now)).await?;
                }
                Ok(())
            }
            Ending::Expired => {
                let expired = Transition {
                    message,
                    carrier: self.index,
                    to: State::Expired,
                    at: now,
                    sent_at: Some(sent_at),
                    failure: Some(FailureCode::Expired),
                    detail: Some("no receipt came".into()),
                    possible_duplicate: false,
                };
                let settlement = Settlement {
                    transitions: vec![expired],
                    ..Settlement::default()
                };
                self.links.store.settle(settlement).await
            }
        }
    }

    /// Hands a receipt to `inbound`, as a bind does.
    async fn tell(
        &mut self,
        message: &Arc<Message>,
        part: u8,
        word: Word,
        (sent_at, now): (Timestamp, Timestamp),
    ) -> Result<(), StoreError> {
        let id = carrier_id(message.seq, part);
        let receipt = Receipt {
            carrier: self.id.clone(),
            key: ReceiptKey::new(&self.id, &id),
            normalised: id.clone(),
            raw_id: id,
            state: Some(word.state),
            stat: word.stat.into(),
            err: word.err.into(),
            failure: word.failure,
            done_date: "".into(),
            done_at: Some(now),
            evidence: Evidence::default(),
            received_at: now,
        };
        let sequence = self.next_sequence();
        let ack = ReceiptAck {
            to: self.answers_to.clone(),
            session: 0,
            sequence,
            pdu: ReceiptPdu::DeliverSm,
        };
        self.told.insert(sequence, (Arc::clone(message), sent_at));
        let arrived = ReceiptArrived { receipt, ack };
        let sent = self.links.receipts.send(arrived).await;
        sent.map_err(|_| StoreError::Closed)
    }

    /// A receipt is durable; one that is not is sent again, with those of the message's other
    /// parts, which then say nothing new.
    fn answered(&mut self, answer: &Answered) {
        // It asks for no intents.
        let Answered::Receipt { sequence, kept, .. } = answer else {
            return;
        };
        if let Some((message, sent_at)) = self.told.remove(sequence)
            && !*kept
        {
            let at = (self.links.now)() + AGAIN;
            self.steps.put(at, Step::End(message, sent_at));
        }
    }
}

impl Step {
    fn org(&self) -> OrgId {
        match self {
            Self::Answer(ready) => ready.message.org,
            Self::End(message, _) => message.org,
        }
    }
}

impl Timetable {
    fn len(&self) -> usize {
        self.steps.len()
    }

    /// When the next step is due.
    fn next(&self) -> Option<Timestamp> {
        self.steps.peek().map(|Reverse(next)| next.at)
    }

    fn put(&mut self, at: Timestamp, step: Step) {
        self.number += 1;
        let number = self.number;
        *self.of.entry(step.org()).or_default() += 1;
        self.steps.push(Reverse(Timed { at, number, step }));
    }

    /// The same, at once if its organisation has its share already.
    fn put_in_turn(&mut self, at: Timestamp, now: Timestamp, step: Step) {
        let held = self.of.get(&step.org()).copied().unwrap_or_default();
        self.put(if held < SHARE { at } else { at.min(now) }, step);
    }

    /// Takes a step that is due by now.
    fn take(&mut self, now: Timestamp) -> Option<Step> {
        if self.next()? > now {
            return None;
        }
        let Reverse(Timed { step, .. }) = self.steps.pop()?;
        if let Entry::Occupied(mut held) = self.of.entry(step.org()) {
            *held.get_mut() -= 1;
            if *held.get() == 0 {
                held.remove();
            }
        }
        Some(step)
    }
}

/// The refusal that sends a message from a lane where it must not be to where it belongs: `settle`
/// asks the routes, and they know.
pub(super) fn astray() -> Answer {
    Answer::Refused {
        status: CommandStatus::ESME_RSUBMITFAIL.0,
        verdict: Verdict::OtherRoute(FailureCode::RouteUnavailable),
        late: false,
    }
}

/// The id that the sandbox gives a segment: always the same.
fn carrier_id(seq: MessageSeq, part: u8) -> Box<str> {
    format!("sandbox-{:x}-{part:x}", seq.0).into()
}

impl Ord for Timed {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

impl PartialOrd for Timed {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Timed {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Timed {}

#[cfg(test)]
#[path = "sandbox_tests.rs"]
mod tests;
