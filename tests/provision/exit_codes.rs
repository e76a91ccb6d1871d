//! The exit codes that scripts rely on, one by one, by commands that end so.

use std::fs;
use std::process::{Command, Stdio};

use crate::site::{Site, binary, serve};

/// A line of arguments; what the environment says besides; the exit code; and a word of the one message.
type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], i32, &'a str);

fn check(site: &Site, rows: &[Row<'_>]) {
    let data = site.folder.path().join("pillarbox.redb");
    for (line, environment, code, word) in rows {
        let mut command = Command::new(binary());
        command.args(line.split(' ')).current_dir(site.folder.path()).stdin(Stdio::null());
        command.env("PILLARBOX_DATA", &data).env_remove("PILLARBOX_URL").env_remove("PILLARBOX_TOKEN");
        let output = command.envs(environment.iter().copied()).output().expect("the command starts");
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(*code), "{line}: {err}");
        assert!(err.contains(word), "{line}: {err}");
        assert_eq!(err.is_empty(), word.is_empty(), "{line}: {err}");
    }
}

#[test]
fn every_exit_code_is_as_documented() {
    let site = Site::start(&[]);
    let folder = site.folder.path();
    fs::write(folder.join("damaged.redb"), "not a data file").expect("a file is written");
    fs::write(folder.join("state.json"), r#"{"domains": {"new.test": {}}}"#).expect("a state is written");
    let url = format!("http://{}", site.address("http"));
    let stranger = [("PILLARBOX_URL", url.as_str()), ("PILLARBOX_TOKEN", "pbx_none_none")];
    check(
        &site,
        &[
            ("domain put x.test", &[], 0, ""),
            ("domain show x.test -o json", &[], 0, ""),
            ("state diff state.json", &[], 1, ""),
            ("fly", &[], 2, "unrecognized subcommand"),
            ("domain put", &[], 2, "required"),
            ("domain put -", &[], 2, "domain"),
            ("settings set limits.recipient=5", &[], 2, "limits.recipients"),
            ("domain show y.test", &[], 3, "y.test"),
            ("check none.redb", &[], 3, "none.redb"),
            ("domain put x.test --create", &[], 4, "exists already"),
            ("domain put x.test --if-match \"1000\"", &[], 4, "hint: somebody has changed it"),
            ("check", &[], 0, ""),
            ("check --repair", &[], 4, "in use"),
            ("domain list --data none.redb", &[], 5, "no server answers"),
            ("domain list", &[("PILLARBOX_URL", "http://127.0.0.1:9")], 5, "127.0.0.1:9"),
            ("domain list", &stranger, 6, "hint: give a token"),
            ("check damaged.redb", &[], 65, "damaged.redb"),
            ("check .", &[], 74, "directory"),
        ],
    );
    // The same words for what keeps the server from starting.
    let mut second = serve(folder, &[]);
    let second = second.stderr(Stdio::piped()).output().expect("the command starts");
    assert_eq!(second.status.code(), Some(4), "{}", String::from_utf8_lossy(&second.stderr));
}

#[test]
fn completions_are_made_for_every_shell() {
    for shell in ["bash", "zsh", "fish"] {
        let output = Command::new(binary()).args(["completions", shell]).output().expect("the command starts");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("allow-data-loss"), "{shell}");
        // Where the shell is there, it must be able to read them.
        if shell == "bash" {
            let script = tempfile::NamedTempFile::new().expect("a temporary file");
            fs::write(script.path(), text.as_bytes()).expect("the script is written");
            let read = Command::new("bash").arg("-n").arg(script.path()).status().expect("bash starts");
            assert!(read.success());
        }
    }
}
