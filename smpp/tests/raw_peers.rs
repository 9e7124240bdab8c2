//! Lives here: a server against peers that write octets of their own: what is owed to them at the end.
//! Never here: a server's limits (server::tests), what a session does with each PDU (session::tests).

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;

use mnara_smpp::codec::{CommandId, FrameDecoder, Header};
use mnara_smpp::pdu::{Bind, DataSm, DeliverSmResp, Pdu, SubmitSm, SubmitSmResp};
use mnara_smpp::server::{
    Accepted, BindRequest, Listener, Peer, Reject, Server, ServerConfig, Service,
};
use mnara_smpp::status::CommandStatus;
use mnara_smpp::transport::{PeerRequest, Reply};

/// Answers a submit_sm when it may, a data_sm with another operation's response, and tells what it sees.
struct Desk {
    away: mpsc::Sender<Option<CommandStatus>>,
    asked: mpsc::Sender<CommandId>,
    may_answer: Arc<Semaphore>,
}

impl Service for Desk {
    async fn authenticate(&self, asked: &BindRequest) -> Result<Accepted, Reject> {
        match asked.bind.system_id.as_bytes() {
            b"slow" => std::future::pending().await,
            _ => Ok(Accepted::default()),
        }
    }

    async fn request(&self, _peer: &Arc<Peer>, request: PeerRequest) {
        self.asked.try_send(request.pdu.command()).expect("room");
        let reply = match request.pdu {
            Pdu::SubmitSm(_) => {
                drop(self.may_answer.acquire().await);
                Pdu::SubmitSmResp(SubmitSmResp::default())
            }
            _ => Pdu::DeliverSmResp(DeliverSmResp::default()),
        };
        request.responder.answer(Reply::ok(reply));
    }

    fn turned_away(&self, _address: std::net::SocketAddr, status: Option<CommandStatus>) {
        self.away.try_send(status).expect("room");
    }
}

/// A raw connection to a server of its own.
struct Raw {
    tcp: TcpStream,
    /// What the server tells of those turned away.
    away: mpsc::Receiver<Option<CommandStatus>>,
    /// What the service has been asked.
    asked: mpsc::Receiver<CommandId>,
    /// A permit lets it answer.
    may_answer: Arc<Semaphore>,
    /// Stops the server; dropped, it goes on.
    stop: oneshot::Sender<()>,
}

async fn connect() -> io::Result<Raw> {
    let listener = Listener::bind("127.0.0.1:0", None).await?;
    let address = listener.local_addr()?;
    let (told, away) = mpsc::channel(16);
    let (asking, asked) = mpsc::channel(16);
    let may_answer = Arc::new(Semaphore::new(0));
    let (stop, stopped) = oneshot::channel();
    let mut config = ServerConfig::default();
    config.session.bind_timeout = Duration::from_millis(300);
    let desk = Desk {
        away: told,
        asked: asking,
        may_answer: Arc::clone(&may_answer),
    };
    let server = Server::new(listener, config, desk);
    tokio::spawn(server.run(async {
        if stopped.await.is_err() {
            std::future::pending::<()>().await;
        }
    }));
    let tcp = TcpStream::connect(address).await?;
    Ok(Raw {
        tcp,
        away,
        asked,
        may_answer,
        stop,
    })
}

/// These PDUs in one write, numbered from 1.
async fn write(tcp: &mut TcpStream, pdus: &[Pdu]) -> io::Result<()> {
    let mut octets = BytesMut::new();
    for (sequence, pdu) in (1..).zip(pdus) {
        pdu.encode(CommandStatus::ESME_ROK, sequence, &mut octets)
            .expect("the PDUs of these tests can be written");
    }
    tcp.write_all(&octets).await
}

/// The next PDU; `None` once the server has closed.
async fn read(tcp: &mut TcpStream) -> Option<Header> {
    let mut octets = BytesMut::new();
    let mut decoder = FrameDecoder::default();
    loop {
        if let Some(frame) = decoder.next(&mut octets).expect("a server writes SMPP") {
            return Some(frame.header);
        }
        // One octet at a time, so that the next PDU stays in the socket.
        let mut one = [0];
        let arrived = timeout(Duration::from_secs(3), tcp.read(&mut one)).await;
        match arrived.expect("the server writes or closes within 3 s") {
            Ok(1) => octets.extend_from_slice(&one),
            _ => return None,
        }
    }
}

fn bind() -> Pdu {
    Pdu::Bind(Bind {
        system_id: "demo".into(),
        ..Bind::default()
    })
}

#[tokio::test]
async fn a_request_before_the_peers_unbind_is_answered_before_the_unbind_is() -> io::Result<()> {
    let mut raw = connect().await?;
    let tcp = &mut raw.tcp;
    write(tcp, &[bind()]).await?;
    read(tcp).await.expect("the bind is answered");
    write(tcp, &[Pdu::SubmitSm(SubmitSm::default()), Pdu::Unbind]).await?;
    assert_eq!(raw.asked.recv().await, Some(CommandId::SUBMIT_SM));
    raw.may_answer.add_permits(1);
    let mut answers = Vec::new();
    while let Some(header) = read(tcp).await {
        answers.push(header.command);
    }
    // The service has taken the message: without the answer its sender takes it for lost and sends it again.
    assert_eq!(answers, [CommandId::SUBMIT_SM_RESP, CommandId::UNBIND_RESP]);
    Ok(())
}

#[tokio::test]
async fn a_server_that_stops_answers_what_it_has_taken_even_a_peer_that_leaves_at_once()
-> io::Result<()> {
    let mut raw = connect().await?;
    let tcp = &mut raw.tcp;
    write(tcp, &[bind()]).await?;
    read(tcp).await.expect("the bind is answered");
    write(tcp, &[Pdu::SubmitSm(SubmitSm::default())]).await?;
    assert_eq!(raw.asked.recv().await, Some(CommandId::SUBMIT_SM));
    raw.stop.send(()).expect("the server runs");
    raw.may_answer.add_permits(1);
    let mut seen = Vec::new();
    while let Some(header) = read(tcp).await {
        seen.push(header.command);
        if header.command == CommandId::UNBIND {
            let mut octets = BytesMut::new();
            Pdu::UnbindResp
                .encode(CommandStatus::ESME_ROK, header.sequence, &mut octets)
                .expect("an unbind_resp can be written");
            tcp.write_all(&octets).await?;
        }
    }
    assert_eq!(seen, [CommandId::SUBMIT_SM_RESP, CommandId::UNBIND]);
    Ok(())
}

#[tokio::test]
async fn an_answer_of_another_operation_becomes_a_system_error() -> io::Result<()> {
    let Raw { mut tcp, .. } = connect().await?;
    write(&mut tcp, &[bind()]).await?;
    read(&mut tcp).await.expect("the bind is answered");
    write(&mut tcp, &[Pdu::DataSm(DataSm::default())]).await?;
    let header = read(&mut tcp).await.expect("the data_sm is answered");
    assert_eq!(
        (header.command, header.status),
        (CommandId::DATA_SM_RESP, CommandStatus::ESME_RSYSERR)
    );
    Ok(())
}

#[tokio::test]
async fn a_peer_that_never_binds_is_turned_away() -> io::Result<()> {
    let Raw {
        mut tcp, mut away, ..
    } = connect().await?;
    assert!(read(&mut tcp).await.is_none());
    let told = timeout(Duration::from_secs(1), away.recv()).await;
    assert_eq!(told, Ok(Some(None)));
    Ok(())
}

#[tokio::test]
async fn a_peer_whose_bind_is_not_decided_in_time_is_turned_away() -> io::Result<()> {
    let Raw {
        mut tcp, mut away, ..
    } = connect().await?;
    let slow = Bind {
        system_id: "slow".into(),
        ..Bind::default()
    };
    write(&mut tcp, &[Pdu::Bind(slow)]).await?;
    let header = read(&mut tcp).await.expect("it is told");
    assert_eq!(header.status, CommandStatus::ESME_RSYSERR);
    assert!(read(&mut tcp).await.is_none());
    let told = timeout(Duration::from_secs(1), away.recv()).await;
    assert_eq!(told, Ok(Some(None)));
    Ok(())
}
