//! Lives here: optional parameters (TLVs, SMPP 3.2.4.1 and 5.3), their tags, and reading and writing them.
//! Never here: which TLVs a PDU should carry.

use bytes::Bytes;
use nom::bytes::complete::take;
use nom::number::complete::be_u16;
use smallvec::SmallVec;

/// Octets in front of each value: tag and length, two each.
pub const TLV_HEADER_LEN: usize = 4;

/// One optional parameter. Any tag and any value of at most 65 535 octets is legal; nothing is interpreted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tlv {
    /// The tag; see [`tag`].
    pub tag: u16,
    /// The value's octets, without tag and length; a slice of the frame when decoded.
    pub value: Bytes,
}

impl Tlv {
    /// A TLV with these octets.
    pub fn new(tag: u16, value: impl Into<Bytes>) -> Self {
        Self {
            tag,
            value: value.into(),
        }
    }

    /// A TLV of one octet. Allocates nothing.
    #[must_use]
    pub fn u8(tag: u16, value: u8) -> Self {
        let at = usize::from(value);
        Self {
            tag,
            value: Bytes::from_static(&OCTETS[at..=at]),
        }
    }

    /// A TLV of one big-endian 16-bit integer.
    #[must_use]
    pub fn u16(tag: u16, value: u16) -> Self {
        Self {
            tag,
            value: Bytes::copy_from_slice(&value.to_be_bytes()),
        }
    }

    /// A TLV holding a C-octet string: `text` and the terminating NUL.
    #[must_use]
    pub fn cstr(tag: u16, text: &str) -> Self {
        let mut value = Vec::with_capacity(text.len() + 1);
        value.extend_from_slice(text.as_bytes());
        value.push(0);
        Self {
            tag,
            value: value.into(),
        }
    }
}

/// The TLVs of one PDU in wire order; repeated and unknown tags are kept. Two fit without allocation (a
/// receipt's `receipted_message_id` and `message_state`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tlvs(SmallVec<[Tlv; 2]>);

impl Tlvs {
    /// No TLVs.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends one, also when the tag is already there.
    pub fn push(&mut self, tlv: Tlv) {
        self.0.push(tlv);
    }

    /// In wire order.
    pub fn iter(&self) -> std::slice::Iter<'_, Tlv> {
        self.0.iter()
    }

    /// How many there are, repeated ones counted each.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of the first TLV with this tag.
    #[must_use]
    pub fn get(&self, tag: u16) -> Option<&Bytes> {
        self.0
            .iter()
            .find(|tlv| tlv.tag == tag)
            .map(|tlv| &tlv.value)
    }

    /// The value as one octet; `None` when absent or not exactly one octet long.
    #[must_use]
    pub fn get_u8(&self, tag: u16) -> Option<u8> {
        match self.get(tag)?[..] {
            [value] => Some(value),
            _ => None,
        }
    }

    /// The value as an integer of 16 bits; one octet is accepted too (peers shorten `source_telematics_id` and
    /// others). `None` when absent or of another length.
    #[must_use]
    pub fn get_u16(&self, tag: u16) -> Option<u16> {
        match self.get(tag)?[..] {
            [value] => Some(u16::from(value)),
            [high, low] => Some(u16::from_be_bytes([high, low])),
            _ => None,
        }
    }

    /// The value up to its first NUL, or all of it when the peer forgot the NUL.
    #[must_use]
    pub fn get_cstr(&self, tag: u16) -> Option<&[u8]> {
        self.get(tag)?.split(|octet| *octet == 0).next()
    }

    /// Octets on the wire.
    pub(crate) fn wire_len(&self) -> usize {
        self.0
            .iter()
            .map(|tlv| TLV_HEADER_LEN + tlv.value.len())
            .sum()
    }
}

impl FromIterator<Tlv> for Tlvs {
    fn from_iter<I: IntoIterator<Item = Tlv>>(tlvs: I) -> Self {
        Self(tlvs.into_iter().collect())
    }
}

impl Extend<Tlv> for Tlvs {
    fn extend<I: IntoIterator<Item = Tlv>>(&mut self, tlvs: I) {
        self.0.extend(tlvs);
    }
}

impl<'a> IntoIterator for &'a Tlvs {
    type Item = &'a Tlv;
    type IntoIter = std::slice::Iter<'a, Tlv>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// What stood behind the last whole TLV.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tail {
    /// Nothing: the octets were TLVs to the end.
    Clean,
    /// One to three octets, too few for a tag and a length.
    Octets(usize),
    /// A tag and a length, and fewer octets than the length says.
    Truncated {
        tag: u16,
        declared: u16,
        available: usize,
    },
}

/// Reads TLVs until the end or until one does not fit; those before it are kept.
#[inline]
pub(crate) fn read_all(body: &Bytes, mut rest: &[u8]) -> (Tlvs, Tail) {
    let mut tlvs = Tlvs::new();
    loop {
        if rest.is_empty() {
            return (tlvs, Tail::Clean);
        }
        match read_one(rest) {
            Ok((behind, (tag, value))) => {
                tlvs.push(Tlv {
                    tag,
                    value: body.slice_ref(value),
                });
                rest = behind;
            }
            Err(tail) => return (tlvs, tail),
        }
    }
}

/// Whether `rest` is nothing but whole TLVs (or empty) whose tags are standard or in the vendor range: the test
/// by which a misplaced boundary is found. Touches no reference count.
pub(crate) fn is_plausible(mut rest: &[u8]) -> bool {
    while !rest.is_empty() {
        match read_one(rest) {
            Ok((behind, (tag, _))) if tag::name(tag).is_some() || tag::is_vendor(tag) => {
                rest = behind;
            }
            Ok(_) | Err(_) => return false,
        }
    }
    true
}

/// Whether `rest` is nothing but whole TLVs with any tags.
pub(crate) fn is_whole(mut rest: &[u8]) -> bool {
    while !rest.is_empty() {
        match read_one(rest) {
            Ok((behind, _)) => rest = behind,
            Err(_) => return false,
        }
    }
    true
}

type Cut<'a> = (&'a [u8], (u16, &'a [u8]));

#[inline]
fn read_one(input: &[u8]) -> Result<Cut<'_>, Tail> {
    let too_few = |_| Tail::Octets(input.len());
    let (rest, tag) = be_u16::<_, ()>(input).map_err(too_few)?;
    let (rest, declared) = be_u16::<_, ()>(rest).map_err(too_few)?;
    let (behind, value) = take::<_, _, ()>(declared)(rest).map_err(|_| Tail::Truncated {
        tag,
        declared,
        available: rest.len(),
    })?;
    Ok((behind, (tag, value)))
}

/// All octet values in order, so that a one-octet TLV can point at its value.
static OCTETS: [u8; 256] = {
    let mut octets = [0; 256];
    let mut at = 0;
    while at < 256 {
        octets[at] = at as u8;
        at += 1;
    }
    octets
};

/// The standard tags of SMPP 3.4 (5.3.2) and 5.0.
pub mod tag {
    macro_rules! tags {
        ($($const:ident = $value:literal, $name:literal, $doc:literal;)*) => {
            $(
                #[doc = concat!("`", $name, "`: ", $doc, ".")]
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
        };
    }

    /// Whether the tag lies in the range 3.4 leaves to vendors (0x1400 to 0x3FFF).
    #[must_use]
    pub const fn is_vendor(tag: u16) -> bool {
        matches!(tag, 0x1400..=0x3FFF)
    }

    tags! {
        DEST_ADDR_SUBUNIT = 0x0005, "dest_addr_subunit", "u8";
        DEST_NETWORK_TYPE = 0x0006, "dest_network_type", "u8";
        DEST_BEARER_TYPE = 0x0007, "dest_bearer_type", "u8";
        DEST_TELEMATICS_ID = 0x0008, "dest_telematics_id", "u16";
        SOURCE_ADDR_SUBUNIT = 0x000D, "source_addr_subunit", "u8";
        SOURCE_NETWORK_TYPE = 0x000E, "source_network_type", "u8";
        SOURCE_BEARER_TYPE = 0x000F, "source_bearer_type", "u8";
        SOURCE_TELEMATICS_ID = 0x0010, "source_telematics_id", "u8 (smppex 1, node-smpp 2: accept 1 or 2)";
        QOS_TIME_TO_LIVE = 0x0017, "qos_time_to_live", "u32 seconds";
        PAYLOAD_TYPE = 0x0019, "payload_type", "u8";
        ADDITIONAL_STATUS_INFO_TEXT = 0x001D, "additional_status_info_text", "c-octet at most 256";
        RECEIPTED_MESSAGE_ID = 0x001E, "receipted_message_id", "c-octet at most 65";
        MS_MSG_WAIT_FACILITIES = 0x0030, "ms_msg_wait_facilities", "u8 bitmask";
        PRIVACY_INDICATOR = 0x0201, "privacy_indicator", "u8";
        SOURCE_SUBADDRESS = 0x0202, "source_subaddress", "octets 2-23";
        DEST_SUBADDRESS = 0x0203, "dest_subaddress", "octets 2-23";
        USER_MESSAGE_REFERENCE = 0x0204, "user_message_reference", "u16";
        USER_RESPONSE_CODE = 0x0205, "user_response_code", "u8";
        SOURCE_PORT = 0x020A, "source_port", "u16";
        DESTINATION_PORT = 0x020B, "destination_port", "u16";
        SAR_MSG_REF_NUM = 0x020C, "sar_msg_ref_num", "u16";
        LANGUAGE_INDICATOR = 0x020D, "language_indicator", "u8";
        SAR_TOTAL_SEGMENTS = 0x020E, "sar_total_segments", "u8";
        SAR_SEGMENT_SEQNUM = 0x020F, "sar_segment_seqnum", "u8, from 1";
        SC_INTERFACE_VERSION = 0x0210, "sc_interface_version", "u8 (bind resps)";
        CALLBACK_NUM_PRES_IND = 0x0302, "callback_num_pres_ind", "u8, repeatable";
        CALLBACK_NUM_ATAG = 0x0303, "callback_num_atag", "octets at most 65, repeatable";
        NUMBER_OF_MESSAGES = 0x0304, "number_of_messages", "u8 0-99";
        CALLBACK_NUM = 0x0381, "callback_num", "octets 4-19, repeatable";
        DPF_RESULT = 0x0420, "dpf_result", "u8";
        SET_DPF = 0x0421, "set_dpf", "u8";
        MS_AVAILABILITY_STATUS = 0x0422, "ms_availability_status", "u8 (alert_notification)";
        NETWORK_ERROR_CODE = 0x0423, "network_error_code", "3 octets: type u8 + code u16 (accept 3 ASCII digits, 4 octets)";
        MESSAGE_PAYLOAD = 0x0424, "message_payload", "octets at most 65535";
        DELIVERY_FAILURE_REASON = 0x0425, "delivery_failure_reason", "u8: 0 dest unavailable, 1 dest addr invalid, 2 permanent network, 3 temporary network";
        MORE_MESSAGES_TO_SEND = 0x0426, "more_messages_to_send", "u8";
        MESSAGE_STATE = 0x0427, "message_state", "u8";
        CONGESTION_STATE = 0x0428, "congestion_state", "u8 0-100 (5.0 responses)";
        USSD_SERVICE_OP = 0x0501, "ussd_service_op", "u8";
        BROADCAST_CHANNEL_INDICATOR = 0x0600, "broadcast_channel_indicator", "u8";
        BROADCAST_CONTENT_TYPE = 0x0601, "broadcast_content_type", "3 octets";
        BROADCAST_CONTENT_TYPE_INFO = 0x0602, "broadcast_content_type_info", "octets at most 255";
        BROADCAST_MESSAGE_CLASS = 0x0603, "broadcast_message_class", "u8";
        BROADCAST_REP_NUM = 0x0604, "broadcast_rep_num", "u16";
        BROADCAST_FREQUENCY_INTERVAL = 0x0605, "broadcast_frequency_interval", "3 octets: unit u8 + n u16";
        BROADCAST_AREA_IDENTIFIER = 0x0606, "broadcast_area_identifier", "octets at most 100, repeatable (also 'failed' areas in resp)";
        BROADCAST_ERROR_STATUS = 0x0607, "broadcast_error_status", "u32, repeatable";
        BROADCAST_AREA_SUCCESS = 0x0608, "broadcast_area_success", "u8 0-100, 255 n/a";
        BROADCAST_END_TIME = 0x0609, "broadcast_end_time", "16 chars";
        BROADCAST_SERVICE_GROUP = 0x060A, "broadcast_service_group", "octets at most 255";
        BILLING_IDENTIFICATION = 0x060B, "billing_identification", "octets at most 1024";
        SOURCE_NETWORK_ID = 0x060D, "source_network_id", "c-octet 7-65";
        DEST_NETWORK_ID = 0x060E, "dest_network_id", "c-octet 7-65";
        SOURCE_NODE_ID = 0x060F, "source_node_id", "6 octets";
        DEST_NODE_ID = 0x0610, "dest_node_id", "6 octets";
        DEST_ADDR_NP_RESOLUTION = 0x0611, "dest_addr_np_resolution", "u8";
        DEST_ADDR_NP_INFORMATION = 0x0612, "dest_addr_np_information", "octets at most 10";
        DEST_ADDR_NP_COUNTRY = 0x0613, "dest_addr_np_country", "at most 5 octets (E.164 country code)";
        DISPLAY_TIME = 0x1201, "display_time", "u8";
        SMS_SIGNAL = 0x1203, "sms_signal", "u16";
        MS_VALIDITY = 0x1204, "ms_validity", "u8 (3.4) / 1 or 4 octets (5.0)";
        ALERT_ON_MESSAGE_DELIVERY = 0x130C, "alert_on_message_delivery", "0 octets (3.4) / u8 (5.0)";
        ITS_REPLY_TYPE = 0x1380, "its_reply_type", "u8";
        ITS_SESSION_INFO = 0x1383, "its_session_info", "2 octets";
    }
}

#[cfg(test)]
mod tests {
    use super::{Tail, Tlv, Tlvs, is_plausible, read_all, tag};
    use bytes::Bytes;

    #[test]
    fn order_repeats_and_unknown_tags_are_kept() {
        let wire =
            Bytes::from_static(b"\x14\x01\0\x02hi\x03\x81\0\x01a\x03\x81\0\x01b\x99\x99\0\0");
        let (tlvs, tail) = read_all(&wire, &wire);
        assert_eq!(tail, Tail::Clean);
        let tags: Vec<u16> = tlvs.iter().map(|tlv| tlv.tag).collect();
        assert_eq!(tags, [0x1401, tag::CALLBACK_NUM, tag::CALLBACK_NUM, 0x9999]);
        assert_eq!(
            tlvs.get(tag::CALLBACK_NUM).map(|value| &value[..]),
            Some(&b"a"[..])
        );
        assert_eq!(tlvs.wire_len(), wire.len());
        assert!(
            !is_plausible(&wire),
            "0x9999 is neither standard nor vendor"
        );
    }

    #[test]
    fn integers_and_strings_are_read_with_odd_lengths() {
        let tlvs: Tlvs = [
            Tlv::u8(tag::MESSAGE_STATE, 2),
            Tlv::u16(tag::SOURCE_PORT, 0x1234),
            Tlv::new(tag::DESTINATION_PORT, Bytes::from_static(b"\x07")),
            Tlv::cstr(tag::RECEIPTED_MESSAGE_ID, "abc"),
            Tlv::new(
                tag::ADDITIONAL_STATUS_INFO_TEXT,
                Bytes::from_static(b"no end"),
            ),
        ]
        .into_iter()
        .collect();
        assert_eq!(tlvs.get_u8(tag::MESSAGE_STATE), Some(2));
        assert_eq!(tlvs.get_u8(tag::SOURCE_PORT), None);
        assert_eq!(tlvs.get_u16(tag::SOURCE_PORT), Some(0x1234));
        assert_eq!(tlvs.get_u16(tag::DESTINATION_PORT), Some(7));
        assert_eq!(tlvs.get_cstr(tag::RECEIPTED_MESSAGE_ID), Some(&b"abc"[..]));
        assert_eq!(
            tlvs.get_cstr(tag::ADDITIONAL_STATUS_INFO_TEXT),
            Some(&b"no end"[..])
        );
        assert_eq!(tlvs.get_u8(tag::PAYLOAD_TYPE), None);
    }

    #[test]
    fn a_cut_tlv_is_described_and_the_ones_before_it_stay() {
        let wire = Bytes::from_static(b"\x04\x27\0\x01\x02\0\x1e\0\x09abc");
        let (tlvs, tail) = read_all(&wire, &wire);
        assert_eq!(tlvs.len(), 1);
        assert_eq!(
            tail,
            Tail::Truncated {
                tag: tag::RECEIPTED_MESSAGE_ID,
                declared: 9,
                available: 3
            }
        );
        let wire = Bytes::from_static(b"\x04\x27\0");
        assert_eq!(read_all(&wire, &wire).1, Tail::Octets(3));
    }
}
