//! Lives here: the simulator over loopback, against the SMPP client and the ESME generator.
//! Never here: the daemon.

use bytes::Bytes;
use mnara_smpp::{
    client::{self, BindError, Connect},
    pdu::{Address, Bind, BindKind, DeliverSm, DeliverSmResp, Pdu, SubmitSm},
    receipt,
    session::{Action, CloseReason, Input},
    status::CommandStatus,
    transport::Connection,
};
use tokio::time::timeout;

use super::*;
use crate::{
    esme::{self, EsmeConfig},
    networks::NETWORKS,
};

pub(super) const LIMIT: Duration = Duration::from_secs(20);

pub(super) type Client = Connection<u32>;
pub(super) type Event = Action<u32>;

pub(super) fn connect(smsc: &Smsc) -> Connect {
    Connect {
        connect_timeout: LIMIT,
        ..Connect::new("127.0.0.1", smsc.addr().port())
    }
}

pub(super) fn bind_of(kind: BindKind, password: &str) -> Bind {
    Bind {
        kind,
        system_id: "mnara".into(),
        password: password.into(),
        ..Bind::default()
    }
}

pub(super) async fn start(script: Script) -> (Smsc, Arc<SubmitLog>) {
    let log = Arc::new(SubmitLog::new(1000));
    let config = SmscConfig {
        script,
        observer: Some(Arc::clone(&log) as Arc<_>),
        ..SmscConfig::default()
    };
    (Smsc::start(config).await.unwrap(), log)
}

pub(super) async fn client(smsc: &Smsc, kind: BindKind) -> Client {
    client::bind(
        &connect(smsc),
        &bind_of(kind, "secret"),
        SessionConfig::esme(),
    )
    .await
    .unwrap()
}

pub(super) fn submit(client: &mut Client, token: u32, dest: &'static str, text: &'static str) {
    let pdu = Pdu::SubmitSm(SubmitSm {
        source: Address {
            ton: 5,
            npi: 0,
            addr: "MNARA".into(),
        },
        dest: Address {
            ton: 1,
            npi: 1,
            addr: dest.into(),
        },
        registered_delivery: 1,
        short_message: Bytes::from_static(text.as_bytes()),
        ..SubmitSm::default()
    });
    client
        .send(Input::Request { pdu: &pdu, token }, &mut Vec::new())
        .unwrap();
}

/// Drives `client`, answering receipts, until `count` actions were seen.
pub(super) async fn events(client: &mut Client, count: usize) -> Vec<Event> {
    let mut seen = Vec::new();
    let mut actions = Vec::new();
    let gather = async {
        while seen.len() < count {
            client.drive(&mut actions).await;
            for action in actions.drain(..) {
                if let Action::Request { sequence, .. } = &action {
                    let pdu = Pdu::DeliverSmResp(DeliverSmResp::default());
                    let answer = Input::Respond {
                        sequence: *sequence,
                        status: CommandStatus::ESME_ROK,
                        pdu: &pdu,
                    };
                    client.send(answer, &mut Vec::new()).unwrap();
                }
                seen.push(action);
            }
        }
    };
    timeout(LIMIT, gather)
        .await
        .expect("the events come in time");
    client.flush().await.unwrap_or_default();
    seen
}

pub(super) fn status(event: &Event) -> Option<(u32, CommandStatus)> {
    match event {
        Action::Response { token, status, .. } => Some((*token, *status)),
        _ => None,
    }
}

pub(super) fn message_id(event: &Event) -> Option<String> {
    match event {
        Action::Response {
            pdu: Some(Pdu::SubmitSmResp(resp)),
            ..
        } => Some(resp.message_id.to_str_lossy().into_owned()),
        _ => None,
    }
}

pub(super) fn delivered(event: &Event) -> Option<&DeliverSm> {
    match event {
        Action::Request {
            pdu: Pdu::DeliverSm(deliver),
            ..
        } => Some(deliver),
        _ => None,
    }
}

pub(super) fn is_closed(event: &Event) -> bool {
    matches!(
        event,
        Action::Closed {
            reason: CloseReason::PeerClosed | CloseReason::Io(_)
        }
    )
}

#[tokio::test]
async fn a_submit_is_answered_and_its_receipt_names_the_answered_id() {
    let (smsc, log) = start(Script::default()).await;
    let mut client = client(&smsc, BindKind::Transceiver).await;
    submit(&mut client, 7, "255750000001", "habari yako");
    let events = events(&mut client, 2).await;
    assert_eq!(status(&events[0]), Some((7, CommandStatus::ESME_ROK)));
    let parsed = receipt::parse(delivered(&events[1]).unwrap()).unwrap();
    assert_eq!(Some(parsed.id()), message_id(&events[0]).as_deref());
    assert!(
        smsc.wait_until(LIMIT, |stats| stats.receipts_acknowledged == 1)
            .await
    );
    let entry = log.snapshot().remove(0);
    assert_eq!(
        (entry.dest.as_str(), entry.text.as_str(), entry.receipts),
        ("255750000001", "habari yako", 1)
    );
    smsc.shutdown().await;
}

#[tokio::test]
async fn a_receipt_for_a_transmitter_goes_to_the_receiver_of_the_same_system_id() {
    let (smsc, _log) = start(Script::default()).await;
    let mut receiver = client(&smsc, BindKind::Receiver).await;
    let mut transmitter = client(&smsc, BindKind::Transmitter).await;
    submit(&mut transmitter, 1, "255750000001", "a");
    events(&mut transmitter, 1).await;
    assert!(delivered(&events(&mut receiver, 1).await[0]).is_some());
}

#[tokio::test]
async fn receipts_wait_for_a_receiver_and_unacknowledged_ones_are_sent_again() {
    let (smsc, _log) = start(Script::default()).await;
    let mut transmitter = client(&smsc, BindKind::Transmitter).await;
    submit(&mut transmitter, 1, "255750000001", "a");
    events(&mut transmitter, 1).await;
    assert_eq!(smsc.receipts_waiting(), 1);
    let mut deaf = client(&smsc, BindKind::Receiver).await;
    let mut actions = Vec::new();
    timeout(LIMIT, deaf.drive(&mut actions)).await.unwrap();
    assert!(delivered(&actions[0]).is_some());
    drop(deaf);
    assert!(
        smsc.wait_until(LIMIT, |stats| stats.receipts_in_doubt == 1)
            .await
    );
    let mut receiver = client(&smsc, BindKind::Receiver).await;
    assert!(delivered(&events(&mut receiver, 1).await[0]).is_some());
    assert!(
        smsc.wait_until(LIMIT, |stats| stats.receipts_acknowledged == 1)
            .await
    );
}

#[tokio::test]
async fn no_receipt_is_sent_unless_it_was_asked_for() {
    let (smsc, _log) = start(Script::default()).await;
    let mut client = client(&smsc, BindKind::Transceiver).await;
    let pdu = Pdu::SubmitSm(SubmitSm {
        dest: Address::new(1, 1, "255750000001"),
        ..SubmitSm::default()
    });
    client
        .send(
            Input::Request {
                pdu: &pdu,
                token: 1,
            },
            &mut Vec::new(),
        )
        .unwrap();
    submit(&mut client, 2, "255750000002", "b");
    let events = events(&mut client, 3).await;
    assert_eq!(delivered(&events[2]).unwrap().source.addr, "255750000002");
    assert_eq!(smsc.stats().receipts_sent, 1);
}

#[tokio::test]
async fn rules_refuse_drop_and_choose_the_receipt_and_can_be_changed_live() {
    let to = |prefix: &str, then| {
        Rule::when(
            When {
                dest_prefix: Some(prefix.into()),
                ..When::default()
            },
            then,
        )
    };
    let (smsc, log) = start(Script {
        rules: vec![
            to("25571", Then::status(CommandStatus::ESME_RMSGQFUL)),
            to("25568", Then::Drop),
            to("25562", Then::Receipt(Stat::Undeliv)),
        ],
        ..Script::default()
    })
    .await;
    let mut client = client(&smsc, BindKind::Transceiver).await;
    submit(&mut client, 1, "255710000001", "a");
    submit(&mut client, 2, "255680000001", "b");
    submit(&mut client, 3, "255620000001", "c");
    let first = events(&mut client, 3).await;
    assert_eq!(status(&first[0]), Some((1, CommandStatus::ESME_RMSGQFUL)));
    assert_eq!(status(&first[1]), Some((3, CommandStatus::ESME_ROK)));
    assert_eq!(
        receipt::parse(delivered(&first[2]).unwrap())
            .unwrap()
            .state_text(),
        "UNDELIV"
    );
    smsc.set_rules(Vec::new());
    submit(&mut client, 4, "255710000001", "d");
    assert_eq!(
        status(&events(&mut client, 1).await[0]),
        Some((4, CommandStatus::ESME_ROK))
    );
    let fates: Vec<_> = log.snapshot().iter().map(|entry| entry.fate).collect();
    let refused = Fate::Refused(CommandStatus::ESME_RMSGQFUL);
    assert_eq!(
        fates,
        vec![refused, Fate::Dropped, Fate::Accepted, Fate::Accepted]
    );
}

#[tokio::test]
async fn a_disconnect_rule_answers_what_came_before_and_cuts() {
    let cut = Rule::when(
        When {
            text_contains: Some("cut".into()),
            ..When::default()
        },
        Then::Disconnect,
    );
    let (smsc, _log) = start(Script {
        rules: vec![cut],
        ..Script::without_receipts()
    })
    .await;
    let mut client = client(&smsc, BindKind::Transceiver).await;
    submit(&mut client, 1, "255750000001", "first");
    assert_eq!(
        status(&events(&mut client, 1).await[0]),
        Some((1, CommandStatus::ESME_ROK))
    );
    submit(&mut client, 2, "255750000001", "cut here");
    let end = events(&mut client, 2).await;
    assert!(
        matches!(end[0], Action::InDoubt { token: 2, .. }),
        "{end:?}"
    );
    assert!(is_closed(&end[1]), "{end:?}");
    assert!(smsc.wait_until(LIMIT, |stats| stats.binds_open == 0).await);
}

#[tokio::test]
async fn a_half_open_connection_stays_open_and_answers_nothing() {
    let silent = Rule::when(
        When {
            text_contains: Some("hush".into()),
            ..When::default()
        },
        Then::HalfOpen,
    );
    let (smsc, _log) = start(Script {
        rules: vec![silent],
        ..Script::without_receipts()
    })
    .await;
    let config = SessionConfig {
        response_timeout: Duration::from_millis(50),
        ..SessionConfig::esme()
    };
    let mut client: Client = client::bind(
        &connect(&smsc),
        &bind_of(BindKind::Transceiver, "secret"),
        config,
    )
    .await
    .unwrap();
    submit(&mut client, 1, "255750000001", "hush");
    assert!(matches!(
        events(&mut client, 1).await[0],
        Action::Expired { token: 1, .. }
    ));
    submit(&mut client, 2, "255750000001", "second");
    assert!(matches!(
        events(&mut client, 1).await[0],
        Action::Expired { token: 2, .. }
    ));
    assert_eq!((smsc.stats().submits, smsc.stats().binds_open), (1, 1));
    smsc.disconnect_all();
    assert!(events(&mut client, 1).await.iter().any(is_closed));
}

#[tokio::test]
async fn above_the_rate_segments_are_throttled() {
    let (smsc, _log) = start(Script {
        throttle_per_s: Some(1),
        ..Script::without_receipts()
    })
    .await;
    let mut client = client(&smsc, BindKind::Transceiver).await;
    submit(&mut client, 1, "255750000001", "a");
    submit(&mut client, 2, "255750000001", "b");
    let events = events(&mut client, 2).await;
    assert_eq!(status(&events[0]), Some((1, CommandStatus::ESME_ROK)));
    assert_eq!(
        status(&events[1]),
        Some((2, CommandStatus::ESME_RTHROTTLED))
    );
    assert_eq!(smsc.stats().throttled, 1);
}

#[tokio::test]
async fn a_receipt_can_come_before_its_response_and_twice() {
    let receipts = Receipts {
        before_response: true,
        duplicate: true,
        ..Receipts::default()
    };
    let (smsc, log) = start(Script {
        receipts,
        ..Script::default()
    })
    .await;
    let mut client = client(&smsc, BindKind::Transceiver).await;
    submit(&mut client, 1, "255750000001", "a");
    let events = events(&mut client, 3).await;
    let early = receipt::parse(delivered(&events[0]).unwrap()).unwrap();
    assert_eq!(Some(early.id()), message_id(&events[1]).as_deref());
    assert_eq!(
        receipt::parse(delivered(&events[2]).unwrap())
            .unwrap()
            .state_text(),
        "DELIVRD"
    );
    assert!(
        smsc.wait_until(LIMIT, |stats| stats.receipts_acknowledged == 2)
            .await
    );
    assert_eq!(log.snapshot()[0].receipts, 2);
}

#[tokio::test]
async fn a_delayed_answer_comes_after_its_delay_and_before_its_receipt() {
    let script = Script {
        response_delay_ms: Span::fixed(30),
        ..Script::default()
    };
    let (smsc, _log) = start(script).await;
    let mut client = client(&smsc, BindKind::Transceiver).await;
    let before = Instant::now();
    submit(&mut client, 1, "255750000001", "a");
    let events = events(&mut client, 2).await;
    assert!(before.elapsed() >= Duration::from_millis(30));
    assert!(
        status(&events[0]).is_some() && delivered(&events[1]).is_some(),
        "{events:?}"
    );
}

#[tokio::test]
async fn ids_in_hexadecimal_come_back_decimal_in_the_receipt() {
    let config = SmscConfig {
        id_style: IdStyle::HexDecimal,
        id_start: Some(0xFAB),
        ..SmscConfig::default()
    };
    let smsc = Smsc::start(config).await.unwrap();
    let mut client = client(&smsc, BindKind::Transceiver).await;
    submit(&mut client, 1, "255750000001", "a");
    let events = events(&mut client, 2).await;
    assert_eq!(message_id(&events[0]).as_deref(), Some("FAB"));
    assert_eq!(
        receipt::parse(delivered(&events[1]).unwrap()).unwrap().id(),
        "0000004011"
    );
}

#[tokio::test]
async fn wrong_credentials_too_many_binds_and_a_refusing_script_are_told_apart() {
    let config = SmscConfig {
        password: Some("secret".into()),
        binds_max: 1,
        ..SmscConfig::default()
    };
    let smsc = Smsc::start(config).await.unwrap();
    let try_bind = async |password: &str| {
        let bind = bind_of(BindKind::Transceiver, password);
        client::bind::<u32>(&connect(&smsc), &bind, SessionConfig::esme()).await
    };
    let rejected = |result: Result<Client, BindError>| match result {
        Err(BindError::Rejected(status)) => status,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("bound"),
    };
    assert_eq!(
        rejected(try_bind("wrong").await),
        CommandStatus::ESME_RINVPASWD
    );
    let held = try_bind("secret").await.unwrap();
    assert_eq!(
        rejected(try_bind("secret").await),
        CommandStatus::ESME_RALYBND
    );
    drop(held);
    assert!(smsc.wait_until(LIMIT, |stats| stats.binds_open == 0).await);
    smsc.set_script(Script {
        refuse_binds: Some(CommandStatus::ESME_RSYSERR.0),
        ..Script::default()
    });
    assert_eq!(
        rejected(try_bind("secret").await),
        CommandStatus::ESME_RSYSERR
    );
    assert_eq!(smsc.stats().binds_refused, 3);
}

fn load(smsc: &Smsc, messages: u64) -> EsmeConfig {
    EsmeConfig {
        connect: connect(smsc),
        bind: bind_of(BindKind::Transceiver, "secret"),
        binds: 2,
        window: 50,
        per_second: None,
        messages,
        time_limit: None,
        registered_delivery: 0,
        sender: "MNARA".into(),
        text: "load".into(),
        networks: NETWORKS.to_vec(),
    }
}

#[tokio::test]
async fn the_esme_generator_sends_every_message_once() {
    let ledger = Arc::new(crate::ledger::Ledger::new(3000));
    let config = SmscConfig {
        observer: Some(Arc::clone(&ledger) as Arc<_>),
        ..SmscConfig::default()
    };
    let smsc = Smsc::start(config).await.unwrap();
    let report = timeout(LIMIT, esme::run(&load(&smsc, 3000)))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (
            report.submitted,
            report.accepted,
            report.unanswered,
            report.binds_lost
        ),
        (3000, 3000, 0, 0)
    );
    assert_eq!(
        (ledger.totals().submitted, ledger.totals().submits),
        (3000, 3000)
    );
    assert_eq!(report.latency.len(), 3000);
    assert!(smsc.wait_until(LIMIT, |stats| stats.binds_open == 0).await);
}

#[tokio::test]
async fn the_esme_generator_keeps_its_rate_and_takes_its_receipts() {
    let (smsc, _log) = start(Script::default()).await;
    let config = EsmeConfig {
        per_second: Some(500.0),
        registered_delivery: 1,
        ..load(&smsc, 50)
    };
    let report = timeout(LIMIT, esme::run(&config)).await.unwrap().unwrap();
    assert_eq!(report.accepted, 50);
    assert!(
        report.elapsed >= Duration::from_millis(90),
        "{:?}",
        report.elapsed
    );
    assert!(report.delivered > 0);
}

#[test]
fn two_simulators_never_begin_with_the_same_ids() {
    let (first, second) = (first_id(), first_id());
    assert!(
        first.abs_diff(second) > 1_000_000_000_000,
        "{first} {second}"
    );
}
