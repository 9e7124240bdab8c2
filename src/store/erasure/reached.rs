//! Lives here: how far a search for a number has come, and how that is written for whoever asks for the
//! rest of it.
//! Never here: the search itself.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use crate::domain::ids::{CampaignId, JobId, MessageSeq};
use crate::store::memo::MemoKey;

/// Behind what a search goes on. What waits to become messages comes first, so that none comes to be
/// behind the search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// This draft of a job.
    Draft(CampaignId),
    /// This chunk of a job.
    Chunk(JobId, u32),
    /// This answer kept for a repeated request.
    Answer(MemoKey),
    /// This message.
    Message(MessageSeq),
}

/// It is not what a search has said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`after` is not what an answer's `next` said")]
pub struct NowhereError;

impl Reached {
    /// Before everything.
    pub const START: Self = Self::Draft(CampaignId(Uuid::nil()));
    /// All drafts.
    pub(super) const DRAFTS: Self = Self::Chunk(JobId(Uuid::nil()), 0);
    /// All chunks.
    pub(super) const CHUNKS: Self = Self::Answer([0; 32]);
    /// All answers.
    pub(super) const ANSWERS: Self = Self::Message(MessageSeq(0));
}

impl fmt::Display for Reached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Draft(id) => write!(f, "draft:{}", id.0),
            Self::Chunk(job, chunk) => write!(f, "chunk:{}:{chunk}", job.0),
            Self::Answer(key) => {
                f.write_str("answer:")?;
                key.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
            }
            Self::Message(seq) => write!(f, "message:{}", seq.0),
        }
    }
}

impl FromStr for Reached {
    type Err = NowhereError;

    fn from_str(text: &str) -> Result<Self, NowhereError> {
        reached(text).ok_or(NowhereError)
    }
}

fn reached(text: &str) -> Option<Reached> {
    let (kind, place) = text.split_once(':')?;
    Some(match kind {
        "draft" => Reached::Draft(CampaignId(place.parse().ok()?)),
        "chunk" => {
            let (job, chunk) = place.split_once(':')?;
            Reached::Chunk(JobId(job.parse().ok()?), chunk.parse().ok()?)
        }
        "answer" => {
            let mut key = [0; 32];
            let (pairs, rest) = place.as_bytes().as_chunks::<2>();
            if pairs.len() != key.len() || !rest.is_empty() {
                return None;
            }
            for (octet, pair) in key.iter_mut().zip(pairs) {
                let pair = std::str::from_utf8(pair).ok()?;
                *octet = u8::from_str_radix(pair, 16).ok()?;
            }
            Reached::Answer(key)
        }
        "message" => Reached::Message(MessageSeq(place.parse().ok()?)),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_far_a_search_has_come_is_read_as_it_is_written() {
        let mut key = [0xa7; 32];
        key[0] = 3;
        for place in [
            Reached::START,
            Reached::DRAFTS,
            Reached::Chunk(JobId(Uuid::max()), 7),
            Reached::CHUNKS,
            Reached::Answer(key),
            Reached::ANSWERS,
            Reached::Message(MessageSeq(i64::MAX)),
        ] {
            assert_eq!(place.to_string().parse(), Ok(place));
        }
        for other in [
            "",
            "7",
            "draft:",
            "chunk:7",
            "answer:a7",
            "message:x",
            "all:1",
        ] {
            assert_eq!(other.parse::<Reached>(), Err(NowhereError), "{other}");
        }
        let cut = format!("answer:{}é", "a".repeat(62));
        assert!(cut.parse::<Reached>().is_err());
    }
}
