//! Lives here: the store's contract, driven through its handle. Each of its tests is one test for
//! each store: `receipts::sqlite::a_receipt_of_another_account_never_matches` and so on.
//! Never here: anything but tests.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::ground::Ground;
use super::*;
use crate::domain::event::EventKind;
use crate::domain::ids::{CarrierIndex, IntentId, ReceiptKey};
use crate::domain::lifecycle::{SegmentState, failure_of};
use crate::domain::message::{Encoding, State};
use crate::domain::phone::{Msisdn, Sender};
use crate::domain::receipt::Evidence;
use crate::flow::{AttemptRecord, Parts, Transition};

/// Makes the tests of a file, functions that take a [`Ground`], tests of every store.
macro_rules! on_each_store {
    ($($name:ident),* $(,)?) => {
        on_databases!($($name),*);
        on_store!(memory: $($name),*);
    };
}

/// The same for what reaches under the handle into tables, which the model has not.
macro_rules! on_databases {
    ($($name:ident),* $(,)?) => {
        on_store!(sqlite: $($name),*);
        on_store!(postgres: $($name),*);
    };
}

macro_rules! on_store {
    ($store:ident: $($name:ident),*) => {
        mod $store {
            $(
                #[tokio::test]
                async fn $name() {
                    super::$name(super::Ground::$store().await).await;
                }
            )*
        }
    };
}

const ORG: OrgId = OrgId(Uuid::from_u128(7));

struct World {
    store: Store,
    committed: mpsc::Receiver<Committed>,
    events: mpsc::Receiver<EventJob>,
    news: mpsc::Receiver<ReceiptNews>,
    uncertain: u64,
    last: ids::Place,
    orderly: Arc<AtomicBool>,
    stop: CancellationToken,
    writer: JoinHandle<()>,
}

impl World {
    async fn open(ground: &Ground) -> Self {
        Self::of_accounts(ground, &["mtn_ng"]).await
    }

    async fn of_accounts(ground: &Ground, accounts: &[&str]) -> Self {
        let (committed_to, committed) = mpsc::channel(1000);
        let (events_to, events) = mpsc::channel(1000);
        let carriers = accounts.iter().map(|id| CarrierId((*id).into())).collect();
        let opened = ground.open(carriers, committed_to, events_to).await;
        let stop = CancellationToken::new();
        let orderly = opened.writer.orderly();
        let (writer, stopped) = (opened.writer, stop.clone());
        let writer = tokio::spawn(async move { writer.run(stopped).await.unwrap() });
        Self {
            store: opened.store,
            committed,
            events,
            news: opened.news,
            uncertain: opened.uncertain,
            last: opened.last,
            orderly,
            stop,
            writer,
        }
    }

    async fn close(self) {
        self.stop.cancel();
        self.writer.await.unwrap();
    }

    async fn accept(&mut self, segments: u8) -> Arc<Message> {
        self.store.accept(message(segments)).await.unwrap();
        let mut committed = self.committed.recv().await.unwrap();
        assert_eq!(committed.messages.len(), 1);
        committed.messages.remove(0).message
    }

    async fn submit(&self, message: &Arc<Message>, ids: &[&str]) {
        let attempts = ids
            .iter()
            .zip(1..)
            .map(|(id, part)| taken(message, part, id))
            .collect();
        let transitions = vec![moved(message, State::Submitted)];
        self.settle(Settlement {
            attempts,
            transitions,
            closed_intents: Vec::new(),
            reroutes: Vec::new(),
        })
        .await;
    }

    async fn settle(&self, settlement: Settlement) {
        self.store.settle(settlement).await.unwrap();
    }

    async fn receive(&self, id: &str, state: Option<SegmentState>) -> ReceiptResult {
        self.store.receipts(vec![receipt(id, state)]).await.unwrap()[0]
    }

    async fn state(&self, message: &Message) -> State {
        self.store
            .message(ORG, message.id)
            .await
            .unwrap()
            .unwrap()
            .state
    }

    fn events(&mut self) -> Vec<(EventKind, u32)> {
        std::iter::from_fn(|| self.events.try_recv().ok())
            .map(|job| (job.kind, job.sequence))
            .collect()
    }
}

fn carrier() -> CarrierId {
    CarrierId("mtn_ng".into())
}

fn message(segments: u8) -> Message {
    Message {
        seq: MessageSeq(0),
        id: MessageId(Uuid::now_v7()),
        org: ORG,
        class: Class::Transactional,
        to: Msisdn::from_digits("2348031234567").unwrap(),
        from: Sender::parse("MNARA").unwrap(),
        body: "hujambo".into(),
        encoding: Encoding::Gsm7,
        segments,
        carrier: CarrierIndex(0),
        webhook_url: Some("http://127.0.0.1:1/".into()),
        metadata: Some("{\"a\":1}".into()),
        tags: None,
        client_ref: None,
        live: true,
        cost: Default::default(),
        accepted_at: Timestamp(1_000),
        due_at: Timestamp(1_000),
        valid_until: Timestamp(50_000),
    }
}

fn attempt(
    message: &Arc<Message>,
    part: u8,
    state: SegmentState,
    id: Option<&str>,
) -> AttemptRecord {
    AttemptRecord {
        message: Arc::clone(message),
        part,
        attempt: 1,
        carrier: carrier(),
        bind: BindName("mtn_ng/1".into()),
        sequence: 9,
        submitted_at: Timestamp(2_000),
        answered_at: Timestamp(2_100),
        state,
        status: Some(0),
        carrier_message_id: id.map(|id| (id.into(), id.into())),
    }
}

fn taken(message: &Arc<Message>, part: u8, id: &str) -> AttemptRecord {
    attempt(message, part, SegmentState::Submitted, Some(id))
}

fn moved(message: &Arc<Message>, to: State) -> Transition {
    Transition {
        message: Arc::clone(message),
        carrier: CarrierIndex(0),
        to,
        at: Timestamp(2_100),
        sent_at: (to == State::Submitted).then_some(Timestamp(2_100)),
        failure: failure_of(to),
        detail: None,
        possible_duplicate: false,
    }
}

fn receipt(id: &str, state: Option<SegmentState>) -> Receipt {
    Receipt {
        carrier: carrier(),
        key: ReceiptKey::new(&carrier(), id),
        normalised: id.into(),
        raw_id: id.into(),
        state,
        stat: state.map_or("ENROUTE", SegmentState::name).into(),
        err: "000".into(),
        failure: None,
        done_date: "2601010101".into(),
        done_at: None,
        evidence: Evidence::default(),
        received_at: Timestamp(3_000),
    }
}

mod aside;
mod control;
mod desk;
mod dice;
mod doubt;
mod erasing;
mod faults;
mod ground;
mod history;
mod hooks;
mod jobs;
mod memo;
mod messages;
mod moving;
mod orders;
mod parking;
mod people;
mod promises;
mod proof;
mod receipts;
mod retention;
mod tables;
mod till;
