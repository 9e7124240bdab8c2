//! Lives here: which receipts whose id nobody knows prove that an attempt in doubt was taken by the
//! carrier (`reference/delivery-semantics.md`). A false proof calls off the resend of a message that
//! was never sent, so whatever is not clear proves nothing.
//! Never here: finding receipts and attempts (`store`), what a proof does to a message (`lifecycle`).

use std::collections::BTreeMap;
use std::time::Duration;

use super::ids::MessageSeq;
use super::receipt::Evidence;
use super::time::Timestamp;

/// How far the carrier's submit date may be from our clock at the submit: many write no seconds, and
/// clocks differ.
const NEAR: Duration = Duration::from_secs(120);

/// How long a receipt must have waited before it may prove anything by its looks alone: until then
/// the response that it has outrun may still come and claim it.
pub const RIPE: Duration = Duration::from_secs(2);

/// A piece of text shorter than this says nothing.
const WORDS_MIN: usize = 5;

/// What told the outcome of an attempt that was in doubt. The numbers are kept in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ToldBy {
    /// A response, after its time.
    LateResponse = 1,
    /// A refusal, after its time.
    LateRefusal = 2,
    /// A receipt whose id nobody knew.
    Receipt = 3,
}

impl ToldBy {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::LateResponse, Self::LateRefusal, Self::Receipt];

    /// The name in timelines and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::LateResponse => "late_response",
            Self::LateRefusal => "late_refusal",
            Self::Receipt => "receipt",
        }
    }

    /// Its place in [`ToldBy::ALL`].
    pub const fn place(self) -> usize {
        self as usize - 1
    }

    /// The one with this number in the store.
    pub fn from_index(index: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|told| *told as i64 == index)
    }
}

/// A parked receipt of some account and recipient.
#[derive(Clone, Copy, Debug)]
pub struct Orphan<'a> {
    /// Its id, normalised. Several receipts may have the same.
    pub normalised: &'a str,
    /// What it says beside the id.
    pub evidence: &'a Evidence,
    /// When it reached us.
    pub received_at: Timestamp,
}

/// An attempt in doubt of the same account and recipient.
#[derive(Clone, Copy, Debug)]
pub struct Doubtful<'a> {
    /// Which message.
    pub message: MessageSeq,
    /// Which segment, from 1.
    pub part: u8,
    /// Which attempt, from 1.
    pub attempt: u16,
    /// The `user_message_reference` that it was sent with, if its account sends any.
    pub reference: u16,
    /// The message's sender.
    pub sender: &'a str,
    /// The message's text.
    pub body: &'a str,
    /// When it was handed to the bind.
    pub submitted_at: Timestamp,
}

/// The proofs among these, as pairs of places: an orphan, and the attempt whose receipt it is. All
/// are of one account and one recipient. A receipt proves something when exactly one segment fits
/// it, and no other id claims the same attempt; several attempts at one segment are told apart by
/// their order.
pub fn proofs(
    orphans: &[Orphan<'_>],
    doubtful: &[Doubtful<'_>],
    now: Timestamp,
) -> Vec<(usize, usize)> {
    let mut claims: BTreeMap<(MessageSeq, u8), Vec<usize>> = BTreeMap::new();
    for (place, orphan) in orphans.iter().enumerate() {
        let known = |places: &Vec<usize>| {
            places
                .iter()
                .any(|other| orphans[*other].normalised == orphan.normalised)
        };
        if let Some(segment) = only_segment(orphan, doubtful, now)
            && !claims.get(&segment).is_some_and(known)
        {
            claims.entry(segment).or_default().push(place);
        }
    }
    let mut found = Vec::new();
    for (segment, mut claimants) in claims {
        let mut attempts: Vec<usize> = (0..doubtful.len())
            .filter(|place| (doubtful[*place].message, doubtful[*place].part) == segment)
            .collect();
        // More ids than attempts: some are of other messages, and nothing says which.
        if claimants.len() > attempts.len() {
            continue;
        }
        attempts.sort_by_key(|place| doubtful[*place].attempt);
        claimants.sort_by_key(|place| orphans[*place].received_at);
        found.extend(claimants.into_iter().zip(attempts));
    }
    found
}

/// The one segment whose attempts fit the receipt.
fn only_segment(
    orphan: &Orphan<'_>,
    doubtful: &[Doubtful<'_>],
    now: Timestamp,
) -> Option<(MessageSeq, u8)> {
    let mut fitting = doubtful
        .iter()
        .filter(|attempt| fits(orphan, attempt, now))
        .map(|attempt| (attempt.message, attempt.part));
    let first = fitting.next()?;
    fitting.all(|other| other == first).then_some(first)
}

fn fits(orphan: &Orphan<'_>, attempt: &Doubtful<'_>, now: Timestamp) -> bool {
    let evidence = orphan.evidence;
    if orphan.received_at < attempt.submitted_at {
        return false;
    }
    match evidence.reference {
        Some(reference) => reference == attempt.reference,
        None => looks_alike(orphan, attempt, now),
    }
}

/// Sender, and time or text or both: a receipt that says neither when nor what is anybody's.
fn looks_alike(orphan: &Orphan<'_>, attempt: &Doubtful<'_>, now: Timestamp) -> bool {
    let evidence = orphan.evidence;
    let words = evidence.words.0.trim();
    let says_what = words.chars().count() >= WORDS_MIN;
    if now < orphan.received_at + RIPE || !(says_what || evidence.submitted_at.is_some()) {
        return false;
    }
    let near = |at: Timestamp| {
        at.since(attempt.submitted_at) <= NEAR && attempt.submitted_at.since(at) <= NEAR
    };
    let sender = evidence.sender.trim_start_matches('+');
    sender.eq_ignore_ascii_case(attempt.sender.trim_start_matches('+'))
        && evidence.submitted_at.is_none_or(near)
        && (words.is_empty() || quotes(words, attempt))
}

/// Whether these words stand where the segment's text begins. Where a later segment begins is not
/// known here: anywhere but at the message's own beginning.
fn quotes(words: &str, attempt: &Doubtful<'_>) -> bool {
    let first = attempt.body.trim_start().starts_with(words);
    if attempt.part == 1 {
        first
    } else {
        !first && attempt.body.contains(words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::receipt::Words;

    const SENT: Timestamp = Timestamp(1_000_000);
    const NOW: Timestamp = Timestamp(1_060_000);

    fn doubtful(message: i64, part: u8, attempt: u16) -> Doubtful<'static> {
        Doubtful {
            message: MessageSeq(message),
            part,
            attempt,
            reference: 500 + u16::from(part),
            sender: "MNARA",
            body: "Your code is 4711. It is valid for ten minutes, tell nobody.",
            submitted_at: SENT,
        }
    }

    fn evidence(words: &str, submitted_at: Option<Timestamp>) -> Evidence {
        Evidence {
            sender: "mnara".into(),
            words: Words(words.into()),
            submitted_at,
            ..Evidence::default()
        }
    }

    fn orphan<'a>(id: &'a str, evidence: &'a Evidence) -> Orphan<'a> {
        Orphan {
            normalised: id,
            evidence,
            received_at: SENT + Duration::from_secs(3),
        }
    }

    fn proves(evidence: &Evidence, attempts: &[Doubtful<'_>]) -> Option<usize> {
        let found = proofs(&[orphan("A1", evidence)], attempts, NOW);
        found.first().map(|(_, attempt)| *attempt)
    }

    #[test]
    fn time_or_text_beside_the_sender_is_needed_and_must_agree() {
        let one = [doubtful(1, 1, 1)];
        let near = Some(SENT - Duration::from_secs(50));
        let far = Some(SENT + Duration::from_secs(300));
        for (words, at, proof) in [
            ("", None, false),
            ("", near, true),
            ("", far, false),
            ("Your code is 4711. I", None, true),
            ("Your code is 4711. I", near, true),
            ("Your code is 4711. I", far, false),
            ("Your code is 9999. I", near, false),
            ("You", None, false),
        ] {
            let found = proves(&evidence(words, at), &one);
            assert_eq!(found.is_some(), proof, "{words:?} {at:?}");
        }
        let stranger = Evidence {
            sender: "OTHER".into(),
            ..evidence("Your code is 4711. I", near)
        };
        assert_eq!(proves(&stranger, &one), None);
    }

    #[test]
    fn our_reference_is_enough_and_another_one_refutes() {
        let two = [doubtful(1, 1, 1), doubtful(1, 2, 1)];
        let ours = |reference| Evidence {
            reference: Some(reference),
            ..evidence("", Some(SENT))
        };
        assert_eq!(proves(&ours(502), &two), Some(1));
        assert_eq!(proves(&ours(77), &two), None);
    }

    #[test]
    fn two_messages_that_fit_are_no_proof_of_either() {
        let alike = [doubtful(1, 1, 1), doubtful(2, 1, 1)];
        assert_eq!(proves(&evidence("Your code is", Some(SENT)), &alike), None);
    }

    #[test]
    fn two_ids_for_one_attempt_are_no_proof() {
        let said = evidence("Your code is", Some(SENT));
        let orphans = [orphan("A1", &said), orphan("A2", &said)];
        assert_eq!(proofs(&orphans, &[doubtful(1, 1, 1)], NOW), []);
        // Two receipts of one id are one claim.
        let same = [orphan("A1", &said), orphan("A1", &said)];
        assert_eq!(proofs(&same, &[doubtful(1, 1, 1)], NOW), [(0, 0)]);
    }

    #[test]
    fn two_attempts_at_one_segment_take_their_receipts_in_order() {
        let said = evidence("Your code is", Some(SENT));
        let both = [doubtful(1, 1, 2), doubtful(1, 1, 1)];
        let orphans = [orphan("A1", &said), orphan("A2", &said)];
        assert_eq!(proofs(&orphans, &both, NOW), [(0, 1), (1, 0)]);
    }

    #[test]
    fn segments_are_told_apart_by_their_text_only() {
        let parts = [doubtful(1, 1, 1), doubtful(1, 2, 1)];
        assert_eq!(
            proves(&evidence("Your code is", Some(SENT)), &parts),
            Some(0)
        );
        assert_eq!(
            proves(&evidence("ten minutes", Some(SENT)), &parts),
            Some(1)
        );
        assert_eq!(proves(&evidence("", Some(SENT)), &parts), None);
    }

    #[test]
    fn a_fresh_receipt_waits_for_its_response_unless_it_has_our_reference() {
        let one = [doubtful(1, 1, 1)];
        let said = evidence("Your code is", Some(SENT));
        let fresh = Orphan {
            received_at: NOW,
            ..orphan("A1", &said)
        };
        assert_eq!(proofs(&[fresh], &one, NOW), []);
        assert_eq!(proofs(&[fresh], &one, NOW + RIPE), [(0, 0)]);
        let ours = Evidence {
            reference: Some(501),
            ..said.clone()
        };
        let fresh = Orphan {
            evidence: &ours,
            ..fresh
        };
        assert_eq!(proofs(&[fresh], &one, NOW), [(0, 0)]);
    }

    #[test]
    fn a_receipt_from_before_the_submit_is_another_messages() {
        let said = evidence("Your code is", None);
        let early = Orphan {
            received_at: SENT - Duration::from_secs(1),
            ..orphan("A1", &said)
        };
        assert_eq!(proofs(&[early], &[doubtful(1, 1, 1)], NOW), []);
    }
}
