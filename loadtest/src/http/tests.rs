//! Lives here: the generator against a tiny responder. Never here: the daemon.

use std::sync::atomic::AtomicUsize;

use tokio::net::TcpListener;

use super::*;
use crate::{ledger::Notified, networks::NETWORKS};

const ACCEPTED: &str =
    r#"{"success":true,"data":{"status":"queued","id":"0190d2c4-0000-7000-8000-00000000002a"}}"#;

fn config(addr: SocketAddr, messages: u64, pace: Pace) -> HttpConfig {
    let shape = RequestShape {
        host: addr.to_string(),
        path: "/v1/sms/send".into(),
        key: "sk".into(),
        sender: "MNARA".into(),
        text: "hello".into(),
        class: None,
        webhook_url: None,
    };
    HttpConfig {
        addr,
        shape,
        networks: NETWORKS.to_vec(),
        connections: 4,
        pace,
        first_marker: 10,
        messages,
        time_limit: None,
    }
}

/// Answers every request on every connection with what `answer` makes of its number; an empty answer cuts the
/// connection.
async fn responder(answer: fn(usize) -> String) -> (SocketAddr, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let requests = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let requests = Arc::clone(&requests);
            connections.spawn(async move {
                let mut buffer = vec![0; 4096];
                while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {
                    let body = answer(requests.fetch_add(1, Ordering::Relaxed));
                    if body.is_empty() || stream.write_all(body.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (addr, tasks)
}

fn created(_: usize) -> String {
    format!(
        "HTTP/1.1 201 Created\r\nContent-Length: {}\r\n\r\n{ACCEPTED}",
        ACCEPTED.len()
    )
}

#[tokio::test]
async fn one_connection_serves_request_after_request() {
    let (addr, _tasks) = responder(|number| {
        let body = format!("{number}");
        format!(
            "HTTP/1.1 20{number} Done\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    })
    .await;
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let limit = Duration::from_secs(5);
    for number in 0..3 {
        let asked = request("POST", addr, "/v1/sms/bulk", Some("sk"), b"{}");
        let (status, body) = exchange(&mut stream, &asked, limit).await.unwrap();
        assert_eq!(
            (status, body),
            (200 + number, number.to_string().into_bytes())
        );
    }
    let asked = String::from_utf8(request("GET", addr, "/x", None, b"")).unwrap();
    assert!(asked.starts_with("GET /x HTTP/1.1\r\n") && !asked.contains("Authorization"));
}

#[tokio::test]
async fn every_201_of_a_closed_loop_is_in_the_ledger() {
    let (addr, _tasks) = responder(created).await;
    let ledger = Arc::new(Ledger::new(1000));
    let report = run(&config(addr, 200, Pace::Closed), Arc::clone(&ledger))
        .await
        .unwrap();
    assert_eq!((report.sent, report.accepted, report.errors), (200, 200, 0));
    assert_eq!(report.latency.len(), 200);
    assert_eq!(
        ledger
            .compare(0..u64::MAX, false, |_| Notified::NOT_EXPECTED)
            .accepted,
        200
    );
    assert_eq!(
        ledger
            .compare(11..u64::MAX, false, |_| Notified::NOT_EXPECTED)
            .accepted,
        199
    );
    assert_eq!(
        ledger
            .compare(0..u64::MAX, false, |id| Notified {
                complete: id.as_u128() & 0xff == 42,
                doubled: false
            })
            .never_notified,
        0
    );
}

#[tokio::test]
async fn an_open_loop_keeps_its_schedule() {
    let (addr, _tasks) = responder(created).await;
    let ledger = Arc::new(Ledger::new(1000));
    let report = run(&config(addr, 50, Pace::Open { per_second: 500.0 }), ledger)
        .await
        .unwrap();
    assert_eq!(report.accepted, 50);
    assert!(
        report.elapsed >= Duration::from_millis(98),
        "{:?}",
        report.elapsed
    );
}

#[tokio::test]
async fn refusals_and_cut_connections_are_counted_apart() {
    let answer = |number: usize| match number % 4 {
        0 => "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n".to_owned(),
        1 => String::new(),
        _ => created(number),
    };
    let (addr, _tasks) = responder(answer).await;
    let ledger = Arc::new(Ledger::new(1000));
    let mut config = config(addr, 40, Pace::Closed);
    config.connections = 1;
    let report = run(&config, Arc::clone(&ledger)).await.unwrap();
    assert_eq!(
        (report.accepted, report.errors, report.statuses[&503]),
        (20, 10, 10)
    );
    assert!(report.first_error.is_some());
    assert_eq!(
        ledger
            .compare(0..u64::MAX, false, |_| Notified::NOT_EXPECTED)
            .accepted,
        20
    );
}

#[tokio::test]
async fn a_health_check_reads_status_and_body() {
    let (addr, _tasks) =
        responder(|_| "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nready".into()).await;
    let (status, body) = get(addr, "/readyz", Duration::from_secs(5)).await.unwrap();
    assert_eq!((status, body.as_slice()), (200, &b"ready"[..]));
}

#[tokio::test]
async fn a_run_without_networks_is_refused() {
    let (addr, _tasks) = responder(created).await;
    let mut config = config(addr, 1, Pace::Closed);
    config.networks.clear();
    assert!(run(&config, Arc::new(Ledger::new(1))).await.is_err());
}
