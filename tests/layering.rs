//! Lives here: the judge of the house rules that a compiler does not know: which module
//! may import which, which words are banned where, how a file begins and how long it is.
//! Never here: a rule about behaviour; that is a test of its own.
//!
//! Imports are read from the tokens of the text (`crate::…`, `mnara::…` and `super::…`,
//! in `use` items or inline, grouped or not); see `layering/reader.rs`.

use std::fs;
use std::path::{Path, PathBuf};

use reader::{Token, imports, names_after, tokens};

#[path = "layering/reader.rs"]
mod reader;

/// The modules of `src/`, from the lowest layer to the highest. `x.rs` and `x/` are both
/// module `x`. A module imports only from strictly lower layers, save for [`SIDEWAYS`].
const LAYERS: &[&[&str]] = &[
    &["domain", "telemetry"],
    &["flow", "store"],
    &[
        "ingest",
        "scheduler",
        "carrier",
        "inbound",
        "webhooks",
        "tokens",
    ],
    &["bulk", "otp", "notify"],
    &["api", "esme", "admin", "ctl"],
    &["config", "app", "demo", "main", "lib"],
];

/// The pairs (importer, imported) that may meet although they share a layer. Only what
/// wires the daemon sees the whole configuration; every part owns its own `Config`.
const SIDEWAYS: &[(&str, &str)] = &[
    ("store", "flow"),
    ("app", "config"),
    ("demo", "config"),
    ("demo", "app"),
    ("main", "config"),
    ("main", "app"),
    ("main", "demo"),
];

/// Crates and functions by name, each with the scopes that may use it or may not. A scope
/// is a path below the workspace without its ending: `src/store` is that file or folder.
const BANS: &[Ban] = &[
    Ban::except("sqlx", &["src/store"]),
    Ban::except("axum", &["src/api", "src/admin"]),
    Ban::except(
        "mnara_loadtest",
        &["src/demo", "src/carrier/tests", "loadtest/src"],
    ),
    Ban::inside("tokio", &["src/domain"]),
    Ban::inside("serde", &["src/domain"]),
    Ban::inside("serde_json", &["src/domain"]),
    Ban::inside("hyper", &["src/carrier"]),
    Ban::inside("mnara_smpp::pdu", &["src/api"]),
    Ban::inside("unbounded_channel", SOURCES),
    // The protocol's core is sans-IO; only its shells know a runtime.
    Ban {
        path: "tokio",
        within: &["smpp/src"],
        except: &["smpp/src/transport", "smpp/src/client", "smpp/src/server"],
    },
];

/// The folders whose every `.rs` file is read.
const SOURCES: &[&str] = &[
    "src",
    "smpp/src",
    "loadtest/src",
    "privatepg/src",
    "xtask/src",
];

/// The most lines a file may have before it wants a split along a real seam.
const LINES_MAX: usize = 600;

/// A path of names that may not be written `within` some scopes, `except` in others.
struct Ban {
    path: &'static str,
    within: &'static [&'static str],
    except: &'static [&'static str],
}

impl Ban {
    const fn inside(path: &'static str, within: &'static [&'static str]) -> Self {
        Self {
            path,
            within,
            except: &[],
        }
    }

    /// Banned in the daemon, except in these scopes.
    const fn except(path: &'static str, except: &'static [&'static str]) -> Self {
        Self {
            path,
            within: &["src"],
            except,
        }
    }

    fn covers(&self, file: &str) -> bool {
        let within = |scopes: &[&str]| scopes.iter().any(|scope| is_within(file, scope));
        within(self.within) && !within(self.except)
    }

    fn is_broken_by(&self, tokens: &[Token]) -> bool {
        match self.path.split_once("::") {
            None => tokens.iter().any(|token| token.is(self.path)),
            Some((root, item)) => (0..tokens.len())
                .filter(|&at| tokens[at].is(root))
                .any(|at| {
                    names_after(tokens, at + 1)
                        .iter()
                        .any(|name| name.as_str() == item)
                }),
        }
    }
}

/// Every rule that the file at `path` (below the workspace, with `/`) breaks, as sentences.
fn violations(path: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    if !text.starts_with("//!") {
        found.push(format!("{path}: does not begin with a `//!` line"));
    }
    let lines = text.lines().count();
    if lines > LINES_MAX {
        found.push(format!("{path}: {lines} lines, the limit is {LINES_MAX}"));
    }
    let tokens = tokens(text);
    for ban in BANS.iter().filter(|ban| ban.covers(path)) {
        if ban.is_broken_by(&tokens) {
            found.push(format!("{path}: `{}` is banned here", ban.path));
        }
    }
    if let Some(inner) = path.strip_prefix("src/") {
        found.extend(import_violations(path, inner, &tokens));
    }
    found
}

fn import_violations(path: &str, inner: &str, tokens: &[Token]) -> Vec<String> {
    let modules = module_path(inner);
    let own = match modules.first() {
        Some(first) => first.as_str(),
        None => inner.trim_end_matches(".rs"),
    };
    let Some(own_layer) = layer_of(own) else {
        return vec![format!(
            "{path}: module `{own}` has no layer; give it one in LAYERS"
        )];
    };
    let mut imported = imports(&modules, tokens);
    imported.sort();
    imported.dedup();
    imported.retain(|name| name != own);
    imported
        .into_iter()
        .filter_map(|name| match layer_of(&name) {
            None => Some(format!(
                "{path}: imports `crate::{name}`, which no layer owns"
            )),
            Some(layer) if layer < own_layer => None,
            Some(_) if SIDEWAYS.contains(&(own, name.as_str())) => None,
            Some(_) => Some(format!(
                "{path}: `{own}` (layer {own_layer}) may not import `{name}`"
            )),
        })
        .collect()
}

fn layer_of(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// `ingest/admit.rs` is `[ingest, admit]`, `ingest/mod.rs` is `[ingest]`, the roots are `[]`.
fn module_path(inner: &str) -> Vec<String> {
    let mut parts: Vec<String> = inner
        .trim_end_matches(".rs")
        .split('/')
        .map(str::to_owned)
        .collect();
    let roots = parts.len() == 1 && (parts[0] == "main" || parts[0] == "lib");
    if roots || parts.last().is_some_and(|last| last == "mod") {
        parts.pop();
    }
    parts
}

fn is_within(file: &str, scope: &str) -> bool {
    file.strip_prefix(scope)
        .is_some_and(|rest| rest.starts_with('/') || rest == ".rs")
}

/// Every `.rs` file below `folder`, sorted, so that a failure reads the same each time.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder)
            .unwrap_or_else(|error| panic!("cannot list {}: {error}", folder.display()));
        for entry in entries {
            let path = entry.expect("the folder was just listed").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

#[test]
fn the_house_keeps_its_rules() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut read = 0;
    let mut found = Vec::new();
    for file in SOURCES
        .iter()
        .flat_map(|folder| rust_files(&workspace.join(folder)))
    {
        let text = fs::read_to_string(&file).expect("a source file is readable UTF-8");
        let path = file
            .strip_prefix(workspace)
            .expect("the file was found below the workspace")
            .to_string_lossy()
            .replace('\\', "/");
        found.extend(violations(&path, &text));
        read += 1;
    }
    assert!(read >= SOURCES.len(), "only {read} files were read");
    assert!(
        found.is_empty(),
        "{} rules are broken:\n{}",
        found.len(),
        found.join("\n")
    );
}

/// The violations of a text that begins properly, without the file's own path.
fn found_in(path: &str, body: &str) -> Vec<String> {
    violations(path, &format!("//! Lives here: a sample.\n{body}"))
        .into_iter()
        .map(|line| line.trim_start_matches(path).to_owned())
        .collect()
}

#[test]
fn imports_that_point_down_are_accepted() {
    for (path, body) in [
        (
            "src/store/mod.rs",
            "use crate::domain::Id;\nuse crate::flow::Outcome;",
        ),
        ("src/flow.rs", "use crate::domain::{Id, Class};"),
        (
            "src/ingest/admit.rs",
            "use super::compose::x;\nuse crate::store::Store;",
        ),
        (
            "src/ingest.rs",
            "use crate::ingest::admit; mod tests { use super::admit; }",
        ),
        (
            "src/app.rs",
            "use crate::{config, api::v1, carrier::{pool, bind}, ctl};",
        ),
        (
            "src/demo/mod.rs",
            "use crate::app; use mnara_loadtest::Smsc;",
        ),
        (
            "src/main.rs",
            "use mnara::config; fn main() { mnara::app::run() }",
        ),
        ("src/lib.rs", "pub mod domain;\npub mod store;"),
    ] {
        assert_eq!(found_in(path, body), Vec::<String>::new(), "{path}: {body}");
    }
}

#[test]
fn imports_that_point_up_or_sideways_are_named() {
    for (path, body, importer, imported) in [
        (
            "src/domain/ids.rs",
            "use crate::telemetry::x;",
            "domain",
            "telemetry",
        ),
        ("src/flow.rs", "use crate::store::Store;", "flow", "store"),
        (
            "src/store/sqlite.rs",
            "fn f() { crate::ingest::accept() }",
            "store",
            "ingest",
        ),
        (
            "src/ingest/mod.rs",
            "use crate::{domain::Id, scheduler::Lane};",
            "ingest",
            "scheduler",
        ),
        (
            "src/carrier/bind.rs",
            "use crate::{\n flow::{A, B},\n inbound,\n};",
            "carrier",
            "inbound",
        ),
        (
            "src/inbound.rs",
            "use super::webhooks::Outbox;",
            "inbound",
            "webhooks",
        ),
        (
            "src/carrier/bind.rs",
            "use super::super::inbound::x;",
            "carrier",
            "inbound",
        ),
        (
            "src/ingest.rs",
            "mod tests { use super::super::api::x; }",
            "ingest",
            "api",
        ),
        ("src/api/v1.rs", "use crate::esme::Door;", "api", "esme"),
        (
            "src/api/v1.rs",
            "use crate::config::Config;",
            "api",
            "config",
        ),
        ("src/config/mod.rs", "use crate::app::App;", "config", "app"),
        ("src/app.rs", "pub(in crate::demo) fn f() {}", "app", "demo"),
    ] {
        let found = found_in(path, body);
        assert_eq!(found.len(), 1, "{path}: {body}: {found:?}");
        assert!(
            found[0].starts_with(&format!(": `{importer}` (layer")),
            "{found:?}"
        );
        assert!(
            found[0].ends_with(&format!("may not import `{imported}`")),
            "{found:?}"
        );
    }
}

#[test]
fn names_that_no_layer_owns_are_refused() {
    for (path, body, part) in [
        ("src/helpers.rs", "", "module `helpers` has no layer"),
        (
            "src/api/v1.rs",
            "use crate::Store;",
            "imports `crate::Store`",
        ),
        ("src/api/v1.rs", "use crate::*;", "imports `crate::*`"),
    ] {
        let found = found_in(path, body);
        assert!(
            found.len() == 1 && found[0].contains(part),
            "{path}: {found:?}"
        );
    }
}

#[test]
fn banned_words_are_found_where_they_are_banned_and_only_there() {
    for (word, body, banned, allowed) in [
        (
            "tokio",
            "use tokio::time;",
            "src/domain/class.rs",
            "src/carrier/bind.rs",
        ),
        (
            "serde",
            "use serde::Serialize;",
            "src/domain.rs",
            "src/flow.rs",
        ),
        (
            "serde_json",
            "fn f(x: serde_json::Value) {}",
            "src/domain/a.rs",
            "src/api/a.rs",
        ),
        (
            "sqlx",
            "use sqlx::Row;",
            "src/webhooks/outbox.rs",
            "src/store/writer.rs",
        ),
        (
            "axum",
            "use axum::Router;",
            "src/ctl.rs",
            "src/admin/mod.rs",
        ),
        (
            "axum",
            "use axum::Router;",
            "src/carrier/mod.rs",
            "src/api/v1.rs",
        ),
        (
            "hyper",
            "use hyper::Uri;",
            "src/carrier/mod.rs",
            "src/webhooks/mod.rs",
        ),
        (
            "mnara_smpp::pdu",
            "use mnara_smpp::{text, pdu::SubmitSm};",
            "src/api/v1.rs",
            "src/carrier/a.rs",
        ),
        (
            "mnara_smpp::pdu",
            "type P = mnara_smpp::pdu::Pdu;",
            "src/api.rs",
            "src/esme.rs",
        ),
        (
            "mnara_loadtest",
            "use mnara_loadtest::Smsc;",
            "src/app.rs",
            "loadtest/src/main.rs",
        ),
        (
            "tokio",
            "use tokio::net;",
            "smpp/src/session/mod.rs",
            "smpp/src/client.rs",
        ),
    ] {
        assert_eq!(
            found_in(banned, body),
            [format!(": `{word}` is banned here")],
            "{body}"
        );
        assert_eq!(found_in(allowed, body), Vec::<String>::new(), "{body}");
    }
    for folder in SOURCES {
        let path = format!("{folder}/client.rs");
        let found = violations(&path, "//! x\nlet (tx, rx) = mpsc::unbounded_channel();");
        assert!(
            found
                .iter()
                .any(|line| line.contains("`unbounded_channel` is banned")),
            "{path}: {found:?}"
        );
    }
}

#[test]
fn comments_literals_and_longer_names_are_not_imports() {
    let body = r##"
        /// Not [`crate::store::Store`], nor tokio.
        /* crate::api /* nested: use sqlx; */ serde */
        const A: &str = "use crate::api::v1; // tokio \" axum";
        const B: &str = r#"crate::app " serde"#;
        const C: char = '"'; const D: char = '\''; const E: &[u8] = b"sqlx";
        fn keep<'tokio>(x: &'tokio str) -> my_crate::api::X { serde_like(x) }
    "##;
    assert_eq!(found_in("src/domain/text.rs", body), Vec::<String>::new());
    // After all that the reader is still in step with the text.
    let after = format!("{body}\nuse crate::api::v1;");
    assert_eq!(found_in("src/domain/text.rs", &after).len(), 1);
}

#[test]
fn a_file_without_its_opening_line_or_beyond_the_length_is_named() {
    let found = violations("smpp/src/tlv.rs", "use bytes::Bytes;\n");
    assert_eq!(found, ["smpp/src/tlv.rs: does not begin with a `//!` line"]);
    let longest = format!("//! x\n{}", "\n".repeat(LINES_MAX - 1));
    assert_eq!(
        violations("smpp/src/tlv.rs", &longest),
        Vec::<String>::new()
    );
    let found = violations("smpp/src/tlv.rs", &format!("{longest}\n"));
    assert_eq!(found, ["smpp/src/tlv.rs: 601 lines, the limit is 600"]);
}
