//! Lives here: a receipt after its dirt is off: what the store correlates and the timeline shows.
//! Never here: parsing (`mnara_smpp::receipt`), nor what it does to a message (`lifecycle`).

use std::fmt;

use super::ids::{CarrierId, ReceiptKey};
use super::lifecycle::SegmentState;
use super::message::FailureCode;
use super::phone::Msisdn;
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
    /// What the error means by the carrier's profile: why the message failed, if it did.
    pub failure: Option<FailureCode>,
    /// The carrier's own date, verbatim, at most 32 characters.
    pub done_date: Box<str>,
    /// The same by the carrier's own clock and time zone, if it could be read.
    pub done_at: Option<Timestamp>,
    /// What it says of its message beside the id.
    pub evidence: Evidence,
    /// When it reached us.
    pub received_at: Timestamp,
}

/// What a receipt says of its message beside the id: with it a receipt whose id nobody knows may
/// still be proof that an attempt in doubt was taken (`reference/delivery-semantics.md`).
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// Whom the message was for: the receipt's source address.
    pub recipient: Option<Msisdn>,
    /// Who sent it: the receipt's destination address, at most 21 characters.
    pub sender: Box<str>,
    /// The first characters of its text, at most 20. Never logged.
    pub words: Words,
    /// When the carrier took it, by its own clock and time zone.
    pub submitted_at: Option<Timestamp>,
    /// `user_message_reference`, if the receipt brought ours back.
    pub reference: Option<u16>,
}

/// A piece of a message's text. `Debug` leaves it out.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Words(pub Box<str>);

impl fmt::Debug for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} octets", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_receipt_quotes_is_not_shown() {
        let words = Words("Your code is 4711".into());
        assert_eq!(format!("{words:?}"), "17 octets");
    }
}
