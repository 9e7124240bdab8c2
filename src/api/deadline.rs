//! Lives here: bounding what a request waits for by the request's time.
//! Never here: what it waits for, where its time comes from (`call`).

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout_at};

use super::code::Code;
use super::error::ApiError;

/// Bounds `work` that is mostly ready at once: then no timer is made for it.
///
/// # Errors
/// When it is not done in time.
pub(super) async fn by<F: Future>(deadline: Instant, work: F) -> Result<F::Output, Elapsed> {
    let mut work = pin!(work);
    let first = poll_fn(|context| Poll::Ready(work.as_mut().poll(context))).await;
    match first {
        Poll::Ready(done) => Ok(done),
        Poll::Pending => timeout_at(deadline, work).await,
    }
}

/// Bounds a read from the store.
///
/// # Errors
/// `overloaded` when it is not done in time, else those of `work`.
pub(super) async fn within<T>(
    deadline: Instant,
    work: impl Future<Output = Result<T, ApiError>>,
) -> Result<T, ApiError> {
    by(deadline, work).await.unwrap_or_else(|_| {
        Err(ApiError::new(
            Code::Overloaded,
            "the store did not answer in time; try again shortly",
        ))
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_ready_is_taken_and_what_is_late_is_not() {
        let past = Instant::now();
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(by(past, async { 7 }).await.ok(), Some(7));
        let soon = Instant::now() + Duration::from_secs(1);
        let work = |millis| tokio::time::sleep(Duration::from_millis(millis));
        assert!(by(soon, work(999)).await.is_ok());
        let late = within(soon, async {
            work(2_000).await;
            Ok(())
        });
        assert_eq!(late.await.unwrap_err().code, Code::Overloaded);
        assert_eq!(Instant::now(), soon);
    }
}
