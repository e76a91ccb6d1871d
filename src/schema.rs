//! What the file holds: every room's tables and cross-checks.
//!
//! Floor F6.

use crate::store::{AnyTable, CrossCheck, Migration, Schema};
use crate::{
    audit, directory, dkim, http, intake, job, kept, mailbox, queue, settings, srs, tls, tlspolicy, tlsreport, trace,
    turn,
};

/// The schema of this release.
pub static SCHEMA: Schema = Schema { version: 4, tables: &TABLES, checks: &CHECKS, migrations: MIGRATIONS };

/// What leads here from the files of older releases.
const MIGRATIONS: &[Migration] = &[
    Migration { from: &VERSION_2, what: "rows get checksums as they change, and secrets can be sealed", run: None },
    Migration {
        from: &VERSION_3,
        what: "domains get DKIM keys, and queued mail keeps what its sender asks for",
        run: None,
    },
];

/// Rows without checksums, heads and bodies as they came: all of it is still read.
static VERSION_2: Schema = Schema { version: 2, tables: &TABLES, checks: &CHECKS, migrations: &[] };

/// Without DKIM keys: a program of before would leave them behind when a domain goes, and out when secrets are sealed anew.
/// And queued mail of which nothing but its delivery is asked: all of it is still read.
static VERSION_3: Schema = Schema { version: 3, tables: &TABLES, checks: &CHECKS, migrations: &[] };

const ROOMS: &[&[&dyn AnyTable]] = &[
    settings::TABLES,
    trace::TABLES,
    audit::TABLES,
    job::TABLES,
    kept::TABLES,
    directory::TABLES,
    dkim::TABLES,
    srs::TABLES,
    mailbox::TABLES,
    queue::TABLES,
    turn::TABLES,
    intake::TABLES,
    tls::TABLES,
    tlspolicy::TABLES,
    tlsreport::TABLES,
    http::TABLES,
];
const ROOM_CHECKS: &[&[CrossCheck]] = &[
    trace::CHECKS,
    audit::CHECKS,
    kept::CHECKS,
    directory::CHECKS,
    dkim::CHECKS,
    srs::CHECKS,
    mailbox::CHECKS,
    queue::CHECKS,
    turn::CHECKS,
    intake::CHECKS,
    tlspolicy::CHECKS,
    tlsreport::CHECKS,
    http::CHECKS,
];

static TABLES: [&dyn AnyTable; count(ROOMS)] = {
    let mut all = [ROOMS[0][0]; count(ROOMS)];
    let (mut at, mut room) = (0, 0);
    while room < ROOMS.len() {
        let mut place = 0;
        while place < ROOMS[room].len() {
            all[at] = ROOMS[room][place];
            at += 1;
            place += 1;
        }
        room += 1;
    }
    all
};

static CHECKS: [CrossCheck; count(ROOM_CHECKS)] = {
    let mut all = [ROOM_CHECKS[0][0]; count(ROOM_CHECKS)];
    let (mut at, mut room) = (0, 0);
    while room < ROOM_CHECKS.len() {
        let mut place = 0;
        while place < ROOM_CHECKS[room].len() {
            all[at] = ROOM_CHECKS[room][place];
            at += 1;
            place += 1;
        }
        room += 1;
    }
    all
};

const fn count<T>(rooms: &[&[T]]) -> usize {
    let (mut all, mut room) = (0, 0);
    while room < rooms.len() {
        all += rooms[room].len();
        room += 1;
    }
    all
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::Arc;

    use super::*;
    use crate::base::SystemClock;
    use crate::store::{Options, Store};

    #[test]
    fn every_table_has_a_name_of_its_own() {
        let names: HashSet<&str> = SCHEMA.tables.iter().map(|table| table.name()).collect();
        assert_eq!(names.len(), SCHEMA.tables.len());
        assert!(names.contains("settings") && names.contains("messages") && names.contains("tls_certs"));
        assert_eq!(SCHEMA.checks.iter().map(|check| check.name).collect::<HashSet<_>>().len(), SCHEMA.checks.len());
    }

    #[test]
    fn a_new_file_is_sound() {
        let store = Store::open(Options::memory(Arc::new(SystemClock)), &SCHEMA).unwrap();
        assert_eq!(store.check().unwrap().lines(), [] as [&str; 0]);
    }
}
