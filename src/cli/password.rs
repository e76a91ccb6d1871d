use std::fs;
use std::io::{self, IsTerminal, Read, Write};
use std::path::Path;

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use super::failure::Failure;
use crate::base::Secret;

/// A password from a file, or from stdin when the file is `-`; one line end at its end does not count.
pub fn from_file(path: &Path) -> Result<Secret<String>, Failure> {
    let read = if path == Path::new("-") {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        fs::read_to_string(path)
    };
    let text = Secret::new(read.map_err(|error| Failure::Failed(format!("{}: {error}", path.display())))?);
    let line = text.expose();
    let line = line.strip_suffix('\n').map_or(line.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
    if line.is_empty() {
        return Err(Failure::Usage(format!("{}: the password is empty", path.display())));
    }
    Ok(Secret::new(line.to_owned()))
}

/// Asks for a password on the terminal, twice and without showing it; `None` when it is left empty, or when there is
/// no terminal to ask on.
pub fn ask() -> Result<Option<Secret<String>>, Failure> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Ok(None);
    }
    let first = read_hidden("Password (empty: leave it as it is): ")?;
    if first.expose().is_empty() {
        return Ok(None);
    }
    let second = read_hidden("The same again: ")?;
    if first.expose() != second.expose() {
        return Err(Failure::Usage("the two passwords differ".into()));
    }
    Ok(Some(first))
}

fn read_hidden(prompt: &str) -> Result<Secret<String>, Failure> {
    let failed = |error: io::Error| Failure::Failed(format!("the terminal can't be read: {error}"));
    eprint!("{prompt}");
    io::stderr().flush().map_err(failed)?;
    let hidden = Hidden::start().map_err(failed)?;
    let mut line = String::new();
    let read = io::stdin().read_line(&mut line);
    drop(hidden);
    eprintln!();
    read.map_err(failed)?;
    let line = Secret::new(line);
    Ok(Secret::new(line.expose().trim_end_matches(['\r', '\n']).to_owned()))
}

/// The terminal does not show what is typed, until this is dropped.
struct Hidden(Termios);

impl Hidden {
    fn start() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &hidden)?;
        Ok(Self(before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // If it fails, the user's shell repairs its terminal itself.
        let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_file_is_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        for (content, expected) in [
            ("secret word\n", Some("secret word")),
            ("x\r\n", Some("x")),
            (" x ", Some(" x ")),
            ("\n", None),
            ("", None),
        ] {
            fs::write(&path, content).unwrap();
            assert_eq!(from_file(&path).ok().map(|read| read.expose().clone()).as_deref(), expected, "{content:?}");
        }
    }
}
