//! Lives here: how a harness learns what a simulator received and sent.
//! Never here: what the simulator decides (that is `script`).

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use mnara_smpp::status::CommandStatus;

/// What the simulator did with a submit_sm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Answered ESME_ROK (at once or after the scripted delay).
    Accepted,
    /// Answered with an error status, the throttle included.
    Refused(CommandStatus),
    /// Taken, and never answered.
    Dropped,
    /// The connection was cut instead of an answer.
    Disconnected,
    /// The connection went silent instead of an answer.
    HalfOpen,
}

/// One submit_sm as the simulator saw it. Borrowed: an observer copies what it wants to keep.
#[derive(Clone, Copy, Debug)]
pub struct Submit<'a> {
    /// The bind's system_id.
    pub system_id: &'a str,
    /// source_addr.
    pub source: &'a [u8],
    /// destination_addr.
    pub dest: &'a [u8],
    /// Text octets without the user data header, in `data_coding`.
    pub text: &'a [u8],
    /// data_coding of the PDU.
    pub data_coding: u8,
    /// Concatenation reference of the user data header, when there is one.
    pub reference: Option<u16>,
    /// Number of this part, from 1.
    pub part: u8,
    /// Parts of the message, at least 1.
    pub parts: u8,
    /// registered_delivery of the PDU.
    pub registered_delivery: u8,
    /// The id answered in submit_sm_resp; empty unless accepted.
    pub message_id: &'a str,
    /// What the simulator did.
    pub fate: Fate,
    /// When it was read.
    pub at: Instant,
}

/// Sees every submit and every receipt of a simulator. Called on the connection's task: it must be quick and must
/// not block.
pub trait Observer: Send + Sync {
    /// A submit_sm was decided on. The value returned comes back with the message's receipts.
    fn submit(&self, submit: &Submit<'_>) -> u64;

    /// The peer answered a receipt with ESME_ROK. `tag` is what `submit` returned.
    fn receipt_acknowledged(&self, tag: u64, at: Instant);
}

/// A submit_sm kept by [`SubmitLog`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedSubmit {
    /// The bind's system_id.
    pub system_id: String,
    /// source_addr.
    pub source: String,
    /// destination_addr, as sent (no plus).
    pub dest: String,
    /// Text without the user data header, decoded; only for tests, it is never written to a log.
    pub text: String,
    /// Concatenation reference, part and parts, for a segment of a longer message.
    pub concatenation: Option<(u16, u8, u8)>,
    /// The id answered; empty unless accepted.
    pub message_id: String,
    /// What the simulator did.
    pub fate: Fate,
    /// When it was read.
    pub at: Instant,
    /// Receipts of this submit that the peer acknowledged.
    pub receipts: u32,
}

/// A bounded in-memory log of submits, for scenario tests and the demo. When full, the oldest entry goes.
pub struct SubmitLog {
    capacity: usize,
    inner: Mutex<LogInner>,
}

#[derive(Default)]
struct LogInner {
    /// Number of the first kept entry; tags are absolute so that receipts still match after entries have gone.
    first: u64,
    entries: VecDeque<LoggedSubmit>,
}

impl SubmitLog {
    /// A log of at most `capacity` submits.
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.max(1),
            inner: Mutex::new(LogInner::default()),
        }
    }

    /// A copy of what is kept, oldest first.
    pub fn snapshot(&self) -> Vec<LoggedSubmit> {
        self.lock().entries.iter().cloned().collect()
    }

    /// Kept submits for which `wanted` holds.
    pub fn count(&self, wanted: impl Fn(&LoggedSubmit) -> bool) -> usize {
        self.lock()
            .entries
            .iter()
            .filter(|entry| wanted(entry))
            .count()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, LogInner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for SubmitLog {
    fn submit(&self, submit: &Submit<'_>) -> u64 {
        let entry = LoggedSubmit {
            system_id: submit.system_id.to_owned(),
            source: String::from_utf8_lossy(submit.source).into_owned(),
            dest: String::from_utf8_lossy(submit.dest).into_owned(),
            text: super::decode_text(submit.data_coding, submit.text),
            concatenation: submit
                .reference
                .map(|reference| (reference, submit.part, submit.parts)),
            message_id: submit.message_id.to_owned(),
            fate: submit.fate,
            at: submit.at,
            receipts: 0,
        };
        let mut inner = self.lock();
        if inner.entries.len() == self.capacity {
            inner.entries.pop_front();
            inner.first += 1;
        }
        inner.entries.push_back(entry);
        inner.first + inner.entries.len() as u64 - 1
    }

    fn receipt_acknowledged(&self, tag: u64, _at: Instant) {
        let mut inner = self.lock();
        let Some(index) = tag
            .checked_sub(inner.first)
            .and_then(|index| usize::try_from(index).ok())
        else {
            return;
        };
        if let Some(entry) = inner.entries.get_mut(index) {
            entry.receipts += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_log_forgets_the_oldest_and_still_matches_receipts() {
        let log = SubmitLog::new(2);
        let mut submit = Submit {
            system_id: "mnara",
            source: b"MNARA",
            dest: b"255750000001",
            text: b"one",
            data_coding: 0,
            reference: None,
            part: 1,
            parts: 1,
            registered_delivery: 1,
            message_id: "1",
            fate: Fate::Accepted,
            at: Instant::now(),
        };
        let first = log.submit(&submit);
        submit.text = b"two";
        log.submit(&submit);
        submit.text = b"three";
        let last = log.submit(&submit);
        log.receipt_acknowledged(first, Instant::now());
        log.receipt_acknowledged(last, Instant::now());
        let kept: Vec<_> = log
            .snapshot()
            .into_iter()
            .map(|entry| (entry.text, entry.receipts))
            .collect();
        assert_eq!(kept, vec![("two".to_owned(), 0), ("three".to_owned(), 1)]);
        assert_eq!(log.count(|entry| entry.receipts == 1), 1);
    }
}
