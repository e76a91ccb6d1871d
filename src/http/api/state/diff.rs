use serde_json::{Map, Value};

use super::shape::{StateChange, StateOp};
use crate::http::validate::below;

/// What becomes of a thing at `path`, field by field where it was there before and stays. `secret`: where it has got a new
/// secret, as a pointer into the thing.
pub(super) fn changes(
    path: &str,
    before: Option<Value>,
    after: Option<Value>,
    secret: Option<&str>,
) -> Vec<StateChange> {
    let change = |op, path: String, before, after| StateChange { op, path, before, after };
    match (before, after) {
        (None, None) => Vec::new(),
        (None, Some(after)) => vec![change(StateOp::Add, path.to_owned(), Value::Null, after)],
        (Some(before), None) => vec![change(StateOp::Remove, path.to_owned(), before, Value::Null)],
        (Some(before), Some(mut after)) => {
            if let Some(shown) = secret.and_then(|pointer| after.pointer_mut(pointer)).and_then(Value::as_object_mut) {
                shown.insert("new".into(), true.into());
            }
            let (Value::Object(before), Value::Object(after)) = (&before, &after) else {
                let differ = before != after;
                return differ.then(|| change(StateOp::Change, path.to_owned(), before, after)).into_iter().collect();
            };
            fields(path, before, after)
        }
    }
}

fn fields(path: &str, before: &Map<String, Value>, after: &Map<String, Value>) -> Vec<StateChange> {
    let gone = before.keys().filter(|name| !after.contains_key(*name));
    let mut names: Vec<&String> = after.keys().chain(gone).collect();
    names.sort();
    let value = |fields: &Map<String, Value>, name: &String| fields.get(name).cloned().unwrap_or_default();
    let changed = names.into_iter().filter(|name| before.get(*name) != after.get(*name));
    changed
        .map(|name| StateChange {
            op: StateOp::Change,
            path: below(path, name),
            before: value(before, name),
            after: value(after, name),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(before: Value, after: Value, secret: Option<&str>, expected: Value) {
        let given = |value: &Value| Some(value.clone()).filter(|value| !value.is_null());
        let seen = changes("/x/a~1b", given(&before), given(&after), secret);
        assert_eq!(serde_json::to_value(seen).unwrap(), expected, "{before} {after}");
    }

    #[test]
    fn what_differs_is_told_field_by_field() {
        check(json!(null), json!(null), None, json!([]));
        check(json!({"a": 1}), json!({"a": 1}), None, json!([]));
        let add = json!([{"op": "add", "path": "/x/a~1b", "before": null, "after": {"a": 1}}]);
        check(json!(null), json!({"a": 1}), None, add);
        let remove = json!([{"op": "remove", "path": "/x/a~1b", "before": {"a": 1}, "after": null}]);
        check(json!({"a": 1}), json!(null), None, remove);
        let change = json!([
            {"op": "change", "path": "/x/a~1b/a", "before": 1, "after": 2},
            {"op": "change", "path": "/x/a~1b/b", "before": 1, "after": null},
            {"op": "change", "path": "/x/a~1b/c~1d", "before": null, "after": [1]},
        ]);
        check(json!({"a": 1, "b": 1, "e": 1}), json!({"a": 2, "c/d": [1], "e": 1}), None, change);
        check(json!(5), json!(6), None, json!([{"op": "change", "path": "/x/a~1b", "before": 5, "after": 6}]));
        let secret = json!([{"op": "change", "path": "/x/a~1b/p", "before": {"set": true}, "after": {"set": true, "new": true}}]);
        check(json!({"p": {"set": true}}), json!({"p": {"set": true}}), Some("/p"), secret);
    }
}
