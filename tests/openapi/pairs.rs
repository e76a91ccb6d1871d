//! Pairs of documents that the comparison must tell apart: a change of each kind, harmless or not.

use serde_json::{Value, json};

use crate::breaking::breaking;

/// A small document with one of everything.
fn base() -> Value {
    json!({
        "paths": {
            "/things/{name}": {
                "get": {
                    "operationId": "get_thing",
                    "security": [{"token": ["things:read"]}],
                    "parameters": [
                        {"name": "name", "in": "path", "required": true, "schema": {"type": "string"}},
                        {"name": "sort", "in": "query", "schema": {"type": "string", "enum": ["name", "size"]}},
                        {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 500}}
                    ],
                    "responses": {
                        "200": {
                            "description": "The thing",
                            "headers": {"ETag": {"schema": {"type": "string"}}},
                            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}}
                        },
                        "404": {"description": "None"}
                    }
                },
                "put": {
                    "operationId": "put_thing",
                    "security": [{"token": ["things:write"]}],
                    "requestBody": {
                        "required": true,
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ThingInput"}}}
                    },
                    "responses": {"200": {"description": "Replaced"}, "201": {"description": "Created"}}
                },
                "delete": {"operationId": "delete_thing", "security": [{}], "responses": {"204": {"description": "Gone"}}}
            }
        },
        "components": {"schemas": {
            "Thing": {
                "type": "object",
                "required": ["name", "kind", "parts"],
                "properties": {
                    "name": {"type": "string"},
                    "kind": {"type": "string", "enum": ["small", "large"]},
                    "size_bytes": {"type": ["integer", "null"]},
                    "parts": {"type": "array", "items": {"$ref": "#/components/schemas/Thing"}},
                    "owner": {"oneOf": [{"type": "null"}, {"$ref": "#/components/schemas/Owner"}]}
                }
            },
            "Owner": {"type": "object", "required": ["address"], "properties": {"address": {"type": "string"}}},
            "ThingInput": {
                "type": "object",
                "additionalProperties": false,
                "required": ["kind"],
                "properties": {
                    "kind": {"type": "string", "enum": ["small", "large"]},
                    "note": {"type": ["string", "null"], "maxLength": 100},
                    "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 10}
                }
            }
        }}
    })
}

/// Puts `value` at the place of the new document (`null`: takes away what is there), and compares. `expected` is a part
/// of what must be found; `None`: nothing.
fn check(place: &str, value: Value, expected: Option<&str>) {
    let (old, mut new) = (base(), base());
    let (parent, name) = place.rsplit_once('/').expect("a JSON pointer");
    let parent = new.pointer_mut(parent).unwrap_or_else(|| panic!("{place} is not in the document"));
    match parent {
        Value::Array(items) if name == "-" => items.push(value.clone()),
        Value::Array(items) if value.is_null() => drop(items.remove(name.parse().expect("a number"))),
        parent if value.is_null() => drop(parent.as_object_mut().expect("an object").remove(&name.replace("~1", "/"))),
        parent => parent[name.replace("~1", "/")] = value.clone(),
    }
    assert_ne!(old, new, "{place}: the change changes nothing");
    let found = breaking(&old, &new);
    match expected {
        None => assert!(found.is_empty(), "{place} = {value}: {found:?}"),
        Some(part) => {
            assert!(found.len() == 1 && found[0].contains(part), "{place} = {value}: {found:?}, not {part:?}")
        }
    }
}

const GET: &str = "/paths/~1things~1{name}/get";
const PUT: &str = "/paths/~1things~1{name}/put";
const THING: &str = "/components/schemas/Thing";
const INPUT: &str = "/components/schemas/ThingInput";

#[test]
fn operations() {
    let gone = Value::Null;
    check("/paths/~1things~1{name}", gone.clone(), Some("the path is gone"));
    check(PUT, gone.clone(), Some("PUT /things/{name}: the method is gone"));
    check(&format!("{GET}/operationId"), json!("fetch_thing"), Some("operationId"));
    check(&format!("{GET}/security"), json!([{"token": ["admin"]}]), Some("it was open to"));
    check(&format!("{GET}/security"), json!([{"token": ["things:read"]}, {"session": ["things:read"]}]), None);
    check(&format!("{PUT}/responses/201"), gone.clone(), Some("does not answer 201"));
    check(&format!("{PUT}/responses/409"), json!({"description": "Conflict"}), None);
    check(&format!("{GET}/responses/404"), gone.clone(), None);
    check(&format!("{GET}/responses/200/headers/ETag"), gone.clone(), Some("the header ETag is gone"));
    check(&format!("{GET}/responses/200/content/application~1json"), gone, Some("application/json is gone"));
    check("/paths/~1others", json!({"get": {"operationId": "list_others"}}), None);
    check(&format!("{GET}/summary"), json!("Words are free."), None);
}

#[test]
fn parameters() {
    let sort = format!("{GET}/parameters/1");
    let limit = format!("{GET}/parameters/2/schema");
    check(&sort, Value::Null, Some("?sort: the parameter is gone"));
    check(&format!("{sort}/required"), json!(true), Some("required now"));
    check(&format!("{sort}/schema/enum"), json!(["name"]), Some("\"size\" is not taken any more"));
    check(&format!("{sort}/schema/enum"), json!(["name", "size", "age"]), None);
    check(&format!("{sort}/schema/enum"), Value::Null, None);
    check(&format!("{limit}/maximum"), json!(100), Some("maximum was 500, is 100"));
    check(&format!("{limit}/maximum"), json!(1000), None);
    check(&format!("{limit}/maximum"), Value::Null, None);
    check(&format!("{limit}/minimum"), json!(2), Some("minimum"));
    check(&format!("{limit}/type"), json!("string"), Some("integer is not taken any more"));
    check(&format!("{limit}/type"), json!("number"), None);
    let new = |required: bool| json!({"name": "q", "in": "query", "required": required, "schema": {"type": "string"}});
    check(&format!("{GET}/parameters/-"), new(true), Some("the new parameter \"q\" is required"));
    check(&format!("{GET}/parameters/-"), new(false), None);
    check(&format!("{GET}/parameters/0/name"), json!("thing"), None);
}

#[test]
fn what_is_sent() {
    let property = |name: &str| format!("{INPUT}/properties/{name}");
    check(&property("note"), Value::Null, Some("/note: the field is gone"));
    check(&property("colour"), json!({"type": "string"}), None);
    check(&format!("{INPUT}/required"), json!(["kind", "note"]), Some("/note: the field is required now"));
    check(&format!("{INPUT}/required"), json!(["kind", "colour"]), Some("the new field \"colour\" is required"));
    check(&format!("{INPUT}/required"), json!([]), None);
    check(&format!("{}/enum", property("kind")), json!(["large"]), Some("\"small\" is not taken any more"));
    check(&format!("{}/enum", property("kind")), json!(["small", "large", "huge"]), None);
    check(&format!("{}/type", property("note")), json!("string"), Some("null is not taken any more"));
    check(&format!("{}/enum", property("note")), json!(["yes"]), Some("only \"yes\" now"));
    check(&format!("{}/pattern", property("note")), json!("^x"), Some("the pattern"));
    check(&format!("{}/maxLength", property("note")), json!(99), Some("maxLength"));
    check(&format!("{}/minLength", property("note")), json!(1), Some("minLength"));
    check(&format!("{}/minLength", property("note")), json!(0), None);
    check(&format!("{}/maxItems", property("tags")), json!(9), Some("maxItems"));
    check(&format!("{}/items/type", property("tags")), json!("integer"), Some("/tags/*: string is not taken"));
    check(&format!("{PUT}/requestBody"), Value::Null, Some("it takes no body any more"));
    check(&format!("{GET}/requestBody"), json!({"required": true, "content": {}}), Some("it needs a body now"));
    check(&format!("{GET}/requestBody"), json!({"content": {}}), None);
}

#[test]
fn what_is_read() {
    let property = |name: &str| format!("{THING}/properties/{name}");
    check(&property("size_bytes"), Value::Null, Some("/size_bytes: the field is gone"));
    check(&property("colour"), json!({"type": "string"}), None);
    check(&format!("{THING}/required"), json!(["name", "kind"]), Some("/parts: the field may be absent now"));
    check(&format!("{THING}/required"), json!(["name", "kind", "parts", "size_bytes"]), None);
    check(&format!("{}/enum", property("kind")), json!(["small", "large", "huge"]), None);
    check(&format!("{}/enum", property("kind")), json!(["small"]), None);
    check(&format!("{}/enum", property("kind")), Value::Null, None);
    check(&format!("{}/type", property("name")), json!(["string", "null"]), Some("/name: it may be null now"));
    check(&format!("{}/type", property("size_bytes")), json!("integer"), None);
    check(&format!("{}/type", property("size_bytes")), json!(["string", "null"]), Some("it may be string now"));
    check(&format!("{}/maximum", property("size_bytes")), json!(10), None);
    check(&format!("{}/items", property("parts")), json!({"type": "string"}), Some("/parts/*: it may be string now"));
    check(&property("owner"), json!({"$ref": "#/components/schemas/Owner"}), None);
    check("/components/schemas/Owner/properties/address", Value::Null, Some("/owner/address: the field is gone"));
}
