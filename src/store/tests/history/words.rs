//! Lives here: what a store has answered, in words that can be compared.
//! Never here: asking it.

use std::fmt::Debug;

use crate::domain::message::Message;
use crate::store::MessageView;

/// A value as its `Debug` has it.
pub(super) fn say(value: impl Debug) -> String {
    format!("{value:?}")
}

/// Values in the order of their words.
pub(super) fn sorted<T: Debug>(items: impl IntoIterator<Item = T>) -> Vec<String> {
    let mut words: Vec<String> = items.into_iter().map(say).collect();
    words.sort();
    words
}

/// All of a message, of which `Debug` leaves the text out.
pub(super) fn text(message: &Message) -> String {
    let Message {
        seq,
        id,
        org,
        class,
        to,
        from,
        body,
        encoding,
        segments,
        carrier,
        webhook_url,
        metadata,
        tags,
        client_ref,
        live,
        cost,
        accepted_at,
        due_at,
        valid_until,
    } = message;
    format!(
        "{seq} {id} {org} {class:?} {} {} {body} {encoding:?} {segments} {carrier:?} {webhook_url:?} {metadata:?} {tags:?} {client_ref:?} {live} {cost:?} {accepted_at:?} {due_at:?} {valid_until:?}",
        to.digits(),
        from.as_str(),
    )
}

/// A message and where it stands.
pub(super) fn viewed(view: Option<&MessageView>) -> String {
    view.map_or_else(String::new, |view| {
        format!("{view:?} {}", text(&view.message))
    })
}
