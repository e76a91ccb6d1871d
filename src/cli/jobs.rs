use std::time::Duration;

use clap::Subcommand;
use hyper::Method;
use serde_json::Value;

use super::args::Output;
use super::client::Client;
use super::failure::Failure;
use super::output;
use super::progress::Progress;
use super::request::list;
use crate::http::path_segment;

const COLUMNS: &[&str] = &["id", "kind", "target", "state", "created_at", "ended_at", "problem.detail"];
const JOBS: &str = "/api/v1/jobs";
/// How often a job that is waited for is looked at.
const LOOK: Duration = Duration::from_millis(250);

#[derive(Subcommand)]
pub enum JobAction {
    /// Lists them, the newest first
    List {
        /// Only those in this state: queued, running, succeeded, failed or cancelled
        #[arg(long)]
        state: Option<String>,
        /// Only those of this kind, as in turn_session
        #[arg(long)]
        kind: Option<String>,
        /// At most so many
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
    },
    /// Shows one
    Show {
        /// Its id
        id: String,
    },
    /// Shows how far one is until it has ended; one that did not succeed is a failure
    Watch {
        /// Its id
        id: String,
    },
    /// Ends one that waits or runs
    Cancel {
        /// Its id
        id: String,
    },
}

/// `pillarbox job …`
pub fn act(action: JobAction, client: &Client, output: Output) -> Result<(), Failure> {
    match action {
        JobAction::List { state, kind, limit } => {
            let parameters = [("state", state.as_deref()), ("kind", kind.as_deref())];
            list(client, JOBS, &parameters, limit, COLUMNS, output)
        }
        JobAction::Show { id } => show(read(&id, client)?, output),
        JobAction::Watch { id } => started(read(&id, client)?, true, client, output),
        JobAction::Cancel { id } => show(client.send(Method::DELETE, &path(&id), &[], None)?.body, output),
    }
}

/// Shows a job that was just started: at its end, where it is waited for. One that did not succeed then is a failure.
pub fn started(job: Value, wait: bool, client: &Client, output: Output) -> Result<(), Failure> {
    if !wait {
        return show(job, output);
    }
    let (id, mut job) = watch(&job, client)?;
    let (state, problem) = (job["state"].clone(), job["problem"]["detail"].clone());
    if output == Output::Table
        && let Some(fields) = job.as_object_mut()
    {
        fields.remove("dialogue");
    }
    show(job, output)?;
    match state.as_str() {
        Some("succeeded") => Ok(()),
        state => Err(Failure::Failed(format!(
            "the job {id} is {}: {}",
            state.unwrap_or("gone"),
            output::line(problem.as_str().unwrap_or("nothing more is known"))
        ))),
    }
}

/// `pillarbox check`: has the server check its file, and waits for what it finds.
pub fn check(client: &Client, output: Output) -> Result<(), Failure> {
    let started = client.send(Method::POST, "/api/v1/maintenance/check", &[], None)?.body;
    let (_, job) = watch(&started, client)?;
    let findings = job["result"]["findings"].as_array().cloned().unwrap_or_default();
    match output {
        Output::Table => {
            findings.iter().filter_map(Value::as_str).try_for_each(|line| output::print(&format!("{line}\n")))?;
        }
        Output::Json | Output::Yaml => show(job.clone(), output)?,
    }
    match (job["state"].as_str(), findings.len()) {
        (Some("succeeded"), _) if output != Output::Table => Ok(()),
        (Some("succeeded"), _) => output::print("the server's file: clean\n"),
        (_, 0) => {
            let problem = job["problem"]["detail"].as_str().unwrap_or("the check did not end");
            Err(Failure::Failed(output::line(problem)))
        }
        (_, _) => Err(Failure::Damaged(format!(
            "the server's file is damaged: {} findings; stop the server, and mend it with --repair",
            job["result"]["count"]
        ))),
    }
}

/// Shows how far a job is, until it has ended; its id, and how it ended.
pub fn watch(job: &Value, client: &Client) -> Result<(String, Value), Failure> {
    let id = job["id"].as_str().unwrap_or_default().to_owned();
    let (mut shown, progress) = (0, Progress::begin());
    let job = loop {
        let job = read(&id, client)?;
        progress.show(&job);
        // The dialogue only grows.
        let dialogue = job["dialogue"].as_str().unwrap_or_default();
        let new = dialogue.get(shown..).unwrap_or_default();
        new.lines().for_each(|line| progress.say(line));
        shown = shown.max(dialogue.len());
        if !matches!(job["state"].as_str(), Some("queued" | "running")) {
            break job;
        }
        std::thread::sleep(LOOK);
    };
    progress.end();
    Ok((id, job))
}

fn path(id: &str) -> String {
    format!("{JOBS}/{}", path_segment(id))
}

fn read(id: &str, client: &Client) -> Result<Value, Failure> {
    Ok(client.send(Method::GET, &path(id), &[], None)?.body)
}

fn show(job: Value, output: Output) -> Result<(), Failure> {
    output::show_with_text(job, "dialogue", output)
}
