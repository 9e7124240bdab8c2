//! Lives here: tests of enquire_link, inactivity and unbind.

use std::time::Duration;

use crate::codec::CommandId;
use crate::pdu::BindKind;
use crate::session::pair::{
    Pair, Side, bind, deliver_sm, deliver_sm_resp, octets, raw, submit_sm_resp, written,
};
use crate::session::tests::Solo;
use crate::session::{Action, CloseReason, Input, Refused, SessionConfig, State};
use crate::status::CommandStatus;

const OK: CommandStatus = CommandStatus::ESME_ROK;

fn closed(reason: CloseReason) -> [Action<u32>; 1] {
    [Action::Closed { reason }]
}

#[test]
fn enquire_link_is_answered_in_every_state() {
    let enquiry = raw(0x15, 0, 77, b"");
    let answered = [(CommandId::ENQUIRE_LINK_RESP, OK, 77)];
    for config in [SessionConfig::esme(), SessionConfig::smsc()] {
        let mut solo = Solo::new(config);
        solo.receive(&enquiry);
        assert_eq!(written(&mut solo.session), answered, "before the bind");
    }
    let mut solo = Solo::new(SessionConfig::esme());
    solo.input(Input::Bind(&bind(BindKind::Transceiver)));
    written(&mut solo.session);
    solo.receive(&enquiry);
    assert_eq!(written(&mut solo.session), answered, "while binding");
    let mut solo = Solo::esme();
    solo.receive(&enquiry);
    assert_eq!(written(&mut solo.session), answered, "bound");
    solo.input(Input::Unbind);
    written(&mut solo.session);
    solo.receive(&raw(0x15, 0, 77, b"\0"));
    assert_eq!(
        written(&mut solo.session),
        answered,
        "unbinding, and with a body"
    );
}

#[test]
fn enquire_link_is_sent_only_after_silence_and_takes_no_slot() {
    let interval = SessionConfig::esme().enquire_link_interval;
    let mut solo = Solo::esme();
    solo.now += interval - Duration::from_millis(1);
    solo.receive(&octets(&deliver_sm(), OK, 1));
    solo.now += interval - Duration::from_millis(1);
    solo.input(Input::Tick);
    assert_eq!(
        written(&mut solo.session),
        [],
        "the peer was heard meanwhile"
    );
    solo.now += Duration::from_millis(1);
    solo.input(Input::Tick);
    solo.input(Input::Tick);
    assert_eq!(
        written(&mut solo.session),
        [(CommandId::ENQUIRE_LINK, OK, 2)],
        "once"
    );
    assert_eq!(solo.session.in_flight(), 0);
    solo.take();
    solo.receive(&raw(0x8000_0015, 0, 2, b""));
    assert_eq!(solo.take(), []);
    assert_eq!(solo.session.next_deadline(), Some(solo.now + interval));
}

#[test]
fn an_idle_pair_keeps_its_link_for_hours() {
    let smsc = SessionConfig {
        inactivity_timeout: None,
        ..SessionConfig::smsc()
    };
    let mut pair = Pair::bound_with(BindKind::Transceiver, SessionConfig::esme(), smsc);
    pair.advance(Duration::from_secs(6 * 3600));
    assert_eq!((pair.esme.take(), pair.smsc.take()), (vec![], vec![]));
}

#[test]
fn an_unanswered_enquire_link_closes() {
    let config = SessionConfig::esme();
    let mut pair = Pair::bound(BindKind::Transceiver);
    pair.mute(Side::Smsc);
    let silence = config.enquire_link_interval + config.response_timeout;
    pair.advance(silence - Duration::from_millis(1));
    assert_eq!(pair.esme.take(), []);
    pair.advance(Duration::from_millis(1));
    assert_eq!(pair.esme.take(), closed(CloseReason::EnquireLinkTimeout));
}

#[test]
fn a_generic_nack_to_enquire_link_is_a_sign_of_life() {
    let mut solo = Solo::esme();
    solo.now += SessionConfig::esme().enquire_link_interval;
    solo.input(Input::Tick);
    solo.receive(&raw(0x8000_0000, 3, 2, b""));
    solo.now += SessionConfig::esme().response_timeout - Duration::from_millis(1);
    solo.input(Input::Tick);
    assert_eq!(solo.take(), []);
}

#[test]
fn inactivity_closes_although_the_link_is_alive() {
    let mut pair = Pair::bound(BindKind::Transceiver);
    pair.advance(Duration::from_secs(599));
    assert_eq!(pair.smsc.take(), []);
    pair.advance(Duration::from_secs(1));
    assert_eq!(pair.smsc.take(), closed(CloseReason::Inactivity));
    assert_eq!(pair.esme.take(), closed(CloseReason::PeerUnbound));
}

#[test]
fn unbind_waits_for_the_window_and_takes_no_more() {
    let mut pair = Pair::bound(BindKind::Transceiver);
    pair.submit(70).unwrap();
    pair.input(Side::Esme, Input::Unbind).unwrap();
    assert_eq!(pair.esme.session.state(), State::Unbinding);
    assert!(matches!(pair.submit(71), Err(Refused::NotBound)));
    pair.settle();
    assert!(
        matches!(pair.smsc.take()[..], [Action::Request { .. }]),
        "no unbind yet"
    );
    let pdu = submit_sm_resp("1");
    pair.input(
        Side::Smsc,
        Input::Respond {
            sequence: 2,
            status: OK,
            pdu: &pdu,
        },
    )
    .unwrap();
    pair.settle();
    assert_eq!(pair.smsc.take(), closed(CloseReason::PeerUnbound));
    let actions = pair.esme.take();
    assert!(matches!(actions[0], Action::Response { token: 70, .. }));
    assert_eq!(actions[1..], closed(CloseReason::Unbound));
}

#[test]
fn the_peers_requests_are_served_until_the_unbind_is_answered() {
    let mut solo = Solo::esme();
    solo.input(Input::Unbind);
    solo.receive(&octets(&deliver_sm(), OK, 9));
    assert!(matches!(
        solo.take()[..],
        [Action::Request { sequence: 9, .. }]
    ));
    solo.input(Input::Respond {
        sequence: 9,
        status: OK,
        pdu: &deliver_sm_resp(),
    });
    assert_eq!(
        written(&mut solo.session),
        [
            (CommandId::UNBIND, OK, 2),
            (CommandId::DELIVER_SM_RESP, OK, 9)
        ]
    );
}

#[test]
fn the_end_of_the_stream_after_unbind_is_clean() {
    let mut solo = Solo::esme();
    solo.input(Input::Unbind);
    solo.input(Input::Eof);
    assert_eq!(solo.take(), closed(CloseReason::Unbound));
    let mut solo = Solo::esme();
    solo.input(Input::Eof);
    assert_eq!(solo.take(), closed(CloseReason::PeerClosed));
}

#[test]
fn an_unbind_nobody_answers_times_out_with_the_rest_in_doubt() {
    let timeout = SessionConfig::esme().unbind_timeout;
    let mut pair = Pair::bound(BindKind::Transceiver);
    pair.mute(Side::Smsc);
    pair.submit(70).unwrap();
    pair.input(Side::Esme, Input::Unbind).unwrap();
    pair.advance(timeout);
    assert_eq!(pair.esme.take(), [], "the drain is over, the unbind is out");
    pair.advance(timeout);
    assert_eq!(
        pair.esme.take(),
        [
            Action::InDoubt {
                token: 70,
                sequence: 2
            },
            Action::Closed {
                reason: CloseReason::UnbindTimeout
            }
        ]
    );
}

#[test]
fn two_unbinds_that_cross_end_both_sessions_cleanly() {
    let mut pair = Pair::bound(BindKind::Transceiver);
    pair.input(Side::Esme, Input::Unbind).unwrap();
    pair.input(Side::Smsc, Input::Unbind).unwrap();
    pair.settle();
    assert_eq!(pair.esme.take(), closed(CloseReason::Unbound));
    assert_eq!(pair.smsc.take(), closed(CloseReason::Unbound));
}

#[test]
fn time_that_runs_backwards_does_no_harm() {
    let mut solo = Solo::esme();
    let past = solo
        .now
        .checked_sub(Duration::from_secs(5))
        .unwrap_or(solo.now);
    solo.session
        .handle(Input::Tick, past, &mut solo.actions)
        .unwrap();
    assert_eq!(solo.take(), []);
}
