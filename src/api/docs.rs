//! Lives here: a page for each error code, where `doc_url` leads.
//! Never here: the reference of the whole API.

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::Response;

use super::error::{ApiError, Code};

/// Where the pages are; answers' `doc_url` begins with it.
pub(super) const ERRORS: &str = "/docs/errors/";

/// The page of the code that the path names.
pub(super) fn page(path: &str) -> Result<Response, ApiError> {
    let name = path.strip_prefix(ERRORS).unwrap_or_default();
    let Some(code) = Code::ALL.into_iter().find(|code| code.name() == name) else {
        let message = "there is no error of this code";
        return Err(ApiError::new(Code::NotFound, message));
    };
    let text = format!(
        "{} (HTTP {})\n\n{}\n",
        code.name(),
        code.status().as_u16(),
        meaning(code)
    );
    let mut response = Response::new(Body::from(text));
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}

/// What happened, whether anything was kept, and what to do.
const fn meaning(code: Code) -> &'static str {
    match code {
        Code::InvalidRequest => {
            "The request could not be read, lacks a field or has one of the wrong type; `errors` \
             names each. Nothing was kept. Mend the request and send it again."
        }
        Code::Unauthorized => {
            "The API key is missing, mistyped, unknown or for the other environment. Send it as \
             `Authorization: Bearer KEY` or `X-API-Key: KEY`."
        }
        Code::InsufficientBalance => {
            "The balance does not reach for the message; `details` has the balance, what is required and \
             the shortfall, in credits. Nothing was kept. Buy credits and send it again."
        }
        Code::SenderNotApproved => {
            "The organisation may not use this sender. Use an approved one, or have it registered."
        }
        Code::NotFound => {
            "There is nothing at this path, or no message of yours has this id. Ids are as in the \
             answer to the send; paths have no slash at their end."
        }
        Code::MethodNotAllowed => "The path takes other methods; the Allow header names them.",
        Code::RequestTimeout => {
            "The request did not arrive in time. Nothing was kept. Send it again on another \
             connection."
        }
        Code::PayloadTooLarge => "The body is larger than the limit. Nothing was kept. Send less.",
        Code::Unprocessable => {
            "A field has a value that cannot be used; `error.param` names it. Nothing was kept."
        }
        Code::InvalidNumber => {
            "The recipient is not a mobile number that we can place. Give it in E.164, for example \
             +255712345678, or in the local form of your organisation's country."
        }
        Code::UnroutableNumber => {
            "The number is a mobile one, but no carrier account serves its network."
        }
        Code::SenderInvalid => {
            "A sender has at most 11 letters, digits, spaces and . _ & - with at least one letter, \
             or 3 to 8 digits (a short code), or 9 to 15 (a number). It must be one that a carrier \
             account to the recipient's network takes."
        }
        Code::MessageTooLong => {
            "The text needs too many segments: 160 characters fit one, 153 each of several; 70 and \
             67 if a character is outside GSM 03.38. Shorten it."
        }
        Code::ScheduleInvalid => {
            "schedule_at must be RFC 3339 with an offset, from a minute ago to 90 days ahead."
        }
        Code::ServerError => {
            "Something failed on our side. If the answer says so, the message may have been \
             accepted: look it up or wait for its webhook before you send it again."
        }
        Code::Overloaded => "Nothing was kept. Try again after the seconds that Retry-After says.",
    }
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
