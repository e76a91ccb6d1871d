use clap::Subcommand;
use hyper::Method;
use serde_json::{Map, Value};

use super::args::Output;
use super::client::Client;
use super::failure::Failure;
use super::output;
use crate::http::path_segment;

const SETTINGS: &str = "/api/v1/settings";
const COLUMNS: &[&str] = &["key", "value", "source", "in_force", "doc"];

#[derive(Subcommand)]
pub enum SettingsAction {
    /// Lists them all, or those whose key contains a text
    #[command(after_help = "Example:\n  pillarbox settings list queue.")]
    List {
        /// Only keys that contain this
        text: Option<String>,
    },
    /// Shows one
    Get {
        /// Its key, as in limits.recipients
        key: String,
    },
    /// Sets some, all or none of them
    #[command(after_help = "Example:\n  pillarbox settings set limits.recipients=500 queue.retry_seconds=60,600,3600")]
    Set {
        /// What --set of `serve` takes
        #[arg(required = true, value_name = "KEY=VALUE")]
        values: Vec<String>,
    },
    /// Takes some back to their defaults
    #[command(after_help = "Example:\n  pillarbox settings unset limits.recipients")]
    Unset {
        /// Their keys
        #[arg(required = true, value_name = "KEY")]
        keys: Vec<String>,
    },
}

/// `pillarbox settings …`
pub fn act(action: SettingsAction, client: &Client, output: Output) -> Result<(), Failure> {
    match action {
        SettingsAction::List { text } => {
            let text = text.unwrap_or_default();
            let items = items(client.send(Method::GET, SETTINGS, &[], None)?.body);
            let wanted = |item: &Value| item["key"].as_str().is_some_and(|key| key.contains(&text));
            output::list(items.into_iter().filter(wanted).collect(), COLUMNS, output)
        }
        SettingsAction::Get { key } => {
            let path = format!("{SETTINGS}/{}", path_segment(&key));
            output::show(&client.send(Method::GET, &path, &[], None)?.body, output)
        }
        SettingsAction::Set { values } => {
            let values = values.iter().map(|text| match text.split_once('=') {
                Some((key, value)) => Ok((key.trim().to_owned(), Value::from(value.trim()))),
                None => Err(Failure::Usage(format!("{text:?} has no value: the form is KEY=VALUE"))),
            });
            patch(values.collect::<Result<_, _>>()?, client, output)
        }
        SettingsAction::Unset { keys } => {
            patch(keys.into_iter().map(|key| (key, Value::Null)).collect(), client, output)
        }
    }
}

fn patch(values: Map<String, Value>, client: &Client, output: Output) -> Result<(), Failure> {
    let path = format!("{SETTINGS}?force=true");
    let items = items(client.send(Method::PATCH, &path, &[], Some(&Value::Object(values)))?.body);
    for item in &items {
        let key = item["key"].as_str().unwrap_or_default();
        if item["overridden"] == true {
            let by = if item["source"] == "flag" { "--set" } else { "PILLARBOX_SET" };
            eprintln!("{key} is kept, but {by} is in force over it");
        } else if item["in_force"] == false {
            eprintln!("{key} comes into force at the next start");
        }
    }
    output::list(items, &COLUMNS[..4], output)
}

fn items(mut body: Value) -> Vec<Value> {
    body["items"].as_array_mut().map(std::mem::take).unwrap_or_default()
}
