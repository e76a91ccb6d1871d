use std::path::Path;

use crate::settings::Settings;

const MIB: u64 = 1024 * 1024;

/// Octets of the page cache: what the setting says, else an eighth of the memory, within 32 and 256 MiB.
pub(super) fn cache_bytes(settings: &Settings) -> usize {
    match settings.store_cache_bytes {
        0 => usize::try_from((memory_bytes(Path::new("/")) / 8).clamp(32 * MIB, 256 * MIB)).unwrap_or(usize::MAX),
        set => set,
    }
}

/// Octets that stay free on the disk: what the setting says, else 5 % of the disk and no more than 2 GiB, at least
/// 256 MiB and twice the largest message. What it is for, the writes that are under way, does not grow with the disk.
pub(super) fn reserve_bytes(settings: &Settings, data: &Path) -> u64 {
    if settings.disk_reserve_bytes > 0 {
        return settings.disk_reserve_bytes;
    }
    let folder = data.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let disk_bytes = rustix::fs::statvfs(folder).map_or(0, |disk| disk.f_blocks.saturating_mul(disk.f_frsize));
    default_reserve_bytes(disk_bytes, settings.limits_message_bytes)
}

fn default_reserve_bytes(disk_bytes: u64, message_bytes: u64) -> u64 {
    (disk_bytes / 20).clamp(256 * MIB, 2048 * MIB).max(message_bytes.saturating_mul(2))
}

/// The machine's memory, or the container's limit where that is lower. 512 MiB when neither can be read.
fn memory_bytes(root: &Path) -> u64 {
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap_or_default();
    let machine = read("proc/meminfo").lines().find_map(|line| {
        let kib = line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok()?;
        Some(kib * 1024)
    });
    let limits = limit_files(&read("proc/self/cgroup"));
    // Without a limit the file says "max", or a number that no machine reaches.
    let limits = limits.iter().filter_map(|path| read(path).trim().parse::<u64>().ok());
    machine.into_iter().chain(limits).min().unwrap_or(512 * MIB)
}

/// Where the limits of this process's control groups stand: each group's own and those of the groups that it is in. In
/// a container only the outermost path is seen, as the container's own. cgroups(7)
fn limit_files(groups: &str) -> Vec<String> {
    let mut files = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(group)) = (parts.next(), parts.next()) else { continue };
        let (mount, file) = match controllers {
            "" => ("sys/fs/cgroup", "memory.max"),
            _ if controllers.split(',').any(|name| name == "memory") => {
                ("sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => continue,
        };
        let ancestors = Path::new(group.trim_start_matches('/')).ancestors();
        files.extend(ancestors.map(|group| Path::new(mount).join(group).join(file).display().to_string()));
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_limit_of_memory_counts() {
        let check = |files: &[(&str, &str)], expected: u64| {
            let root = tempfile::tempdir().unwrap();
            for (path, content) in files {
                let path = root.path().join(path);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, content).unwrap();
            }
            assert_eq!(memory_bytes(root.path()), expected, "{files:?}");
        };
        let machine = ("proc/meminfo", "MemFree:  1 kB\nMemTotal:        2097152 kB\n");
        check(&[], 512 * MIB);
        check(&[machine], 2048 * MIB);
        // Version 2, as systemd makes it and as a container sees it.
        let unit = ("proc/self/cgroup", "0::/system.slice/pillarbox.service\n");
        check(&[machine, unit, ("sys/fs/cgroup/system.slice/pillarbox.service/memory.max", "536870912\n")], 512 * MIB);
        check(&[machine, unit, ("sys/fs/cgroup/system.slice/memory.max", "268435456\n")], 256 * MIB);
        check(&[machine, unit, ("sys/fs/cgroup/system.slice/pillarbox.service/memory.max", "max\n")], 2048 * MIB);
        check(&[machine, ("proc/self/cgroup", "0::/\n"), ("sys/fs/cgroup/memory.max", "1073741824\n")], 1024 * MIB);
        // Version 1, with the paths of the host that a container does not see.
        let groups = ("proc/self/cgroup", "9:name=systemd:/x\n4:cpu,memory:/docker/0123\n");
        let limit = ("sys/fs/cgroup/memory/memory.limit_in_bytes", "536870912\n");
        check(&[machine, groups, limit], 512 * MIB);
        let none = ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
        check(&[machine, groups, none], 2048 * MIB);
    }

    #[test]
    fn what_is_set_is_taken_and_what_is_not_is_within_bounds() {
        let settings = |flags: &[&str]| {
            let flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
            Settings::gather(&[], "", &flags).unwrap()
        };
        assert_eq!(cache_bytes(&settings(&["store.cache_bytes=33554432"])), 33_554_432);
        assert!((32 * MIB..=256 * MIB).contains(&(cache_bytes(&settings(&[])) as u64)));
        assert_eq!(reserve_bytes(&settings(&["disk.reserve_bytes=1"]), Path::new("x")), 1);
        let large = ["limits.message_bytes=1000000000000"];
        assert_eq!(reserve_bytes(&settings(&large), Path::new("no-such-folder/x")), 2_000_000_000_000);
        assert!(reserve_bytes(&settings(&[]), Path::new("x")) >= 256 * MIB);
    }

    #[test]
    fn a_large_disk_is_not_kept_empty() {
        let of = |disk_gib: u64| default_reserve_bytes(disk_gib * 1024 * MIB, 50 * MIB) / MIB;
        assert_eq!([0, 4, 20, 1000].map(of), [256, 256, 1024, 2048]);
        assert_eq!(default_reserve_bytes(1024 * 1024 * MIB, 4096 * MIB), 8192 * MIB);
    }
}
