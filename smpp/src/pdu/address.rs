//! Lives here: addresses and the values of their type and plan (SMPP 5.2.5, 5.2.6).
//! Never here: what a number means; routing decides that.

use super::OctetStr;

/// An address with its type and plan (SMPP 5.2.5, 5.2.6).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Address {
    /// Type of number; see [`ton`].
    pub ton: u8,
    /// Numbering plan; see [`npi`].
    pub npi: u8,
    /// At most 20 octets; 40 in a bind, 64 in `data_sm` and `alert_notification`.
    pub addr: OctetStr,
}

impl Address {
    /// An address from its three parts.
    pub fn new(ton: u8, npi: u8, addr: impl Into<OctetStr>) -> Self {
        Self {
            ton,
            npi,
            addr: addr.into(),
        }
    }
}

/// Types of number (SMPP 5.2.5).
pub mod ton {
    /// Not stated.
    pub const UNKNOWN: u8 = 0;
    /// With country code.
    pub const INTERNATIONAL: u8 = 1;
    /// Without country code.
    pub const NATIONAL: u8 = 2;
    /// A short code of the network.
    pub const NETWORK_SPECIFIC: u8 = 3;
    /// Without area code.
    pub const SUBSCRIBER: u8 = 4;
    /// A name of at most 11 GSM characters.
    pub const ALPHANUMERIC: u8 = 5;
    /// Abbreviated.
    pub const ABBREVIATED: u8 = 6;
}

/// Numbering plans (SMPP 5.2.6).
pub mod npi {
    /// Not stated.
    pub const UNKNOWN: u8 = 0;
    /// ISDN, E.163 and E.164: telephone numbers.
    pub const E164: u8 = 1;
    /// Data, X.121.
    pub const X121: u8 = 3;
    /// Telex, F.69.
    pub const F69: u8 = 4;
    /// Land mobile, E.212.
    pub const E212: u8 = 6;
    /// National.
    pub const NATIONAL: u8 = 8;
    /// Private.
    pub const PRIVATE: u8 = 9;
    /// ERMES.
    pub const ERMES: u8 = 10;
    /// Internet, IP.
    pub const IP: u8 = 14;
    /// WAP client id.
    pub const WAP: u8 = 18;
}
