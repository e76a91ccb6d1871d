//! Dovecot as a peer for IMAP, in a folder of its own: see the script beside this file.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A running Dovecot. Dropping it ends it.
pub struct Dovecot {
    folder: PathBuf,
    address: SocketAddr,
    pid: u32,
}

impl Dovecot {
    /// Starts one in `folder`, which is made, with the variables that the script knows.
    pub fn start(folder: &Path, variables: &[(&str, &str)]) -> Self {
        std::fs::create_dir_all(folder).expect("a folder for Dovecot");
        // Its users must reach their mail.
        let parents = [folder.parent().expect("it is not the root"), folder];
        for path in parents {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("the folder's mode is set");
        }
        let status = script().arg("start").arg(folder).envs(variables.iter().copied()).status();
        assert!(status.is_ok_and(|status| status.success()), "Dovecot starts");
        let text = std::fs::read_to_string(folder.join("ready.json")).expect("its ready file");
        let json: serde_json::Value = serde_json::from_str(&text).expect("the ready file is JSON");
        let address = json["listeners"]["imap"].as_str().and_then(|text| text.parse().ok()).expect("an address");
        let pid = json["pid"].as_u64().and_then(|pid| pid.try_into().ok()).expect("a pid");
        Self { folder: folder.to_owned(), address, pid }
    }

    /// Where it listens for IMAP.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The process whose descendants, with itself, are all of it.
    pub fn pid(&self) -> u32 {
        self.pid
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        let _ = script().arg("stop").arg(&self.folder).status();
    }
}

fn script() -> Command {
    Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/world/dovecot"))
}
