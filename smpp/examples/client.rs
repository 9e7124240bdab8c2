//! Lives here: a whole SMPP client: connect, bind, submit, wait for the receipt, unbind.
//! Never here: reconnecting, and what to do about an answer that does not come.
//!
//! `cargo run -p mnara-smpp --example client -- 127.0.0.1 2775`, with the example `smsc` on the other side.

use std::error::Error;

use mnara_smpp::client::{self, Connect};
use mnara_smpp::pdu::{Address, Bind, Pdu, SubmitSm, npi, registered_delivery, ton};
use mnara_smpp::receipt::{self, ReceiptState};
use mnara_smpp::session::SessionConfig;
use mnara_smpp::transport::{Event, Limits};

/// Sends one message; returns its id and what became of it.
pub async fn run(to: Connect) -> Result<(String, ReceiptState), Box<dyn Error + Send + Sync>> {
    let demo = Bind::transceiver("demo", "secret");
    let connection = client::bind(&to, &demo, SessionConfig::esme()).await?;
    let (handle, driver, mut incoming) = connection.split(&Limits::default());
    let driver = tokio::spawn(driver.run());
    let submit = SubmitSm {
        source: Address::new(ton::ALPHANUMERIC, npi::UNKNOWN, "MNARA"),
        dest: Address::new(ton::INTERNATIONAL, npi::E164, "255753276939"),
        registered_delivery: registered_delivery::FINAL,
        short_message: "Habari ya asubuhi!".into(),
        ..SubmitSm::default()
    };
    // Waits for a slot of the window and for the answer; `try_offer` would do neither.
    let id = handle.submit(submit).await?;
    let mut state = None;
    while state.is_none()
        && let Some(event) = incoming.next().await
    {
        if let Event::Request(request) = event
            && let Pdu::DeliverSm(deliver) = &request.pdu
        {
            state = Some(receipt::parse(deliver)?.state());
            request.accept("");
        }
    }
    handle.unbind().await;
    driver.await?;
    Ok((id.to_str_lossy().into(), state.ok_or("no receipt came")?))
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
