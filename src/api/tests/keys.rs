//! Lives here: keys and tokens at the API's door: what they may do, from where, until when, and how
//! keys come and go by `/v1/keys`.
//! Never here: what a key is worth (`domain::account`), tokens' form (`tokens`).

use std::net::IpAddr;

use secrecy::ExposeSecret;

use super::*;
use crate::api::client::Peer;
use crate::domain::ids::UserId;
use crate::domain::scope::{Scope, Scopes};
use crate::domain::user::{Role, User};
use crate::store::AuditEntry;
use crate::tokens::{Algorithm, Bearer, LIFE_MAX, Tokens};

/// What tests sign with.
pub(super) fn tokens() -> Tokens {
    let ours = ("https://console.duka.tz", "mnara");
    Tokens::new(ours, Algorithm::Hs256, &[7; 32]).unwrap()
}

fn note(action: &str) -> AuditEntry {
    AuditEntry {
        at: time::now(),
        actor: "tests".into(),
        action: action.into(),
        subject: "x".into(),
        detail: "{}".into(),
        outcome: "done".into(),
    }
}

impl House {
    async fn org(&self) -> OrgId {
        let org = self.store.organisation_named("One").await.unwrap();
        org.expect("it has signed up").id
    }

    /// Another key of the organisation; its text.
    pub(super) async fn key_with(
        &self,
        seed: u8,
        live: bool,
        change: impl Fn(&mut ApiKey),
    ) -> String {
        let new = NewKey::from_random(live, [seed; 32]);
        let ids = (KeyId(Uuid::now_v7()), self.org().await);
        let mut key = ApiKey::new(ids, (new.hash, new.prefix), live, Timestamp(0));
        change(&mut key);
        let created = self.store.create_key(key, None).await.unwrap();
        assert_eq!(created, Changed::Done);
        new.text.expose_secret().to_owned()
    }

    pub(super) async fn ask(&self, method: &str, path: &str, key: &str, body: &str) -> Answer {
        let request = Request::builder().method(method).uri(path);
        let request = request.header("authorization", format!("Bearer {key}"));
        self.call(request.body(Body::from(body.to_owned())).unwrap())
            .await
    }

    async fn send_as(&self, key: &str, class: &str, from: &str) -> Answer {
        let body = json!({"to": "+255753276939", "from": from, "message": "Hi", "class": class});
        self.ask("POST", "/v1/sms/send", key, &body.to_string())
            .await
    }

    /// The status of a read from an address.
    async fn read_from(&self, key: &str, address: &str) -> (u16, Value) {
        let peer: IpAddr = address.parse().unwrap();
        let mut request = Request::get("/v1/credits")
            .header("x-api-key", key)
            .body(Body::empty())
            .unwrap();
        request.extensions_mut().insert(Peer(peer));
        let answer = self.call(request).await;
        (answer.status.as_u16(), answer.json["code"].clone())
    }
}

fn told(answer: &Answer) -> (u16, &str) {
    let code = answer.json["code"].as_str().unwrap_or_default();
    (answer.status.as_u16(), code)
}

#[tokio::test]
async fn a_key_does_what_its_scopes_say_and_no_more() {
    let house = House::open().await;
    let only = |scopes: &'static [Scope]| {
        move |key: &mut ApiKey| key.scopes = Scopes::of(scopes.iter().copied())
    };
    let reader = house.key_with(10, true, only(&[Scope::MessagesRead])).await;
    let refused = house.ask("GET", "/v1/credits", &reader, "").await;
    assert_eq!(told(&refused), (403, "forbidden"));
    assert_eq!(refused.json["details"]["scope"], "credits:read");
    let refused = house.send_as(&reader, "otp", "MojaWave").await;
    assert_eq!(told(&refused), (403, "forbidden"));

    let sender = house.key_with(11, true, only(&[Scope::SmsSend])).await;
    assert_eq!(
        house
            .send_as(&sender, "promotional", "MojaWave")
            .await
            .status,
        201
    );
    let refused = house.send_as(&sender, "otp", "MojaWave").await;
    assert_eq!(refused.json["details"]["scope"], "otp", "{}", refused.text);
    let otp = house.key_with(12, true, only(&[Scope::Otp])).await;
    assert_eq!(house.send_as(&otp, "otp", "MojaWave").await.status, 201);
    let refused = house.send_as(&otp, "transactional", "MojaWave").await;
    assert_eq!(refused.json["details"]["scope"], "sms:send");
    let admin = house.key_with(13, true, only(&[Scope::Admin])).await;
    assert_eq!(house.send_as(&admin, "otp", "MojaWave").await.status, 201);
    assert_eq!(
        house.ask("GET", "/v1/credits", &admin, "").await.status,
        200
    );

    let held = |key: &mut ApiKey| key.senders = vec!["Other".into()];
    let held = house.key_with(14, true, held).await;
    let refused = house.send_as(&held, "otp", "MojaWave").await;
    assert_eq!(told(&refused), (403, "sender_not_approved"));
    assert_eq!(refused.json["error"]["param"], "from");
    house.close().await;
}

#[tokio::test]
async fn an_expired_key_and_a_foreign_address_are_refused_by_name() {
    let house = House::open().await;
    let expired = |key: &mut ApiKey| key.expires_at = Some(Timestamp(1));
    let expired = house.key_with(10, true, expired).await;
    let refused = house.ask("GET", "/v1/credits", &expired, "").await;
    assert_eq!(told(&refused), (401, "key_expired"));
    assert!(refused.headers.contains_key("www-authenticate"));
    let held = |key: &mut ApiKey| {
        key.networks = vec![
            "10.0.0.0/8".parse().unwrap(),
            "2001:db8::/32".parse().unwrap(),
        ];
    };
    let held = house.key_with(11, true, held).await;
    for address in ["10.1.2.3", "::ffff:10.1.2.3", "2001:db8::1"] {
        assert_eq!(house.read_from(&held, address).await.0, 200, "{address}");
    }
    let refused = house.read_from(&held, "192.0.2.1").await;
    assert_eq!(refused, (403, json!("ip_not_allowed")));
    let nobodys = house.ask("GET", "/v1/credits", &held, "").await;
    assert_eq!(told(&nobodys), (403, "ip_not_allowed"));
    house.close().await;
}

#[tokio::test]
async fn an_address_that_failed_too_often_has_only_keys_looked_up_that_are_known() {
    let house = House::open().await;
    let (used, unused) = (house.key.clone(), house.key_with(10, true, |_| {}).await);
    let (office, elsewhere) = ("192.0.2.1", "192.0.2.2");
    assert_eq!(house.read_from(&used, office).await.0, 200);
    let tries = async |key: &str, address: &str, told: u16| {
        for _ in 0..100 {
            assert_eq!(house.read_from(key, address).await.0, told);
        }
        house.read_from(key, address).await
    };
    let too_many = (429, json!("rate_limit_exceeded"));
    assert_eq!(tries("sk_live_mw_8472910", office, 401).await, too_many);
    assert_eq!(house.read_from(&unused, office).await, too_many);
    assert_eq!(house.read_from(&used, office).await.0, 200, "its neighbour");
    assert_eq!(house.read_from(&unused, elsewhere).await.0, 200);
    assert_eq!(house.read_from(&unused, office).await.0, 200, "it is known");
    // A good key in the wrong place has failed too.
    let held = |key: &mut ApiKey| key.networks = vec!["10.0.0.0/8".parse().unwrap()];
    let held = house.key_with(11, true, held).await;
    assert_eq!(tries(&held, "192.0.2.3", 403).await, too_many);
    assert_eq!(house.read_from(&held, "10.0.0.1").await.0, 200);
    house.close().await;
}

#[tokio::test]
async fn a_test_key_signs_in_and_sends_nothing_to_a_carrier() {
    let house = House::open().await;
    let test = house.key_with(10, false, |_| {}).await;
    assert!(test.starts_with("sk_test_mw_"), "{test}");
    assert_eq!(house.ask("GET", "/v1/credits", &test, "").await.status, 200);
    house.send_as(&test, "otp", "MojaWave").await;
    let rows = house.store.queue().await.unwrap();
    let stands_with: Vec<_> = rows.iter().map(|row| &*row.carrier).collect();
    assert_eq!(stands_with, ["sandbox"]);
    let renamed = test.replace("sk_test", "sk_live");
    let refused = house.ask("GET", "/v1/credits", &renamed, "").await;
    assert_eq!(told(&refused), (401, "unauthorized"));
    house.close().await;
}

#[tokio::test]
async fn a_test_key_neither_sees_nor_changes_what_a_live_one_has_made() {
    let house = House::open().await;
    let test = house.key_with(10, false, |_| {}).await;
    let at = time::now() + Duration::from_secs(3600);
    let text = json!({"to": "+255753276939", "from": "MojaWave", "message": "Hi",
        "schedule_at": time::rfc3339(at).as_str()});
    let bulk = json!({"name": "Q1", "from": "MojaWave", "message": "Hi",
        "recipients": ["+255753276939"], "schedule_at": time::rfc3339(at).as_str()});
    for (made_at, seen_at, body, change) in [
        ("/v1/sms/send", "/v1/messages", &text, "/cancel"),
        ("/v1/sms/bulk", "/v1/sms/bulk", &bulk, "/cancel"),
        ("/v1/campaigns", "/v1/campaigns", &bulk, "/launch"),
    ] {
        let body = body.to_string();
        let mut made = house.ask("POST", made_at, &house.key, &body).await;
        let data = made.json["data"].take();
        let id = data.get("id").unwrap_or(&data["job_id"]).as_str().unwrap();
        let path = format!("{seen_at}/{id}");
        let change = format!("{path}{change}");
        for (method, path) in [("GET", &path), ("POST", &change)] {
            let answer = house.ask(method, path, &test, "").await;
            assert_eq!(told(&answer), (404, "not_found"), "{path}");
        }
        let listed = house.ask("GET", seen_at, &test, "").await;
        assert_eq!(listed.json["data"], json!([]), "{seen_at}");
        let own = house.ask("GET", &path, &house.key, "").await;
        assert_eq!(own.status, 200, "{}", own.text);
    }
    house.close().await;
}

#[tokio::test]
async fn keys_are_created_shown_without_their_secret_rotated_and_revoked() {
    let house = House::open().await;
    let admin = |key: &mut ApiKey| key.scopes = Scopes::ALL;
    let admin = house.key_with(10, true, admin).await;
    let wanted = json!({"name": "Till 3", "scopes": ["otp", "credits:read"], "senders": ["MojaWave"],
        "ips": ["0.0.0.0/0"], "expires_at": "2099-01-01T00:00:00Z"});
    let created = house
        .ask("POST", "/v1/keys", &admin, &wanted.to_string())
        .await;
    assert_eq!(created.status, 201, "{}", created.text);
    let data = &created.json["data"];
    let (id, key) = (data["id"].as_str().unwrap(), data["key"].as_str().unwrap());
    assert!(key.starts_with("sk_live_mw_") && key.starts_with(data["prefix"].as_str().unwrap()));
    assert_eq!(data["scopes"], json!(["otp", "credits:read"]));
    assert_eq!(data["status"], "active");
    assert_eq!(house.read_from(key, "192.0.2.1").await.0, 200);

    for path in ["/v1/keys".to_owned(), format!("/v1/keys/{id}")] {
        let shown = house.ask("GET", &path, &admin, "").await;
        assert_eq!(shown.status, 200);
        assert!(
            shown.text.contains(id) && !shown.text.contains(key),
            "{}",
            shown.text
        );
        assert!(!shown.text.contains("\"key\"") && !shown.text.contains("hash"));
    }
    let rotate = format!("/v1/keys/{id}/rotate");
    let with_grace = house
        .ask("POST", &rotate, &admin, r#"{"grace_seconds":600}"#)
        .await;
    assert_eq!(with_grace.status, 201, "{}", with_grace.text);
    let second = with_grace.json["data"]["key"].as_str().unwrap();
    let second_id = with_grace.json["data"]["id"].as_str().unwrap();
    assert_eq!(with_grace.json["data"]["name"], "Till 3");
    assert_eq!(house.read_from(key, "192.0.2.1").await.0, 200, "grace");
    assert_eq!(house.read_from(second, "192.0.2.1").await.0, 200);
    let again = house.ask("POST", &rotate, &admin, "").await;
    assert_eq!(told(&again), (409, "conflict"));
    let rotate = format!("/v1/keys/{second_id}/rotate");
    let at_once = house.ask("POST", &rotate, &admin, "").await;
    let third = at_once.json["data"]["key"].as_str().unwrap();
    let third_id = at_once.json["data"]["id"].as_str().unwrap();
    assert_eq!(house.read_from(second, "192.0.2.1").await.0, 401, "at once");
    assert_eq!(house.read_from(third, "192.0.2.1").await.0, 200);
    let gone = house
        .ask("DELETE", &format!("/v1/keys/{third_id}"), &admin, "")
        .await;
    assert_eq!(
        (gone.status.as_u16(), &gone.json["data"]["status"]),
        (200, &json!("revoked"))
    );
    assert_eq!(
        house.read_from(third, "192.0.2.1").await,
        (401, json!("unauthorized"))
    );
    let listed = house.ask("GET", "/v1/keys", &admin, "").await;
    assert!(!listed.text.contains(third_id), "{}", listed.text);
    let audit = house.store.audit(9).await.unwrap();
    assert!(audit.iter().all(|line| !line.detail.contains(&key[12..])));
    assert!(audit.iter().any(|line| &*line.action == "key.rotate"));
    house.close().await;
}

#[tokio::test]
async fn nobody_makes_a_key_that_is_worth_more_than_his_own() {
    let house = House::open().await;
    let limited = |key: &mut ApiKey| {
        key.scopes = Scopes::of([Scope::KeysWrite, Scope::SmsSend]);
        key.senders = vec!["MojaWave".into()];
        key.expires_at = Some(Timestamp(4_000_000_000_000));
    };
    let limited = house.key_with(10, true, limited).await;
    for (body, status, code) in [
        (r#"{"scopes":["admin"]}"#, 403, "forbidden"),
        (r#"{"scopes":["otp"]}"#, 403, "forbidden"),
        (
            r#"{"scopes":["sms:send"],"senders":["Other"]}"#,
            403,
            "forbidden",
        ),
        (r#"{"scopes":["sms:send"],"senders":[]}"#, 403, "forbidden"),
        (
            r#"{"scopes":["sms:send"],"expires_at":"2999-01-01T00:00:00Z"}"#,
            403,
            "forbidden",
        ),
        (r#"{"scopes":["sms"]}"#, 422, "unprocessable"),
        (r#"{"scopes":[]}"#, 422, "unprocessable"),
        (
            r#"{"scopes":["sms:send"],"ips":["10.0.0.0/33"]}"#,
            422,
            "unprocessable",
        ),
        (
            r#"{"scopes":["sms:send"],"expires_at":"2001-01-01T00:00:00Z"}"#,
            422,
            "unprocessable",
        ),
        (
            r#"{"scopes":["sms:send"],"environment":"sandbox"}"#,
            422,
            "unprocessable",
        ),
        (r#"{"scope":["sms:send"]}"#, 400, "invalid_request"),
        ("[", 400, "invalid_request"),
        (r#"{"scopes":["sms:send"]}"#, 201, ""),
        (r#"{"scopes":["sms:send"],"environment":"test"}"#, 201, ""),
    ] {
        let answer = house.ask("POST", "/v1/keys", &limited, body).await;
        assert_eq!(told(&answer), (status, code), "{body}: {}", answer.text);
        if status == 201 {
            assert_eq!(
                answer.json["data"]["senders"],
                json!(["MojaWave"]),
                "its own"
            );
        }
    }
    let ips = r#"{"scopes":["sms:send"],"ips":["10.0.0.0/8","10.0.0"]}"#;
    let refused = house.ask("POST", "/v1/keys", &limited, ips).await;
    assert_eq!(refused.json["error"]["param"], "ips.1");
    assert_eq!(refused.json["errors"][0]["pointer"], "/ips/1");
    assert!(
        refused.text.contains("`10.0.0` is no address"),
        "{}",
        refused.text
    );
    // The organisation's first key has more.
    let listed = house.ask("GET", "/v1/keys", &limited, "").await;
    let keys = listed.json["data"].as_array().unwrap();
    let first = keys.last().unwrap()["id"].as_str().unwrap();
    let rotate = format!("/v1/keys/{first}/rotate");
    let refused = house.ask("POST", &rotate, &limited, "").await;
    assert_eq!(told(&refused), (403, "forbidden"));
    let long = house
        .ask("POST", &rotate, &limited, r#"{"grace_seconds":604801}"#)
        .await;
    assert_eq!(told(&long), (422, "unprocessable"));
    let usual = house.ask("GET", "/v1/keys", &house.key, "").await;
    assert_eq!(usual.json["details"]["scope"], "keys:write");
    // Who may do all is not locked out by one who may not.
    let all = house.key_with(13, true, |key| key.scopes = Scopes::ALL);
    let all = all.await;
    let listed = house.ask("GET", "/v1/keys", &limited, "").await;
    let all_id = listed.json["data"][0]["id"].as_str().unwrap();
    for (method, path) in [
        ("DELETE", format!("/v1/keys/{all_id}")),
        ("POST", format!("/v1/keys/{all_id}/rotate")),
    ] {
        let refused = house.ask(method, &path, &limited, "").await;
        assert_eq!(
            refused.json["details"]["scope"], "admin",
            "{}",
            refused.text
        );
    }
    assert_eq!(house.read_from(&all, "192.0.2.1").await.0, 200);
    // A key of the test environment sees its own.
    let test = |key: &mut ApiKey| key.scopes = Scopes::ALL;
    let test = house.key_with(11, false, test).await;
    let listed = house.ask("GET", "/v1/keys", &test, "").await;
    assert!(!listed.text.contains("\"live\""), "{}", listed.text);
    let path = format!("/v1/keys/{first}");
    assert_eq!(house.ask("DELETE", &path, &test, "").await.status, 404);
    let live = r#"{"environment":"live"}"#;
    assert_eq!(house.ask("POST", "/v1/keys", &test, live).await.status, 403);
    // Another organisation's are not there.
    let other = sign_up(&house.store, "Two", 2).await;
    let hash = crate::domain::api_key::Presented::parse(&other)
        .unwrap()
        .hash;
    let other = house.store.credential(&hash).await.unwrap().unwrap().id();
    let admin = house
        .key_with(12, true, |key| key.scopes = Scopes::ALL)
        .await;
    for (method, path) in [
        ("GET", format!("/v1/keys/{other}")),
        ("DELETE", format!("/v1/keys/{other}")),
        ("POST", format!("/v1/keys/{other}/rotate")),
        ("GET", "/v1/keys/nonsense".to_owned()),
    ] {
        let answer = house.ask(method, &path, &admin, "").await;
        assert_eq!(told(&answer), (404, "not_found"), "{method} {path}");
    }
    house.close().await;
}

#[tokio::test]
async fn a_users_token_opens_what_the_role_may_until_the_user_goes() {
    let house = House::open().await;
    let org = house.org().await;
    let user = |role: Role| User {
        id: UserId(Uuid::now_v7()),
        org,
        email: format!("{}@duka.tz", role.name()).into(),
        name: "Asha".into(),
        role,
        created_at: time::now(),
    };
    let (viewer, owner) = (user(Role::Viewer), user(Role::Owner));
    for user in [&viewer, &owner] {
        let created = house.store.create_user(user.clone(), note("user.create"));
        assert_eq!(created.await.unwrap(), Changed::Done);
    }
    let token = |user: &User, org: OrgId, at: Timestamp| {
        let user = user.id;
        let token = tokens().sign(Bearer { user, org }, at, LIFE_MAX).unwrap();
        token.expose_secret().to_owned()
    };
    let now = time::now();
    let (viewers, owners) = (token(&viewer, org, now), token(&owner, org, now));
    assert_eq!(
        house.ask("GET", "/v1/credits", &viewers, "").await.status,
        200
    );
    let refused = house.send_as(&viewers, "otp", "MojaWave").await;
    assert_eq!(told(&refused), (403, "forbidden"));
    assert_eq!(house.send_as(&owners, "otp", "MojaWave").await.status, 201);
    let created = house
        .ask("POST", "/v1/keys", &owners, r#"{"scopes":["admin"]}"#)
        .await;
    assert_eq!(created.status, 201, "{}", created.text);

    let foreign = OrgId(Uuid::from_u128(9));
    let old = Timestamp(now.0 - 3_600_000);
    let mut changed = viewers.clone();
    changed.pop();
    changed.push(if viewers.ends_with('A') { 'Q' } else { 'A' });
    let misplaced = house.read_from(&viewers, "192.0.2.1").await;
    assert_eq!(misplaced, (401, json!("unauthorized")));
    for wrong in [
        token(&viewer, foreign, now),
        token(&viewer, org, old),
        changed,
    ] {
        let refused = house.ask("GET", "/v1/credits", &wrong, "").await;
        assert_eq!(told(&refused), (401, "unauthorized"), "{}", refused.text);
    }
    let removed = house.store.remove_user(org, viewer.id, note("user.remove"));
    assert_eq!(removed.await.unwrap(), Changed::Done);
    let refused = house.ask("GET", "/v1/credits", &viewers, "").await;
    assert_eq!(told(&refused), (401, "unauthorized"));
    house.close().await;
}

#[tokio::test]
async fn a_list_is_no_body_and_no_field_or_parameter_vanishes() {
    let house = House::open().await;
    let all = |key: &mut ApiKey| key.scopes = Scopes::of([Scope::Admin]);
    let key = house.key_with(10, true, all).await;
    let sent = house.send_as(&key, "transactional", "MojaWave").await;
    let message = sent.json["data"]["id"].as_str().unwrap().to_owned();
    let made = house.ask("POST", "/v1/keys", &key, r#"{"name":"x"}"#).await;
    let rotate = format!(
        "/v1/keys/{}/rotate",
        made.json["data"]["id"].as_str().unwrap()
    );
    let patch = format!("/v1/messages/{message}");
    for (method, path, body) in [
        ("POST", "/v1/keys", "[]"),
        ("POST", "/v1/keys", r#"["nm","live",["admin"]]"#),
        ("POST", &*rotate, "[60]"),
        ("PATCH", &*patch, r#"["2999-01-01T00:00:00Z"]"#),
        (
            "PATCH",
            &*patch,
            r#"{"schedule_at":"2999-01-01T00:00:00Z","to":"x"}"#,
        ),
        ("POST", "/v1/webhooks/endpoints", "[]"),
        (
            "POST",
            "/v1/webhooks/endpoints",
            r#"{"url":"https://a.tz","uri":"x"}"#,
        ),
    ] {
        let refused = house.ask(method, path, &key, body).await;
        assert_eq!(told(&refused), (400, "invalid_request"), "{path} {body}");
    }
    let good = r#"{"to":"+255753276939","from":"MojaWave","message":"Hi"}"#;
    for (method, path, param) in [
        ("POST", "/v1/sms/send?dryrun=true", "dryrun"),
        ("POST", "/v1/sms/send?dry_run=true&dry_run=false", "dry_run"),
        ("POST", "/v1/sms/bulk?dryrun=true", "dryrun"),
        ("GET", "/v1/sms/bulk?page=2", "page"),
        ("GET", "/v1/campaigns?page=2", "page"),
        ("GET", "/v1/webhooks/deliveries?foo=1", "foo"),
        ("GET", "/v1/webhooks/deliveries?limit=1&limit=2", "limit"),
    ] {
        let refused = house.ask(method, path, &key, good).await;
        assert_eq!(told(&refused), (400, "invalid_request"), "{path}");
        assert_eq!(refused.json["error"]["param"], param, "{}", refused.text);
    }
    assert_eq!(house.kept().await, 1);
    house.close().await;
}
