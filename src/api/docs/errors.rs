//! Lives here: a page for each error code, where `doc_url` leads, and the list of them.
//! Never here: the codes and what is said of them (`code`).

use std::fmt::Write;

use axum::http::request::Parts;
use axum::response::Response;

use super::{TEXT, fixed, missing};
use crate::api::code::Code;
use crate::api::error::ApiError;

/// Where the pages are; answers' `doc_url` begins with it.
pub(in crate::api) const ERRORS: &str = "/docs/errors/";

/// The page of the code that the path names.
pub(super) fn page(head: &Parts) -> Result<Response, ApiError> {
    let name = head.uri.path().strip_prefix(ERRORS).unwrap_or_default();
    let Some(code) = Code::ALL.iter().find(|code| code.name() == name) else {
        return Err(missing(
            "there is no error of this code; /docs/errors has all of them",
        ));
    };
    let text = format!(
        "{} (HTTP {})\n\n{}\n",
        code.name(),
        code.status().as_u16(),
        code.page()
    );
    Ok(fixed(text, TEXT))
}

/// All of them.
pub(super) fn list(_: &Parts) -> Result<Response, ApiError> {
    let mut text = String::from("The codes of errors. They keep their meaning; more may come.\n");
    for code in Code::ALL {
        let (name, status) = (code.name(), code.status().as_u16());
        let _ = write!(
            text,
            "\n{name} (HTTP {status})\n{}\n{ERRORS}{name}\n",
            code.page()
        );
    }
    Ok(fixed(text, TEXT))
}
