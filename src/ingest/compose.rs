//! Lives here: what a text costs: its alphabet and its number of segments.
//! Never here: cutting it for the wire (`carrier::translate` does that with the same functions).

use mnara_smpp::text;

use super::Refusal;
use crate::domain::message::Encoding;

/// The cheapest encoding of a text and how many segments it takes.
///
/// # Errors
/// [`Refusal::EmptyMessage`], [`Refusal::MessageTooLong`].
pub(super) fn measure(message: &str, segments_max: u8) -> Result<(Encoding, u8), Refusal> {
    if message.is_empty() {
        return Err(Refusal::EmptyMessage);
    }
    let (encoding, layout) = if text::Encoding::GSM7.encodes(message) {
        (Encoding::Gsm7, text::Encoding::GSM7)
    } else {
        (Encoding::Ucs2, text::Encoding::Ucs2)
    };
    // The reference, given when the text is cut, makes no difference to the number.
    let segments = text::Layout::new(layout, text::Method::Udh8(0)).segment_count(message);
    let fitting = u8::try_from(segments)
        .ok()
        .filter(|segments| *segments <= segments_max);
    let Some(segments) = fitting else {
        return Err(Refusal::MessageTooLong {
            segments,
            max: segments_max,
        });
    };
    Ok((encoding, segments))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_measured_at_their_limits() {
        let table = [
            ("a".repeat(160), (Encoding::Gsm7, 1)),
            ("a".repeat(161), (Encoding::Gsm7, 2)),
            ("€".repeat(80), (Encoding::Gsm7, 1)),
            ("я".repeat(70), (Encoding::Ucs2, 1)),
            ("я".repeat(71), (Encoding::Ucs2, 2)),
            ("Balance: ₦245,000.".into(), (Encoding::Ucs2, 1)),
        ];
        for (text, expected) in table {
            assert_eq!(measure(&text, 10).unwrap(), expected, "{text}");
        }
        assert!(matches!(measure("", 10), Err(Refusal::EmptyMessage)));
        let long = "a".repeat(153 * 10 + 1);
        assert!(matches!(
            measure(&long, 10),
            Err(Refusal::MessageTooLong {
                segments: 11,
                max: 10
            })
        ));
    }
}
