//! `openapi/openapi.json` against `openapi/released.json`, the document of the last release: what a program of somebody
//! else relies on must still be there. At a release the first is copied over the second.
//!
//! That the document is the code's own, a unit test of `http` holds; that it reads well, `tests/openapi/lint` does.

mod breaking;
mod pairs;

use std::fs;

use serde_json::Value;

fn document(name: &str) -> Value {
    let path = format!("{}/openapi/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn nothing_that_was_released_is_broken() {
    let (released, current) = (document("released.json"), document("openapi.json"));
    assert!(current["openapi"].as_str().is_some_and(|version| version.starts_with("3.1.")), "{}", current["openapi"]);
    let found = breaking::breaking(&released, &current);
    assert!(found.is_empty(), "{} changes would break programs:\n{}", found.len(), found.join("\n"));
}

#[test]
fn a_document_does_not_break_itself() {
    for name in ["released.json", "openapi.json"] {
        let document = document(name);
        assert_eq!(breaking::breaking(&document, &document), Vec::<String>::new(), "{name}");
    }
}
