//! Lives here: a text with places for what differs from recipient to recipient, and how they are
//! filled. Pure; borrows from the text.
//! Never here: where values come from, what a text costs.
//!
//! `{{name}}` stands for a value, `{{name|friend}}` for a value or, where it is absent or empty,
//! `friend`. `\{{` is two braces. Everything else stands as it is.

use std::fmt;

/// Different fields of one template at most: what a row of recipients may reasonably have.
pub const FIELDS_MAX: usize = 50;
/// Octets of a template at most: several times the longest message, for its names and defaults.
pub const TEMPLATE_MAX: usize = 16 * 1024;
/// Octets after which a text is filled no further: it is far too long to be sent.
const TEXT_MAX: usize = 16 * 1024;
/// Characters of a field's name at most, as of a key of `metadata`.
pub const NAME_MAX: usize = 40;

const OPEN: &str = "{{";
const CLOSE: &str = "}}";

/// A text with places to fill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template<'t> {
    pieces: Vec<Piece<'t>>,
    fields: Vec<&'t str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece<'t> {
    Text(&'t str),
    /// The field's place among the fields.
    Field(usize, Option<&'t str>),
}

/// What is done for a recipient who has no value for a field without a default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnMissing {
    /// Nothing is sent to anybody.
    #[default]
    Fail,
    /// Nothing is sent to this one.
    Skip,
    /// The place stays empty.
    Empty,
}

impl OnMissing {
    /// The choice with this name in the API.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "fail" => Some(Self::Fail),
            "skip" => Some(Self::Skip),
            "empty" => Some(Self::Empty),
            _ => None,
        }
    }
}

/// Why a text is no template. Places are counted in characters, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TemplateError {
    /// `{{` without `}}`.
    Open(usize),
    /// What stands between the braces is no name.
    Name(usize),
    /// More different fields than [`FIELDS_MAX`].
    Fields,
    /// More octets than [`TEMPLATE_MAX`].
    Long,
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(at) => write!(
                f,
                "the placeholder at character {at} is not closed; end it with }}}}, or write \\{{{{ for two braces"
            ),
            Self::Name(at) => write!(
                f,
                "the placeholder at character {at} has no proper name; write {{{{name}}}} or {{{{name|default}}}} \
                 with a name of 1 to {NAME_MAX} letters, digits, '_', '-' or '.', or \\{{{{ for two braces"
            ),
            Self::Long => write!(
                f,
                "the text has more than {TEMPLATE_MAX} octets; no message is that long"
            ),
            Self::Fields => write!(f, "there are more than {FIELDS_MAX} different placeholders"),
        }
    }
}

impl<'t> Template<'t> {
    /// Reads a text.
    ///
    /// # Errors
    /// [`TemplateError`].
    pub fn parse(text: &'t str) -> Result<Self, TemplateError> {
        if text.len() > TEMPLATE_MAX {
            return Err(TemplateError::Long);
        }
        let mut template = Self {
            pieces: Vec::new(),
            fields: Vec::new(),
        };
        let mut rest = text;
        while let Some(at) = rest.find(OPEN) {
            let (before, inside) = (&rest[..at], &rest[at + OPEN.len()..]);
            if let Some(plain) = before.strip_suffix('\\') {
                template.text(plain);
                template.text(&rest[at..at + OPEN.len()]);
                rest = inside;
                continue;
            }
            let place = || text[..text.len() - inside.len()].chars().count() - 1;
            template.text(before);
            let Some(end) = inside.find(CLOSE) else {
                return Err(TemplateError::Open(place()));
            };
            let (name, default) = match inside[..end].split_once('|') {
                Some((name, default)) => (name, Some(default)),
                None => (&inside[..end], None),
            };
            let name = name.trim();
            if !is_name(name) {
                return Err(TemplateError::Name(place()));
            }
            template.field(name, default)?;
            rest = &inside[end + CLOSE.len()..];
        }
        template.text(rest);
        Ok(template)
    }

    /// The fields, each once, in the order of their first places: that of the values.
    pub fn fields(&self) -> &[&'t str] {
        &self.fields
    }

    /// Writes the text with these values, in the order of [`Template::fields`], instead of what `out`
    /// held. With `empty` what is missing stays empty. It ends early when it has become far too long.
    ///
    /// # Errors
    /// The first field that has neither a value nor a default; `out` is of no use then.
    pub fn render(
        &self,
        values: &[Option<&str>],
        empty: bool,
        out: &mut String,
    ) -> Result<(), &'t str> {
        out.clear();
        for piece in &self.pieces {
            if out.len() > TEXT_MAX {
                // However it goes on, it is too long to be sent.
                return Ok(());
            }
            match *piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Field(index, default) => {
                    let value = values.get(index).copied().flatten();
                    let value = value.filter(|value| default.is_none() || !value.is_empty());
                    match value.or(default) {
                        Some(value) => out.push_str(value),
                        None if empty => {}
                        None => return Err(self.fields.get(index).copied().unwrap_or_default()),
                    }
                }
            }
        }
        Ok(())
    }

    fn text(&mut self, text: &'t str) {
        if !text.is_empty() {
            self.pieces.push(Piece::Text(text));
        }
    }

    fn field(&mut self, name: &'t str, default: Option<&'t str>) -> Result<(), TemplateError> {
        let known = self.fields.iter().position(|field| *field == name);
        let index = known.unwrap_or(self.fields.len());
        if known.is_none() {
            if index == FIELDS_MAX {
                return Err(TemplateError::Fields);
            }
            self.fields.push(name);
        }
        self.pieces.push(Piece::Field(index, default));
        Ok(())
    }
}

/// Whether a field may be called so.
pub fn is_name(name: &str) -> bool {
    let mark = |one: char| one.is_alphanumeric() || matches!(one, '_' | '-' | '.');
    (1..=NAME_MAX).contains(&name.chars().count()) && name.chars().all(mark)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filled(text: &str, given: &[(&str, &str)], empty: bool) -> Result<String, String> {
        let template = Template::parse(text).map_err(|error| error.to_string())?;
        let value = |name: &&str| given.iter().find(|(key, _)| key == name).map(|one| one.1);
        let values: Vec<_> = template.fields().iter().map(value).collect();
        let mut out = "left over".to_owned();
        let done = template.render(&values, empty, &mut out);
        done.map(|()| out).map_err(str::to_owned)
    }

    #[test]
    fn places_are_filled_and_everything_else_stands() {
        let given = [("name", "John"), ("code", "ABC123"), ("none", "")];
        let table = [
            (
                "Hello {{name}}, your code is {{code}}",
                "Hello John, your code is ABC123",
            ),
            ("{{ name }}{{name}}", "JohnJohn"),
            ("{{title|dear}} {{name|friend}}", "dear John"),
            ("{{none|friend}}", "friend"),
            ("<{{none}}>", "<>"),
            ("{{title|}}!", "!"),
            ("{{title| two words }}", " two words "),
            ("{{title|a|b}}", "a|b"),
            (r"\{{name}}", "{{name}}"),
            (r"C:\dir\\{{name}}", r"C:\dir\{{name}}"),
            ("{name} {} }} { {", "{name} {} }} { {"),
            ("Hello , your code is ", "Hello , your code is "),
            ("Habari {{jina|ndugu}} 😀", "Habari ndugu 😀"),
            ("", ""),
        ];
        for (text, expected) in table {
            assert_eq!(
                filled(text, &given, false).as_deref(),
                Ok(expected),
                "{text}"
            );
        }
    }

    #[test]
    fn a_value_is_not_a_template() {
        let given = [("name", "{{code}}"), ("code", "secret")];
        assert_eq!(filled("Hi {{name}}", &given, false).unwrap(), "Hi {{code}}");
    }

    #[test]
    fn what_is_missing_is_named_or_left_empty() {
        assert_eq!(
            filled("a {{b}} c {{d}}", &[("d", "x")], false),
            Err("b".into())
        );
        assert_eq!(
            filled("a {{b}} c {{d}}", &[("d", "x")], true).unwrap(),
            "a  c x"
        );
    }

    #[test]
    fn what_is_no_template_says_where() {
        let error = |text| Template::parse(text).unwrap_err();
        assert_eq!(error("Hello {{name"), TemplateError::Open(7));
        assert_eq!(error("é{{name} }"), TemplateError::Open(2));
        for text in [
            "{{}}",
            "{{ }}",
            "{{first name}}",
            "{{|x}}",
            "{{{name}}}",
            "{{a{{b}}",
        ] {
            assert!(matches!(error(text), TemplateError::Name(1)), "{text}");
        }
        let many: String = (0..=FIELDS_MAX)
            .map(|one| format!("{{{{f{one}}}}}"))
            .collect();
        assert_eq!(error(&many), TemplateError::Fields);
    }

    proptest! {
        #[test]
        fn no_text_panics_and_text_without_places_stands(text in "\\PC{0,40}") {
            match Template::parse(&text) {
                Ok(template) if template.fields().is_empty() => {
                    let mut out = String::new();
                    template.render(&[], false, &mut out).unwrap();
                    prop_assert_eq!(out, text.replace("\\{{", "{{"));
                }
                Ok(_) | Err(_) => {}
            }
        }

        #[test]
        fn what_was_put_together_comes_out_filled(
            parts in proptest::collection::vec(("[a-z ]{0,8}", "[a-z]{1,3}", "[A-Z{}|]{0,5}"), 0..8)
        ) {
            let text: String = parts.iter().map(|(text, name, _)| format!("{text}{{{{{name}}}}}")).collect();
            let template = Template::parse(&text).unwrap();
            // The first value of a name is everyone's.
            let value = |name: &str| parts.iter().find(|one| one.1 == name).map(|one| &*one.2);
            let values: Vec<_> = template.fields().iter().map(|name| value(name)).collect();
            let mut out = String::new();
            template.render(&values, false, &mut out).unwrap();
            let expected: String = parts.iter()
                .map(|(text, name, _)| format!("{text}{}", value(name).unwrap()))
                .collect();
            prop_assert_eq!(out, expected);
        }
    }

    #[test]
    fn neither_a_template_nor_what_it_is_filled_with_grows_without_bounds() {
        let long = "{{a}}".repeat(TEMPLATE_MAX);
        assert_eq!(Template::parse(&long), Err(TemplateError::Long));
        let template = Template::parse(&long[..TEMPLATE_MAX / 5 * 5]).unwrap();
        let value = "x".repeat(2_000);
        let mut out = String::new();
        assert_eq!(template.render(&[Some(&value)], false, &mut out), Ok(()));
        assert!(out.len() <= TEXT_MAX + value.len(), "{}", out.len());
    }
}
