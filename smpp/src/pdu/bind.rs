//! Lives here: the three bind requests and their responses (SMPP 4.1).
//! Never here: who may bind.

use std::fmt;

use super::fault::{DecodeReason, EncodeError, Field};
use super::octet_str::OctetStr;
use super::response::{read_string_and_tlvs, response_len, write_response};
use super::short_message::Address;
use super::wire::{Reader, Writer, string_len};
use crate::codec::{CommandId, Header};
use crate::status::CommandStatus;
use crate::tlv::Tlvs;

/// What a session may carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BindKind {
    /// The ESME submits.
    Transmitter,
    /// The ESME receives.
    Receiver,
    /// Both.
    Transceiver,
}

impl BindKind {
    /// The request's `command_id`; [`CommandId::response`] gives the response's.
    #[must_use]
    pub const fn command(self) -> CommandId {
        match self {
            Self::Transmitter => CommandId::BIND_TRANSMITTER,
            Self::Receiver => CommandId::BIND_RECEIVER,
            Self::Transceiver => CommandId::BIND_TRANSCEIVER,
        }
    }
}

/// `bind_transmitter`, `bind_receiver` or `bind_transceiver` (SMPP 4.1.1 to 4.1.5). `Debug` hides the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Bind {
    /// Which of the three.
    pub kind: BindKind,
    /// Who binds; at most 15 octets.
    pub system_id: OctetStr,
    /// At most 8 octets.
    pub password: OctetStr,
    /// At most 12 octets, often empty.
    pub system_type: OctetStr,
    /// 0x34 for 3.4, 0x50 for 5.0, 0x33 and below for 3.3.
    pub interface_version: u8,
    /// The addresses served (`addr_ton`, `addr_npi`, `address_range`); the range has at most 40 octets.
    pub address: Address,
}

impl Default for Bind {
    /// A transceiver of version 3.4 without name or password.
    fn default() -> Self {
        Self {
            kind: BindKind::Transceiver,
            system_id: OctetStr::EMPTY,
            password: OctetStr::EMPTY,
            system_type: OctetStr::EMPTY,
            interface_version: 0x34,
            address: Address::default(),
        }
    }
}

impl fmt::Debug for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bind")
            .field("kind", &self.kind)
            .field("system_id", &self.system_id)
            .field("password", &"***")
            .field("system_type", &self.system_type)
            .field("interface_version", &self.interface_version)
            .field("address", &self.address)
            .finish()
    }
}

impl Bind {
    pub(super) fn read(kind: BindKind, reader: &mut Reader<'_>) -> Result<Self, DecodeReason> {
        let bind = Self {
            kind,
            system_id: reader.string(Field::SystemId)?,
            password: reader.string(Field::Password)?,
            system_type: reader.string(Field::SystemType)?,
            interface_version: reader.u8(Field::InterfaceVersion)?,
            address: Address {
                ton: reader.u8(Field::AddrTon)?,
                npi: reader.u8(Field::AddrNpi)?,
                addr: reader.last_string(Field::AddressRange),
            },
        };
        reader.end();
        Ok(bind)
    }

    pub(super) fn len(&self) -> Result<usize, EncodeError> {
        Ok(string_len(&self.system_id, Field::SystemId)?
            + string_len(&self.password, Field::Password)?
            + string_len(&self.system_type, Field::SystemType)?
            + string_len(&self.address.addr, Field::AddressRange)?
            + 3)
    }

    pub(super) fn write(&self, writer: &mut Writer<'_>) {
        writer.string(&self.system_id);
        writer.string(&self.password);
        writer.string(&self.system_type);
        writer.octets(&[self.interface_version, self.address.ton, self.address.npi]);
        writer.string(&self.address.addr);
    }
}

/// The response to a bind (SMPP 4.1.2 to 4.1.6). With an error status the body may be absent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindResp {
    /// The request it answers.
    pub kind: BindKind,
    /// Who answers; at most 15 octets, empty when the peer left it out.
    pub system_id: OctetStr,
    /// Mostly `sc_interface_version`.
    pub tlvs: Tlvs,
}

impl BindResp {
    pub(super) fn read(kind: BindKind, header: &Header, reader: &mut Reader<'_>) -> Self {
        let (system_id, tlvs) = read_string_and_tlvs(reader, header, Field::SystemId);
        Self {
            kind,
            system_id,
            tlvs,
        }
    }

    pub(super) fn len(&self, status: CommandStatus) -> Result<usize, EncodeError> {
        response_len(&self.system_id, Field::SystemId, &self.tlvs, status)
    }

    pub(super) fn write(&self, status: CommandStatus, writer: &mut Writer<'_>) {
        write_response(&self.system_id, &self.tlvs, status, writer);
    }
}
