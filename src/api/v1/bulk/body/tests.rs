//! Lives here: the tests of the body's form.
//! Never here: what a request means.

use super::*;
use crate::api::code::Code;

const SEED: &str = r#"{
  "name": "Marketing Campaign Q1",
  "from": "MOJAWAVE",
  "message": "Hello , your code is ",
  "recipients": [
    {
      "to": "+255712345678",
      "personalization": {
        "name": "John",
        "code": "ABC123"
      }
    },
    {
      "to": "+255712345678",
      "personalization": {
        "name": "Jane",
        "code": "ABC123"
      }
    }
  ],
  "webhook_url": "https://example.com/webhooks"
}"#;

#[test]
fn the_seeds_request_is_read_without_a_copy() {
    let draft = Draft::parse(SEED.as_bytes()).unwrap();
    let request = &draft.request;
    assert_eq!(
        (&*request.name, &*request.from),
        ("Marketing Campaign Q1", "MOJAWAVE")
    );
    assert_eq!(request.class, Class::Promotional);
    assert_eq!(request.recipients.len(), 2);
    let first = &request.recipients[0];
    assert!(matches!(first.to, Cow::Borrowed("+255712345678")));
    let values = [("name", "John"), ("code", "ABC123")];
    assert!(
        first
            .values
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .eq(values)
    );
    assert!(draft.unknown.is_empty());
}

#[test]
fn numbers_stand_as_they_were_written_and_null_is_absent() {
    let body = br#"{"from":"M","message":"x","strict":true,"rate_limit":5,"on_missing":"skip",
            "recipients":["0712345678",{"phone":"1","client_ref":"a","personalization":
            {"sum":100.00,"big":123456789012345678901,"on":true,"none":null,"t\u0065xt":"a\nb"}}],
            "extra":1}"#;
    let draft = Draft::parse(body).unwrap();
    let [first, second] = &draft.request.recipients[..] else {
        panic!("{draft:?}");
    };
    assert_eq!((&*first.to, &*second.to), ("0712345678", "1"));
    assert_eq!(second.client_ref.as_deref(), Some("a"));
    let values = [
        ("sum", "100.00"),
        ("big", "123456789012345678901"),
        ("on", "true"),
        ("text", "a\nb"),
    ];
    assert!(
        second
            .values
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .eq(values)
    );
    assert_eq!((draft.request.rate_limit, draft.request.strict), (5, true));
    assert_eq!(draft.unknown, ["extra".into()]);
}

fn wrong(body: &str) -> (Code, Vec<String>) {
    let error = Draft::parse(body.as_bytes()).unwrap_err();
    (error.code, error.pointers())
}

#[test]
fn what_is_wrong_is_named_by_its_pointer() {
    let (code, pointers) = wrong(
        r#"{"message":1,"recipients":[{"to":5},{"personalization":{"a":[]}},
            {"to":"1","personalization":{"a/b":{}}}],"strict":"yes"}"#,
    );
    assert_eq!(code, Code::InvalidRequest);
    let expected = [
        "/from",
        "/message",
        "/strict",
        "/recipients/0/to",
        "/recipients/1/personalization/a",
        "/recipients/2/personalization/a~1b",
    ];
    assert_eq!(pointers, expected);
    let (_, pointers) = wrong(
        r#"{"from":"M","message":"x","recipients":[{"to":"1","phone":"2"},{"to":"1"},
            {"to":"1","to":"1"}]}"#,
    );
    assert_eq!(pointers, ["/recipients/0/phone", "/recipients/2/to"]);
    let (code, pointers) = wrong(
        r#"{"from":"M","message":"x","recipients":["1"],"class":"otp","rate_limit":0,
            "on_missing":"cry"}"#,
    );
    assert_eq!(code, Code::Unprocessable);
    assert_eq!(pointers, ["/class", "/on_missing", "/rate_limit"]);
    let (_, pointers) = wrong(r#"{"senderId":1,"message":"x","recipients":["1"]}"#);
    assert_eq!(pointers, ["/senderId"]);
    for body in [
        "",
        "[]",
        "{",
        r#"{"recipients":7}"#,
        r#"{"recipients":[7]}"#,
    ] {
        assert_eq!(wrong(body).0, Code::InvalidRequest, "{body}");
    }
}

#[test]
fn more_recipients_than_may_be_are_not_read() {
    let list = vec![r#""+255712345678""#; RECIPIENTS_MAX + 5].join(",");
    let body = format!(r#"{{"from":"M","message":"x","recipients":[{list}]}}"#);
    assert_eq!(
        wrong(&body),
        (Code::Unprocessable, vec!["/recipients".into()])
    );
}

#[test]
fn no_body_makes_the_reader_panic() {
    for end in 0..SEED.len() {
        assert!(Draft::parse(&SEED.as_bytes()[..end]).is_err());
        for octet in [0, b'"', b'{', b'\\', 0xff] {
            let mut body = SEED.as_bytes().to_vec();
            body[end] = octet;
            let _ = Draft::parse(&body);
        }
    }
}
