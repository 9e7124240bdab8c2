//! Lives here: where in a file something stands.
//! Never here: what it means.

use std::ops::Range;
use std::path::Path;

use super::ConfigError;

/// A text and the name it goes by in errors.
pub(super) struct Source<'a> {
    pub(super) text: &'a str,
    pub(super) path: &'a Path,
}

impl<'a> Source<'a> {
    pub(super) const fn new(text: &'a str, path: &'a Path) -> Self {
        Self { text, path }
    }

    /// An error at a span, or at the whole file.
    pub(super) fn error(
        &self,
        span: Option<Range<usize>>,
        message: impl Into<String>,
    ) -> ConfigError {
        let path = self.path.display();
        let place = match span {
            Some(span) => {
                let (line, column) = self.line_column(span.start);
                format!("{path}:{line}:{column}")
            }
            None => path.to_string(),
        };
        ConfigError {
            place,
            message: message.into(),
        }
    }

    fn line_column(&self, at: usize) -> (usize, usize) {
        let before = self.text.get(..at).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before
            .chars()
            .rev()
            .take_while(|character| *character != '\n')
            .count()
            + 1;
        (line, column)
    }
}
