//! Lives here: binds against a simulated carrier, with a real store behind them: whose turn it is at
//! the wire, what an operator's hand does, hosts and places.
//! Never here: what the pure parts' own tests show; what outcomes mean.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mnara_loadtest::smsc::{Fate, Rule, Script, Smsc, SmscConfig, Span, SubmitLog, Then, When};
use tempfile::TempDir;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::bind::tests::message;
use super::*;
use crate::domain::class::Class;
use crate::domain::ids::MessageSeq;
use crate::domain::message::{FailureCode, Message};
use crate::domain::verdict::Verdict;
use crate::flow::bind::BindCommand;
use crate::flow::{Answer, Ready, signs};
use crate::store;

const LIMIT: Duration = Duration::from_secs(30);

/// An account, its carrier and everything between them.
struct Field {
    smsc: Smsc,
    log: Arc<SubmitLog>,
    lanes: Arc<Lanes>,
    binds: Vec<BindHandle>,
    outcomes: mpsc::Receiver<Vec<Outcome>>,
    seen: Vec<Outcome>,
    next: i64,
    stop: CancellationToken,
    tasks: JoinSet<()>,
    _folder: TempDir,
}

impl Field {
    /// An account of two binds at most; `adapt` has the last word on it.
    async fn open(script: Script, adapt: impl FnOnce(&mut AccountConfig)) -> Self {
        let log = Arc::new(SubmitLog::new(10_000));
        let smsc = Smsc::start(SmscConfig {
            script,
            observer: Some(Arc::clone(&log) as _),
            ..SmscConfig::default()
        })
        .await
        .unwrap();
        let mut account = account(smsc.addr().port());
        adapt(&mut account);
        let folder = tempfile::tempdir().unwrap();
        let config = store::Config {
            url: format!("sqlite:{}/mnara.db", folder.path().display()),
            ..store::Config::default()
        };
        let (committed, _) = mpsc::channel(16);
        let (events, _) = mpsc::channel(16);
        let opened = store::open(&config, vec![account.id.clone()], committed, events)
            .await
            .unwrap();
        let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
        let (writer, written) = (opened.writer, stop.clone());
        tasks.spawn(async move { writer.run(written).await.unwrap() });
        let (outcomes_to, outcomes) = mpsc::channel(1_000);
        let (receipts, _) = mpsc::channel(16);
        let links = Links {
            store: opened.store,
            outcomes: outcomes_to,
            receipts,
            signs: signs::channel().0,
            now: || std::time::SystemTime::now().into(),
        };
        let lanes = Arc::new(Lanes::new(
            1_000,
            100,
            bind_count(&account),
            Arc::new(Notify::new()),
        ));
        let accounts = [(account, Arc::clone(&lanes))];
        let binds = start(&mut tasks, &Config::default(), &accounts, &links, &stop);
        Self {
            smsc,
            log,
            lanes,
            binds,
            outcomes,
            seen: Vec::new(),
            next: 0,
            stop,
            tasks,
            _folder: folder,
        }
    }

    fn offer(&mut self, class: Class, count: usize, segments: u8) {
        for _ in 0..count {
            self.next += 1;
            let text = format!("{:-<1$}", self.next, 150 * usize::from(segments));
            let message = Message {
                seq: MessageSeq(self.next),
                class,
                ..message(&text, segments)
            };
            self.lanes.offer(Ready::first(Arc::new(message))).unwrap();
        }
        self.lanes.wake();
    }

    fn offer_test(&mut self, class: Class) {
        self.next += 1;
        let message = Message {
            seq: MessageSeq(self.next),
            class,
            live: false,
            ..message("a test", 1)
        };
        self.lanes.offer(Ready::first(Arc::new(message))).unwrap();
        self.lanes.wake();
    }

    async fn command(&self, bind: usize, command: BindCommand) {
        self.binds[bind].commands.send(command).await.unwrap();
    }

    fn status(&self, bind: usize) -> BindStatus {
        self.binds[bind].view.borrow().clone()
    }

    /// Waits until this holds; outcomes are gathered meanwhile.
    async fn until(&mut self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let deadline = Instant::now() + LIMIT;
        while !holds(self) {
            let shown = || {
                let binds: Vec<_> = (0..self.binds.len())
                    .map(|bind| self.status(bind))
                    .collect();
                format!("{what}: {binds:?}, {:?}", self.smsc.stats())
            };
            assert!(Instant::now() < deadline, "{}", shown());
            let wait = Duration::from_millis(5);
            if let Ok(Some(outcomes)) = tokio::time::timeout(wait, self.outcomes.recv()).await {
                self.seen.extend(outcomes);
            }
        }
    }

    async fn until_state(&mut self, bind: usize, state: &str) {
        self.until(state, |field| field.status(bind).state == state)
            .await;
    }

    fn count(&self, of: impl Fn(&Answer) -> bool) -> usize {
        self.seen.iter().filter(|seen| of(&seen.answer)).count()
    }

    fn accepted(&self) -> usize {
        self.count(|answer| matches!(answer, Answer::Accepted { .. }))
    }

    fn returned(&self) -> usize {
        self.count(|answer| matches!(answer, Answer::NotSent))
    }

    /// The messages that the carrier took, by their numbers, in its order.
    fn taken(&self) -> Vec<i64> {
        let number = |text: &str| text.split('-').next().and_then(|text| text.parse().ok());
        let log = self.log.snapshot().into_iter();
        log.filter(|submit| submit.fate == Fate::Accepted)
            .filter_map(|submit| number(&submit.text))
            .collect()
    }

    async fn close(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
        self.smsc.shutdown().await;
    }
}

fn account(port: u16) -> AccountConfig {
    AccountConfig {
        id: CarrierId("one".into()),
        network: NetworkId("one".into()),
        max_tps: 1_000,
        burst: None,
        window: None,
        binds_max: None,
        profile: Arc::default(),
        binds: vec![BindConfig {
            hosts: vec![("127.0.0.1".to_owned(), port)],
            tls: None,
            system_id: "mnara".to_owned(),
            password: "secret".to_owned().into(),
            system_type: String::new(),
            mode: Mode::Transmitter,
            count: 1,
            window: 20,
            max_tps: None,
            burst: None,
            classes: ClassSet::ALL,
            warm_up: Duration::ZERO,
            response_timeout: Duration::from_secs(20),
            enquire_link_interval: Duration::from_secs(20),
            connect_timeout: Duration::from_secs(5),
        }],
    }
}

fn slow(ms: u64) -> Script {
    Script {
        response_delay_ms: Span::fixed(ms),
        ..Script::without_receipts()
    }
}

#[tokio::test]
async fn an_otp_is_written_before_all_that_was_staged_before_it() {
    let mut field = Field::open(Script::without_receipts(), |account| account.max_tps = 60).await;
    field.offer(Class::Promotional, 200, 1);
    field
        .until("some are sent", |field| field.taken().len() > 10)
        .await;
    let before = field.taken().len();
    field.offer(Class::Otp, 5, 1);
    let all_otp = |field: &Field| field.taken().iter().filter(|seq| **seq > 200).count() == 5;
    field.until("the OTP are sent", all_otp).await;
    let taken = field.taken();
    let last = taken.iter().rposition(|seq| *seq > 200).unwrap();
    // What was written between the count and the offer, and one for the floor, at most.
    assert!(last <= before + 7, "{last} of {before}: {taken:?}");
    field.close().await;
}

#[tokio::test]
async fn throttled_segments_keep_their_order_and_have_no_outcome_but_yes() {
    let script = Script {
        throttle_per_s: Some(40),
        ..slow(10)
    };
    let mut field = Field::open(script, |_| {}).await;
    field.offer(Class::Transactional, 60, 2);
    field
        .until("all are taken", |field| field.accepted() == 120)
        .await;
    assert_eq!(field.seen.len(), 120);
    assert!(field.smsc.stats().throttled > 0 && field.status(0).throttled > 0);
    assert!(field.status(0).tps_allowed < 1_000);
    // A window's worth is under way when the first "slower" comes; what it had not taken goes
    // before all that was not written yet.
    let taken = field.taken();
    let worst = taken.iter().scan(0, |most, seq| {
        let back = *most - *seq;
        *most = (*most).max(*seq);
        Some(back)
    });
    assert!(worst.max().unwrap() <= 20, "{taken:?}");
    field.close().await;
}

#[tokio::test]
async fn the_operators_window_and_pace_are_in_force_at_once() {
    let mut field = Field::open(slow(150), |_| {}).await;
    field.until_state(0, "bound").await;
    field.command(0, BindCommand::SetWindow(Some(3))).await;
    field
        .until("the window is told", |field| field.status(0).window == 3)
        .await;
    field.offer(Class::Transactional, 100, 1);
    field
        .until("it is full", |field| field.status(0).in_flight == 3)
        .await;
    field
        .until("nine are taken", |field| {
            assert!(field.status(0).in_flight <= 3);
            field.accepted() >= 9
        })
        .await;
    field.command(0, BindCommand::SetWindow(Some(50))).await;
    field
        .until("more than configured are under way", |field| {
            field.status(0).in_flight > 20
        })
        .await;
    field.command(0, BindCommand::SetTps(Some(5))).await;
    field
        .until("the pace is told", |field| field.status(0).tps_limit == 5)
        .await;
    field.command(0, BindCommand::SetTps(None)).await;
    field
        .until("all are taken", |field| field.accepted() == 100)
        .await;
    assert_eq!(field.status(0).tps_limit, 1_000);
    field.close().await;
}

#[tokio::test]
async fn a_bind_goes_down_with_an_empty_window_and_comes_up_again() {
    let mut field = Field::open(slow(100), |account| account.max_tps = 100).await;
    field.offer(Class::Transactional, 60, 1);
    field
        .until("some are taken", |field| field.accepted() > 3)
        .await;
    field.command(0, BindCommand::Down).await;
    field.until_state(0, "down").await;
    let written = field.taken().len();
    field
        .until("each has its outcome", |field| field.accepted() == written)
        .await;
    assert!(!field.status(0).bound && field.returned() > 0);
    assert_eq!(field.count(|answer| matches!(answer, Answer::InDoubt)), 0);
    field.command(0, BindCommand::Up).await;
    let rest = 60 - field.returned();
    field
        .until("the rest is taken", |field| field.accepted() == rest)
        .await;
    field.command(0, BindCommand::Rebind).await;
    field
        .until("it is bound a third time", |field| {
            field.smsc.stats().binds == 3 && field.status(0).bound
        })
        .await;
    field.close().await;
}

#[tokio::test]
async fn what_is_staged_goes_back_when_the_gate_is_shut() {
    let mut field = Field::open(Script::without_receipts(), |account| account.max_tps = 20).await;
    field.offer(Class::Promotional, 50, 1);
    field
        .until("one is taken", |field| field.accepted() > 0)
        .await;
    field.lanes.set_gate(Some(0));
    field
        .until("some come back", |field| field.returned() > 0)
        .await;
    let taken = field.accepted();
    field.lanes.set_gate(Some(1));
    field
        .until("the probe is taken", |field| field.accepted() > taken)
        .await;
    field.close().await;
}

#[tokio::test]
async fn another_host_is_taken_when_the_first_cannot_be_connected_to() {
    // A port that was free a moment ago and has nobody listening.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = closed.local_addr().unwrap().port();
    drop(closed);
    let mut field = Field::open(Script::without_receipts(), |account| {
        account.binds[0]
            .hosts
            .insert(0, ("127.0.0.1".to_owned(), port));
    })
    .await;
    field.until_state(0, "bound").await;
    assert_eq!(&*field.status(0).host, field.smsc.addr().to_string());
    field.close().await;
}

#[tokio::test]
async fn binds_beyond_the_carriers_limit_stand_by_and_step_in() {
    let mut field = Field::open(Script::without_receipts(), |account| {
        account.binds_max = Some(1);
        account.binds[0].count = 2;
    })
    .await;
    field
        .until("one is bound", |field| field.smsc.stats().binds_open == 1)
        .await;
    let first = usize::from(!field.status(0).bound);
    field.until_state(1 - first, "waiting").await;
    field.command(first, BindCommand::Down).await;
    field.until_state(1 - first, "bound").await;
    assert_eq!(field.smsc.stats().binds_refused, 0);
    field.close().await;
}

#[tokio::test]
async fn a_bind_carries_its_own_classes_only() {
    let mut field = Field::open(Script::without_receipts(), |account| {
        account.binds[0].classes = ClassSet::of([Class::Otp]);
    })
    .await;
    field.offer(Class::Transactional, 3, 1);
    field.offer(Class::Otp, 3, 1);
    field
        .until("the OTP are taken", |field| field.accepted() == 3)
        .await;
    assert_eq!(field.taken(), [4, 5, 6]);
    assert_eq!(field.lanes.depth(Class::Transactional), 3);
    field.close().await;
}

#[tokio::test]
async fn a_carrier_that_answers_nothing_is_not_given_a_second_window() {
    let script = Script {
        rules: vec![Rule::always(Then::Drop)],
        ..Script::without_receipts()
    };
    let mut field = Field::open(script, |account| {
        account.binds[0].window = 8;
        account.binds[0].response_timeout = Duration::from_millis(500);
    })
    .await;
    field.offer(Class::Transactional, 30, 1);
    field
        .until("the window and a probe are in doubt", |field| {
            field.count(|answer| matches!(answer, Answer::InDoubt)) >= 9
        })
        .await;
    let written = field.log.snapshot().len();
    assert!(written <= 10, "{written} were written");
    field.close().await;
}

#[tokio::test]
async fn a_staged_message_past_its_validity_is_not_written() {
    let held = Rule {
        when: When {
            first: Some(1),
            ..When::default()
        },
        then: Then::Drop,
    };
    let script = Script {
        rules: vec![held],
        ..Script::without_receipts()
    };
    let mut field = Field::open(script, |account| {
        account.binds[0].window = 1;
        account.binds[0].response_timeout = Duration::from_secs(1);
    })
    .await;
    field.offer(Class::Transactional, 1, 1);
    field
        .until("the window is full", |field| field.status(0).in_flight == 1)
        .await;
    let soon = Timestamp::from(std::time::SystemTime::now()) + Duration::from_millis(300);
    let brief = Message {
        seq: MessageSeq(2),
        valid_until: soon,
        ..message(&"brief ".repeat(50), 2)
    };
    field.lanes.offer(Ready::first(Arc::new(brief))).unwrap();
    field.lanes.wake();
    field
        .until("it expires", |field| {
            field.count(|answer| matches!(answer, Answer::Expired)) == 1
        })
        .await;
    assert_eq!(field.log.snapshot().len(), 1);
    field.close().await;
}

#[tokio::test]
async fn a_test_message_in_a_carrier_s_lane_is_handed_on_and_never_written() {
    let mut field = Field::open(Script::default(), |_| {}).await;
    field.until_state(0, "bound").await;
    for class in Class::ALL {
        field.offer_test(class);
        field.offer(class, 1, 1);
    }
    field
        .until("all are answered", |field| field.seen.len() == 6)
        .await;
    let handed_on = |answer: &Answer| {
        matches!(
            answer,
            Answer::Refused {
                verdict: Verdict::OtherRoute(FailureCode::RouteUnavailable),
                ..
            }
        )
    };
    assert_eq!((field.accepted(), field.count(handed_on)), (3, 3));
    let refused = field.seen.iter().filter(|seen| handed_on(&seen.answer));
    assert!(refused.into_iter().all(|seen| !seen.ready.message.live));
    let texts = field.log.snapshot();
    assert!(texts.iter().all(|submit| submit.text != "a test"));
    field.close().await;
}
