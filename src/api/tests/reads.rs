//! Lives here: lists, files, and what an owner may still change, over the API.
//! Never here: what the store makes of it (`store::tests::desk`).

use super::*;

fn text(house: &House, at: &str, more: &Value) -> Request<Body> {
    let mut body = json!({"to": "+255753276939", "from": "MojaWave", "message": "Habari"});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    Request::post(at)
        .header("x-api-key", &house.key)
        .body(Body::from(body.to_string()))
        .unwrap()
}

impl House {
    async fn accept(&self, more: &Value) -> String {
        let answer = self.call(text(self, "/v1/sms/send", more)).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
        answer.json["data"]["id"].as_str().unwrap().to_owned()
    }

    async fn demand(&self, method: &str, path: &str, key: &str, body: &str) -> Answer {
        let request = Request::builder().method(method).uri(path);
        let request = request.header("x-api-key", key);
        self.call(request.body(Body::from(body.to_owned())).unwrap())
            .await
    }
}

fn ids(answer: &Answer) -> Vec<&str> {
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    let data = answer.json["data"].as_array().unwrap().iter();
    data.map(|one| one["id"].as_str().unwrap()).collect()
}

const LATER: &str = "2999-01-01T00:00:00Z";

fn in_an_hour() -> String {
    let at = time::now() + Duration::from_secs(3600);
    time::rfc3339(at).as_str().to_owned()
}

#[tokio::test]
async fn a_list_shows_ones_own_messages_in_pages_by_its_filters() {
    let house = House::open().await;
    let two = sign_up(&house.store, "Two", 2).await;
    let mut own = Vec::new();
    for number in 0..5 {
        let more = json!({"client_ref": format!("order {number}"), "tags": ["spring"]});
        own.insert(0, house.accept(&more).await);
    }
    let get = async |path: &str| house.get(path, &house.key).await;
    let first = get("/v1/messages?limit=3").await;
    assert_eq!(ids(&first), own[..3]);
    assert_eq!(first.json["has_more"], true);
    let cursor = first.json["next_cursor"].as_str().unwrap();
    let rest = format!("/v1/messages?limit=3&cursor={cursor}");
    let second = get(&rest).await;
    assert_eq!(ids(&second), own[3..]);
    assert_eq!(second.json["next_cursor"], Value::Null);
    for (filter, found) in [
        ("client_ref=order+2", 1),
        ("tag=spring&status=queued,sent", 5),
        ("tag=autumn", 0),
        ("to=0753276939&from=mojawave", 5),
        ("network=vodacom_tz&class=transactional", 5),
        ("telco=airtel_tz", 0),
        ("status=delivered", 0),
        ("since=2020-01-01&until=2020-01-02", 0),
        ("since=2020-01-01&until=2999-01-01", 5),
    ] {
        let answer = get(&format!("/v1/messages?{filter}")).await;
        assert_eq!(ids(&answer).len(), found, "{filter}");
    }
    assert!(ids(&house.get("/v1/messages", &two).await).is_empty());
    let strange = house.get(&rest, &two).await;
    assert_eq!(strange.json["error"]["param"], "cursor");
    for wrong in [
        "limit=0",
        "limit=101",
        "colour=red",
        "status=lost",
        "network=x",
        "since=now",
        "cursor=x",
        "to=12",
        "tag=%00",
        "format=xml",
        "class=vip",
        "status=queued&status=sent",
    ] {
        let answer = get(&format!("/v1/messages?{wrong}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{wrong}");
        let param = wrong.split('=').next().unwrap();
        assert_eq!(answer.json["error"]["param"], param, "{}", answer.text);
    }
    house.close().await;
}

#[tokio::test]
async fn a_file_has_a_row_for_each_message_of_a_month_at_most() {
    let house = House::open().await;
    for _ in 0..3 {
        house.accept(&json!({"message": "=1+1"})).await;
    }
    for path in ["/v1/messages.csv?status=queued", "/v1/messages?format=csv"] {
        let answer = house.get(path, &house.key).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.headers["content-type"], "text/csv; charset=utf-8");
        let disposition = answer.headers["content-disposition"].to_str().unwrap();
        assert!(disposition.starts_with("attachment"));
        let lines: Vec<&str> = answer.text.lines().collect();
        assert_eq!(lines.len(), 4, "{}", answer.text);
        assert!(lines[0].starts_with("id,to,from,message,"));
        assert!(lines[1].contains(",+255753276939,MojaWave,'=1+1,queued,"));
        assert!(lines[1].contains(",vodacom_tz,vodacom_tz,1,1,1,"));
    }
    let long = "/v1/messages.csv?since=2026-01-01&until=2026-02-01";
    let refused = house.get(long, &house.key).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    let two = sign_up(&house.store, "Two", 2).await;
    let strange = house.get("/v1/messages.csv", &two).await;
    assert_eq!(strange.text.lines().count(), 1);
    house.close().await;
}

#[tokio::test]
async fn what_waits_is_taken_back_by_its_owner_and_an_otp_only_while_it_is_scheduled() {
    let house = House::open().await;
    let two = sign_up(&house.store, "Two", 2).await;
    let queued = house.accept(&json!({})).await;
    let otp = house.accept(&json!({"class": "otp"})).await;
    let later = json!({"class": "otp", "schedule_at": in_an_hour()});
    let later = house.accept(&later).await;
    let cancel = async |id: &str, key: &str| {
        let path = format!("/v1/messages/{id}/cancel");
        house.demand("POST", &path, key, "").await
    };
    assert_eq!(cancel(&queued, &two).await.status, StatusCode::NOT_FOUND);
    assert_eq!(cancel("x", &house.key).await.status, StatusCode::NOT_FOUND);
    for id in [&queued, &later, &queued] {
        let answer = cancel(id, &house.key).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        assert_eq!(answer.json["data"]["status"], "canceled");
        assert_eq!(answer.json["data"]["failure_code"], "canceled");
    }
    let refused = cancel(&otp, &house.key).await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "{}", refused.text);
    assert_eq!(refused.json["code"], "conflict");
    let events = house
        .get(&format!("/v1/messages/{later}/events"), &house.key)
        .await;
    let data = &events.json["data"];
    assert_eq!(data["target_id"], "vodacom_tz");
    assert_eq!(data["cost_per_segment"], 1);
    let events = data["events"].as_array().unwrap().iter();
    let kinds: Vec<_> = events.map(|one| one["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["accepted", "routed", "scheduled", "ended"]);
    house.close().await;
}

#[tokio::test]
async fn a_scheduled_message_is_put_off_within_bounds() {
    let house = House::open().await;
    let two = sign_up(&house.store, "Two", 2).await;
    let id = house.accept(&json!({"schedule_at": in_an_hour()})).await;
    let path = format!("/v1/messages/{id}");
    let put = async |key: &str, at: &str| {
        let body = json!({"scheduleAt": at}).to_string();
        house.demand("PATCH", &path, key, &body).await
    };
    let at = time::now() + Duration::from_secs(7200);
    let at = time::rfc3339(at);
    assert_eq!(put(&two, at.as_str()).await.status, StatusCode::NOT_FOUND);
    let done = put(&house.key, at.as_str()).await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.text);
    assert_eq!(done.json["data"]["scheduled_at"], at.as_str());
    for wrong in [LATER, "2020-01-01T00:00:00Z", "tomorrow"] {
        let refused = put(&house.key, wrong).await;
        assert_eq!(refused.json["code"], "schedule_invalid", "{wrong}");
    }
    for body in ["", "{}", "[]", r#"{"schedule_at":7}"#] {
        let refused = house.demand("PATCH", &path, &house.key, body).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{body}");
    }
    let queued = house.accept(&json!({})).await;
    let path = format!("/v1/messages/{queued}");
    let body = json!({"schedule_at": at.as_str()}).to_string();
    let refused = house.demand("PATCH", &path, &house.key, &body).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    house.close().await;
}

#[tokio::test]
async fn unknown_fields_are_named_and_refused_where_that_is_asked_for() {
    let house = House::open().await;
    let odd = json!({"colour": "red", "validity": 172_800});
    let answer = house.call(text(&house, "/v1/sms/send", &odd)).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
    let warnings = &answer.json["warnings"];
    assert_eq!(warnings[0]["param"], "colour");
    assert_eq!(warnings[1]["code"], "validity_cut");
    let kept = house.kept().await;
    let strict = house
        .call(text(&house, "/v1/sms/send?strict=true", &odd))
        .await;
    assert_eq!(strict.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(strict.json["error"]["param"], "colour");
    assert_eq!(house.kept().await, kept);
    let short = json!({"validity": 90});
    let answer = house.call(text(&house, "/v1/sms/send", &short)).await;
    let id = answer.json["data"]["id"].as_str().unwrap();
    let read = house.get(&format!("/v1/messages/{id}"), &house.key).await;
    let at = |name: &str| {
        let text = read.json["data"][name].as_str().unwrap();
        time::parse(text).unwrap().0
    };
    assert_eq!(at("valid_until") - at("queued_at"), 90_000);
    for (wrong, status) in [(json!(59), 422), (json!("1h"), 400), (json!(1.5), 400)] {
        let body = json!({"validity": wrong});
        let refused = house.call(text(&house, "/v1/sms/send", &body)).await;
        assert_eq!(refused.status.as_u16(), status, "{}", refused.text);
    }
    house.close().await;
}

#[tokio::test]
async fn who_prefers_to_wait_is_answered_when_the_time_is_up_at_the_latest() {
    let house = House::open().await;
    let mut request = text(&house, "/v1/sms/send", &json!({}));
    let prefer = "wait=1".parse().unwrap();
    request.headers_mut().insert("prefer", prefer);
    let answer = house.call(request).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
    assert_eq!(answer.json["data"]["status"], "queued");
    assert_eq!(answer.headers["preference-applied"], "wait=1");
    let plain = house.call(text(&house, "/v1/sms/send", &json!({}))).await;
    assert!(!plain.headers.contains_key("preference-applied"));
    house.close().await;
}

#[tokio::test]
async fn who_repeats_a_request_that_waits_is_told_at_once_what_was_kept() {
    let house = House::open().await;
    let named = |wait: &str| {
        let mut request = text(&house, "/v1/sms/send", &json!({}));
        let headers = request.headers_mut();
        headers.insert("idempotency-key", "order-7".parse().unwrap());
        headers.insert("prefer", wait.parse().unwrap());
        request
    };
    let begun = std::time::Instant::now();
    let repeated = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let answer = house.call(named("wait=8")).await;
        (answer, begun.elapsed())
    };
    let (first, (again, after)) = tokio::join!(house.call(named("wait=4")), repeated);
    assert_eq!(first.status, StatusCode::CREATED, "{}", first.text);
    assert_eq!(first.headers["preference-applied"], "wait=4");
    assert!(begun.elapsed() >= Duration::from_secs(4));
    assert_eq!(again.status, StatusCode::CREATED, "{}", again.text);
    assert_eq!(again.headers["idempotent-replayed"], "true");
    assert!(after < Duration::from_secs(3), "{after:?}");
    assert_eq!(again.json["data"]["id"], first.json["data"]["id"]);
    assert_eq!(house.kept().await, 1);
    house.close().await;
}
