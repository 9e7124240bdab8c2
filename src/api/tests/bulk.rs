//! Lives here: bulk jobs and campaigns through the API, in process.
//! Never here: what carriers get of them (`tests/scenarios/bulk.rs`).

use super::*;
use crate::domain::ids::JobId;
use crate::domain::job::{Entry, pack};
use crate::store::jobs::{DRAFTS_MAX, Expansion};

impl House {
    async fn asked(&self, method: &str, path: &str, name: Option<&str>, body: &Value) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {}", self.key));
        if let Some(name) = name {
            request = request.header("idempotency-key", name);
        }
        let body = match body {
            Value::Null => String::new(),
            // As it is written.
            Value::String(text) => text.clone(),
            body => body.to_string(),
        };
        self.call(request.body(Body::from(body)).unwrap()).await
    }

    async fn campaign(&self, body: &Value) -> String {
        let made = self.asked("POST", "/v1/campaigns", None, body).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
        made.headers["location"].to_str().unwrap().to_owned()
    }
}

fn campaign() -> Value {
    json!({"name": "Q1", "from": "MojaWave", "message": "Hi {{name}}", "class": "transactional",
        "recipients": [{"to": "+255753276939", "personalization": {"name": "John"}}]})
}

#[tokio::test]
async fn a_list_shows_of_campaigns_what_each_shows() {
    let house = House::open().await;
    let path = house.campaign(&campaign()).await;
    let one = house.asked("GET", &path, None, &Value::Null).await;
    let list = house
        .asked("GET", "/v1/campaigns", None, &Value::Null)
        .await;
    assert_eq!(list.json["data"], json!([one.json["data"]]));
    let shown = &one.json["data"];
    assert_eq!(
        [&shown["from"], &shown["class"], &shown["total_recipients"]],
        [&json!("MojaWave"), &json!("transactional"), &json!(1)]
    );
    house.close().await;
}

#[tokio::test]
async fn a_change_of_a_campaign_leaves_numbers_as_they_were_written() {
    let house = House::open().await;
    let body = r#"{"from":"MojaWave","message":"{{due}}","recipients":[{"to":"+255753276939",
        "personalization":{"due":10000000000000000000.50}}]}"#;
    let path = house.campaign(&json!(body)).await;
    let changed = house
        .asked("PATCH", &path, None, &json!({"name": "Q2"}))
        .await;
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.text);
    let launch = format!("{path}/launch");
    let launched = house.asked("POST", &launch, None, &Value::Null).await;
    assert_eq!(launched.status, StatusCode::ACCEPTED, "{}", launched.text);
    let id = launched.json["data"]["job_id"].as_str().unwrap();
    let job = JobId(Uuid::parse_str(id).unwrap());
    let chunk = house.store.bodies(job, 0, 0).await.unwrap().remove(0);
    let chunk = String::from_utf8_lossy(&chunk.packed).into_owned();
    assert!(chunk.contains("10000000000000000000.50"), "{chunk:?}");
    house.close().await;
}

#[tokio::test]
async fn a_launch_that_was_refused_is_judged_anew_when_the_draft_is_mended() {
    let house = House::open().await;
    let mut body = campaign();
    body["recipients"] = json!(["+255753276939"]);
    let path = house.campaign(&body).await;
    let launch = format!("{path}/launch");
    let launched = async |name| house.asked("POST", &launch, Some(name), &Value::Null).await;
    for _ in 0..2 {
        let refused = launched("one").await;
        assert_eq!(refused.json["code"], "template_variable_missing");
    }
    let mended = json!({"message": "Hi"});
    let mended = house.asked("PATCH", &path, None, &mended).await;
    assert_eq!(mended.status, StatusCode::OK, "{}", mended.text);
    let first = launched("one").await;
    assert_eq!(first.status, StatusCode::ACCEPTED, "{}", first.text);
    let replayed = async || {
        let again = launched("one").await;
        assert_eq!(again.text, first.text);
        assert_eq!(again.headers["idempotent-replayed"], "true");
    };
    replayed().await;
    assert_eq!(launched("two").await.json["code"], "conflict");
    // Whoever lost the answer learns the job though the campaign is gone.
    let gone = house.asked("DELETE", &path, None, &Value::Null).await;
    assert_eq!(gone.status, StatusCode::OK, "{}", gone.text);
    replayed().await;
    assert_eq!(launched("two").await.json["code"], "not_found");
    house.close().await;
}

#[tokio::test]
async fn what_is_to_be_only_tried_is_not_done_where_nothing_can_be_tried() {
    let house = House::open().await;
    let path = house.campaign(&campaign()).await;
    for (method, path) in [
        ("POST", format!("{path}/launch?dry_run=true")),
        ("POST", "/v1/campaigns?dry_run=true".into()),
        ("DELETE", format!("{path}?x")),
        ("GET", "/v1/webhooks/endpoints?limit=1".into()),
    ] {
        let refused = house.asked(method, &path, None, &campaign()).await;
        assert_eq!(
            refused.status,
            StatusCode::BAD_REQUEST,
            "{path}: {}",
            refused.text
        );
    }
    let draft = house.asked("GET", &path, None, &Value::Null).await;
    assert_eq!(draft.json["data"]["status"], "draft");
    house.close().await;
}

#[tokio::test]
async fn a_draft_has_no_field_that_nobody_would_see() {
    let house = House::open().await;
    let path = house.campaign(&campaign()).await;
    let mut odd = campaign();
    odd["recipents"] = json!(["+255753276938"]);
    odd["recipients"][0]["personalizaton"] = json!({});
    let refused = house.asked("POST", "/v1/campaigns", None, &odd).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    let errors = refused.json["errors"].as_array().unwrap().iter();
    let pointers: Vec<_> = errors.map(|one| &one["pointer"]).collect();
    assert_eq!(
        pointers,
        ["/recipents", "/recipients/0/personalizaton"],
        "{}",
        refused.text
    );
    let change = json!({"colour": 1});
    let refused = house.asked("PATCH", &path, None, &change).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    // The name that answers have is one that requests may have.
    let later = json!({"scheduled_at": "2999-12-01T10:00:00Z"});
    let changed = house.asked("PATCH", &path, None, &later).await;
    assert_eq!(
        changed.json["data"]["scheduled_at"],
        "2999-12-01T10:00:00.000Z"
    );
    // A bulk send warns.
    odd.as_object_mut().unwrap().remove("recipents");
    let sent = house.asked("POST", "/v1/sms/bulk", None, &odd).await;
    let warned = &sent.json["data"]["warnings"][0]["param"];
    assert_eq!(warned, "recipients.0.personalizaton", "{}", sent.text);
    house.close().await;
}

#[tokio::test]
async fn a_page_of_messages_that_are_gone_says_where_to_go_on() {
    let house = House::open().await;
    let body = json!({"name": "Q1", "from": "MojaWave", "message": "Hi", "class": "transactional",
        "recipients": ["+255753276939", "+255753276938"]});
    let accepted = house.asked("POST", "/v1/sms/bulk", None, &body).await;
    assert_eq!(accepted.status, StatusCode::ACCEPTED, "{}", accepted.text);
    let id = accepted.json["data"]["job_id"].as_str().unwrap();
    let job = JobId(Uuid::parse_str(id).unwrap());
    let chunk = house.store.bodies(job, 0, 0).await.unwrap().remove(0);
    let mut gone = Vec::new();
    pack(&Entry::Sent, &mut gone);
    pack(&Entry::Sent, &mut gone);
    let expansion = Expansion {
        job,
        chunk: 0,
        messages: Vec::new(),
        body: gone,
        refused: 0,
        seen: chunk.packed,
        at: time::now(),
    };
    assert!(house.store.expand(expansion).await.unwrap());
    for (cursor, next) in [(0, json!("1")), (1, Value::Null)] {
        let path = format!("/v1/sms/bulk/{id}/messages?limit=1&cursor={cursor}");
        let page = house.asked("GET", &path, None, &Value::Null).await;
        assert_eq!(page.json["data"], json!([]), "{}", page.text);
        assert_eq!(page.json["next_cursor"], next);
        assert_eq!(page.json["has_more"], json!(next != Value::Null));
    }
    house.close().await;
}

#[tokio::test]
async fn an_organisation_has_so_many_drafts_and_no_more() {
    let house = House::open().await;
    let path = house.campaign(&campaign()).await;
    for _ in 1..DRAFTS_MAX {
        house.campaign(&campaign()).await;
    }
    let full = house
        .asked("POST", "/v1/campaigns", None, &campaign())
        .await;
    assert_eq!(full.status, StatusCode::CONFLICT, "{}", full.text);
    let launch = format!("{path}/launch");
    house.asked("POST", &launch, None, &Value::Null).await;
    house.campaign(&campaign()).await;
    house.close().await;
}

#[tokio::test]
async fn what_is_unknown_is_warned_of_as_with_a_send_and_hours_are_not_passed_over() {
    let house = House::open().await;
    let mut body = campaign();
    body["urgency"] = json!("high");
    let made = house.asked("POST", "/v1/sms/bulk", None, &body).await;
    assert_eq!(made.status, StatusCode::ACCEPTED, "{}", made.text);
    let warning = &made.json["data"]["warnings"][0];
    assert_eq!(
        (&warning["param"], &warning["code"]),
        (&json!("urgency"), &json!("unknown_field"))
    );
    body["send_window"] = json!({"from": "08:00", "until": "20:00"});
    for path in ["/v1/sms/bulk", "/v1/sms/bulk?dry_run=true", "/v1/campaigns"] {
        let refused = house.asked("POST", path, None, &body).await;
        let told = (refused.status.as_u16(), &refused.json["error"]["param"]);
        assert_eq!(told, (422, &json!("send_window")), "{}", refused.text);
        assert!(refused.text.contains("schedule_at"), "{}", refused.text);
    }
    let path = house.campaign(&campaign()).await;
    let window = json!({"send_window": "08:00-20:00"});
    let refused = house.asked("PATCH", &path, None, &window).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    house.close().await;
}

#[tokio::test]
async fn a_change_may_call_fields_as_a_request_may() {
    let house = House::open().await;
    let mut body = campaign();
    body["sender"] = body["from"].take();
    let path = house.campaign(&body).await;
    let at = time::rfc3339(time::now() + Duration::from_secs(3600));
    let change = async |change: Value| house.asked("PATCH", &path, None, &change).await;
    let changed = change(json!({"from": "MOJAWAVE", "scheduleAt": at.as_str()})).await;
    assert_eq!(changed.json["data"]["from"], "MOJAWAVE", "{}", changed.text);
    assert_eq!(changed.json["data"]["scheduled_at"], at.as_str());
    let changed = change(json!({"scheduledAt": null, "senderId": "Mojawave", "from": null})).await;
    assert_eq!(changed.json["data"]["from"], "Mojawave", "{}", changed.text);
    assert_eq!(changed.json["data"]["scheduled_at"], Value::Null);
    let twice = change(json!({"sender": "a", "from": "b"})).await;
    assert_eq!(twice.json["code"], "invalid_request", "{}", twice.text);
    house.close().await;
}

#[tokio::test]
async fn a_campaign_has_a_sender_that_could_be_one() {
    let house = House::open().await;
    let mut body = campaign();
    body["from"] = "x".repeat(1_000_000).into();
    let refused = house.asked("POST", "/v1/campaigns", None, &body).await;
    assert_eq!(refused.json["code"], "sender_invalid", "{}", refused.status);
    house.close().await;
}
