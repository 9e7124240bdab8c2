//! Lives here: tests of binding, and of what may arrive before it.

use std::time::Duration;

use crate::codec::CommandId;
use crate::pdu::{BindKind, OctetStr, Version};
use crate::session::pair::{Pair, Side, bind, deliver_sm, octets, raw, submit_sm, written};
use crate::session::tests::Solo;
use crate::session::{Action, CloseReason, Input, Notice, Refused, SessionConfig, State};
use crate::status::CommandStatus;

fn open() -> Pair {
    Pair::new(SessionConfig::esme(), SessionConfig::smsc())
}

#[test]
fn both_ends_learn_name_and_version_of_the_other() {
    for kind in [
        BindKind::Transmitter,
        BindKind::Receiver,
        BindKind::Transceiver,
    ] {
        let mut pair = open();
        pair.input(Side::Esme, Input::Bind(&bind(kind))).unwrap();
        assert_eq!(pair.esme.session.state(), State::Binding);
        pair.settle();
        let Some(Action::BindRequested {
            sequence,
            bind: asked,
        }) = pair.smsc.take().pop()
        else {
            panic!("no bind arrived");
        };
        assert_eq!(asked, bind(kind));
        pair.answer_bind(sequence, CommandStatus::ESME_ROK);
        pair.settle();
        let bound = |name| {
            let system_id = OctetStr::from(name);
            [Action::Bound {
                kind,
                system_id,
                peer_version: Some(Version::V3_4),
            }]
        };
        assert_eq!(pair.smsc.take(), bound("esme"));
        assert_eq!(pair.esme.take(), bound("smsc"));
        assert_eq!(pair.esme.session.peer_version(), Some(Version::V3_4));
        assert_eq!(pair.esme.session.state(), State::Bound(kind));
    }
}

#[test]
fn trap_45_a_server_without_tlvs_tells_no_version() {
    let mut solo = Solo::new(SessionConfig::esme());
    solo.input(Input::Bind(&bind(BindKind::Transmitter)));
    solo.receive(&raw(0x8000_0002, 0, 1, b"old\0"));
    let bound = Action::Bound {
        kind: BindKind::Transmitter,
        system_id: OctetStr::from("old"),
        peer_version: None,
    };
    assert_eq!(solo.take(), [bound]);
}

#[test]
fn a_refused_bind_ends_both_sessions() {
    let mut pair = open();
    pair.input(Side::Esme, Input::Bind(&bind(BindKind::Transceiver)))
        .unwrap();
    pair.settle();
    let status = CommandStatus::ESME_RINVPASWD;
    pair.answer_bind(1, status);
    pair.settle();
    let reason = CloseReason::BindRefused(status);
    assert_eq!(pair.smsc.take().pop(), Some(Action::Closed { reason }));
    assert_eq!(
        pair.esme.take(),
        [Action::BindRejected { status }, Action::Closed { reason }]
    );
}

#[test]
fn a_generic_nack_refuses_the_bind_whatever_its_status() {
    let mut solo = Solo::new(SessionConfig::esme());
    solo.input(Input::Bind(&bind(BindKind::Transceiver)));
    solo.receive(&raw(0x8000_0000, 0, 1, b""));
    let status = CommandStatus::ESME_RUNKNOWNERR;
    let reason = CloseReason::BindRefused(status);
    assert_eq!(
        solo.take(),
        [Action::BindRejected { status }, Action::Closed { reason }]
    );
}

#[test]
fn the_answer_to_another_bind_does_not_bind() {
    let mut solo = Solo::new(SessionConfig::esme());
    solo.input(Input::Bind(&bind(BindKind::Transceiver)));
    solo.receive(&raw(0x8000_0001, 0, 1, b"\0"));
    solo.receive(&raw(0x8000_0009, 0, 2, b"\0"));
    assert!(
        solo.take()
            .iter()
            .all(|a| matches!(a, Action::Notice(Notice::UnexpectedResponse { .. })))
    );
    assert_eq!(solo.session.state(), State::Binding);
}

#[test]
fn a_connection_nobody_binds_times_out() {
    let mut pair = open();
    pair.advance(SessionConfig::smsc().bind_timeout);
    assert_eq!(
        pair.smsc.take(),
        [Action::Closed {
            reason: CloseReason::BindTimeout
        }]
    );
}

#[test]
fn a_bind_nobody_answers_times_out() {
    let mut pair = open();
    pair.mute(Side::Esme);
    pair.input(Side::Esme, Input::Bind(&bind(BindKind::Transceiver)))
        .unwrap();
    pair.advance(SessionConfig::esme().bind_timeout - Duration::from_millis(1));
    assert_eq!(pair.esme.take(), []);
    pair.advance(Duration::from_millis(1));
    assert_eq!(
        pair.esme.take(),
        [Action::Closed {
            reason: CloseReason::BindTimeout
        }]
    );
    assert_eq!(pair.esme.session.next_deadline(), None);
}

#[test]
fn trap_29_pdus_coalesced_behind_bind_resp_are_handled() {
    let mut solo = Solo::new(SessionConfig::esme());
    solo.input(Input::Bind(&bind(BindKind::Transceiver)));
    written(&mut solo.session);
    let mut stream = raw(0x8000_0009, 0, 1, b"smsc\0");
    stream.extend(octets(&deliver_sm(), CommandStatus::ESME_ROK, 7));
    stream.extend(raw(0x15, 0, 8, b""));
    solo.receive(&stream);
    let actions = solo.take();
    assert!(matches!(actions[0], Action::Bound { .. }));
    assert!(matches!(actions[1], Action::Request { sequence: 7, .. }));
    assert_eq!(
        written(&mut solo.session),
        [(CommandId::ENQUIRE_LINK_RESP, CommandStatus::ESME_ROK, 8)]
    );
}

#[test]
fn a_stream_cut_at_any_octet_means_the_same() {
    let mut stream = raw(0x8000_0009, 0, 1, b"smsc\0");
    stream.extend(octets(&deliver_sm(), CommandStatus::ESME_ROK, 7));
    for cut in 0..stream.len() {
        let mut solo = Solo::new(SessionConfig::esme());
        solo.input(Input::Bind(&bind(BindKind::Transceiver)));
        solo.receive(&stream[..cut]);
        solo.receive(&stream[cut..]);
        assert!(
            matches!(
                solo.take()[..],
                [Action::Bound { .. }, Action::Request { .. }]
            ),
            "cut at {cut}"
        );
    }
}

#[test]
fn requests_before_the_bind_are_refused_and_the_bind_still_comes() {
    let mut solo = Solo::new(SessionConfig::smsc());
    solo.receive(&octets(&submit_sm(), CommandStatus::ESME_ROK, 3));
    let notice = Notice::NotPermitted {
        command: CommandId::SUBMIT_SM,
        sequence: 3,
    };
    assert_eq!(solo.take(), [Action::Notice(notice)]);
    assert_eq!(
        written(&mut solo.session),
        [(CommandId::SUBMIT_SM_RESP, CommandStatus::ESME_RINVBNDSTS, 3)]
    );

    let mut solo = Solo::new(SessionConfig::esme());
    solo.receive(&octets(&deliver_sm(), CommandStatus::ESME_ROK, 4));
    assert_eq!(
        written(&mut solo.session),
        [(
            CommandId::DELIVER_SM_RESP,
            CommandStatus::ESME_RINVBNDSTS,
            4
        )]
    );
    solo.input(Input::Bind(&bind(BindKind::Receiver)));
    assert_eq!(solo.session.state(), State::Binding);
}

#[test]
fn trap_38_a_second_bind_is_refused_as_already_bound() {
    let mut pair = Pair::bound(BindKind::Transceiver);
    let again = octets(
        &crate::pdu::Pdu::Bind(bind(BindKind::Receiver)),
        CommandStatus::ESME_ROK,
        9,
    );
    pair.input(Side::Smsc, Input::Received(&again)).unwrap();
    assert_eq!(
        written(&mut pair.smsc.session),
        [(
            CommandId::BIND_RECEIVER_RESP,
            CommandStatus::ESME_RALYBND,
            9
        )]
    );
    assert!(pair.smsc.session.state().is_bound());
}

#[test]
fn inputs_of_the_wrong_role_or_moment_are_refused() {
    let mut pair = open();
    let asked = bind(BindKind::Transceiver);
    let name = OctetStr::from("x");
    let answer = || Input::AnswerBind {
        sequence: 5,
        status: CommandStatus::ESME_ROK,
        system_id: &name,
    };
    assert!(matches!(
        pair.input(Side::Smsc, Input::Bind(&asked)),
        Err(Refused::NotPermitted)
    ));
    assert!(matches!(
        pair.input(Side::Smsc, answer()),
        Err(Refused::NotPermitted)
    ));
    assert!(matches!(pair.submit(1), Err(Refused::NotBound)));
    assert!(matches!(
        pair.input(Side::Esme, Input::Unbind),
        Err(Refused::NotBound)
    ));
    pair.input(Side::Esme, Input::Bind(&asked)).unwrap();
    assert!(matches!(
        pair.input(Side::Esme, Input::Bind(&asked)),
        Err(Refused::NotPermitted)
    ));
    pair.settle();
    assert!(
        matches!(pair.input(Side::Smsc, answer()), Err(Refused::NotPermitted)),
        "another number"
    );
}
