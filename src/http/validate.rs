use serde_json::{Map, Value};

use super::problem::{Fault, UNKNOWN_FIELD};
use crate::base::limits;

/// The format of a text that may have more than one line, and tabs in them.
const LINES: &str = "lines";
/// Faults that are listed; one mistake in a long list would give as many.
const FAULTS_MAX: usize = 50;

/// Compares a value with a schema of the OpenAPI document and says everything that is wrong with it.
///
/// So the document is not a description of what is accepted: it is what is accepted. It knows the words of JSON Schema
/// that the document uses; a test fails when a new one comes in.
pub(super) fn validate(document: &Value, schema: &Value, value: &Value) -> Vec<Fault> {
    let mut check = Check { document, faults: Vec::new() };
    check.value(schema, value, "", 0);
    check.faults
}

/// The words that [`validate`] obeys or may pass by.
#[cfg(test)]
pub(super) const KNOWN_WORDS: [&str; 24] = [
    "$ref",
    "additionalProperties",
    "allOf",
    "anyOf",
    "const",
    "default",
    "description",
    "enum",
    "example",
    "examples",
    "format",
    "items",
    "maxItems",
    "maxLength",
    "maximum",
    "minItems",
    "minLength",
    "minimum",
    "oneOf",
    "properties",
    "propertyNames",
    "required",
    "type",
    "writeOnly",
];

struct Check<'a> {
    document: &'a Value,
    faults: Vec<Fault>,
}

impl Check<'_> {
    fn fault(&mut self, pointer: &str, code: &str, message: String) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(Fault::body(pointer, code, message));
        }
    }

    fn value(&mut self, schema: &Value, value: &Value, pointer: &str, depth: usize) {
        if depth > limits::JSON_LEVELS {
            return self.fault(pointer, "too_deep", format!("more than {} levels", limits::JSON_LEVELS));
        }
        if let Some(target) = schema["$ref"].as_str() {
            let document = self.document;
            let target = document.pointer(target.trim_start_matches('#')).unwrap_or(&Value::Null);
            return self.value(target, value, pointer, depth);
        }
        let alternatives = schema["oneOf"].as_array().or(schema["anyOf"].as_array());
        if let Some(alternatives) = alternatives {
            return self.any(alternatives, value, pointer, depth);
        }
        if !has_type(schema, value) {
            return self.fault(pointer, "wrong_type", format!("expected {}, got {}", expected(schema), kind(value)));
        }
        if let Some(allowed) = schema["enum"].as_array().filter(|allowed| !allowed.contains(value)) {
            let allowed: Vec<String> = allowed.iter().map(Value::to_string).collect();
            return self.fault(pointer, "not_allowed", format!("expected one of {}", allowed.join(", ")));
        }
        match value {
            Value::Object(fields) => self.object(schema, fields, pointer, depth),
            Value::Array(items) => self.array(schema, items, pointer, depth),
            Value::String(text) => self.text(schema, text, pointer),
            Value::Number(_) => self.number(schema, value, pointer),
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn any(&mut self, alternatives: &[Value], value: &Value, pointer: &str, depth: usize) {
        let mut closest = Vec::new();
        for schema in alternatives {
            let mut check = Check { document: self.document, faults: Vec::new() };
            check.value(schema, value, pointer, depth + 1);
            if check.faults.is_empty() {
                return;
            }
            if schema["type"] != "null" {
                closest = check.faults;
            }
        }
        self.faults.extend(closest);
    }

    fn object(&mut self, schema: &Value, fields: &Map<String, Value>, pointer: &str, depth: usize) {
        let none = Map::new();
        let known = schema["properties"].as_object().unwrap_or(&none);
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !fields.contains_key(name) {
                self.fault(&below(pointer, name), "required", format!("the field {name:?} is missing"));
            }
        }
        for (name, value) in fields {
            let place = below(pointer, name);
            match known.get(name) {
                Some(schema) => self.value(schema, value, &place, depth + 1),
                None if schema["additionalProperties"] == false => {
                    let names: Vec<&str> = known.keys().map(String::as_str).collect();
                    let names = names.join(", ");
                    self.fault(&place, UNKNOWN_FIELD, format!("there is no field {name:?} here; known are {names}"));
                }
                None if schema["additionalProperties"].is_object() => {
                    self.value(&schema["additionalProperties"], value, &place, depth + 1);
                }
                None => {}
            }
        }
    }

    fn array(&mut self, schema: &Value, items: &[Value], pointer: &str, depth: usize) {
        let count = items.len() as u64;
        if schema["maxItems"].as_u64().is_some_and(|max| count > max) {
            return self.fault(pointer, "too_many", format!("at most {} items", schema["maxItems"]));
        }
        if schema["minItems"].as_u64().is_some_and(|min| count < min) {
            return self.fault(pointer, "too_few", format!("at least {} items", schema["minItems"]));
        }
        for (place, item) in items.iter().enumerate() {
            self.value(&schema["items"], item, &below(pointer, &place.to_string()), depth + 1);
        }
    }

    fn text(&mut self, schema: &Value, text: &str, pointer: &str) {
        let count = text.chars().count() as u64;
        if schema["maxLength"].as_u64().is_some_and(|max| count > max) {
            self.fault(pointer, "too_long", format!("at most {} characters", schema["maxLength"]));
        }
        if schema["minLength"].as_u64().is_some_and(|min| count < min) {
            self.fault(pointer, "too_short", format!("at least {} characters", schema["minLength"]));
        }
        // Text goes to header fields, logs and terminals: what would break out of a line there is refused here.
        let is_lines = schema["format"] == LINES;
        if text.chars().any(|c| c.is_control() && !(is_lines && matches!(c, '\r' | '\n' | '\t'))) {
            self.fault(pointer, "control_character", "no control characters, line breaks included".into());
        }
    }

    fn number(&mut self, schema: &Value, value: &Value, pointer: &str) {
        let number = value.as_f64().unwrap_or_default();
        if schema["minimum"].as_f64().is_some_and(|min| number < min) {
            self.fault(pointer, "too_small", format!("at least {}", schema["minimum"]));
        }
        if schema["maximum"].as_f64().is_some_and(|max| number > max) {
            self.fault(pointer, "too_large", format!("at most {}", schema["maximum"]));
        }
    }
}

/// A JSON pointer one level down (RFC 6901 §3).
pub(super) fn below(pointer: &str, name: &str) -> String {
    format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"))
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_u64() || number.is_i64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn has_type(schema: &Value, value: &Value) -> bool {
    let is = |wanted: &str| wanted == kind(value) || (wanted == "number" && kind(value) == "integer");
    match &schema["type"] {
        Value::String(wanted) => is(wanted),
        Value::Array(wanted) => wanted.iter().filter_map(Value::as_str).any(is),
        _ => true,
    }
}

fn expected(schema: &Value) -> String {
    match &schema["type"] {
        Value::Array(wanted) => wanted.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
        wanted => wanted.as_str().unwrap_or("something else").to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(value: Value, expected: &[(&str, &str)]) {
        let document = json!({"components": {"schemas": {"Size": {"type": "integer", "minimum": 0, "maximum": 10}}}});
        let schema = json!({
            "type": "object",
            "required": ["name"],
            "additionalProperties": false,
            "properties": {
                "name": {"type": "string", "minLength": 1, "maxLength": 5},
                "size": {"oneOf": [{"type": "null"}, {"$ref": "#/components/schemas/Size"}]},
                "tags": {"type": "array", "maxItems": 2, "items": {"type": "string", "enum": ["a", "b"]}},
                "note": {"type": ["string", "null"]},
                "lines": {"type": "string", "format": "lines"},
                "map": {"type": "object", "additionalProperties": {"$ref": "#/components/schemas/Size"}},
            }
        });
        let faults = validate(&document, &schema, &value);
        let seen: Vec<(&str, &str)> =
            faults.iter().map(|fault| (fault.pointer.as_deref().unwrap_or("-"), fault.code.as_str())).collect();
        assert_eq!(seen, expected, "{value}");
    }

    #[test]
    fn every_fault_has_its_pointer() {
        check(json!({"name": "x", "size": 3, "tags": ["a", "b"], "note": null}), &[]);
        check(json!({"name": "x", "size": null}), &[]);
        check(json!([]), &[("", "wrong_type")]);
        check(json!({}), &[("/name", "required")]);
        check(json!({"name": "x", "nmae": 1, "a/b~": 1}), &[("/a~1b~0", "unknown_field"), ("/nmae", "unknown_field")]);
        check(json!({"name": 7}), &[("/name", "wrong_type")]);
        check(json!({"name": ""}), &[("/name", "too_short")]);
        check(json!({"name": "äöüäöü"}), &[("/name", "too_long")]);
        check(json!({"name": "a\r\nb"}), &[("/name", "control_character")]);
        check(json!({"name": "x", "lines": "a\nb"}), &[]);
        check(json!({"name": "x", "lines": "a\r\nb"}), &[]);
        check(json!({"name": "x", "lines": "a\u{1b}b"}), &[("/lines", "control_character")]);
        check(json!({"name": "x", "size": 11}), &[("/size", "too_large")]);
        check(json!({"name": "x", "size": -1}), &[("/size", "too_small")]);
        check(json!({"name": "x", "map": {"a": 1, "b/c": 11}}), &[("/map/b~1c", "too_large")]);
        check(json!({"name": "x", "size": 1.5}), &[("/size", "wrong_type")]);
        check(json!({"name": "x", "tags": ["a", "c"]}), &[("/tags/1", "not_allowed")]);
        check(json!({"name": "x", "tags": ["a", "b", "a"]}), &[("/tags", "too_many")]);
    }
}
