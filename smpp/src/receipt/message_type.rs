//! Lives here: what kind of message `esm_class` says a PDU is.
//! Never here: what is in the message.

use crate::pdu::esm_class;

/// The message type in `esm_class` (SMPP 5.2.12), bits 5 to 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MessageType {
    /// 0x00: an ordinary message.
    Default,
    /// 0x04: the carrier's delivery receipt.
    Receipt,
    /// 0x08: the receiving SME got the message and says so itself. Its text is the SME's own.
    DeliveryAck,
    /// 0x10: a person at the receiving SME answered. Its text is that person's.
    UserAck,
    /// 0x18: a Korean CDMA conversation was aborted.
    ConversationAbort,
    /// 0x20: the carrier's word on a message that is still on its way.
    Intermediate,
    /// Bits that no specification assigns, unshifted.
    Reserved(u8),
}

impl MessageType {
    /// The type in this `esm_class`; the other bits, mode, UDHI and reply path, do not matter (0x44 is a receipt
    /// with a user data header).
    #[must_use]
    pub const fn of(esm_class: u8) -> Self {
        match esm_class & esm_class::TYPE_MASK {
            0x00 => Self::Default,
            esm_class::RECEIPT => Self::Receipt,
            esm_class::DELIVERY_ACK => Self::DeliveryAck,
            esm_class::USER_ACK => Self::UserAck,
            esm_class::CONVERSATION_ABORT => Self::ConversationAbort,
            esm_class::INTERMEDIATE => Self::Intermediate,
            other => Self::Reserved(other),
        }
    }

    /// Its bits in `esm_class`.
    #[must_use]
    pub const fn bits(self) -> u8 {
        match self {
            Self::Default => 0x00,
            Self::Receipt => esm_class::RECEIPT,
            Self::DeliveryAck => esm_class::DELIVERY_ACK,
            Self::UserAck => esm_class::USER_ACK,
            Self::ConversationAbort => esm_class::CONVERSATION_ABORT,
            Self::Intermediate => esm_class::INTERMEDIATE,
            Self::Reserved(bits) => bits,
        }
    }

    /// Whether the carrier itself reports on a message: a receipt or an intermediate notification. What an SME
    /// acknowledges is no proof of anything the carrier did.
    #[must_use]
    pub const fn is_receipt(self) -> bool {
        matches!(self, Self::Receipt | Self::Intermediate)
    }
}

#[cfg(test)]
mod tests {
    use super::MessageType;
    use crate::pdu::registered_delivery;

    #[test]
    fn trap_16_the_type_is_masked() {
        use MessageType::{
            ConversationAbort, Default, DeliveryAck, Intermediate, Receipt, Reserved, UserAck,
        };
        for (esm_class, expected) in [
            (0x00, Default),
            (0x43, Default),
            (0x04, Receipt),
            (0x44, Receipt),
            (0x07, Receipt),
            (0x84, Receipt),
            (0x08, DeliveryAck),
            (0x10, UserAck),
            (0x18, ConversationAbort),
            (0x20, Intermediate),
            (0x60, Intermediate),
            (0x24, Reserved(0x24)),
        ] {
            assert_eq!(MessageType::of(esm_class), expected, "{esm_class:#04x}");
        }
        for esm_class in 0..=u8::MAX {
            assert_eq!(MessageType::of(esm_class).bits(), esm_class & 0x3C);
        }
        assert!(!DeliveryAck.is_receipt() && !UserAck.is_receipt());
    }

    #[test]
    fn trap_53_intermediate_notifications_are_bit_four() {
        assert_eq!(registered_delivery::INTERMEDIATE, 0x10);
        let all = registered_delivery::SUCCESS
            | registered_delivery::DELIVERY_ACK
            | registered_delivery::USER_ACK
            | registered_delivery::INTERMEDIATE;
        assert_eq!(all, 0x1F);
    }
}
