//! Lives here: which URLs may receive webhooks, and which addresses are public.
//! Never here: resolving names (`webhooks::guard` does, and vets the answers by [`is_public`]).
//!
//! The parser is narrower than RFC 3986 on purpose: whatever two parsers could read in two ways
//! (`0x7f.1`, `127.1`, user info, backslashes, percent signs in the host) is refused, so that
//! what was vetted is what is connected to.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

/// The longest URL taken, in characters.
pub const URL_MAX: usize = 2048;

/// Ports that a receiver outside this machine may use.
const PORTS: [u16; 2] = [443, 8443];

/// A URL that may be called, in one spelling: scheme and host in lower case, the scheme's own
/// port left out, at least `/` as path.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookUrl {
    text: Box<str>,
    authority: Range<usize>,
    loopback: bool,
}

/// Why a URL may not be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// More than [`URL_MAX`] characters.
    #[error("the webhook URL is too long; at most 2048 characters")]
    TooLong,
    /// Not `scheme://host/path`, or characters that must be percent-encoded.
    #[error("the webhook URL is malformed; give it as https://host/path, percent-encoded")]
    Malformed,
    /// Not https.
    #[error("the webhook URL must begin with https://")]
    Scheme,
    /// It carries a user name or password.
    #[error("the webhook URL must not contain a user name or password")]
    UserInfo,
    /// It has a `#`.
    #[error("the webhook URL must not have a fragment (#)")]
    Fragment,
    /// The host is neither a full domain name nor a plain address.
    #[error("the webhook URL's host is not a full domain name or a plain IP address")]
    Host,
    /// The host is not on the public Internet.
    #[error("the webhook URL's host is not on the public Internet")]
    NotPublic,
    /// Neither 443 nor 8443.
    #[error("the webhook URL's port must be 443 or 8443")]
    Port,
}

enum Host {
    Name(String),
    Address(IpAddr),
}

impl WebhookUrl {
    /// Reads a URL. `allow_loopback` additionally takes http and any port when the host is this
    /// machine itself; it is for tests and the demo.
    ///
    /// # Errors
    /// [`UrlError`], each variant with its remedy.
    pub fn parse(text: &str, allow_loopback: bool) -> Result<Self, UrlError> {
        if text.len() > URL_MAX {
            return Err(UrlError::TooLong);
        }
        if !text.bytes().all(is_url_octet) {
            return Err(UrlError::Malformed);
        }
        if text.contains('#') {
            return Err(UrlError::Fragment);
        }
        let (scheme, rest) = text.split_once("://").ok_or(UrlError::Malformed)?;
        let (scheme, usual_port) = if scheme.eq_ignore_ascii_case("https") {
            ("https", 443)
        } else if scheme.eq_ignore_ascii_case("http") {
            ("http", 80)
        } else {
            return Err(UrlError::Scheme);
        };
        let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(UrlError::UserInfo);
        }
        let (host, port) = split_authority(authority)?;
        let port = port.unwrap_or(usual_port);
        let loopback = host.is_loopback();
        if loopback && !allow_loopback {
            return Err(UrlError::NotPublic);
        }
        if !loopback {
            host.check_public()?;
            if scheme != "https" {
                return Err(UrlError::Scheme);
            }
            if !PORTS.contains(&port) {
                return Err(UrlError::Port);
            }
        }
        let mut text = format!("{scheme}://{host}");
        if port != usual_port {
            text.push_str(&format!(":{port}"));
        }
        let authority = scheme.len() + 3..text.len();
        if !target.starts_with('/') {
            text.push('/');
        }
        text.push_str(target);
        Ok(Self {
            text: text.into(),
            authority,
            loopback,
        })
    }

    /// `scheme://host[:port]`: what connections and queues are kept by.
    pub fn origin(&self) -> &str {
        &self.text[..self.authority.end]
    }

    /// `host[:port]`, as the `Host` header spells it.
    pub fn authority(&self) -> &str {
        &self.text[self.authority.clone()]
    }

    /// Path and query, beginning with `/`. May hold secrets of its owner: not for logs.
    pub fn target(&self) -> &str {
        &self.text[self.authority.end..]
    }

    /// Whether the host is this machine itself.
    pub const fn is_loopback(&self) -> bool {
        self.loopback
    }
}

impl fmt::Debug for WebhookUrl {
    /// The origin alone: paths and queries of webhooks often hold tokens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WebhookUrl").field(&self.origin()).finish()
    }
}

impl Host {
    fn is_loopback(&self) -> bool {
        match self {
            Self::Name(name) => name == "localhost",
            Self::Address(address) => address.is_loopback(),
        }
    }

    fn check_public(&self) -> Result<(), UrlError> {
        match self {
            Self::Address(address) if is_public(*address) => Ok(()),
            Self::Address(_) => Err(UrlError::NotPublic),
            // A name of one label would be completed from the machine's own search list.
            Self::Name(name) if !name.contains('.') => Err(UrlError::Host),
            Self::Name(name) if name.ends_with(".localhost") => Err(UrlError::NotPublic),
            Self::Name(_) => Ok(()),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => address.fmt(f),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

/// Whether an address is on the public Internet and belongs to nobody's inside: not private,
/// loopback, link-local, shared (CGNAT), multicast, reserved, for documentation, a wrapping of an
/// IPv4 address in IPv6, or a cloud's metadata service (IANA's special-purpose registries).
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    const METADATA: Ipv4Addr = Ipv4Addr::new(168, 63, 129, 16);
    let [a, b, c, _] = address.octets();
    let inside = match (a, b, c) {
        (0 | 10 | 127 | 224..=255, _, _) => true,
        (100, 64..=127, _) | (169, 254, _) | (172, 16..=31, _) | (192, 168, _) => true,
        (192, 0, 0 | 2) | (192, 88, 99) | (198, 18..=19, _) => true,
        (198, 51, 100) | (203, 0, 113) => true,
        // Azure's wire server has an address that looks public.
        (_, _, _) => address == METADATA,
    };
    !inside
}

/// Only 2000::/3 is given out; outside it lie loopback, unspecified, mapped and NAT64 addresses
/// (`::/3`), unique local, link-local and multicast ones (`e000::/3`).
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    let given_out = a & 0xe000 == 0x2000;
    // 2001::/23 protocol assignments (Teredo among them), documentation, 6to4.
    let special = match a {
        0x2001 => b < 0x0200 || b == 0x0db8,
        0x2002 => true,
        0x3fff => b < 0x1000,
        0..=0x2000 | 0x2003..=0x3ffe | 0x4000..=0xffff => false,
    };
    given_out && !special
}

fn is_url_octet(octet: u8) -> bool {
    matches!(octet, 0x21..=0x7e) && !b"\"<>\\^`{|}".contains(&octet)
}

fn split_authority(authority: &str) -> Result<(Host, Option<u16>), UrlError> {
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let (inside, after) = rest.split_once(']').ok_or(UrlError::Malformed)?;
        let address: Ipv6Addr = inside.parse().map_err(|_| UrlError::Host)?;
        let port = match after.strip_prefix(':') {
            Some(port) => Some(port),
            None if after.is_empty() => None,
            None => return Err(UrlError::Malformed),
        };
        (Host::Address(address.into()), port)
    } else {
        match authority.split_once(':') {
            Some((host, port)) => (read_name(host)?, Some(port)),
            None => (read_name(authority)?, None),
        }
    };
    let port = match port {
        None => None,
        Some(text) if text.is_empty() || text.len() > 5 => return Err(UrlError::Malformed),
        Some(text) if !text.bytes().all(|octet| octet.is_ascii_digit()) => {
            return Err(UrlError::Malformed);
        }
        Some(text) => match text.parse() {
            Ok(0) | Err(_) => return Err(UrlError::Port),
            Ok(port) => Some(port),
        },
    };
    Ok((host, port))
}

/// A domain name or an IPv4 address in its one plain spelling. What ends in a number is an
/// address to some resolvers (WHATWG URL, inet_aton), so it must be a plain one to us too.
fn read_name(text: &str) -> Result<Host, UrlError> {
    if text.is_empty() || text.len() > 253 {
        return Err(UrlError::Host);
    }
    let last = text.rsplit('.').next().unwrap_or_default();
    let hexadecimal = last.starts_with("0x") || last.starts_with("0X");
    if hexadecimal || last.bytes().all(|octet| octet.is_ascii_digit()) {
        let address: Ipv4Addr = text.parse().map_err(|_| UrlError::Host)?;
        return Ok(Host::Address(address.into()));
    }
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|octet| octet.is_ascii_alphanumeric() || octet == b'-')
    };
    if text.split('.').all(is_label) {
        Ok(Host::Name(text.to_ascii_lowercase()))
    } else {
        Err(UrlError::Host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_public_https_urls_are_taken() {
        let table = [
            ("https://example.com", Ok("https://example.com/")),
            (
                "HTTPS://Example.COM:443/Hook?a=B",
                Ok("https://example.com/Hook?a=B"),
            ),
            ("https://example.com?x", Ok("https://example.com/?x")),
            (
                "https://hooks.example.co.tz:8443/sms",
                Ok("https://hooks.example.co.tz:8443/sms"),
            ),
            ("https://8.8.8.8/", Ok("https://8.8.8.8/")),
            (
                "https://[2606:4700::1111]/",
                Ok("https://[2606:4700::1111]/"),
            ),
            ("http://example.com/", Err(UrlError::Scheme)),
            ("ftp://example.com/", Err(UrlError::Scheme)),
            ("example.com", Err(UrlError::Malformed)),
            ("https://", Err(UrlError::Host)),
            ("https:///path", Err(UrlError::Host)),
            ("https://example.com:80/", Err(UrlError::Port)),
            ("https://example.com:0/", Err(UrlError::Port)),
            ("https://example.com:65979/", Err(UrlError::Port)),
            ("https://example.com:/", Err(UrlError::Malformed)),
            ("https://example.com:+443/", Err(UrlError::Malformed)),
            ("https://u:p@example.com/", Err(UrlError::UserInfo)),
            (
                "https://example.com@169.254.169.254/",
                Err(UrlError::UserInfo),
            ),
            ("https://example.com/#x", Err(UrlError::Fragment)),
            ("https://example.com\\@10.0.0.1/", Err(UrlError::Malformed)),
            ("https://exa mple.com/", Err(UrlError::Malformed)),
            ("https://exämple.com/", Err(UrlError::Malformed)),
            ("https://example.com/\r\nX: y", Err(UrlError::Malformed)),
            ("https://example.com./", Err(UrlError::Host)),
            ("https://intranet/", Err(UrlError::Host)),
            ("https://a_b.example.com/", Err(UrlError::Host)),
            ("https://a.%31.example.com/", Err(UrlError::Host)),
            ("https://x.localhost/", Err(UrlError::NotPublic)),
            ("https://localhost/", Err(UrlError::NotPublic)),
            ("https://[::1/", Err(UrlError::Malformed)),
            ("https://[fe80::1%25eth0]/", Err(UrlError::Host)),
        ];
        for (text, expected) in table {
            let found = WebhookUrl::parse(text, false).map(|url| url.text);
            assert_eq!(found.as_deref(), expected.as_deref(), "{text}");
        }
        let long = format!("https://example.com/{}", "a".repeat(URL_MAX));
        assert_eq!(WebhookUrl::parse(&long, false), Err(UrlError::TooLong));
    }

    #[test]
    fn every_spelling_of_an_inside_address_is_refused() {
        let hosts = [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "0177.0.0.1",
            "017700000001",
            "127.0.0.1.",
            "0",
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.100.100.200",
            "169.254.169.254",
            "168.63.129.16",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "[::]",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:8.8.8.8]",
            "[::127.0.0.1]",
            "[64:ff9b::7f00:1]",
            "[64:ff9b:1::1]",
            "[fe80::1]",
            "[fec0::1]",
            "[fc00::1]",
            "[fd00:ec2::254]",
            "[ff02::1]",
            "[2001::1]",
            "[2001:db8::1]",
            "[2002:7f00:1::]",
            "[3fff::1]",
        ];
        for host in hosts {
            let url = format!("https://{host}/");
            assert!(WebhookUrl::parse(&url, false).is_err(), "{url}");
        }
    }

    #[test]
    fn public_addresses_next_to_inside_ones_are_public() {
        let public = [
            "1.1.1.1",
            "9.255.255.255",
            "100.63.255.255",
            "100.128.0.0",
            "169.253.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.17.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "2001:200::1",
            "2001:4860:4860::8888",
            "2c0f:fb50::1",
        ];
        for address in public {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn loopback_needs_the_switch_and_opens_nothing_else() {
        for text in [
            "http://127.0.0.1:9000/hook",
            "http://localhost:1/hook",
            "https://[::1]:9000/",
        ] {
            assert!(WebhookUrl::parse(text, false).is_err(), "{text}");
            assert!(
                WebhookUrl::parse(text, true).unwrap().is_loopback(),
                "{text}"
            );
        }
        for text in [
            "http://10.0.0.1/",
            "http://example.com/",
            "https://169.254.169.254/",
            "http://127.1/",
            "https://[::ffff:127.0.0.1]/",
        ] {
            assert!(WebhookUrl::parse(text, true).is_err(), "{text}");
        }
    }

    #[test]
    fn the_parts_of_a_url_are_those_of_its_one_spelling() {
        let url = WebhookUrl::parse("https://Example.com:8443?token=s", false).unwrap();
        assert_eq!(url.origin(), "https://example.com:8443");
        assert_eq!(url.authority(), "example.com:8443");
        assert_eq!(url.target(), "/?token=s");
        assert!(!format!("{url:?}").contains("token"));
    }

    #[test]
    fn no_text_makes_the_parser_panic() {
        let pieces = [
            "https://", "http://", "[", "]", ":", "/", "?", "@", ".", "0x", "é", "%", "1",
        ];
        for a in pieces {
            for b in pieces {
                for c in pieces {
                    for d in pieces {
                        let _ = WebhookUrl::parse(&format!("{a}{b}{c}{d}"), true);
                    }
                }
            }
        }
    }
}
