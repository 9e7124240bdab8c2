//! Lives here: the three bind requests and their responses (SMPP 4.1).
//! Never here: who may bind.

use std::fmt;

use super::fault::{DecodeReason, EncodeError};
use super::wire::shown::Secret;
use super::wire::{RANGE, Reader, Size, Writer};
use super::{Address, Field, OctetStr, Version};
use crate::codec::CommandId;
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

    /// Which bind this command is or answers.
    pub(super) const fn of(command: CommandId) -> Option<Self> {
        Some(match command.request() {
            CommandId::BIND_TRANSMITTER => Self::Transmitter,
            CommandId::BIND_RECEIVER => Self::Receiver,
            CommandId::BIND_TRANSCEIVER => Self::Transceiver,
            _ => return None,
        })
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
    /// The version the ESME speaks.
    pub interface_version: Version,
    /// The addresses served (`addr_ton`, `addr_npi`, `address_range`); the range has at most 40 octets.
    pub address: Address,
    /// The specification has none here; some carriers want a vendor's.
    pub tlvs: Tlvs,
    /// Send a `system_id`, `password` and `system_type` of up to [`LONG_CREDENTIAL_MAX`] octets: over the
    /// specification's limits, and yet some carriers issue them. Decoding sets it when a peer did so.
    pub long_credentials: bool,
}

/// Octets of the longest credential that is ever sent, without NUL.
pub const LONG_CREDENTIAL_MAX: usize = 64;

impl Default for Bind {
    /// A transceiver of version 3.4 without name or password.
    fn default() -> Self {
        Self {
            kind: BindKind::Transceiver,
            system_id: OctetStr::EMPTY,
            password: OctetStr::EMPTY,
            system_type: OctetStr::EMPTY,
            interface_version: Version::V3_4,
            address: Address::default(),
            tlvs: Tlvs::new(),
            long_credentials: false,
        }
    }
}

impl fmt::Debug for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bind")
            .field("kind", &self.kind)
            .field("system_id", &self.system_id)
            .field("password", &Secret)
            .field("system_type", &self.system_type)
            .field("interface_version", &self.interface_version)
            .field("address", &self.address)
            .field("tlvs", &self.tlvs)
            .finish()
    }
}

impl Bind {
    /// A transceiver of version 3.4 with this `system_id` and password.
    #[must_use]
    pub fn transceiver(system_id: &str, password: &str) -> Self {
        Self {
            system_id: system_id.into(),
            password: password.into(),
            ..Self::default()
        }
    }

    pub(super) fn read(kind: BindKind, reader: &mut Reader<'_>) -> Result<Self, DecodeReason> {
        let mut bind = Self {
            kind,
            system_id: reader.string(&Field::SystemId)?,
            password: reader.secret(&Field::Password)?,
            system_type: reader.string(&Field::SystemType)?,
            interface_version: Version(reader.octet(&Field::InterfaceVersion)?),
            address: Address {
                ton: reader.octet(&Field::AddrTon)?,
                npi: reader.octet(&Field::AddrNpi)?,
                addr: reader.last_string(&Field::AddressRange)?,
            },
            tlvs: reader.tlvs()?,
            long_credentials: false,
        };
        reader.end();
        bind.long_credentials = bind
            .credentials()
            .iter()
            .any(|(text, field)| text.len() > field.max_len());
        Ok(bind)
    }

    pub(super) fn len(&self) -> Result<usize, EncodeError> {
        let mut size = Size::default();
        for (text, field) in self.credentials() {
            if self.long_credentials {
                size.long_string(text, &field, LONG_CREDENTIAL_MAX)?;
            } else {
                size.string(text, &field)?;
            }
        }
        size.octet(&self.interface_version.0, &Field::InterfaceVersion)?;
        size.address(&self.address, &RANGE)?;
        size.tlvs(&self.tlvs)?;
        Ok(size.octets())
    }

    fn credentials(&self) -> [(&OctetStr, Field); 3] {
        [
            (&self.system_id, Field::SystemId),
            (&self.password, Field::Password),
            (&self.system_type, Field::SystemType),
        ]
    }

    pub(super) fn write(&self, writer: &mut Writer<'_>) {
        writer.string(&self.system_id);
        writer.secret(&self.password);
        writer.string(&self.system_type);
        writer.octet(&self.interface_version.0);
        writer.address(&self.address);
        writer.tlvs(&self.tlvs);
    }
}

/// The response to a bind (SMPP 4.1.2 to 4.1.6). With an error status it is sent without body, unless it carries
/// TLVs.
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
    pub(super) fn read(kind: BindKind, reader: &mut Reader<'_>) -> Result<Self, DecodeReason> {
        let resp = Self {
            kind,
            system_id: reader.answer_string(&Field::SystemId)?,
            tlvs: reader.tlvs()?,
        };
        reader.end();
        Ok(resp)
    }

    pub(super) fn len(&self) -> Result<usize, EncodeError> {
        let mut size = Size::default();
        size.answer_string(&self.system_id, &Field::SystemId)?;
        size.tlvs(&self.tlvs)?;
        Ok(size.octets())
    }

    pub(super) fn write(&self, writer: &mut Writer<'_>) {
        writer.answer_string(&self.system_id);
        writer.tlvs(&self.tlvs);
    }
}
