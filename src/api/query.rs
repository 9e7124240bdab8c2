//! Lives here: the query of a request: which parameters it may have and of which form they are.
//! Never here: what they mean.

use std::ops::RangeInclusive;

use uuid::Uuid;

use super::call::Visit;
use super::code::Code;
use super::error::{ApiError, Problem};

/// A query whose parameters are known.
pub(super) struct Query<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Query<'a> {
    /// Reads the query. What is not known is passed over, as an unknown field is.
    ///
    /// # Errors
    /// `invalid_request`: a parameter is given twice.
    pub(super) fn read(visit: &'a Visit, known: &[&str]) -> Result<Self, ApiError> {
        let query = visit.head.uri.query().unwrap_or_default();
        let mut found: Vec<(&str, &str)> = Vec::new();
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if !known.contains(&name) {
                continue;
            }
            if found.iter().any(|(one, _)| *one == name) {
                return Err(wrong(name, "is given twice; give it once"));
            }
            found.push((name, value));
        }
        Ok(Self(found))
    }

    fn of(&self, name: &str) -> Option<&'a str> {
        let found = self.0.iter().find(|(one, _)| *one == name);
        found.map(|(_, value)| *value)
    }

    /// A flag; false unless it says otherwise. What is neither yes nor no is refused: nothing must be
    /// sent because of a typing error.
    pub(super) fn flag(&self, name: &str) -> Result<bool, ApiError> {
        match self.of(name) {
            None | Some("false" | "0") => Ok(false),
            Some("true" | "1") => Ok(true),
            Some(_) => Err(wrong(name, "must be true or false")),
        }
    }

    /// A number within a range.
    pub(super) fn number(
        &self,
        name: &str,
        usual: u32,
        range: RangeInclusive<u32>,
    ) -> Result<u32, ApiError> {
        let Some(text) = self.of(name) else {
            return Ok(usual);
        };
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| {
            let (least, most) = (range.start(), range.end());
            wrong(
                name,
                &format!("must be a whole number from {least} to {most}"),
            )
        })
    }

    /// An id.
    pub(super) fn id(&self, name: &str) -> Result<Option<Uuid>, ApiError> {
        let id = self.of(name).map(Uuid::try_parse).transpose();
        id.map_err(|_| wrong(name, "must be as an earlier page gave it"))
    }
}

fn wrong(name: &str, what: &str) -> ApiError {
    let problem = Problem::field(name, format!("{name} {what}"));
    ApiError::of_field(Code::InvalidRequest, problem)
}
