//! Lives here: tests of the operations beside submit_sm and deliver_sm: data_sm, outbind, alert_notification, and those
//! an owner does not serve.

use crate::codec::CommandId;
use crate::pdu::{
    AlertNotification, BindKind, CancelSm, DataSm, DataSmResp, OctetStr, Outbind, Pdu, QuerySm,
    ReplaceSm, SubmitMulti,
};
use crate::session::pair::{Pair, Side, bind, octets, written};
use crate::session::tests::Solo;
use crate::session::{Action, Input, Notice, Refused, SessionConfig, State};
use crate::status::CommandStatus;

const OK: CommandStatus = CommandStatus::ESME_ROK;

fn outbind() -> Pdu {
    Pdu::Outbind(Outbind {
        system_id: OctetStr::from("smsc"),
        password: OctetStr::from("knock"),
    })
}

fn alert() -> Pdu {
    Pdu::AlertNotification(AlertNotification::default())
}

#[test]
fn an_outbind_asks_the_client_to_bind() {
    let mut pair = Pair::new(SessionConfig::esme(), SessionConfig::smsc());
    let pdu = &outbind();
    pair.input(Side::Smsc, Input::Notify { pdu }).unwrap();
    pair.settle();
    let actions = pair.esme.take();
    let [Action::Notified { pdu, violations }] = &actions[..] else {
        panic!("{actions:?}")
    };
    assert_eq!(*pdu, outbind());
    assert!(violations.is_empty());
    assert!(!format!("{actions:?}").contains("knock"));
    // The owner knows who it is, and binds.
    assert_eq!(pair.esme.session.state(), State::Open);
    let receiver = bind(BindKind::Receiver);
    pair.input(Side::Esme, Input::Bind(&receiver)).unwrap();
    pair.settle();
    assert!(matches!(
        pair.smsc.take()[..],
        [Action::BindRequested { .. }]
    ));
}

#[test]
fn an_outbind_is_a_servers_and_comes_before_the_bind() {
    let mut pair = Pair::new(SessionConfig::esme(), SessionConfig::smsc());
    let pdu = &outbind();
    let early = pair.input(Side::Esme, Input::Notify { pdu });
    assert!(matches!(early, Err(Refused::NotPermitted)));
    let mut pair = Pair::bound(BindKind::Receiver);
    let late = pair.input(Side::Smsc, Input::Notify { pdu });
    assert!(matches!(late, Err(Refused::NotPermitted)));
    pair.input(Side::Esme, Input::Received(&octets(pdu, OK, 9)))
        .unwrap();
    let command = CommandId::OUTBIND;
    assert_eq!(
        pair.esme.take(),
        [Action::Notice(Notice::Ignored { command })]
    );
    assert_eq!(written(&mut pair.esme.session), []);
}

#[test]
fn an_alert_notification_takes_no_slot_and_draws_no_answer() {
    let mut pair = Pair::bound(BindKind::Receiver);
    let pdu = &alert();
    pair.input(Side::Smsc, Input::Notify { pdu }).unwrap();
    assert_eq!(pair.smsc.session.in_flight(), 0);
    pair.settle();
    assert!(matches!(
        pair.esme.take()[..],
        [Action::Notified {
            pdu: Pdu::AlertNotification(_),
            ..
        }]
    ));
    assert_eq!((pair.smsc.take(), pair.esme.take()), (vec![], vec![]));

    let mut pair = Pair::bound(BindKind::Transmitter);
    let refused = pair.input(Side::Smsc, Input::Notify { pdu });
    assert!(matches!(refused, Err(Refused::NotPermitted)));
    let refused = pair.input(
        Side::Smsc,
        Input::Notify {
            pdu: &Pdu::EnquireLink,
        },
    );
    assert!(matches!(refused, Err(Refused::NotPermitted)));
}

#[test]
fn data_sm_travels_both_ways() {
    let mut pair = Pair::bound(BindKind::Transceiver);
    let pdu = &Pdu::DataSm(DataSm::default());
    for side in [Side::Esme, Side::Smsc] {
        pair.input(side, Input::Request { pdu, token: 70 }).unwrap();
        pair.settle();
        let asked = pair.end(side.other()).take();
        let [Action::Request { sequence, .. }] = asked[..] else {
            panic!("{asked:?}")
        };
        let respond = Input::Respond {
            sequence,
            status: OK,
            pdu: &Pdu::DataSmResp(DataSmResp::default()),
        };
        pair.input(side.other(), respond).unwrap();
        pair.settle();
        assert!(matches!(
            pair.end(side).take()[..],
            [Action::Response { token: 70, .. }]
        ));
    }
}

#[test]
fn an_operation_that_is_not_served_is_declined_with_its_own_response() {
    for pdu in [
        Pdu::QuerySm(QuerySm::default()),
        Pdu::CancelSm(CancelSm::default()),
        Pdu::ReplaceSm(ReplaceSm::default()),
        Pdu::SubmitMulti(SubmitMulti {
            dests: vec![crate::pdu::Destination::List(OctetStr::from("all"))],
            ..SubmitMulti::default()
        }),
    ] {
        let mut pair = Pair::bound(BindKind::Transceiver);
        let request = Input::Request {
            pdu: &pdu,
            token: 70,
        };
        pair.input(Side::Esme, request).unwrap();
        pair.settle();
        let asked = pair.smsc.take();
        let [Action::Request { sequence, .. }] = asked[..] else {
            panic!("{asked:?}")
        };
        let status = CommandStatus::ESME_RINVCMDID;
        let decline = Input::Decline {
            sequence,
            command: pdu.command(),
            status,
        };
        pair.input(Side::Smsc, decline).unwrap();
        pair.settle();
        let answers = pair.esme.take();
        assert!(
            matches!(answers[..], [Action::Response { token: 70, status: told, .. }] if told == status),
            "{answers:?}"
        );
    }
}

#[test]
fn only_requests_of_a_bound_peer_are_declined_and_never_with_yes() {
    let mut solo = Solo::esme();
    for (command, status) in [
        (CommandId::DELIVER_SM, OK),
        (CommandId::UNBIND, CommandStatus::ESME_RSYSERR),
        (CommandId::SUBMIT_SM_RESP, CommandStatus::ESME_RSYSERR),
    ] {
        let decline = Input::Decline {
            sequence: 1,
            command,
            status,
        };
        let refused = solo.session.handle(decline, solo.now, &mut solo.actions);
        assert!(matches!(refused, Err(Refused::NotPermitted)));
    }
    assert_eq!(written(&mut solo.session), []);
}
