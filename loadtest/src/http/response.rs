//! Lives here: reading one HTTP/1.1 response out of a buffer. Never here: sockets.

use std::ops::Range;

use thiserror::Error;

/// Most header fields a response may have.
const HEADERS_MAX: usize = 48;

/// Largest response accepted, head and body, in octets.
pub const RESPONSE_LEN_MAX: usize = 1 << 20;

/// A complete response at the start of a buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Where the body lies in the buffer; its end is the end of the response.
    pub body: Range<usize>,
    /// The server closes the connection after this response.
    pub close: bool,
}

/// Why a response cannot be read; the connection is of no use afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ResponseError {
    /// Not HTTP/1.x, or more than 48 header fields.
    #[error("the peer's answer is not an HTTP/1.1 response")]
    Malformed,
    /// No Content-Length; chunked bodies are not read, the daemon does not send them.
    #[error("the response has no Content-Length")]
    NoLength,
    /// Over 1 MiB.
    #[error("the response is larger than 1 MiB")]
    TooLong,
}

/// The response at the start of `buffer`; `None` while it is incomplete.
///
/// # Errors
/// See [`ResponseError`].
pub fn parse(buffer: &[u8]) -> Result<Option<Response>, ResponseError> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let head = match response.parse(buffer) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) if buffer.len() < RESPONSE_LEN_MAX => return Ok(None),
        Ok(httparse::Status::Partial) => return Err(ResponseError::TooLong),
        Err(_) => return Err(ResponseError::Malformed),
    };
    let status = response.code.ok_or(ResponseError::Malformed)?;
    let mut length = matches!(status, 204 | 304).then_some(0);
    let mut close = response.version == Some(0);
    for header in response.headers.iter() {
        if header.name.eq_ignore_ascii_case("content-length") {
            length = parse_length(header.value);
        } else if header.name.eq_ignore_ascii_case("connection") {
            close = header.value.eq_ignore_ascii_case(b"close");
        }
    }
    let length = length.ok_or(ResponseError::NoLength)?;
    if length > RESPONSE_LEN_MAX {
        return Err(ResponseError::TooLong);
    }
    let end = head + length;
    Ok((buffer.len() >= end).then_some(Response {
        status,
        body: head..end,
        close,
    }))
}

/// The value of a Content-Length field.
pub(crate) fn parse_length(value: &[u8]) -> Option<usize> {
    std::str::from_utf8(value).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_complete_only_with_its_whole_body() {
        let whole = b"HTTP/1.1 201 Created\r\ncontent-length: 4\r\n\r\nbodyHTTP/1.1 200";
        for cut in 0..46 {
            assert_eq!(parse(&whole[..cut]), Ok(None), "cut at {cut}");
        }
        let response = parse(whole).unwrap().unwrap();
        assert_eq!(
            (response.status, &whole[response.body], response.close),
            (201, &b"body"[..], false)
        );
    }

    #[test]
    fn a_peer_that_does_not_speak_http_is_an_error() {
        assert_eq!(
            parse(b"\0\0\0\x10\x80\0\0\x02"),
            Err(ResponseError::Malformed)
        );
        assert_eq!(
            parse(b"HTTP/1.1 200 OK\r\n\r\n"),
            Err(ResponseError::NoLength)
        );
        assert_eq!(
            parse(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n"),
            Err(ResponseError::TooLong)
        );
        let closing = parse(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
            .unwrap()
            .unwrap();
        assert!(closing.close && closing.body.is_empty());
    }
}
