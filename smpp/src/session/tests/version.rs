//! Lives here: tests of the version agreed on and of what it refuses.

use crate::codec::CommandId;
use crate::pdu::{
    Bind, BindKind, BindResp, EncodeError, OctetStr, Pdu, SubmitSm, SubmitSmResp, Version,
};
use crate::session::pair::{Pair, Side, bind, deliver_sm, octets, raw, submit_sm, written};
use crate::session::tests::Solo;
use crate::session::{Action, Input, Refused, SessionConfig};
use crate::status::CommandStatus;
use crate::tlv::{Tlv, Tlvs, tag};

const OK: CommandStatus = CommandStatus::ESME_ROK;

/// An ESME that has offered one version and been told another, or none.
fn esme(offered: Version, told: Option<u8>, config: SessionConfig) -> Solo {
    let mut solo = Solo::new(config);
    solo.input(Input::Bind(&Bind {
        interface_version: offered,
        ..bind(BindKind::Transceiver)
    }));
    let answer = Pdu::BindResp(BindResp {
        kind: BindKind::Transceiver,
        system_id: OctetStr::EMPTY,
        tlvs: told
            .map(|told| Tlv::u8(tag::SC_INTERFACE_VERSION, told))
            .into_iter()
            .collect(),
    });
    solo.receive(&octets(&answer, OK, 1));
    assert!(solo.session.state().is_bound());
    solo.take();
    written(&mut solo.session);
    solo
}

fn not_in_version(refused: &Result<(), Refused>) -> bool {
    matches!(
        refused,
        Err(Refused::Encode(EncodeError::NotInVersion { .. }))
    )
}

#[test]
fn an_esme_speaks_the_lower_of_what_it_offered_and_was_told() {
    for (offered, told, agreed) in [
        (0x34, 0x34, 0x34),
        (0x50, 0x34, 0x34),
        (0x34, 0x50, 0x34),
        (0x50, 0x50, 0x50),
        (0x34, 0x33, 0x33),
        (0x34, 0x00, 0x00),
        (0x33, 0x50, 0x33),
    ] {
        let solo = esme(Version(offered), Some(told), SessionConfig::esme());
        assert_eq!(solo.session.version(), Version(agreed));
        assert_eq!(solo.session.peer_version(), Some(Version(told)));
    }
}

#[test]
fn trap_45_a_server_that_tells_no_version_speaks_what_the_profile_says() {
    for (offered, untold, agreed) in [
        (Version::V3_4, None, Version::V3_4),
        (Version::V5_0, None, Version::V3_4),
        (Version::V3_3, None, Version::V3_3),
        (Version::V3_4, Some(Version::V3_3), Version::V3_3),
        (Version::V5_0, Some(Version::V5_0), Version::V5_0),
    ] {
        let config = SessionConfig {
            untold_version: untold,
            ..SessionConfig::esme()
        };
        let solo = esme(offered, None, config);
        assert_eq!(solo.session.version(), agreed);
        assert_eq!(solo.session.peer_version(), None);
    }
}

#[test]
fn a_server_that_tells_too_little_is_taken_for_what_the_profile_says() {
    let config = SessionConfig {
        least_version: Some(Version::V3_4),
        ..SessionConfig::esme()
    };
    for (offered, told, agreed) in [(0x34, 0x00, 0x34), (0x50, 0x50, 0x50), (0x33, 0x00, 0x33)] {
        let solo = esme(Version(offered), Some(told), config.clone());
        assert_eq!(solo.session.version(), Version(agreed));
        assert_eq!(solo.session.peer_version(), Some(Version(told)));
    }
}

#[test]
fn trap_45_a_server_answers_each_client_in_its_version() {
    for (ours, asked, agreed, tells) in [
        (0x34, 0x34, 0x34, true),
        (0x50, 0x34, 0x34, true),
        (0x34, 0x50, 0x34, true),
        (0x50, 0x33, 0x33, false),
        (0x50, 0x00, 0x00, false),
    ] {
        let mut solo = Solo::new(SessionConfig {
            version: Version(ours),
            ..SessionConfig::smsc()
        });
        let bind = Pdu::Bind(Bind {
            interface_version: Version(asked),
            ..bind(BindKind::Transceiver)
        });
        solo.receive(&octets(&bind, OK, 1));
        solo.input(Input::AnswerBind {
            sequence: 1,
            status: OK,
            system_id: &OctetStr::from("smsc"),
        });
        assert_eq!(solo.session.version(), Version(agreed));
        let mut expected = b"smsc\0".to_vec();
        if tells {
            expected.extend([0x02, 0x10, 0, 1, ours]);
        }
        assert_eq!(solo.session.output()[16..], expected);
    }
}

#[test]
fn what_the_version_lacks_is_refused_and_nothing_is_written() {
    let mut solo = esme(Version::V3_4, Some(0x33), SessionConfig::esme());
    let mut tlvs = Tlvs::new();
    tlvs.push(Tlv::u16(tag::USER_MESSAGE_REFERENCE, 1));
    let with_tlv = Pdu::SubmitSm(SubmitSm {
        tlvs,
        ..SubmitSm::default()
    });
    for pdu in [with_tlv, Pdu::DataSm(Default::default())] {
        let input = Input::Request {
            pdu: &pdu,
            token: 70,
        };
        let refused = solo.session.handle(input, solo.now, &mut solo.actions);
        assert!(not_in_version(&refused));
    }
    assert_eq!(
        (solo.session.output().len(), solo.session.in_flight()),
        (0, 0)
    );
    solo.submit(71);
    assert_eq!(
        written(&mut solo.session),
        [(CommandId::SUBMIT_SM, OK, 2)],
        "no number was used up"
    );
}

#[test]
fn an_answer_with_tlvs_goes_to_a_peer_of_3_3_without_them() {
    let mut solo = Solo::new(SessionConfig::smsc());
    let bind = Pdu::Bind(Bind {
        interface_version: Version::V3_3,
        ..bind(BindKind::Transmitter)
    });
    solo.receive(&octets(&bind, OK, 1));
    solo.input(Input::AnswerBind {
        sequence: 1,
        status: OK,
        system_id: &OctetStr::EMPTY,
    });
    solo.receive(&octets(&submit_sm(), OK, 2));
    solo.session.output().clear();
    // An id longer than the 8 octets of 3.3 is told, too: a yes that is not told is asked for again.
    let answer = |tlvs| {
        Pdu::SubmitSmResp(SubmitSmResp {
            message_id: "123456789".into(),
            tlvs,
        })
    };
    let tlvs = [Tlv::u8(tag::CONGESTION_STATE, 50)].into_iter().collect();
    solo.input(Input::Respond {
        sequence: 2,
        status: OK,
        pdu: &answer(tlvs),
    });
    let plain = octets(&answer(Tlvs::new()), OK, 2);
    assert_eq!(solo.session.output()[..], plain);
}

#[test]
fn trap_44_where_no_transceiver_is_sold_two_binds_do() {
    let mut both = Solo::new(SessionConfig::esme());
    both.input(Input::Bind(&bind(BindKind::Transceiver)));
    // A 3.3 server does not know the command.
    both.receive(&raw(0x8000_0000, 3, 1, b""));
    let status = CommandStatus::ESME_RINVCMDID;
    assert_eq!(both.take()[0], Action::BindRejected { status });

    let mut out = Pair::bound(BindKind::Transmitter);
    out.submit(70).unwrap();
    let request = |pdu| Input::Request { pdu, token: 80 };
    let deliver = deliver_sm();
    assert!(matches!(
        out.input(Side::Smsc, request(&deliver)),
        Err(Refused::NotPermitted)
    ));
    let mut back = Pair::bound(BindKind::Receiver);
    back.input(Side::Smsc, request(&deliver)).unwrap();
    assert!(matches!(back.submit(71), Err(Refused::NotPermitted)));
}
