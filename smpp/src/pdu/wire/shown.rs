//! Lives here: what `Debug` shows of each kind of field: a log must hold no message text and no password.
//! Never here: TLVs, which hide their own.

use std::fmt;

use bytes::Bytes;

use crate::pdu::{Address, Destination, OctetStr, Unsuccess};
use crate::tlv::Tlvs;

/// Octets that are counted, not shown.
pub(crate) struct Hidden(pub(crate) usize);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{} octets>", self.0)
    }
}

/// A password: not even its length.
pub(in crate::pdu) struct Secret;

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

pub(in crate::pdu) fn message(message: &Bytes) -> Hidden {
    Hidden(message.len())
}

pub(in crate::pdu) fn secret(_: &OctetStr) -> Secret {
    Secret
}

macro_rules! as_it_is {
    ($($kind:ident: $type:ty;)*) => {
        $(
            pub(in crate::pdu) fn $kind(value: &$type) -> &$type {
                value
            }
        )*
    };
}

as_it_is! {
    octet: u8;
    answer_octet: u8;
    data_coding: u8;
    string: OctetStr;
    time: OctetStr;
    answer_time: OctetStr;
    answer_string: OctetStr;
    answer_id: OctetStr;
    unused_string: OctetStr;
    address: Address;
    destinations: Vec<Destination>;
    failures: Vec<Unsuccess>;
    tlvs: Tlvs;
    tlvs_beside: Tlvs;
    tlvs_with: Tlvs;
}
