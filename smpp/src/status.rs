//! Lives here: the command_status values of SMPP 3.4 and 5.0 and their names.
//! Never here: what to do about a status; a carrier's profile decides that.

use std::fmt;

/// A `command_status` (SMPP 5.1.3). Every `u32` is legal: vendors use 0x400 to 0x4FF, and some use values the
/// specification reserves.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CommandStatus(pub u32);

macro_rules! statuses {
    ($($name:ident = $value:literal, $doc:literal;)*) => {
        impl CommandStatus {
            $(
                #[doc = concat!($doc, " (", stringify!($value), ").")]
                pub const $name: Self = Self($value);
            )*

            /// The specification's name ("ESME_RTHROTTLED"), `"vendor"` for 0x400 to 0x4FF, else `"reserved"`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self.0 {
                    $($value => stringify!($name),)*
                    0x400..=0x4FF => "vendor",
                    _ => "reserved",
                }
            }

            /// The status with this specification name, exactly as [`CommandStatus::name`] writes it.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $(stringify!($name) => Some(Self($value)),)*
                    _ => None,
                }
            }

            /// Every status the specification names, in ascending order.
            pub const NAMED: &'static [Self] = &[$(Self($value),)*];
        }
    };
}

statuses! {
    ESME_ROK = 0x0000_0000, "No error";
    ESME_RINVMSGLEN = 0x0000_0001, "Message length invalid";
    ESME_RINVCMDLEN = 0x0000_0002, "Command_length invalid";
    ESME_RINVCMDID = 0x0000_0003, "Unknown command id";
    ESME_RINVBNDSTS = 0x0000_0004, "Wrong bind state for command";
    ESME_RALYBND = 0x0000_0005, "Already bound / too many binds";
    ESME_RINVPRTFLG = 0x0000_0006, "Priority_flag invalid";
    ESME_RINVREGDLVFLG = 0x0000_0007, "Registered_delivery invalid";
    ESME_RSYSERR = 0x0000_0008, "System error";
    ESME_RINVSRCADR = 0x0000_000A, "Source address invalid";
    ESME_RINVDSTADR = 0x0000_000B, "Destination address invalid";
    ESME_RINVMSGID = 0x0000_000C, "Message_id invalid";
    ESME_RBINDFAIL = 0x0000_000D, "Bind failed";
    ESME_RINVPASWD = 0x0000_000E, "Invalid password";
    ESME_RINVSYSID = 0x0000_000F, "Invalid `system_id`";
    ESME_RCANCELFAIL = 0x0000_0011, "Cancel_sm failed";
    ESME_RREPLACEFAIL = 0x0000_0013, "Replace_sm failed";
    ESME_RMSGQFUL = 0x0000_0014, "Message queue full";
    ESME_RINVSERTYP = 0x0000_0015, "Service_type invalid";
    ESME_RINVNUMDESTS = 0x0000_0033, "Invalid number of destinations";
    ESME_RINVDLNAME = 0x0000_0034, "Invalid distribution list name";
    ESME_RINVDESTFLAG = 0x0000_0040, "Invalid `dest_flag` (`submit_multi`)";
    ESME_RINVSUBREP = 0x0000_0042, "Submit with replace not supported/invalid";
    ESME_RINVESMCLASS = 0x0000_0043, "Esm_class invalid";
    ESME_RCNTSUBDL = 0x0000_0044, "Cannot submit to distribution list";
    ESME_RSUBMITFAIL = 0x0000_0045, "Submit_sm/`submit_multi` failed";
    ESME_RINVSRCTON = 0x0000_0048, "Source TON invalid";
    ESME_RINVSRCNPI = 0x0000_0049, "Source NPI invalid";
    ESME_RINVDSTTON = 0x0000_0050, "Destination TON invalid";
    ESME_RINVDSTNPI = 0x0000_0051, "Destination NPI invalid";
    ESME_RINVSYSTYP = 0x0000_0053, "System_type invalid";
    ESME_RINVREPFLAG = 0x0000_0054, "Replace_if_present invalid";
    ESME_RINVNUMMSGS = 0x0000_0055, "Number_of_messages invalid";
    ESME_RTHROTTLED = 0x0000_0058, "Throttled";
    ESME_RINVSCHED = 0x0000_0061, "Schedule_delivery_time invalid";
    ESME_RINVEXPIRY = 0x0000_0062, "Validity_period invalid";
    ESME_RINVDFTMSGID = 0x0000_0063, "Predefined message invalid/not found";
    ESME_RX_T_APPN = 0x0000_0064, "Receiver temporary app error (`deliver_sm_resp`)";
    ESME_RX_P_APPN = 0x0000_0065, "Receiver permanent app error";
    ESME_RX_R_APPN = 0x0000_0066, "Receiver reject message";
    ESME_RQUERYFAIL = 0x0000_0067, "Query_sm failed";
    ESME_RINVTLVSTREAM = 0x0000_00C0, "Error in optional part";
    ESME_RTLVNOTALLWD = 0x0000_00C1, "TLV not allowed";
    ESME_RINVTLVLEN = 0x0000_00C2, "TLV / parameter length invalid";
    ESME_RMISSINGTLV = 0x0000_00C3, "Expected TLV missing";
    ESME_RINVTLVVAL = 0x0000_00C4, "TLV value invalid";
    ESME_RDELIVERYFAILURE = 0x0000_00FE, "Transaction-mode delivery failure";
    ESME_RUNKNOWNERR = 0x0000_00FF, "Unknown error";
    ESME_RSERTYPUNAUTH = 0x0000_0100, "Not authorised for `service_type`";
    ESME_RPROHIBITED = 0x0000_0101, "Operation prohibited";
    ESME_RSERTYPUNAVAIL = 0x0000_0102, "Service_type unavailable";
    ESME_RSERTYPDENIED = 0x0000_0103, "Service_type denied";
    ESME_RINVDCS = 0x0000_0104, "Data_coding invalid";
    ESME_RINVSRCADDRSUBUNIT = 0x0000_0105, "Source subunit invalid";
    ESME_RINVDSTADDRSUBUNIT = 0x0000_0106, "Dest subunit invalid";
    ESME_RINVBCASTFREQINT = 0x0000_0107, "Broadcast frequency interval invalid";
    ESME_RINVBCASTALIAS_NAME = 0x0000_0108, "Broadcast alias invalid";
    ESME_RINVBCASTAREAFMT = 0x0000_0109, "Broadcast area format invalid";
    ESME_RINVNUMBCAST_AREAS = 0x0000_010A, "Number of broadcast areas invalid";
    ESME_RINVBCASTCNTTYPE = 0x0000_010B, "Broadcast content type invalid";
    ESME_RINVBCASTMSGCLASS = 0x0000_010C, "Broadcast message class invalid";
    ESME_RBCASTFAIL = 0x0000_010D, "Broadcast_sm failed";
    ESME_RBCASTQUERYFAIL = 0x0000_010E, "Query_broadcast_sm failed";
    ESME_RBCASTCANCELFAIL = 0x0000_010F, "Cancel_broadcast_sm failed";
    ESME_RINVBCAST_REP = 0x0000_0110, "Broadcast repeat count invalid";
    ESME_RINVBCASTSRVGRP = 0x0000_0111, "Broadcast service group invalid";
    ESME_RINVBCASTCHANIND = 0x0000_0112, "Broadcast channel indicator invalid";
}

impl CommandStatus {
    /// Whether this is `ESME_ROK`.
    #[must_use]
    pub const fn is_ok(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Debug for CommandStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({:#010x})", self.name(), self.0)
    }
}

impl fmt::Display for CommandStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:#010x})", self.name(), self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::CommandStatus;

    #[test]
    fn every_named_status_is_found_by_its_name() {
        assert_eq!(CommandStatus::NAMED.len(), 67);
        for status in CommandStatus::NAMED {
            assert_eq!(CommandStatus::from_name(status.name()), Some(*status));
        }
        assert_eq!(CommandStatus::from_name("vendor"), None);
    }

    #[test]
    fn vendor_and_reserved_values_have_a_name_and_keep_their_number() {
        assert_eq!(CommandStatus(0x400).name(), "vendor");
        assert_eq!(CommandStatus(0x4FF).name(), "vendor");
        assert_eq!(CommandStatus(0x500).name(), "reserved");
        assert_eq!(CommandStatus(0x94).to_string(), "reserved (0x00000094)");
        assert_eq!(
            format!("{:?}", CommandStatus::ESME_RTHROTTLED),
            "ESME_RTHROTTLED(0x00000058)"
        );
        assert!(CommandStatus::ESME_ROK.is_ok() && !CommandStatus(0x400).is_ok());
    }
}
