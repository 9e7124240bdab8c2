//! Lives here: tests of enquire_link and inactivity.

use std::time::Duration;

use crate::codec::CommandId;
use crate::pdu::BindKind;
use crate::session::pair::{Pair, Side, bind, deliver_sm, octets, raw, written};
use crate::session::tests::Solo;
use crate::session::{Action, CloseReason, Input, SessionConfig};
use crate::status::CommandStatus;

const OK: CommandStatus = CommandStatus::ESME_ROK;

fn closed(reason: CloseReason) -> [Action<u32>; 1] {
    [Action::Closed { reason }]
}

#[test]
fn trap_39_enquire_link_is_answered_in_every_state() {
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
fn trap_40_enquire_link_is_sent_only_after_silence_and_takes_no_slot() {
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
fn trap_40_an_unanswered_enquire_link_closes() {
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
    assert_eq!(
        pair.esme.take(),
        [
            Action::PeerUnbinding,
            Action::Closed {
                reason: CloseReason::PeerUnbound
            }
        ]
    );
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
