use clap::ValueEnum;
use hyper::Method;
use serde_json::{Map, Value};

use super::args::Output;
use super::client::Client;
use super::failure::Failure;
use super::output;
use crate::base::limits;
use crate::http::path_segment;

/// The parameters of a query: none for those that have no value.
pub fn query(parameters: &[(&str, Option<&str>)]) -> String {
    let pairs = parameters.iter().filter_map(|(name, value)| Some(format!("{name}={}", path_segment((*value)?))));
    pairs.collect::<Vec<_>>().join("&")
}

/// Reads a list page after page, at most `limit` items, and prints it with these columns.
pub fn list(
    client: &Client,
    path: &str,
    parameters: &[(&str, Option<&str>)],
    limit: Option<usize>,
    columns: &[&str],
    output: Output,
) -> Result<(), Failure> {
    let wanted = limit.unwrap_or(usize::MAX);
    let (mut items, mut cursor) = (Vec::new(), None::<String>);
    while items.len() < wanted {
        let limit = (wanted - items.len()).min(limits::PAGE_ITEMS_MAX).to_string();
        let mut all = vec![("limit", Some(limit.as_str())), ("cursor", cursor.as_deref())];
        all.extend_from_slice(parameters);
        let mut page = client.send(Method::GET, &format!("{path}?{}", query(&all)), &[], None)?.body;
        items.extend(page["items"].as_array_mut().map(std::mem::take).unwrap_or_default());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => break,
        }
    }
    output::list(items, columns, output)
}

/// The fields that were given.
pub fn given<const N: usize>(fields: [(&str, Option<Value>); N]) -> Map<String, Value> {
    fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// A repeatable flag: none given says nothing, one empty value says none.
pub fn several(values: Vec<String>) -> Option<Value> {
    (!values.is_empty()).then(|| values.into_iter().filter(|value| !value.is_empty()).collect())
}

/// The word of a value of a closed list.
pub fn word(value: impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// A text that an empty value takes away.
pub fn text_or_none(value: Option<String>) -> Option<Value> {
    value.map(|text| if text.is_empty() { Value::Null } else { text.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_encoded_and_left_out() {
        assert_eq!(query(&[("a", Some("x y&z")), ("b", None), ("c", Some("<>"))]), "a=x%20y%26z&c=%3C%3E");
        assert_eq!(query(&[]), "");
    }
}
