//! Lives here: the simulator as a carrier in trouble: gone, hanging, overwhelmed, telling tales in its receipts.
//! Never here: the daemon.

use mnara_smpp::{
    client::{self, Connect},
    pdu::BindKind,
    receipt,
    session::SessionConfig,
    status::CommandStatus,
};
use tokio::time::timeout;

use super::tests::{
    LIMIT, bind_of, client, connect, delivered, events, is_closed, message_id, start, status,
    submit,
};
use super::*;

/// Long enough for an answer to come, if one came.
const SILENCE: Duration = Duration::from_millis(150);

#[tokio::test]
async fn a_carrier_that_went_down_cuts_everybody_and_comes_back_on_its_port() {
    let (smsc, log) = start(Script::without_receipts()).await;
    let mut first = client(&smsc, BindKind::Transceiver).await;
    smsc.set_presence(Presence::Down);
    assert!(events(&mut first, 1).await.iter().any(is_closed));
    assert!(smsc.wait_until(LIMIT, |stats| stats.binds_open == 0).await);
    let refused = async {
        let once = Connect {
            connect_timeout: LIMIT,
            ..connect(&smsc)
        };
        let bind = bind_of(BindKind::Transceiver, "secret");
        while client::bind::<u32>(&once, &bind, SessionConfig::esme())
            .await
            .is_ok()
        {}
    };
    timeout(LIMIT, refused).await.expect("nobody listens");

    smsc.set_presence(Presence::Up);
    let again = async {
        loop {
            let bind = bind_of(BindKind::Transceiver, "secret");
            if let Ok(bound) = client::bind(&connect(&smsc), &bind, SessionConfig::esme()).await {
                return bound;
            }
        }
    };
    let mut again = timeout(LIMIT, again).await.expect("it listens again");
    submit(&mut again, 1, "255750000001", "a");
    assert!(status(&events(&mut again, 1).await[0]).is_some());
    assert_eq!(log.snapshot().len(), 1);
}

#[tokio::test]
async fn a_carrier_that_hung_goes_on_with_what_it_was_sent() {
    let (smsc, _log) = start(Script::without_receipts()).await;
    let mut client = client(&smsc, BindKind::Transceiver).await;
    smsc.set_presence(Presence::Hung);
    // The command and the submit race for the connection's task; a first answer may still come.
    tokio::time::sleep(SILENCE).await;
    submit(&mut client, 1, "255750000001", "a");
    client.flush().await.unwrap();
    let mut actions = Vec::new();
    let answer = timeout(SILENCE, client.drive(&mut actions)).await;
    assert!(answer.is_err() && actions.is_empty(), "{actions:?}");
    smsc.set_presence(Presence::Up);
    let answered = events(&mut client, 1).await;
    assert_eq!(status(&answered[0]), Some((1, CommandStatus::ESME_ROK)));
}

#[tokio::test]
async fn who_connects_to_a_hung_carrier_is_not_answered() {
    let script = Script {
        presence: Presence::Hung,
        ..Script::default()
    };
    let (smsc, _log) = start(script).await;
    let bind = bind_of(BindKind::Transceiver, "secret");
    let to = connect(&smsc);
    let bound = client::bind::<u32>(&to, &bind, SessionConfig::esme());
    assert!(timeout(SILENCE, bound).await.is_err());
    assert_eq!(smsc.stats().binds, 0);
}

#[tokio::test]
async fn a_throttle_with_windows_answers_as_it_is_told() {
    let (smsc, _log) = start(Script {
        throttle_per_s: Some(1),
        // So short that not even one fits in.
        throttle_window_ms: Some(1),
        throttle_status: Some(CommandStatus::ESME_RMSGQFUL.0),
        ..Script::without_receipts()
    })
    .await;
    let mut client = client(&smsc, BindKind::Transceiver).await;
    submit(&mut client, 1, "255750000001", "a");
    let refused = events(&mut client, 1).await;
    assert_eq!(status(&refused[0]), Some((1, CommandStatus::ESME_RMSGQFUL)));
    assert_eq!(smsc.stats().throttled, 1);
}

#[tokio::test]
async fn intermediate_states_come_before_the_last_word_and_the_contradiction_after_it() {
    let receipts = Receipts {
        delay_ms: Span::fixed(30),
        intermediate: vec![Stat::Enroute, Stat::Acceptd],
        contradict: true,
        ..Receipts::default()
    };
    let (smsc, log) = start(Script {
        receipts,
        ..Script::default()
    })
    .await;
    let mut client = client(&smsc, BindKind::Transceiver).await;
    submit(&mut client, 1, "255750000001", "a");
    let events = events(&mut client, 5).await;
    let id = message_id(&events[0]);
    let told: Vec<_> = events[1..]
        .iter()
        .map(|event| receipt::parse(delivered(event).unwrap()).unwrap())
        .map(|receipt| {
            (
                Some(receipt.id().to_owned()) == id,
                receipt.state_text().to_owned(),
            )
        })
        .collect();
    let expected = ["ENROUTE", "ACCEPTD", "DELIVRD", "UNDELIV"].map(|s| (true, s.to_owned()));
    assert_eq!(told, expected);
    assert!(
        smsc.wait_until(LIMIT, |stats| stats.receipts_acknowledged == 4)
            .await
    );
    assert_eq!(
        log.snapshot()[0].receipts,
        1,
        "only the true one is told of"
    );
}

#[tokio::test]
async fn a_stray_receipt_has_an_id_that_no_response_had() {
    let receipts = Receipts {
        stray: 1.0,
        ..Receipts::default()
    };
    let (smsc, _log) = start(Script {
        receipts,
        ..Script::default()
    })
    .await;
    let mut client = client(&smsc, BindKind::Transceiver).await;
    submit(&mut client, 1, "255750000001", "a");
    let events = events(&mut client, 3).await;
    let ids: Vec<_> = events
        .iter()
        .filter_map(|event| Some(receipt::parse(delivered(event)?).ok()?.id().to_owned()))
        .collect();
    assert_eq!(Some(&ids[0]), message_id(&events[0]).as_ref());
    assert!(ids.len() == 2 && ids[1] != ids[0], "{ids:?}");
}

#[tokio::test]
async fn padded_ids_come_back_in_lower_case_with_zeros_and_held_answers_are_timed() {
    let config = SmscConfig {
        id_style: IdStyle::HexPadded,
        id_start: Some(0xFAB),
        script: Script {
            response_delay_ms: Span::fixed(20),
            ..Script::default()
        },
        ..SmscConfig::default()
    };
    let smsc = Smsc::start(config).await.unwrap();
    let mut client = client(&smsc, BindKind::Transceiver).await;
    submit(&mut client, 1, "255750000001", "a");
    let events = events(&mut client, 2).await;
    assert_eq!(message_id(&events[0]).as_deref(), Some("FAB"));
    let told = receipt::parse(delivered(&events[1]).unwrap()).unwrap();
    assert_eq!(told.id(), "00000000000000000fab");
    let stats = smsc.stats();
    assert!(stats.held == 1 && stats.held_us >= 20_000, "{stats:?}");
}
