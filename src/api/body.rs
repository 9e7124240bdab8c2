//! Lives here: reading a request's body whole, within its bounds of size and time, also one that
//! comes packed.
//! Never here: what is in it; what is left of one that nobody reads (`server::rest`).

use std::io::{self, Write};

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, header};
use flate2::write::GzDecoder;
use http_body_util::BodyExt;
use tokio::time::Instant;

use super::code::Code;
use super::deadline::by;
use super::error::ApiError;

/// Reads a body that comes as it is. One that came in one piece is not copied.
///
/// # Errors
/// `payload_too_large`, `request_timeout`, `invalid_request`, `unsupported_media_type`.
pub(super) async fn plain(
    headers: &HeaderMap,
    body: Body,
    max: usize,
    deadline: Instant,
) -> Result<Bytes, ApiError> {
    if packing(headers)? == Packing::Gzip {
        return Err(unsupported(
            "send the body of this path as it is, not packed",
        ));
    }
    whole(headers, body, max, deadline).await
}

/// Reads a body that may come packed (`Content-Encoding: gzip`); `max` holds for what is sent and for
/// what it unpacks to.
///
/// # Errors
/// As [`plain`].
pub(super) async fn packed(
    headers: &HeaderMap,
    body: Body,
    max: usize,
    deadline: Instant,
) -> Result<Bytes, ApiError> {
    if packing(headers)? == Packing::None {
        return whole(headers, body, max, deadline).await;
    }
    let mut unpacked = GzDecoder::new(Capped {
        octets: Vec::new(),
        max,
        is_full: false,
    });
    let unpack = |data: Bytes| {
        let done = unpacked.write_all(&data);
        done.map_err(|_| unpacked.get_ref().refusal())
    };
    frames(headers, body, max, deadline, unpack).await?;
    let refusal = || ApiError::new(Code::InvalidRequest, BROKEN);
    let unpacked = unpacked.finish().map_err(|_| refusal())?;
    Ok(unpacked.octets.into())
}

const BROKEN: &str = "the body is not whole gzip although Content-Encoding says so; send it as it is, or \
                      pack it anew";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Packing {
    None,
    Gzip,
}

fn packing(headers: &HeaderMap) -> Result<Packing, ApiError> {
    let mut packing = Packing::None;
    for value in headers.get_all(header::CONTENT_ENCODING) {
        let name = value.as_bytes().trim_ascii();
        if name.eq_ignore_ascii_case(b"gzip") && packing == Packing::None {
            packing = Packing::Gzip;
        } else if !name.eq_ignore_ascii_case(b"identity") {
            return Err(unsupported(
                "the only Content-Encoding that is read is gzip",
            ));
        }
    }
    Ok(packing)
}

fn unsupported(message: &'static str) -> ApiError {
    ApiError::new(Code::UnsupportedMediaType, message)
}

fn too_large(max: usize) -> ApiError {
    let message = format!("the body is larger than {max} octets; send less");
    ApiError::new(Code::PayloadTooLarge, message)
}

async fn whole(
    headers: &HeaderMap,
    body: Body,
    max: usize,
    deadline: Instant,
) -> Result<Bytes, ApiError> {
    let mut first = Bytes::new();
    let mut rest = Vec::new();
    let gather = |data: Bytes| {
        if first.is_empty() && rest.is_empty() {
            first = data;
        } else {
            if rest.is_empty() {
                rest.extend_from_slice(&first);
                first = Bytes::new();
            }
            rest.extend_from_slice(&data);
        }
        Ok(())
    };
    frames(headers, body, max, deadline, gather).await?;
    Ok(if rest.is_empty() { first } else { rest.into() })
}

/// Takes what comes, piece by piece, up to `max` octets.
async fn frames(
    headers: &HeaderMap,
    mut body: Body,
    max: usize,
    deadline: Instant,
    mut take: impl FnMut(Bytes) -> Result<(), ApiError>,
) -> Result<(), ApiError> {
    let declared = headers.get(header::CONTENT_LENGTH);
    let declared = declared.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|length| length > max as u64) {
        return Err(too_large(max));
    }
    let mut room = max;
    while let Some(frame) = by(deadline, body.frame()).await.map_err(|_| {
        let message = "the body did not arrive in time; send it again on another connection";
        ApiError::new(Code::RequestTimeout, message)
    })? {
        let frame = frame.map_err(|_| {
            ApiError::new(Code::InvalidRequest, "the body broke off; send it again")
        })?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        room = room.checked_sub(data.len()).ok_or_else(|| too_large(max))?;
        take(data)?;
    }
    Ok(())
}

/// What a body unpacks to, up to a limit: a few octets may stand for gigabytes.
struct Capped {
    octets: Vec<u8>,
    max: usize,
    is_full: bool,
}

impl Capped {
    fn refusal(&self) -> ApiError {
        if self.is_full {
            too_large(self.max)
        } else {
            ApiError::new(Code::InvalidRequest, BROKEN)
        }
    }
}

impl Write for Capped {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        if octets.len() > self.max - self.octets.len() {
            self.is_full = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.octets.extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::http::HeaderValue;
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    const MAX: usize = 10_000;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    async fn read(encoding: &'static str, body: Vec<u8>) -> Result<Bytes, Code> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
        let deadline = Instant::now() + Duration::from_secs(1);
        let read = packed(&headers, Body::from(body), MAX, deadline).await;
        read.map_err(|error| error.code)
    }

    #[tokio::test]
    async fn a_packed_body_is_unpacked_within_its_limit() {
        let text = b"{\"a\":1}".repeat(1_000);
        assert_eq!(read("gzip", gzip(&text)).await.unwrap(), text);
        assert_eq!(read("GZIP", gzip(b"")).await.unwrap(), "");
        assert_eq!(read("identity", text.clone()).await.unwrap(), text);
        // A megabyte of nothing takes a thousand octets to send.
        let bomb = gzip(&vec![b' '; 1 << 20]);
        assert!(bomb.len() < MAX);
        assert_eq!(read("gzip", bomb).await, Err(Code::PayloadTooLarge));
        let large = read("gzip", vec![0; MAX + 1]).await;
        assert_eq!(large, Err(Code::PayloadTooLarge));
    }

    #[tokio::test]
    async fn what_is_not_what_it_says_is_refused() {
        let mut whole = gzip(b"hello");
        assert_eq!(
            read("gzip", b"hello".to_vec()).await,
            Err(Code::InvalidRequest)
        );
        whole.truncate(whole.len() - 3);
        assert_eq!(read("gzip", whole).await, Err(Code::InvalidRequest));
        let unknown = read("br", b"hello".to_vec()).await;
        assert_eq!(unknown, Err(Code::UnsupportedMediaType));
        let deadline = Instant::now() + Duration::from_secs(1);
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        let plain = plain(&headers, Body::from("{}"), MAX, deadline).await;
        assert_eq!(plain.unwrap_err().code, Code::UnsupportedMediaType);
    }
}
