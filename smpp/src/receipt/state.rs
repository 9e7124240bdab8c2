//! Lives here: the states of a message: their values, their words in receipts, and which are final.
//! Never here: which states end a message for a given carrier.

/// The states of `message_state` (SMPP 5.2.28, 5.0 4.7.15).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReceiptState {
    /// 0 (5.0): waits for its time.
    Scheduled,
    /// 1: on its way.
    Enroute,
    /// 2: on the handset.
    Delivered,
    /// 3: its validity ended.
    Expired,
    /// 4: removed at the carrier.
    Deleted,
    /// 5: cannot be delivered.
    Undeliverable,
    /// 6: read by customer service or taken by the next network; no proof of delivery.
    Accepted,
    /// 7: the carrier does not know, or wrote a state that we do not know.
    Unknown,
    /// 8: refused.
    Rejected,
    /// 9 (5.0): left out.
    Skipped,
}

impl ReceiptState {
    /// The state with this `message_state` value.
    #[must_use]
    pub const fn from_value(value: u8) -> Option<Self> {
        Some(match value {
            0 => Self::Scheduled,
            1 => Self::Enroute,
            2 => Self::Delivered,
            3 => Self::Expired,
            4 => Self::Deleted,
            5 => Self::Undeliverable,
            6 => Self::Accepted,
            7 => Self::Unknown,
            8 => Self::Rejected,
            9 => Self::Skipped,
            _ => return None,
        })
    }

    /// The `message_state` value.
    #[must_use]
    pub const fn value(self) -> u8 {
        match self {
            Self::Scheduled => 0,
            Self::Enroute => 1,
            Self::Delivered => 2,
            Self::Expired => 3,
            Self::Deleted => 4,
            Self::Undeliverable => 5,
            Self::Accepted => 6,
            Self::Unknown => 7,
            Self::Rejected => 8,
            Self::Skipped => 9,
        }
    }

    /// The seven letters after `stat:` (appendix B; 5.0 4.7.15 has no more, those of its own states are usage).
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Scheduled => "SCHEDLD",
            Self::Enroute => "ENROUTE",
            Self::Delivered => "DELIVRD",
            Self::Expired => "EXPIRED",
            Self::Deleted => "DELETED",
            Self::Undeliverable => "UNDELIV",
            Self::Accepted => "ACCEPTD",
            Self::Unknown => "UNKNOWN",
            Self::Rejected => "REJECTD",
            Self::Skipped => "SKIPPED",
        }
    }

    /// The state a `stat:` text means, in any case: the seven letters of appendix B, their full words, and what
    /// vendors write in their place. `None` for other texts.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        const TEXTS: [(&str, ReceiptState); 27] = [
            ("DELIVRD", ReceiptState::Delivered),
            ("DELIVERED", ReceiptState::Delivered),
            ("DELIVERD", ReceiptState::Delivered),
            ("0", ReceiptState::Delivered),
            ("UNDELIV", ReceiptState::Undeliverable),
            ("UNDELIVERABLE", ReceiptState::Undeliverable),
            ("UNDELIVERED", ReceiptState::Undeliverable),
            ("UNDELIVRD", ReceiptState::Undeliverable),
            ("FAILED", ReceiptState::Undeliverable),
            ("EXPIRED", ReceiptState::Expired),
            ("REJECTD", ReceiptState::Rejected),
            ("REJECTED", ReceiptState::Rejected),
            ("ENROUTE", ReceiptState::Enroute),
            ("EN_ROUTE", ReceiptState::Enroute),
            ("ACKED", ReceiptState::Enroute),
            ("BUFFRED", ReceiptState::Enroute),
            ("BUFFERD", ReceiptState::Enroute),
            ("BUFFERED", ReceiptState::Enroute),
            ("ACCEPTD", ReceiptState::Accepted),
            ("ACCEPTED", ReceiptState::Accepted),
            ("DELETED", ReceiptState::Deleted),
            ("UNKNOWN", ReceiptState::Unknown),
            ("UNKNOWED", ReceiptState::Unknown),
            ("SCHEDLD", ReceiptState::Scheduled),
            ("SCHEDULED", ReceiptState::Scheduled),
            ("SKIPPED", ReceiptState::Skipped),
            ("SKIPED", ReceiptState::Skipped),
        ];
        TEXTS
            .iter()
            .find(|(known, _)| text.eq_ignore_ascii_case(known))
            .map(|(_, state)| *state)
    }

    /// Whether nothing more is to come. `Unknown` is final by the specification; `Accepted` is not, though some
    /// routes stop there: that is for a carrier's profile.
    #[must_use]
    pub const fn is_final(self) -> bool {
        match self {
            Self::Scheduled | Self::Enroute | Self::Accepted => false,
            Self::Delivered
            | Self::Expired
            | Self::Deleted
            | Self::Undeliverable
            | Self::Unknown
            | Self::Rejected
            | Self::Skipped => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ReceiptState;

    #[test]
    fn trap_09_vendor_words_are_known() {
        for (value, words) in [
            (0, "SCHEDLD SCHEDULED"),
            (1, "ENROUTE ACKED BUFFRED BUFFERD"),
            (2, "DELIVRD DELIVERED delivered 0"),
            (3, "EXPIRED"),
            (4, "DELETED"),
            (5, "UNDELIV UNDELIVERABLE FAILED"),
            (6, "ACCEPTD ACCEPTED"),
            (7, "UNKNOWN"),
            (8, "REJECTD REJECTED"),
            (9, "SKIPPED"),
        ] {
            for word in words.split(' ') {
                assert_eq!(
                    ReceiptState::from_text(word).map(ReceiptState::value),
                    Some(value),
                    "{word}"
                );
            }
        }
        assert_eq!(ReceiptState::from_text("GONE"), None);
    }

    #[test]
    fn trap_14_accepted_is_not_final() {
        assert!(!ReceiptState::Accepted.is_final() && !ReceiptState::Enroute.is_final());
        assert!(ReceiptState::Unknown.is_final() && ReceiptState::Delivered.is_final());
    }

    #[test]
    fn trap_53_values_are_those_of_message_state() {
        for value in 0..=9 {
            let state = ReceiptState::from_value(value).expect("ten states");
            assert_eq!(state.value(), value);
            assert_eq!(ReceiptState::from_text(state.text()), Some(state));
            assert_eq!(state.text().len(), 7);
        }
        assert_eq!(ReceiptState::from_value(10), None);
        assert_eq!(ReceiptState::Delivered.value(), 2);
    }
}
