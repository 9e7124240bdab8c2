//! Lives here: how a route is described beside its handler: what it takes, what it answers, which
//! refusals are its own.
//! Never here: what all routes share (`openapi`), the descriptions themselves (`v1`).

use std::collections::BTreeMap;

use axum::http::Method;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::words;
use crate::api::code::Code;

/// The descriptions, as they are collected.
#[derive(Default)]
pub(in crate::api) struct Book {
    pub(super) pages: Vec<Page>,
    /// The forms of bodies by name.
    pub(super) schemas: BTreeMap<String, Value>,
}

/// A route and what is said of it.
pub(super) struct Page {
    pub(super) method: Method,
    pub(super) path: &'static str,
    pub(super) operation: Operation,
}

/// What is said of a route.
pub(in crate::api) struct Operation {
    /// Its name in programs that are generated from the description; it never changes.
    pub(super) id: &'static str,
    /// The part of the API that it belongs to.
    pub(super) tag: &'static str,
    pub(super) summary: &'static str,
    pub(super) text: &'static str,
    pub(super) parameters: Vec<Parameter>,
    pub(super) body: Option<Body>,
    pub(super) answers: Vec<Answer>,
    pub(super) codes: Vec<Code>,
    /// It takes an `Idempotency-Key`.
    pub(super) idempotent: bool,
    schemas: BTreeMap<String, Value>,
}

/// A part of the path, the query or the head.
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) place: &'static str,
    pub(super) text: &'static str,
    pub(super) schema: Value,
}

/// What a request carries.
pub(super) struct Body {
    pub(super) schema: Value,
    /// JSON, in the order in which it is shown.
    pub(super) example: &'static str,
    /// It may be left out.
    pub(super) optional: bool,
}

/// What it is answered with.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) text: &'static str,
    pub(super) kind: &'static str,
    pub(super) schema: Value,
    pub(super) example: Value,
    /// A Location header leads to what was made.
    pub(super) located: bool,
    /// It may be text of another kind instead: the kind and an example.
    pub(super) or: Option<(&'static str, &'static str)>,
}

impl Book {
    /// Adds the description of a route; `path` is as in `Doors`.
    pub(in crate::api) fn add(
        &mut self,
        method: Method,
        path: &'static str,
        mut operation: Operation,
    ) {
        for (name, schema) in std::mem::take(&mut operation.schemas) {
            keep(&mut self.schemas, &name, &schema);
        }
        self.pages.push(Page {
            method,
            path,
            operation,
        });
    }

    /// A form that no route names by itself.
    pub(in crate::api) fn form<T: ToSchema>(&mut self) -> Value {
        form::<T>(&mut self.schemas)
    }
}

impl Operation {
    pub(in crate::api) fn new(
        id: &'static str,
        tag: &'static str,
        summary: &'static str,
        text: &'static str,
    ) -> Self {
        Self {
            id,
            tag,
            summary,
            text,
            parameters: Vec::new(),
            body: None,
            answers: Vec::new(),
            codes: Vec::new(),
            idempotent: false,
            schemas: BTreeMap::new(),
        }
    }

    /// A part of the path that is no UUID, or of which more is to be said.
    pub(in crate::api) fn place(
        self,
        name: &'static str,
        schema: Value,
        text: &'static str,
    ) -> Self {
        self.parameter(name, "path", schema, text)
    }

    /// An optional part of the query.
    pub(in crate::api) fn query(
        self,
        name: &'static str,
        schema: Value,
        text: &'static str,
    ) -> Self {
        self.parameter(name, "query", schema, text)
    }

    /// An optional header.
    pub(in crate::api) fn header(
        self,
        name: &'static str,
        schema: Value,
        text: &'static str,
    ) -> Self {
        self.parameter(name, "header", schema, text)
    }

    fn parameter(
        mut self,
        name: &'static str,
        place: &'static str,
        schema: Value,
        text: &'static str,
    ) -> Self {
        self.parameters.push(Parameter {
            name,
            place,
            text,
            schema,
        });
        self
    }

    /// A JSON body of the form `T`.
    pub(in crate::api) fn takes<T: ToSchema>(mut self, example: &'static str) -> Self {
        let schema = form::<T>(&mut self.schemas);
        self.body = Some(Body {
            schema,
            example,
            optional: false,
        });
        self
    }

    /// The same, if there is one.
    pub(in crate::api) fn may_take<T: ToSchema>(self, example: &'static str) -> Self {
        let mut taking = self.takes::<T>(example);
        if let Some(body) = &mut taking.body {
            body.optional = true;
        }
        taking
    }

    /// `{"success":true,"data":…}` with data of the form `T`; the example is the data's.
    pub(in crate::api) fn answers<T: ToSchema>(
        self,
        status: u16,
        text: &'static str,
        example: &'static str,
    ) -> Self {
        self.enveloped::<T>((status, text, example), |data| data)
    }

    /// The same with a list of such data.
    pub(in crate::api) fn answers_many<T: ToSchema>(
        self,
        text: &'static str,
        example: &'static str,
    ) -> Self {
        self.enveloped::<T>(
            (200, text, example),
            |data| json!({"type": "array", "items": data}),
        )
    }

    /// The same with a page of a longer list, and the way to the next.
    pub(in crate::api) fn answers_page<T: ToSchema>(
        self,
        text: &'static str,
        example: &'static str,
    ) -> Self {
        let mut paged = self.answers_many::<T>(text, example);
        if let Some(answer) = paged.answers.last_mut() {
            let more = json!({"type": "boolean", "description": "There is a page after this one."});
            let next = json!({
                "type": ["string", "null"],
                "description": "What to give as `cursor` to get it.",
            });
            answer.schema["properties"]["has_more"] = more;
            answer.schema["properties"]["next_cursor"] = next;
            answer.schema["required"] = json!(["success", "data", "has_more", "next_cursor"]);
            answer.example["has_more"] = false.into();
            answer.example["next_cursor"] = Value::Null;
        }
        paged
    }

    fn enveloped<T: ToSchema>(
        mut self,
        (status, text, example): (u16, &'static str, &'static str),
        data: impl Fn(Value) -> Value,
    ) -> Self {
        let data = data(form::<T>(&mut self.schemas));
        let schema = json!({
            "type": "object",
            "required": ["success", "data"],
            "properties": {"success": {"type": "boolean", "const": true}, "data": data},
        });
        self.answers.push(Answer {
            status,
            text,
            kind: JSON,
            schema,
            example: json!({"success": true, "data": example_of(example)}),
            located: false,
            or: None,
        });
        self
    }

    /// Beside the data of the last answer there may be a list of this form.
    pub(in crate::api) fn beside<T: ToSchema>(mut self, name: &'static str) -> Self {
        let item = form::<T>(&mut self.schemas);
        if let Some(answer) = self.answers.last_mut() {
            answer.schema["properties"][name] = json!({"type": "array", "items": item});
        }
        self
    }

    /// An answer that is not in that envelope.
    pub(in crate::api) fn answers_text(
        mut self,
        status: u16,
        text: &'static str,
        kind: &'static str,
        example: &'static str,
    ) -> Self {
        let (schema, example) = match kind {
            JSON => ("object", example_of(example)),
            _ => ("string", example.into()),
        };
        self.answers.push(Answer {
            status,
            text,
            kind,
            schema: json!({"type": schema}),
            example,
            located: false,
            or: None,
        });
        self
    }

    /// The last answer is text of this kind if the caller asks for it.
    pub(in crate::api) fn or_kind(mut self, kind: &'static str, example: &'static str) -> Self {
        if let Some(answer) = self.answers.last_mut() {
            answer.or = Some((kind, example));
        }
        self
    }

    /// The last answer names what was made in its Location header.
    pub(in crate::api) fn located(mut self) -> Self {
        if let Some(answer) = self.answers.last_mut() {
            answer.located = true;
        }
        self
    }

    /// The refusals that not every route with such a caller, path, query or body has.
    pub(in crate::api) fn refuses(mut self, codes: &[Code]) -> Self {
        self.codes.extend_from_slice(codes);
        self
    }

    /// A request with the same `Idempotency-Key` has its effect once.
    pub(in crate::api) fn idempotent(mut self) -> Self {
        self.idempotent = true;
        self
    }
}

/// The kind of nearly every body.
pub(super) const JSON: &str = "application/json";

/// Keeps the form of `T`, and the forms in it, under their names; what refers to it.
fn form<T: ToSchema>(schemas: &mut BTreeMap<String, Value>) -> Value {
    let mut inner = Vec::new();
    T::schemas(&mut inner);
    for (name, schema) in inner {
        keep(schemas, &name, &schema);
    }
    let name = T::name();
    keep(schemas, &name, &T::schema());
    json!({"$ref": format!("#/components/schemas/{name}")})
}

fn keep(schemas: &mut BTreeMap<String, Value>, name: &str, schema: &impl serde::Serialize) {
    let made = || serde_json::to_value(schema).unwrap_or_default();
    let value = words::written(name).unwrap_or_else(made);
    let earlier = schemas.insert(name.to_owned(), value);
    debug_assert!(
        earlier.is_none_or(|earlier| earlier == schemas[name]),
        "two forms are named {name}; give one of them another name (`#[schema(as = …)]`)"
    );
}

/// An example as a value; one that is no JSON fails a test of the document.
pub(super) fn example_of(json: &str) -> Value {
    serde_json::from_str(json).unwrap_or_default()
}
