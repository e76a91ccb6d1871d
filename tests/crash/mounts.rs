//! File systems of a test's own: where they are mounted, and what a run that was killed has left of them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::site::say;

/// How the folders are called that have mount points; the number of the process follows.
const PREFIX: &str = "pillarbox-mounts-";

/// A folder for mount points. What killed runs have left is unmounted and removed first.
pub fn folder() -> tempfile::TempDir {
    sweep();
    let prefix = format!("{PREFIX}{}-", std::process::id());
    tempfile::Builder::new().prefix(&prefix).tempdir().expect("a temporary folder")
}

/// Unmounts what is mounted there: at once, or else as soon as nobody has a file of it open.
pub fn unmount(place: &Path) {
    if let Err(error) = run("umount", &[text(place)]) {
        // What holds it may need a moment to let go.
        say(&format!("{error}: it is unmounted when it is free"));
        if let Err(error) = run("umount", &["--lazy", text(place)]) {
            say(&error);
        }
    }
}

/// Runs a program of root's; why it failed.
pub fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    // mkfs is not on everybody's path.
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let mut line = Command::new(program);
    let output = line.args(arguments).env("PATH", path).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() { Ok(()) } else { Err(format!("{program} {}: {said}", arguments.join(" "))) }
}

pub fn text(path: &Path) -> &str {
    path.to_str().expect("a temporary path is UTF-8")
}

fn sweep() {
    // One that has ended, and that nobody has waited for, has no program any more.
    let is_over = |process: u32| {
        let program = fs::read_link(format!("/proc/{process}/exe"));
        program.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    };
    let mounted = || fs::read_to_string("/proc/mounts").unwrap_or_default();
    for place in left(&mounted(), is_over) {
        say(&format!("{} was left by a run that was killed", place.display()));
        // One that is frozen can't be unmounted; the others are not.
        let _ = run("fsfreeze", &["--unfreeze", text(&place)]);
        unmount(&place);
    }
    let still_mounted = mounted();
    let folders = fs::read_dir(std::env::temp_dir()).into_iter().flatten().filter_map(Result::ok);
    for folder in folders.map(|entry| entry.path()) {
        let is_left = process_of(&folder).is_some_and(is_over) && !still_mounted.contains(text(&folder));
        if is_left && let Err(error) = fs::remove_dir_all(&folder) {
            say(&format!("{}: {error}", folder.display()));
        }
    }
}

/// What is mounted below a folder of a process that is over, by the lines of /proc/mounts: what was mounted last first,
/// since it may lie in what was mounted before.
fn left(mounts: &str, is_over: impl Fn(u32) -> bool) -> Vec<PathBuf> {
    let places = mounts.lines().filter_map(|line| line.split(' ').nth(1)).map(Path::new);
    let mut left: Vec<PathBuf> =
        places.filter(|place| process_of(place).is_some_and(&is_over)).map(Path::to_owned).collect();
    left.reverse();
    left
}

/// The process whose folder a path lies in, or is.
fn process_of(path: &Path) -> Option<u32> {
    let names = path.iter().filter_map(|name| name.to_str()?.strip_prefix(PREFIX));
    names.filter_map(|rest| rest.split('-').next()?.parse().ok()).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(mounts: &str, expected: &[&str]) {
        let seen = left(mounts, |process| process != 7);
        assert_eq!(seen, expected.iter().map(PathBuf::from).collect::<Vec<_>>());
    }

    #[test]
    fn what_a_killed_run_left_is_known_from_what_is_in_use() {
        check("", &[]);
        check("/dev/vda / ext4 rw 0 0\ntmpfs /tmp/pillarbox-mounts-x tmpfs rw 0 0\n", &[]);
        check(
            "/dev/loop0 /tmp/pillarbox-mounts-8-Ab/outer ext4 rw 0 0\n/dev/loop1 /tmp/pillarbox-mounts-8-Ab/inner ext4 rw 0 0\n\
             tmpfs /tmp/pillarbox-mounts-7-Cd/disk tmpfs rw 0 0\n",
            &["/tmp/pillarbox-mounts-8-Ab/inner", "/tmp/pillarbox-mounts-8-Ab/outer"],
        );
    }
}
