//! Lives here: requests that are followed by something at once: stray octets, the next request.
//! Never here: requests that are wrong in themselves (`bad_input`).

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::world::{LIMIT, Plan, World, sms};

/// What the API answers to these octets until `count` answers have come.
async fn answers(world: &World, octets: &[u8], count: usize) -> String {
    let mut stream = TcpStream::connect(world.client.api).await.unwrap();
    stream.write_all(octets).await.unwrap();
    let mut text = String::new();
    let mut buffer = [0; 4096];
    let reading = async {
        while text.matches("HTTP/1.1 ").count() < count || !text.ends_with('}') {
            let length = stream.read(&mut buffer).await.unwrap();
            assert!(length > 0, "closed after {text:?}");
            text.push_str(&String::from_utf8_lossy(&buffer[..length]));
        }
    };
    // Well below the time after which an idle connection is closed.
    timeout(LIMIT.min(Duration::from_secs(10)), reading)
        .await
        .unwrap();
    text
}

fn request(world: &World, index: u64) -> Vec<u8> {
    let body = sms("vodacom_tz", index, "transactional", "followed").to_string();
    let key = &world.client.key;
    let length = body.len();
    format!(
        "POST /v1/sms/send HTTP/1.1\r\nHost: mnara\r\nX-API-Key: {key}\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

#[tokio::test]
async fn an_accepted_message_is_answered_whatever_follows_its_request() {
    let world = World::start(Plan::simple()).await;
    for (index, tail) in (0..).zip([&b"\n"[..], b"\r\n", b"POST /v1/sms/se"]) {
        let mut octets = request(&world, index);
        octets.extend_from_slice(tail);
        let text = answers(&world, &octets, 1).await;
        assert!(text.starts_with("HTTP/1.1 201"), "{text}");
    }
    let mut octets = request(&world, 8);
    octets.extend(request(&world, 9));
    let text = answers(&world, &octets, 2).await;
    assert_eq!(text.matches("HTTP/1.1 201").count(), 2, "{text}");
}

#[tokio::test]
async fn the_store_is_readable_by_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::start(Plan::simple()).await;
    let id = world
        .client
        .send(&sms("vodacom_tz", 1, "otp", "private"))
        .await;
    world.until(id, "delivered").await;
    let mut seen = 0;
    for entry in std::fs::read_dir(world.folder()).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name().to_string_lossy().contains(".db") {
            let mode = entry.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "{:?} has mode {mode:o}", entry.file_name());
            seen += 1;
        }
    }
    assert!(seen >= 3, "the database, its log and its lock");
}
