//! Lives here: the description held against the code and against what was promised before: every
//! route is described, every example fits its form, every sample is one, the committed files are
//! those that the code makes, and the contract only grows.
//! Never here: the judgement of growth (`growth`).
//!
//! `MNARA_CONTRACT=write` writes `api/openapi.json` and `api/postman.json` anew (`cargo xtask
//! openapi`); `MNARA_CONTRACT=release` makes what is there the promise that later states are held
//! against (`cargo xtask openapi --release`).

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::{env, fs};

use axum::http::Method;
use serde_json::Value;

use super::growth::broken;
use super::{Book, description, llms, page, postman, written};
use crate::api::code::Code;
use crate::api::v1;
use crate::domain::event::EventKind;

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("api")
        .join(name)
}

fn asked_to(what: &str) -> bool {
    env::var("MNARA_CONTRACT").is_ok_and(|asked| asked == what)
}

fn book() -> Book {
    let mut book = Book::default();
    v1::describe(&mut book);
    book
}

/// The pages that people and their browsers read are no part of the API.
fn is_page_for_people(path: &str) -> bool {
    path == "/docs" || path == "/docs/" || path == "/docs/{file}"
}

#[test]
fn every_route_is_described_and_every_description_has_its_route() {
    let doors = v1::doors();
    let routes: BTreeSet<(String, &str)> = doors
        .list()
        .iter()
        .filter(|door| !is_page_for_people(door.path))
        .map(|door| (door.method.to_string(), door.path))
        .collect();
    let book = book();
    let described: BTreeSet<(String, &str)> = book
        .pages
        .iter()
        .map(|page| (page.method.to_string(), page.path))
        .collect();
    let missing: Vec<_> = routes.difference(&described).collect();
    assert!(
        missing.is_empty(),
        "say what these routes do in the file describe.rs beside their handlers: {missing:?}"
    );
    let left: Vec<_> = described.difference(&routes).collect();
    assert!(
        left.is_empty(),
        "no door leads to these descriptions: {left:?}"
    );
    for page in book.pages.iter().filter(|page| page.method != Method::GET) {
        let mut queried = doors.list().iter().filter(|door| door.queried);
        let queried = queried.any(|door| (&door.method, door.path) == (&page.method, page.path));
        let mut parameters = page.operation.parameters.iter();
        let described = parameters.any(|one| one.place == "query");
        assert_eq!(queried, described, "`with_query` before {}", page.path);
    }
    let ids: BTreeSet<&str> = book.pages.iter().map(|page| page.operation.id).collect();
    assert_eq!(ids.len(), book.pages.len(), "two routes have the same id");
}

#[test]
fn every_status_and_code_of_the_description_is_in_the_catalogue() {
    let document = description();
    let catalogue = |name: &str| Code::ALL.iter().find(|code| code.name() == name);
    for (place, operation) in operations(&document) {
        let codes = operation["x-error-codes"].as_array().unwrap();
        let mut statuses = BTreeSet::new();
        for code in codes {
            let code = catalogue(code.as_str().unwrap());
            let code = code.unwrap_or_else(|| panic!("{place}: not in the catalogue"));
            statuses.insert(code.status().as_str().to_owned());
        }
        for status in operation["responses"].as_object().unwrap().keys() {
            let success = status.starts_with('2') || status.starts_with('3');
            assert!(
                success || statuses.contains(status),
                "{place}: {status} has no code"
            );
        }
        let tag = &operation["tags"][0];
        let tags = document["tags"].as_array().unwrap();
        assert!(
            tags.iter().any(|one| one["name"] == *tag),
            "{place}: {tag} is unknown"
        );
    }
}

#[test]
fn every_reference_leads_somewhere_and_every_example_fits_its_form() {
    let document = description();
    walk(&document, &mut |value| {
        if let Some(name) = value["$ref"].as_str() {
            let found = document.pointer(name.trim_start_matches('#'));
            assert!(found.is_some(), "{name} is not there");
        }
    });
    let hooks = document["webhooks"].as_object().unwrap();
    let hooks = hooks
        .iter()
        .map(|(name, hook)| (name.clone(), &hook["post"]));
    for (place, operation) in operations(&document).into_iter().chain(hooks) {
        let answers = operation["responses"].as_object().unwrap();
        let answers = answers
            .iter()
            .map(|(status, answer)| (status.as_str(), answer));
        for (what, content) in answers.chain([("body", &operation["requestBody"])]) {
            let json = &content["content"]["application/json"];
            if !json["example"].is_null() {
                let place = format!("{place}: {what}");
                fits(&document, &place, &json["schema"], &json["example"]);
            }
        }
    }
}

#[test]
fn every_kind_of_event_is_described() {
    let document = description();
    let described: BTreeSet<&str> = document["webhooks"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let kinds: BTreeSet<&str> = EventKind::ALL.map(EventKind::name).into();
    assert_eq!(described, kinds);
}

#[test]
fn every_sample_is_one() {
    let document = description();
    let mut samples: [Vec<String>; 3] = Default::default();
    for (_, operation) in operations(&document) {
        for sample in operation["x-codeSamples"].as_array().unwrap() {
            let source = sample["source"].as_str().unwrap().to_owned();
            match sample["lang"].as_str().unwrap() {
                "Shell" => samples[0].push(source),
                "Python" => samples[1].push(source),
                "JavaScript" => samples[2].push(source),
                _ => {
                    let php = judged("php", &["-l"], &source);
                    assert!(php.is_none_or(|right| right), "{source}");
                }
            }
        }
    }
    let [shell, python, javascript] = samples;
    assert!(judged("sh", &["-n"], &shell.join("\n")).is_none_or(|right| right));
    let parse = "import ast, sys; ast.parse(sys.stdin.read())";
    let python = judged("python3", &["-c", parse], &python.join("\n"));
    assert!(python.is_none_or(|right| right));
    let blocks = javascript.iter().map(|one| format!("{{\n{one}}}\n"));
    let check = ["--input-type=module", "--check"];
    let node = judged("node", &check, &blocks.collect::<String>());
    assert!(node.is_none_or(|right| right));
}

#[test]
fn the_committed_files_are_those_that_the_code_makes() {
    let openapi = description();
    let files = [
        ("openapi.json", written(&openapi)),
        ("postman.json", written(&postman::collection(&openapi))),
    ];
    for (name, text) in files {
        if asked_to("write") || asked_to("release") {
            fs::create_dir_all(file("")).unwrap();
            fs::write(file(name), &text).unwrap();
        }
        let committed = fs::read_to_string(file(name)).unwrap_or_default();
        assert!(
            committed == text,
            "api/{name} is not what the code makes; run `cargo xtask openapi` and read the difference"
        );
    }
}

#[test]
fn the_contract_only_grows() {
    let now = description();
    if asked_to("release") {
        fs::write(file("released.json"), written(&now)).unwrap();
    }
    let released = fs::read_to_string(file("released.json")).unwrap();
    let released: Value = serde_json::from_str(&released).unwrap();
    let broken = broken(&released, &now);
    assert!(
        broken.is_empty(),
        "/v1 may only grow, but compared with api/released.json:\n  {}",
        broken.join("\n  ")
    );
}

#[test]
fn the_short_text_names_every_route() {
    let document = description();
    let text = llms::text(&document);
    for (place, _) in operations(&document) {
        assert!(text.contains(&format!("`{place}`")), "{place}");
    }
}

#[test]
fn the_page_and_all_that_it_names_is_in_the_binary() {
    let get = |path: &str| {
        let request = axum::http::Request::builder().method(Method::GET).uri(path);
        page::file(&request.body(()).unwrap().into_parts().0)
    };
    for name in [
        "",
        "index.html",
        "index.css",
        "swagger-ui.css",
        "swagger-ui-bundle.js",
        "swagger-ui-standalone-preset.js",
        "swagger-initializer.js",
        "favicon-32x32.png",
    ] {
        let response = get(&format!("/docs/{name}")).unwrap();
        let policy = response.headers()["content-security-policy"]
            .to_str()
            .unwrap();
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        assert!(!policy.contains("http"), "{policy}");
    }
    assert!(get("/docs/../openapi.json").is_err());
}

fn operations(document: &Value) -> Vec<(String, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    let operations = paths.iter().flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap().iter();
        methods.map(move |(method, operation)| {
            (format!("{} {path}", method.to_ascii_uppercase()), operation)
        })
    });
    operations.collect()
}

fn walk(value: &Value, see: &mut impl FnMut(&Value)) {
    see(value);
    match value {
        Value::Array(items) => items.iter().for_each(|item| walk(item, see)),
        Value::Object(members) => members.values().for_each(|member| walk(member, see)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// As much of JSON Schema as our forms use.
fn fits(document: &Value, place: &str, form: &Value, value: &Value) {
    if let Some(name) = form["$ref"].as_str() {
        let form = document.pointer(name.trim_start_matches('#')).unwrap();
        return fits(document, place, form, value);
    }
    for part in form["allOf"].as_array().into_iter().flatten() {
        fits(document, place, part, value);
    }
    if let Some(parts) = form["oneOf"].as_array() {
        // Ours are null and something else.
        let part = parts
            .iter()
            .find(|part| (part["type"] == "null") == value.is_null());
        return fits(document, place, part.unwrap(), value);
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let types = match &form["type"] {
        Value::Array(types) => types.clone(),
        Value::Null => return,
        one => vec![one.clone()],
    };
    let right = types
        .iter()
        .any(|one| one == kind || one == "number" && kind == "integer");
    assert!(right, "{place}: {value} is no {types:?}");
    if let Some(words) = form["enum"].as_array() {
        assert!(
            words.contains(value),
            "{place}: {value} is none of {words:?}"
        );
    }
    for item in value.as_array().into_iter().flatten() {
        fits(document, place, &form["items"], item);
    }
    for name in form["required"].as_array().into_iter().flatten() {
        let there = value.get(name.as_str().unwrap()).is_some();
        assert!(there, "{place}: {name} is missing");
    }
    let Some(fields) = form["properties"].as_object() else {
        return;
    };
    // An envelope of a webhook says its parts in two forms.
    let open = !place.contains(" /");
    for (name, member) in value.as_object().into_iter().flatten() {
        match fields.get(name) {
            Some(field) => fits(document, &format!("{place}: {name}"), field, member),
            None => assert!(open, "{place}: {name} is undocumented"),
        }
    }
}

/// Whether a program has no objection to what it is given; `None` where it is not installed.
fn judged(program: &str, arguments: &[&str], source: &str) -> Option<bool> {
    let child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn();
    let mut child = child.ok()?;
    let mut input = child.stdin.take().unwrap();
    input.write_all(source.as_bytes()).unwrap();
    drop(input);
    Some(child.wait().unwrap().success())
}
