//! Lives here: the judge of two states of the description: what the older one promises, the newer
//! one must keep. Only for tests.
//! Never here: which states are compared (`contract`).

use serde_json::{Map, Value};

/// Who reads what a form describes: what may change differs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reader {
    /// We do: it may become wider.
    Us,
    /// Clients do: it may say more.
    Client,
}

/// What the newer description breaks of the older, as sentences.
pub(super) fn broken(old: &Value, new: &Value) -> Vec<String> {
    let mut judge = Judge {
        old,
        new,
        found: Vec::new(),
    };
    for kind in ["paths", "webhooks"] {
        for (path, methods) in members(&old[kind]) {
            if new[kind].get(path).is_none() {
                judge.found.push(format!("{path}: it is gone"));
                continue;
            }
            for (method, operation) in members(methods) {
                let place = match kind {
                    "paths" => format!("{} {path}", method.to_ascii_uppercase()),
                    _ => path.clone(),
                };
                match new[kind][path].get(method) {
                    None => judge.found.push(format!("{place}: the method is gone")),
                    Some(now) if kind == "paths" => judge.operation(&place, operation, now),
                    // What a webhook carries is read by clients.
                    Some(now) => judge.content(
                        &place,
                        &operation["requestBody"],
                        &now["requestBody"],
                        Reader::Client,
                    ),
                }
            }
        }
    }
    judge.found
}

struct Judge<'a> {
    old: &'a Value,
    new: &'a Value,
    found: Vec<String>,
}

impl<'a> Judge<'a> {
    fn say(&mut self, place: &str, what: &str) {
        self.found.push(format!("{place}: {what}"));
    }

    fn operation(&mut self, place: &str, old: &'a Value, new: &'a Value) {
        if old["operationId"] != new["operationId"] {
            self.say(
                place,
                "its operationId has changed, and with it the programs made of it",
            );
        }
        if old["security"] != new["security"] {
            self.say(
                place,
                "it asks for another scope; keys that may call it might not any more",
            );
        }
        self.parameters(place, &old["parameters"], &new["parameters"]);
        if old["requestBody"].is_null() && new["requestBody"]["required"] == true {
            self.say(place, "it asks for a body, and did not");
        }
        self.content(place, &old["requestBody"], &new["requestBody"], Reader::Us);
        for (status, answer) in members(&old["responses"]) {
            let place = format!("{place}: {status}");
            let Some(now) = new["responses"].get(status) else {
                if status.starts_with('2') {
                    self.say(&place, "this answer is gone");
                }
                continue;
            };
            let (answer, now) = (resolved(self.old, answer), resolved(self.new, now));
            for (name, _) in members(&answer["headers"]) {
                if now["headers"].get(name).is_none() {
                    self.say(&place, &format!("the header {name} is gone"));
                }
            }
            self.content(&place, answer, now, Reader::Client);
        }
    }

    fn parameters(&mut self, place: &str, old: &'a Value, new: &'a Value) {
        for one in items(old) {
            let same = |other: &&Value| other["name"] == one["name"] && other["in"] == one["in"];
            let place = format!("{place}: {}", word(&one["name"]));
            match items(new).find(same) {
                None => self.say(&place, "the parameter is gone"),
                Some(now) => {
                    if now["required"] == true && one["required"] != true {
                        self.say(&place, "the parameter is required now");
                    }
                    self.form(&place, &one["schema"], &now["schema"], Reader::Us, 0);
                }
            }
        }
        for one in items(new).filter(|one| one["required"] == true) {
            let same = |other: &Value| other["name"] == one["name"] && other["in"] == one["in"];
            if !items(old).any(same) {
                let place = format!("{place}: {}", word(&one["name"]));
                self.say(&place, "a new parameter is required");
            }
        }
    }

    fn content(&mut self, place: &str, old: &'a Value, new: &'a Value, reader: Reader) {
        for (kind, body) in members(&old["content"]) {
            match new["content"].get(kind) {
                None => self.say(place, &format!("{kind} is gone")),
                Some(now) => self.form(place, &body["schema"], &now["schema"], reader, 0),
            }
        }
    }

    fn form(&mut self, place: &str, old: &'a Value, new: &'a Value, reader: Reader, depth: u8) {
        let (old, new) = (resolved(self.old, old), resolved(self.new, new));
        // No form of ours is so deep: one that holds itself is.
        if depth > 16 || old == new && depth > 4 {
            return;
        }
        self.words(place, old, new, reader);
        self.bounds(place, old, new, reader);
        for (name, field) in members(&old["properties"]) {
            let place = format!("{place}: {name}");
            match new["properties"].get(name) {
                None => self.say(&place, "the field is gone"),
                Some(now) => self.form(&place, field, now, reader, depth + 1),
            }
        }
        let required = |form: &'a Value| items(&form["required"]).map(word);
        match reader {
            Reader::Us => {
                for name in required(new).filter(|name| required(old).all(|other| other != *name)) {
                    self.say(&format!("{place}: {name}"), "the field is required now");
                }
            }
            Reader::Client => {
                for name in required(old).filter(|name| required(new).all(|other| other != *name)) {
                    let place = format!("{place}: {name}");
                    self.say(&place, "the field was always there, and may be missing now");
                }
            }
        }
        if !old["items"].is_null() {
            self.form(place, &old["items"], &new["items"], reader, depth + 1);
        }
        for kind in ["allOf", "oneOf", "anyOf"] {
            for (one, now) in items(&old[kind]).zip(items(&new[kind])) {
                self.form(place, one, now, reader, depth + 1);
            }
            if items(&old[kind]).count() > items(&new[kind]).count() {
                self.say(place, &format!("{kind} has fewer forms"));
            }
        }
    }

    /// Types and closed sets of words.
    fn words(&mut self, place: &str, old: &Value, new: &Value, reader: Reader) {
        for value in items(&old["enum"]) {
            if !new["enum"].is_null() && items(&new["enum"]).all(|other| other != value) {
                self.say(place, &format!("the value {} is gone", word(value)));
            }
        }
        let closed = |form: &Value| !form["enum"].is_null();
        if closed(new) && !closed(old) && reader == Reader::Us {
            self.say(place, "only certain values are taken now");
        }
        if old["const"] != new["const"] {
            self.say(place, "its only value has changed");
        }
        let (before, after) = (types(old), types(new));
        // An integer is a number.
        let holds = |set: &[&str], one: &str| {
            set.contains(&one) || one == "integer" && set.contains(&"number")
        };
        let narrowed = before.iter().any(|one| !holds(&after, one));
        let widened = after.iter().any(|one| !holds(&before, one));
        let wrong = match reader {
            Reader::Us => narrowed && !after.is_empty(),
            Reader::Client => widened && !before.is_empty(),
        };
        if wrong {
            let what = format!(
                "its type was {} and is {}",
                before.join("|"),
                after.join("|")
            );
            self.say(place, &what);
        }
        if reader == Reader::Us && old["pattern"] != new["pattern"] && !new["pattern"].is_null() {
            self.say(place, "another pattern is asked for");
        }
    }

    /// What we take may not be bounded more narrowly.
    fn bounds(&mut self, place: &str, old: &Value, new: &Value, reader: Reader) {
        if reader == Reader::Client {
            return;
        }
        for name in ["maxLength", "maxItems", "maximum", "maxProperties"] {
            let (before, after) = (old[name].as_f64(), new[name].as_f64());
            if after.is_some_and(|after| before.is_none_or(|before| after < before)) {
                self.say(place, &format!("{name} is lower"));
            }
        }
        for name in ["minLength", "minItems", "minimum", "minProperties"] {
            let (before, after) = (old[name].as_f64(), new[name].as_f64());
            if after.is_some_and(|after| before.is_none_or(|before| after > before)) {
                self.say(place, &format!("{name} is higher"));
            }
        }
    }
}

/// What a form refers to.
fn resolved<'a>(document: &'a Value, form: &'a Value) -> &'a Value {
    let mut form = form;
    // A chain of names is short.
    for _ in 0..8 {
        let Some(name) = form["$ref"].as_str() else {
            break;
        };
        form = name
            .strip_prefix('#')
            .and_then(|pointer| document.pointer(pointer))
            .unwrap_or(&Value::Null);
    }
    form
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn types(form: &Value) -> Vec<&str> {
    match &form["type"] {
        Value::String(one) => vec![one],
        many => items(many).map(word).collect(),
    }
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn description() -> Value {
        json!({
            "paths": {"/v1/things": {"post": {
                "operationId": "makeThing",
                "security": [{"bearer": ["a"]}],
                "parameters": [{"name": "dry", "in": "query", "required": false, "schema": {"type": "boolean"}}],
                "requestBody": {"required": true, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/New"}}}},
                "responses": {"201": {"headers": {"Location": {}}, "content": {"application/json": {"schema": {
                    "type": "object", "required": ["data"],
                    "properties": {"data": {"$ref": "#/components/schemas/Thing"}},
                }}}}},
            }}},
            "webhooks": {"thing.made": {"post": {"requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}}}}}},
            "components": {"schemas": {
                "New": {"type": "object", "required": ["name"], "properties": {
                    "name": {"type": "string", "maxLength": 64}, "kind": {"type": "string", "enum": ["a", "b"]},
                }},
                "Thing": {"type": "object", "required": ["id"], "properties": {
                    "id": {"type": "string"}, "count": {"type": "integer"},
                    "state": {"type": "string", "enum": ["new", "old"]},
                }},
            }},
        })
    }

    fn after(change: impl Fn(&mut Value)) -> Vec<String> {
        let (old, mut new) = (description(), description());
        change(&mut new);
        broken(&old, &new)
    }

    #[test]
    fn what_only_grows_is_kept() {
        assert_eq!(broken(&description(), &description()), [""; 0]);
        let grown = after(|new| {
            new["paths"]["/v1/more"] = json!({"get": {}});
            let forms = &mut new["components"]["schemas"];
            forms["New"]["properties"]["note"] = json!({"type": "string"});
            forms["New"]["properties"]["name"]["maxLength"] = 100.into();
            forms["New"]["properties"]["kind"]["enum"] = json!(["a", "b", "c"]);
            forms["Thing"]["properties"]["note"] = json!({"type": "string"});
            forms["Thing"]["properties"]["state"]["enum"] = json!(["new", "old", "odd"]);
            forms["Thing"]["required"] = json!(["id", "count"]);
        });
        assert_eq!(grown, [""; 0]);
    }

    #[test]
    fn what_is_taken_away_or_asked_for_is_named() {
        let path = "POST /v1/things";
        let forms = |new: &mut Value, pointer: &str, value: Value| {
            *new.pointer_mut(&format!("/components/schemas/{pointer}"))
                .unwrap() = value;
        };
        let remove = |new: &mut Value, pointer: &str, name: &str| {
            new.pointer_mut(pointer)
                .unwrap()
                .as_object_mut()
                .unwrap()
                .remove(name);
        };
        let cases: Vec<(Vec<String>, String)> = vec![
            (
                after(|new| remove(new, "/paths", "/v1/things")),
                "/v1/things: it is gone".into(),
            ),
            (
                after(|new| remove(new, "/paths/~1v1~1things", "post")),
                format!("{path}: the method is gone"),
            ),
            (
                after(|new| remove(new, "/components/schemas/Thing/properties", "count")),
                format!("{path}: 201: data: count: the field is gone"),
            ),
            (
                after(|new| remove(new, "/components/schemas/New/properties", "kind")),
                format!("{path}: kind: the field is gone"),
            ),
            (
                after(|new| forms(new, "New/required", json!(["name", "kind"]))),
                format!("{path}: kind: the field is required now"),
            ),
            (
                after(|new| forms(new, "New/properties/kind/enum", json!(["a"]))),
                format!("{path}: kind: the value b is gone"),
            ),
            (
                after(|new| forms(new, "New/properties/name/maxLength", json!(11))),
                format!("{path}: name: maxLength is lower"),
            ),
            (
                after(|new| forms(new, "Thing/properties/count/type", json!("string"))),
                format!("{path}: 201: data: count: its type was integer and is string"),
            ),
            (
                after(|new| forms(new, "Thing/required", json!([]))),
                format!(
                    "{path}: 201: data: id: the field was always there, and may be missing now"
                ),
            ),
            (
                after(|new| {
                    new["paths"]["/v1/things"]["post"]["security"] = json!([{"bearer": ["b"]}]);
                }),
                format!(
                    "{path}: it asks for another scope; keys that may call it might not any more"
                ),
            ),
            (
                after(|new| {
                    new["paths"]["/v1/things"]["post"]["parameters"][0]["required"] = true.into();
                }),
                format!("{path}: dry: the parameter is required now"),
            ),
            (
                after(|new| {
                    remove(
                        new,
                        "/paths/~1v1~1things/post/responses/201/headers",
                        "Location",
                    );
                }),
                format!("{path}: 201: the header Location is gone"),
            ),
            (
                after(|new| remove(new, "/webhooks", "thing.made")),
                "thing.made: it is gone".into(),
            ),
        ];
        for (found, expected) in cases {
            assert!(found.contains(&expected), "{expected}: {found:?}");
        }
    }
}
