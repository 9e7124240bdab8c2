//! Lives here: tests of the peer's requests: echoed numbers, refusals, and a stream that survives bad PDUs.

use crate::codec::CommandId;
use crate::pdu::{BindKind, Pdu};
use crate::session::pair::{deliver_sm, deliver_sm_resp, octets, raw, submit_sm, written};
use crate::session::tests::Solo;
use crate::session::{Action, CloseReason, Input, Notice, SessionConfig};
use crate::status::CommandStatus;

const OK: CommandStatus = CommandStatus::ESME_ROK;

#[test]
fn trap_34_the_peers_number_is_echoed_whatever_it_is() {
    let mut solo = Solo::esme();
    for number in [0, 1, 0x7FFF_FFFF, 0x8000_0001, 0x806A_179B, u32::MAX] {
        solo.receive(&octets(&deliver_sm(), OK, number));
        assert!(
            matches!(solo.take()[..], [Action::Request { sequence, .. }] if sequence == number)
        );
        solo.input(Input::Respond {
            sequence: number,
            status: OK,
            pdu: &deliver_sm_resp(),
        });
        solo.receive(&raw(0x15, 0, number, b""));
        assert_eq!(
            written(&mut solo.session),
            [
                (CommandId::DELIVER_SM_RESP, OK, number),
                (CommandId::ENQUIRE_LINK_RESP, OK, number)
            ]
        );
    }
}

#[test]
fn an_undecodable_request_is_refused_and_the_stream_goes_on() {
    let mut solo = Solo::esme();
    let mut stream = raw(5, 0, 8, b"\0\x01");
    stream.extend(octets(&deliver_sm(), OK, 9));
    solo.receive(&stream);
    assert!(matches!(
        solo.take()[..],
        [
            Action::Notice(Notice::UndecodableRequest { sequence: 8, .. }),
            Action::Request { sequence: 9, .. }
        ]
    ));
    assert_eq!(
        written(&mut solo.session),
        [(
            CommandId::DELIVER_SM_RESP,
            CommandStatus::ESME_RINVCMDLEN,
            8
        )]
    );
}

#[test]
fn an_undecodable_bind_is_refused_and_may_be_repeated() {
    let mut solo = Solo::new(SessionConfig::smsc());
    solo.receive(&raw(9, 0, 1, b"name"));
    assert!(matches!(
        solo.take()[..],
        [Action::Notice(Notice::UndecodableRequest { .. })]
    ));
    solo.receive(&octets(
        &Pdu::Bind(crate::session::pair::bind(BindKind::Receiver)),
        OK,
        2,
    ));
    assert!(matches!(
        solo.take()[..],
        [Action::BindRequested { sequence: 2, .. }]
    ));
}

#[test]
fn an_unknown_command_draws_a_generic_nack() {
    let mut solo = Solo::esme();
    for command in [0x0000_0777, 0x0001_0200] {
        solo.receive(&raw(command, 0, 6, b"whatever"));
        let command = CommandId(command);
        let notice = Notice::UnknownCommand {
            command,
            sequence: 6,
        };
        assert_eq!(solo.take(), [Action::Notice(notice)]);
        assert_eq!(
            written(&mut solo.session),
            [(CommandId::GENERIC_NACK, CommandStatus::ESME_RINVCMDID, 6)]
        );
    }
}

#[test]
fn pdus_without_a_response_draw_none() {
    let mut solo = Solo::new(SessionConfig::smsc());
    solo.receive(&raw(0x102, 0, 6, b"\0\0\0\0\0\0"));
    solo.receive(&raw(0x0B, 0, 7, b"\0\0"));
    assert!(
        solo.take()
            .iter()
            .all(|a| matches!(a, Action::Notice(Notice::Ignored { .. })))
    );
    assert_eq!(written(&mut solo.session), []);
}

#[test]
fn a_request_in_the_wrong_direction_is_refused() {
    let mut solo = Solo::esme();
    solo.receive(&octets(&submit_sm(), OK, 6));
    assert!(matches!(
        solo.take()[..],
        [Action::Notice(Notice::NotPermitted { .. })]
    ));
    assert_eq!(
        written(&mut solo.session),
        [(CommandId::SUBMIT_SM_RESP, CommandStatus::ESME_RINVBNDSTS, 6)]
    );
}

#[test]
fn an_oversized_request_is_skipped_and_refused() {
    let mut solo = Solo::esme();
    let mut stream = raw(5, 0, 8, &vec![0; 100_000]);
    stream.extend(octets(&deliver_sm(), OK, 9));
    for piece in stream.chunks(1_000) {
        solo.receive(piece);
    }
    assert!(matches!(
        solo.take()[..],
        [
            Action::Notice(Notice::Oversized { .. }),
            Action::Request { sequence: 9, .. }
        ]
    ));
    assert_eq!(
        written(&mut solo.session),
        [(CommandId::GENERIC_NACK, CommandStatus::ESME_RINVCMDLEN, 8)]
    );
}

#[test]
fn an_oversized_response_still_answers_its_request() {
    let mut solo = Solo::esme();
    solo.input(Input::Request {
        pdu: &submit_sm(),
        token: 70,
    });
    solo.receive(&raw(0x8000_0004, 0, 2, &vec![0; 100_000]));
    assert!(matches!(
        solo.take()[..],
        [
            Action::Notice(Notice::Oversized { .. }),
            Action::Response {
                token: 70,
                status: OK,
                pdu: None,
                ..
            }
        ]
    ));
}

#[test]
fn octets_that_are_not_smpp_end_the_session() {
    for noise in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0, 0, 0, 15, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 1],
    ] {
        let mut solo = Solo::esme();
        solo.input(Input::Request {
            pdu: &submit_sm(),
            token: 70,
        });
        solo.receive(noise);
        let reason = CloseReason::Garbage;
        assert_eq!(
            solo.take(),
            [
                Action::InDoubt {
                    token: 70,
                    sequence: 2
                },
                Action::Closed { reason }
            ]
        );
    }
}

#[test]
fn an_owner_who_knows_a_vendors_operation_is_given_its_requests() {
    let mut solo = Solo::bound(SessionConfig {
        vendor_operations: true,
        ..SessionConfig::esme()
    });
    solo.receive(&raw(0x0001_0200, 0, 6, b"whatever"));
    assert!(matches!(
        solo.take()[..],
        [Action::Request {
            sequence: 6,
            pdu: Pdu::Unknown { .. },
            ..
        }]
    ));
}
