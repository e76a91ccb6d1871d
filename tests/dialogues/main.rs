//! Plays every file below this folder as one test: what a client says, and what the server has to answer.
//!
//! The language of the files is described in the README beside this file.

mod certificate;
mod house;
mod imap;
mod maildrop;
mod outward;
mod play;
mod script;
mod stage;
mod text;
#[allow(dead_code, reason = "shared with tests/hostile")]
mod wire;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use libtest_mimic::{Arguments, Failed, Trial};

use script::{Action, Script};
use stage::Stage;

/// The folders, and the listener that a dialogue in them is with where it names no other.
const FOLDERS: [(&str, &str); 6] = [
    ("smtp", "smtp"),
    ("submission", "submission"),
    ("pop3", "pop3"),
    ("imap", "imap"),
    ("turn", "smtp"),
    ("odmr", "odmr"),
];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dialogues");
    let stage = Stage::from_environment().map(|stage| Arc::new(Mutex::new(stage)));
    let trials = FOLDERS.iter().flat_map(|(folder, listener)| {
        let files = files(&root.join(folder)).into_iter();
        files.map(|file| trial(folder, listener, &file, stage.clone())).collect::<Vec<_>>()
    });
    // A server elsewhere has no part in those where we are the client.
    let here = stage.is_none();
    let outward = files(&root.join("client")).into_iter().map(|file| {
        let name = format!("client::{}", file.file_stem().unwrap_or_default().to_string_lossy());
        Trial::test(name, move || outward::play(&file)).with_ignored_flag(!here)
    });
    libtest_mimic::run(&arguments, trials.chain(outward).collect()).exit_code()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    files
}

fn trial(folder: &str, listener: &'static str, file: &Path, stage: Option<Arc<Mutex<Stage>>>) -> Trial {
    let name = format!("{folder}::{}", file.file_stem().unwrap_or_default().to_string_lossy());
    let script = match Script::read(file) {
        Ok(script) => script,
        Err(error) => return Trial::test(name, move || Err(Failed::from(error))),
    };
    let left_out = stage.as_ref().is_some_and(|stage| !fits(&script, listener, &stage.lock().unwrap()));
    let file = file.to_owned();
    let test = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let played = match &stage {
            // A peer's mailboxes are one for all: its dialogues are played one after the other.
            Some(stage) => {
                let stage = stage.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                runtime.block_on(async {
                    maildrop::clear_all(&stage).await.map_err(|error| (0, error))?;
                    play::play(&script, &stage, listener).await
                })
            }
            None => runtime.block_on(async {
                let stage = Stage::in_process(&script.settings).await.map_err(|error| (0, error))?;
                play::play(&script, &stage, listener).await?;
                stage.settle(0).await.and_then(|()| stage.examine()).map_err(|error| (0, error))
            }),
        };
        played.map_err(|(line, error)| Failed::from(format!("{}:{line}: {error}", file.display())))
    };
    Trial::test(name, test).with_ignored_flag(left_out)
}

/// Whether a server behind a socket can play a script: it has the listeners, and is not asked for what only we do.
fn fits(script: &Script, listener: &str, stage: &Stage) -> bool {
    let step_fits = |action: &Action| match action {
        Action::Connection { listener: Some(listener), .. } => stage.has(listener),
        Action::Clock { .. } | Action::From(_) | Action::Peer(_) | Action::Queue { .. } | Action::Session(_) => false,
        Action::AppPassword { .. } | Action::Revoke { .. } | Action::LastUse { .. } => false,
        _ => true,
    };
    let for_all = script.only_pillarbox.is_none() || stage.peer() == "pillarbox";
    for_all
        && script.settings.is_empty()
        && stage.has(listener)
        && script.steps.iter().all(|step| step_fits(&step.action))
}
