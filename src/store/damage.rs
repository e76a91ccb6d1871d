//! Rows that do not decode: each costs itself, is counted whenever it is met, and named once in the log. And pages that
//! contradict each other: the storage engine trusts what a clean close left behind, and may panic.

use std::cell::Cell;
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::{LazyLock, Mutex, PoisonError};

use super::error::StoreError;
use super::sealing::RowFault;
use super::view::damaged;
use crate::telemetry::metrics;

/// Rows that are named in the log; of more, there is no use in reading the log.
const NAMED: usize = 1000;

/// The exit code of a process that can't go on with a damaged file (EX_DATAERR of sysexits.h).
pub(super) const EXIT_DAMAGED: i32 = 65;

thread_local! {
    /// Panics of what this thread runs in [`survive`].
    static PANICS: Cell<Option<u32>> = const { Cell::new(None) };
}

/// Runs what may panic, as pages contradict each other; `None` where it has.
pub(super) fn survive<T>(run: impl FnOnce() -> T) -> Option<T> {
    let around = PANICS.replace(Some(0));
    let done = catch_unwind(AssertUnwindSafe(run)).ok();
    PANICS.set(around);
    done
}

/// From here on the process ends with exit code 65 where the storage engine panics over damaged pages, and then once more
/// while that panic unwinds: nothing can catch the second, and the process would be aborted.
pub fn end_where_damage_aborts() {
    let tell = take_hook();
    set_hook(Box::new(move |panic| {
        tell(panic);
        PANICS.set(PANICS.get().map(|panics| panics + 1));
        if PANICS.get().is_some_and(|panics| panics > 1) {
            eprintln!(
                "pillarbox: the file is damaged: its pages contradict each other; see `pillarbox check`, or restore a backup"
            );
            std::process::exit(EXIT_DAMAGED);
        }
    }));
}

/// A table, and a key in it.
type Place = (&'static str, Vec<u8>);

/// A row that does not decode was met: what to say where it can't be done without.
pub(super) fn met(table: &'static str, key: &[u8], fault: &RowFault) -> StoreError {
    metrics().met_damage(table);
    if is_first(table, key) {
        tracing::error!(event = "row_damaged", table, key = hex(key), %fault, "a row is damaged: see `pillarbox check`");
    }
    damaged(table, &format!("key {}: {fault}", hex(key)))
}

fn is_first(table: &'static str, key: &[u8]) -> bool {
    static NAMED_SO_FAR: LazyLock<Mutex<HashSet<Place>>> = LazyLock::new(Mutex::default);
    let mut named = NAMED_SO_FAR.lock().unwrap_or_else(PoisonError::into_inner);
    named.len() < NAMED && named.insert((table, key.to_vec()))
}

/// The beginning of a key, for people.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().take(32).map(|byte| format!("{byte:02x}")).collect()
}
