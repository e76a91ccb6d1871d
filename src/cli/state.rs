use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use hyper::Method;
use hyper::header;
use serde_json::{Value, json};

use super::args::Output;
use super::client::Client;
use super::failure::Failure;
use super::output;

const STATE: &str = "/api/v1/state";
/// A thousand passwords in the clear take some time to be hashed.
const PATIENCE: Duration = Duration::from_secs(600);

#[derive(Subcommand)]
pub enum StateAction {
    /// Prints the whole state, as YAML or with -o json: a file to be changed and applied
    #[command(after_help = "Example:\n  pillarbox state get > estate.yaml")]
    Get,
    /// Says what `apply` would change; exit code 0: nothing, 1: something
    #[command(
        after_help = "Examples:\n  pillarbox state diff estate.yaml\n  pillarbox state diff --prune - < estate.json"
    )]
    Diff {
        /// The state, as YAML or JSON; - for stdin
        file: PathBuf,
        #[command(flatten)]
        extent: Extent,
    },
    /// Makes the server as the state says, all of it or nothing
    #[command(after_help = "Examples:\n  pillarbox state apply estate.yaml\n  \
        pillarbox state apply --prune --allow-data-loss old@example.org estate.yaml")]
    Apply {
        /// The state, as YAML or JSON; - for stdin
        file: PathBuf,
        #[command(flatten)]
        extent: Extent,
        /// Only say what would be changed
        #[arg(long)]
        dry_run: bool,
        /// Only if the state is still at this version: the ETag that the REST interface gives
        #[arg(long, value_name = "ETAG")]
        if_match: Option<String>,
    },
}

/// What goes.
#[derive(Args)]
pub struct Extent {
    /// Remove what the file's sections do not name; a section that it leaves out is left alone
    #[arg(long)]
    prune: bool,
    /// An account that may be removed with all its mail; repeatable
    #[arg(long, value_name = "ADDRESS")]
    allow_data_loss: Vec<String>,
}

/// `pillarbox state …`
pub fn act(action: StateAction, client: &Client, output: Output) -> Result<(), Failure> {
    match action {
        StateAction::Get => {
            let state = client.send(Method::GET, STATE, &[], None)?.body;
            output::show(&state, if output == Output::Table { Output::Yaml } else { output })
        }
        StateAction::Diff { file, extent } => {
            let done = put(client, &file, extent, true, None)?;
            show(&done, output)?;
            if is_empty(&done) { Ok(()) } else { Err(Failure::Different) }
        }
        StateAction::Apply { file, extent, dry_run, if_match } => {
            show(&put(client, &file, extent, dry_run, if_match)?, output)
        }
    }
}

/// Reads a state as YAML, of which JSON is a part.
///
/// # Errors
/// [`Failure::Usage`], with the place of what is wrong.
pub fn read_document(file: &Path) -> Result<Value, Failure> {
    let mut text = String::new();
    let read = match file.as_os_str() == "-" {
        true => io::stdin().lock().read_to_string(&mut text),
        false => std::fs::File::open(file).and_then(|mut file| file.read_to_string(&mut text)),
    };
    let wrong = |what: &dyn std::fmt::Display| Failure::Usage(format!("{}: {what}", file.display()));
    read.map_err(|error| wrong(&error))?;
    // By way of YAML's own values: a name that stands twice in a mapping is an error there, and JSON's would take the last.
    let document: serde_yaml_ng::Value = serde_yaml_ng::from_str(&text).map_err(|error| wrong(&error))?;
    let document = serde_json::to_value(document).map_err(|error| wrong(&error))?;
    if document.is_object() {
        return Ok(document);
    }
    Err(wrong(&"a state is a mapping of sections, as in domains: {example.org: {}}"))
}

fn put(
    client: &Client,
    file: &Path,
    extent: Extent,
    dry_run: bool,
    if_match: Option<String>,
) -> Result<Value, Failure> {
    let mut state = read_document(file)?;
    if !extent.allow_data_loss.is_empty() {
        let mut allowed = state["allow_data_loss"].as_array().cloned().unwrap_or_default();
        allowed.extend(extent.allow_data_loss.into_iter().map(Value::from));
        state["allow_data_loss"] = json!(allowed);
    }
    let switch = |name: &str, is_on: bool| is_on.then(|| format!("{name}=true"));
    let switches = [switch("dry_run", dry_run), switch("prune", extent.prune), switch("force", if_match.is_none())];
    let query = switches.into_iter().flatten().collect::<Vec<_>>().join("&");
    let fields: Vec<_> = if_match.map(|tag| (header::IF_MATCH, tag)).into_iter().collect();
    let answer = client.patient(PATIENCE).send(Method::PUT, &format!("{STATE}?{query}"), &fields, Some(&state))?;
    Ok(answer.body)
}

fn is_empty(done: &Value) -> bool {
    done["changes"].as_array().is_none_or(Vec::is_empty)
}

fn show(done: &Value, output: Output) -> Result<(), Failure> {
    for warning in done["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        eprintln!("{}", output::line(warning));
    }
    if output != Output::Table {
        return output::show(done, output);
    }
    let is_coloured = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    output::print(&text(done, is_coloured))
}

/// The changes as people read them.
fn text(done: &Value, is_coloured: bool) -> String {
    let mut text = String::new();
    let mut counts = [0; 3];
    for change in done["changes"].as_array().into_iter().flatten() {
        let (kind, mark, colour) = match change["op"].as_str() {
            Some("add") => (0, '+', "32"),
            Some("remove") => (2, '-', "31"),
            _ => (1, '~', "33"),
        };
        counts[kind] += 1;
        let (before, after) = (&change["before"], &change["after"]);
        let what = match kind {
            0 => after.to_string(),
            1 => format!("{} -> {}", seen(before), seen(after)),
            _ => String::new(),
        };
        let path = change["path"].as_str().unwrap_or_default().trim_start_matches('/');
        let line = output::line(&format!("{mark} {} {what}", path.replace("~1", "/").replace("~0", "~")));
        let line = line.trim_end();
        match is_coloured {
            true => text.push_str(&format!("\u{1b}[{colour}m{line}\u{1b}[0m\n")),
            false => text.push_str(&format!("{line}\n")),
        }
    }
    let tense =
        if done["applied"] == true { ["added", "changed", "removed"] } else { ["to add", "to change", "to remove"] };
    if counts == [0; 3] {
        return "no changes\n".into();
    }
    text.push_str(&format!("{} {}, {} {}, {} {}\n", counts[0], tense[0], counts[1], tense[1], counts[2], tense[2]));
    text
}

fn seen(value: &Value) -> String {
    match value {
        Value::Null => "(default)".into(),
        value if value["new"] == true => "(a new secret)".into(),
        value if value["set"] == true => "(a secret)".into(),
        value if value["set"] == false => "(none)".into(),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_read_by_people() {
        let done = json!({"applied": false, "changes": [
            {"op": "add", "path": "/domains/x.test", "before": null, "after": {"enabled": true}},
            {"op": "change", "path": "/accounts/a~1b@x.test/display_name", "before": null, "after": "A\u{1b}[2J"},
            {"op": "change", "path": "/accounts/c@x.test/password", "before": {"set": true}, "after": {"set": true, "new": true}},
            {"op": "remove", "path": "/aliases/i@x.test", "before": {"targets": []}, "after": null},
        ]});
        assert_eq!(
            text(&done, false),
            "+ domains/x.test {\"enabled\":true}\n\
             ~ accounts/a/b@x.test/display_name (default) -> \"A\\u001b[2J\"\n\
             ~ accounts/c@x.test/password (a secret) -> (a new secret)\n\
             - aliases/i@x.test\n\
             1 to add, 2 to change, 1 to remove\n"
        );
        assert!(text(&done, true).starts_with("\u{1b}[32m+ domains/x.test"));
        assert_eq!(text(&json!({"applied": true, "changes": []}), false), "no changes\n");
    }

    #[test]
    fn a_state_is_read_as_yaml_or_json_or_explained() {
        let folder = tempfile::tempdir().unwrap();
        let read = |text: &str| {
            let file = folder.path().join("state");
            std::fs::write(&file, text).unwrap();
            read_document(&file).map_err(|failure| failure.to_string())
        };
        let expected = json!({"domains": {"x.test": {"max_accounts": 5}}});
        assert_eq!(read("domains:\n  x.test: {max_accounts: 5}\n"), Ok(expected.clone()));
        assert_eq!(read(&expected.to_string()), Ok(expected));
        for (text, word) in [("a: [", "line"), ("", "mapping"), ("- a", "mapping"), ("a: {}\na: {}", "duplicate")] {
            let error = read(text).unwrap_err();
            assert!(error.contains(word) && !error.contains('\n'), "{text:?}: {error}");
        }
        assert!(read_document(Path::new("/nowhere/state.yaml")).is_err());
    }
}
