//! Lives here: tests of unbind, ours and the peer's: who waits for what, and what is in doubt at the end.

use std::time::Duration;

use smallvec::smallvec;

use crate::codec::CommandId;
use crate::pdu::{BindKind, Pdu};
use crate::session::pair::{
    Pair, Side, bind, deliver_sm, deliver_sm_resp, octets, raw, submit_sm_resp, written,
};
use crate::session::tests::Solo;
use crate::session::{Action, CloseReason, Input, Notice, Refused, SessionConfig, State};
use crate::status::CommandStatus;

const OK: CommandStatus = CommandStatus::ESME_ROK;

fn closed(reason: CloseReason) -> [Action<u32>; 1] {
    [Action::Closed { reason }]
}

fn unbound_by_peer() -> [Action<u32>; 2] {
    [
        Action::PeerUnbinding,
        Action::Closed {
            reason: CloseReason::PeerUnbound,
        },
    ]
}

/// A bound ESME with requests 70, 71 … outstanding under the numbers 2, 3 …, which the peer has asked to unbind.
fn asked_to_unbind(outstanding: u32) -> Solo {
    let mut solo = Solo::esme();
    for token in 70..70 + outstanding {
        solo.submit(token);
    }
    written(&mut solo.session);
    solo.receive(&raw(6, 0, 50, b""));
    assert_eq!(solo.take(), [Action::PeerUnbinding], "told at once");
    solo
}

#[test]
fn trap_37_unbind_waits_for_the_window_and_takes_no_more() {
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
    assert_eq!(pair.smsc.take(), unbound_by_peer());
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
fn trap_37_the_end_of_the_stream_after_unbind_is_clean() {
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
fn trap_37_the_peers_unbind_waits_for_the_window_and_nothing_is_in_doubt() {
    let mut solo = asked_to_unbind(2);
    assert_eq!(solo.session.state(), State::Unbinding);
    assert_eq!(written(&mut solo.session), [], "not answered yet");
    let refused = Input::Request {
        pdu: &crate::session::pair::submit_sm(),
        token: 99,
    };
    let refused = solo.session.handle(refused, solo.now, &mut solo.actions);
    assert!(matches!(refused, Err(Refused::NotBound)));
    solo.receive(&octets(&submit_sm_resp("a"), OK, 3));
    assert!(matches!(
        solo.take()[..],
        [Action::Response { token: 71, .. }]
    ));
    // What we owe the peer may still be written.
    solo.input(Input::Respond {
        sequence: 9,
        status: OK,
        pdu: &deliver_sm_resp(),
    });
    solo.receive(&octets(&submit_sm_resp("b"), OK, 2));
    let actions = solo.take();
    assert!(matches!(actions[0], Action::Response { token: 70, .. }));
    assert_eq!(actions[1..], closed(CloseReason::PeerUnbound));
    assert_eq!(
        written(&mut solo.session),
        [
            (CommandId::DELIVER_SM_RESP, OK, 9),
            (CommandId::UNBIND_RESP, OK, 50)
        ]
    );
}

#[test]
fn the_peers_unbind_is_answered_at_once_when_nothing_is_outstanding() {
    let mut solo = Solo::esme();
    solo.receive(&raw(6, 0, 50, b""));
    assert_eq!(solo.take(), unbound_by_peer());
    assert_eq!(
        written(&mut solo.session),
        [(CommandId::UNBIND_RESP, OK, 50)]
    );
}

#[test]
fn the_peers_unbind_waits_no_longer_than_unbind_timeout() {
    let mut solo = asked_to_unbind(1);
    let until = solo.now + SessionConfig::esme().unbind_timeout;
    assert_eq!(solo.session.next_deadline(), Some(until));
    solo.now = until;
    solo.input(Input::Tick);
    let mut expected = vec![Action::InDoubt {
        token: 70,
        sequence: 2,
    }];
    expected.extend(closed(CloseReason::PeerUnbound));
    assert_eq!(solo.take(), expected);
    assert_eq!(
        written(&mut solo.session),
        [(CommandId::UNBIND_RESP, OK, 50)]
    );
}

#[test]
fn an_expiry_that_empties_the_window_answers_the_peers_unbind() {
    let config = SessionConfig {
        response_timeout: Duration::from_secs(1),
        ..SessionConfig::esme()
    };
    let mut pair = Pair::bound_with(BindKind::Transceiver, config, SessionConfig::smsc());
    // Lost on its way, so that the server owes nothing and unbinds at once.
    pair.set_fate(|_, header| match header.command {
        CommandId::SUBMIT_SM => smallvec![],
        _ => smallvec![Duration::ZERO],
    });
    pair.submit(70).unwrap();
    pair.settle();
    pair.input(Side::Smsc, Input::Unbind).unwrap();
    pair.advance(Duration::from_secs(1));
    assert_eq!(
        pair.esme.take(),
        [
            Action::PeerUnbinding,
            Action::Expired {
                token: 70,
                sequence: 2
            },
            Action::Closed {
                reason: CloseReason::PeerUnbound
            }
        ]
    );
    assert!(matches!(
        pair.smsc.take()[..],
        [Action::Closed {
            reason: CloseReason::Unbound
        }]
    ));
}

#[test]
fn trap_37_a_peer_that_unbinds_and_closes_has_unbound() {
    let mut solo = asked_to_unbind(1);
    solo.input(Input::Eof);
    let mut expected = vec![Action::InDoubt {
        token: 70,
        sequence: 2,
    }];
    expected.extend(closed(CloseReason::PeerUnbound));
    assert_eq!(solo.take(), expected);
}

#[test]
fn an_unbind_said_twice_is_answered_once() {
    let mut solo = asked_to_unbind(1);
    solo.receive(&raw(6, 0, 51, b""));
    assert_eq!(solo.take(), []);
    solo.receive(&octets(&submit_sm_resp("a"), OK, 2));
    assert_eq!(
        written(&mut solo.session),
        [(CommandId::UNBIND_RESP, OK, 51)]
    );
}

#[test]
fn the_peers_unbind_overtakes_our_own_drain() {
    let mut solo = Solo::esme();
    solo.submit(70);
    solo.input(Input::Unbind);
    written(&mut solo.session);
    solo.receive(&raw(6, 0, 50, b""));
    solo.input(Input::Unbind);
    solo.receive(&octets(&submit_sm_resp("a"), OK, 2));
    assert!(matches!(
        solo.take()[..],
        [
            Action::PeerUnbinding,
            Action::Response { token: 70, .. },
            Action::Closed {
                reason: CloseReason::PeerUnbound
            }
        ]
    ));
    assert_eq!(
        written(&mut solo.session),
        [(CommandId::UNBIND_RESP, OK, 50)],
        "and no unbind of ours"
    );
}

#[test]
fn a_peer_that_unbinds_before_the_bind_is_answered_and_gone() {
    for config in [SessionConfig::esme(), SessionConfig::smsc()] {
        let mut solo = Solo::new(config);
        solo.receive(&raw(6, 0, 50, b""));
        assert_eq!(solo.take(), closed(CloseReason::PeerUnbound));
        assert_eq!(
            written(&mut solo.session),
            [(CommandId::UNBIND_RESP, OK, 50)]
        );
    }
    let mut solo = Solo::new(SessionConfig::esme());
    solo.input(Input::Bind(&bind(BindKind::Transceiver)));
    solo.receive(&raw(6, 0, 50, b""));
    assert_eq!(solo.take(), closed(CloseReason::PeerUnbound));
}

#[test]
fn answers_behind_the_peers_unbind_count_and_its_requests_do_not() {
    let mut solo = Solo::esme();
    for token in 70..73 {
        solo.submit(token);
    }
    written(&mut solo.session);
    let mut stream = octets(&submit_sm_resp("a"), OK, 2);
    stream.extend(octets(&Pdu::Unbind, OK, 50));
    stream.extend(octets(&submit_sm_resp("c"), OK, 4));
    stream.extend(octets(&deliver_sm(), OK, 51));
    stream.extend(octets(&submit_sm_resp("b"), OK, 3));
    solo.receive(&stream);
    assert!(matches!(
        solo.take()[..],
        [
            Action::Response { token: 70, .. },
            Action::PeerUnbinding,
            Action::Response { token: 72, .. },
            Action::Notice(Notice::NotPermitted { sequence: 51, .. }),
            Action::Response { token: 71, .. },
            Action::Closed {
                reason: CloseReason::PeerUnbound
            },
        ]
    ));
    assert_eq!(
        written(&mut solo.session),
        [
            (
                CommandId::DELIVER_SM_RESP,
                CommandStatus::ESME_RINVBNDSTS,
                51
            ),
            (CommandId::UNBIND_RESP, OK, 50),
        ]
    );
}

/// A bound ESME that has a deliver_sm in hand, number 9, which the peer has followed with its unbind.
fn owing() -> Solo {
    let mut solo = Solo::esme();
    solo.receive(&[octets(&deliver_sm(), OK, 9), raw(6, 0, 50, b"")].concat());
    assert!(matches!(
        solo.take()[..],
        [Action::Request { sequence: 9, .. }, Action::PeerUnbinding]
    ));
    assert_eq!(written(&mut solo.session), []);
    solo
}

#[test]
fn the_peers_unbind_is_answered_behind_the_answers_that_we_owe() {
    let mut solo = owing();
    let pdu = deliver_sm_resp();
    solo.input(Input::Respond {
        sequence: 9,
        status: OK,
        pdu: &pdu,
    });
    assert_eq!(solo.take(), closed(CloseReason::PeerUnbound));
    assert_eq!(
        written(&mut solo.session),
        [
            (CommandId::DELIVER_SM_RESP, OK, 9),
            (CommandId::UNBIND_RESP, OK, 50)
        ]
    );
}

#[test]
fn an_owner_who_never_answers_holds_an_unbind_up_no_longer_than_unbind_timeout() {
    let mut solo = owing();
    solo.now += SessionConfig::esme().unbind_timeout;
    solo.input(Input::Tick);
    assert_eq!(solo.take(), closed(CloseReason::PeerUnbound));

    let mut solo = Solo::esme();
    solo.receive(&octets(&deliver_sm(), OK, 9));
    solo.take();
    solo.input(Input::Unbind);
    assert_eq!(written(&mut solo.session), [], "the answer first");
    solo.now += SessionConfig::esme().unbind_timeout;
    solo.input(Input::Tick);
    assert!(matches!(
        written(&mut solo.session)[..],
        [(CommandId::UNBIND, OK, _)]
    ));
}

#[test]
fn a_peer_that_never_pauses_cannot_hold_our_unbind_up() {
    let mut solo = Solo::esme();
    solo.receive(&octets(&deliver_sm(), OK, 9));
    solo.input(Input::Unbind);
    solo.receive(&octets(&deliver_sm(), OK, 10));
    let pdu = deliver_sm_resp();
    solo.input(Input::Respond {
        sequence: 9,
        status: OK,
        pdu: &pdu,
    });
    assert_eq!(
        written(&mut solo.session),
        [
            (CommandId::DELIVER_SM_RESP, OK, 9),
            (CommandId::UNBIND, OK, 2)
        ]
    );
    solo.input(Input::Respond {
        sequence: 10,
        status: OK,
        pdu: &pdu,
    });
    assert_eq!(
        written(&mut solo.session),
        [(CommandId::DELIVER_SM_RESP, OK, 10)]
    );
}
