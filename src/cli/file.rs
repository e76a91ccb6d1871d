use std::path::{Path, PathBuf};

use super::failure::Failure;
use super::output;
use crate::base::{Clock, SystemClock, Timestamp};
use crate::schema::SCHEMA;
use crate::store::{self, Findings, Options, Repaired};

/// Checks a copy that was just written: the first finding is the failure.
pub fn check_quietly(path: &Path) -> Result<(), Failure> {
    let findings = store::verify(&Options::at(path), &SCHEMA).map_err(Failure::Open)?;
    match findings.lines().first() {
        None => Ok(()),
        Some(first) => Err(Failure::Damaged(format!("what came is damaged, and was thrown away: {first}"))),
    }
}

/// `pillarbox restore FILE`: the old file stays, under the name that is printed.
pub fn restore(copy: &Path, data: &Path) -> Result<(), Failure> {
    let aside = named_by_time(data, "before-restore", SystemClock.now());
    let had = data.exists();
    let findings = store::restore(copy, data, &aside, &SCHEMA).map_err(Failure::Open)?;
    if !findings.lines().is_empty() {
        list(&findings)?;
        return Err(Failure::Damaged(format!(
            "{} is damaged: {} findings; nothing was changed",
            copy.display(),
            findings.count()
        )));
    }
    let kept = if had { format!("; the file as it was is {}", aside.display()) } else { String::new() };
    output::print(&format!("{}: restored from {}{kept}\n", data.display(), copy.display()))
}

/// Checks a data file that no server has open, and leaves it as it is. Prints each finding as a line.
pub fn check(path: &Path) -> Result<(), Failure> {
    need(path)?;
    let findings = store::verify(&Options::at(path), &SCHEMA).map_err(Failure::Open)?;
    if findings.lines().is_empty() {
        return output::print(&format!("{}: clean\n", path.display()));
    }
    list(&findings)?;
    let count = findings.count();
    Err(Failure::Damaged(format!(
        "{} is damaged: {count} findings; mend it with --repair, or restore a backup",
        path.display()
    )))
}

/// `pillarbox check --repair FILE`: says what it mended, what it could not, and where the file as it was is.
pub fn repair(path: &Path) -> Result<(), Failure> {
    need(path)?;
    let now = SystemClock.now();
    let before = named_by_time(path, "before-repair", now);
    let options = || Options { disk_reserve_bytes: 0, disk_ballast_bytes: 0, ..Options::at(path) };
    let Repaired { mended, left, before } =
        store::repair(&options, path, &before, &SCHEMA, now).map_err(Failure::Open)?;
    let Some(before) = before else { return output::print(&format!("{}: clean\n", path.display())) };
    for what in &mended {
        output::print(&format!("mended: {what}\n"))?;
    }
    let (count, kept) = (mended.len(), before.display());
    if left.lines().is_empty() {
        return output::print(&format!(
            "{}: clean, {count} findings were mended; the file as it was is {kept}\n",
            path.display()
        ));
    }
    list(&left)?;
    Err(Failure::Damaged(format!(
        "{}: {count} findings were mended, and {} are left; restore a backup, or what is missing from one; the file as it \
         was is {kept}",
        path.display(),
        left.count()
    )))
}

fn need(path: &Path) -> Result<(), Failure> {
    if path.exists() {
        return Ok(());
    }
    Err(Failure::NotFound(format!("there is no file {}: name one with --data", path.display())))
}

fn list(findings: &Findings) -> Result<(), Failure> {
    output::print(&format!("{}\n", findings.lines().join("\n")))?;
    match findings.count() - findings.lines().len() as u64 {
        0 => Ok(()),
        more => output::print(&format!("and {more} more\n")),
    }
}

/// Beside the file, by what it is and the time.
fn named_by_time(path: &Path, what: &str, at: Timestamp) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{what}-{}", at.in_a_name()));
    PathBuf::from(name)
}
