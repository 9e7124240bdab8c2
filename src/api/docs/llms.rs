//! Lives here: the API in short, for language models (`/llms.txt`), made of the description.
//! Never here: anything that the description does not say.

use std::fmt::Write;

use serde_json::Value;

/// The text: Markdown, a line for each route.
pub(super) fn text(openapi: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut out = format!("# {}\n\n", text(&openapi["info"]["title"]));
    let _ = writeln!(out, "{}\n", text(&openapi["info"]["description"]));
    out.push_str(
        "- [OpenAPI 3.1](/openapi.json): all of it, with samples\n\
         - [Interactive page](/docs/)\n\
         - [Postman collection](/postman.json)\n\
         - [Errors](/docs/errors)\n",
    );
    let items = |value: &Value| value.as_array().cloned().unwrap_or_default();
    for tag in items(&openapi["tags"]) {
        let _ = write!(
            out,
            "\n## {}\n\n{}\n\n",
            text(&tag["name"]),
            text(&tag["description"])
        );
        for (path, methods) in openapi["paths"].as_object().into_iter().flatten() {
            for (method, operation) in methods.as_object().into_iter().flatten() {
                if operation["tags"][0] == tag["name"] {
                    let method = method.to_ascii_uppercase();
                    let summary = text(&operation["summary"]);
                    let _ = writeln!(out, "- `{method} {path}`: {summary}");
                }
            }
        }
    }
    out.push_str("\n## Webhook events\n\n");
    for (name, hook) in openapi["webhooks"].as_object().into_iter().flatten() {
        let said = text(&hook["post"]["description"]);
        let first = said
            .split_once(". ")
            .map_or(said.as_str(), |(first, _)| first);
        let _ = writeln!(out, "- `{name}`: {first}.");
    }
    out
}
