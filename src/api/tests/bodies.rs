//! Lives here: the fuzz target of each JSON body, as a test: whatever the octets, the body is read or
//! refused with a 4xx that names the field, and nothing panics. A route that takes a body and has no
//! target here fails a test.
//! Never here: mutations (`mnara_smpp_fuzz`), bodies whose meaning is wrong (`bad_input`).

use mnara_smpp_fuzz::Target;

use crate::api::code::Code;
use crate::api::docs;
use crate::api::error::ApiError;
use crate::api::submission::Draft;
use crate::api::v1::{bulk, campaigns, keys, messages, webhooks};

/// The seeds of a route's body.
macro_rules! seeds {
    ($id:literal) => {
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bodies/", $id)
    };
}

/// The target of each body, by the route's `operationId`.
const TARGETS: &[Target] = &[
    target("sendSms", send, seeds!("sendSms")),
    target("createKey", create_key, seeds!("createKey")),
    target("rotateKey", rotate_key, seeds!("rotateKey")),
    target("sendBulk", bulk, seeds!("sendBulk")),
    target("createCampaign", bulk, seeds!("createCampaign")),
    target("updateCampaign", campaign, seeds!("updateCampaign")),
    target("rescheduleMessage", reschedule, seeds!("rescheduleMessage")),
    target(
        "createWebhookEndpoint",
        endpoint,
        seeds!("createWebhookEndpoint"),
    ),
    target(
        "updateWebhookEndpoint",
        endpoint,
        seeds!("updateWebhookEndpoint"),
    ),
    target(
        "rotateWebhookSecret",
        rotate_secret,
        seeds!("rotateWebhookSecret"),
    ),
];

/// What decides something in JSON and in our fields.
const WORDS: &[&[u8]] = &[
    b"null",
    b"true",
    b"{}",
    b"[]",
    b"[[[[[[[[",
    b"\"\"",
    b"\\ud800",
    b"\\u0000",
    b"\\\"",
    b"-0",
    b"1e400",
    b"1e-400",
    b"18446744073709551616",
    b"9223372036854775808",
    b"0.0001",
    b"{{name}}",
    b"{{",
    b"}}",
    b"|",
    b",\"to\":\"1\"",
    b",\"a\":",
    b"+255753276939",
    b"\xED\xA0\x80",
    b"\xFF",
    b"\xEF\xBB\xBF",
    b"2026-04-05T12:03:04Z",
    b"9999-12-31T23:59:59+23:59",
    b"https://127.0.0.1/",
    b"10.0.0.0/8",
    b"00000000-0000-0000-0000-000000000000",
];

const fn target(name: &'static str, function: fn(&[u8]), seeds: &'static str) -> Target {
    Target {
        name,
        function,
        seeds,
        words: WORDS,
    }
}

fn send(body: &[u8]) {
    judge(Draft::parse(body));
}

fn create_key(body: &[u8]) {
    judge(keys::fuzzing::create(body));
}

fn rotate_key(body: &[u8]) {
    judge(keys::fuzzing::rotate(body));
}

fn reschedule(body: &[u8]) {
    judge(messages::read_time(body));
}

fn endpoint(body: &[u8]) {
    judge(webhooks::fuzzing::endpoint(body));
}

fn rotate_secret(body: &[u8]) {
    judge(webhooks::fuzzing::rotate(body));
}

fn bulk(body: &[u8]) {
    judge(bulk::body::Draft::parse(body));
}

fn campaign(body: &[u8]) {
    judge(campaigns::changed("{}", body));
}

/// A refusal is the client's fault and says of which field, unless the body as a whole is none.
fn judge<T>(parsed: Result<T, ApiError>) {
    let Err(error) = parsed else {
        return;
    };
    assert!(error.code.status().is_client_error(), "{error:?}");
    let whole = error.code == Code::InvalidRequest && error.message().starts_with("the body ");
    assert!(whole || error.param().is_some(), "{error:?}");
    assert!(!error.message().is_empty(), "{error:?}");
}

#[test]
fn every_body_is_read_or_refused_whatever_its_octets() {
    let failures = std::env::temp_dir().join("mnara-fuzz-failures");
    for target in TARGETS {
        target.run(&failures);
    }
}

#[test]
fn every_route_that_takes_a_body_has_a_fuzz_target() {
    let mut taken = docs::bodies();
    taken.sort_unstable();
    let mut targets: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    targets.sort_unstable();
    assert_eq!(targets, taken, "left: targets, right: routes with a body");
}
