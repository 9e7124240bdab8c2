//! Lives here: the ways a field stands on the wire, each under one name in four places: how it is read, how long
//! it is, how it is written, and how it is shown.
//! Never here: which fields a PDU has.

mod message;
mod plain;
mod read;
pub(super) mod shown;
mod size;
mod write;

pub(super) use plain::Plain;
pub(super) use read::Reader;
pub(super) use size::Size;
pub(super) use write::Writer;

use super::Field;

/// The three fields of an address.
#[derive(Clone, Copy)]
pub(super) struct AddressFields {
    ton: Field,
    npi: Field,
    addr: Field,
}

/// `source_addr_ton`, `source_addr_npi`, `source_addr`.
pub(super) const SOURCE: AddressFields = AddressFields {
    ton: Field::SourceAddrTon,
    npi: Field::SourceAddrNpi,
    addr: Field::SourceAddr,
};

/// The same with 64 octets for the address.
pub(super) const LONG_SOURCE: AddressFields = AddressFields {
    addr: Field::LongSourceAddr,
    ..SOURCE
};

/// `dest_addr_ton`, `dest_addr_npi`, `destination_addr`.
pub(super) const DEST: AddressFields = AddressFields {
    ton: Field::DestAddrTon,
    npi: Field::DestAddrNpi,
    addr: Field::DestinationAddr,
};

/// The same with 64 octets for the address.
pub(super) const LONG_DEST: AddressFields = AddressFields {
    addr: Field::LongDestinationAddr,
    ..DEST
};

/// `esme_addr_ton`, `esme_addr_npi`, `esme_addr`.
pub(super) const ESME: AddressFields = AddressFields {
    ton: Field::EsmeAddrTon,
    npi: Field::EsmeAddrNpi,
    addr: Field::EsmeAddr,
};

/// `addr_ton`, `addr_npi`, `address_range` of a bind.
pub(super) const RANGE: AddressFields = AddressFields {
    ton: Field::AddrTon,
    npi: Field::AddrNpi,
    addr: Field::AddressRange,
};

/// Lengths stand in violations as `u32`; a frame is far shorter.
fn saturated(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
