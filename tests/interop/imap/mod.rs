//! Programs that work on an account by IMAP: each does its everyday work, and what the account then holds is read back
//! by another program, every message octet by octet and flag by flag.

mod account;
mod alpine;
mod fetch;
mod filter;
mod letters;
mod libraries;
mod mutt;
mod restore;
mod sync;
mod terminal;
mod thunderbird;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::programs::run;
use crate::site::Site;

/// The server's certificate in a file, which programs take for the CA that signed it.
fn certificate(site: &Site, folder: &Path) -> PathBuf {
    const SCRIPT: &str = "import ssl, sys; print(ssl.get_server_certificate(('127.0.0.1', int(sys.argv[1]))))";
    let file = folder.join("certificate.pem");
    if !file.exists() {
        let pem = run(Command::new("python3").args(["-c", SCRIPT, &site.port("imaps")]), None, folder);
        fs::write(&file, pem).expect("the certificate is written");
    }
    file
}

/// The SHA-256 fingerprint of the server's certificate, in hexadecimal digits.
fn fingerprint(site: &Site, folder: &Path) -> String {
    let mut command = Command::new("openssl");
    command.args(["x509", "-noout", "-fingerprint", "-sha256", "-in"]).arg(certificate(site, folder));
    let line = String::from_utf8(run(&mut command, None, folder)).expect("text");
    line.trim().split_once('=').expect("a fingerprint").1.replace(':', "").to_ascii_lowercase()
}
