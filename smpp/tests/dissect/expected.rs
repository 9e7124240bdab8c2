//! Lives here: what tshark should show of each PDU.
//! Never here: running it (`capture`).

use mnara_smpp::pdu::{Address, Destination, OctetStr, Pdu};
use mnara_smpp::tlv::{Tlv, Tlvs, tag};

use crate::samples::Sample;

/// The columns of mandatory fields, and of the TLVs' tags and lengths; those of values stand in `TLVS`.
const MANDATORY: &[&str] = &[
    "smpp.command_length",
    "smpp.command_id",
    "smpp.command_status",
    "smpp.sequence_number",
    "smpp.system_id",
    "smpp.password",
    "smpp.system_type",
    "smpp.interface_version",
    "smpp.addr_ton",
    "smpp.addr_npi",
    "smpp.address_range",
    "smpp.service_type",
    "smpp.source_addr_ton",
    "smpp.source_addr_npi",
    "smpp.source_addr",
    "smpp.dest_addr_ton",
    "smpp.dest_addr_npi",
    "smpp.destination_addr",
    "smpp.dl_name",
    "smpp.esme_addr_ton",
    "smpp.esme_addr_npi",
    "smpp.esme_addr",
    "smpp.error_status_code",
    "smpp.esm.submit.msg_mode",
    "smpp.esm.submit.msg_type",
    "smpp.esm.submit.features",
    "smpp.protocol_id",
    "smpp.priority_flag",
    "smpp.schedule_delivery_time",
    "smpp.schedule_delivery_time_r",
    "smpp.validity_period",
    "smpp.validity_period_r",
    "smpp.final_date",
    "smpp.final_date_r",
    "smpp.regdel.receipt",
    "smpp.regdel.acks",
    "smpp.regdel.notif",
    "smpp.replace_if_present_flag",
    "smpp.data_coding",
    "smpp.sm_default_msg_id",
    "smpp.sm_length",
    "smpp.message",
    "smpp.message_id",
    "smpp.message_state",
    "smpp.error_code",
    "smpp.opt_param_tag",
    "smpp.opt_param_len",
];

/// How tshark shows the value of a TLV.
#[derive(Clone, Copy)]
enum Form {
    Number(&'static str),
    Bytes(&'static str),
    Text(&'static str),
    /// One octet, then two.
    Pair(&'static str, &'static str),
    /// No column of its own, or none that repeats the value; tag and length are compared all the same.
    Aside,
}

use Form::{Aside, Bytes, Number, Pair, Text};

const TLVS: &[(u16, Form)] = &[
    (tag::DEST_ADDR_SUBUNIT, Number("smpp.dest_addr_subunit")),
    (tag::DEST_NETWORK_TYPE, Number("smpp.dest_network_type")),
    (tag::DEST_BEARER_TYPE, Number("smpp.dest_bearer_type")),
    (tag::DEST_TELEMATICS_ID, Number("smpp.dest_telematics_id")),
    (tag::SOURCE_ADDR_SUBUNIT, Number("smpp.source_addr_subunit")),
    (tag::SOURCE_NETWORK_TYPE, Number("smpp.source_network_type")),
    (tag::SOURCE_BEARER_TYPE, Number("smpp.source_bearer_type")),
    (
        tag::SOURCE_TELEMATICS_ID,
        Number("smpp.source_telematics_id"),
    ),
    (tag::QOS_TIME_TO_LIVE, Number("smpp.qos_time_to_live")),
    (tag::PAYLOAD_TYPE, Number("smpp.payload_type")),
    (
        tag::ADDITIONAL_STATUS_INFO_TEXT,
        Text("smpp.additional_status_info_text"),
    ),
    (tag::RECEIPTED_MESSAGE_ID, Text("smpp.receipted_message_id")),
    // Divided into smpp.msg_wait.ind and .type.
    (tag::MS_MSG_WAIT_FACILITIES, Aside),
    (tag::PRIVACY_INDICATOR, Number("smpp.privacy_indicator")),
    (tag::SOURCE_SUBADDRESS, Bytes("smpp.source_subaddress")),
    (tag::DEST_SUBADDRESS, Bytes("smpp.dest_subaddress")),
    (
        tag::USER_MESSAGE_REFERENCE,
        Number("smpp.user_message_reference"),
    ),
    (tag::USER_RESPONSE_CODE, Number("smpp.user_response_code")),
    (tag::SOURCE_PORT, Number("smpp.source_port")),
    (tag::DESTINATION_PORT, Number("smpp.destination_port")),
    (tag::SAR_MSG_REF_NUM, Number("smpp.sar_msg_ref_num")),
    (tag::LANGUAGE_INDICATOR, Number("smpp.language_indicator")),
    (tag::SAR_TOTAL_SEGMENTS, Number("smpp.sar_total_segments")),
    (tag::SAR_SEGMENT_SEQNUM, Number("smpp.sar_segment_seqnum")),
    (
        tag::SC_INTERFACE_VERSION,
        Number("smpp.SC_interface_version"),
    ),
    // Divided into smpp.callback_num.pres and .scrn.
    (tag::CALLBACK_NUM_PRES_IND, Aside),
    (tag::CALLBACK_NUM_ATAG, Aside),
    (tag::NUMBER_OF_MESSAGES, Number("smpp.number_of_messages")),
    (tag::CALLBACK_NUM, Aside),
    (tag::DPF_RESULT, Number("smpp.dpf_result")),
    (tag::SET_DPF, Number("smpp.set_dpf")),
    (
        tag::MS_AVAILABILITY_STATUS,
        Number("smpp.ms_availability_status"),
    ),
    (
        tag::NETWORK_ERROR_CODE,
        Pair("smpp.network_error.type", "smpp.network_error.code"),
    ),
    (tag::MESSAGE_PAYLOAD, Bytes("smpp.message_payload")),
    (
        tag::DELIVERY_FAILURE_REASON,
        Number("smpp.delivery_failure_reason"),
    ),
    (
        tag::MORE_MESSAGES_TO_SEND,
        Number("smpp.more_messages_to_send"),
    ),
    (tag::MESSAGE_STATE, Number("smpp.message_state")),
    (tag::CONGESTION_STATE, Number("smpp.congestion_state")),
    (tag::USSD_SERVICE_OP, Number("smpp.ussd_service_op")),
    (
        tag::BROADCAST_CHANNEL_INDICATOR,
        Number("smpp.broadcast_channel_indicator"),
    ),
    (
        tag::BROADCAST_CONTENT_TYPE,
        Pair(
            "smpp.broadcast_content_type.nw",
            "smpp.broadcast_content_type.type",
        ),
    ),
    (
        tag::BROADCAST_CONTENT_TYPE_INFO,
        Bytes("smpp.broadcast_content_type.info"),
    ),
    (
        tag::BROADCAST_MESSAGE_CLASS,
        Number("smpp.broadcast_message_class"),
    ),
    // Half of it is read; see `ends_early`.
    (tag::BROADCAST_REP_NUM, Aside),
    (
        tag::BROADCAST_FREQUENCY_INTERVAL,
        Pair(
            "smpp.broadcast_frequency_interval.unit",
            "smpp.broadcast_frequency_interval.value",
        ),
    ),
    (
        tag::BROADCAST_AREA_IDENTIFIER,
        Bytes("smpp.broadcast_area_identifier"),
    ),
    (
        tag::BROADCAST_ERROR_STATUS,
        Number("smpp.broadcast_error_status"),
    ),
    (
        tag::BROADCAST_AREA_SUCCESS,
        Number("smpp.broadcast_area_success"),
    ),
    // Shown as a time.
    (tag::BROADCAST_END_TIME, Aside),
    (
        tag::BROADCAST_SERVICE_GROUP,
        Bytes("smpp.broadcast_service_group"),
    ),
    (tag::BILLING_IDENTIFICATION, Bytes("smpp.billing_id")),
    (tag::SOURCE_NETWORK_ID, Text("smpp.source_network_id")),
    (tag::DEST_NETWORK_ID, Text("smpp.dest_network_id")),
    (tag::SOURCE_NODE_ID, Bytes("smpp.source_node_id")),
    (tag::DEST_NODE_ID, Bytes("smpp.dest_node_id")),
    (
        tag::DEST_ADDR_NP_RESOLUTION,
        Number("smpp.dest_addr_np_resolution"),
    ),
    (
        tag::DEST_ADDR_NP_INFORMATION,
        Bytes("smpp.dest_addr_np_info"),
    ),
    (
        tag::DEST_ADDR_NP_COUNTRY,
        Bytes("smpp.dest_addr_np_country"),
    ),
    (tag::DISPLAY_TIME, Number("smpp.display_time")),
    (tag::SMS_SIGNAL, Number("smpp.sms_signal")),
    (tag::MS_VALIDITY, Number("smpp.ms_validity")),
    (tag::ALERT_ON_MESSAGE_DELIVERY, Aside),
    (tag::ITS_REPLY_TYPE, Number("smpp.its_reply_type")),
    // Divided into smpp.its_session.number, .sequence and .ind.
    (tag::ITS_SESSION_INFO, Aside),
];

/// The columns that are compared, each once.
pub(crate) fn columns() -> Vec<&'static str> {
    let mut columns = MANDATORY.to_vec();
    for (_, form) in TLVS {
        let more = match form {
            Number(column) | Bytes(column) | Text(column) => vec![*column],
            Pair(first, second) => vec![*first, *second],
            Aside => Vec::new(),
        };
        columns.extend(more.into_iter().filter(|more| !MANDATORY.contains(more)));
    }
    columns
}

/// One value of a column.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// Decimal or `0x` and hexadecimal.
    Number(u64),
    /// As it is.
    Text(String),
    /// Hexadecimal, perhaps with colons.
    Bytes(Vec<u8>),
}

impl Value {
    fn is_shown_as(&self, shown: &str) -> bool {
        match self {
            Self::Number(value) => {
                let read = match shown.strip_prefix("0x") {
                    Some(digits) => u64::from_str_radix(digits, 16),
                    None => shown.parse(),
                };
                read.as_ref() == Ok(value)
            }
            Self::Text(text) => text == shown,
            Self::Bytes(octets) => {
                let digits: String = octets.iter().map(|octet| format!("{octet:02x}")).collect();
                digits == shown.replace(':', "")
            }
        }
    }
}

/// The values that a frame should have, by column.
#[derive(Default)]
pub(crate) struct Fields(Vec<(&'static str, Value)>);

impl Fields {
    /// What the column should hold, in order.
    pub(crate) fn of(&self, column: &str) -> Vec<&Value> {
        self.0
            .iter()
            .filter(|(name, _)| *name == column)
            .map(|(_, value)| value)
            .collect()
    }

    /// Whether the column holds that. An absent field and an empty text look alike.
    pub(crate) fn are_shown_as(&self, column: &str, shown: &[&str]) -> bool {
        let expected = self.of(column);
        if shown.is_empty() {
            return expected
                .iter()
                .all(|value| **value == Value::Text(String::new()));
        }
        expected.len() == shown.len()
            && expected
                .iter()
                .zip(shown)
                .all(|(value, shown)| value.is_shown_as(shown))
    }

    fn number(&mut self, column: &'static str, value: impl Into<u64>) {
        self.0.push((column, Value::Number(value.into())));
    }

    fn text(&mut self, column: &'static str, text: &OctetStr) {
        let text = text.to_str_lossy().into_owned();
        self.0.push((column, Value::Text(text)));
    }

    fn service_type(&mut self, text: &OctetStr) {
        let text = if text.is_empty() {
            "(Default)".into()
        } else {
            text.clone()
        };
        self.text("smpp.service_type", &text);
    }

    /// An absolute time has a column, a relative or empty one another.
    fn time(&mut self, absolute: &'static str, relative: &'static str, text: &OctetStr) {
        let (column, shown) = match text.as_bytes() {
            b"" => (relative, "0.000000000"),
            b"000001000000000R" => (relative, "86400.000000000"),
            b"000007000000000R" => (relative, "604800.000000000"),
            // One hour east of Greenwich.
            b"261121102530004+" => (absolute, "Nov 21, 2026 09:25:30.000000000 UTC"),
            other => panic!("say what tshark should show for {}", other.escape_ascii()),
        };
        self.0.push((column, Value::Text(shown.to_owned())));
    }

    fn times(&mut self, schedule: &OctetStr, validity: &OctetStr) {
        let [absolute, relative] = [
            "smpp.schedule_delivery_time",
            "smpp.schedule_delivery_time_r",
        ];
        self.time(absolute, relative, schedule);
        let [absolute, relative] = ["smpp.validity_period", "smpp.validity_period_r"];
        self.time(absolute, relative, validity);
    }

    fn source(&mut self, address: &Address) {
        self.number("smpp.source_addr_ton", address.ton);
        self.number("smpp.source_addr_npi", address.npi);
        self.text("smpp.source_addr", &address.addr);
    }

    fn dest(&mut self, address: &Address) {
        self.number("smpp.dest_addr_ton", address.ton);
        self.number("smpp.dest_addr_npi", address.npi);
        self.text("smpp.destination_addr", &address.addr);
    }

    fn esm_class(&mut self, value: u8) {
        self.number("smpp.esm.submit.msg_mode", value & 0x03);
        self.number("smpp.esm.submit.msg_type", value >> 2 & 0x0F);
        self.number("smpp.esm.submit.features", value >> 6);
    }

    fn registered_delivery(&mut self, value: u8) {
        self.number("smpp.regdel.receipt", value & 0x03);
        self.number("smpp.regdel.acks", value >> 2 & 0x03);
        self.number("smpp.regdel.notif", value >> 4 & 0x01);
    }

    fn message(&mut self, octets: &[u8]) {
        self.number("smpp.sm_length", octets.len() as u64);
        if !octets.is_empty() {
            self.0.push(("smpp.message", Value::Bytes(octets.to_vec())));
        }
    }

    fn tlvs(&mut self, tlvs: &Tlvs) {
        for tlv in tlvs {
            self.number("smpp.opt_param_tag", tlv.tag);
            self.number("smpp.opt_param_len", tlv.value.len() as u64);
            self.tlv(tlv);
        }
    }

    fn tlv(&mut self, tlv: &Tlv) {
        let number = |octets: &[u8]| {
            Value::Number(
                octets
                    .iter()
                    .fold(0, |value, octet| value << 8 | u64::from(*octet)),
            )
        };
        let (_, form) = TLVS
            .iter()
            .find(|(tag, _)| *tag == tlv.tag)
            .unwrap_or_else(|| panic!("say what tshark should show of {tlv:?}"));
        match form {
            Number(column) => self.0.push((column, number(&tlv.value))),
            Bytes(column) => self.0.push((column, Value::Bytes(tlv.value.to_vec()))),
            Text(column) => self.text(column, &OctetStr::new(tlv.value.clone())),
            Pair(first, second) => {
                self.0.push((first, number(&tlv.value[..1])));
                self.0.push((second, number(&tlv.value[1..])));
            }
            Aside => {}
        }
    }
}

/// What tshark should show of a sample.
pub(crate) fn fields(sample: &Sample, sequence: u32, length: usize) -> Fields {
    let mut fields = Fields::default();
    // A segment that starts with a command it does not know is no SMPP to tshark; behind another PDU it is.
    if matches!(sample.pdu, Pdu::Unknown { .. }) {
        return fields;
    }
    let command = sample.pdu.command();
    fields.number("smpp.command_length", length as u64);
    fields.number("smpp.command_id", command.0);
    fields.number("smpp.sequence_number", sequence);
    if command.is_response() {
        fields.number("smpp.command_status", sample.status.0);
    }
    // Behind an error status tshark reads no body, although that of data_sm_resp is legal there (SMPP 4.7.2).
    if sample.status.is_ok() {
        body(&mut fields, &sample.pdu);
        if let Some(tlvs) = sample.pdu.tlvs() {
            fields.tlvs(tlvs);
        }
    }
    fields
}

/// The mandatory fields. A new kind of PDU does not compile before it is described here.
fn body(fields: &mut Fields, pdu: &Pdu) {
    match pdu {
        Pdu::Bind(pdu) => {
            fields.text("smpp.system_id", &pdu.system_id);
            fields.text("smpp.password", &pdu.password);
            fields.text("smpp.system_type", &pdu.system_type);
            fields.number("smpp.interface_version", pdu.interface_version.0);
            fields.number("smpp.addr_ton", pdu.address.ton);
            fields.number("smpp.addr_npi", pdu.address.npi);
            fields.text("smpp.address_range", &pdu.address.addr);
        }
        Pdu::BindResp(pdu) => fields.text("smpp.system_id", &pdu.system_id),
        Pdu::Outbind(pdu) => {
            fields.text("smpp.system_id", &pdu.system_id);
            fields.text("smpp.password", &pdu.password);
        }
        Pdu::SubmitSm(_) | Pdu::DeliverSm(_) | Pdu::SubmitMulti(_) | Pdu::DataSm(_) => {
            message(fields, pdu);
        }
        Pdu::SubmitSmResp(pdu) => fields.text("smpp.message_id", &pdu.message_id),
        Pdu::SubmitMultiResp(pdu) => {
            fields.text("smpp.message_id", &pdu.message_id);
            for failure in &pdu.unsuccess {
                fields.dest(&failure.dest);
                fields.number("smpp.error_status_code", failure.status.0);
            }
        }
        Pdu::DataSmResp(pdu) => fields.text("smpp.message_id", &pdu.message_id),
        // Always sent with an empty message_id.
        Pdu::DeliverSmResp(_) => {}
        Pdu::QuerySm(_)
        | Pdu::QuerySmResp(_)
        | Pdu::CancelSm(_)
        | Pdu::ReplaceSm(_)
        | Pdu::AlertNotification(_) => manage(fields, pdu),
        Pdu::BroadcastSm(_)
        | Pdu::BroadcastSmResp(_)
        | Pdu::QueryBroadcastSm(_)
        | Pdu::QueryBroadcastSmResp(_)
        | Pdu::CancelBroadcastSm(_) => broadcast(fields, pdu),
        Pdu::CancelSmResp
        | Pdu::ReplaceSmResp
        | Pdu::CancelBroadcastSmResp
        | Pdu::EnquireLink
        | Pdu::EnquireLinkResp
        | Pdu::Unbind
        | Pdu::UnbindResp
        | Pdu::GenericNack
        | Pdu::Unknown { .. } => {}
    }
}

/// Shows the fields that submit_sm, deliver_sm and submit_multi have in common, behind the addresses.
macro_rules! common {
    ($fields:ident, $pdu:ident) => {
        $fields.esm_class($pdu.esm_class);
        $fields.number("smpp.protocol_id", $pdu.protocol_id);
        $fields.number("smpp.priority_flag", $pdu.priority_flag);
        $fields.registered_delivery($pdu.registered_delivery);
        $fields.number("smpp.replace_if_present_flag", $pdu.replace_if_present);
        $fields.number("smpp.data_coding", $pdu.data_coding);
        $fields.number("smpp.sm_default_msg_id", $pdu.sm_default_msg_id);
        $fields.message(&$pdu.short_message);
    };
}

fn message(fields: &mut Fields, pdu: &Pdu) {
    match pdu {
        Pdu::SubmitSm(pdu) => {
            fields.service_type(&pdu.service_type);
            fields.source(&pdu.source);
            fields.dest(&pdu.dest);
            fields.times(&pdu.schedule_delivery_time, &pdu.validity_period);
            common!(fields, pdu);
        }
        Pdu::DeliverSm(pdu) => {
            fields.service_type(&pdu.service_type);
            fields.source(&pdu.source);
            fields.dest(&pdu.dest);
            fields.times(&pdu.schedule_delivery_time, &pdu.validity_period);
            common!(fields, pdu);
        }
        Pdu::SubmitMulti(pdu) => {
            fields.service_type(&pdu.service_type);
            fields.source(&pdu.source);
            for dest in &pdu.dests {
                match dest {
                    Destination::Address(address) => fields.dest(address),
                    Destination::List(name) => fields.text("smpp.dl_name", name),
                }
            }
            // Here tshark 4.0.17 shows an empty validity_period under the other time's name.
            fields.times(&pdu.schedule_delivery_time, &pdu.validity_period);
            if let Some((column, _)) = fields.0.last_mut()
                && pdu.validity_period.is_empty()
            {
                *column = "smpp.schedule_delivery_time_r";
            }
            common!(fields, pdu);
        }
        Pdu::DataSm(pdu) => {
            fields.service_type(&pdu.service_type);
            fields.source(&pdu.source);
            fields.dest(&pdu.dest);
            fields.esm_class(pdu.esm_class);
            fields.registered_delivery(pdu.registered_delivery);
            fields.number("smpp.data_coding", pdu.data_coding);
        }
        other => unreachable!("no message: {other:?}"),
    }
}

fn manage(fields: &mut Fields, pdu: &Pdu) {
    match pdu {
        Pdu::QuerySm(pdu) => {
            fields.text("smpp.message_id", &pdu.message_id);
            fields.source(&pdu.source);
        }
        Pdu::QuerySmResp(pdu) => {
            fields.text("smpp.message_id", &pdu.message_id);
            if !pdu.final_date.is_empty() {
                fields.time("smpp.final_date", "smpp.final_date_r", &pdu.final_date);
            }
            fields.number("smpp.message_state", pdu.message_state);
            fields.number("smpp.error_code", pdu.error_code);
        }
        Pdu::CancelSm(pdu) => {
            fields.service_type(&pdu.service_type);
            fields.text("smpp.message_id", &pdu.message_id);
            fields.source(&pdu.source);
            fields.dest(&pdu.dest);
        }
        Pdu::ReplaceSm(pdu) => {
            fields.text("smpp.message_id", &pdu.message_id);
            fields.source(&pdu.source);
            fields.times(&pdu.schedule_delivery_time, &pdu.validity_period);
            fields.registered_delivery(pdu.registered_delivery);
            fields.number("smpp.sm_default_msg_id", pdu.sm_default_msg_id);
            fields.message(&pdu.short_message);
        }
        Pdu::AlertNotification(pdu) => {
            fields.source(&pdu.source);
            fields.number("smpp.esme_addr_ton", pdu.esme.ton);
            fields.number("smpp.esme_addr_npi", pdu.esme.npi);
            fields.text("smpp.esme_addr", &pdu.esme.addr);
        }
        other => unreachable!("manages no message: {other:?}"),
    }
}

fn broadcast(fields: &mut Fields, pdu: &Pdu) {
    match pdu {
        Pdu::BroadcastSm(pdu) => {
            fields.service_type(&pdu.service_type);
            fields.source(&pdu.source);
            fields.text("smpp.message_id", &pdu.message_id);
            fields.number("smpp.priority_flag", pdu.priority_flag);
            fields.times(&pdu.schedule_delivery_time, &pdu.validity_period);
            fields.number("smpp.replace_if_present_flag", pdu.replace_if_present);
            fields.number("smpp.data_coding", pdu.data_coding);
            fields.number("smpp.sm_default_msg_id", pdu.sm_default_msg_id);
        }
        Pdu::BroadcastSmResp(pdu) => fields.text("smpp.message_id", &pdu.message_id),
        Pdu::QueryBroadcastSm(pdu) => {
            fields.text("smpp.message_id", &pdu.message_id);
            fields.source(&pdu.source);
        }
        Pdu::QueryBroadcastSmResp(pdu) => fields.text("smpp.message_id", &pdu.message_id),
        Pdu::CancelBroadcastSm(pdu) => {
            fields.service_type(&pdu.service_type);
            fields.text("smpp.message_id", &pdu.message_id);
            fields.source(&pdu.source);
        }
        other => unreachable!("no broadcast: {other:?}"),
    }
}
