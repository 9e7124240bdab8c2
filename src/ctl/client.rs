//! Lives here: one request to the admin listener and its answer, within ten seconds.
//! Never here: what is asked, how it is shown.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Method, Request, StatusCode, header};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::Value;

use super::Target;

/// For one request, from connecting to the last octet.
const PATIENCE: Duration = Duration::from_secs(15);
/// Where the admin listener reads who typed the command.
const OPERATOR: &str = "x-mnara-operator";
/// Octets of an answer at most.
const ANSWER_MAX: usize = 16 * 1024 * 1024;

/// Why a command could not be carried out: one sentence each, with what to do.
#[derive(Debug, thiserror::Error)]
pub enum CtlError {
    /// Nobody listens there.
    #[error("the daemon is not running at {0}; start it, or check [admin] listen in the config")]
    NotRunning(SocketAddr),
    /// The connection or the request failed otherwise.
    #[error("cannot talk to the daemon at {address}: {cause}")]
    Failed {
        /// The admin listener.
        address: SocketAddr,
        /// What happened.
        cause: String,
    },
    /// No answer in time.
    #[error("the daemon at {0} did not answer within 15 seconds; look at its log")]
    Slow(SocketAddr),
    /// The token in the config cannot go into a header.
    #[error("the admin token has characters that HTTP cannot carry; use letters and digits")]
    Token,
    /// The daemon refused.
    #[error("the daemon refused: {message} ({code})")]
    Refused {
        /// A word for programs.
        code: String,
        /// A sentence for people.
        message: String,
    },
    /// The answer is not what this version understands.
    #[error("the daemon's answer is not understood; is it of the same version as this command?")]
    Strange,
    /// A check has found so many differences.
    #[error(
        "{0} differences between balances, ledger and messages; keep the daemon's log and a copy of \
         the store, and look at the organisations' messages before correcting with `ctl credits add`"
    )]
    Differ(usize),
    /// A file that was named cannot be read.
    #[error("cannot read {path}: {cause}", path = path.display())]
    Unread {
        /// The file.
        path: PathBuf,
        /// What happened.
        cause: io::Error,
    },
    /// Standard output failed.
    #[error("cannot print the result: {0}")]
    Output(io::Error),
}

#[derive(Deserialize)]
struct Refusal {
    code: String,
    message: String,
}

/// Asks for something; what of the query is `None` is left out.
pub(super) async fn get(
    target: &Target,
    path: &str,
    query: &[(&str, &Option<String>)],
) -> Result<Value, CtlError> {
    let mut path = path.to_owned();
    let mut mark = '?';
    for (name, value) in query {
        if let Some(value) = value {
            path.push(mark);
            path.push_str(name);
            path.push('=');
            encode(&mut path, value);
            mark = '&';
        }
    }
    send(target, Method::GET, &path, Bytes::new()).await
}

/// Asks to create something.
pub(super) async fn post(target: &Target, path: &str, body: &Value) -> Result<Value, CtlError> {
    send(target, Method::POST, path, body.to_string().into()).await
}

/// Everything but unreserved characters as `%XX` (RFC 3986, 2.3).
pub(super) fn encode(path: &mut String, value: &str) {
    for octet in value.bytes() {
        if octet.is_ascii_alphanumeric() || b"-._~".contains(&octet) {
            path.push(char::from(octet));
        } else {
            path.push_str(&format!("%{octet:02X}"));
        }
    }
}

/// The login name, for the audit: who became root by sudo is named by his own.
fn operator() -> String {
    let names = ["SUDO_USER", "LOGNAME", "USER"];
    let name = names.into_iter().find_map(|name| std::env::var(name).ok());
    let name: String = name
        .unwrap_or_default()
        .chars()
        .filter(|c| c.is_ascii_graphic())
        .collect();
    if name.is_empty() {
        "unknown".into()
    } else {
        name
    }
}

async fn send(target: &Target, method: Method, path: &str, body: Bytes) -> Result<Value, CtlError> {
    let address = reachable(target.address);
    let request = Request::builder()
        .method(method)
        .uri(format!("http://{address}{path}"))
        .header(
            header::AUTHORIZATION,
            format!("Bearer {}", target.token.expose_secret()),
        )
        .header(OPERATOR, operator())
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(body))
        .map_err(|_| CtlError::Token)?;
    let done = tokio::time::timeout(PATIENCE, exchange(address, request)).await;
    let (status, body) = done.map_err(|_| CtlError::Slow(address))??;
    if status.is_success() {
        return serde_json::from_slice(&body).map_err(|_| CtlError::Strange);
    }
    let refusal: Refusal = serde_json::from_slice(&body).map_err(|_| CtlError::Strange)?;
    Err(CtlError::Refused {
        code: refusal.code,
        message: refusal.message,
    })
}

async fn exchange(
    address: SocketAddr,
    request: Request<Full<Bytes>>,
) -> Result<(StatusCode, Bytes), CtlError> {
    let client = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
    let response = client.request(request).await.map_err(|error| {
        if error.is_connect() && is_refused(&error) {
            return CtlError::NotRunning(address);
        }
        CtlError::Failed {
            address,
            cause: root(&error),
        }
    })?;
    let status = response.status();
    let body = Limited::new(response.into_body(), ANSWER_MAX)
        .collect()
        .await;
    let body = body.map_err(|error| CtlError::Failed {
        address,
        cause: error.to_string(),
    })?;
    Ok((status, body.to_bytes()))
}

/// A daemon that listens on every address is reached on this machine's own.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn causes<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| error.source())
}

fn is_refused(error: &(dyn std::error::Error + 'static)) -> bool {
    causes(error).any(|cause| {
        let cause = cause.downcast_ref::<io::Error>();
        cause.is_some_and(|cause| cause.kind() == io::ErrorKind::ConnectionRefused)
    })
}

/// The innermost cause: the only one that says something.
fn root(error: &(dyn std::error::Error + 'static)) -> String {
    causes(error)
        .last()
        .map_or_else(String::new, ToString::to_string)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    fn target(address: SocketAddr) -> Target {
        Target {
            address,
            token: "t".to_owned().into(),
        }
    }

    /// Answers one request with these octets and returns what was asked.
    async fn answered(answer: &'static str) -> (Result<Value, CtlError>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = target(listener.local_addr().unwrap());
        let serving = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = vec![0; 4096];
            let length = stream.read(&mut asked).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8_lossy(&asked[..length]).into_owned()
        };
        tokio::join!(get(&target, "/admin/v1/binds", &[]), serving)
    }

    #[tokio::test]
    async fn a_daemon_that_does_not_run_is_named_with_its_address() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let error = get(&target(address), "/admin/v1/binds", &[])
            .await
            .unwrap_err();
        assert!(
            error
                .to_string()
                .contains(&format!("not running at {address}")),
            "{error}"
        );
    }

    #[tokio::test]
    async fn the_answer_and_the_refusal_of_the_daemon_come_through() {
        let fine = "HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\n{\"binds\":[]}";
        let (told, asked) = answered(fine).await;
        assert_eq!(told.unwrap().to_string(), "{\"binds\":[]}");
        assert!(asked.contains("authorization: Bearer t"), "{asked}");
        assert!(asked.contains("x-mnara-operator: "), "{asked}");
        let refused = "HTTP/1.1 409 C\r\ncontent-length: 36\r\n\r\n{\"code\":\"conflict\",\"message\":\"name\"}";
        let (told, _) = answered(refused).await;
        assert_eq!(
            told.unwrap_err().to_string(),
            "the daemon refused: name (conflict)"
        );
        let strange = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";
        assert!(matches!(answered(strange).await.0, Err(CtlError::Strange)));
        assert!(matches!(answered("").await.0, Err(CtlError::Failed { .. })));
    }

    #[tokio::test]
    async fn a_token_that_is_no_header_is_refused_before_anything_is_sent() {
        let mut target = target("127.0.0.1:1".parse().unwrap());
        target.token = "a\nb".to_owned().into();
        assert!(matches!(
            get(&target, "/x", &[]).await,
            Err(CtlError::Token)
        ));
    }

    #[test]
    fn what_is_asked_for_may_have_any_characters() {
        let mut path = String::new();
        encode(&mut path, "Duka & Café/1");
        assert_eq!(path, "Duka%20%26%20Caf%C3%A9%2F1");
    }

    #[test]
    fn a_daemon_on_every_address_is_asked_on_loopback() {
        for (listen, asked) in [
            ("0.0.0.0:9090", "127.0.0.1:9090"),
            ("[::]:9090", "[::1]:9090"),
            ("10.0.0.1:9090", "10.0.0.1:9090"),
        ] {
            assert_eq!(reachable(listen.parse().unwrap()), asked.parse().unwrap());
        }
    }
}
