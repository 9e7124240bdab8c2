//! Lives here: the webhook listener against hand-written requests. Never here: the daemon.

use tokio::time::timeout;

use super::*;

const SECRET: &str = "whsec_c2VjcmV0";
const LIMIT: Duration = Duration::from_secs(10);
const MESSAGE: &str = "0190d2c4-0000-7000-8000-00000000002a";

fn request(kind: &str, webhook_id: &str, secret: &str) -> Vec<u8> {
    let body = format!(
        r#"{{"id":"{webhook_id}","type":"{kind}","sequence":1,"data":{{"id":"{MESSAGE}"}}}}"#
    );
    let mut key = key_of(secret);
    key.update(body.as_bytes());
    let signature: String = key
        .finalize()
        .into_bytes()
        .iter()
        .map(|octet| format!("{octet:02x}"))
        .collect();
    format!(
        "POST /hook HTTP/1.1\r\nHost: x\r\nwebhook-id: {webhook_id}\r\nX-MojaWave-Signature: {signature}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

async fn receiver() -> (Receiver, TcpStream) {
    let config = HookConfig {
        secret: Some(SECRET.into()),
        ..HookConfig::default()
    };
    let receiver = Receiver::start(config).await.unwrap();
    let stream = TcpStream::connect(receiver.addr()).await.unwrap();
    (receiver, stream)
}

async fn answer(stream: &mut TcpStream) -> String {
    let mut buffer = vec![0; 1024];
    let read = timeout(LIMIT, stream.read(&mut buffer))
        .await
        .unwrap()
        .unwrap();
    String::from_utf8_lossy(&buffer[..read]).into_owned()
}

#[tokio::test]
async fn a_signed_event_is_answered_counted_and_kept() {
    let (receiver, mut stream) = receiver().await;
    stream
        .write_all(&request("message.sent", "evt_1", SECRET))
        .await
        .unwrap();
    assert!(answer(&mut stream).await.starts_with("HTTP/1.1 200 OK"));
    let counts = receiver.counts();
    assert_eq!(
        (counts.sent, counts.bad_signatures, counts.unreadable),
        (1, 0, 0)
    );
    let event = receiver.events().remove(0);
    assert_eq!(
        (event.kind.as_str(), event.signature_ok),
        ("message.sent", Some(true))
    );
    assert_eq!(event.header("WEBHOOK-ID"), Some("evt_1"));
    assert!(receiver.seen(MESSAGE.parse().unwrap()).sent);
    receiver.shutdown().await;
}

#[tokio::test]
async fn a_signature_with_another_secret_or_none_is_bad() {
    let (receiver, mut stream) = receiver().await;
    stream
        .write_all(&request("message.sent", "evt_1", "whsec_other"))
        .await
        .unwrap();
    answer(&mut stream).await;
    stream
        .write_all(b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}")
        .await
        .unwrap();
    answer(&mut stream).await;
    let counts = receiver.counts();
    assert_eq!(
        (counts.requests, counts.bad_signatures, counts.unreadable),
        (2, 2, 1)
    );
}

#[tokio::test]
async fn a_retry_is_a_repeat_and_a_second_event_of_a_type_is_a_double() {
    let (receiver, mut stream) = receiver().await;
    for (kind, id) in [
        ("message.sent", "evt_1"),
        ("message.delivered", "evt_2"),
        ("message.delivered", "evt_2"),
        ("message.delivered", "evt_3"),
    ] {
        stream.write_all(&request(kind, id, SECRET)).await.unwrap();
        answer(&mut stream).await;
    }
    let counts = receiver.counts();
    assert_eq!(
        (
            counts.sent,
            counts.delivered,
            counts.repeats,
            counts.doubled
        ),
        (1, 1, 1, 1)
    );
    assert!(receiver.seen(MESSAGE.parse().unwrap()).doubled);
}

#[tokio::test]
async fn requests_split_and_joined_at_any_octet_are_read() {
    let (receiver, mut stream) = receiver().await;
    stream.set_nodelay(true).unwrap();
    let mut both = request("message.sent", "evt_1", SECRET);
    both.extend(request("message.failed", "evt_2", SECRET));
    for chunk in both.chunks(7) {
        stream.write_all(chunk).await.unwrap();
        stream.flush().await.unwrap();
    }
    assert!(
        receiver
            .wait_until(LIMIT, |receiver| receiver.counts().failed == 1)
            .await
    );
    assert_eq!(
        (receiver.counts().sent, receiver.counts().bad_signatures),
        (1, 0)
    );
}

#[tokio::test]
async fn scripted_failures_are_answered_first_and_not_counted_as_received() {
    let (receiver, mut stream) = receiver().await;
    receiver.answer_next([Answer::Status(503), Answer::Cut]);
    stream
        .write_all(&request("message.sent", "evt_1", SECRET))
        .await
        .unwrap();
    assert!(answer(&mut stream).await.starts_with("HTTP/1.1 503"));
    stream
        .write_all(&request("message.sent", "evt_1", SECRET))
        .await
        .unwrap();
    assert_eq!(answer(&mut stream).await, "");
    let mut again = TcpStream::connect(receiver.addr()).await.unwrap();
    again
        .write_all(&request("message.sent", "evt_1", SECRET))
        .await
        .unwrap();
    assert!(answer(&mut again).await.starts_with("HTTP/1.1 200"));
    let counts = receiver.counts();
    assert_eq!(
        (counts.requests, counts.refused, counts.sent, counts.repeats),
        (3, 2, 1, 0)
    );
}

#[tokio::test]
async fn octets_that_are_no_http_end_the_connection() {
    let (receiver, mut stream) = receiver().await;
    stream
        .write_all(b"\0\x01\x02 garbage\r\n\r\n")
        .await
        .unwrap();
    assert_eq!(answer(&mut stream).await, "");
    assert_eq!(receiver.counts().requests, 0);
}
