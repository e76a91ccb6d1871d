use std::io::{self, Write};

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};
use serde_json::Value;

use super::args::Output;
use super::failure::Failure;

/// Prints what was asked for.
pub fn print(text: &str) -> Result<(), Failure> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        // Who reads only the beginning, as `head` does, has what it wants.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::Failed(format!("stdout: {error}"))),
        _ => Ok(()),
    }
}

/// Prints one thing, a field a line.
pub fn show(thing: &Value, output: Output) -> Result<(), Failure> {
    if output == Output::Json {
        return json(thing);
    }
    let mut fields: Vec<(&String, &Value)> = thing.as_object().into_iter().flatten().collect();
    fields.sort_by_key(|(name, _)| rank(name));
    let mut table = plain();
    for (name, value) in fields {
        table.add_row([name.as_str(), &text(value)]);
    }
    write(&mut table)
}

/// What a thing is comes first, when it became so last.
fn rank(field: &str) -> u8 {
    match field {
        "id" | "name" | "address" => 0,
        "secret" => 1,
        "created_at" | "changed_at" => 3,
        _ => 2,
    }
}

/// Prints a list, a thing a line, with these of its fields.
pub fn list(items: Vec<Value>, columns: &[&str], output: Output) -> Result<(), Failure> {
    if output == Output::Json {
        return json(&serde_json::json!({ "items": items }));
    }
    if items.is_empty() {
        eprintln!("none");
        return Ok(());
    }
    let mut table = plain();
    table.set_header(columns.iter().map(|column| column.to_uppercase()));
    for item in &items {
        table.add_row(columns.iter().map(|column| text(&item[*column])));
    }
    write(&mut table)
}

fn write(table: &mut Table) -> Result<(), Failure> {
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    print(&format!("{}\n", table.trim_fmt()))
}

fn json(value: &Value) -> Result<(), Failure> {
    print(&format!("{value:#}\n"))
}

fn plain() -> Table {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table
}

/// A value as people read it; what could move a terminal's cursor is escaped.
fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".into(),
        Value::Bool(true) => "yes".into(),
        Value::Bool(false) => "no".into(),
        Value::String(text) => {
            text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
        }
        Value::Array(items) if items.is_empty() => "-".into(),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => {
            let fields = fields.iter().filter(|(_, value)| !value.is_null());
            fields.map(|(name, value)| format!("{name}: {}", text(value))).collect::<Vec<_>>().join(", ")
        }
        Value::Number(number) => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_read_by_people() {
        for (value, expected) in [
            (json!(null), "-"),
            (json!(true), "yes"),
            (json!([]), "-"),
            (json!(["a", "b"]), "a, b"),
            (json!({"set": true, "changed_at": null}), "set: yes"),
            (json!("a\u{1b}[2J\n"), "a\\u{1b}[2J\\n"),
            (json!(7), "7"),
        ] {
            assert_eq!(text(&value), expected);
        }
    }
}
