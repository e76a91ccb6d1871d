//! A small file system of its own.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use crate::mounts;
use crate::site::say;

const SIZE_MIB: u64 = 64;

/// Which file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Tmpfs,
    /// In an image that is mounted through a loop device.
    Ext4,
}

/// A mounted file system. Dropping it unmounts it.
pub struct Disk {
    folder: tempfile::TempDir,
}

impl Disk {
    /// `None`, and a line that says so, where this user may not mount.
    pub fn mount(kind: Kind) -> Option<Self> {
        let folder = mounts::folder();
        let place = folder.path().join("disk");
        fs::create_dir(&place).expect("the mount point is made");
        let mut mount = Command::new("mount");
        match kind {
            Kind::Tmpfs => mount.args(["-t", "tmpfs", "-o", &format!("size={SIZE_MIB}m"), "tmpfs"]),
            Kind::Ext4 => {
                let image = folder.path().join("image");
                let sized = File::create(&image).and_then(|file| file.set_len(SIZE_MIB << 20));
                sized.expect("the image is made");
                // No octet for root alone: the server of this test is root.
                let made = Command::new("mkfs.ext4").args(["-q", "-m", "0"]).arg(&image).status();
                assert!(made.is_ok_and(|made| made.success()), "mkfs.ext4 is there (package e2fsprogs)");
                mount.args(["-o", "loop"]).arg(image)
            }
        };
        let mounted = mount.arg(&place).output().expect("mount is there");
        if mounted.status.success() {
            return Some(Self { folder });
        }
        let why = String::from_utf8_lossy(&mounted.stderr);
        say(&format!("SKIPPED: a full disk needs a file system of its own, which root mounts: {}", why.trim()));
        None
    }

    /// Where it is mounted.
    pub fn place(&self) -> PathBuf {
        self.folder.path().join("disk")
    }

    /// Octets that are free.
    pub fn free_bytes(&self) -> u64 {
        let room = rustix::fs::statvfs(self.place()).expect("the file system tells its room");
        room.f_bavail * room.f_frsize
    }

    /// Somebody else's file takes what is free but for so many octets.
    pub fn fill_to(&self, left_bytes: u64) {
        let mut file = File::options().create(true).append(true).open(self.filler()).expect("another's file opens");
        // In ever smaller pieces, so that nothing else is left.
        for piece in [1 << 20, 1 << 16, 1 << 12, 1] {
            let octets = vec![7; piece];
            while self.free_bytes() >= left_bytes + piece as u64 && file.write_all(&octets).is_ok() {}
        }
    }

    /// Takes it away.
    pub fn empty(&self) {
        fs::remove_file(self.filler()).expect("another's file is removed");
    }

    fn filler(&self) -> PathBuf {
        self.place().join("somebody-elses")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        mounts::unmount(&self.place());
    }
}
