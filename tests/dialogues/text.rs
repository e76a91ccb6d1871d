//! What a text of a dialogue stands for: `${…}` and backslash escapes, into octets.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The values of `${name}`.
pub type Variables = BTreeMap<String, String>;

/// The octets that a text stands for.
///
/// `${name}` is a variable, `${base64:…}` its text in base64, `${repeat:N:…}` its text N times; `\r \n \t \0 \\ \xNN`
/// are octets.
pub fn octets(text: &str, variables: &Variables) -> Result<Vec<u8>, String> {
    unescape(&substitute(text, variables, &|value| value.replace('\\', "\\\\"))?)
}

/// A regular expression with its variables put in as they are.
pub fn regex(text: &str, variables: &Variables) -> Result<String, String> {
    substitute(text, variables, &|value| regex_lite::escape(value))
}

fn substitute(text: &str, variables: &Variables, quote: &dyn Fn(&str) -> String) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        out.push_str(before);
        let end = closing(after).ok_or_else(|| format!("${{ without }} in {text}"))?;
        let (name, remainder) = after.split_at(end);
        if let Some(inner) = name.strip_prefix("base64:") {
            out.push_str(&quote(&STANDARD.encode(octets(inner, variables)?)));
        } else if let Some((count, inner)) = name.strip_prefix("repeat:").and_then(|rest| rest.split_once(':')) {
            let count: usize = count.parse().map_err(|_| format!("not a number: {count}"))?;
            out.push_str(&substitute(inner, variables, quote)?.repeat(count));
        } else {
            out.push_str(&quote(variables.get(name).ok_or_else(|| format!("nothing is called ${{{name}}}"))?));
        }
        rest = &remainder[1..];
    }
    out.push_str(rest);
    Ok(out)
}

/// Where the brace closes that was opened just before `text`.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 1;
    text.char_indices().find_map(|(at, c)| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        (depth == 0).then_some(at)
    })
}

fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let octet = match bytes.next() {
            Some(b'r') => b'\r',
            Some(b'n') => b'\n',
            Some(b't') => b'\t',
            Some(b'0') => 0,
            Some(b'\\') => b'\\',
            Some(b'x') => {
                let digits = [bytes.next().unwrap_or(b'?'), bytes.next().unwrap_or(b'?')];
                let digits = std::str::from_utf8(&digits).unwrap_or("?");
                u8::from_str_radix(digits, 16).map_err(|_| format!("not an octet: \\x{digits}"))?
            }
            // IMAP's flags and attributes
            Some(other) if other.is_ascii_uppercase() || other == b'*' => {
                out.push(b'\\');
                other
            }
            other => return Err(format!("no such escape: \\{}", other.map_or(' ', char::from))),
        };
        out.push(octet);
    }
    Ok(out)
}

/// Octets as a transcript shows them.
pub fn shown(octets: &[u8]) -> String {
    let text = String::from_utf8_lossy(octets);
    let text: String = text.chars().take(300).collect();
    text.replace('\r', "\\r").replace('\n', "\\n").replace('\0', "\\0")
}

/// Octets in base64.
pub fn base64(octets: &[u8]) -> String {
    STANDARD.encode(octets)
}
