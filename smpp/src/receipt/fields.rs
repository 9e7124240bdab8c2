//! Lives here: finding the fields in a receipt's text (SMPP appendix B), in any order and case.
//! Never here: what the values mean.

/// Where a value stands in the text, in octets; empty when the field is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    start: usize,
    end: usize,
}

/// The values as written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Fields {
    pub(super) id: Span,
    pub(super) sub: Span,
    pub(super) dlvrd: Span,
    pub(super) submit_date: Span,
    pub(super) done_date: Span,
    pub(super) stat: Span,
    pub(super) err: Span,
    /// From behind the first `text:` to the end.
    pub(super) quote: Span,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Key {
    Id,
    Sub,
    Dlvrd,
    SubmitDate,
    DoneDate,
    Stat,
    Err,
    Text,
}

/// The words before a colon, apart from `submit date` and `done date` in two words.
const KEYS: [(&str, Key); 18] = [
    ("id", Key::Id),
    ("sub", Key::Sub),
    ("dlvrd", Key::Dlvrd),
    ("stat", Key::Stat),
    ("err", Key::Err),
    ("text", Key::Text),
    ("status", Key::Stat),
    ("error", Key::Err),
    ("msgid", Key::Id),
    ("msg_id", Key::Id),
    ("message_id", Key::Id),
    ("messageid", Key::Id),
    ("submit_date", Key::SubmitDate),
    ("submit-date", Key::SubmitDate),
    ("submitdate", Key::SubmitDate),
    ("done_date", Key::DoneDate),
    ("done-date", Key::DoneDate),
    ("donedate", Key::DoneDate),
];

/// A key in the text: where it starts, and where its value does.
struct Mark {
    key: Key,
    start: usize,
    value: usize,
}

impl Span {
    /// The value in the text that was scanned.
    pub(super) fn of(self, text: &str) -> &str {
        text.get(self.start..self.end).unwrap_or_default()
    }

    pub(super) const fn is_empty(self) -> bool {
        self.start == self.end
    }

    const fn or(self, other: Self) -> Self {
        if self.is_empty() { other } else { self }
    }
}

impl Fields {
    /// Reads one pass of the text.
    ///
    /// `text:` quotes the message, so a customer can write `stat:DELIVRD` in it: a field before `text:` counts
    /// when it first appears, and what follows `text:` only fills gaps, its last occurrence winning, because a
    /// carrier that puts `text:` early still writes its own fields behind the quotation.
    pub(super) fn scan(text: &str) -> Self {
        let mut before = Self::default();
        let mut behind = Self::default();
        let mut in_text = false;
        let mut marks = marks(text).peekable();
        while let Some(mark) = marks.next() {
            let end = marks.peek().map_or(text.len(), |next| next.start);
            let fields = if in_text { &mut behind } else { &mut before };
            let slot = match mark.key {
                Key::Id => &mut fields.id,
                Key::Sub => &mut fields.sub,
                Key::Dlvrd => &mut fields.dlvrd,
                Key::SubmitDate => &mut fields.submit_date,
                Key::DoneDate => &mut fields.done_date,
                Key::Stat => &mut fields.stat,
                Key::Err => &mut fields.err,
                Key::Text if in_text => continue,
                Key::Text => {
                    in_text = true;
                    before.quote = Span {
                        start: mark.value,
                        end: text.len(),
                    };
                    continue;
                }
            };
            let region = Span {
                start: mark.value,
                end,
            };
            let value = match mark.key {
                Key::SubmitDate | Key::DoneDate => date_words(text, region),
                Key::Id | Key::Sub | Key::Dlvrd | Key::Stat | Key::Err | Key::Text => {
                    first_word(text, region)
                }
            };
            if !value.is_empty() && (in_text || slot.is_empty()) {
                *slot = value;
            }
        }
        Self {
            id: before.id.or(behind.id),
            sub: before.sub.or(behind.sub),
            dlvrd: before.dlvrd.or(behind.dlvrd),
            submit_date: before.submit_date.or(behind.submit_date),
            done_date: before.done_date.or(behind.done_date),
            stat: before.stat.or(behind.stat),
            err: before.err.or(behind.err),
            quote: before.quote,
        }
    }

    /// Whether the text names a message or a state: whether it is a receipt's text at all.
    pub(super) const fn says_something(&self) -> bool {
        !self.id.is_empty() || !self.stat.is_empty()
    }
}

/// Without the white space, control characters and separators that carriers put around values.
pub(super) fn trimmed(value: &str) -> &str {
    value.trim_matches(is_dirt)
}

fn is_blank(c: char) -> bool {
    c.is_whitespace() || c.is_control()
}

fn is_dirt(c: char) -> bool {
    matches!(c, ',' | ';' | '|' | '"' | '\'') || is_blank(c)
}

/// A value is one word; dirt around it is overlooked.
fn first_word(text: &str, region: Span) -> Span {
    let rest = region.of(text).trim_start_matches(is_dirt);
    let start = region.end - rest.len();
    let word = &rest[..rest.find(is_blank).unwrap_or(rest.len())];
    Span {
        start,
        end: start + word.trim_end_matches(is_dirt).len(),
    }
}

/// A date is one word, and when that holds no time of day (`2026-11-21 10:24:07 +0300`, `261121 102407`) the
/// words behind it that can only be time and offset.
fn date_words(text: &str, region: Span) -> Span {
    let first = first_word(text, region);
    let date = first.of(text);
    if !(date.len() == 6 || date.len() == 8 || date.len() == 10 && date.contains(['-', '/', '.'])) {
        return first;
    }
    let mut whole = first;
    for _ in 0..2 {
        let next = first_word(
            text,
            Span {
                start: whole.end,
                end: region.end,
            },
        );
        let is_time = |word: &str| {
            word.starts_with(|c: char| c.is_ascii_digit() || c == '+' || c == '-')
                && word
                    .bytes()
                    .all(|octet| octet.is_ascii_digit() || b":.+-Zz".contains(&octet))
        };
        if !is_time(next.of(text)) {
            break;
        }
        whole.end = next.end;
    }
    whole
}

fn marks(text: &str) -> impl Iterator<Item = Mark> + '_ {
    text.match_indices(':').filter_map(|(colon, _)| {
        let (key, start) = key_before(text, colon)?;
        Some(Mark {
            key,
            start,
            value: colon + 1,
        })
    })
}

/// The key that ends at this colon, and where it starts.
fn key_before(text: &str, colon: usize) -> Option<(Key, usize)> {
    let (head, word) = last_word(&text[..colon]);
    if word.eq_ignore_ascii_case("date") {
        let (head, word) = last_word(head);
        let key = if word.eq_ignore_ascii_case("submit") {
            Key::SubmitDate
        } else if word.eq_ignore_ascii_case("done") {
            Key::DoneDate
        } else {
            return None;
        };
        return starts_word(head).then_some((key, head.len()));
    }
    KEYS.iter()
        .find(|(name, _)| word.eq_ignore_ascii_case(name))
        .filter(|_| starts_word(head))
        .map(|(_, key)| (*key, head.len()))
}

/// The last word, blanks behind it overlooked, and the text before it. Words are of ASCII letters, digits, `_`
/// and `-`.
fn last_word(text: &str) -> (&str, &str) {
    let text = text.trim_end_matches([' ', '\t', '\u{a0}']);
    let letters = text
        .bytes()
        .rev()
        .take_while(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'_' | b'-'))
        .count();
    text.split_at(text.len() - letters)
}

/// Whether a word that follows starts here: `ñid` is another word than `id`.
fn starts_word(head: &str) -> bool {
    !head.ends_with(char::is_alphanumeric)
}

#[cfg(test)]
mod tests {
    use super::Fields;

    fn id_and_stat(text: &str) -> (&str, &str) {
        let fields = Fields::scan(text);
        (fields.id.of(text), fields.stat.of(text))
    }

    fn done_date(text: &str) -> &str {
        Fields::scan(text).done_date.of(text)
    }

    #[test]
    fn a_quoted_message_cannot_forge_fields() {
        for text in [
            "id:1 stat:UNDELIV err:001 text:id:999 stat:DELIVRD",
            "text:id:999 stat:DELIVRD id:1 stat:UNDELIV",
            "id:1 stat:UNDELIV Text: text:id:999 stat:DELIVRD",
        ] {
            assert_eq!(id_and_stat(text), ("1", "UNDELIV"), "{text}");
        }
    }

    #[test]
    fn words_that_end_like_a_key_are_no_keys() {
        let text = "paid:7 thestat:x user-id:8 éid:7 update:3 my date:4 id:9";
        assert_eq!(id_and_stat(text), ("9", ""));
        assert_eq!(done_date("undone date:1"), "");
    }

    #[test]
    fn an_empty_value_is_not_the_next_key() {
        let text = "id: stat:DELIVRD err: text:";
        assert_eq!(id_and_stat(text), ("", "DELIVRD"));
        let fields = Fields::scan(text);
        assert!(fields.err.is_empty() && fields.quote.is_empty());
    }

    #[test]
    fn keys_may_be_spaced_and_spelt_in_other_ways() {
        for text in [
            "done date:2611211025",
            "Done  Date : 2611211025",
            "done\u{a0}date:2611211025",
            "DONE_DATE:\"2611211025\"",
            "donedate:2611211025;",
            "|done-date: 2611211025|stat:x",
        ] {
            assert_eq!(done_date(text), "2611211025", "{text:?}");
        }
        assert_eq!(id_and_stat("msg_id:1,status:X").0, "1");
    }

    #[test]
    fn a_date_may_be_of_several_words() {
        for (text, expected) in [
            (
                "done date:2026-11-21 10:25:07 stat:X",
                "2026-11-21 10:25:07",
            ),
            (
                "done date:2026-11-21 10:25:07 +03:00 stat:X",
                "2026-11-21 10:25:07 +03:00",
            ),
            (
                "done date:2026-11-21T10:25:07Z stat:X",
                "2026-11-21T10:25:07Z",
            ),
            ("done date:261121 102507 stat:X", "261121 102507"),
            ("done date:2026-11-21 soon stat:X", "2026-11-21"),
            ("done date:2611211025 0000 stat:X", "2611211025"),
            ("done date:2611211025", "2611211025"),
        ] {
            assert_eq!(done_date(text), expected, "{text:?}");
        }
    }
}
