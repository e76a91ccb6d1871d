use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::site::{Guarded, Site, data_file};

/// A fault that no slow machine explains.
const LIMIT: Duration = Duration::from_secs(120);
/// Microseconds that a read of every page of the file takes, one after the other: a repair, which reads most of them,
/// outlasts what a test looks at meanwhile.
const PAGES_US: u64 = 80_000_000;
const PAGE_BYTES: u64 = 4096;

/// A server that reads its file slowly, because strace holds up each read.
pub struct Slow {
    child: Guarded,
}

impl Slow {
    /// Starts it on `folder`'s file; `listen`: where.
    pub fn start(folder: &Path, listen: &[String]) -> Self {
        let mut arguments = vec!["--hostname", "mx.example.test", "--set", "store.cache_bytes=1048576"];
        listen.iter().for_each(|listen| arguments.extend(["--listen", listen]));
        let _ = fs::remove_file(folder.join("ready.json"));
        let plain = Site::command("serve", folder, &arguments);
        let bytes = fs::metadata(data_file(folder)).expect("the file is there").blocks() * 512;
        let read_us = (PAGES_US * PAGE_BYTES / bytes.max(PAGE_BYTES)).min(1_000_000);
        let log = File::options().create(true).append(true).open(folder.join("stderr.log")).expect("the log opens");
        let mut line = Command::new("strace");
        // -D: the server stays our child, and strace is beside it.
        line.args(["-D", "-f", "-q", "-o", "/dev/null", "-e", "trace=pread64"]);
        line.args(["-e", &format!("inject=pread64:delay_enter={read_us}")]);
        line.arg(plain.get_program()).args(plain.get_args()).env_remove("PILLARBOX_SET");
        Self { child: Guarded(line.stderr(log).spawn().expect("strace runs")) }
    }

    /// From here on it reads as quickly as any: strace is told to go.
    pub fn hasten(&self) {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.0.id())).expect("it runs");
        let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:")?.trim().parse().ok());
        let tracer = Pid::from_raw(tracer.expect("it is traced")).expect("a tracer is a process");
        kill_process(tracer, Signal::TERM).expect("strace is told to go");
    }

    pub fn wait_until_ready(&self, folder: &Path) {
        let deadline = Instant::now() + LIMIT;
        while !folder.join("ready.json").exists() {
            assert!(Instant::now() < deadline, "it is ready");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends SIGTERM and waits for the end.
    pub fn terminate(mut self) -> ExitStatus {
        let pid = Pid::from_raw(self.child.0.id().cast_signed()).expect("a child's pid is not 0");
        kill_process(pid, Signal::TERM).expect("SIGTERM is sent");
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Some(status) = self.child.0.try_wait().expect("a child can be asked") {
                return status;
            }
            assert!(Instant::now() < deadline, "it ends");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
