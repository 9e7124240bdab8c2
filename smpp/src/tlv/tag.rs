//! Lives here: the standard tags of SMPP 3.4 (5.3.2) and 5.0 (4.8.4), their names and the shape of their values.
//! Never here: which TLVs a PDU should carry.

use super::Shape;

macro_rules! tags {
    ($($const:ident = $value:literal, $name:literal, $shape:expr, $doc:literal;)*) => {
        $(
            #[doc = concat!("`", $name, "`", $doc, ".")]
            pub const $const: u16 = $value;
        )*

        /// The specification's name of a standard tag.
        #[must_use]
        pub const fn name(tag: u16) -> Option<&'static str> {
            match tag {
                $($value => Some($name),)*
                _ => None,
            }
        }

        /// What the value of this tag looks like; any octets for a tag that is not standard.
        #[must_use]
        pub const fn shape(tag: u16) -> Shape {
            match tag {
                $($value => $shape,)*
                _ => Shape::ANY,
            }
        }

        /// Every standard tag, in ascending order.
        pub const STANDARD: &[u16] = &[$($value,)*];
    };
}

/// Whether the tag lies in the range 3.4 leaves to vendors (0x1400 to 0x3FFF).
#[must_use]
pub const fn is_vendor(tag: u16) -> bool {
    matches!(tag, 0x1400..=0x3FFF)
}

tags! {
    DEST_ADDR_SUBUNIT = 0x0005, "dest_addr_subunit", Shape::U8, "";
    DEST_NETWORK_TYPE = 0x0006, "dest_network_type", Shape::U8, "";
    DEST_BEARER_TYPE = 0x0007, "dest_bearer_type", Shape::U8, "";
    DEST_TELEMATICS_ID = 0x0008, "dest_telematics_id", Shape::U16, "";
    SOURCE_ADDR_SUBUNIT = 0x000D, "source_addr_subunit", Shape::U8, "";
    SOURCE_NETWORK_TYPE = 0x000E, "source_network_type", Shape::U8, "";
    SOURCE_BEARER_TYPE = 0x000F, "source_bearer_type", Shape::U8, "";
    SOURCE_TELEMATICS_ID = 0x0010, "source_telematics_id", Shape::Octets(1, 2), ": one octet; two are seen";
    QOS_TIME_TO_LIVE = 0x0017, "qos_time_to_live", Shape::U32, ": seconds";
    PAYLOAD_TYPE = 0x0019, "payload_type", Shape::U8, "";
    ADDITIONAL_STATUS_INFO_TEXT = 0x001D, "additional_status_info_text", Shape::Text(1, 256), "";
    RECEIPTED_MESSAGE_ID = 0x001E, "receipted_message_id", Shape::Text(1, 65), ": the carrier's id of the message a receipt is for";
    MS_MSG_WAIT_FACILITIES = 0x0030, "ms_msg_wait_facilities", Shape::U8, ": bits";
    PRIVACY_INDICATOR = 0x0201, "privacy_indicator", Shape::U8, "";
    SOURCE_SUBADDRESS = 0x0202, "source_subaddress", Shape::Octets(2, 23), "";
    DEST_SUBADDRESS = 0x0203, "dest_subaddress", Shape::Octets(2, 23), "";
    USER_MESSAGE_REFERENCE = 0x0204, "user_message_reference", Shape::U16, "";
    USER_RESPONSE_CODE = 0x0205, "user_response_code", Shape::U8, "";
    SOURCE_PORT = 0x020A, "source_port", Shape::U16, "";
    DESTINATION_PORT = 0x020B, "destination_port", Shape::U16, "";
    SAR_MSG_REF_NUM = 0x020C, "sar_msg_ref_num", Shape::U16, "";
    LANGUAGE_INDICATOR = 0x020D, "language_indicator", Shape::U8, "";
    SAR_TOTAL_SEGMENTS = 0x020E, "sar_total_segments", Shape::U8, "";
    SAR_SEGMENT_SEQNUM = 0x020F, "sar_segment_seqnum", Shape::U8, ": from 1";
    SC_INTERFACE_VERSION = 0x0210, "sc_interface_version", Shape::U8, ": the version of the server, in bind responses";
    CALLBACK_NUM_PRES_IND = 0x0302, "callback_num_pres_ind", Shape::U8, ": may be repeated";
    CALLBACK_NUM_ATAG = 0x0303, "callback_num_atag", Shape::Octets(0, 65), ": may be repeated";
    NUMBER_OF_MESSAGES = 0x0304, "number_of_messages", Shape::U8, ": 0 to 99";
    CALLBACK_NUM = 0x0381, "callback_num", Shape::Octets(4, 19), ": may be repeated";
    DPF_RESULT = 0x0420, "dpf_result", Shape::U8, "";
    SET_DPF = 0x0421, "set_dpf", Shape::U8, "";
    MS_AVAILABILITY_STATUS = 0x0422, "ms_availability_status", Shape::U8, ": 0 available, 1 denied, 2 unavailable";
    NETWORK_ERROR_CODE = 0x0423, "network_error_code", Shape::U8U16, ": the network's type (1 ANSI-136, 2 IS-95, 3 GSM, 4 to 8 from 5.0) and its code; three ASCII digits and four octets are seen";
    MESSAGE_PAYLOAD = 0x0424, "message_payload", Shape::Octets(0, 65_535), ": the message, when it is not in `short_message`";
    DELIVERY_FAILURE_REASON = 0x0425, "delivery_failure_reason", Shape::U8, ": 0 destination unavailable, 1 destination invalid, 2 permanent, 3 temporary network error";
    MORE_MESSAGES_TO_SEND = 0x0426, "more_messages_to_send", Shape::U8, ": 0 no, 1 yes";
    MESSAGE_STATE = 0x0427, "message_state", Shape::U8, ": see [`crate::receipt::ReceiptState`]";
    CONGESTION_STATE = 0x0428, "congestion_state", Shape::U8, ": 0 idle to 100 congested (5.0)";
    USSD_SERVICE_OP = 0x0501, "ussd_service_op", Shape::U8, "";
    BROADCAST_CHANNEL_INDICATOR = 0x0600, "broadcast_channel_indicator", Shape::U8, "";
    BROADCAST_CONTENT_TYPE = 0x0601, "broadcast_content_type", Shape::U8U16, ": the network's type and the service";
    BROADCAST_CONTENT_TYPE_INFO = 0x0602, "broadcast_content_type_info", Shape::Octets(0, 255), "";
    BROADCAST_MESSAGE_CLASS = 0x0603, "broadcast_message_class", Shape::U8, "";
    BROADCAST_REP_NUM = 0x0604, "broadcast_rep_num", Shape::U16, "";
    BROADCAST_FREQUENCY_INTERVAL = 0x0605, "broadcast_frequency_interval", Shape::U8U16, ": unit and number";
    BROADCAST_AREA_IDENTIFIER = 0x0606, "broadcast_area_identifier", Shape::Octets(0, 100), ": may be repeated; in responses the areas that failed";
    BROADCAST_ERROR_STATUS = 0x0607, "broadcast_error_status", Shape::U32, ": may be repeated; a `command_status`";
    BROADCAST_AREA_SUCCESS = 0x0608, "broadcast_area_success", Shape::U8, ": percent, 255 not known; may be repeated";
    BROADCAST_END_TIME = 0x0609, "broadcast_end_time", Shape::Text(0, 17), ": `YYMMDDhhmmsstnnp`";
    BROADCAST_SERVICE_GROUP = 0x060A, "broadcast_service_group", Shape::Octets(1, 255), "";
    BILLING_IDENTIFICATION = 0x060B, "billing_identification", Shape::Octets(1, 1_024), "";
    SOURCE_NETWORK_ID = 0x060D, "source_network_id", Shape::Text(1, 65), "";
    DEST_NETWORK_ID = 0x060E, "dest_network_id", Shape::Text(1, 65), "";
    SOURCE_NODE_ID = 0x060F, "source_node_id", Shape::Octets(6, 6), "";
    DEST_NODE_ID = 0x0610, "dest_node_id", Shape::Octets(6, 6), "";
    DEST_ADDR_NP_RESOLUTION = 0x0611, "dest_addr_np_resolution", Shape::U8, "";
    DEST_ADDR_NP_INFORMATION = 0x0612, "dest_addr_np_information", Shape::Octets(0, 10), "";
    DEST_ADDR_NP_COUNTRY = 0x0613, "dest_addr_np_country", Shape::Octets(1, 5), ": an E.164 country code";
    DISPLAY_TIME = 0x1201, "display_time", Shape::U8, "";
    SMS_SIGNAL = 0x1203, "sms_signal", Shape::U16, "";
    MS_VALIDITY = 0x1204, "ms_validity", Shape::Octets(1, 4), ": one octet in 3.4, one or four in 5.0";
    ALERT_ON_MESSAGE_DELIVERY = 0x130C, "alert_on_message_delivery", Shape::Octets(0, 1), ": none in 3.4, one octet in 5.0";
    ITS_REPLY_TYPE = 0x1380, "its_reply_type", Shape::U8, "";
    ITS_SESSION_INFO = 0x1383, "its_session_info", Shape::Octets(2, 2), "";
}
