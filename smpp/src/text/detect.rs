//! Lives here: finding the cheapest encoding of a text.
//! Never here: changing the text so that it gets cheaper (`transliterate`).

use super::encoding::{Encoding, Packing};
use super::gsm7::Gsm7;
use super::segment::{Layout, Method};

/// The encodings a carrier and a sender agree to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidates<'a> {
    /// The allowed ones; among equally cheap ones the earlier is taken. Handsets without a national table show its
    /// texts wrongly, so allow those only where the handsets are known.
    pub encodings: &'a [Encoding],
    /// How long texts are divided: it decides how many parts each encoding takes.
    pub method: Method,
    /// Take Latin-1 only for texts that GSM 03.38 could hold as well: for carriers that convert Latin-1 to GSM 03.38
    /// and drop what does not fit.
    pub latin1_within_gsm7: bool,
}

impl Candidates<'static> {
    /// What every carrier takes: GSM 03.38 unpacked or UCS-2, parts behind a header with an 8-bit reference.
    pub const COMMON: Self = Self {
        encodings: &[Encoding::GSM7, Encoding::Ucs2],
        method: Method::Udh8(0),
        latin1_within_gsm7: false,
    };
}

impl Candidates<'_> {
    /// The allowed encoding that holds all of `text` in the fewest parts, and among those in the fewest octets of
    /// user data; `None` when none holds it. Allocates nothing.
    #[must_use]
    pub fn cheapest(&self, text: &str) -> Option<Encoding> {
        let mut best: Option<(Cost, Encoding)> = None;
        let mut rest = self.encodings;
        while let [encoding, behind @ ..] = rest {
            rest = behind;
            let beaten = best.is_some_and(|(_, best)| dominates(best, *encoding));
            if beaten || !self.holds(*encoding, text) {
                continue;
            }
            // Nearly always the first one that holds the text also wins: then its price does not matter.
            if best.is_none() && rest.iter().all(|later| dominates(*encoding, *later)) {
                return Some(*encoding);
            }
            let cost = Cost::of(&Layout::new(*encoding, self.method), *encoding, text);
            if best.is_none_or(|(least, _)| cost < least) {
                best = Some((cost, *encoding));
            }
        }
        best.map(|(_, encoding)| encoding)
    }

    fn holds(&self, encoding: Encoding, text: &str) -> bool {
        let via_gsm7 = encoding == Encoding::Latin1 && self.latin1_within_gsm7;
        encoding.encodes(text) && (!via_gsm7 || Encoding::GSM7.encodes(text))
    }
}

/// Whether `other`, tried later, cannot be cheaper than `found` for any text that both hold: a character takes at
/// most two septets and at least two octets of UCS-2, and a message holds more than twice as many septets as code
/// units.
fn dominates(found: Encoding, other: Encoding) -> bool {
    matches!(found, Encoding::Gsm7(Gsm7::DEFAULT, _)) && other == Encoding::Ucs2
}

/// Compared by parts first, then by octets.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Cost {
    parts: usize,
    octets: usize,
}

impl Cost {
    fn of(layout: &Layout<'_>, encoding: Encoding, text: &str) -> Self {
        let measure = layout.measure(text);
        let header = match measure.parts {
            1 => layout.plain_header_len(),
            _ => layout.part_header_len(),
        };
        let text = match encoding {
            Encoding::Gsm7(_, Packing::Packed) => (measure.units * 7).div_ceil(8),
            Encoding::Gsm7(_, Packing::Unpacked) | Encoding::Ascii | Encoding::Latin1 => {
                measure.units
            }
            Encoding::Ucs2 => measure.units * 2,
        };
        Self {
            parts: measure.parts,
            octets: text + header * measure.parts,
        }
    }
}
