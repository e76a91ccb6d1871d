use memchr::memchr2;
use serde_json::Value;

use super::problem::{Code, Fault, Problem};
use crate::base::limits;

/// Makes JSON of octets that hold at most `values_max` names and values, none deeper than [`limits::JSON_LEVELS`].
///
/// That is counted before anything is made: ten million octets of `[],` would else become hundreds of millions.
///
/// # Errors
/// 422 when there is too much of it, 400 when it is no JSON.
pub(super) fn read(bytes: &[u8], values_max: usize) -> Result<Value, Problem> {
    if let Err(excess) = weigh(bytes, values_max) {
        let (code, message) = match excess {
            Excess::Values => ("too_many_values", format!("at most {values_max} names and values in one body")),
            Excess::Levels => ("too_deep", format!("more than {} levels", limits::JSON_LEVELS)),
        };
        return Err(Problem::invalid(vec![Fault::body("", code, message)]));
    }
    serde_json::from_slice(bytes).map_err(|error| {
        Problem::new(Code::MalformedJson, format!("The body is not JSON: {error}. An empty object is {{}}."))
    })
}

/// What there is too much of.
#[derive(Debug, PartialEq, Eq)]
enum Excess {
    Values,
    Levels,
}

/// Counts names and values: each text, each number or word, each array and object. In what is no JSON it counts something
/// of the kind, and reading says what is wrong.
fn weigh(bytes: &[u8], values_max: usize) -> Result<usize, Excess> {
    let (mut count, mut levels, mut at, mut in_word) = (0, 0_usize, 0, false);
    while let Some(byte) = bytes.get(at) {
        let was_in_word = std::mem::take(&mut in_word);
        match byte {
            b'"' => {
                count += 1;
                at = end_of_text(bytes, at + 1);
            }
            b'[' | b'{' => {
                count += 1;
                levels += 1;
            }
            b']' | b'}' => levels = levels.saturating_sub(1),
            b',' | b':' | b' ' | b'\t' | b'\r' | b'\n' => {}
            _ => {
                count += usize::from(!was_in_word);
                in_word = true;
            }
        }
        if count > values_max {
            return Err(Excess::Values);
        }
        if levels > limits::JSON_LEVELS {
            return Err(Excess::Levels);
        }
        at += 1;
    }
    Ok(count)
}

/// Where the text that begins at `at` has its closing quote; the end of all where it has none.
fn end_of_text(bytes: &[u8], mut at: usize) -> usize {
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        at += found;
        if bytes[at] == b'"' {
            return at;
        }
        // What stands behind a backslash ends nothing.
        at += 2;
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_counted() {
        let check = |text: &str, expected: usize| assert_eq!(weigh(text.as_bytes(), 100), Ok(expected), "{text}");
        check("", 0);
        check("{}", 1);
        check("null", 1);
        check(" -1.5e+3 ", 1);
        check("[1,2 , 3]", 4);
        check("[[],[],{}]", 4);
        check(r#"{"a":0,"b":"x","c":{"d":true}}"#, 9);
        check(r#"["[[[,{:", "\"[1,2]", "\\", "é"]"#, 5);
        check("[true,false,null]", 4);
        // No JSON, and no fault of the counting.
        check(r#"["a"#, 2);
        check(r#"["a\"#, 2);
        check("]]}}[", 1);
    }

    #[test]
    fn what_is_counted_is_what_is_made() {
        fn made(value: &Value) -> usize {
            1 + match value {
                Value::Array(items) => items.iter().map(made).sum(),
                Value::Object(fields) => fields.values().map(|value| 1 + made(value)).sum(),
                _ => 0,
            }
        }
        let document = crate::http::document::json();
        for text in [document.to_string(), format!("{document:#}")] {
            assert_eq!(weigh(text.as_bytes(), usize::MAX), Ok(made(document)));
        }
    }

    #[test]
    fn too_much_is_refused_before_it_is_made() {
        let check = |text: String, expected: Option<&str>| {
            let seen = read(text.as_bytes(), limits::JSON_VALUES).err().map(|problem| format!("{problem:?}"));
            match expected {
                Some(code) => assert!(seen.as_ref().is_some_and(|seen| seen.contains(code)), "{code}: {seen:?}"),
                None => assert_eq!(seen, None),
            }
        };
        let arrays = |count: usize| format!("[{}[]]", "[],".repeat(count - 1));
        check(arrays(5_000_000), Some("too_many_values"));
        check(arrays(limits::JSON_VALUES), Some("too_many_values"));
        check(arrays(limits::JSON_VALUES - 1), None);
        check(format!("{{{}\"a\":0}}", "\"a\":0,".repeat(limits::JSON_VALUES / 2)), Some("too_many_values"));
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        check(nested(limits::JSON_LEVELS), None);
        check(nested(limits::JSON_LEVELS + 1), Some("too_deep"));
        check(nested(5_000_000), Some("too_deep"));
        // However long it is, a text is one.
        check(format!("[\"{}\"]", "[],".repeat(1_000_000)), None);
        check("[1,]".into(), Some("MalformedJson"));
    }
}
