//! Lives here: reading `sm_length` and `short_message` (SMPP 5.2.21, 5.2.22), and where the message ends when the
//! peer miscounts.
//! Never here: what the message says.

use bytes::Bytes;

use super::{Reader, saturated};
use crate::pdu::Field;
use crate::pdu::fault::{DecodeReason, Violation};
use crate::tlv;

/// `data_coding` of UCS-2, whose messages have an even number of octets.
const UCS2: u8 = 0x08;

impl Reader<'_> {
    /// `sm_length` and the message; what stands behind it is whole TLVs, or was never going to be.
    #[inline]
    pub(in crate::pdu) fn message(&mut self) -> Result<Bytes, DecodeReason> {
        let declared = self.octet(&Field::SmLength)?;
        let message = if self.rest.len() == usize::from(declared) {
            self.octets(usize::from(declared))
        } else {
            self.message_before_tail(declared)
        };
        self.has_message = !message.is_empty();
        Ok(message)
    }

    #[inline(never)]
    fn message_before_tail(&mut self, sm_length: u8) -> Bytes {
        let declared = usize::from(sm_length);
        let taken = match boundary(self.rest, declared, self.data_coding) {
            Boundary::At(taken) => taken,
            Boundary::NulAt(taken) => {
                let message = self.octets(taken);
                self.octets(1);
                self.violations.push(Violation::NulAfterMessage);
                return message;
            }
        };
        if taken != declared {
            self.violations.push(Violation::SmLength {
                declared: sm_length,
                taken: saturated(taken),
            });
        }
        self.octets(taken)
    }
}

/// Where the message ends.
enum Boundary {
    /// After so many octets.
    At(usize),
    /// After so many octets, and a NUL that belongs to nothing follows.
    NulAt(usize),
}

/// Peers miscount `sm_length` by one, or end the message with a NUL that they do not count. `sm_length` is
/// believed when whole TLVs follow; otherwise the neighbouring boundary behind which only known TLVs (or nothing)
/// follow is taken; otherwise `sm_length` again, and the tail becomes a violation.
fn boundary(rest: &[u8], declared: usize, data_coding: u8) -> Boundary {
    let Some(tail) = rest.get(declared..) else {
        return Boundary::At(rest.len());
    };
    if tlv::is_whole(tail) {
        return Boundary::At(declared);
    }
    let one_more = tlv::is_plausible(&tail[1..]);
    let half_a_character = data_coding == UCS2 && declared % 2 == 1;
    if one_more && tail[0] == 0 && !half_a_character {
        return Boundary::NulAt(declared);
    }
    if one_more {
        return Boundary::At(declared + 1);
    }
    let one_less = declared
        .checked_sub(1)
        .filter(|less| tlv::is_plausible(&rest[*less..]));
    Boundary::At(one_less.unwrap_or(declared))
}
