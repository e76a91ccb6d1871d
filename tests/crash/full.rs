//! The real program on a disk that is full: it refuses mail before a write fails, all that reads and removes goes on, and
//! it takes mail again by itself once there is room.
//!
//! Each run has a file system of 64 MiB of its own, which only root can mount: without that it is skipped, and says so.

mod disk;
mod robbed;
mod world;

use crate::kill::count_from_environment;
use crate::site::say;
use disk::{Disk, Kind};
use world::World;

/// Runs: 2 in tests/all, 10 on demand: `PILLARBOX_FULL_DISKS`.
const RUNS: u64 = 2;

#[test]
fn a_full_disk_refuses_mail_and_nothing_else() {
    let runs = count_from_environment("PILLARBOX_FULL_DISKS", RUNS);
    let (mut acknowledged, mut given) = (0, 0);
    for run in 0..runs {
        let kind = if run % 2 == 0 { Kind::Tmpfs } else { Kind::Ext4 };
        let Some(disk) = Disk::mount(kind) else { return };
        let mut world = World::new(disk, run);
        // Somebody else takes all of the disk while mail comes in, and only what was laid by is left; or it fills by and by.
        let by_and_by = [run % 2 == 0, run % 2 == 1];
        for by_and_by in by_and_by {
            if by_and_by {
                world.flood();
            } else {
                world.is_robbed();
            }
            world.refuses();
            world.reads();
            world.removes();
            world.operates();
            if !by_and_by {
                world.is_given_room();
            }
            world.takes_again();
        }
        acknowledged += world.acknowledged();
        given += world.close();
    }
    say(&format!(
        "pillarbox: {runs} disks filled twice: {acknowledged} acknowledged messages each there once, nothing but mail \
         refused; the room laid by was needed {given} times"
    ));
}

#[test]
fn a_commit_that_finds_no_room_takes_what_was_laid_by() {
    for kind in [Kind::Tmpfs, Kind::Ext4] {
        let Some(disk) = Disk::mount(kind) else { return };
        robbed::check(disk);
    }
}
