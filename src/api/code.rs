//! Lives here: the error catalogue (`reference/api.md`): each code with its name, its status, the
//! coarse type by which clients choose what to do, and the text of its page.
//! Never here: rendering (`error`), deciding to refuse.

use axum::http::StatusCode;

/// Makes the codes of rows: variant, name, status, type, page.
macro_rules! catalogue {
    ($($code:ident $name:literal $status:ident $family:literal $page:literal;)*) => {
        /// The codes that this door answers with.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Code {
            $($code,)*
        }

        impl Code {
            /// Every code.
            pub(super) const ALL: &[Self] = &[$(Self::$code,)*];

            /// The name in answers.
            pub(super) const fn name(self) -> &'static str {
                match self {
                    $(Self::$code => $name,)*
                }
            }

            /// The HTTP status.
            pub(super) const fn status(self) -> StatusCode {
                match self {
                    $(Self::$code => StatusCode::$status,)*
                }
            }

            /// The coarse `type` by which clients choose what to do.
            pub(super) const fn family(self) -> &'static str {
                match self {
                    $(Self::$code => $family,)*
                }
            }

            /// What happened, whether anything was kept, and what to do.
            pub(super) const fn page(self) -> &'static str {
                match self {
                    $(Self::$code => $page,)*
                }
            }
        }
    };
}

catalogue! {
    InvalidRequest "invalid_request" BAD_REQUEST "invalid_request_error"
        "The request could not be read, lacks a field or has one of the wrong type; `errors` \
         names each. Nothing was kept. Mend the request and send it again.";
    Unauthorized "unauthorized" UNAUTHORIZED "authentication_error"
        "The API key is missing, mistyped, unknown, revoked or for the other environment. Send it as \
         `Authorization: Bearer KEY` or `X-API-Key: KEY`. A user's token has expired, is signed by \
         somebody else, or its user has been removed: sign in again; it goes into `Authorization` only.";
    KeyExpired "key_expired" UNAUTHORIZED "authentication_error"
        "The API key was good until a time that has passed. Use its successor, or create another.";
    InsufficientBalance "insufficient_balance" PAYMENT_REQUIRED "invalid_request_error"
        "The balance does not reach for the message, or for all of the job; `details` has the balance, what is required and \
         the shortfall, in credits. Nothing was kept. Buy credits and send it again.";
    Forbidden "forbidden" FORBIDDEN "permission_error"
        "The key may not do this: it lacks the scope that `details.scope` names, or what the message says. \
         Use another key, or have one made that may.";
    IpNotAllowed "ip_not_allowed" FORBIDDEN "permission_error"
        "The key may be used from certain addresses only, and this is none of them. Call from one, or \
         have the list changed.";
    SenderNotApproved "sender_not_approved" FORBIDDEN "permission_error"
        "The organisation may not use this sender: use an approved one, or have it registered. Or the key is \
         held to others: use one of those, or another key.";
    NotFound "not_found" NOT_FOUND "invalid_request_error"
        "There is nothing at this path, or nothing of yours has this id. Ids are as in the \
         answer that made it; live keys see what is live, test keys what is not. Paths have no slash at their end.";
    MethodNotAllowed "method_not_allowed" METHOD_NOT_ALLOWED "invalid_request_error"
        "The path takes other methods; the Allow header names them.";
    Conflict "conflict" CONFLICT "invalid_request_error"
        "What the request is about is in a state that does not allow it; the message says which. Read it \
         again before you try anything else.";
    IdempotencyInProgress "idempotency_in_progress" CONFLICT "invalid_request_error"
        "A request with the same Idempotency-Key is still running. Try again after the seconds that \
         Retry-After says: you will be given its answer.";
    RequestTimeout "request_timeout" REQUEST_TIMEOUT "invalid_request_error"
        "The request did not arrive in time. Nothing was kept. Send it again on another \
         connection.";
    PayloadTooLarge "payload_too_large" PAYLOAD_TOO_LARGE "invalid_request_error"
        "The body is larger than the limit. Nothing was kept. Send less.";
    UnsupportedMediaType "unsupported_media_type" UNSUPPORTED_MEDIA_TYPE "invalid_request_error"
        "The body has a form or an encoding that this path does not read. Send JSON, as it is or with gzip \
         where the path takes it.";
    Unprocessable "unprocessable" UNPROCESSABLE_ENTITY "invalid_request_error"
        "A field has a value that cannot be used; `error.param` names it. Nothing was kept.";
    InvalidNumber "invalid_number" UNPROCESSABLE_ENTITY "invalid_request_error"
        "The recipient is not a mobile number that we can place. Give it in E.164, for example \
         +255712345678, or in the local form of your organisation's country.";
    UnroutableNumber "unroutable_number" UNPROCESSABLE_ENTITY "invalid_request_error"
        "The number is a mobile one, but no carrier account serves its network.";
    SenderInvalid "sender_invalid" UNPROCESSABLE_ENTITY "invalid_request_error"
        "A sender has at most 11 letters, digits, spaces and . _ & - with at least one letter, \
         or 3 to 8 digits (a short code), or 9 to 15 (a number). It must be one that a carrier \
         account to the recipient's network takes.";
    MessageTooLong "message_too_long" UNPROCESSABLE_ENTITY "invalid_request_error"
        "The text needs too many segments: 160 characters fit one, 153 each of several; 70 and \
         67 if a character is outside GSM 03.38. Shorten it.";
    ScheduleInvalid "schedule_invalid" UNPROCESSABLE_ENTITY "invalid_request_error"
        "schedule_at must be RFC 3339 with an offset, from a minute ago to 90 days ahead.";
    TemplateVariableMissing "template_variable_missing" UNPROCESSABLE_ENTITY "invalid_request_error"
        "Recipients lack a value for a placeholder of the template; `errors` names the first hundred. \
         Give the value or a default (`{{name|default}}`), or say what to do with `on_missing`.";
    IdempotencyKeyReused "idempotency_key_reused" UNPROCESSABLE_ENTITY "invalid_request_error"
        "The Idempotency-Key was used for another body in the last 24 hours. Nothing was kept. Give each \
         request a key of its own.";
    RateLimitExceeded "rate_limit_exceeded" TOO_MANY_REQUESTS "rate_limit_error"
        "There were too many requests in too short a time. Nothing was kept. Try again after the seconds \
         that Retry-After says; the RateLimit headers tell what is left.";
    ServerError "server_error" INTERNAL_SERVER_ERROR "api_error"
        "Something failed on our side. If the answer says so, what you asked for may have been done, or \
         not: look, as it tells you to, before you ask for it again. A request with an Idempotency-Key can \
         be repeated as it is: it is done once.";
    Overloaded "overloaded" SERVICE_UNAVAILABLE "api_error"
        "Nothing was kept. Try again after the seconds that Retry-After says.";
}
