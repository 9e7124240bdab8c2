//! Lives here: an SMSC: authenticates, accepts every submit_sm and sends its receipt.
//! Never here: delivering anything.
//!
//! `cargo run -p mnara-smpp --example smsc -- 127.0.0.1:2775`; Ctrl-C unbinds everybody.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use mnara_smpp::pdu::Pdu;
use mnara_smpp::receipt::{NewReceipt, ReceiptState};
use mnara_smpp::server::{
    Accepted, BindRequest, Listener, Peer, Reject, Server, ServerConfig, Service,
};
use mnara_smpp::status::CommandStatus;
use mnara_smpp::time::AbsoluteTime;
use mnara_smpp::tlv::Tlvs;
use mnara_smpp::transport::PeerRequest;

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
        let Pdu::SubmitSm(submit) = request.pdu.clone() else {
            return request.refuse(CommandStatus::ESME_RINVCMDID);
        };
        let id = format!("{:08X}", self.next.fetch_add(1, Ordering::Relaxed));
        // A real service makes the message durable first.
        request.accept(id.as_str());
        if submit.registered_delivery == 0 || !peer.receives() {
            return;
        }
        let now = AbsoluteTime::from_system_time(SystemTime::now(), 0).expect("before 2100");
        let receipt = NewReceipt::new(&id, ReceiptState::Delivered, now.local());
        let mut deliver = receipt
            .to_sender_of(&submit)
            .expect("the id is hexadecimal");
        if !peer.version.has_tlvs() {
            deliver.tlvs = Tlvs::new();
        }
        if let Err(error) = peer.handle.request(Pdu::DeliverSm(deliver)).await {
            eprintln!("receipt of {id}: {error}");
        }
    }
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
