//! Lives here: the user data header in front of a message (3GPP TS 23.040, 9.2.3.24).
//! Never here: putting received parts together (`reassembly`).

use super::gsm7::Gsm7;
use super::national::{Locking, Single};

/// Information element: concatenation with an 8-bit reference.
const CONCAT_8: u8 = 0x00;
/// Information element: concatenation with a 16-bit reference.
const CONCAT_16: u8 = 0x08;
/// Information element: national language single shift.
const SINGLE_SHIFT: u8 = 0x24;
/// Information element: national language locking shift.
const LOCKING_SHIFT: u8 = 0x25;

/// Which part of which message this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Concat {
    /// Where the numbers stood; the same reference of another kind is another message.
    pub kind: ConcatKind,
    /// Common to all parts.
    pub reference: u16,
    /// How many parts there are, from 1.
    pub total: u8,
    /// Which one this is, 1 to `total`.
    pub part: u8,
}

/// How the parts of a message are numbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConcatKind {
    /// Information element 0x00: a reference of 8 bits.
    Udh8,
    /// Information element 0x08: a reference of 16 bits.
    Udh16,
    /// The TLVs `sar_msg_ref_num`, `sar_total_segments` and `sar_segment_seqnum` (SMPP 5.3.2.22 to 24).
    Sar,
}

/// Divides a message whose `esm_class` has the UDHI bit into its header (without the length octet) and its text.
/// A header longer than the message is no header: all of it is text.
#[must_use]
pub fn split_udh(message: &[u8]) -> (&[u8], &[u8]) {
    message
        .split_first()
        .and_then(|(len, rest)| rest.split_at_checked(usize::from(*len)))
        .unwrap_or((&[], message))
}

/// The information elements of a header as [`split_udh`] returns it: identifier and data, in order, up to the first
/// that does not fit.
pub fn elements(mut header: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let [element, len, rest @ ..] = header else {
            return None;
        };
        let (data, behind) = rest.split_at_checked(usize::from(*len))?;
        header = behind;
        Some((*element, data))
    })
}

/// The concatenation element of a header as [`split_udh`] returns it; `None` when there is none whose numbers make
/// sense. Of several the last counts (23.040, 9.2.3.24).
#[must_use]
pub fn concat(header: &[u8]) -> Option<Concat> {
    let found = |(element, data): (u8, &[u8])| {
        let (kind, reference, total, part) = match (element, data) {
            (CONCAT_8, &[reference, total, part]) => {
                (ConcatKind::Udh8, u16::from(reference), total, part)
            }
            (CONCAT_16, &[high, low, total, part]) => {
                let reference = u16::from_be_bytes([high, low]);
                (ConcatKind::Udh16, reference, total, part)
            }
            _ => return None,
        };
        Concat::checked(kind, reference, total, part)
    };
    elements(header).filter_map(found).last()
}

/// The tables that GSM 7 bit text behind this header is written with.
#[must_use]
pub fn tables(header: &[u8]) -> Gsm7 {
    let mut tables = Gsm7::DEFAULT;
    for element in elements(header) {
        match element {
            (LOCKING_SHIFT, &[language]) => tables.locking = Locking::from_language(language),
            (SINGLE_SHIFT, &[language]) => tables.single = Single::from_language(language),
            _ => {}
        }
    }
    tables
}

/// Whether these octets are whole information elements that [`super::Layout`] does not write itself.
pub(super) fn are_application_elements(octets: &[u8]) -> bool {
    let own = [CONCAT_8, CONCAT_16, SINGLE_SHIFT, LOCKING_SHIFT];
    let whole: usize = elements(octets).map(|(_, data)| 2 + data.len()).sum();
    whole == octets.len() && elements(octets).all(|(element, _)| !own.contains(&element))
}

impl Concat {
    /// `None` when the numbers contradict each other: 23.040 wants such an element ignored.
    pub(super) fn checked(kind: ConcatKind, reference: u16, total: u8, part: u8) -> Option<Self> {
        (part >= 1 && part <= total).then_some(Self {
            kind,
            reference,
            total,
            part,
        })
    }

    /// Octets of the information element; none for SAR.
    pub(super) const fn element_len(kind: ConcatKind) -> usize {
        match kind {
            ConcatKind::Udh8 => 5,
            ConcatKind::Udh16 => 6,
            ConcatKind::Sar => 0,
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        let [high, low] = self.reference.to_be_bytes();
        match self.kind {
            ConcatKind::Udh8 => {
                out.extend_from_slice(&[CONCAT_8, 3, low, self.total, self.part]);
            }
            ConcatKind::Udh16 => {
                out.extend_from_slice(&[CONCAT_16, 4, high, low, self.total, self.part]);
            }
            ConcatKind::Sar => {}
        }
    }
}

/// Octets of the elements that announce these tables: three for each that is not the default.
pub(super) const fn shift_len(tables: Gsm7) -> usize {
    3 * (tables.locking.language().is_some() as usize + tables.single.language().is_some() as usize)
}

/// Appends a header with its length octet; nothing when it would be empty. The elements together must have at most
/// 255 octets.
pub(super) fn write_header(
    concat: Option<&Concat>,
    tables: Gsm7,
    elements: &[u8],
    out: &mut Vec<u8>,
) {
    let start = out.len();
    out.push(0);
    if let Some(concat) = concat {
        concat.write(out);
    }
    let shifts = [
        (SINGLE_SHIFT, tables.single.language()),
        (LOCKING_SHIFT, tables.locking.language()),
    ];
    for (element, language) in shifts {
        if let Some(language) = language {
            out.extend_from_slice(&[element, 1, language]);
        }
    }
    out.extend_from_slice(elements);
    match out.len() - start - 1 {
        0 => out.truncate(start),
        len => out[start] = len as u8,
    }
}
