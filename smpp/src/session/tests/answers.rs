//! Lives here: tests of the window: answers, expiry, numbers, and what is in doubt.

use std::time::Duration;

use crate::codec::CommandId;
use crate::pdu::{BindKind, OctetStr, Pdu, SubmitSm};
use crate::session::pair::{
    Pair, Side, deliver_sm, octets, raw, submit_sm, submit_sm_resp, written,
};
use crate::session::tests::Solo;
use crate::session::{Action, CloseReason, Input, Notice, Refused, SessionConfig};
use crate::status::CommandStatus;

const OK: CommandStatus = CommandStatus::ESME_ROK;

fn answer(sequence: u32) -> Vec<u8> {
    octets(&submit_sm_resp("id"), OK, sequence)
}

fn unexpected(command: CommandId, sequence: u32) -> Action<u32> {
    Action::Notice(Notice::UnexpectedResponse {
        command,
        sequence,
        status: OK,
    })
}

#[test]
fn a_response_carries_token_status_body_and_round_trip() {
    let mut pair = Pair::bound(BindKind::Transceiver);
    pair.submit(70).unwrap();
    pair.settle();
    let Some(Action::Request { sequence, pdu, .. }) = pair.smsc.take().pop() else {
        panic!()
    };
    assert_eq!(pdu, submit_sm());
    pair.advance(Duration::from_millis(40));
    let respond = Input::Respond {
        sequence,
        status: OK,
        pdu: &submit_sm_resp("A1"),
    };
    pair.input(Side::Smsc, respond).unwrap();
    pair.settle();
    let response = Action::Response {
        token: 70,
        sequence,
        status: OK,
        pdu: Some(submit_sm_resp("A1")),
        rtt: Duration::from_millis(40),
    };
    assert_eq!(pair.esme.take(), [response]);
    assert_eq!(pair.esme.session.in_flight(), 0);
}

#[test]
fn the_window_can_be_changed_while_requests_are_outstanding() {
    let mut solo = Solo::esme();
    for token in 0..10 {
        solo.submit(token);
    }
    solo.session.set_window(2);
    assert_eq!(solo.session.window_free(), 0);
    solo.session.set_window(100);
    assert_eq!(
        (solo.session.window_free(), solo.session.in_flight()),
        (90, 10)
    );
    for token in 10..100 {
        solo.submit(token);
    }
    let full = Input::Request {
        pdu: &submit_sm(),
        token: 100,
    };
    let refused = solo.session.handle(full, solo.now, &mut Vec::new());
    assert!(matches!(refused, Err(Refused::WindowFull)));
    solo.session.set_window(2);
    // The bind had number 1.
    for sequence in 2..=101 {
        solo.receive(&answer(sequence));
    }
    let tokens: Vec<u32> = solo
        .take()
        .into_iter()
        .filter_map(|action| match action {
            Action::Response { token, .. } => Some(token),
            _ => None,
        })
        .collect();
    assert_eq!(tokens, (0..100).collect::<Vec<_>>());
    assert_eq!(solo.session.window_free(), 2);
}

#[test]
fn trap_41_late_response_still_yields_its_token() {
    let mut solo = Solo::esme();
    solo.submit(70);
    solo.now += SessionConfig::esme().response_timeout;
    solo.input(Input::Tick);
    assert_eq!(
        solo.take()[..1],
        [Action::Expired {
            token: 70,
            sequence: 2
        }]
    );
    assert_eq!((solo.session.in_flight(), solo.session.late()), (0, 1));
    solo.receive(&answer(2));
    let pdu = Some(submit_sm_resp("id"));
    assert_eq!(
        solo.take(),
        [Action::Late {
            token: 70,
            sequence: 2,
            status: OK,
            pdu
        }]
    );
    solo.receive(&answer(2));
    assert_eq!(solo.take(), [unexpected(CommandId::SUBMIT_SM_RESP, 2)]);
}

#[test]
fn a_response_that_outruns_the_tick_is_in_time() {
    let mut solo = Solo::esme();
    solo.submit(70);
    solo.now += SessionConfig::esme().response_timeout;
    solo.receive(&answer(2));
    solo.input(Input::Tick);
    assert!(matches!(
        solo.take()[..],
        [Action::Response { token: 70, .. }]
    ));
}

#[test]
fn trap_36_a_generic_nack_answers_its_request() {
    let mut solo = Solo::esme();
    solo.submit(70);
    solo.submit(71);
    solo.receive(&raw(0x8000_0000, 0x58, 2, b""));
    solo.receive(&raw(0x8000_0000, 0, 3, b""));
    let actions = solo.take();
    assert!(matches!(
        actions[..],
        [
            Action::Response {
                token: 70,
                status: CommandStatus::ESME_RTHROTTLED,
                pdu: None,
                ..
            },
            // A nack that says "ok" is still no acceptance.
            Action::Response {
                token: 71,
                status: CommandStatus::ESME_RUNKNOWNERR,
                pdu: None,
                ..
            },
        ]
    ));
}

#[test]
fn trap_42_throttled_and_full_free_their_slots_and_are_told_in_order() {
    let mut solo = Solo::esme();
    for token in 70..73 {
        solo.submit(token);
    }
    for (status, number) in [(0x58, 2), (0x14, 3), (0x58, 4)] {
        solo.receive(&raw(0x8000_0004, status, number, b""));
    }
    let told: Vec<(u32, u32)> = solo
        .take()
        .iter()
        .filter_map(|action| match action {
            Action::Response { token, status, .. } => Some((*token, status.0)),
            _ => None,
        })
        .collect();
    // The owner sends them again before any other, at the pace that it then keeps.
    assert_eq!(told, [(70, 0x58), (71, 0x14), (72, 0x58)]);
    assert_eq!(solo.session.in_flight(), 0);
}

#[test]
fn trap_36_a_generic_nack_without_a_number_answers_nothing() {
    let mut solo = Solo::esme();
    solo.submit(70);
    solo.receive(&raw(0x8000_0000, 3, 0, b""));
    assert!(matches!(
        solo.take()[..],
        [Action::Notice(Notice::UnexpectedResponse {
            sequence: 0,
            ..
        })]
    ));
    assert_eq!(solo.session.in_flight(), 1);
}

#[test]
fn unknown_or_duplicate_numbers_credit_nobody() {
    let mut solo = Solo::esme();
    solo.submit(70);
    solo.submit(71);
    for wrong in [1, 4, 0, 0x8000_0002, 2 + 32] {
        solo.receive(&answer(wrong));
        assert_eq!(solo.take(), [unexpected(CommandId::SUBMIT_SM_RESP, wrong)]);
    }
    solo.receive(&answer(3));
    assert!(matches!(
        solo.take()[..],
        [Action::Response {
            token: 71,
            sequence: 3,
            ..
        }]
    ));
    solo.receive(&answer(3));
    assert_eq!(solo.take(), [unexpected(CommandId::SUBMIT_SM_RESP, 3)]);
    assert_eq!(solo.session.in_flight(), 1);
}

#[test]
fn the_response_of_another_operation_frees_nothing() {
    let mut solo = Solo::esme();
    solo.submit(70);
    for command in [
        0x8000_0005,
        0x8000_0015,
        0x8000_0009,
        0x8000_0006,
        0x8000_0777,
    ] {
        solo.receive(&raw(command, 0, 2, b"\0"));
        assert_eq!(solo.take(), [unexpected(CommandId(command), 2)]);
    }
    solo.receive(&answer(2));
    assert!(matches!(
        solo.take()[..],
        [Action::Response { token: 70, .. }]
    ));
}

#[test]
fn an_error_response_without_body_is_an_answer() {
    let mut solo = Solo::esme();
    solo.submit(70);
    solo.receive(&raw(0x8000_0004, 0x14, 2, b""));
    assert!(matches!(
        solo.take()[..],
        [Action::Response {
            token: 70,
            status: CommandStatus::ESME_RMSGQFUL,
            ..
        }]
    ));
}

#[test]
fn a_faulty_response_counts_and_its_faults_are_noticed() {
    let mut solo = Solo::esme();
    solo.submit(70);
    solo.receive(&raw(0x8000_0004, 0, 2, b"no terminator"));
    assert!(matches!(
        solo.take()[..],
        [
            Action::Notice(Notice::Violations { sequence: 2, .. }),
            Action::Response {
                token: 70,
                status: OK,
                pdu: Some(_),
                ..
            }
        ]
    ));
}

#[test]
fn the_window_is_never_exceeded_and_an_expiry_frees_a_slot() {
    let window = SessionConfig::esme().window;
    let mut pair = Pair::bound(BindKind::Transceiver);
    pair.mute(Side::Smsc);
    for token in 0..10 {
        pair.submit(token).unwrap();
    }
    assert_eq!(pair.esme.session.window_free(), 0);
    assert!(matches!(pair.submit(99), Err(Refused::WindowFull)));
    pair.advance(SessionConfig::esme().response_timeout);
    let expired = pair.esme.take();
    let tokens: Vec<u32> = expired
        .iter()
        .filter_map(|a| match a {
            Action::Expired { token, .. } => Some(*token),
            _ => None,
        })
        .collect();
    assert_eq!(tokens, (0..10).collect::<Vec<_>>(), "in order of sending");
    assert_eq!(pair.esme.session.window_free(), window);
}

#[test]
fn a_disconnect_hands_out_exactly_the_window_as_in_doubt() {
    let mut solo = Solo::esme();
    for token in 0..5 {
        solo.submit(token);
    }
    solo.receive(&answer(4));
    solo.take();
    solo.input(Input::Eof);
    let mut expected: Vec<Action<u32>> = [(0, 2), (1, 3), (3, 5), (4, 6)]
        .map(|(token, sequence)| Action::InDoubt { token, sequence })
        .into();
    expected.push(Action::Closed {
        reason: CloseReason::PeerClosed,
    });
    assert_eq!(solo.take(), expected);
    solo.input(Input::Eof);
    solo.receive(&answer(2));
    solo.input(Input::Tick);
    assert_eq!(solo.take(), [], "nothing follows the end");
}

#[test]
fn trap_34_the_wrap_of_own_numbers_skips_those_in_flight_and_those_remembered() {
    let mut solo = Solo::esme();
    solo.session.set_next_sequence(1);
    solo.submit(1);
    solo.now += SessionConfig::esme().response_timeout;
    solo.input(Input::Tick);
    solo.submit(2);
    solo.submit(3);
    written(&mut solo.session);
    solo.take();
    // 1 is remembered as late; 2 is our enquire_link; 3 and 4 are in flight.
    solo.session.set_next_sequence(0x7FFF_FFFE);
    for token in 4..8 {
        solo.submit(token);
    }
    let numbers: Vec<u32> = written(&mut solo.session)
        .iter()
        .map(|(_, _, n)| *n)
        .collect();
    assert_eq!(numbers, [0x7FFF_FFFE, 0x7FFF_FFFF, 5, 6]);
}

#[test]
fn trap_35_the_two_directions_have_independent_numbers() {
    let mut pair = Pair::bound(BindKind::Transceiver);
    // The server has used no number yet, the client one: make them collide.
    pair.smsc.session.set_next_sequence(2);
    pair.submit(70).unwrap();
    pair.input(
        Side::Smsc,
        Input::Request {
            pdu: &deliver_sm(),
            token: 80,
        },
    )
    .unwrap();
    pair.settle();
    assert!(matches!(
        pair.smsc.take()[..],
        [Action::Request { sequence: 2, .. }]
    ));
    assert!(matches!(
        pair.esme.take()[..],
        [Action::Request { sequence: 2, .. }]
    ));
    let pdu = crate::session::pair::deliver_sm_resp();
    pair.input(
        Side::Esme,
        Input::Respond {
            sequence: 2,
            status: OK,
            pdu: &pdu,
        },
    )
    .unwrap();
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
    assert!(matches!(
        pair.smsc.take()[..],
        [Action::Response { token: 80, .. }]
    ));
    assert!(matches!(
        pair.esme.take()[..],
        [Action::Response { token: 70, .. }]
    ));
}

#[test]
fn a_request_that_cannot_be_encoded_changes_nothing() {
    let mut solo = Solo::esme();
    let bad = Pdu::SubmitSm(SubmitSm {
        service_type: OctetStr::from("far too long"),
        ..SubmitSm::default()
    });
    let input = Input::Request {
        pdu: &bad,
        token: 1,
    };
    let refused = solo.session.handle(input, solo.now, &mut solo.actions);
    assert!(matches!(refused, Err(Refused::Encode(_))));
    assert_eq!(
        (solo.session.in_flight(), solo.session.output().len()),
        (0, 0)
    );
    solo.submit(2);
    assert_eq!(
        written(&mut solo.session)[0].2,
        2,
        "the number was not used up"
    );
}

#[test]
fn requests_the_bind_does_not_carry_are_refused() {
    let mut pair = Pair::bound(BindKind::Receiver);
    assert!(matches!(pair.submit(1), Err(Refused::NotPermitted)));
    for pdu in [
        Pdu::EnquireLink,
        Pdu::Unbind,
        submit_sm_resp("1"),
        Pdu::GenericNack,
    ] {
        let request = Input::Request {
            pdu: &pdu,
            token: 1,
        };
        assert!(matches!(
            pair.input(Side::Esme, request),
            Err(Refused::NotPermitted)
        ));
    }
    for pdu in [Pdu::EnquireLinkResp, Pdu::UnbindResp, submit_sm()] {
        let respond = Input::Respond {
            sequence: 1,
            status: OK,
            pdu: &pdu,
        };
        assert!(matches!(
            pair.input(Side::Esme, respond),
            Err(Refused::NotPermitted)
        ));
    }
}

#[test]
fn congestion_state_is_told_once_per_change_and_before_its_response() {
    let mut solo = Solo::esme();
    for token in 70..75 {
        solo.submit(token);
    }
    let tlv = |state: u8| [b"id\0\x04\x28\0\x01".as_slice(), &[state]].concat();
    // Unchanged, then absent, then reserved: nothing is told and the last one stays.
    for (number, body) in [
        (2, tlv(85)),
        (3, tlv(85)),
        (4, b"id\0".to_vec()),
        (5, tlv(101)),
    ] {
        solo.receive(&raw(0x8000_0004, 0, number, &body));
    }
    let actions = solo.take();
    assert!(matches!(
        actions[..2],
        [
            Action::Congestion { state: 85 },
            Action::Response { token: 70, .. }
        ]
    ));
    assert!(
        actions[2..]
            .iter()
            .all(|action| matches!(action, Action::Response { .. }))
    );
    assert_eq!(solo.session.congestion(), Some(85));
    // Beside an error too, and without the message_id.
    solo.receive(&raw(0x8000_0004, 0x58, 6, b"\x04\x28\0\x01\x64"));
    assert_eq!(solo.take()[1], Action::Congestion { state: 100 });
}
