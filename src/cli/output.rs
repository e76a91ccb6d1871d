use std::io::{self, Write};

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};
use serde_json::Value;

use super::args::Output;
use super::failure::Failure;

/// Prints what was asked for.
pub fn print(text: &str) -> Result<(), Failure> {
    print_octets(text.as_bytes())
}

/// The same for what may be no text.
pub fn print_octets(octets: &[u8]) -> Result<(), Failure> {
    match io::stdout().lock().write_all(octets) {
        // Who reads only the beginning, as `head` does, has what it wants.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => Err(Failure::Failed(format!("stdout: {error}"))),
        Ok(()) => Ok(()),
    }
}

/// Prints one thing, a field a line.
pub fn show(thing: &Value, output: Output) -> Result<(), Failure> {
    if output != Output::Table {
        return whole(thing, output);
    }
    let mut fields: Vec<(&String, &Value)> = thing.as_object().into_iter().flatten().collect();
    fields.sort_by_key(|(name, _)| rank(name));
    let mut table = plain();
    for (name, value) in fields {
        table.add_row([name.as_str(), &text(value)]);
    }
    write(&mut table)
}

/// Prints one thing, and below it the list that is one of its fields.
pub fn show_with_list(mut thing: Value, field: &str, columns: &[&str], output: Output) -> Result<(), Failure> {
    if output != Output::Table {
        return whole(&thing, output);
    }
    let items = thing.as_object_mut().and_then(|fields| fields.remove(field));
    show(&thing, output)?;
    match items {
        Some(Value::Array(items)) if !items.is_empty() => {
            print("\n")?;
            list(items, columns, output)
        }
        _ => Ok(()),
    }
}

/// Prints one thing, and below it the text of many lines that is one of its fields.
pub fn show_with_text(mut thing: Value, field: &str, output: Output) -> Result<(), Failure> {
    if output != Output::Table {
        return whole(&thing, output);
    }
    let lines = thing.as_object_mut().and_then(|fields| fields.remove(field));
    show(&thing, output)?;
    match lines.as_ref().and_then(Value::as_str) {
        Some(lines) if !lines.is_empty() => {
            let lines: String = lines.lines().map(|one| format!("{}\n", line(one))).collect();
            print(&format!("\n{lines}"))
        }
        _ => Ok(()),
    }
}

/// What a thing is comes first, when it became so last.
fn rank(field: &str) -> u8 {
    match field {
        "id" | "name" | "address" => 0,
        "secret" => 1,
        "created_at" | "started_at" | "changed_at" | "ended_at" => 3,
        _ => 2,
    }
}

/// Prints a list, a thing a line, with these of its fields; `last.text` is a field of the field `last`, under its name.
pub fn list(items: Vec<Value>, columns: &[&str], output: Output) -> Result<(), Failure> {
    if output != Output::Table {
        return whole(&serde_json::json!({ "items": items }), output);
    }
    if items.is_empty() {
        eprintln!("none");
        return Ok(());
    }
    let mut table = plain();
    table.set_header(columns.iter().map(|column| column.split('.').next().unwrap_or_default().to_uppercase()));
    for item in &items {
        table.add_row(columns.iter().map(|column| text(column.split('.').fold(item, |item, name| &item[name]))));
    }
    write(&mut table)
}

fn write(table: &mut Table) -> Result<(), Failure> {
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    print(&format!("{}\n", table.trim_fmt()))
}

/// For programs: nothing is left out or shortened.
fn whole(value: &Value, output: Output) -> Result<(), Failure> {
    match output {
        Output::Yaml => print(&serde_yaml_ng::to_string(value).map_err(|error| Failure::Failed(error.to_string()))?),
        Output::Table | Output::Json => print(&format!("{value:#}\n")),
    }
}

fn plain() -> Table {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table
}

/// A text as it may stand on a line of a terminal.
pub fn line(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

/// A value as people read it; what could move a terminal's cursor is escaped.
fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".into(),
        Value::Bool(true) => "yes".into(),
        Value::Bool(false) => "no".into(),
        Value::String(text) => line(text),
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
