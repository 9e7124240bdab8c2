//! Lives here: the names and limits of mandatory fields (SMPP 4 and 5.2).
//! Never here: the fields' values.

use std::fmt;

macro_rules! fields {
    ($($variant:ident = $name:literal, $max:literal, $doc:literal;)*) => {
        /// A mandatory field, with the specification's name and limit (SMPP 4 and 5.2).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Field {
            $(
                #[doc = concat!("`", $name, "`, ", $doc, ".")]
                $variant,
            )*
        }

        impl Field {
            /// The specification's name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// The longest value the specification allows, in octets without NUL.
            #[must_use]
            pub const fn max_len(self) -> usize {
                match self {
                    $(Self::$variant => $max,)*
                }
            }
        }
    };
}

fields! {
    SystemId = "system_id", 15, "at most 15 octets and NUL";
    Password = "password", 8, "at most 8 octets and NUL";
    SystemType = "system_type", 12, "at most 12 octets and NUL";
    InterfaceVersion = "interface_version", 1, "one octet";
    AddrTon = "addr_ton", 1, "one octet";
    AddrNpi = "addr_npi", 1, "one octet";
    AddressRange = "address_range", 40, "at most 40 octets and NUL";
    ServiceType = "service_type", 5, "at most 5 octets and NUL";
    SourceAddrTon = "source_addr_ton", 1, "one octet";
    SourceAddrNpi = "source_addr_npi", 1, "one octet";
    SourceAddr = "source_addr", 20, "at most 20 octets and NUL";
    LongSourceAddr = "source_addr", 64, "at most 64 octets and NUL, in `data_sm` and `alert_notification`";
    DestAddrTon = "dest_addr_ton", 1, "one octet";
    DestAddrNpi = "dest_addr_npi", 1, "one octet";
    DestinationAddr = "destination_addr", 20, "at most 20 octets and NUL";
    LongDestinationAddr = "destination_addr", 64, "at most 64 octets and NUL, in `data_sm`";
    EsmeAddrTon = "esme_addr_ton", 1, "one octet";
    EsmeAddrNpi = "esme_addr_npi", 1, "one octet";
    EsmeAddr = "esme_addr", 64, "at most 64 octets and NUL";
    EsmClass = "esm_class", 1, "one octet";
    ProtocolId = "protocol_id", 1, "one octet";
    PriorityFlag = "priority_flag", 1, "one octet, 0 to 4";
    ScheduleDeliveryTime = "schedule_delivery_time", 16, "empty or 16 octets, and NUL";
    ValidityPeriod = "validity_period", 16, "empty or 16 octets, and NUL";
    FinalDate = "final_date", 16, "empty or 16 octets, and NUL";
    RegisteredDelivery = "registered_delivery", 1, "one octet";
    ReplaceIfPresent = "replace_if_present_flag", 1, "one octet, 0 or 1";
    DataCoding = "data_coding", 1, "one octet";
    SmDefaultMsgId = "sm_default_msg_id", 1, "one octet";
    SmLength = "sm_length", 1, "one octet";
    ShortMessage = "short_message", 255, "at most 254 octets, 255 from version 5.0";
    MessageId = "message_id", 64, "at most 64 octets and NUL";
    MessageState = "message_state", 1, "one octet";
    ErrorCode = "error_code", 1, "one octet";
    NumberOfDests = "number_of_dests", 255, "one octet: 1 to 254, 255 from version 5.0";
    DestFlag = "dest_flag", 1, "one octet: 1 or 2";
    DlName = "dl_name", 20, "at most 20 octets and NUL";
    NoUnsuccess = "no_unsuccess", 255, "one octet";
    ErrorStatusCode = "error_status_code", 4, "four octets";
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
