//! Lives here: waiting for a condition with a deadline. Never here: polling.

use std::time::Duration;

use tokio::{sync::Notify, time::timeout};

/// Waits until `condition` holds, checking it after every `notify_waiters`; false when `limit` is over first.
pub(crate) async fn wait_on(
    changed: &Notify,
    limit: Duration,
    condition: impl Fn() -> bool,
) -> bool {
    let wait = async {
        loop {
            let mut notified = std::pin::pin!(changed.notified());
            // Registered before the check, so that a change between check and wait is not missed.
            notified.as_mut().enable();
            if condition() {
                return;
            }
            notified.await;
        }
    };
    timeout(limit, wait).await.is_ok()
}
