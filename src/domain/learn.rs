//! Lives here: learning a carrier's rules for ids from samples.
//! Never here: reading samples (`store`), putting a rule in force (`config`).

use super::phone::Msisdn;

/// What rules are learnt from.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    /// Ids of responses that have no final receipt.
    pub responses: Vec<ResponseId>,
    /// Ids of receipts that have no response.
    pub receipts: Vec<ReceiptId>,
}

/// The id in a submit_sm_resp, and whom its message was for.
#[derive(Clone, Debug)]
pub struct ResponseId {
    /// As the carrier wrote it.
    pub raw: Box<str>,
    /// The message's recipient.
    pub recipient: Msisdn,
}

/// The id in a receipt, and whom it says its message was for.
#[derive(Clone, Debug)]
pub struct ReceiptId {
    /// As the carrier wrote it.
    pub raw: Box<str>,
    /// The receipt's recipient, if it names one.
    pub recipient: Option<Msisdn>,
}
