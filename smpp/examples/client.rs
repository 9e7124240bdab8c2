//! Lives here: a whole SMPP client: connect, bind, submit, wait for the receipt, unbind.
//! Never here: reconnecting, and what to do about an answer that does not come.
//!
//! `cargo run -p mnara-smpp --example client -- 127.0.0.1 2775`, with the example `smsc` on the other side.

use std::error::Error;

use bytes::Bytes;
use mnara_smpp::client::{self, Connect};
use mnara_smpp::pdu::{Address, Bind, DeliverSmResp, Pdu, SubmitSm, npi, registered_delivery, ton};
use mnara_smpp::receipt::{self, ReceiptState};
use mnara_smpp::session::SessionConfig;
use mnara_smpp::transport::{Event, Limits, PeerRequest, Reply};

/// Sends one message; returns its id and what became of it.
pub async fn run(to: Connect) -> Result<(String, ReceiptState), Box<dyn Error + Send + Sync>> {
    let demo = Bind {
        system_id: "demo".into(),
        password: "secret".into(),
        ..Bind::default()
    };
    let connection = client::bind(&to, &demo, SessionConfig::esme()).await?;
    let (handle, driver, mut incoming) = connection.split(&Limits::default());
    let driver = tokio::spawn(driver.run());
    let submit = SubmitSm {
        source: Address::new(ton::ALPHANUMERIC, npi::UNKNOWN, "MNARA"),
        dest: Address::new(ton::INTERNATIONAL, npi::E164, "255753276939"),
        registered_delivery: registered_delivery::FINAL,
        short_message: Bytes::from_static(b"Habari ya asubuhi!"),
        ..SubmitSm::default()
    };
    // Waits for a slot of the window and for the answer; `try_offer` would do neither.
    let answer = handle.request(Pdu::SubmitSm(submit)).await?;
    let id = match answer.pdu {
        Some(Pdu::SubmitSmResp(resp)) if answer.status.is_ok() => {
            resp.message_id.to_str_lossy().into_owned()
        }
        _ => return Err(answer.status.name().into()),
    };
    let state = loop {
        match incoming
            .next()
            .await
            .ok_or("the connection ended before the receipt")?
        {
            Event::Request(PeerRequest {
                pdu: Pdu::DeliverSm(deliver),
                responder,
                ..
            }) => {
                let receipt = receipt::parse(&deliver)?;
                responder.answer(Reply::ok(Pdu::DeliverSmResp(DeliverSmResp::default())));
                if receipt.id() == id {
                    break receipt.state();
                }
            }
            // A request that is dropped is declined, so that the server sends it again.
            Event::Request(_) | Event::Notified(_) | Event::Orphan(_) => {}
        }
    };
    handle.unbind().await;
    driver.await?;
    Ok((id, state))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut args = std::env::args().skip(1);
    let host = args.next().unwrap_or_else(|| "127.0.0.1".into());
    let port = args.next().map_or(Ok(2775), |port| port.parse())?;
    let (id, state) = run(Connect::new(host, port)).await?;
    println!("message {id}: {state:?}");
    Ok(())
}
