//! The store on a disk whose last octet somebody else takes in the middle of a transaction.

use std::convert::Infallible;
use std::sync::Arc;

use pillarbox::base::{Random, SeededRandom};
use pillarbox::postcard_row;
use pillarbox::store::{Halt, Op, Options, Read, Schema, Span, Store, StoreError, Table, Tx, WriteError, verify};
use serde::{Deserialize, Serialize};

use super::disk::Disk;

static ROWS: Table<u32, Octets> = Table::new("octets");
static SCHEMA: Schema = Schema { version: 1, tables: &[&ROWS], checks: &[], migrations: &[] };

const MIB: u64 = 1024 * 1024;
/// Rows of a large op, each of [`ROW_BYTES`].
const ROWS_AT_ONCE: u32 = 300;
const ROW_BYTES: usize = 12_000;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Octets(Vec<u8>);
postcard_row!(Octets, 1);

/// Writes, or removes, many rows; before it writes, somebody takes what room the disk has.
struct Many {
    robbed: Option<Arc<Disk>>,
    first: u32,
    removes: bool,
}

impl Op for Many {
    type Plan = ();
    type Out = ();
    type Refused = Infallible;

    fn name(&self) -> &'static str {
        "test.many"
    }

    fn weight_bytes(&self) -> usize {
        if self.removes { 1024 } else { ROWS_AT_ONCE as usize * ROW_BYTES }
    }

    fn runs_when_full(&self) -> bool {
        self.removes
    }

    fn check(&self, _: &Tx<'_>) -> Result<(), Halt<Infallible>> {
        Ok(())
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<(), StoreError> {
        if let Some(disk) = &self.robbed {
            disk.fill_to(0);
        }
        for row in self.first..self.first + ROWS_AT_ONCE {
            if self.removes {
                tx.remove(&ROWS, &row)?;
                continue;
            }
            let mut octets = vec![0; ROW_BYTES];
            SeededRandom::new(u64::from(row)).fill(&mut octets);
            tx.put(&ROWS, &row, &Octets(octets))?;
        }
        Ok(())
    }
}

/// The commit succeeds, more is refused, removing goes on, and with room all goes on.
pub fn check(disk: Disk) {
    let disk = Arc::new(disk);
    let path = disk.place().join("mail.redb");
    let options = || Options {
        disk_reserve_bytes: 8 * MIB,
        disk_ballast_bytes: 8 * MIB,
        on_failure: Box::new(|error| panic!("the file failed: {error}")),
        ..Options::at(&path)
    };
    let many = |first, removes| Many { robbed: None, first, removes };
    let store = Store::open(options(), &SCHEMA).expect("a new file");
    store.write_blocking(many(0, false)).expect("there is room").into_inner();
    let robbed = Many { robbed: Some(Arc::clone(&disk)), ..many(1000, false) };
    store.write_blocking(robbed).expect("the transaction in flight commits").into_inner();
    let left = disk.free_bytes();
    assert!((64 * 1024..8 * MIB).contains(&left), "{left} octets are left of what was laid by");
    assert_eq!(store.write_blocking(many(2000, false)).unwrap_err(), WriteError::Full);
    // What was left of it is laid by again.
    disk.fill_to(0);
    store.write_blocking(many(0, true)).expect("removing goes on").into_inner();
    store.write_blocking(many(1000, true)).expect("removing goes on").into_inner();
    store.close();
    drop(store);
    // A start on a full disk, too.
    let store = Store::open(options(), &SCHEMA).expect("it opens on a full disk");
    assert_eq!(store.view().expect("a view").rows(&ROWS, Span::all(), 9).expect("rows").len(), 0);
    assert_eq!(store.write_blocking(many(2000, false)).unwrap_err(), WriteError::Full);
    disk.empty();
    store.write_blocking(many(2000, false)).expect("there is room again").into_inner();
    store.close();
    drop(store);
    let findings = verify(&options(), &SCHEMA).expect("it opens");
    assert_eq!(findings.lines(), [] as [&str; 0]);
}
