//! Lives here: the Postman collection (v2.1), made of the OpenAPI description.
//! Never here: anything that the description does not say.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::samples::ID;

const SCHEMA: &str = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json";

/// The collection: a folder for each tag, a request for each route. The key and the address are
/// variables of it.
pub(super) fn collection(openapi: &Value) -> Value {
    let mut folders: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    let paths = openapi["paths"].as_object().into_iter().flatten();
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().into_iter().flatten() {
            let tag = operation["tags"][0].as_str().unwrap_or_default();
            let item = item(path, method, operation);
            folders.entry(tag).or_default().push(item);
        }
    }
    let order = openapi["tags"].as_array().into_iter().flatten();
    let items: Vec<Value> = order
        .filter_map(|tag| {
            let name = tag["name"].as_str()?;
            let items = folders.remove(name)?;
            Some(json!({"name": name, "description": tag["description"], "item": items}))
        })
        .collect();
    json!({
        "info": {
            "name": openapi["info"]["title"],
            "description": openapi["info"]["description"],
            "schema": SCHEMA,
        },
        "auth": {
            "type": "bearer",
            "bearer": [{"key": "token", "value": "{{api_key}}", "type": "string"}],
        },
        "variable": [
            {"key": "base_url", "value": "http://127.0.0.1:8080"},
            {"key": "api_key", "value": ""},
        ],
        "item": items,
    })
}

fn item(path: &str, method: &str, operation: &Value) -> Value {
    let parameters = || operation["parameters"].as_array().into_iter().flatten();
    let of = |place: &'static str| parameters().filter(move |one| one["in"] == place);
    let query: Vec<Value> = of("query")
        .map(|one| {
            json!({"key": one["name"], "value": "", "description": one["description"], "disabled": true})
        })
        .collect();
    let variables: Vec<Value> = of("path")
        .map(|one| json!({"key": one["name"], "value": ID, "description": one["description"]}))
        .collect();
    let mut headers: Vec<Value> = of("header").map(header).collect();
    let parts = path.split('/').skip(1).map(part).collect::<Vec<_>>();
    let mut request = json!({
        "method": method.to_ascii_uppercase(),
        "description": operation["description"],
        "url": {
            "raw": format!("{{{{base_url}}}}/{}", parts.join("/")),
            "host": ["{{base_url}}"],
            "path": parts,
            "query": query,
            "variable": variables,
        },
    });
    let body = &operation["requestBody"]["content"]["application/json"]["example"];
    if !body.is_null() {
        headers.push(json!({"key": "Content-Type", "value": "application/json"}));
        let raw = serde_json::to_string_pretty(body).unwrap_or_default();
        request["body"] = json!({
            "mode": "raw", "raw": raw, "options": {"raw": {"language": "json"}},
        });
    }
    if operation["security"].as_array().is_some_and(Vec::is_empty) {
        request["auth"] = json!({"type": "noauth"});
    }
    request["header"] = headers.into();
    json!({"name": operation["summary"], "request": request, "response": []})
}

/// Postman makes a new UUID for each request of what `{{$guid}}` stands in.
fn header(parameter: &Value) -> Value {
    let idempotent = parameter["name"] == "Idempotency-Key";
    json!({
        "key": parameter["name"], "description": parameter["description"],
        "value": if idempotent { "{{$guid}}" } else { "" }, "disabled": !idempotent,
    })
}

/// `{id}` is `:id` there.
fn part(part: &str) -> String {
    let name = part
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'));
    name.map_or_else(|| part.to_owned(), |name| format!(":{name}"))
}
