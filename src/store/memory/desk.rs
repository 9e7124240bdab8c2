//! Lives here: lists of the model's messages, and what organisations change of their own.
//! Never here: whether they may (`engine`).

use super::tables::{MessageRow, Tables};
use super::{Memory, MemoryReader};
use crate::domain::ids::MessageSeq;
use crate::domain::message::{Message, State};
use crate::domain::time::Timestamp;
use crate::store::desk::{Desk, Listed, Listing, Lists};
use crate::store::{Carriers, StoreError};

type Answer<T> = Result<T, StoreError>;

impl Desk for Memory {
    async fn reschedule(
        &mut self,
        message: MessageSeq,
        due_at: Timestamp,
        valid_until: Timestamp,
    ) -> Answer<bool> {
        let messages = &mut self.tables()?.0.messages;
        let scheduled = |row: &MessageRow| row.state == State::Scheduled;
        Ok(messages.change(&message, scheduled, |row| {
            row.message.due_at = due_at;
            row.message.valid_until = valid_until;
        }))
    }
}

impl Lists for MemoryReader {
    async fn list(&self, listing: &Listing) -> Answer<Listed> {
        self.look(|tables, carriers| tables.list(carriers, listing))
    }
}

impl Tables {
    fn list(&self, carriers: &Carriers, listing: &Listing) -> Listed {
        let (first, above) = listing.span();
        let own = |row: &&MessageRow| {
            // As the indexes have it: names are an organisation's own.
            let looked_at = listing
                .org
                .is_none_or(|org| row.message.org == org && named(&row.message, listing));
            looked_at && row.message.seq >= first && row.message.seq < above
        };
        let look = match listing.is_plain() {
            true => usize::MAX,
            false => listing.look as usize,
        };
        let mut all = self.messages.all().rev().filter(own);
        let looked: Vec<&MessageRow> = all.by_ref().take(look).collect();
        let beyond = all.next().map(|row| MessageSeq(row.message.seq.0 + 1));
        let mut fitting = looked.into_iter().filter(|row| fits(row, listing));
        let shown: Vec<&MessageRow> = fitting.by_ref().take(listing.limit as usize).collect();
        let last = shown.last().map(|row| row.message.seq);
        let full = fitting.next().is_some();
        Listed {
            messages: shown.into_iter().map(|row| row.view(carriers)).collect(),
            next: if full { last } else { beyond },
        }
    }
}

fn fits(row: &MessageRow, listing: &Listing) -> bool {
    let message = &row.message;
    let tags = message.tags.as_deref();
    let tags: Vec<String> = tags.map_or_else(Vec::new, |tags| {
        serde_json::from_str(tags).unwrap_or_default()
    });
    let tagged = |tag: &str| tags.iter().any(|one| one == tag);
    let sender = |from: &str| message.from.as_str().eq_ignore_ascii_case(from);
    message.accepted_at >= listing.since
        && message.accepted_at < listing.until
        && (listing.mask() >> row.state.index()) & 1 == 1
        && listing.to.is_none_or(|to| message.to == to)
        && listing.from.as_deref().is_none_or(sender)
        && listing.class.is_none_or(|class| message.class == class)
        && listing.tag.as_deref().is_none_or(tagged)
        && named(message, listing)
        && listing.live.is_none_or(|live| message.live == live)
}

fn named(message: &Message, listing: &Listing) -> bool {
    listing.client_ref.is_none() || message.client_ref == listing.client_ref
}
