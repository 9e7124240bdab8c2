//! Lives here: what a pending receipt holds and how it becomes a deliver_sm, and how ids are written.
//! Never here: when it is sent.

use std::{fmt::Write, sync::atomic::AtomicU32, time::SystemTime};

use bytes::{Bytes, BytesMut};
use mnara_smpp::{
    pdu::{Address, DeliverSm, Pdu, esm_class},
    receipt::{NetworkError, NewReceipt},
    time::DateTime,
    tlv::Tlvs,
};
use uuid::Uuid;

use super::{
    IdStyle,
    script::{ReceiptForm, Stat},
};

/// Octets of the original text repeated in a receipt (SMPP 3.4 appendix B).
const HEAD_LEN: usize = 20;

/// The tag of receipts that are not reported to the observer.
pub(super) const UNWATCHED: u64 = u64::MAX;

/// A receipt that is to be sent.
#[derive(Debug)]
pub(super) struct ReceiptJob {
    pub(super) id: u64,
    /// The message's own source and destination; the receipt goes the other way.
    pub(super) source: Address,
    pub(super) dest: Address,
    pub(super) stat: Stat,
    pub(super) form: ReceiptForm,
    /// What the observer returned for the submit.
    pub(super) tag: u64,
    /// Minutes since 1970 of the submit.
    pub(super) submitted_minute: u64,
    pub(super) head: Head,
    /// Times it was sent.
    pub(super) tries: AtomicU32,
}

impl ReceiptJob {
    /// A further receipt for the same message, which the observer does not learn of: it is not the true last word.
    pub(super) fn beside(&self, id: u64, stat: Stat) -> Self {
        Self {
            id,
            source: self.source.clone(),
            dest: self.dest.clone(),
            stat,
            form: self.form,
            tag: UNWATCHED,
            submitted_minute: self.submitted_minute,
            head: self.head,
            tries: AtomicU32::new(0),
        }
    }
}

/// The beginning of the original text, copied so that a waiting receipt does not hold a whole read buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    octets: [u8; HEAD_LEN],
    len: u8,
}

/// Writes receipts into a buffer that is cut up without copying.
pub(super) struct Renderer {
    buffer: BytesMut,
}

impl Head {
    /// The first octets of `text` that are printable ASCII; others are left out.
    pub(super) fn of(text: &[u8]) -> Self {
        let mut head = Self {
            octets: [0; HEAD_LEN],
            len: 0,
        };
        let printable = text.iter().filter(|octet| (0x20..0x7f).contains(*octet));
        for (slot, octet) in head.octets.iter_mut().zip(printable) {
            *slot = *octet;
            head.len += 1;
        }
        head
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.octets[..usize::from(self.len)]).unwrap_or("")
    }
}

impl Renderer {
    pub(super) fn new() -> Self {
        Self {
            buffer: BytesMut::new(),
        }
    }

    /// The deliver_sm of `job`.
    pub(super) fn render(&mut self, job: &ReceiptJob, style: IdStyle) -> Pdu {
        let mut id = String::with_capacity(40);
        write_id(&mut id, style, job.id, true);
        let receipt = NewReceipt {
            id: &id,
            sub: 1,
            dlvrd: u16::from(job.stat == Stat::Delivrd),
            submit_date: date(job.submitted_minute),
            done_date: date(unix_minute()),
            state: job.stat.state(),
            err: job.stat.error(),
            text: job.head.text(),
            // Network type 3 is GSM (SMPP 3.4 section 5.3.2.31).
            network_error: Some(NetworkError {
                kind: 3,
                code: u32::from(job.stat.error()),
            }),
        };
        let tlvs = match job.form {
            ReceiptForm::Text => Tlvs::new(),
            ReceiptForm::Tlv | ReceiptForm::Both => receipt
                .tlvs()
                .expect("ids of every style are short and plain, errors small"),
        };
        let short_message = match job.form {
            ReceiptForm::Tlv => Bytes::new(),
            ReceiptForm::Text | ReceiptForm::Both => self.text(&receipt),
        };
        Pdu::DeliverSm(DeliverSm {
            source: job.dest.clone(),
            dest: job.source.clone(),
            esm_class: esm_class::RECEIPT,
            short_message,
            tlvs,
            ..DeliverSm::default()
        })
    }

    fn text(&mut self, receipt: &NewReceipt<'_>) -> Bytes {
        if self.buffer.capacity() < NewReceipt::TEXT_MAX {
            self.buffer.reserve(16 * 1024);
        }
        receipt
            .write_text(&mut self.buffer)
            .expect("ids of every style are short and plain, errors small");
        self.buffer.split().freeze()
    }
}

/// UTC; a clock that left the century stays at its end.
fn date(unix_minute: u64) -> DateTime {
    i64::try_from(unix_minute.saturating_mul(60))
        .ok()
        .and_then(|seconds| DateTime::from_unix(seconds).ok())
        .unwrap_or(DateTime::MAX)
}

/// Minutes since 1970, now.
pub(super) fn unix_minute() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
        / 60
}

/// Appends `id` as `style` writes it in a response or a receipt.
pub(super) fn write_id(out: &mut String, style: IdStyle, id: u64, receipt: bool) {
    // Writing to a String cannot fail.
    let _ = match (style, receipt) {
        (IdStyle::Decimal, _) | (IdStyle::HexDecimal, true) => write!(out, "{id:010}"),
        (IdStyle::Hex, _) | (IdStyle::HexDecimal | IdStyle::HexPadded, false) => {
            write!(out, "{id:X}")
        }
        (IdStyle::HexPadded, true) => write!(out, "{id:020x}"),
        (IdStyle::Uuid, _) => {
            write!(
                out,
                "{}",
                Uuid::from_u64_pair(0x6d6e_6172_6100_4000, 0x8000_0000_0000_0000 | id)
            )
        }
    };
}

#[cfg(test)]
mod tests {
    use mnara_smpp::receipt;

    use super::*;

    fn job(form: ReceiptForm) -> ReceiptJob {
        ReceiptJob {
            id: 255,
            source: Address {
                ton: 5,
                npi: 0,
                addr: "MNARA".into(),
            },
            dest: Address {
                ton: 1,
                npi: 1,
                addr: "255750000001".into(),
            },
            stat: Stat::Undeliv,
            form,
            tag: 0,
            submitted_minute: 27_000_000,
            head: Head::of("habari ₦ yako leo asubuhi mapema".as_bytes()),
            tries: AtomicU32::new(0),
        }
    }

    fn deliver(form: ReceiptForm, style: IdStyle) -> DeliverSm {
        let Pdu::DeliverSm(deliver) = Renderer::new().render(&job(form), style) else {
            panic!("not a deliver_sm")
        };
        deliver
    }

    #[test]
    fn a_text_receipt_has_every_field_of_appendix_b() {
        let deliver = deliver(ReceiptForm::Text, IdStyle::Decimal);
        let text = String::from_utf8(deliver.short_message.to_vec()).unwrap();
        let start = "id:0000000255 sub:001 dlvrd:000 submit date:2105030000 done date:";
        assert!(text.starts_with(start), "{text}");
        assert!(
            text.ends_with(" stat:UNDELIV err:001 text:habari  yako leo asu"),
            "{text}"
        );
        assert_eq!(deliver.source.addr, "255750000001");
        assert_eq!(deliver.dest.addr, "MNARA");
    }

    #[test]
    fn the_gateways_own_parser_reads_every_form() {
        for form in [ReceiptForm::Text, ReceiptForm::Tlv, ReceiptForm::Both] {
            let deliver = deliver(form, IdStyle::HexDecimal);
            let parsed = receipt::parse(&deliver).unwrap();
            assert_eq!(parsed.id(), "0000000255", "{form:?}");
        }
    }

    #[test]
    fn ids_are_written_as_the_style_says() {
        let write = |style, receipt| {
            let mut out = String::new();
            write_id(&mut out, style, 4_011, receipt);
            out
        };
        assert_eq!(write(IdStyle::HexDecimal, false), "FAB");
        assert_eq!(write(IdStyle::HexDecimal, true), "0000004011");
        assert_eq!(write(IdStyle::Hex, true), "FAB");
        assert_eq!(
            write(IdStyle::Uuid, true),
            "6d6e6172-6100-4000-8000-000000000fab"
        );
    }
}
