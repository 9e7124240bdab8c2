//! Lives here: the two PDUs that have no response: `outbind` and `alert_notification`.
//! Never here: what an ESME does about them.

use super::layout::layout;
use super::wire::{ESME, LONG_SOURCE};
use super::{Address, Field, OctetStr};
use crate::tlv::Tlvs;

layout! {
    /// `outbind` (SMPP 4.1.7): the carrier has connected and asks the ESME to bind as a receiver.
    Outbind {
        /// Who asks; at most 15 octets.
        system_id: OctetStr = string(Field::SystemId);
        /// At most 8 octets; hidden by `Debug`.
        password: OctetStr = secret(Field::Password);
    }
}

layout! {
    /// `alert_notification` (SMPP 4.12.1): a handset that had been out of reach has come back.
    AlertNotification {
        /// The handset; at most 64 octets.
        source: Address = address(LONG_SOURCE);
        /// The ESME that had asked for it (`set_dpf`); at most 64 octets.
        esme: Address = address(ESME);
        /// `ms_availability_status`.
        tlvs: Tlvs = tlvs();
    }
}
