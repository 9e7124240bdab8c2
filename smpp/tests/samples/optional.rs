//! Lives here: one legal value for every standard TLV (SMPP 3.4 and 5.0).
//! Never here: which PDU may carry which.

use mnara_smpp::tlv::{Tlv, Tlvs, tag};

/// Every standard tag once, `message_payload` among them, each with a value of a legal length.
pub(crate) fn every() -> Tlvs {
    VALUES
        .iter()
        .map(|(tag, value)| Tlv::new(*tag, value.to_vec()))
        .collect()
}

/// The tags and a value for each.
pub(crate) const VALUES: &[(u16, &[u8])] = &[
    (tag::DEST_ADDR_SUBUNIT, b"\x01"),
    (tag::DEST_NETWORK_TYPE, b"\x01"),
    (tag::DEST_BEARER_TYPE, b"\x01"),
    (tag::DEST_TELEMATICS_ID, b"\x00\x11"),
    (tag::SOURCE_ADDR_SUBUNIT, b"\x04"),
    (tag::SOURCE_NETWORK_TYPE, b"\x08"),
    (tag::SOURCE_BEARER_TYPE, b"\x08"),
    (tag::SOURCE_TELEMATICS_ID, b"\x12"),
    (tag::QOS_TIME_TO_LIVE, b"\x00\x01\x51\x80"),
    (tag::PAYLOAD_TYPE, b"\x01"),
    (tag::ADDITIONAL_STATUS_INFO_TEXT, b"route is closed\0"),
    (tag::RECEIPTED_MESSAGE_ID, b"0123456789\0"),
    (tag::MS_MSG_WAIT_FACILITIES, b"\x81"),
    (tag::PRIVACY_INDICATOR, b"\x03"),
    (tag::SOURCE_SUBADDRESS, b"\xA012345"),
    (tag::DEST_SUBADDRESS, b"\x8812345"),
    (tag::USER_MESSAGE_REFERENCE, b"\x12\x34"),
    (tag::USER_RESPONSE_CODE, b"\x05"),
    (tag::SOURCE_PORT, b"\x0B\x84"),
    (tag::DESTINATION_PORT, b"\x23\xF4"),
    (tag::SAR_MSG_REF_NUM, b"\xFF\xFF"),
    (tag::LANGUAGE_INDICATOR, b"\x01"),
    (tag::SAR_TOTAL_SEGMENTS, b"\xFF"),
    (tag::SAR_SEGMENT_SEQNUM, b"\x01"),
    (tag::SC_INTERFACE_VERSION, b"\x50"),
    (tag::CALLBACK_NUM_PRES_IND, b"\x05"),
    (tag::CALLBACK_NUM_ATAG, b"\x00MNARA"),
    (tag::NUMBER_OF_MESSAGES, b"\x63"),
    (tag::CALLBACK_NUM, b"\x01\x01\x01255753276939"),
    (tag::DPF_RESULT, b"\x01"),
    (tag::SET_DPF, b"\x01"),
    (tag::MS_AVAILABILITY_STATUS, b"\x02"),
    (tag::NETWORK_ERROR_CODE, b"\x03\x01\x02"),
    (tag::MESSAGE_PAYLOAD, b"a payload"),
    (tag::DELIVERY_FAILURE_REASON, b"\x03"),
    (tag::MORE_MESSAGES_TO_SEND, b"\x01"),
    (tag::MESSAGE_STATE, b"\x09"),
    (tag::CONGESTION_STATE, b"\x64"),
    (tag::USSD_SERVICE_OP, b"\x01"),
    (tag::BROADCAST_CHANNEL_INDICATOR, b"\x01"),
    (tag::BROADCAST_CONTENT_TYPE, b"\x01\x00\x10"),
    (tag::BROADCAST_CONTENT_TYPE_INFO, b"info"),
    (tag::BROADCAST_MESSAGE_CLASS, b"\x03"),
    (tag::BROADCAST_FREQUENCY_INTERVAL, b"\x09\x00\x0A"),
    (tag::BROADCAST_AREA_IDENTIFIER, b"\x00Tanga"),
    (tag::BROADCAST_ERROR_STATUS, b"\x00\x00\x01\x0D"),
    (tag::BROADCAST_AREA_SUCCESS, b"\x64"),
    (tag::BROADCAST_END_TIME, b"261121102530004+\0"),
    (tag::BROADCAST_SERVICE_GROUP, b"group"),
    (tag::BILLING_IDENTIFICATION, b"\x00billing"),
    (tag::SOURCE_NETWORK_ID, b"\x01640050\0"),
    (tag::DEST_NETWORK_ID, b"\x01640050\0"),
    (tag::SOURCE_NODE_ID, b"123456"),
    (tag::DEST_NODE_ID, b"654321"),
    (tag::DEST_ADDR_NP_RESOLUTION, b"\x02"),
    (tag::DEST_ADDR_NP_INFORMATION, b"2557532769"),
    (tag::DEST_ADDR_NP_COUNTRY, b"00255"),
    (tag::DISPLAY_TIME, b"\x01"),
    (tag::SMS_SIGNAL, b"\x00\x01"),
    (tag::MS_VALIDITY, b"\x00"),
    (tag::ALERT_ON_MESSAGE_DELIVERY, b""),
    (tag::ITS_REPLY_TYPE, b"\x04"),
    (tag::ITS_SESSION_INFO, b"\x01\x02"),
    // Last, because tshark does not read on behind it (`dissect`).
    (tag::BROADCAST_REP_NUM, b"\x00\x10"),
];
