//! Lives here: an SMSC: authenticates, accepts every submit_sm and sends its receipt.
//! Never here: delivering anything.
//!
//! `cargo run -p mnara-smpp --example smsc -- 127.0.0.1:2775`; Ctrl-C unbinds everybody.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mnara_smpp::pdu::{DeliverSm, OctetStr, Pdu, SubmitSmResp, esm_class, registered_delivery};
use mnara_smpp::server::{
    Accepted, BindRequest, Listener, Peer, Reject, Server, ServerConfig, Service,
};
use mnara_smpp::status::CommandStatus;
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
        let text = format!(
            "id:{id} sub:001 dlvrd:001 submit date:2611211325 done date:2611211326 stat:DELIVRD err:000 text:"
        );
        let receipt = DeliverSm {
            source: submit.dest,
            dest: submit.source,
            esm_class: esm_class::RECEIPT,
            short_message: text.into(),
            ..DeliverSm::default()
        };
        if let Err(error) = peer.handle.request(Pdu::DeliverSm(receipt)).await {
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
