//! Dialogues in which Pillarbox is the client: the file plays the server, and says what becomes of each recipient.

mod courier;
mod play;
mod script;

use std::path::Path;

use libtest_mimic::Failed;

use script::Script;

/// Plays a file.
pub fn play(file: &Path) -> Result<(), Failed> {
    let script = Script::read(file)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let played = runtime.block_on(play::play(&script));
    played.map_err(|(line, error)| Failed::from(format!("{}:{line}: {error}", file.display())))
}
