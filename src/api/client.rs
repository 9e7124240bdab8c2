//! Lives here: from which address a request comes, also through proxies.
//! Never here: what follows from it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::http::HeaderMap;
use ipnet::IpNet;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// The other end of the connection, as the listener knows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) IpAddr);

impl Peer {
    /// Nobody's: no list admits it.
    pub(super) const NOBODY: Self = Self(IpAddr::V4(Ipv4Addr::UNSPECIFIED));

    /// The client's address: the peer itself, or, if that is one of our proxies, the last address
    /// of `X-Forwarded-For` that is none of them. What stands before it anybody can have written.
    pub(super) fn client(self, headers: &HeaderMap, proxies: &[IpNet]) -> IpAddr {
        let ours = |address: IpAddr| proxies.iter().any(|net| net.contains(&address));
        let mut nearest = self.0.to_canonical();
        if !ours(nearest) {
            return nearest;
        }
        for value in headers.get_all(FORWARDED_FOR).iter().rev() {
            for place in value.to_str().unwrap_or_default().rsplit(',') {
                let Some(address) = address(place.trim()) else {
                    // Whoever wrote that, what stands before it is not known to be true.
                    return nearest;
                };
                nearest = address;
                if !ours(nearest) {
                    return nearest;
                }
            }
        }
        nearest
    }
}

/// An address, with or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let alone: Option<IpAddr> = text.parse().ok();
    let address = alone.or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()));
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, forwarded: &[&'static str], proxies: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(FORWARDED_FOR, value.parse().unwrap());
        }
        let proxies: Vec<IpNet> = proxies.iter().map(|net| net.parse().unwrap()).collect();
        let peer = Peer(peer.parse().unwrap());
        peer.client(&headers, &proxies).to_string()
    }

    #[test]
    fn a_peer_that_is_no_proxy_is_the_client_whatever_it_says() {
        assert_eq!(client("192.0.2.1", &["10.0.0.1"], &[]), "192.0.2.1");
        assert_eq!(
            client("::ffff:192.0.2.1", &["10.0.0.1"], &["10.0.0.0/8"]),
            "192.0.2.1"
        );
    }

    #[test]
    fn behind_proxies_the_last_address_that_is_none_of_them_counts() {
        let proxies = ["10.0.0.0/8", "::1/128"];
        for (forwarded, expected) in [
            (&["198.51.100.7"][..], "198.51.100.7"),
            (&["203.0.113.9, 198.51.100.7"], "198.51.100.7"),
            (&["203.0.113.9", "198.51.100.7, 10.2.0.1"], "198.51.100.7"),
            (&["198.51.100.7:4711"], "198.51.100.7"),
            (&["[2001:db8::7]:4711"], "2001:db8::7"),
            (&["10.9.9.9, 10.2.0.1"], "10.9.9.9"),
            (&["203.0.113.9, unknown, 10.2.0.1"], "10.2.0.1"),
            (&[], "10.0.0.1"),
            (&[""], "10.0.0.1"),
        ] {
            assert_eq!(
                client("10.0.0.1", forwarded, &proxies),
                expected,
                "{forwarded:?}"
            );
        }
        assert_eq!(client("::1", &["192.0.2.1"], &proxies), "192.0.2.1");
    }
}
