use std::path::Path;

use super::failure::Failure;
use super::output;
use crate::schema::SCHEMA;
use crate::store::{self, Options};

/// Checks a data file that no server has open, and leaves it as it is. Prints each finding as a line.
pub fn check(path: &Path) -> Result<(), Failure> {
    if !path.exists() {
        return Err(Failure::NotFound(format!("there is no file {}: name one with --data", path.display())));
    }
    let findings = store::verify(&Options::at(path), &SCHEMA).map_err(Failure::Open)?;
    let lines = findings.lines();
    if lines.is_empty() {
        return output::print(&format!("{}: clean\n", path.display()));
    }
    output::print(&format!("{}\n", lines.join("\n")))?;
    Err(Failure::Damaged(format!("{} is damaged: {} findings; restore a backup", path.display(), lines.len())))
}
