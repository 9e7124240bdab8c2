//! Lives here: tables of bodies that must be refused: with which code, at which field, and that
//! nothing of them is kept.
//! Never here: good requests, keys, paths.

use axum::http::StatusCode;

use super::{BODY_MAX, GOOD, House};

/// Code, param (`-` = none) and whole body; always 400.
const BODIES: &str = r#"
invalid_request - {
invalid_request - []
invalid_request - null
invalid_request - "text"
invalid_request - to=%2B255753276939&from=x&message=y
invalid_request - {"to":"+255753276939","from":"MojaWave","message":"Hello"} x
invalid_request to {}
invalid_request to {"to":null,"from":"MojaWave","message":"x"}
invalid_request phone {"phone":255753276939,"from":"MojaWave","message":"x"}
invalid_request from {"to":"+255753276939","message":"x"}
invalid_request from {"to":"+255753276939","from":["M"],"message":"x"}
invalid_request sender {"to":"+255753276939","sender":true,"message":"x"}
invalid_request message {"to":"+255753276939","from":"MojaWave"}
invalid_request message {"to":"+255753276939","from":"MojaWave","message":{}}
invalid_request message {"to":"+255753276939","from":"MojaWave","message":"\ud800"}
invalid_request message {"to":"+255753276939","from":"MojaWave","message":"\udc00\ud800"}
invalid_request message {"to":"+255753276939","from":"MojaWave","message":"\ud83dx"}
invalid_request - {"to":"+255753276939","from":"MojaWave","message":"\x"}
"#;

/// Code, param and a member that is added to a good body; 400 for `invalid_request`, else 422.
const MEMBERS: &str = r#"
invalid_request phone "phone":"+255753276939"
invalid_request message "message":"again"
invalid_request webhook_url "webhook_url":7
invalid_request schedule_at "schedule_at":1775390584
invalid_request class "class":1
invalid_request metadata "metadata":[]
invalid_request metadata "metadata":"x"
invalid_request metadata "metadata":{"\ud800":1}
invalid_request metadata.a "metadata":{"a":{"b":1}}
invalid_request metadata.a "metadata":{"a":null}
invalid_request metadata.a "metadata":{"a":1e999}
invalid_request metadata.a "metadata":{"a":"\ud800"}
invalid_request tags "tags":"a"
invalid_request tags.0 "tags":[1]
invalid_request tags.1 "tags":["a","\ud800"]
unprocessable tags "tags":["","","","","","","","","","",""]
unprocessable class "class":"OTP"
unprocessable metadata.a "metadata":{"a":"x\u0000"}
unprocessable metadata.b "metadata":{"a":"\\u0000","b":"\u0000"}
unprocessable tags.0 "tags":["\u0000"]
unprocessable client_ref "client_ref":"a\u0000"
unprocessable send_window "send_window":{"from":"08:00","until":"20:00"}
unprocessable webhook_url "webhook_url":"http://127.0.0.1/x"
unprocessable webhook_url "webhook_url":"no url"
schedule_invalid schedule_at "schedule_at":"2026-04-05T12:03:04"
schedule_invalid scheduledAt "scheduledAt":"2000-01-01T00:00:00Z"
schedule_invalid scheduleAt "scheduleAt":"2999-01-01T00:00:00Z"
"#;

/// Status, code, param, and what stands in `to|from|message`.
const VALUES: &str = r"
422 invalid_number to |MojaWave|x
422 invalid_number to +25575327693x|MojaWave|x
422 unprocessable to +2557532\u000076939|MojaWave|x
422 invalid_number to +255222111111|MojaWave|x
422 invalid_number to +14155550100|MojaWave|x
422 unroutable_number to +255713276939|MojaWave|x
422 sender_invalid from +255753276939||x
422 unprocessable from +255753276939|Mo\u0000ja|x
403 sender_not_approved from +255753276939|Stranger|x
422 unprocessable message +255753276939|MojaWave|
422 unprocessable message +255753276939|MojaWave|a\u0000b
";

/// A good body with one more member.
fn with(member: &str) -> String {
    format!("{},{member}}}", GOOD.trim_end_matches('}'))
}

impl House {
    /// Sends a body that must be refused in this way.
    async fn refuses(&self, body: &[u8], status: u16, code: &str, param: &str) {
        let shown = String::from_utf8_lossy(&body[..body.len().min(120)]).into_owned();
        let answer = self.send(body.to_vec()).await;
        let shown = format!("{shown}\n{}", answer.text);
        assert_eq!(answer.status.as_u16(), status, "{shown}");
        let (json, error) = (&answer.json, &answer.json["error"]);
        assert_eq!(
            (&json["success"], &json["code"]),
            (&false.into(), &code.into())
        );
        assert_eq!(error["code"], json["code"], "{shown}");
        assert_eq!(error["message"], json["message"], "{shown}");
        assert_eq!(
            error["request_id"],
            answer.headers["x-request-id"].to_str().unwrap()
        );
        if param == "-" {
            assert!(error["param"].is_null(), "{shown}");
        } else {
            assert_eq!(error["param"], param, "{shown}");
            let pointer = format!("/{}", param.replace('.', "/"));
            assert_eq!(json["errors"][0]["pointer"], pointer, "{shown}");
        }
        assert_eq!(self.kept().await, 0, "{shown}");
    }
}

/// The rows of a table: its first `N` words and the rest of each line.
fn rows<const N: usize>(table: &str) -> impl Iterator<Item = ([&str; N], &str)> {
    table
        .lines()
        .filter(|line| !line.is_empty())
        .map(|mut line| {
            let words = [(); N].map(|()| {
                let (word, rest) = line.split_once(' ').unwrap();
                line = rest;
                word
            });
            (words, line)
        })
}

#[tokio::test]
async fn bodies_of_the_wrong_form_are_refused_with_the_field_at_fault() {
    let house = House::open().await;
    for ([code, param], body) in rows(BODIES) {
        house.refuses(body.as_bytes(), 400, code, param).await;
    }
    for ([code, param], member) in rows(MEMBERS) {
        let status = if code == "invalid_request" { 400 } else { 422 };
        house
            .refuses(with(member).as_bytes(), status, code, param)
            .await;
    }
    house.refuses(b"", 400, "invalid_request", "-").await;
    let mut octets = GOOD.as_bytes().to_vec();
    for octet in [0xff, 0] {
        octets[9] = octet;
        house.refuses(&octets, 400, "invalid_request", "-").await;
    }
    house.close().await;
}

#[tokio::test]
async fn values_that_mean_nothing_are_refused_with_the_field_at_fault() {
    let house = House::open().await;
    for ([status, code, param], values) in rows(VALUES) {
        let [to, from, message] = values.split('|').collect::<Vec<_>>().try_into().unwrap();
        let body = format!(r#"{{"to":"{to}","from":"{from}","message":"{message}"}}"#);
        house
            .refuses(body.as_bytes(), status.parse().unwrap(), code, param)
            .await;
    }
    house.close().await;
}

#[tokio::test]
async fn what_is_too_much_is_refused() {
    let house = House::open().await;
    let (long, key) = ("x".repeat(501), "k".repeat(41));
    let many: Vec<String> = (0..51).map(|index| format!("\"k{index}\":1")).collect();
    for (member, param) in [
        (format!(r#""metadata":{{"a":"{long}"}}"#), "metadata.a"),
        (
            format!(r#""metadata":{{"{key}":1}}"#),
            &format!("metadata.{key}"),
        ),
        (format!(r#""metadata":{{{}}}"#, many.join(",")), "metadata"),
        (format!(r#""tags":["a","{}"]"#, &long[..65]), "tags.1"),
    ] {
        house
            .refuses(with(&member).as_bytes(), 422, "unprocessable", param)
            .await;
    }
    let text = "x".repeat(10 * 153 + 1);
    let body = format!(r#"{{"to":"+255753276939","from":"MojaWave","message":"{text}"}}"#);
    house
        .refuses(body.as_bytes(), 422, "message_too_long", "message")
        .await;
    house
        .refuses(&vec![b' '; BODY_MAX + 1], 413, "payload_too_large", "-")
        .await;
    house.close().await;
}

#[tokio::test]
async fn every_missing_field_is_named_at_once() {
    let house = House::open().await;
    let answer = house.send("{}").await;
    let errors = answer.json["errors"].as_array().unwrap();
    let pointers: Vec<_> = errors
        .iter()
        .map(|error| error["pointer"].as_str().unwrap())
        .collect();
    assert_eq!(pointers, ["/to", "/from", "/message"], "{}", answer.text);
    house.close().await;
}

#[tokio::test]
async fn nesting_however_deep_neither_harms_nor_passes_where_it_counts() {
    let house = House::open().await;
    let open = "[".repeat(1500);
    let deep = format!("{open}{}", "]".repeat(1500));
    house
        .refuses(
            with(&format!(r#""other":{open}"#)).as_bytes(),
            400,
            "invalid_request",
            "-",
        )
        .await;
    let metadata = with(&format!(r#""metadata":{{"a":{deep}}}"#));
    house
        .refuses(metadata.as_bytes(), 400, "invalid_request", "metadata.a")
        .await;
    let answer = house.send(with(&format!(r#""other":{deep}"#))).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
    house.close().await;
}

/// What JSON is made of.
const MARKS: &[u8] = b"{}[]\",:\\0-e";

#[tokio::test]
async fn no_spoilt_request_is_answered_with_a_fault_of_ours() {
    let house = House::open().await;
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    let mut roll = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).unwrap()
    };
    let whole = with(r#""metadata":{"a":"b"},"tags":["x"],"schedule_at":"2026-01-01T00:00:00Z""#);
    for _ in 0..400 {
        let mut body = whole.clone().into_bytes();
        for _ in 0..=roll(3) {
            let at = roll(body.len());
            match roll(4) {
                0 => body[at] = u8::try_from(roll(256)).unwrap(),
                1 => body.truncate(at + 1),
                2 => body.insert(at, MARKS[roll(MARKS.len())]),
                _ => drop(body.splice(at..at, "\\ud800\u{1F600}".bytes())),
            }
        }
        let mut request = house.post(body.clone());
        let values = [
            "gzip",
            "\"",
            "application/problem+json",
            "x; q=1e9",
            "\u{7f}",
            "wait=99999999999999999999",
        ];
        let names = [
            "content-encoding",
            "accept",
            "idempotency-key",
            "prefer",
            "content-type",
            "x-request-id",
        ];
        let value = axum::http::HeaderValue::from_bytes(values[roll(6)].as_bytes());
        if let Ok(value) = value {
            request.headers_mut().insert(names[roll(6)], value);
        }
        let answer = house.call(request).await;
        let shown = String::from_utf8_lossy(&body);
        assert!(answer.status.as_u16() < 500, "{shown}: {}", answer.text);
    }
    house.close().await;
}
