//! Lives here: U+0000, which PostgreSQL cannot keep and many readers take for an end: in each text of
//! each body it is refused by name, and nothing of it is kept.
//! Never here: what else a text may not have (`bad_input`).

use std::time::Duration;

use serde_json::{Value, json};

use super::{House, time};
use crate::domain::scope::Scopes;

/// Bodies with all their fields.
fn bodies(ids: &Ids) -> Vec<(&'static str, String, Value)> {
    let later = time::rfc3339(time::now() + Duration::from_secs(3_600));
    let later = later.as_str();
    let send = json!({"to": "+255753276939", "from": "MojaWave", "message": "Hi", "class": "otp",
        "webhook_url": "https://duka.tz/x", "metadata": {"own": "v"}, "tags": ["t"],
        "client_ref": "r", "schedule_at": later});
    let bulk = json!({"name": "n", "from": "MojaWave", "message": "Hi {{own}}", "class": "promotional",
        "strict": true, "on_missing": "fail", "metadata": {"own": "v"}, "tags": ["t"],
        "webhook_url": "https://duka.tz/x", "schedule_at": later, "recipients": [
            {"to": "+255753276939", "personalization": {"own": "v"}, "client_ref": "r"}]});
    let endpoint = json!({"url": "https://duka.tz/x", "events": ["message.sent"], "format": "moaa",
        "description": "d", "status": "enabled"});
    let key = json!({"name": "n", "environment": "live", "scopes": ["otp"], "senders": ["MojaWave"],
        "ips": ["10.0.0.0/8"], "expires_at": later});
    vec![
        ("POST", "/v1/sms/send".into(), send.clone()),
        ("POST", "/v1/sms/send?dry_run=true".into(), send),
        ("POST", "/v1/sms/bulk".into(), bulk.clone()),
        ("POST", "/v1/campaigns".into(), bulk.clone()),
        ("PATCH", format!("/v1/campaigns/{}", ids.campaign), bulk),
        (
            "PATCH",
            format!("/v1/messages/{}", ids.message),
            json!({"schedule_at": later}),
        ),
        ("POST", "/v1/webhooks/endpoints".into(), endpoint.clone()),
        (
            "PATCH",
            format!("/v1/webhooks/endpoints/{}", ids.endpoint),
            endpoint,
        ),
        ("POST", "/v1/keys".into(), key),
    ]
}

struct Ids {
    campaign: String,
    message: String,
    endpoint: String,
}

impl House {
    async fn made(&self, key: &str, path: &str, body: &Value) -> String {
        let made = self.ask("POST", path, key, &body.to_string()).await;
        assert!(made.status.is_success(), "{path}: {}", made.text);
        made.json["data"]["id"].as_str().unwrap().to_owned()
    }

    async fn things(&self, key: &str) -> Ids {
        let text = json!({"to": "+255753276939", "from": "MojaWave", "message": "Hi"});
        let campaign = json!({"name": "n", "from": "MojaWave", "message": "Hi",
            "recipients": ["+255753276939"]});
        let endpoint = json!({"url": "https://duka.tz/x"});
        Ids {
            campaign: self.made(key, "/v1/campaigns", &campaign).await,
            message: self.made(key, "/v1/sms/send", &text).await,
            endpoint: self.made(key, "/v1/webhooks/endpoints", &endpoint).await,
        }
    }
}

/// The same body with a U+0000 in one text, for each text in it, and where that is.
fn spoilt(body: &Value) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    let mut put = |at: String, inner: Value| all.push((at, inner));
    match body {
        Value::String(text) => {
            put(String::new(), format!("{text}\0").into());
            put(String::new(), format!("\0{text}").into());
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                for (at, inner) in spoilt(item) {
                    let mut items = items.clone();
                    items[index] = inner;
                    put(format!("/{index}{at}"), items.into());
                }
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                for (at, inner) in spoilt(member) {
                    let mut members = members.clone();
                    members.insert(name.clone(), inner);
                    put(format!("/{name}{at}"), members.into());
                }
            }
            // A name that is the caller's own.
            if let Some(member) = members.get("own") {
                put("/own\0".into(), json!({"own\0": member}));
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
    all
}

#[tokio::test]
async fn a_nul_is_refused_by_name_wherever_it_stands() {
    let house = House::open().await;
    let key = house
        .key_with(10, true, |key| key.scopes = Scopes::ALL)
        .await;
    let ids = house.things(&key).await;
    let kept = house.kept().await;
    let mut wrong = Vec::new();
    for (method, path, body) in bodies(&ids) {
        // A draft keeps its recipients as they came, as JSON, until its launch judges them.
        let draft = path.contains("campaigns");
        let spoilt = spoilt(&body).into_iter();
        for (at, spoilt) in spoilt.filter(|(at, _)| !draft || !at.starts_with("/recipients")) {
            let answer = house.ask(method, &path, &key, &spoilt.to_string()).await;
            let named = answer.json["errors"][0]["pointer"].as_str();
            let named = named.unwrap_or_default();
            // The name itself may be what is wrong.
            let fits = !named.is_empty() && (at.starts_with(named) || named.starts_with(&at));
            let status = answer.status.as_u16();
            if !matches!(status, 400 | 403 | 422) || !fits {
                wrong.push(format!("{method} {path} {at:?}: {} {named}", answer.status));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(house.kept().await, kept);
    house.close().await;
}
