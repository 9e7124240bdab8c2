//! Lives here: tests of the server over loopback sockets: who gets in, how many, and how it ends.
//! Never here: the handle (`transport::handle`), protocol rules (session).

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{Accepted, BindRequest, Listener, Peer, Reject, Server, ServerConfig, Service};
use crate::client::{BindError, Connect, bind};
use crate::pdu::{Bind, BindKind, DeliverSm, OctetStr, Pdu, QuerySm, SubmitSm, SubmitSmResp};
use crate::session::{CloseReason, SessionConfig};
use crate::status::CommandStatus;
use crate::transport::{Event, Handle, Incoming, Limits, NoAnswer, Orphan, PeerRequest, Reply};

/// What the service of the tests has seen.
enum Seen {
    Bound(Arc<Peer>),
    Asked(Box<PeerRequest>),
    Orphan(Box<Orphan>),
    Ended(CloseReason),
    TurnedAway(Option<CommandStatus>),
}

/// How often the service was looked at while it could not decide.
static UNDECIDED: AtomicUsize = AtomicUsize::new(0);

/// Accepts by the name alone; answers submits, or passes them on where it is told to.
struct Desk {
    seen: mpsc::Sender<Seen>,
    passes_on: bool,
}

impl Service for Desk {
    async fn authenticate(&self, asked: &BindRequest) -> Result<Accepted, Reject> {
        match asked.bind.system_id.as_bytes() {
            b"stranger" => Err(Reject::UnknownSystem),
            b"slow" => std::future::pending().await,
            // Gives up at last, so that the test can fail.
            b"undecided" => {
                let polled = |_: &mut std::task::Context<'_>| match UNDECIDED
                    .fetch_add(1, Ordering::Relaxed)
                {
                    0..1_000 => Poll::Pending,
                    _ => Poll::Ready(Err(Reject::Internal)),
                };
                poll_fn(polled).await
            }
            b"single" => Ok(Accepted {
                binds_max: Some(1),
                limits: Some(Limits {
                    window: 1,
                    ..Limits::default()
                }),
            }),
            _ if asked.bind.password.as_bytes() != b"secret" => Err(Reject::WrongPassword),
            _ if asked.bind.kind == BindKind::Receiver => Err(Reject::NotAllowed),
            b"broken" => Err(Reject::Internal),
            _ => Ok(Accepted::default()),
        }
    }

    async fn request(&self, peer: &Arc<Peer>, request: PeerRequest) {
        if peer.system_id == "holder" {
            let deliver = Pdu::DeliverSm(DeliverSm::default());
            let _pushed = peer.handle.offer(deliver).await;
            peer.handle.closed().await;
            return;
        }
        if self.passes_on {
            let _ = self.seen.try_send(Seen::Asked(Box::new(request)));
            return;
        }
        let reply = match request.pdu {
            Pdu::SubmitSm(_) => Reply::ok(Pdu::SubmitSmResp(SubmitSmResp::default())),
            _ => Reply::refuse(CommandStatus::ESME_RINVCMDID),
        };
        request.responder.answer(reply);
    }

    fn bound(&self, peer: &Arc<Peer>) {
        let _ = self.seen.try_send(Seen::Bound(Arc::clone(peer)));
    }

    fn orphan(&self, _peer: &Arc<Peer>, orphan: Orphan) {
        let _ = self.seen.try_send(Seen::Orphan(Box::new(orphan)));
    }

    fn ended(&self, _peer: &Arc<Peer>, reason: CloseReason) {
        let _ = self.seen.try_send(Seen::Ended(reason));
    }

    fn turned_away(&self, _address: SocketAddr, status: Option<CommandStatus>) {
        let _ = self.seen.try_send(Seen::TurnedAway(status));
    }
}

/// A running server.
struct House {
    to: Connect,
    seen: Mutex<mpsc::Receiver<Seen>>,
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
}

impl House {
    async fn open(config: ServerConfig, passes_on: bool) -> Self {
        let listener = Listener::bind("localhost:0", None).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (seen, watching) = mpsc::channel(1_000);
        let server = Server::new(listener, config, Desk { seen, passes_on });
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(server.run(async {
            let _ = stopped.await;
        }));
        Self {
            to: Connect::new("localhost", port),
            seen: Mutex::new(watching),
            stop,
            running,
        }
    }

    async fn bind(&self, asked: &Bind) -> Result<Client, BindError> {
        let connection = bind(&self.to, asked, SessionConfig::esme()).await?;
        let (handle, driver, incoming) = connection.split(&Limits::default());
        let driver = tokio::spawn(driver.run());
        Ok(Client {
            handle,
            incoming,
            driver,
        })
    }

    /// The status that a bind is refused with.
    async fn refusal(&self, asked: &Bind) -> CommandStatus {
        match within(self.bind(asked)).await {
            Err(BindError::Rejected(status)) => status,
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("bound"),
        }
    }

    async fn bound(&self) -> Arc<Peer> {
        match self.saw().await {
            Seen::Bound(peer) => peer,
            _ => panic!("something else"),
        }
    }

    async fn saw(&self) -> Seen {
        let mut seen = self.seen.lock().await;
        within(seen.recv()).await.expect("the server runs")
    }

    async fn close(self) {
        self.stop.send(()).unwrap();
        within(self.running).await.unwrap();
    }
}

struct Client {
    handle: Handle,
    incoming: Incoming,
    driver: JoinHandle<CloseReason>,
}

/// No test takes longer; it is a deadline, not a pause.
async fn within<F: Future>(future: F) -> F::Output {
    timeout(Duration::from_secs(30), future)
        .await
        .expect("the deadline of the test")
}

fn as_(system_id: &'static str) -> Bind {
    Bind {
        system_id: OctetStr::from(system_id),
        password: OctetStr::from("secret"),
        ..Bind::default()
    }
}

fn submit_sm() -> Pdu {
    Pdu::SubmitSm(SubmitSm::default())
}

#[tokio::test]
async fn every_reason_to_refuse_a_bind_has_its_status() {
    let house = House::open(ServerConfig::default(), false).await;
    for (asked, status) in [
        (as_("stranger"), CommandStatus::ESME_RINVSYSID),
        (
            Bind {
                password: OctetStr::from("guess"),
                ..as_("esme")
            },
            CommandStatus::ESME_RINVPASWD,
        ),
        (
            Bind {
                kind: BindKind::Receiver,
                ..as_("esme")
            },
            CommandStatus::ESME_RBINDFAIL,
        ),
        (as_("broken"), CommandStatus::ESME_RSYSERR),
    ] {
        assert_eq!(house.refusal(&asked).await, status);
        assert!(matches!(house.saw().await, Seen::TurnedAway(Some(told)) if told == status));
    }
    assert_eq!(
        Reject::WrongSystemType.status(),
        CommandStatus::ESME_RINVSYSTYP
    );
    let yes = Reject::Other(CommandStatus::ESME_ROK);
    assert_eq!(yes.status(), CommandStatus::ESME_RBINDFAIL);
    house.close().await;
}

#[tokio::test]
async fn trap_38_a_system_has_so_many_binds_and_gets_a_place_back_with_each_end() {
    let config = ServerConfig {
        binds_per_system_max: 2,
        ..ServerConfig::default()
    };
    let house = House::open(config, false).await;
    let first = within(house.bind(&as_("esme"))).await.unwrap();
    let _second = within(house.bind(&as_("esme"))).await.unwrap();
    let full = CommandStatus::ESME_RALYBND;
    assert_eq!(house.refusal(&as_("esme")).await, full);
    // Others have their own places, and their own number of them.
    let _single = within(house.bind(&as_("single"))).await.unwrap();
    assert_eq!(house.refusal(&as_("single")).await, full);
    assert_eq!(within(first.handle.unbind()).await, CloseReason::Unbound);
    while !matches!(house.saw().await, Seen::Ended(CloseReason::PeerUnbound)) {}
    // The place is free as soon as the connection's task is done.
    let again = async {
        loop {
            match house.bind(&as_("esme")).await {
                Ok(client) => return client,
                Err(BindError::Rejected(status)) => assert_eq!(status, full),
                Err(error) => panic!("{error}"),
            }
        }
    };
    within(again).await;
    house.close().await;
}

#[tokio::test]
async fn connections_beyond_the_limits_are_closed_as_they_come() {
    for config in [
        ServerConfig {
            connections_max: 1,
            ..ServerConfig::default()
        },
        ServerConfig {
            connections_per_address_max: 1,
            ..ServerConfig::default()
        },
    ] {
        let house = House::open(config, false).await;
        let first = within(house.bind(&as_("esme"))).await.unwrap();
        house.bound().await;
        let second = within(house.bind(&as_("esme"))).await;
        assert!(matches!(second, Err(BindError::Closed(_))));
        assert!(matches!(house.saw().await, Seen::TurnedAway(None)));
        let answer = within(first.handle.request(submit_sm())).await;
        assert!(answer.unwrap().status.is_ok());
        house.close().await;
    }
}

#[tokio::test]
async fn a_peer_that_never_binds_or_is_never_decided_on_is_closed_in_time() {
    let config = ServerConfig {
        session: SessionConfig {
            bind_timeout: Duration::from_millis(50),
            ..SessionConfig::smsc()
        },
        connections_max: 1,
        ..ServerConfig::default()
    };
    let house = House::open(config, false).await;
    let slow = within(house.bind(&as_("slow"))).await;
    assert!(matches!(
        slow,
        Err(BindError::Rejected(CommandStatus::ESME_RSYSERR))
    ));
    let silent = within(TcpStream::connect(("localhost", house.to.port)))
        .await
        .unwrap();
    within(silent.readable()).await.unwrap();
    house.close().await;
}

#[tokio::test]
async fn a_bind_that_is_gone_before_it_is_decided_on_costs_no_time() {
    let house = House::open(ServerConfig::default(), false).await;
    let mut octets = BytesMut::new();
    let ok = CommandStatus::ESME_ROK;
    let asked = Pdu::Bind(as_("undecided"));
    asked.encode(ok, 1, &mut octets).unwrap();
    Pdu::Unbind.encode(ok, 2, &mut octets).unwrap();
    let mut peer = TcpStream::connect(("localhost", house.to.port))
        .await
        .unwrap();
    peer.write_all(&octets).await.unwrap();
    // The end of the stream: the connection's task is done.
    within(peer.read_to_end(&mut Vec::new())).await.unwrap();
    house.close().await;
    assert!(UNDECIDED.load(Ordering::Relaxed) < 10);
}

#[tokio::test]
async fn the_service_is_told_who_asks_and_declines_what_it_does_not_serve() {
    let house = House::open(ServerConfig::default(), false).await;
    let client = within(house.bind(&as_("esme"))).await.unwrap();
    let peer = house.bound().await;
    assert_eq!(peer.system_id, OctetStr::from("esme"));
    assert!(peer.receives() && peer.address.ip().is_loopback());
    let answer = within(client.handle.request(submit_sm())).await.unwrap();
    assert!(answer.status.is_ok());
    let query = Pdu::QuerySm(QuerySm::default());
    let answer = within(client.handle.request(query)).await.unwrap();
    assert_eq!(answer.status, CommandStatus::ESME_RINVCMDID);
    house.close().await;
}

#[tokio::test]
async fn deliver_sm_is_pushed_by_the_peer_s_handle_within_its_window() {
    let house = House::open(ServerConfig::default(), false).await;
    let mut client = within(house.bind(&as_("single"))).await.unwrap();
    let peer = house.bound().await;
    let deliver = || Pdu::DeliverSm(DeliverSm::default());
    let first = peer.handle.try_offer(deliver()).unwrap();
    assert!(peer.handle.try_offer(deliver()).is_err(), "a window of one");
    let Some(Event::Request(request)) = within(client.incoming.next()).await else {
        panic!("no deliver_sm")
    };
    let taken = Pdu::DeliverSmResp(Default::default());
    request.responder.answer(Reply::ok(taken));
    assert!(within(first).await.unwrap().status.is_ok());
    house.close().await;
}

#[tokio::test]
async fn a_push_that_a_request_lets_go_of_behind_the_end_is_told_too() {
    let house = House::open(ServerConfig::default(), false).await;
    let mut client = within(house.bind(&as_("holder"))).await.unwrap();
    house.bound().await;
    let _asked = client.handle.offer(submit_sm()).await.unwrap();
    let pushed = within(client.incoming.next()).await;
    assert!(matches!(pushed, Some(Event::Request(_))));
    client.driver.abort();
    let Seen::Orphan(orphan) = house.saw().await else {
        panic!("something else")
    };
    assert!(matches!(orphan.outcome, Err(NoAnswer::InDoubt)));
    assert!(matches!(house.saw().await, Seen::Ended(_)));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_never_pauses_is_served_and_can_be_stopped() {
    let config = ServerConfig {
        session: SessionConfig {
            unbind_timeout: Duration::from_millis(50),
            ..SessionConfig::smsc()
        },
        stop_timeout: Duration::from_secs(3_600),
        ..ServerConfig::default()
    };
    let house = House::open(config, true).await;
    let ok = CommandStatus::ESME_ROK;
    let mut octets = BytesMut::new();
    let asked = Pdu::Bind(as_("esme"));
    asked.encode(ok, 1, &mut octets).unwrap();
    let peer = TcpStream::connect(("localhost", house.to.port))
        .await
        .unwrap();
    let (mut answers, mut requests) = peer.into_split();
    requests.write_all(&octets).await.unwrap();
    house.bound().await;
    let mut flood = BytesMut::new();
    for sequence in 2..30_000 {
        submit_sm().encode(ok, sequence, &mut flood).unwrap();
    }
    let flooding = tokio::spawn(async move { while requests.write_all(&flood).await.is_ok() {} });
    let reading = tokio::spawn(async move {
        let mut octets = vec![0; 1 << 20];
        while matches!(answers.read(&mut octets).await, Ok(1..)) {}
    });
    // Beside a driver in the same task it took minutes to come so far.
    for _ in 0..3_000 {
        assert!(matches!(house.saw().await, Seen::Asked(_)));
    }
    house.close().await;
    within(flooding).await.unwrap();
    within(reading).await.unwrap();
}

#[tokio::test]
async fn stopping_unbinds_everybody_and_lets_requests_under_way_finish() {
    let house = House::open(ServerConfig::default(), true).await;
    let client = within(house.bind(&as_("esme"))).await.unwrap();
    house.bound().await;
    let pending = client.handle.offer(submit_sm()).await.unwrap();
    let Seen::Asked(request) = house.saw().await else {
        panic!("no request")
    };
    house.stop.send(()).unwrap();
    within(client.handle.leaving()).await;
    let done = Pdu::SubmitSmResp(SubmitSmResp::default());
    request.responder.answer(Reply::ok(done));
    assert!(within(pending).await.unwrap().status.is_ok());
    assert_eq!(
        within(client.driver).await.unwrap(),
        CloseReason::PeerUnbound
    );
    within(house.running).await.unwrap();
    let refused = bind::<()>(&house.to, &as_("esme"), SessionConfig::esme()).await;
    assert!(matches!(refused, Err(BindError::Connect(_))));
}

#[tokio::test]
async fn stopping_ends_in_time_although_a_peer_does_not_answer() {
    let config = ServerConfig {
        stop_timeout: Duration::from_millis(50),
        ..ServerConfig::default()
    };
    let house = House::open(config, false).await;
    let asked = as_("esme");
    // Bound, and then never driven again.
    let _deaf = within(bind::<()>(&house.to, &asked, SessionConfig::esme()))
        .await
        .unwrap();
    house.bound().await;
    house.close().await;
}
