//! The time to the first 220, and what a sync costs on this disk.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::median;
use crate::site::Site;
use crate::wire::Smtp;

/// Stops `site`, starts it again on what it has in `folder`, and returns the seconds from there to the first 220.
pub fn time_to_220(site: Site, folder: &Path, smtp: SocketAddr) -> f64 {
    if site.is_peer() {
        let script = |action: &str| {
            let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/postfix-dovecot"));
            command.arg(action).arg(folder.join("peer"));
            command
        };
        assert!(script("stop").status().is_ok_and(|status| status.success()), "the peer stops");
        let started = Instant::now();
        let mut child = script("again").spawn().expect("the peer starts");
        let seconds = wait_for_220(smtp, started);
        assert!(child.wait().is_ok_and(|status| status.success()), "the peer starts");
        return seconds;
    }
    assert!(site.stop().success(), "the server stops");
    let mut command = Site::command("serve", folder, &["--listen", &format!("smtp={smtp}")]);
    command.args(["--hostname", "mx.example.test"]).stdout(Stdio::null()).stderr(Stdio::null());
    let started = Instant::now();
    let mut child = command.spawn().expect("the server starts");
    let seconds = wait_for_220(smtp, started);
    let _ = child.kill();
    let _ = child.wait();
    seconds
}

fn wait_for_220(smtp: SocketAddr, started: Instant) -> f64 {
    loop {
        if let Ok((_, greeting)) = Smtp::greeting(smtp)
            && greeting.code == 220
        {
            return started.elapsed().as_secs_f64();
        }
        assert!(started.elapsed() < Duration::from_secs(60), "a 220 within a minute");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// How long overwriting 4 KiB with fdatasync takes in `folder`.
pub fn describe_sync(folder: &Path) -> String {
    let mut file = tempfile::tempfile_in(folder).expect("a file");
    file.write_all(&[1; 4096]).and_then(|()| file.sync_all()).expect("the file is written");
    let sync = |file: &mut File| {
        let started = Instant::now();
        file.seek(SeekFrom::Start(0)).expect("a seek");
        file.write_all(&[2; 4096]).and_then(|()| file.sync_data()).expect("the file is written");
        started.elapsed().as_secs_f64() * 1000.0
    };
    format!("4 KiB and fdatasync takes {:.2} ms (median of 100)", median((0..100).map(|_| sync(&mut file)).collect()))
}
