//! Lives here: a list of messages as a CSV file, written while it is sent: a page is read when the
//! client has taken the one before.
//! Never here: the filters (`list`), the file's form (`csv`).

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::response::Response;
use hyper::body::Frame;
use tokio::sync::Semaphore;

use super::list::Wanted;
use crate::api::call::{Api, Visit};
use crate::api::code::Code;
use crate::api::csv;
use crate::api::error::{ApiError, Problem};
use crate::api::time;
use crate::domain::time::Timestamp;
use crate::store::StoreError;

/// Days of one file at most (`reference/api.md`).
const DAYS_MAX: i64 = 31;
const DAY_MS: i64 = 86_400_000;
/// Messages that are read at once.
const PAGE: u32 = 500;
/// Pages that are read at once, of all files together: the others wait, so that files never have all
/// of the store's readers.
static READING: Semaphore = Semaphore::const_new(2);

/// The file.
///
/// # Errors
/// `unprocessable`: it would hold more than 31 days.
pub(super) fn answer(visit: &Visit, mut wanted: Wanted) -> Result<Response, ApiError> {
    let listing = &mut wanted.listing;
    let (first, now) = (listing.since.0 <= 0, time::now());
    if listing.until.0 == i64::MAX {
        listing.until = now;
    }
    if first {
        listing.since = Timestamp(listing.until.0 - DAYS_MAX * DAY_MS);
    }
    if listing.until.0 - listing.since.0 > DAYS_MAX * DAY_MS {
        let detail = format!("a file has {DAYS_MAX} days at most; give since and until");
        let problem = Problem::field("since", detail);
        return Err(ApiError::of_field(Code::Unprocessable, problem));
    }
    listing.limit = PAGE;
    let file = File {
        step: Step::Begin(Export {
            api: Arc::clone(&visit.api),
            wanted,
        }),
    };
    Ok(csv::file("messages.csv", Body::new(file)))
}

/// What is left to be read.
struct Export {
    api: Arc<Api>,
    wanted: Wanted,
}

impl Export {
    /// The next rows, and what is left behind them.
    async fn rows(mut self) -> Result<(Bytes, Option<Self>), StoreError> {
        let turn = READING.acquire().await.map_err(|_| StoreError::Closed)?;
        let (store, ingest) = (&self.api.store, &self.api.ingest);
        let page = self.wanted.page(store, ingest).await?;
        drop(turn);
        let mut rows = csv::Rows::default();
        for view in &page.messages {
            let network = ingest.network(view.message.to);
            let account = ingest.account(view.message.carrier);
            let network = network.as_ref().map_or("", |id| &id.0);
            rows.push(view, network, account.as_ref().map_or("", |id| &id.0));
        }
        let left = page.next.map(|next| {
            self.wanted.listing.before = next;
            self
        });
        Ok((rows.written(), left))
    }
}

type Reading = Pin<Box<dyn Future<Output = Result<(Bytes, Option<Export>), StoreError>> + Send>>;

enum Step {
    Begin(Export),
    Read(Reading),
    Over,
}

/// The body. One that breaks off is known as such: it has no last chunk.
struct File {
    step: Step,
}

impl hyper::body::Body for File {
    type Data = Bytes;
    type Error = StoreError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StoreError>>> {
        loop {
            match std::mem::replace(&mut self.step, Step::Over) {
                Step::Over => return Poll::Ready(None),
                Step::Begin(export) => {
                    self.step = Step::Read(Box::pin(export.rows()));
                    return Poll::Ready(Some(Ok(Frame::data(csv::head()))));
                }
                Step::Read(mut reading) => {
                    let Poll::Ready(read) = reading.as_mut().poll(context) else {
                        self.step = Step::Read(reading);
                        return Poll::Pending;
                    };
                    let (rows, left) = match read {
                        Ok(read) => read,
                        Err(error) => {
                            tracing::error!(%error, "a file of messages broke off");
                            return Poll::Ready(Some(Err(error)));
                        }
                    };
                    if let Some(export) = left {
                        self.step = Step::Read(Box::pin(export.rows()));
                    }
                    if !rows.is_empty() {
                        return Poll::Ready(Some(Ok(Frame::data(rows))));
                    }
                }
            }
        }
    }
}
