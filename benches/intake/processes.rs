//! What the kernel says of processes and of the machine: Linux's /proc.

use std::collections::HashMap;
use std::fs;

/// Ticks of a second in /proc: USER_HZ, which is 100 on every Linux that has not been changed for it.
const TICKS_PER_SECOND: f64 = 100.0;

/// Memory of processes in MB.
#[derive(Clone, Copy)]
pub struct Memory {
    /// Resident, summed: a page that is shared counts once for each process.
    pub rss_mb: f64,
    /// Proportional: a page that is shared counts once in all.
    pub pss_mb: f64,
}

/// The memory of `roots` and all their descendants.
pub fn memory(roots: &[u32]) -> Memory {
    let mut memory = Memory { rss_mb: 0.0, pss_mb: 0.0 };
    for pid in tree(roots) {
        // A process may have ended since it was listed.
        let Ok(text) = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")) else { continue };
        let kb = |name: &str| -> f64 {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0.0)
        };
        memory.rss_mb += kb("Rss:") * 1024.0 / 1e6;
        memory.pss_mb += kb("Pss:") * 1024.0 / 1e6;
    }
    memory
}

/// CPU seconds of `roots` and all their descendants, those that have ended included.
pub fn cpu_seconds(roots: &[u32]) -> f64 {
    tree(roots).into_iter().filter_map(stat).map(|stat| stat.own_ticks + stat.children_ticks).sum::<f64>()
        / TICKS_PER_SECOND
}

/// CPU seconds of one process without its children.
pub fn own_cpu_seconds(pid: u32) -> f64 {
    stat(pid).map_or(0.0, |stat| stat.own_ticks) / TICKS_PER_SECOND
}

/// CPU seconds that the machine has been busy since it started.
pub fn machine_busy_seconds() -> f64 {
    let text = fs::read_to_string("/proc/stat").expect("/proc/stat is there");
    let ticks: Vec<f64> =
        text.lines().next().unwrap_or("").split_whitespace().skip(1).filter_map(|n| n.parse().ok()).collect();
    // user nice system idle iowait irq softirq; stolen time was not ours.
    [0, 1, 2, 5, 6].into_iter().filter_map(|index| ticks.get(index)).sum::<f64>() / TICKS_PER_SECOND
}

/// Cores that this process may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The processor's name and the number of cores.
pub fn machine() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown", |rest| rest.trim_start_matches([' ', '\t', ':']));
    format!("{} cores of {name}", cores())
}

/// The load average of the last minute, five and fifteen.
pub fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

struct Stat {
    parent: u32,
    own_ticks: f64,
    children_ticks: f64,
}

fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in brackets may hold anything; the fields after it count from 3.
    let fields: Vec<&str> = text.rsplit_once(") ")?.1.split(' ').collect();
    let number = |field: usize| fields.get(field - 3)?.parse::<f64>().ok();
    Some(Stat {
        parent: fields.get(1)?.parse().ok()?,
        own_ticks: number(14)? + number(15)?,
        children_ticks: number(16)? + number(17)?,
    })
}

fn tree(roots: &[u32]) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    let entries = fs::read_dir("/proc").expect("/proc is there");
    for pid in entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()) {
        if let Some(stat) = stat(pid) {
            children.entry(stat.parent).or_default().push(pid);
        }
    }
    let mut tree = roots.to_vec();
    let mut next = 0;
    while let Some(pid) = tree.get(next) {
        tree.extend(children.get(pid).into_iter().flatten());
        next += 1;
    }
    tree
}
