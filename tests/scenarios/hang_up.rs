//! Lives here: clients that hang up before they are answered.
//! Never here: clients that are slow; the listener has its own tests.

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::world::{Plan, World, sms};

#[tokio::test]
async fn a_client_that_hangs_up_leaves_a_whole_message_or_none() {
    const CLIENTS: u64 = 200;
    let world = World::start(Plan::simple()).await;
    for index in 0..CLIENTS {
        let text = format!("hang up {index}");
        let body = sms("vodacom_tz", index, "transactional", &text).to_string();
        let request = format!(
            "POST /v1/sms/send HTTP/1.1\r\nHost: mnara\r\nX-API-Key: {}\r\n\
             Content-Length: {}\r\n\r\n{body}",
            world.client.key,
            body.len()
        );
        // Some break off within the request, some right behind it.
        let sent = match index % 4 {
            0 => request.len() - 10,
            _ => request.len(),
        };
        let mut stream = TcpStream::connect(world.client.api).await.unwrap();
        stream.write_all(&request.as_bytes()[..sent]).await.unwrap();
    }
    let id = world
        .client
        .send(&sms("vodacom_tz", 1, "promotional", "the last"))
        .await;
    world.until(id, "delivered").await;
    // The last one is of the lowest class: by now all others have been submitted before it.
    let submits = world.carrier().smsc.stats().submits;
    assert!(submits <= CLIENTS * 3 / 4 + 1, "{submits}");
    for submit in world.carrier().log.snapshot() {
        assert_eq!(world.carrier().submits_of(&submit.text).len(), 1);
    }
    let queue = world.ctl(&["queue"]).await;
    let lanes = queue["lanes"].as_array().unwrap();
    assert!(lanes.iter().all(|lane| lane["queued"] == 0), "{queue}");
}
