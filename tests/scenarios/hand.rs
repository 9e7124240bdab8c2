//! Lives here: a carrier moved by hand, octet by octet, for what no decent simulator would do.
//! Never here: what a scenario expects of the daemon.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use mnara_smpp::codec::{CommandId, FrameDecoder, Header};
use mnara_smpp::pdu::{Address, BindResp, DeliverSm, Pdu, SubmitSm, SubmitSmResp, esm_class};
use mnara_smpp::status::CommandStatus;
use mnara_smpp::tlv::Tlvs;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::world::LIMIT;

/// A listening carrier.
pub(crate) struct Hand {
    listener: TcpListener,
}

/// One bound connection.
pub(crate) struct HandBind {
    stream: TcpStream,
    decoder: FrameDecoder,
    input: BytesMut,
    next: u32,
}

impl Hand {
    /// Listens on a free port.
    pub(crate) async fn listen() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        Self { listener }
    }

    /// Where.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    /// Takes the next connection and lets it bind.
    pub(crate) async fn bound(&self) -> HandBind {
        let accepted = timeout(LIMIT, self.listener.accept()).await;
        let (stream, _) = accepted.expect("the daemon connects").unwrap();
        stream.set_nodelay(true).unwrap();
        let mut bind = HandBind {
            stream,
            decoder: FrameDecoder::default(),
            input: BytesMut::new(),
            next: 0x1000,
        };
        let (header, pdu) = bind.pdu().await;
        let Pdu::Bind(asked) = pdu else {
            panic!("the first PDU is a bind, not {pdu:?}")
        };
        let answer = Pdu::BindResp(BindResp {
            kind: asked.kind,
            system_id: "hand".into(),
            tlvs: Tlvs::default(),
        });
        bind.answer(header.sequence, CommandStatus::ESME_ROK, &answer)
            .await;
        bind
    }
}

impl HandBind {
    /// The next PDU; enquire_link is answered by the way.
    pub(crate) async fn pdu(&mut self) -> (Header, Pdu) {
        loop {
            let read = timeout(LIMIT, self.read()).await;
            let (header, pdu) = read
                .expect("a PDU comes")
                .expect("the connection is not closed");
            if pdu != Pdu::EnquireLink {
                return (header, pdu);
            }
            let ok = CommandStatus::ESME_ROK;
            self.answer(header.sequence, ok, &Pdu::EnquireLinkResp)
                .await;
        }
    }

    /// The next submit_sm and its number.
    pub(crate) async fn submit(&mut self) -> (u32, SubmitSm) {
        match self.pdu().await {
            (header, Pdu::SubmitSm(submit)) => (header.sequence, submit),
            (_, pdu) => panic!("a submit_sm was expected, not {pdu:?}"),
        }
    }

    /// Answers a submit_sm with ROK and this id.
    pub(crate) async fn accept(&mut self, sequence: u32, id: &str) {
        let answer = Pdu::SubmitSmResp(SubmitSmResp {
            message_id: id.into(),
            tlvs: Tlvs::default(),
        });
        self.answer(sequence, CommandStatus::ESME_ROK, &answer)
            .await;
    }

    /// Sends a receipt and waits until it is answered; returns the answer's status.
    pub(crate) async fn receipt(&mut self, id: &str, stat: &str) -> CommandStatus {
        let dates = "submit date:2601010000 done date:2601010001 ";
        self.deliver(
            "255750000001",
            &format!("id:{id} {dates}stat:{stat} err:000 text:"),
        )
        .await
    }

    /// Sends a receipt that says whom its message was for and how it began, but not when.
    pub(crate) async fn receipt_for(
        &mut self,
        to: &str,
        id: &str,
        stat: &str,
        words: &str,
    ) -> CommandStatus {
        self.deliver(to, &format!("id:{id} stat:{stat} err:000 text:{words}"))
            .await
    }

    async fn deliver(&mut self, from: &str, text: &str) -> CommandStatus {
        let deliver = Pdu::DeliverSm(DeliverSm {
            source: Address::new(1, 1, from),
            dest: Address::new(5, 0, "MNARA"),
            esm_class: esm_class::RECEIPT,
            short_message: Bytes::from(text.to_owned()),
            ..DeliverSm::default()
        });
        self.next += 1;
        let sequence = self.next;
        self.answer(sequence, CommandStatus::ESME_ROK, &deliver)
            .await;
        let (header, _) = self.pdu().await;
        assert_eq!(
            (header.command, header.sequence),
            (CommandId::DELIVER_SM_RESP, sequence)
        );
        header.status
    }

    /// Writes a PDU.
    pub(crate) async fn answer(&mut self, sequence: u32, status: CommandStatus, pdu: &Pdu) {
        let mut octets = BytesMut::new();
        pdu.encode(status, sequence, &mut octets).unwrap();
        self.raw(&octets).await;
    }

    /// Writes a header that claims `length` and the body given, fitting or not.
    pub(crate) async fn claim(
        &mut self,
        length: usize,
        command: CommandId,
        sequence: u32,
        body: &[u8],
    ) {
        let header = Header {
            length: u32::try_from(length).unwrap(),
            command,
            status: CommandStatus::ESME_ROK,
            sequence,
        };
        self.raw(&header.to_octets()).await;
        self.raw(body).await;
    }

    /// Writes octets.
    pub(crate) async fn raw(&mut self, octets: &[u8]) {
        self.stream.write_all(octets).await.unwrap();
    }

    /// Waits until the daemon has closed the connection, whatever it says before.
    pub(crate) async fn closed(mut self) {
        let closed = async { while self.read().await.is_some() {} };
        timeout(Duration::from_secs(10), closed)
            .await
            .expect("the daemon closes the connection");
    }

    async fn read(&mut self) -> Option<(Header, Pdu)> {
        loop {
            if let Some(frame) = self.decoder.next(&mut self.input).unwrap() {
                return Some((frame.header, Pdu::decode(frame).unwrap().pdu));
            }
            match self.stream.read_buf(&mut self.input).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }
}
