use std::path::Path;

use crate::settings::Settings;

const MIB: u64 = 1024 * 1024;

/// Octets of the page cache: what the setting says, else an eighth of the memory, within 32 and 256 MiB.
pub(super) fn cache_bytes(settings: &Settings) -> usize {
    match settings.store_cache_bytes {
        0 => usize::try_from((memory_bytes() / 8).clamp(32 * MIB, 256 * MIB)).unwrap_or(usize::MAX),
        set => set,
    }
}

/// Octets that stay free on the disk: what the setting says, else 5 % of the disk, at least 256 MiB and twice the
/// largest message.
pub(super) fn reserve_bytes(settings: &Settings, data: &Path) -> u64 {
    if settings.disk_reserve_bytes > 0 {
        return settings.disk_reserve_bytes;
    }
    let folder = data.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let disk_bytes = rustix::fs::statvfs(folder).map_or(0, |disk| disk.f_blocks.saturating_mul(disk.f_frsize));
    (disk_bytes / 20).max(256 * MIB).max(settings.limits_message_bytes.saturating_mul(2))
}

/// The machine's memory, or the container's limit where that is lower. 512 MiB when neither can be read.
fn memory_bytes() -> u64 {
    let machine = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kib| kib * 1024)
    });
    let limits = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let container =
        limits.iter().filter_map(|path| std::fs::read_to_string(path).ok()?.trim().parse::<u64>().ok()).min();
    machine.into_iter().chain(container).min().unwrap_or(512 * MIB)
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
