//! Lives here: what is left of a request's body when its answer is there.
//! Never here: how much of a body is read for its contents (`v1`).

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::response::Response;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{CONNECTION, EXPECT, HeaderValue};
use hyper::{HeaderMap, Request};
use tokio::time::timeout;

/// Octets that are read only so that the connection can be used again: most requests are smaller.
const REST_MAX: u64 = 64 * 1024;
/// How long that may take: a second segment is on its way already.
const REST_WAIT: Duration = Duration::from_secs(1);

/// Where a handler leaves the body that it has not read to its end. One allocation for each request:
/// handlers own their requests, and only their drop says that a body will not be read.
type Slot = Arc<Mutex<Option<Incoming>>>;

/// A body that goes back where it came from when the handler drops it unread.
pub(super) struct Lent {
    body: Option<Incoming>,
    left: Slot,
}

/// The way to what a handler leaves.
pub(super) struct Rest {
    left: Slot,
    /// The client sends its body only after it has been told to.
    awaits: bool,
}

/// Lends a request's body to a handler.
pub(super) fn lend(request: Request<Incoming>) -> (Request<Lent>, Rest) {
    let left = Slot::default();
    let rest = Rest {
        left: Arc::clone(&left),
        awaits: request.headers().contains_key(EXPECT),
    };
    let lent = |body| Lent {
        body: Some(body),
        left,
    };
    (request.map(lent), rest)
}

impl Rest {
    /// Reads what is left within its bounds. If that is not all the answer says that the connection
    /// ends with it.
    pub(super) async fn read(self, response: &mut Response) {
        let left = self
            .left
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(body) = left
            && !says_close(response.headers())
            && (self.awaits || !is_read(body).await)
        {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(CONNECTION, close);
        }
    }
}

fn says_close(headers: &HeaderMap) -> bool {
    headers
        .get(CONNECTION)
        .is_some_and(|value| value == "close")
}

/// Reads a body to its end, if that is near.
async fn is_read(body: Incoming) -> bool {
    if body.size_hint().lower() > REST_MAX {
        return false;
    }
    let mut body = Limited::new(body, REST_MAX as usize);
    let reading = async {
        loop {
            match body.frame().await {
                None => return true,
                Some(Ok(_)) => {}
                Some(Err(_)) => return false,
            }
        }
    };
    timeout(REST_WAIT, reading).await.unwrap_or(false)
}

impl Body for Lent {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body
            .as_ref()
            .map(Incoming::size_hint)
            .unwrap_or_default()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(body) = self.body.take()
            && !body.is_end_stream()
        {
            *self.left.lock().unwrap_or_else(PoisonError::into_inner) = Some(body);
        }
    }
}
