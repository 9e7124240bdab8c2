//! Lives here: dividing a text into the segments that go out as one submit_sm each.
//! Never here: choosing encodings (`detect`), references, prices.

use bytes::Bytes;
use smallvec::SmallVec;
use thiserror::Error;

use super::encoding::Encoding;
use super::gsm7::{CR, ESC};
use super::packed::pack;
use super::udh::{Concat, ConcatKind, are_application_elements, shift_len, write_header};
use crate::pdu::{SubmitSm, esm_class};
use crate::tlv::{Tlv, Tlvs, tag};

/// The most parts a message can have: the total is one octet.
pub const PARTS_MAX: usize = 255;
/// The most octets of application elements in a header: what is left holds some text in every encoding.
pub const ELEMENTS_MAX: usize = 100;
/// The most octets in a `message_payload`: its length is 16 bits.
pub const PAYLOAD_MAX: usize = 0xFFFF;

/// Which TLVs a segment sets.
const CARRIAGE_TAGS: [u16; 4] = [
    tag::SAR_MSG_REF_NUM,
    tag::SAR_TOTAL_SEGMENTS,
    tag::SAR_SEGMENT_SEQNUM,
    tag::MESSAGE_PAYLOAD,
];

/// How the parts of a text too long for one message are told to belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// A user data header with this 8-bit reference in each part (3GPP TS 23.040, 9.2.3.24.1): 153 septets, 134
    /// octets or 67 code units a part. Every SMSC takes it.
    Udh8(u8),
    /// A user data header with this 16-bit reference (9.2.3.24.8): 152, 133 or 66 a part.
    Udh16(u16),
    /// TLVs with this reference (SMPP 5.3.2.22 to 24): the SMSC writes the headers. Since it may write 16-bit
    /// ones, a part holds 152, 133 or 66.
    Sar(u16),
    /// One submit_sm with the whole text in `message_payload` (SMPP 5.3.2.32): the SMSC divides it, and counts (and
    /// bills) its parts itself. A header (national tables, application elements) then stands once, at the start of
    /// the payload.
    Payload,
}

/// How texts are laid out in messages. A text that fits in one message always goes into its `short_message`,
/// whatever the method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout<'a> {
    encoding: Encoding,
    method: Method,
    elements: &'a [u8],
}

/// A text ready to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segments {
    /// What the parts are encoded in.
    pub encoding: Encoding,
    /// In order; an empty text is one empty part. All parts share one allocation.
    pub parts: SmallVec<[Segment; 1]>,
}

/// What one submit_sm carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The user data: the header if there is one, then the text.
    pub octets: Bytes,
    /// Whether `octets` start with a user data header: `esm_class` then needs [`esm_class::UDHI`].
    pub udhi: bool,
    /// For the field of the same name.
    pub data_coding: u8,
    /// Where `octets` go.
    pub carriage: Carriage,
}

/// Where a segment's octets go, and which TLVs go with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carriage {
    /// Into `short_message`, at most 160 octets of them.
    ShortMessage,
    /// Into `short_message`, beside the three SAR TLVs.
    Sar(Concat),
    /// Into the TLV `message_payload`; `short_message` stays empty.
    Payload,
}

/// Why a text cannot be sent. The text (or the caller's header) is at fault; sending it again cannot help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TextError {
    /// The alphabet lacks this character; UCS-2 has it.
    #[error("character {0:?} is not in the alphabet")]
    NotEncodable(char),
    /// More than 255 parts; the number is how many it would take.
    #[error("{0} parts are needed, at most 255 can be sent")]
    TooManyParts(usize),
    /// More octets than a `message_payload` holds.
    #[error("{0} octets of payload, at most 65535 can be sent")]
    TooLong(usize),
    /// The application's header elements are no whole elements, are longer than [`ELEMENTS_MAX`], or hold an
    /// element that the layout writes itself (concatenation, language shift).
    #[error("the application's header elements are malformed, too long or reserved")]
    BadElements,
}

impl<'a> Layout<'a> {
    /// A layout without application headers.
    #[must_use]
    pub const fn new(encoding: Encoding, method: Method) -> Self {
        Self {
            encoding,
            method,
            elements: &[],
        }
    }

    /// Puts these information elements (identifier, length, data, …) into the header of every part: application
    /// ports (0x04, 0x05) for example.
    ///
    /// # Errors
    /// [`TextError::BadElements`].
    pub fn with_elements(self, elements: &'a [u8]) -> Result<Self, TextError> {
        if elements.len() > ELEMENTS_MAX || !are_application_elements(elements) {
            return Err(TextError::BadElements);
        }
        Ok(Self { elements, ..self })
    }

    /// How many parts [`Layout::split`] gives for this text, at least one. Allocates nothing.
    ///
    /// A character that the alphabet lacks counts as one unit; `split` refuses it. The number may exceed
    /// [`PARTS_MAX`], which `split` refuses too.
    #[must_use]
    pub fn segment_count(&self, text: &str) -> usize {
        self.measure(text).parts
    }

    /// Parts and units of this text.
    pub(super) fn measure(&self, text: &str) -> Measure {
        let (mut units, mut characters, mut last) = (0, 0, '\0');
        self.encoding.each_character(text, |character, width| {
            units += width;
            characters += 1;
            last = character;
        });
        let parts = if self.method == Method::Payload
            || units + usize::from(self.is_filler(last)) <= self.single_units()
        {
            1
        } else if units == characters && !self.encoding.is_packed() {
            // Nothing that could not be divided anywhere: all parts but the last are full.
            units.div_ceil(self.part_units())
        } else {
            self.count_parts(text)
        };
        Measure { parts, units }
    }

    /// How many parts a text takes whose characters may not all be divided anywhere.
    fn count_parts(&self, text: &str) -> usize {
        let room = self.part_units();
        let mut parts = 1;
        let mut used = 0;
        self.encoding.each_character(text, |character, width| {
            // A character of two units never straddles a boundary.
            if used + width + usize::from(self.is_filler(character)) > room {
                parts += 1;
                used = 0;
            }
            used += width;
        });
        parts
    }

    /// Encodes a text and divides it. An escape sequence and a surrogate pair stay in one part.
    ///
    /// # Errors
    /// [`TextError::NotEncodable`] with the first character that the alphabet lacks, [`TextError::TooManyParts`],
    /// [`TextError::TooLong`].
    pub fn split(&self, text: &str) -> Result<Segments, TextError> {
        let mut units = Vec::new();
        self.encoding
            .encode_units(text, &mut units)
            .map_err(TextError::NotEncodable)?;
        let parts = if self.fits(&units, self.single_units()) {
            SmallVec::from_buf([self.whole(units, Carriage::ShortMessage)])
        } else {
            match self.method {
                Method::Payload => {
                    let segment = self.whole(units, Carriage::Payload);
                    if segment.octets.len() > PAYLOAD_MAX {
                        return Err(TextError::TooLong(segment.octets.len()));
                    }
                    SmallVec::from_buf([segment])
                }
                Method::Udh8(reference) => {
                    self.parts(&units, ConcatKind::Udh8, reference.into())?
                }
                Method::Udh16(reference) => self.parts(&units, ConcatKind::Udh16, reference)?,
                Method::Sar(reference) => self.parts(&units, ConcatKind::Sar, reference)?,
            }
        };
        Ok(Segments {
            encoding: self.encoding,
            parts,
        })
    }

    /// Octets of the header of a message of one part, or of each SAR part; 0 without any.
    pub(super) const fn plain_header_len(&self) -> usize {
        match shift_len(self.encoding.tables()) + self.elements.len() {
            0 => 0,
            len => 1 + len,
        }
    }

    /// Octets of header to leave room for in each of several parts.
    pub(super) const fn part_header_len(&self) -> usize {
        let kind = match self.method {
            Method::Udh8(_) => ConcatKind::Udh8,
            Method::Udh16(_) | Method::Sar(_) | Method::Payload => ConcatKind::Udh16,
        };
        1 + Concat::element_len(kind) + shift_len(self.encoding.tables()) + self.elements.len()
    }

    fn single_units(&self) -> usize {
        self.encoding.capacity(self.plain_header_len())
    }

    fn part_units(&self) -> usize {
        let units = self.encoding.capacity(self.part_header_len());
        // SAR: the header that is written is shorter than the one that room is left for. A packed part must still end
        // with an octet where it is full, and nowhere just before: `is_filler` looks at no other place. Unpacked parts
        // hold the same, so that packing never changes where a text is divided.
        if matches!(
            (self.encoding, self.method),
            (Encoding::Gsm7(..), Method::Sar(_))
        ) {
            units - (units + (self.plain_header_len() * 8).div_ceil(7)) % 8
        } else {
            units
        }
    }

    /// Whether this character may not fill the last septet of a message: a full packed message that ends with a
    /// carriage return would lose it as filler, and has no room for the second one that would save it.
    const fn is_filler(&self, character: char) -> bool {
        character == '\r' && self.encoding.is_packed()
    }

    /// [`Layout::is_filler`] for the last of some encoded units.
    fn ends_with_filler(&self, units: &[u8]) -> bool {
        self.encoding.is_packed() && units.last() == Some(&CR)
    }

    fn fits(&self, units: &[u8], room: usize) -> bool {
        let filler = usize::from(self.ends_with_filler(units));
        units.len() + filler <= room * self.encoding.unit_octets()
    }

    /// All of the text in one submit_sm.
    fn whole(&self, units: Vec<u8>, carriage: Carriage) -> Segment {
        let header_len = self.plain_header_len();
        let octets = if header_len == 0 && !self.encoding.is_packed() {
            units
        } else {
            let mut octets = Vec::with_capacity(header_len + units.len() + 1);
            self.write_part(None, &units, &mut octets);
            octets
        };
        self.segment(octets.into(), header_len > 0, carriage)
    }

    fn segment(&self, octets: Bytes, udhi: bool, carriage: Carriage) -> Segment {
        Segment {
            octets,
            udhi,
            data_coding: self.encoding.data_coding(),
            carriage,
        }
    }

    /// The text as several parts.
    fn parts(
        &self,
        units: &[u8],
        kind: ConcatKind,
        reference: u16,
    ) -> Result<SmallVec<[Segment; 1]>, TextError> {
        let cuts = self.cuts(units);
        let Ok(total) = u8::try_from(cuts.len()) else {
            return Err(TextError::TooManyParts(cuts.len()));
        };
        let concat = |part| Concat {
            kind,
            reference,
            total,
            part,
        };
        let mut wire = Vec::with_capacity(units.len() + cuts.len() * self.part_header_len());
        let mut ends: SmallVec<[usize; 8]> = SmallVec::new();
        let mut start = 0;
        for (part, end) in (1..=total).zip(&cuts) {
            self.write_part(Some(&concat(part)), &units[start..*end], &mut wire);
            start = *end;
            ends.push(wire.len());
        }
        let wire = Bytes::from(wire);
        let is_sar = kind == ConcatKind::Sar;
        let udhi = !is_sar || self.plain_header_len() > 0;
        let mut start = 0;
        let segments = (1..=total).zip(ends).map(|(part, end)| {
            let octets = wire.slice(start..end);
            start = end;
            let carriage = if is_sar {
                Carriage::Sar(concat(part))
            } else {
                Carriage::ShortMessage
            };
            self.segment(octets, udhi, carriage)
        });
        Ok(segments.collect())
    }

    fn write_part(&self, concat: Option<&Concat>, units: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        write_header(concat, self.encoding.tables(), self.elements, out);
        if self.encoding.is_packed() {
            pack(units, out.len() - start, out);
        } else {
            out.extend_from_slice(units);
        }
    }

    /// Where each part of the encoded text ends.
    fn cuts(&self, units: &[u8]) -> SmallVec<[usize; 8]> {
        let unit_octets = self.encoding.unit_octets();
        let room = self.part_units();
        let mut cuts = SmallVec::new();
        let mut start = 0;
        while !self.fits(&units[start..], room) {
            let mut end = start + room * unit_octets;
            let part = &units[start..end];
            if self.opens_pair(part) || self.ends_with_filler(part) {
                end -= unit_octets;
            }
            cuts.push(end);
            start = end;
        }
        cuts.push(units.len());
        cuts
    }

    /// Whether the last unit is the first of an inseparable two.
    fn opens_pair(&self, units: &[u8]) -> bool {
        match (self.encoding, units) {
            (Encoding::Gsm7(..), [.., last]) => *last == ESC,
            // High surrogates are 0xD800 to 0xDBFF.
            (Encoding::Ucs2, [.., high, _]) => matches!(high, 0xD8..=0xDB),
            _ => false,
        }
    }
}

/// What a text takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Measure {
    pub(super) parts: usize,
    /// Septets, octets or code units, headers apart.
    pub(super) units: usize,
}

impl Segment {
    /// The TLVs that go with it: none, the three of SAR, or `message_payload`.
    #[must_use]
    pub fn tlvs(&self) -> Tlvs {
        match self.carriage {
            Carriage::ShortMessage => Tlvs::new(),
            Carriage::Sar(concat) => [
                Tlv::u16(tag::SAR_MSG_REF_NUM, concat.reference),
                Tlv::u8(tag::SAR_TOTAL_SEGMENTS, concat.total),
                Tlv::u8(tag::SAR_SEGMENT_SEQNUM, concat.part),
            ]
            .into_iter()
            .collect(),
            Carriage::Payload => [Tlv::new(tag::MESSAGE_PAYLOAD, self.octets.clone())]
                .into_iter()
                .collect(),
        }
    }

    /// Puts the segment into a submit_sm: `short_message`, `data_coding`, the UDHI bit of `esm_class`, and the TLVs
    /// behind those already there.
    pub fn fill(&self, submit: &mut SubmitSm) {
        submit.data_coding = self.data_coding;
        if self.udhi {
            submit.esm_class |= esm_class::UDHI;
        } else {
            submit.esm_class &= !esm_class::UDHI;
        }
        submit.short_message = match self.carriage {
            Carriage::ShortMessage | Carriage::Sar(_) => self.octets.clone(),
            Carriage::Payload => Bytes::new(),
        };
        // Those of the part before, where one submit_sm is used for all.
        submit.tlvs.retain(|tlv| !CARRIAGE_TAGS.contains(&tlv.tag));
        submit.tlvs.extend(self.tlvs().iter().cloned());
    }
}
