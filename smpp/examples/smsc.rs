//! Lives here: an SMSC: authenticates, accepts every submit_sm and sends its receipt.
//! Never here: delivering anything.
//!
//! `cargo run -p mnara-smpp --example smsc -- 127.0.0.1:2775`; Ctrl-C unbinds everybody.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use bytes::BytesMut;
use mnara_smpp::pdu::{
    DeliverSm, OctetStr, Pdu, SubmitSm, SubmitSmResp, esm_class, registered_delivery,
};
use mnara_smpp::receipt::{NewReceipt, ReceiptState};
use mnara_smpp::server::{
    Accepted, BindRequest, Listener, Peer, Reject, Server, ServerConfig, Service,
};
use mnara_smpp::status::CommandStatus;
use mnara_smpp::time::AbsoluteTime;
use mnara_smpp::tlv::Tlvs;
use mnara_smpp::transport::{PeerRequest, Reply};

/// Accepts everything.
#[derive(Default)]
pub struct Desk {
    next: AtomicU64,
}

impl Service for Desk {
    async fn authenticate(&self, asked: &BindRequest) -> Result<Accepted, Reject> {
        // A real service keeps a hash, and compares in constant time.
        match (
            asked.bind.system_id.as_bytes(),
            asked.bind.password.as_bytes(),
        ) {
            (b"demo", b"secret") => Ok(Accepted::default()),
            (b"demo", _) => Err(Reject::WrongPassword),
            _ => Err(Reject::UnknownSystem),
        }
    }

    async fn request(&self, peer: &Arc<Peer>, request: PeerRequest) {
        let Pdu::SubmitSm(submit) = request.pdu else {
            return request
                .responder
                .answer(Reply::refuse(CommandStatus::ESME_RINVCMDID));
        };
        let id = format!("{:08X}", self.next.fetch_add(1, Ordering::Relaxed));
        let message_id = OctetStr::from(id.as_str());
        // A real service makes the message durable first.
        request
            .responder
            .answer(Reply::ok(Pdu::SubmitSmResp(SubmitSmResp {
                message_id,
                tlvs: Tlvs::new(),
            })));
        if submit.registered_delivery & registered_delivery::RECEIPT_MASK == 0 || !peer.receives() {
            return;
        }
        let Ok(receipt) = receipt(&id, submit) else {
            return;
        };
        if let Err(error) = peer.handle.request(Pdu::DeliverSm(receipt)).await {
            eprintln!("receipt of {id}: {error}");
        }
    }
}

/// Says that the message was delivered this minute.
fn receipt(id: &str, submit: SubmitSm) -> Result<DeliverSm, Box<dyn Error>> {
    let now = AbsoluteTime::from_system_time(SystemTime::now(), 0)?.local();
    let receipt = NewReceipt {
        id,
        sub: 1,
        dlvrd: 1,
        submit_date: now,
        done_date: now,
        state: ReceiptState::Delivered,
        err: 0,
        text: "",
        network_error: None,
    };
    let mut text = BytesMut::new();
    receipt.write_text(&mut text)?;
    Ok(DeliverSm {
        source: submit.dest,
        dest: submit.source,
        esm_class: esm_class::RECEIPT,
        short_message: text.freeze(),
        tlvs: receipt.tlvs()?,
        ..DeliverSm::default()
    })
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let addr = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:2775".into());
    let listener = Listener::bind(addr, None).await?;
    let server = Server::new(listener, ServerConfig::default(), Desk::default());
    server
        .run(async { drop(tokio::signal::ctrl_c().await) })
        .await;
    Ok(())
}
