//! Lives here: the only way out: a connector that resolves a host, vets every address and
//! connects to a vetted one, so that a name that changes its mind between check and connect
//! gains nothing. Literal addresses take the same way.
//! Never here: which URLs are taken at accept (`domain::webhook_url`), TLS, HTTP.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout_at};
use tower::Service;

use crate::domain::webhook_url::is_public;

/// Of a host's addresses at most this many are tried.
const ADDRESSES_MAX: usize = 4;

/// The connector.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    allow_loopback: bool,
    timeout: Duration,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum GuardError {
    #[error("the host's address is not on the public Internet")]
    NotPermitted,
    #[error("the host's name cannot be resolved")]
    Unresolved,
    #[error("the host refuses connections")]
    Refused,
    #[error("the host cannot be reached")]
    Unreachable,
    #[error("connecting took too long")]
    TimedOut,
}

impl Guard {
    /// `timeout` covers resolving and all addresses.
    pub(super) const fn new(allow_loopback: bool, timeout: Duration) -> Self {
        Self {
            allow_loopback,
            timeout,
        }
    }

    async fn connect(self, uri: Uri) -> Result<TokioIo<TcpStream>, GuardError> {
        let deadline = Instant::now() + self.timeout;
        let host = uri.host().ok_or(GuardError::Unresolved)?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let https = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if https { 443 } else { 80 });
        let resolved = timeout_at(deadline, resolve(host, port))
            .await
            .map_err(|_| GuardError::TimedOut)??;
        let vetted = self.vet(host, resolved)?;
        let mut last = GuardError::Unreachable;
        for (index, address) in vetted.iter().enumerate() {
            // Half of what is left, so that one dead address leaves time for the next.
            let now = Instant::now();
            let left = deadline.saturating_duration_since(now);
            let is_last = index + 1 == vetted.len();
            let until = if is_last { deadline } else { now + left / 2 };
            match timeout_at(until, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    // Without it small requests wait for acknowledgements; failing is harmless.
                    let _ = stream.set_nodelay(true);
                    return Ok(TokioIo::new(stream));
                }
                Ok(Err(error)) => last = GuardError::from_kind(error.kind()),
                Err(_) => last = GuardError::TimedOut,
            }
        }
        Err(last)
    }

    /// The permitted addresses, IPv4 first: a broken IPv6 uplink is common, a broken IPv4 one is
    /// noticed. A host that is this machine by name must lead here and nowhere else.
    fn vet(&self, host: &str, resolved: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, GuardError> {
        let local = self.allow_loopback
            && (host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback()));
        let permitted = |address: &SocketAddr| match local {
            true => address.ip().is_loopback(),
            false => is_public(address.ip()),
        };
        if resolved.is_empty() {
            return Err(GuardError::Unresolved);
        }
        let mut vetted: Vec<_> = resolved.into_iter().filter(permitted).collect();
        vetted.sort_by_key(SocketAddr::is_ipv6);
        vetted.truncate(ADDRESSES_MAX);
        if vetted.is_empty() {
            return Err(GuardError::NotPermitted);
        }
        Ok(vetted)
    }
}

impl GuardError {
    fn from_kind(kind: io::ErrorKind) -> Self {
        if kind == io::ErrorKind::ConnectionRefused {
            Self::Refused
        } else {
            Self::Unreachable
        }
    }
}

impl Service<Uri> for Guard {
    type Response = TokioIo<TcpStream>;
    type Error = GuardError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}

async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, GuardError> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    lookup_host((host, port))
        .await
        .map(Iterator::collect)
        .map_err(|_| GuardError::Unresolved)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(allow_loopback: bool) -> Guard {
        Guard::new(allow_loopback, Duration::from_secs(1))
    }

    #[tokio::test]
    async fn literal_inside_addresses_are_refused_at_connect_too() {
        for uri in [
            "https://169.254.169.254/",
            "https://127.0.0.1/",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[64:ff9b::a9fe:a9fe]/",
            "https://10.0.0.1/",
        ] {
            let found = guard(false).connect(Uri::from_static(uri)).await;
            assert!(matches!(found, Err(GuardError::NotPermitted)), "{uri}");
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_inside_is_refused() {
        let found = guard(false)
            .connect(Uri::from_static("https://localhost/"))
            .await;
        assert!(matches!(found, Err(GuardError::NotPermitted)));
    }

    #[test]
    fn a_public_name_may_not_lead_to_loopback_even_where_loopback_is_allowed() {
        let inside: SocketAddr = "127.0.0.1:443".parse().unwrap();
        let outside: SocketAddr = "8.8.8.8:443".parse().unwrap();
        let outside6: SocketAddr = "[2606:4700::1]:443".parse().unwrap();
        let guard = guard(true);
        assert!(guard.vet("example.com", vec![inside]).is_err());
        assert!(guard.vet("localhost", vec![outside]).is_err());
        assert_eq!(guard.vet("localhost", vec![inside]).unwrap(), [inside]);
        let mixed = guard.vet("example.com", vec![outside6, inside, outside]);
        assert_eq!(mixed.unwrap(), [outside, outside6]);
    }
}
