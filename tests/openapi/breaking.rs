//! What would break a program that was written against the older of two OpenAPI documents.

use std::collections::BTreeSet;

use serde_json::Value;

/// Every change that a client of `old` would stumble over, each with its place; empty when there is none.
///
/// What a client sends must still be taken: no parameter or field less (unknown ones are refused), none more that is
/// required, no value less. What it reads must still be there: no field less, no type or `null` that it does not expect.
/// New operations, parameters, optional fields, refusals, and values of an answer's word are no break.
pub fn breaking(old: &Value, new: &Value) -> Vec<String> {
    let mut check = Check { old, new, found: Vec::new(), seen: BTreeSet::new() };
    for (path, operations) in fields(&old["paths"]) {
        let Some(now) = new["paths"].get(path) else {
            check.say(path, "the path is gone");
            continue;
        };
        for (method, operation) in fields(operations) {
            let place = format!("{} {path}", method.to_uppercase());
            match now.get(method) {
                Some(now) => check.operation(&place, operation, now),
                None => check.say(&place, "the method is gone"),
            }
        }
    }
    check.found
}

/// Which way values go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    /// From the client: whatever it could send, it still may.
    In,
    /// To the client: whatever it gets, it could get before, but for new fields.
    Out,
}

struct Check<'a> {
    old: &'a Value,
    new: &'a Value,
    found: Vec<String>,
    /// Pairs of named schemas that are compared already: schemas may name themselves.
    seen: BTreeSet<(String, String, Way)>,
}

impl<'a> Check<'a> {
    fn say(&mut self, place: &str, what: impl AsRef<str>) {
        self.found.push(format!("{place}: {}", what.as_ref()));
    }

    fn operation(&mut self, place: &str, old: &'a Value, new: &'a Value) {
        if old["operationId"] != new["operationId"] {
            self.say(place, format!("operationId was {}, is {}", old["operationId"], new["operationId"]));
        }
        for requirement in array(&old["security"]) {
            if !array(&new["security"]).contains(requirement) {
                self.say(place, format!("it was open to {requirement}, now to {}", new["security"]));
            }
        }
        self.parameters(place, old, new);
        self.request(place, &old["requestBody"], &new["requestBody"]);
        for (status, response) in fields(&old["responses"]).filter(|(status, _)| status.starts_with('2')) {
            let Some(now) = new["responses"].get(status) else {
                self.say(place, format!("it does not answer {status} any more"));
                continue;
            };
            let (response, now) = (follow(self.old, response), follow(self.new, now));
            self.headers(&format!("{place} {status}"), response, now);
            self.contents(&format!("{place} {status}"), response, now, Way::Out);
        }
    }

    fn headers(&mut self, place: &str, old: &Value, new: &Value) {
        for (name, _) in fields(&old["headers"]) {
            if new["headers"].get(name).is_none() {
                self.say(place, format!("the header {name} is gone"));
            }
        }
    }

    fn parameters(&mut self, place: &str, old: &'a Value, new: &'a Value) {
        let key = |parameter: &Value| (parameter["in"].to_string(), parameter["name"].to_string());
        for parameter in array(&old["parameters"]) {
            let place = format!("{place} ?{}", parameter["name"].as_str().unwrap_or_default());
            let Some(now) = array(&new["parameters"]).iter().find(|now| key(now) == key(parameter)) else {
                // The name of a path's parameter is nothing that a client sees.
                if parameter["in"] != "path" {
                    self.say(&place, "the parameter is gone");
                }
                continue;
            };
            if now["required"] == true && parameter["required"] != true {
                self.say(&place, "the parameter is required now");
            }
            self.schema(&place, &parameter["schema"], &now["schema"], Way::In);
        }
        for parameter in array(&new["parameters"]).iter().filter(|parameter| parameter["in"] != "path") {
            let is_new = !array(&old["parameters"]).iter().any(|known| key(known) == key(parameter));
            if is_new && parameter["required"] == true {
                self.say(place, format!("the new parameter {} is required", parameter["name"]));
            }
        }
    }

    fn request(&mut self, place: &str, old: &'a Value, new: &'a Value) {
        match (old.is_null(), new.is_null()) {
            (true, true) => {}
            (true, false) if new["required"] == true => self.say(place, "it needs a body now"),
            (true, false) => {}
            (false, true) => self.say(place, "it takes no body any more"),
            (false, false) => {
                if new["required"] == true && old["required"] != true {
                    self.say(place, "it needs a body now");
                }
                self.contents(place, old, new, Way::In);
            }
        }
    }

    fn contents(&mut self, place: &str, old: &'a Value, new: &'a Value, way: Way) {
        for (kind, content) in fields(&old["content"]) {
            match new["content"].get(kind) {
                Some(now) => self.schema(place, &content["schema"], &now["schema"], way),
                None => self.say(place, format!("{kind} is gone")),
            }
        }
    }

    fn schema(&mut self, place: &str, old: &'a Value, new: &'a Value, way: Way) {
        if let (Some(before), Some(now)) = (old["$ref"].as_str(), new["$ref"].as_str())
            && !self.seen.insert((before.to_owned(), now.to_owned(), way))
        {
            return;
        }
        let (old, new) = (alternatives(self.old, old), alternatives(self.new, new));
        // Each kind of value that one side may give must be among those that the other side expects.
        let (given, expected) = if way == Way::In { (&old, &new) } else { (&new, &old) };
        for one in given {
            let alike = expected.iter().filter(|other| other.takes(one));
            let tries = alike.map(|other| {
                let (old, new) = if way == Way::In { (one, other) } else { (other, one) };
                if one.kind == "null" { Vec::new() } else { self.differences(place, old.schema, new.schema, way) }
            });
            // Where there are several, the nearest is meant; there is one null.
            match tries.min_by_key(Vec::len) {
                Some(found) => self.found.extend(found),
                None if way == Way::In => self.say(place, format!("{} is not taken any more", one.kind)),
                None => self.say(place, format!("it may be {} now", one.kind)),
            }
        }
    }

    /// What two schemas of one kind differ in.
    fn differences(&mut self, place: &str, old: &'a Value, new: &'a Value, way: Way) -> Vec<String> {
        let before = self.found.len();
        self.values(place, old, new, way);
        self.bounds(place, old, new, way);
        self.properties(place, old, new, way);
        if !old["items"].is_null() || !new["items"].is_null() {
            self.schema(&format!("{place}/*"), &old["items"], &new["items"], way);
        }
        let (was, is) = (&old["additionalProperties"], &new["additionalProperties"]);
        if was.is_object() && is.is_object() {
            self.schema(&format!("{place}/*"), was, is, way);
        }
        self.found.split_off(before)
    }

    /// The values that a client may send; an answer may have new ones, which programs have to expect.
    fn values(&mut self, place: &str, old: &Value, new: &Value, way: Way) {
        if way == Way::Out {
            return;
        }
        match (values(old), values(new)) {
            (_, None) => {}
            (None, Some(now)) => self.say(place, format!("only {} now", list(&now))),
            (Some(before), Some(now)) => {
                for value in before.iter().filter(|value| !now.contains(value)) {
                    self.say(place, format!("{value} is not taken any more"));
                }
            }
        }
        if old["pattern"] != new["pattern"] && !new["pattern"].is_null() {
            self.say(place, format!("the pattern is {} now", new["pattern"]));
        }
    }

    /// Only what a client sends is bound: of an answer a wider range breaks nothing that is known.
    fn bounds(&mut self, place: &str, old: &Value, new: &Value, way: Way) {
        if way == Way::Out {
            return;
        }
        for (word, is_upper) in [
            ("maximum", true),
            ("maxLength", true),
            ("maxItems", true),
            ("minimum", false),
            ("minLength", false),
            ("minItems", false),
        ] {
            let Some(now) = new[word].as_f64() else { continue };
            let is_narrower = match old[word].as_f64() {
                Some(before) if is_upper => now < before,
                Some(before) => now > before,
                // RFC 8259 has no negative length, and an unsigned number no negative value.
                None => is_upper || now > 0.0,
            };
            if is_narrower {
                self.say(place, format!("{word} was {}, is {now}", old[word]));
            }
        }
    }

    fn properties(&mut self, place: &str, old: &'a Value, new: &'a Value, way: Way) {
        let required = |schema: &Value, name: &str| array(&schema["required"]).iter().any(|word| word == name);
        for (name, schema) in fields(&old["properties"]) {
            let place = format!("{place}/{name}");
            let Some(now) = new["properties"].get(name) else {
                self.say(&place, "the field is gone");
                continue;
            };
            match way {
                Way::In if required(new, name) && !required(old, name) => self.say(&place, "the field is required now"),
                Way::Out if required(old, name) && !required(new, name) => {
                    self.say(&place, "the field may be absent now")
                }
                _ => {}
            }
            self.schema(&place, schema, now, way);
        }
        let is_new = |name: &str| old["properties"].get(name).is_none();
        for name in array(&new["required"]).iter().filter_map(Value::as_str).filter(|name| is_new(name)) {
            if way == Way::In {
                self.say(place, format!("the new field {name:?} is required"));
            }
        }
    }
}

/// One kind of value that a schema allows.
struct Alternative<'a> {
    /// As JSON Schema calls it; `any` where it says nothing.
    kind: &'a str,
    schema: &'a Value,
}

impl Alternative<'_> {
    fn takes(&self, other: &Self) -> bool {
        self.kind == other.kind || self.kind == "any" || (self.kind, other.kind) == ("number", "integer")
    }
}

fn alternatives<'a>(document: &'a Value, schema: &'a Value) -> Vec<Alternative<'a>> {
    let schema = follow(document, schema);
    if let Some(all) = schema["oneOf"].as_array().or(schema["anyOf"].as_array()) {
        return all.iter().flat_map(|one| alternatives(document, one)).collect();
    }
    let kinds = match &schema["type"] {
        Value::String(kind) => vec![kind.as_str()],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => vec!["any"],
    };
    kinds.into_iter().map(|kind| Alternative { kind, schema }).collect()
}

fn follow<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(target) => follow(document, document.pointer(target.trim_start_matches('#')).unwrap_or(&Value::Null)),
        None => value,
    }
}

/// The only values that a schema allows, where it names them; `null` is a kind of its own.
fn values(schema: &Value) -> Option<Vec<&Value>> {
    let listed = schema["enum"].as_array().map(|all| all.iter().collect::<Vec<_>>());
    let listed = listed.or(schema.get("const").map(|only| vec![only]));
    listed.map(|all| all.into_iter().filter(|value| !value.is_null()).collect())
}

fn list(values: &[&Value]) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn fields(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
