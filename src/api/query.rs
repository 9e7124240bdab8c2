//! Lives here: the query of a request: which parameters it may have and of which form they are.
//! Never here: what they mean.

use std::ops::RangeInclusive;

use uuid::Uuid;

use super::call::Visit;
use super::code::Code;
use super::error::{ApiError, Problem};
use super::json::said_again;

/// A query whose parameters are known.
pub(super) struct Query<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Query<'a> {
    /// Reads the query of a request.
    ///
    /// # Errors
    /// As [`of_text`](Self::of_text).
    pub(super) fn read(visit: &'a Visit, known: &[&str]) -> Result<Self, ApiError> {
        Self::of_text(visit.head.uri.query().unwrap_or_default(), known)
    }

    /// Reads a query. What is not known is refused: `dryrun=true` must not send. One without
    /// parameters allocates nothing.
    ///
    /// # Errors
    /// `invalid_request`: a parameter is not known, or given twice.
    pub(super) fn of_text(query: &'a str, known: &[&str]) -> Result<Self, ApiError> {
        // No longer than what is known.
        let mut found: Vec<(&str, &str)> = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if !known.contains(&name) {
                let what = match known {
                    [] => "is no parameter of this request; it has none".to_owned(),
                    _ => {
                        let known = known.join(", ");
                        format!("is no parameter of this request; there are: {known}")
                    }
                };
                return Err(wrong(said_again(name), &what));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_known_and_given_once() {
        let known = ["dry_run", "limit"];
        let query = Query::of_text("dry_run=true&", &known).unwrap();
        assert!(query.flag("dry_run").unwrap());
        assert_eq!(query.number("limit", 20, 1..=100).unwrap(), 20);
        let long = "x".repeat(9_000);
        for (wrong, pointer) in [
            ("dryrun=true", "/dryrun"),
            ("DRY_RUN=true", "/DRY_RUN"),
            ("dry%5Frun=true", "/dry%5Frun"),
            ("=", "/"),
            ("limit=2&limit=2", "/limit"),
            (&*long, &*format!("/{}", &long[..64])),
        ] {
            let error = Query::of_text(wrong, &known).err().unwrap();
            assert_eq!(error.code, Code::InvalidRequest, "{wrong}");
            assert_eq!(error.pointers(), [pointer]);
        }
        let error = Query::of_text("dryrun=1", &known).err().unwrap();
        assert!(format!("{error:?}").contains("dry_run, limit"));
    }
}
