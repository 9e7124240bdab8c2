//! Lives here: cursors of lists: where a page ended, in a form that says nothing to others.
//! Never here: lists.
//!
//! A message's number tells how many messages the whole gateway has taken since midnight, so it is
//! masked with a hash that no two cursors share, and checked: one of another organisation, or a
//! mistyped one, is refused.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::domain::ids::{MessageSeq, OrgId};

/// The cursor of an organisation's list.
pub(super) fn seal(org: OrgId, at: MessageSeq) -> String {
    let check = check(org, at);
    let masked = at.0 ^ mask(org, check);
    let mut octets = [0; 16];
    octets[..8].copy_from_slice(&check.to_be_bytes());
    octets[8..].copy_from_slice(&masked.to_be_bytes());
    URL_SAFE_NO_PAD.encode(octets)
}

/// Where it says; `None`: it is none of this organisation.
pub(super) fn open(org: OrgId, cursor: &str) -> Option<MessageSeq> {
    let octets: [u8; 16] = URL_SAFE_NO_PAD.decode(cursor).ok()?.try_into().ok()?;
    let [checked, masked] = [&octets[..8], &octets[8..]].map(number);
    let at = MessageSeq(masked ^ mask(org, checked));
    (check(org, at) == checked).then_some(at)
}

fn check(org: OrgId, at: MessageSeq) -> i64 {
    hash(b"mnara.cursor.check", org, at.0)
}

fn mask(org: OrgId, check: i64) -> i64 {
    hash(b"mnara.cursor.mask", org, check)
}

/// Nobody outside knows an organisation's id.
fn hash(what: &[u8], org: OrgId, value: i64) -> i64 {
    let mut hash = Sha256::new();
    hash.update(what);
    hash.update(org.0.as_bytes());
    hash.update(value.to_be_bytes());
    number(&hash.finalize()[..8])
}

fn number(octets: &[u8]) -> i64 {
    octets
        .iter()
        .fold(0, |number, octet| number << 8 | i64::from(*octet))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const ORG: OrgId = OrgId(Uuid::from_u128(7));

    #[test]
    fn a_cursor_is_opened_by_its_own_organisation_only() {
        for at in [0, 1, i64::MAX, 20_778 << 40] {
            let cursor = seal(ORG, MessageSeq(at));
            assert_eq!(open(ORG, &cursor), Some(MessageSeq(at)));
            assert_eq!(open(OrgId(Uuid::from_u128(8)), &cursor), None);
        }
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        let cursor = seal(ORG, MessageSeq(5));
        for end in 0..cursor.len() {
            assert_eq!(open(ORG, &cursor[..end]), None);
        }
        for wrong in ["", "!", "AAAAAAAAAAAAAAAAAAAAAA", &format!("{cursor}A")] {
            assert_eq!(open(ORG, wrong), None, "{wrong}");
        }
    }
}
