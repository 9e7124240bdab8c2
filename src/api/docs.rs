//! Lives here: a page for each error code, where `doc_url` leads.
//! Never here: the reference of the whole API.

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::Response;

use super::code::Code;
use super::doors::Doors;
use super::error::ApiError;

/// Where the pages are; answers' `doc_url` begins with it.
pub(super) const ERRORS: &str = "/docs/errors/";

/// The pages' routes.
pub(super) fn doors(doors: Doors) -> Doors {
    doors.page("/docs/errors/{code}", |head| page(head.uri.path()))
}

/// The page of the code that the path names.
fn page(path: &str) -> Result<Response, ApiError> {
    let name = path.strip_prefix(ERRORS).unwrap_or_default();
    let Some(code) = Code::ALL.iter().find(|code| code.name() == name) else {
        let message = "there is no error of this code";
        return Err(ApiError::new(Code::NotFound, message));
    };
    let text = format!(
        "{} (HTTP {})\n\n{}\n",
        code.name(),
        code.status().as_u16(),
        code.page()
    );
    let mut response = Response::new(Body::from(text));
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_page_and_an_unknown_one_has_none() {
        for code in Code::ALL {
            assert!(page(&format!("{ERRORS}{}", code.name())).is_ok());
        }
        assert!(page("/docs/errors/nothing").is_err());
    }
}
