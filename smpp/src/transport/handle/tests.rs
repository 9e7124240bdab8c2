//! Lives here: tests of shared connections over loopback sockets: back-pressure, callers who go, and the end.
//! Never here: protocol rules (session), sockets and TLS (`transport::tests`).

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use super::{Event, Handle, Incoming, Limits, NoAnswer, Orphan, PeerRequest, Reply, Ticket};
use crate::client::{Connect, bind};
use crate::pdu::{AlertNotification, Bind, DeliverSm, OctetStr, Pdu, SubmitSm, SubmitSmResp};
use crate::server::Listener;
use crate::session::{Action, CloseReason, Input, Refused, SessionConfig};
use crate::status::CommandStatus;
use crate::tlv::{Tlv, tag};
use crate::transport::Connection;

const OK: CommandStatus = CommandStatus::ESME_ROK;

/// One end of a connection, its driver running.
struct End {
    handle: Handle,
    incoming: Incoming,
    driver: JoinHandle<CloseReason>,
}

impl End {
    fn of(connection: Connection<Ticket>, limits: &Limits) -> Self {
        let (handle, driver, incoming) = connection.split(limits);
        Self {
            handle,
            incoming,
            driver: tokio::spawn(driver.run()),
        }
    }

    async fn event(&mut self) -> Event {
        within(self.incoming.next()).await.expect("not over yet")
    }

    async fn request(&mut self) -> PeerRequest {
        match self.event().await {
            Event::Request(request) => request,
            other => panic!("{other:?}"),
        }
    }

    async fn orphan(&mut self) -> Orphan {
        match self.event().await {
            Event::Orphan(orphan) => orphan,
            other => panic!("{other:?}"),
        }
    }
}

/// No test takes longer; it is a deadline, not a pause.
async fn within<F: Future>(future: F) -> F::Output {
    timeout(Duration::from_secs(30), future)
        .await
        .expect("the deadline of the test")
}

async fn is_pending<F: Future>(mut future: Pin<&mut F>) -> bool {
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_pending())).await
}

/// Two bound connections.
async fn connections(esme: SessionConfig) -> (Connection<Ticket>, Connection<Ticket>) {
    let listener = Listener::bind("localhost:0", None).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let to = Connect::new("localhost", port);
    let serving = async {
        let (mut smsc, _) = listener.accept(SessionConfig::smsc()).await.unwrap();
        let mut actions = Vec::new();
        smsc.drive(&mut actions).await;
        assert!(matches!(actions[..], [Action::BindRequested { .. }]));
        let answer = Input::AnswerBind {
            sequence: 1,
            status: OK,
            system_id: &OctetStr::from("smsc"),
        };
        smsc.send(answer, &mut actions).unwrap();
        smsc.flush().await.unwrap();
        smsc
    };
    let asked = Bind::default();
    let (esme, smsc) = within(async { tokio::join!(bind(&to, &asked, esme), serving) }).await;
    (esme.unwrap(), smsc)
}

async fn ends_with(esme: SessionConfig, limits: &Limits) -> (End, End) {
    let (esme, smsc) = connections(esme).await;
    (End::of(esme, limits), End::of(smsc, &Limits::default()))
}

async fn ends(window: usize) -> (End, End) {
    let config = SessionConfig {
        window,
        ..SessionConfig::esme()
    };
    ends_with(config, &Limits::default()).await
}

fn submit_sm() -> Pdu {
    Pdu::SubmitSm(SubmitSm::default())
}

fn deliver_sm() -> Pdu {
    Pdu::DeliverSm(DeliverSm::default())
}

fn accepted(id: &str) -> Reply {
    Reply::ok(Pdu::SubmitSmResp(SubmitSmResp {
        message_id: OctetStr::from(id),
        tlvs: Default::default(),
    }))
}

#[tokio::test]
async fn a_full_window_waits_or_refuses_by_choice() {
    let (esme, mut smsc) = ends(2).await;
    let first = esme.handle.offer(submit_sm()).await.unwrap();
    let second = esme.handle.try_offer(submit_sm()).unwrap();
    assert_eq!((first.number(), second.number()), (1, 2));
    let refused = esme.handle.try_offer(submit_sm());
    assert!(matches!(refused, Err(Refused::WindowFull)));
    let mut third = pin!(esme.handle.offer(submit_sm()));
    assert!(is_pending(third.as_mut()).await);
    smsc.request().await.responder.answer(accepted("a"));
    let third = within(third).await.unwrap();
    let answer = within(first).await.unwrap();
    assert_eq!(answer.pdu, accepted("a").pdu);
    smsc.request().await.responder.answer(accepted("b"));
    let busy = CommandStatus::ESME_RMSGQFUL;
    smsc.request().await.responder.answer(Reply::refuse(busy));
    assert_eq!(within(second).await.unwrap().status, OK);
    assert_eq!(within(third).await.unwrap().status, busy);
}

#[tokio::test]
async fn a_caller_that_goes_while_it_waits_for_a_slot_has_sent_nothing() {
    let (esme, mut smsc) = ends(1).await;
    let first = esme.handle.offer(submit_sm()).await.unwrap();
    {
        let mut waiting = pin!(esme.handle.request(submit_sm()));
        assert!(is_pending(waiting.as_mut()).await);
    }
    smsc.request().await.responder.answer(accepted("a"));
    within(first).await.unwrap();
    assert_eq!(esme.handle.window_free(), 1);
    assert_eq!(within(esme.handle.unbind()).await, CloseReason::Unbound);
    assert!(within(smsc.incoming.next()).await.is_none());
}

#[tokio::test]
async fn a_dropped_request_frees_its_slot_with_the_answer_which_is_an_orphan() {
    let (mut esme, mut smsc) = ends(1).await;
    drop(esme.handle.offer(submit_sm()).await.unwrap());
    let request = smsc.request().await;
    assert!(matches!(
        esme.handle.try_offer(submit_sm()),
        Err(Refused::WindowFull)
    ));
    request.responder.answer(accepted("sent all the same"));
    let orphan = esme.orphan().await;
    assert_eq!(orphan.number, 1);
    let answer = orphan.outcome.unwrap();
    assert_eq!(answer.pdu, accepted("sent all the same").pdu);
    assert_eq!(esme.handle.window_free(), 1);
}

#[tokio::test]
async fn a_dropped_request_frees_its_slot_as_it_expires_and_its_late_answer_is_told_too() {
    let config = SessionConfig {
        window: 1,
        response_timeout: Duration::from_millis(20),
        ..SessionConfig::esme()
    };
    let (mut esme, mut smsc) = ends_with(config, &Limits::default()).await;
    drop(esme.handle.offer(submit_sm()).await.unwrap());
    let request = smsc.request().await;
    let orphan = esme.orphan().await;
    assert!(matches!(orphan.outcome, Err(NoAnswer::Expired { .. })));
    assert_eq!(esme.handle.window_free(), 1);
    // The place of the first is taken by the second when the first one's answer comes.
    let second = esme.handle.try_offer(submit_sm()).unwrap();
    request.responder.answer(accepted("late"));
    let late = esme.orphan().await;
    assert_eq!(late.number, 1);
    assert_eq!(late.outcome.unwrap().pdu, accepted("late").pdu);
    assert!(matches!(
        within(second).await,
        Err(NoAnswer::Expired { .. })
    ));
}

#[tokio::test]
async fn an_outcome_that_came_before_its_caller_went_is_not_lost() {
    let (mut esme, mut smsc) = ends(2).await;
    let first = esme.handle.offer(submit_sm()).await.unwrap();
    let second = esme.handle.offer(submit_sm()).await.unwrap();
    smsc.request().await.responder.answer(accepted("a"));
    smsc.request().await.responder.answer(accepted("b"));
    within(second).await.unwrap();
    // Its outcome lies ready, unread.
    drop(first);
    let orphan = esme.orphan().await;
    assert_eq!(orphan.outcome.unwrap().pdu, accepted("a").pdu);
}

#[tokio::test]
async fn orphans_nobody_reads_are_counted() {
    let (esme, mut smsc) = ends(2).await;
    drop(esme.incoming);
    drop(esme.handle.offer(submit_sm()).await.unwrap());
    let second = esme.handle.offer(submit_sm()).await.unwrap();
    smsc.request().await.responder.answer(accepted("a"));
    smsc.request().await.responder.answer(accepted("b"));
    within(second).await.unwrap();
    assert_eq!(esme.handle.orphans_lost(), 1);
}

#[tokio::test]
async fn a_thousand_concurrent_requests_go_through_a_window_of_ten() {
    let (esme, mut smsc) = ends(10).await;
    let most = Arc::new(AtomicUsize::new(0));
    let serving = tokio::spawn({
        let most = Arc::clone(&most);
        async move {
            let mut held = Vec::new();
            while let Some(event) = smsc.incoming.next().await {
                let Event::Request(request) = event else {
                    panic!("{event:?}")
                };
                held.push(request);
                most.fetch_max(held.len(), Ordering::Relaxed);
                if held.len() == 10 {
                    held.drain(..)
                        .for_each(|request| request.responder.answer(accepted("x")));
                }
            }
        }
    });
    let mut callers = JoinSet::new();
    for _ in 0..1_000 {
        let handle = esme.handle.clone();
        callers.spawn(async move { handle.request(submit_sm()).await.unwrap().status });
    }
    let statuses = within(callers.join_all()).await;
    assert_eq!(statuses, [OK; 1_000]);
    assert_eq!(most.load(Ordering::Relaxed), 10);
    assert_eq!(esme.handle.window_free(), 10);
    assert_eq!(within(esme.handle.unbind()).await, CloseReason::Unbound);
    within(serving).await.unwrap();
}

#[tokio::test]
async fn an_unbind_waits_for_the_outstanding_and_refuses_the_waiting() {
    let (esme, mut smsc) = ends(1).await;
    let first = esme.handle.offer(submit_sm()).await.unwrap();
    let mut waiting = pin!(esme.handle.offer(submit_sm()));
    assert!(is_pending(waiting.as_mut()).await);
    let request = smsc.request().await;
    let mut unbind = pin!(esme.handle.unbind());
    assert!(is_pending(unbind.as_mut()).await);
    assert!(!esme.handle.is_bound());
    assert!(matches!(within(waiting).await, Err(Refused::NotBound)));
    let late = esme.handle.try_offer(submit_sm());
    assert!(matches!(late, Err(Refused::NotBound)));
    request.responder.answer(accepted("a"));
    assert_eq!(within(first).await.unwrap().status, OK);
    assert_eq!(within(unbind).await, CloseReason::Unbound);
    assert_eq!(within(smsc.driver).await.unwrap(), CloseReason::PeerUnbound);
}

#[tokio::test]
async fn the_peers_unbind_stops_new_requests_and_lets_the_outstanding_finish() {
    let (esme, mut smsc) = ends(2).await;
    let first = esme.handle.offer(submit_sm()).await.unwrap();
    let request = smsc.request().await;
    smsc.handle.start_unbind();
    within(esme.handle.leaving()).await;
    let late = esme.handle.try_offer(submit_sm());
    assert!(matches!(late, Err(Refused::NotBound)));
    request.responder.answer(accepted("a"));
    assert_eq!(within(first).await.unwrap().status, OK);
    assert_eq!(within(esme.handle.closed()).await, CloseReason::PeerUnbound);
}

#[tokio::test]
async fn trap_43_an_unbind_among_busy_callers_ends_them_all() {
    let (esme, mut smsc) = ends(5).await;
    let serving = tokio::spawn(async move {
        while let Some(Event::Request(request)) = smsc.incoming.next().await {
            request.responder.answer(accepted("x"));
        }
    });
    let mut callers = JoinSet::new();
    for _ in 0..50 {
        let handle = esme.handle.clone();
        callers.spawn(async move {
            let mut answered = 0;
            loop {
                match handle.request(submit_sm()).await {
                    Ok(_) => answered += 1,
                    Err(NoAnswer::Refused(Refused::NotBound)) => return answered,
                    Err(error) => panic!("{error}"),
                }
            }
        });
    }
    within(esme.handle.request(submit_sm())).await.unwrap();
    assert_eq!(within(esme.handle.unbind()).await, CloseReason::Unbound);
    within(callers.join_all()).await;
    within(serving).await.unwrap();
}

#[tokio::test]
async fn a_window_full_of_long_messages_waits_for_a_peer_that_reads() {
    let (esme, mut smsc) = ends(100).await;
    let serving = tokio::spawn(async move {
        while let Some(Event::Request(request)) = smsc.incoming.next().await {
            request.responder.answer(accepted("x"));
        }
    });
    let payload = Tlv::new(tag::MESSAGE_PAYLOAD, vec![b'x'; 60_000]);
    let long = Pdu::SubmitSm(SubmitSm {
        tlvs: [payload].into_iter().collect(),
        ..SubmitSm::default()
    });
    let mut offered = Vec::new();
    for _ in 0..100 {
        offered.push(esme.handle.offer(long.clone()).await.unwrap());
    }
    for pending in offered {
        assert_eq!(within(pending).await.unwrap().status, OK);
    }
    assert_eq!(within(esme.handle.unbind()).await, CloseReason::Unbound);
    within(serving).await.unwrap();
}

#[tokio::test]
async fn trap_41_answers_pass_by_requests_that_nobody_takes() {
    let limits = Limits {
        requests_max: 2,
        ..Limits::default()
    };
    let (mut esme, mut smsc) = ends_with(SessionConfig::esme(), &limits).await;
    let mut pushed = Vec::new();
    for _ in 0..5 {
        pushed.push(smsc.handle.offer(deliver_sm()).await.unwrap());
    }
    // Two wait to be taken, the others are told to come again.
    for declined in pushed.split_off(2) {
        let answer = within(declined).await.unwrap();
        assert_eq!(answer.status, CommandStatus::ESME_RX_T_APPN);
    }
    let submitted = esme.handle.offer(submit_sm()).await.unwrap();
    smsc.request().await.responder.answer(accepted("a"));
    assert_eq!(within(submitted).await.unwrap().status, OK);
    for waiting in pushed {
        let responder = esme.request().await.responder;
        responder.answer(Reply::ok(Pdu::DeliverSmResp(Default::default())));
        assert_eq!(within(waiting).await.unwrap().status, OK);
    }
}

#[tokio::test]
async fn requests_that_nobody_takes_are_bounded_in_octets_too() {
    let limits = Limits {
        requests_octets_max: 128 << 10,
        ..Limits::default()
    };
    let (mut esme, smsc) = ends_with(SessionConfig::esme(), &limits).await;
    let long = Pdu::DeliverSm(DeliverSm {
        tlvs: [Tlv::new(tag::MESSAGE_PAYLOAD, vec![b'x'; 60_000])]
            .into_iter()
            .collect(),
        ..DeliverSm::default()
    });
    let mut pushed = Vec::new();
    for _ in 0..3 {
        pushed.push(smsc.handle.offer(long.clone()).await.unwrap());
    }
    let declined = within(pushed.remove(2)).await.unwrap();
    assert_eq!(declined.status, CommandStatus::ESME_RX_T_APPN);
    for waiting in pushed {
        esme.request().await.accept("");
        assert_eq!(within(waiting).await.unwrap().status, OK);
    }
    let again = smsc.handle.offer(long).await.unwrap();
    esme.request().await.accept("");
    assert_eq!(within(again).await.unwrap().status, OK);
}

#[tokio::test]
async fn a_request_that_is_dropped_or_answered_wrongly_is_declined() {
    let (mut esme, mut smsc) = ends(5).await;
    let submitted = esme.handle.offer(submit_sm()).await.unwrap();
    drop(smsc.request().await);
    let answer = within(submitted).await.unwrap();
    assert_eq!(answer.status, CommandStatus::ESME_RTHROTTLED);
    let delivered = smsc.handle.offer(deliver_sm()).await.unwrap();
    drop(esme.request().await);
    let answer = within(delivered).await.unwrap();
    assert_eq!(answer.status, CommandStatus::ESME_RX_T_APPN);
    let submitted = esme.handle.offer(submit_sm()).await.unwrap();
    let responder = smsc.request().await.responder;
    responder.answer(Reply::ok(submit_sm()));
    let answer = within(submitted).await.unwrap();
    assert_eq!(answer.status, CommandStatus::ESME_RSYSERR);
}

#[tokio::test]
async fn a_request_that_cannot_be_written_is_refused_and_frees_its_slot() {
    let (esme, _smsc) = ends(1).await;
    let bad = Pdu::SubmitSm(SubmitSm {
        service_type: OctetStr::from("far too long"),
        ..SubmitSm::default()
    });
    for pdu in [bad, deliver_sm()] {
        let refused = within(esme.handle.request(pdu)).await;
        assert!(matches!(refused, Err(NoAnswer::Refused(_))));
    }
    assert_eq!(esme.handle.window_free(), 1);
}

#[tokio::test]
async fn a_lost_connection_leaves_the_outstanding_in_doubt_and_refuses_the_rest() {
    let (esme, mut smsc) = ends(1).await;
    let first = esme.handle.offer(submit_sm()).await.unwrap();
    let mut waiting = pin!(esme.handle.offer(submit_sm()));
    assert!(is_pending(waiting.as_mut()).await);
    let _unanswered = smsc.request().await;
    smsc.driver.abort();
    assert!(matches!(within(first).await, Err(NoAnswer::InDoubt)));
    assert!(matches!(within(waiting).await, Err(Refused::NotBound)));
    assert_eq!(smsc.handle.closed().await, CloseReason::Aborted);
}

#[tokio::test]
async fn a_dropped_driver_tells_everybody() {
    let (esme, smsc) = connections(SessionConfig::esme()).await;
    let (handle, driver, mut incoming) = esme.split(&Limits::default());
    let untaken = handle.try_offer(submit_sm()).unwrap();
    drop(driver);
    let refused = NoAnswer::Refused(Refused::NotBound).to_string();
    assert_eq!(within(untaken).await.unwrap_err().to_string(), refused);
    assert_eq!(handle.closed().await, CloseReason::Aborted);
    assert!(incoming.next().await.is_none());
    drop(smsc);
}

#[tokio::test]
async fn the_last_handle_s_end_unbinds() {
    let (esme, smsc) = ends(1).await;
    drop((esme.handle.clone(), esme.handle));
    assert_eq!(within(esme.driver).await.unwrap(), CloseReason::Unbound);
    assert_eq!(within(smsc.driver).await.unwrap(), CloseReason::PeerUnbound);
}

#[tokio::test]
async fn notifications_and_congestion_come_through() {
    let (mut esme, mut smsc) = ends(1).await;
    let alert = Pdu::AlertNotification(AlertNotification::default());
    within(smsc.handle.notify(alert)).await.unwrap();
    assert!(matches!(
        esme.event().await,
        Event::Notified(Pdu::AlertNotification(_))
    ));
    assert_eq!(esme.handle.congestion(), None);
    let submitted = esme.handle.offer(submit_sm()).await.unwrap();
    let mut reply = accepted("a");
    if let Some(Pdu::SubmitSmResp(resp)) = &mut reply.pdu {
        resp.tlvs.push(Tlv::u8(tag::CONGESTION_STATE, 85));
    }
    smsc.request().await.responder.answer(reply);
    within(submitted).await.unwrap();
    assert_eq!(esme.handle.congestion(), Some(85));
    let wrong = within(esme.handle.notify(submit_sm())).await;
    assert!(matches!(wrong, Err(Refused::NotPermitted)));
}
