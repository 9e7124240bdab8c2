//! Lives here: the examples run against each other.
//! Never here: anything they do not show.

#![expect(dead_code, reason = "each example has a main of its own")]
#![allow(missing_docs, unreachable_pub)]

#[path = "../examples/client.rs"]
mod client;
#[path = "../examples/smsc.rs"]
mod smsc;

use std::time::Duration;

use mnara_smpp::client::Connect;
use mnara_smpp::receipt::ReceiptState;
use mnara_smpp::server::{Listener, Server, ServerConfig};
use tokio::sync::oneshot;
use tokio::time::timeout;

#[tokio::test]
async fn the_client_of_the_examples_sends_a_message_through_their_smsc() {
    let listener = Listener::bind("localhost:0", None).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = Server::new(listener, ServerConfig::default(), smsc::Desk::default());
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(server.run(async {
        let _ = stopped.await;
    }));
    let limit = Duration::from_secs(30);
    for id in ["00000000", "00000001"] {
        let sent = client::run(Connect::new("localhost", port));
        let sent = timeout(limit, sent).await.unwrap().unwrap();
        assert_eq!(sent, (id.into(), ReceiptState::Delivered));
    }
    stop.send(()).unwrap();
    timeout(limit, running).await.unwrap().unwrap();
}
