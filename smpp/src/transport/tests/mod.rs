//! Lives here: tests of connection, client and listener over loopback sockets.
//! Never here: protocol rules (session), shared connections (`handle`), whole servers (`server`).

mod tls;

use std::collections::VecDeque;
use std::future::Future;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::client::{BindError, Connect, ConnectError, bind, bind_over, connect};
use crate::pdu::{
    Bind, BindKind, BindResp, DeliverSm, OctetStr, Outbind, Pdu, SubmitSm, SubmitSmResp,
};
use crate::server::Listener;
use crate::session::{Action, CloseReason, Input, SessionConfig};
use crate::status::CommandStatus;
use crate::transport::{Connection, TlsClient, TlsServer};

const OK: CommandStatus = CommandStatus::ESME_ROK;

/// No test takes longer; it is a deadline, not a pause.
async fn within<F: Future>(future: F) -> F::Output {
    timeout(Duration::from_secs(30), future)
        .await
        .expect("the deadline of the test")
}

fn credentials() -> Bind {
    Bind {
        kind: BindKind::Transceiver,
        system_id: OctetStr::from("esme"),
        password: OctetStr::from("secret"),
        ..Bind::default()
    }
}

fn to(port: u16, tls: Option<TlsClient>) -> Connect {
    Connect {
        tls,
        ..Connect::new("localhost", port)
    }
}

async fn listen(tls: Option<TlsServer>) -> (Listener, u16) {
    let listener = Listener::bind("localhost:0", tls).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

fn submit_sm() -> Pdu {
    Pdu::SubmitSm(SubmitSm {
        short_message: vec![b'x'; 150].into(),
        ..SubmitSm::default()
    })
}

fn answer_to(pdu: &Pdu) -> Pdu {
    match pdu {
        Pdu::SubmitSm(_) => Pdu::SubmitSmResp(SubmitSmResp {
            message_id: OctetStr::from("id"),
            tlvs: Default::default(),
        }),
        Pdu::DeliverSm(_) => Pdu::DeliverSmResp(Default::default()),
        other => panic!("{other:?}"),
    }
}

fn octets(pdus: &[(Pdu, u32)]) -> BytesMut {
    let mut out = BytesMut::new();
    for (pdu, sequence) in pdus {
        pdu.encode(OK, *sequence, &mut out).unwrap();
    }
    out
}

/// Accepts every bind and answers every request until the session ends.
async fn serve(connection: &mut Connection<u32>) -> CloseReason {
    let mut actions = Vec::new();
    loop {
        connection.drive(&mut actions).await;
        for action in std::mem::take(&mut actions) {
            let more = &mut actions;
            match action {
                Action::BindRequested { sequence, .. } => {
                    let system_id = &OctetStr::from("smsc");
                    let answer = Input::AnswerBind {
                        sequence,
                        status: OK,
                        system_id,
                    };
                    connection.send(answer, more).unwrap();
                }
                Action::Request { sequence, pdu, .. } => {
                    let pdu = &answer_to(&pdu);
                    connection
                        .send(
                            Input::Respond {
                                sequence,
                                status: OK,
                                pdu,
                            },
                            more,
                        )
                        .unwrap();
                }
                Action::Closed { reason } => return reason,
                Action::Bound { .. }
                | Action::BindRejected { .. }
                | Action::Response { .. }
                | Action::Expired { .. }
                | Action::Late { .. }
                | Action::Notified { .. }
                | Action::PeerUnbinding
                | Action::Congestion { .. }
                | Action::Notice(_)
                | Action::InDoubt { .. } => {}
            }
        }
    }
}

/// Accepts one connection and serves it to its end.
async fn serve_one(listener: Listener) -> CloseReason {
    let (mut connection, _) = listener.accept(SessionConfig::smsc()).await.unwrap();
    serve(&mut connection).await
}

/// Sends `count` submit_sm as the window allows, waits for all answers and unbinds.
async fn submit_all(connection: &mut Connection<u32>, count: u32) -> CloseReason {
    let (mut actions, mut next, mut answered) = (Vec::new(), 0, 0);
    loop {
        while next < count && connection.session().window_free() > 0 {
            let request = Input::Request {
                pdu: &submit_sm(),
                token: next,
            };
            connection.send(request, &mut actions).unwrap();
            next += 1;
        }
        connection.drive(&mut actions).await;
        for action in actions.drain(..) {
            match action {
                Action::Response { token, status, .. } => {
                    assert_eq!((token, status), (answered, OK));
                    answered += 1;
                }
                Action::Closed { reason } => return reason,
                other => panic!("{other:?}"),
            }
        }
        if answered == count && connection.session().state().is_bound() {
            connection.send(Input::Unbind, &mut actions).unwrap();
        }
    }
}

#[tokio::test]
async fn a_thousand_submits_are_answered_and_the_unbind_is_clean() {
    let (listener, port) = listen(None).await;
    let server = tokio::spawn(serve_one(listener));
    let mut esme = within(bind(&to(port, None), &credentials(), SessionConfig::esme()))
        .await
        .unwrap();
    assert_eq!(esme.peer_addr().port(), port);
    assert_eq!(esme.session().peer_system_id(), &OctetStr::from("smsc"));
    assert_eq!(
        within(submit_all(&mut esme, 1_000)).await,
        CloseReason::Unbound
    );
    assert_eq!(within(server).await.unwrap(), CloseReason::PeerUnbound);
}

#[tokio::test]
async fn what_comes_coalesced_with_bind_resp_is_kept_for_the_next_drive() {
    let listener = TcpListener::bind("localhost:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await.unwrap();
        tcp.read_exact(&mut [0; 16]).await.unwrap();
        let resp = BindResp {
            kind: BindKind::Transceiver,
            system_id: OctetStr::from("smsc"),
            tlvs: Default::default(),
        };
        let deliver = || Pdu::DeliverSm(DeliverSm::default());
        tcp.write_all(&octets(&[
            (Pdu::BindResp(resp), 1),
            (deliver(), 5),
            (deliver(), 6),
        ]))
        .await
        .unwrap();
        tcp
    });
    let mut esme = within(bind::<u32>(
        &to(port, None),
        &credentials(),
        SessionConfig::esme(),
    ))
    .await
    .unwrap();
    let mut sequences = VecDeque::new();
    while sequences.len() < 2 {
        let mut actions = Vec::new();
        within(esme.drive(&mut actions)).await;
        for action in actions {
            match action {
                Action::Request { sequence, .. } => sequences.push_back(sequence),
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(sequences, [5, 6]);
    drop(server.await.unwrap());
}

#[tokio::test]
async fn a_lost_peer_leaves_the_window_in_doubt() {
    let (listener, port) = listen(None).await;
    let server = tokio::spawn(async move {
        let (mut connection, _) = listener.accept::<u32>(SessionConfig::smsc()).await.unwrap();
        let mut actions = Vec::new();
        connection.drive(&mut actions).await;
        let answer = Input::AnswerBind {
            sequence: 1,
            status: OK,
            system_id: &OctetStr::from("smsc"),
        };
        actions.clear();
        connection.send(answer, &mut actions).unwrap();
        connection.flush().await.unwrap();
        actions.clear();
        connection.drive(&mut actions).await;
        assert!(matches!(actions[0], Action::Request { .. }));
    });
    let mut esme = within(bind(&to(port, None), &credentials(), SessionConfig::esme()))
        .await
        .unwrap();
    let mut actions = Vec::new();
    for token in 0..3 {
        esme.send(
            Input::Request {
                pdu: &submit_sm(),
                token,
            },
            &mut actions,
        )
        .unwrap();
    }
    while !esme.session().state().is_closed() {
        within(esme.drive(&mut actions)).await;
    }
    let doubts = actions
        .iter()
        .filter(|a| matches!(a, Action::InDoubt { .. }))
        .count();
    assert_eq!(doubts, 3);
    assert!(matches!(actions.last(), Some(Action::Closed { .. })));
    server.await.unwrap();
}

#[tokio::test]
async fn two_peers_who_both_write_more_than_the_sockets_hold_do_not_deadlock() {
    const COUNT: u32 = 40_000;
    let config = |base: SessionConfig| SessionConfig {
        window: COUNT as usize,
        ..base
    };
    let (listener, port) = listen(None).await;
    let flood = |mut connection: Connection<u32>, pdu: Pdu| async move {
        let (mut actions, mut answered, mut served) = (Vec::new(), 0, 0);
        for token in 0..COUNT {
            connection
                .send(Input::Request { pdu: &pdu, token }, &mut actions)
                .unwrap();
        }
        while answered < COUNT || served < COUNT {
            connection.drive(&mut actions).await;
            for action in std::mem::take(&mut actions) {
                match action {
                    Action::Response { .. } => answered += 1,
                    Action::Request { sequence, pdu, .. } => {
                        served += 1;
                        let pdu = &answer_to(&pdu);
                        let respond = Input::Respond {
                            sequence,
                            status: OK,
                            pdu,
                        };
                        connection.send(respond, &mut actions).unwrap();
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
        connection.flush().await.unwrap();
        connection
    };
    let server = tokio::spawn(async move {
        let (mut connection, _) = listener
            .accept(config(SessionConfig::smsc()))
            .await
            .unwrap();
        let mut actions = Vec::new();
        connection.drive(&mut actions).await;
        let answer = Input::AnswerBind {
            sequence: 1,
            status: OK,
            system_id: &OctetStr::from("smsc"),
        };
        actions.clear();
        connection.send(answer, &mut actions).unwrap();
        let text = DeliverSm {
            short_message: vec![b'y'; 150].into(),
            ..DeliverSm::default()
        };
        flood(connection, Pdu::DeliverSm(text)).await
    });
    let esme = within(bind(
        &to(port, None),
        &credentials(),
        config(SessionConfig::esme()),
    ))
    .await
    .unwrap();
    let esme = within(flood(esme, submit_sm())).await;
    let smsc = within(server).await.unwrap();
    drop((esme, smsc));
}

#[tokio::test]
async fn a_peer_that_never_reads_is_closed_before_memory_grows() {
    let (listener, port) = listen(None).await;
    let peer = tokio::spawn(async move {
        let mut tcp = TcpStream::connect(("localhost", port)).await.unwrap();
        let enquiries: Vec<(Pdu, u32)> = (0..4_000).map(|n| (Pdu::EnquireLink, n)).collect();
        let octets = octets(&enquiries);
        while tcp.write_all(&octets).await.is_ok() {}
    });
    let (mut connection, _) = listener.accept::<u32>(SessionConfig::smsc()).await.unwrap();
    assert_eq!(
        within(serve(&mut connection)).await,
        CloseReason::PeerNotReading
    );
    assert!(connection.session().output().is_empty());
    drop(connection);
    within(peer).await.unwrap();
}

#[tokio::test]
async fn a_drive_that_is_dropped_again_and_again_loses_nothing() {
    let (listener, port) = listen(None).await;
    let server = tokio::spawn(serve_one(listener));
    let mut esme = within(bind(&to(port, None), &credentials(), SessionConfig::esme()))
        .await
        .unwrap();
    let (mut sent, mut answered) = (0_u32, 0);
    let work = async {
        while answered < 500 {
            let mut actions = Vec::new();
            while sent < 500 && esme.session().window_free() > 0 {
                esme.send(
                    Input::Request {
                        pdu: &submit_sm(),
                        token: sent,
                    },
                    &mut actions,
                )
                .unwrap();
                sent += 1;
            }
            tokio::select! {
                biased;
                () = esme.drive(&mut actions) => {}
                () = tokio::task::yield_now() => assert!(actions.is_empty(), "handed out, then dropped"),
            }
            answered += actions
                .iter()
                .filter(|a| matches!(a, Action::Response { .. }))
                .count();
        }
    };
    within(work).await;
    drop(esme);
    assert_eq!(within(server).await.unwrap(), CloseReason::PeerClosed);
}

#[tokio::test]
async fn a_deadline_that_moves_forward_is_kept() {
    let listener = TcpListener::bind("localhost:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await.unwrap();
        tcp.read_exact(&mut [0; 16]).await.unwrap();
        let resp = BindResp {
            kind: BindKind::Transceiver,
            system_id: OctetStr::from("smsc"),
            tlvs: Default::default(),
        };
        tcp.write_all(&octets(&[(Pdu::BindResp(resp), 1)]))
            .await
            .unwrap();
        tcp
    });
    // The bind arms the timer far away; the request's deadline is near.
    let config = SessionConfig {
        bind_timeout: Duration::from_secs(3600),
        response_timeout: Duration::from_millis(50),
        enquire_link_interval: Duration::from_secs(3600),
        ..SessionConfig::esme()
    };
    let mut esme = within(bind(&to(port, None), &credentials(), config))
        .await
        .unwrap();
    let mut actions = Vec::new();
    esme.send(
        Input::Request {
            pdu: &submit_sm(),
            token: 70,
        },
        &mut actions,
    )
    .unwrap();
    within(esme.drive(&mut actions)).await;
    assert_eq!(
        actions,
        [Action::Expired {
            token: 70,
            sequence: 2
        }]
    );
    drop(server.await.unwrap());
}

#[tokio::test]
async fn a_server_that_does_not_answer_the_bind_is_a_timeout() {
    let listener = TcpListener::bind("localhost:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let config = SessionConfig {
        bind_timeout: Duration::from_millis(50),
        ..SessionConfig::esme()
    };
    let failed = within(bind::<u32>(&to(port, None), &credentials(), config)).await;
    assert!(matches!(failed, Err(BindError::Timeout)));
}

#[tokio::test]
async fn a_refused_bind_tells_its_status_and_a_closed_port_its_error() {
    let (listener, port) = listen(None).await;
    let status = CommandStatus::ESME_RINVPASWD;
    let server = tokio::spawn(async move {
        let (mut connection, _) = listener.accept::<u32>(SessionConfig::smsc()).await.unwrap();
        let mut actions = Vec::new();
        connection.drive(&mut actions).await;
        assert!(matches!(
            actions[..],
            [Action::BindRequested { sequence: 1, .. }]
        ));
        let answer = Input::AnswerBind {
            sequence: 1,
            status,
            system_id: &OctetStr::EMPTY,
        };
        connection.send(answer, &mut actions).unwrap();
        connection.drive(&mut actions).await;
        assert!(matches!(actions.last(), Some(Action::Closed { .. })));
    });
    let failed = within(bind::<u32>(
        &to(port, None),
        &credentials(),
        SessionConfig::esme(),
    ))
    .await;
    assert!(matches!(failed, Err(BindError::Rejected(s)) if s == status));
    within(server).await.unwrap();
    let failed = within(bind::<u32>(
        &to(port, None),
        &credentials(),
        SessionConfig::esme(),
    ))
    .await;
    assert!(matches!(
        failed,
        Err(BindError::Connect(ConnectError::Io(_)))
    ));
}

#[tokio::test]
async fn a_carrier_that_knocks_by_outbind_is_bound_to() {
    let listener = Listener::bind("localhost:0", None).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let carrier = tokio::spawn(async move {
        let config = SessionConfig::smsc();
        let mut smsc = connect::<u32>(&to(port, None), config).await.unwrap();
        let pdu = &Pdu::Outbind(Outbind {
            system_id: OctetStr::from("smsc"),
            password: OctetStr::from("knock"),
        });
        smsc.send(Input::Notify { pdu }, &mut Vec::new()).unwrap();
        serve(&mut smsc).await
    });
    let (mut esme, _) = within(listener.accept(SessionConfig::esme()))
        .await
        .unwrap();
    let mut actions = Vec::new();
    within(esme.drive(&mut actions)).await;
    let [
        Action::Notified {
            pdu: Pdu::Outbind(outbind),
            ..
        },
    ] = &actions[..]
    else {
        panic!("{actions:?}")
    };
    assert_eq!(outbind.system_id, OctetStr::from("smsc"));
    let mut esme = within(bind_over(esme, &credentials())).await.unwrap();
    assert_eq!(
        within(submit_all(&mut esme, 10)).await,
        CloseReason::Unbound
    );
    assert_eq!(within(carrier).await.unwrap(), CloseReason::PeerUnbound);
}
