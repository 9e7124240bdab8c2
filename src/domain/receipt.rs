//! Lives here: a receipt after its dirt is off: what the store correlates and the timeline shows.
//! Never here: parsing (`mnara_smpp::receipt`), nor what it does to a message (`lifecycle`).

use super::ids::{CarrierId, ReceiptKey};
use super::lifecycle::SegmentState;
use super::time::Timestamp;

/// One receipt of one carrier account, translated and with its id normalised.
#[derive(Clone, Debug)]
pub struct Receipt {
    /// Whose receipt it is: only attempts of the same account can match.
    pub carrier: CarrierId,
    /// Index key of `normalised`.
    pub key: ReceiptKey,
    /// The carrier's id after the account's own rule.
    pub normalised: Box<str>,
    /// The carrier's id as it stood in the receipt.
    pub raw_id: Box<str>,
    /// What it says: a final state, or `None` for an intermediate one.
    pub state: Option<SegmentState>,
    /// The state as the carrier spelt it (`DELIVRD`), at most 32 characters.
    pub stat: Box<str>,
    /// The error as the carrier spelt it, at most 32 characters.
    pub err: Box<str>,
    /// The carrier's own date, verbatim, at most 32 characters.
    pub done_date: Box<str>,
    /// When it reached us.
    pub received_at: Timestamp,
}
