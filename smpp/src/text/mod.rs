//! Lives here: between Unicode and the octets of messages: alphabets, user data headers, segmentation, reassembly.
//! Never here: which encoding a carrier expects under which `data_coding`; its profile says so ([`TextProfile`]).
//!
//! ```
//! use mnara_smpp::pdu::SubmitSm;
//! use mnara_smpp::text::{Candidates, Layout, Method, TextProfile};
//!
//! let text = "Habari! Salio lako ni TSh 12 500.";
//! let encoding = Candidates::COMMON.cheapest(text).expect("UCS-2 holds every text");
//! let layout = Layout::new(encoding, Method::Udh8(0x2A));
//! assert_eq!(layout.segment_count(text), 1);
//!
//! let segments = layout.split(text)?;
//! let mut submit = SubmitSm::default();
//! segments.parts[0].fill(&mut submit);
//!
//! let read = TextProfile::default().decode(submit.data_coding, submit.has_udh(), submit.message());
//! assert_eq!(read.text, text);
//! # Ok::<(), mnara_smpp::text::TextError>(())
//! ```

mod decode;
mod detect;
mod encoding;
mod gsm7;
mod iso8859;
mod national;
mod packed;
mod reassembly;
mod segment;
mod sender;
mod transliterate;
mod ucs2;
mod udh;

pub use decode::{Charset, DecodedText, TextProfile, message_class};
pub use detect::Candidates;
pub use encoding::{Encoding, Packing};
pub use gsm7::Gsm7;
pub use iso8859::{
    ascii_decode, ascii_encode, cyrillic_decode, hebrew_decode, latin1_decode, latin1_encode,
};
pub use national::{Locking, Single};
pub use packed::{fill_bits, pack, unpack};
pub use reassembly::{
    AbandonReason, Abandoned, Assembled, Fragment, Offered, PART_OVERHEAD, Part, Reassembler,
    ReassemblyLimits, Refusal,
};
pub use segment::{
    Carriage, ELEMENTS_MAX, Layout, Method, PARTS_MAX, PAYLOAD_MAX, Segment, Segments, TextError,
};
pub use sender::{SENDER_MAX, SenderError, alphanumeric_sender, sender_text};
pub use transliterate::{Transliterated, transliterate};
pub use ucs2::{ucs2_decode, ucs2_encode};
pub use udh::{Concat, ConcatKind, concat, elements, split_udh, tables};

#[cfg(test)]
mod tests;
