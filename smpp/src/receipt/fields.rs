//! Lives here: finding the fields in a receipt's text (SMPP appendix B), in any order and case.
//! Never here: what the values mean.

use super::trimmed;

/// The values as written; empty when absent. `sub`, `dlvrd` and `text` only bound the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Fields<'a> {
    pub(super) id: &'a str,
    pub(super) submit_date: &'a str,
    pub(super) done_date: &'a str,
    pub(super) stat: &'a str,
    pub(super) err: &'a str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Key {
    Id,
    SubmitDate,
    DoneDate,
    Stat,
    Err,
    Text,
    /// `sub`, `dlvrd`.
    Other,
}

/// As written before the colon. Longer keys stand before those they end with.
const KEYS: [(&str, Key); 16] = [
    ("submit date", Key::SubmitDate),
    ("submit_date", Key::SubmitDate),
    ("submitdate", Key::SubmitDate),
    ("done date", Key::DoneDate),
    ("done_date", Key::DoneDate),
    ("donedate", Key::DoneDate),
    ("message_id", Key::Id),
    ("msgid", Key::Id),
    ("id", Key::Id),
    ("stat", Key::Stat),
    ("status", Key::Stat),
    ("err", Key::Err),
    ("error", Key::Err),
    ("text", Key::Text),
    ("sub", Key::Other),
    ("dlvrd", Key::Other),
];

/// A key in the text: where it starts, and where its value does.
struct Mark {
    key: Key,
    start: usize,
    value: usize,
}

impl<'a> Fields<'a> {
    /// Reads one pass of the text.
    ///
    /// `text:` quotes the message, so a customer can write `stat:DELIVRD` in it: a field before `text:` counts
    /// when it first appears, and what follows `text:` only fills gaps, its last occurrence winning, because a
    /// carrier that puts `text:` early still writes its own fields behind the quotation.
    pub(super) fn scan(text: &'a str) -> Self {
        let mut before = Self::default();
        let mut behind = Self::default();
        let mut in_text = false;
        let mut marks = marks(text).peekable();
        while let Some(mark) = marks.next() {
            let end = marks.peek().map_or(text.len(), |next| next.start);
            // Two keys can share letters (`id:text:`); the later one then starts inside the earlier.
            let value = text.get(mark.value..end).unwrap_or_default();
            in_text |= mark.key == Key::Text;
            let fields = if in_text { &mut behind } else { &mut before };
            let Some(slot) = fields.slot(mark.key) else {
                continue;
            };
            let value = first_word(value);
            if !value.is_empty() && (in_text || slot.is_empty()) {
                *slot = value;
            }
        }
        Self {
            id: either(before.id, behind.id),
            submit_date: either(before.submit_date, behind.submit_date),
            done_date: either(before.done_date, behind.done_date),
            stat: either(before.stat, behind.stat),
            err: either(before.err, behind.err),
        }
    }

    fn slot(&mut self, key: Key) -> Option<&mut &'a str> {
        match key {
            Key::Id => Some(&mut self.id),
            Key::SubmitDate => Some(&mut self.submit_date),
            Key::DoneDate => Some(&mut self.done_date),
            Key::Stat => Some(&mut self.stat),
            Key::Err => Some(&mut self.err),
            Key::Text | Key::Other => None,
        }
    }
}

fn either<'a>(first: &'a str, second: &'a str) -> &'a str {
    if first.is_empty() { second } else { first }
}

/// A value is one word; white space after the colon is overlooked.
fn first_word(value: &str) -> &str {
    let word = value.trim_start_matches(|c: char| c.is_whitespace() || c.is_control());
    let end = word
        .find(|c: char| c.is_whitespace() || c.is_control())
        .unwrap_or(word.len());
    trimmed(&word[..end])
}

fn marks(text: &str) -> impl Iterator<Item = Mark> + '_ {
    text.match_indices(':').filter_map(|(colon, _)| {
        let head = text[..colon].trim_end_matches(' ');
        KEYS.iter().find_map(|(name, key)| {
            let start = head.len().checked_sub(name.len())?;
            // A key starts the text or follows something that is no part of a word.
            let is_here = head.get(start..)?.eq_ignore_ascii_case(name)
                && !head[..start].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '-');
            is_here.then_some(Mark {
                key: *key,
                start,
                value: colon + 1,
            })
        })
    })
}

#[cfg(test)]
mod tests {
    use super::Fields;

    #[test]
    fn a_quoted_message_cannot_forge_fields() {
        let fields = Fields::scan("id:1 stat:UNDELIV err:001 text:id:999 stat:DELIVRD");
        assert_eq!((fields.id, fields.stat), ("1", "UNDELIV"));
        let fields = Fields::scan("text:id:999 stat:DELIVRD id:1 stat:UNDELIV");
        assert_eq!((fields.id, fields.stat), ("1", "UNDELIV"));
    }

    #[test]
    fn words_that_end_like_a_key_are_no_keys() {
        let fields = Fields::scan("paid:7 thestat:x user-id:8 id:9");
        assert_eq!(
            fields,
            Fields {
                id: "9",
                ..Fields::default()
            }
        );
    }

    #[test]
    fn an_empty_value_is_not_the_next_key() {
        let fields = Fields::scan("id: stat:DELIVRD err: text:");
        assert_eq!(
            fields,
            Fields {
                stat: "DELIVRD",
                ..Fields::default()
            }
        );
    }
}
