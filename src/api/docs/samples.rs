//! Lives here: how a route is called from curl, Python, JavaScript and PHP, written from its
//! description. The address and the key come from the environment: no sample shows a secret.
//! Never here: descriptions.

use axum::http::Method;
use serde_json::{Value, json};

use super::book::Page;

/// Stands for an id in a path.
pub(super) const ID: &str = "89b82624-f1a2-4f5e-85b5-102e79a06779";

/// The samples of a route, for `x-codeSamples`.
pub(super) fn of(page: &Page) -> Value {
    let call = Call::of(page);
    json!([
        {"lang": "Shell", "label": "curl", "source": call.curl()},
        {"lang": "Python", "label": "Python", "source": call.python()},
        {"lang": "JavaScript", "label": "JavaScript", "source": call.javascript()},
        {"lang": "PHP", "label": "PHP", "source": call.php()},
    ])
}

/// A route's path with an id where one stands.
pub(super) fn filled(path: &str) -> String {
    let part = |part: &str| match part {
        "{code}" => "insufficient_balance".to_owned(),
        part if part.starts_with('{') => ID.to_owned(),
        part => part.to_owned(),
    };
    path.split('/').map(part).collect::<Vec<_>>().join("/")
}

struct Call<'a> {
    method: &'a Method,
    path: String,
    body: Option<&'a str>,
    idempotent: bool,
    json: bool,
}

impl<'a> Call<'a> {
    fn of(page: &'a Page) -> Self {
        let operation = &page.operation;
        Self {
            method: &page.method,
            path: filled(page.path),
            body: operation.body.as_ref().map(|body| body.example),
            idempotent: operation.idempotent,
            json: operation
                .answers
                .iter()
                .any(|answer| answer.kind == super::book::JSON),
        }
    }

    fn curl(&self) -> String {
        let mut text = match *self.method {
            Method::GET => format!("curl \"$MNARA_URL{}\"", self.path),
            _ => format!("curl -X {} \"$MNARA_URL{}\"", self.method, self.path),
        };
        let mut option = |option: &str| {
            text.push_str(" \\\n  ");
            text.push_str(option);
        };
        option(r#"-H "Authorization: Bearer $MNARA_KEY""#);
        if self.idempotent {
            option(r#"-H "Idempotency-Key: $(uuidgen)""#);
        }
        if let Some(body) = self.body {
            option(r#"-H "Content-Type: application/json""#);
            option(&format!("-d '{}'", body.replace('\'', r"'\''")));
        }
        text.push('\n');
        text
    }

    fn python(&self) -> String {
        let method = self.method.as_str().to_ascii_lowercase();
        let mut text = String::from("import os\n");
        if self.idempotent {
            text.push_str("import uuid\n");
        }
        text.push_str("\nimport requests\n\n");
        text.push_str(&format!("response = requests.{method}(\n"));
        text.push_str(&format!(
            "    os.environ[\"MNARA_URL\"] + \"{}\",\n",
            self.path
        ));
        text.push_str("    headers={\n");
        text.push_str("        \"Authorization\": \"Bearer \" + os.environ[\"MNARA_KEY\"],\n");
        if self.idempotent {
            text.push_str("        \"Idempotency-Key\": str(uuid.uuid4()),\n");
        }
        text.push_str("    },\n");
        if let Some(body) = self.body {
            let literal = translated(body, |token| match token {
                "true" => "True",
                "false" => "False",
                "null" => "None",
                other => other,
            });
            text.push_str(&format!("    json={},\n", indented(&literal, "    ")));
        }
        text.push_str("    timeout=30,\n)\n");
        let shown = if self.json { "json()" } else { "text" };
        text.push_str(&format!("print(response.status_code, response.{shown})\n"));
        text
    }

    fn javascript(&self) -> String {
        let mut text = format!(
            "const response = await fetch(process.env.MNARA_URL + '{}', {{\n  method: '{}',\n",
            self.path, self.method
        );
        text.push_str("  headers: {\n    Authorization: `Bearer ${process.env.MNARA_KEY}`,\n");
        if self.idempotent {
            text.push_str("    'Idempotency-Key': crypto.randomUUID(),\n");
        }
        if self.body.is_some() {
            text.push_str("    'Content-Type': 'application/json',\n");
        }
        text.push_str("  },\n");
        if let Some(body) = self.body {
            text.push_str(&format!(
                "  body: JSON.stringify({}),\n",
                indented(body, "  ")
            ));
        }
        let shown = if self.json { "json()" } else { "text()" };
        text.push_str(&format!(
            "}});\nconsole.log(response.status, await response.{shown});\n"
        ));
        text
    }

    fn php(&self) -> String {
        let mut text = format!(
            "<?php\n$request = curl_init(getenv('MNARA_URL') . '{}');\ncurl_setopt_array($request, [\n    \
             CURLOPT_CUSTOMREQUEST => '{}',\n    CURLOPT_RETURNTRANSFER => true,\n    CURLOPT_HTTPHEADER => [\n        \
             'Authorization: Bearer ' . getenv('MNARA_KEY'),\n",
            self.path, self.method
        );
        if self.idempotent {
            text.push_str("        'Idempotency-Key: ' . bin2hex(random_bytes(16)),\n");
        }
        if self.body.is_some() {
            text.push_str("        'Content-Type: application/json',\n");
        }
        text.push_str("    ],\n");
        if let Some(body) = self.body {
            let literal = translated(body, |token| match token {
                "{" => "[",
                "}" => "]",
                ":" => " =>",
                other => other,
            });
            text.push_str(&format!(
                "    CURLOPT_POSTFIELDS => json_encode({}),\n",
                indented(&literal, "    ")
            ));
        }
        text.push_str("]);\n$answer = curl_exec($request);\n");
        text.push_str(
            "echo curl_getinfo($request, CURLINFO_RESPONSE_CODE), ' ', $answer, PHP_EOL;\n",
        );
        text
    }
}

/// JSON with its words and signs outside of texts replaced, as another language writes them.
fn translated(json: &str, word: impl Fn(&str) -> &str) -> String {
    let mut out = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' => text_length(rest),
            'a'..='z' => rest
                .find(|one: char| !one.is_ascii_lowercase())
                .unwrap_or(rest.len()),
            other => other.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        out.push_str(if first == '"' { token } else { word(token) });
        rest = after;
    }
    out
}

/// Octets of the text that begins here, with both its quotation marks.
fn text_length(json: &str) -> usize {
    let mut escaped = false;
    for (at, octet) in json.bytes().enumerate().skip(1) {
        match octet {
            b'"' if !escaped => return at + 1,
            b'\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    json.len()
}

/// Lines after the first moved in.
fn indented(text: &str, by: &str) -> String {
    text.replace('\n', &format!("\n{by}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_inside_of_texts_stay() {
        let json = r#"{"a": "true: {\"null\"}", "b": [true, null]}"#;
        let word = |token: &str| match token {
            "true" => "True",
            "null" => "None",
            _ => "",
        };
        assert_eq!(
            translated(json, |token| if token.len() > 1 {
                word(token)
            } else {
                token
            }
            .to_owned()
            .leak()),
            r#"{"a": "true: {\"null\"}", "b": [True, None]}"#
        );
    }

    #[test]
    fn a_path_is_filled_with_what_could_stand_there() {
        assert_eq!(
            filled("/v1/messages/{id}/events"),
            format!("/v1/messages/{ID}/events")
        );
        assert_eq!(filled("/v1/credits"), "/v1/credits");
    }
}
