//! Lives here: two organisations and every route of the API's own description: nothing of one is
//! visible to the other, or touched by it. A route that is new is covered, or this fails.
//! Never here: what a route does for its own organisation.

use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};

use crate::world::{Customer, LIMIT, Plan, World, eventually, sms};

/// Stands in everything that the first organisation makes.
const CANARY: &str = "canary-of-the-first";

/// A route, as the description has it.
struct Route {
    method: Method,
    path: String,
    example: Value,
}

impl Route {
    fn is_about_one(&self) -> bool {
        self.path.contains('{')
    }

    /// The example; a time in it is one that may be asked for.
    fn body(&self) -> String {
        let mut example = self.example.clone();
        if let Some(at) = example.get_mut("schedule_at") {
            *at = tomorrow();
        }
        match example {
            Value::Null => String::new(),
            example => example.to_string(),
        }
    }
}

fn tomorrow() -> Value {
    let at = std::time::SystemTime::now() + Duration::from_secs(24 * 3600);
    jiff::Timestamp::try_from(at).unwrap().to_string().into()
}

/// The routes that need a key.
async fn routes(world: &World) -> Vec<Route> {
    let answer = world.client.call(Method::GET, "/openapi.json", "").await;
    let description = answer.unwrap().json();
    let mut routes = Vec::new();
    for (path, methods) in description["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            if operation["security"].as_array().unwrap().is_empty() {
                continue;
            }
            let body = &operation["requestBody"]["content"]["application/json"];
            routes.push(Route {
                method: method.to_ascii_uppercase().parse().unwrap(),
                path: path.clone(),
                example: body["example"].clone(),
            });
        }
    }
    assert!(routes.len() > 3, "the description names its routes");
    routes
}

/// What the first organisation has, by the beginning of the paths that lead to it.
struct Owned(Vec<(&'static str, String)>);

impl Owned {
    async fn made_by(world: &World, customer: &Customer) -> Self {
        let mut message = sms("vodacom_tz", 1, "transactional", CANARY);
        message["client_ref"] = CANARY.into();
        message["metadata"] = json!({"whose": CANARY});
        let mut told = message.clone();
        // It can be taken back until then.
        message["schedule_at"] = tomorrow();
        let bulk = json!({
            "name": CANARY, "from": "MojaWave", "message": CANARY, "recipients": [{"to": message["to"]}],
            "schedule_at": message["schedule_at"],
        });
        let campaign = made(customer, "/v1/campaigns", &bulk).await;
        let job = made(customer, "/v1/sms/bulk", &bulk).await;
        let message = customer.send(&message).await;
        let key = made(customer, "/v1/keys", &json!({"name": CANARY})).await;
        let endpoint = json!({"url": world.hook.url(), "description": CANARY});
        let endpoint = made(customer, "/v1/webhooks/endpoints", &endpoint).await;
        told["webhook_url"] = world.hook.url().into();
        let told = customer.send(&told).await;
        let path = "/v1/webhooks/deliveries";
        let delivery = eventually("both are told of the end", LIMIT, async || {
            let answer = customer.call(Method::GET, path, "").await.unwrap();
            let rows = answer.json()["data"].take();
            let rows = rows.as_array().unwrap().iter();
            let ends = |row: &&Value| {
                row["event"] == "message.delivered" && row["message_id"] == told.to_string()
            };
            let ends: Vec<Value> = rows.filter(ends).cloned().collect();
            (ends.len() > 1).then(|| ends[0].clone())
        })
        .await;
        let text = |name: &str| delivery[name].as_str().unwrap().to_owned();
        Self(vec![
            ("/v1/messages/{id}", message.to_string()),
            ("/v1/sms/bulk/{id}", job),
            ("/v1/campaigns/{id}", campaign),
            ("/v1/keys/{id}", key),
            ("/v1/webhooks/endpoints/{id}", endpoint),
            ("/v1/webhooks/deliveries/{id}", text("id")),
            ("/v1/webhooks/events/{id}", text("event_id")),
        ])
    }

    /// The path with the object's id in it.
    fn path(&self, route: &Route) -> String {
        let owned = self.0.iter().find(|(of, _)| route.path.starts_with(of));
        let Some((of, id)) = owned else {
            panic!(
                "{} {}: make an object of this kind in `Owned::made_by`",
                route.method, route.path
            );
        };
        let own = of.split('{').next().unwrap();
        let rest = &route.path[of.len()..];
        format!("{own}{id}{rest}")
    }
}

/// The id of what is made at a path.
async fn made(customer: &Customer, path: &str, body: &Value) -> String {
    let answer = customer.call(Method::POST, path, body.to_string()).await;
    let answer = answer.unwrap();
    assert!(answer.status < 300, "POST {path}: {}", answer.text());
    let data = answer.json()["data"].take();
    let id = data.get("id").unwrap_or(&data["job_id"]);
    id.as_str().unwrap().to_owned()
}

/// All that its owner can read of it.
async fn seen_by_owner(routes: &[Route], owned: &Owned, owner: &Customer) -> Vec<(String, String)> {
    let mut seen = Vec::new();
    for route in routes.iter().filter(|route| route.method == Method::GET) {
        if route.is_about_one() {
            let path = owned.path(route);
            let answer = owner.call(Method::GET, &path, "").await.unwrap();
            assert_eq!(answer.status, 200, "GET {path}: {}", answer.text());
            seen.push((path, undated(&answer.text())));
        }
    }
    seen
}

#[tokio::test]
async fn nothing_of_an_organisation_is_visible_to_another_on_any_route() {
    let world = World::start(Plan::simple()).await;
    let routes = routes(&world).await;
    let owner = &world.customer_of("Tester").await;
    let owned = Owned::made_by(&world, owner).await;
    let before = seen_by_owner(&routes, &owned, owner).await;
    let create = ["org", "create", "Stranger", "--country", "TZ", "--postpaid"];
    world.ctl(&create).await;
    let stranger = world.customer_of("Stranger").await;
    let clean = |place: &str, text: &str| {
        let leaks = |word: &str| text.contains(word);
        assert!(!leaks(CANARY), "{place} shows another's: {text}");
        for (_, id) in &owned.0 {
            assert!(!leaks(id), "{place} shows another's id: {text}");
        }
    };
    for route in &routes {
        let place = format!("{} {}", route.method, route.path);
        let path = if route.is_about_one() {
            owned.path(route)
        } else {
            route.path.clone()
        };
        let answer = stranger.call(route.method.clone(), &path, route.body());
        let answer = answer.await.unwrap();
        let text = answer.text();
        if route.is_about_one() {
            assert_eq!(answer.status, 404, "{place}: {text}");
            assert_eq!(answer.json()["code"], "not_found", "{place}: {text}");
        } else {
            assert!(answer.status < 400, "{place}: {} {text}", answer.status);
        }
        clean(&place, &text);
    }
    // Nothing of what the stranger tried has changed anything.
    assert_eq!(seen_by_owner(&routes, &owned, owner).await, before);
}

/// An answer without the times at which it was asked for: a routing decision is made anew for each who
/// asks, and a key is used by asking.
fn undated(text: &str) -> String {
    ["\"as_of\":", "\"last_used_at\":"]
        .iter()
        .fold(text.to_owned(), |text, name| match text.split_once(name) {
            Some((before, rest)) => {
                let end = rest.find([',', '}']).unwrap_or(rest.len());
                format!("{before}{}", &rest[end..])
            }
            None => text,
        })
}
