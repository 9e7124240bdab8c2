//! Lives here: the targets that read what a PDU's fields hold: receipts and times.
//! Never here: PDUs (`wire`), other messages (`text`).

use bytes::{Bytes, BytesMut};
use mnara_smpp::pdu::{DataSm, DeliverSm, esm_class};
use mnara_smpp::receipt::{self, IdRule, MessageType, NewReceipt, Receipt, ReceiptDate};
use mnara_smpp::time::{AbsoluteTime, DateTime, RelativeTime, SmppTime};
use mnara_smpp::tlv::{Tlv, tag};

/// Any text under any coding is a receipt with an id or an error; the answer does not depend on where the text lies
/// or which PDU brings it; a receipt that we write of it is read alike.
///
/// The first octet is `data_coding`, the second `esm_class`, the rest is the text. The text's octets also serve as
/// the values of the receipt TLVs, which have dialects of their own.
///
/// # Panics
/// When it is not so.
pub fn receipt(data: &[u8]) {
    let [data_coding, esm_class, body @ ..] = data else {
        return;
    };
    let deliver = DeliverSm {
        esm_class: *esm_class,
        data_coding: *data_coding,
        short_message: Bytes::copy_from_slice(body),
        ..DeliverSm::default()
    };
    let parsed = receipt::parse(&deliver);
    if MessageType::of(*esm_class).is_receipt() {
        assert_eq!(parsed, receipt::parse_content(&deliver));
    } else {
        assert!(parsed.is_err());
    }
    if let Ok(parsed) = receipt::parse_content(&deliver) {
        check_receipt(&parsed);
    }

    let data_sm = DataSm {
        esm_class: *esm_class,
        data_coding: *data_coding,
        tlvs: [Tlv::new(
            tag::MESSAGE_PAYLOAD,
            deliver.short_message.clone(),
        )]
        .into_iter()
        .collect(),
        ..DataSm::default()
    };
    assert_eq!(receipt::parse(&data_sm), parsed);

    for tag in [
        tag::RECEIPTED_MESSAGE_ID,
        tag::MESSAGE_STATE,
        tag::NETWORK_ERROR_CODE,
    ] {
        let mut with_tlv = deliver.clone();
        let value = deliver.short_message.slice(..body.len().min(8));
        with_tlv.tlvs.push(Tlv::new(tag, value));
        if let Ok(parsed) = receipt::parse_content(&with_tlv) {
            check_receipt(&parsed);
        }
    }
}

fn check_receipt(parsed: &Receipt<'_>) {
    assert!(!parsed.id().is_empty(), "{parsed:?}");
    assert_eq!(parsed.id(), parsed.id().trim(), "{parsed:?}");
    for date in [parsed.submitted_at(), parsed.done_at()]
        .into_iter()
        .flatten()
    {
        let _ = date.unix(12);
    }
    for rule in [
        IdRule::Raw,
        IdRule::FoldCase,
        IdRule::StripZeros,
        IdRule::Decimal,
        IdRule::HexToDecimal,
        IdRule::FoldHex,
        IdRule::DecimalToHex,
    ] {
        let key = rule.normalise(parsed.id());
        assert!(!key.is_empty(), "{rule:?} {parsed:?}");
    }
    write_again(parsed);
}

fn write_again(parsed: &Receipt<'_>) {
    let date = DateTime::new(2026, 11, 21, 10, 25, 30).expect("a day that was");
    let again = NewReceipt {
        id: parsed.id(),
        sub: parsed.sub().unwrap_or(1),
        dlvrd: parsed.dlvrd().unwrap_or(0),
        submit_date: parsed.submitted_at().map_or(date, |at| at.local),
        done_date: date,
        state: parsed.state(),
        err: parsed.err().parse().unwrap_or(0),
        text: parsed.quote(),
        network_error: parsed.network_error(),
    };
    let mut text = BytesMut::new();
    if again.write_text(&mut text).is_err() {
        assert!(text.is_empty(), "a refused receipt leaves no octets");
        return;
    }
    assert!(text.len() <= NewReceipt::TEXT_MAX, "{text:?}");
    let deliver = DeliverSm {
        esm_class: esm_class::RECEIPT,
        short_message: text.freeze(),
        tlvs: again.tlvs().unwrap_or_default(),
        ..DeliverSm::default()
    };
    let read = receipt::parse(&deliver).expect("what we write can be read");
    assert_eq!(read.text_id(), Some(again.id), "{read:?}");
    assert_eq!(read.text_state(), Some(again.state), "{read:?}");
    assert_eq!(
        (read.sub(), read.dlvrd()),
        (Some(again.sub), Some(again.dlvrd))
    );
    assert_eq!(read.err().parse(), Ok(again.err), "{read:?}");
    assert!(!read.ids_differ() && !read.states_differ(), "{read:?}");
    if deliver.tlvs.get(tag::NETWORK_ERROR_CODE).is_some() {
        assert_eq!(read.network_error(), again.network_error);
    }
}

/// Any octets are a time, no time or an error; a time is written in a form that reads back the same, and is the same
/// point or span by the other ways to make it.
///
/// # Panics
/// When it is not so.
pub fn times(data: &[u8]) {
    if let Ok(text) = str::from_utf8(data)
        && let Some(date) = ReceiptDate::parse(text)
    {
        assert!(date.unix(48) <= date.unix(-48));
    }
    let Ok(Some(time)) = SmppTime::parse(data) else {
        return;
    };
    let octets = time.to_octets();
    assert_eq!(SmppTime::parse(&octets), Ok(Some(time)));
    assert_eq!(time.to_string().as_bytes(), octets);
    assert!(time.unix_ms(0) >= 0);
    match time {
        SmppTime::Absolute(point) => {
            let again = AbsoluteTime::from_unix_ms(point.unix_ms(), point.offset_quarters());
            assert_eq!(again, Ok(point));
            let again =
                AbsoluteTime::from_system_time(point.system_time(), point.offset_quarters());
            assert_eq!(again, Ok(point));
        }
        SmppTime::Relative(span) => {
            let again = RelativeTime::from_duration(span.duration());
            let longest = RelativeTime::MAX.duration();
            assert_eq!(again.duration(), span.duration().min(longest));
        }
    }
}
