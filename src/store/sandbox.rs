//! Lives here: what the sandbox asks of the store when it begins: the test messages that an earlier run
//! has taken and not ended.
//! Never here: SQL; what becomes of them (`domain::sandbox`).

use super::reads::Reads;
use super::{Store, StoreError};
use crate::domain::ids::MessageSeq;
use crate::domain::message::Message;
use crate::domain::time::Timestamp;

impl Store {
    /// Submitted test messages behind `after`, in order, at most `limit`, each with the time at
    /// which it was submitted.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub async fn sandboxed(
        &self,
        after: MessageSeq,
        limit: u32,
    ) -> Result<Vec<(Message, Timestamp)>, StoreError> {
        self.inner.reader.sandboxed(after, limit).await
    }
}
