//! Changes of rows and bodies in tables of the test's own.

use std::collections::BTreeMap;
use std::convert::Infallible;

use pillarbox::base::{BlobId, Random};
use pillarbox::postcard_row;
use pillarbox::store::{
    CrossCheck, Findings, Halt, Op, Read, Schema, Span, StagedBlob, Store, StoreError, Table, Tx, View,
};
use serde::{Deserialize, Serialize};

use super::world::{World, below, bytes};

static ROWS: Table<u32, Bytes> = Table::new("rows");
static BODIES: Table<u32, Body> = Table::new("bodies");

/// The row that says how many changes were made: it tells any two states apart.
const CHANGES: u32 = u32::MAX;
const NAMES: u64 = 8;
const KEYS: u64 = 40;

static SCHEMA: Schema = Schema {
    version: 1,
    tables: &[&ROWS, &BODIES],
    checks: &[CrossCheck { name: "references of bodies", run: check_references }],
    migrations: &[],
};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Bytes(Vec<u8>);
postcard_row!(Bytes, 1);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Body {
    blob: BlobId,
    hash: [u8; 32],
}
postcard_row!(Body, 1);

/// What the file must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rows {
    rows: BTreeMap<u32, Vec<u8>>,
    bodies: BTreeMap<u32, [u8; 32]>,
}

/// A change that may be made.
#[derive(Debug, Clone)]
pub enum Change {
    Put(Vec<(u32, Vec<u8>)>),
    Remove(u32),
    /// A body under a name, instead of the one that it had.
    Store(u32, Vec<u8>),
    Release(u32),
    /// The second name gets the first one's body.
    Share(u32, u32),
}

impl World for Rows {
    type Change = Change;
    type Write = Write;
    const SCHEMA: &'static Schema = &SCHEMA;

    fn random(&self, random: &dyn Random) -> Change {
        let name = || below(random, NAMES) as u32;
        let key = || below(random, KEYS) as u32;
        match below(random, 10) {
            0..=2 => Change::Put((0..=below(random, 6)).map(|_| (key(), bytes(random, 300))).collect()),
            3 => Change::Remove(key()),
            4..=6 => {
                let longest = [500, 5_000, 20_000, 60_000, 200_000][below(random, 5) as usize];
                Change::Store(name(), bytes(random, longest))
            }
            7 | 8 => Change::Release(name()),
            _ => Change::Share(name(), name()),
        }
    }

    fn after(&self, change: &Change) -> Self {
        let mut next = self.clone();
        match change {
            Change::Put(rows) => next.rows.extend(rows.iter().cloned()),
            Change::Remove(key) => drop(next.rows.remove(key)),
            Change::Store(name, body) => drop(next.bodies.insert(*name, *blake3::hash(body).as_bytes())),
            Change::Release(name) => drop(next.bodies.remove(name)),
            Change::Share(from, to) => {
                if let Some(hash) = next.bodies.get(from).copied() {
                    next.bodies.insert(*to, hash);
                }
            }
        }
        let changes = next.rows.get(&CHANGES).map_or(0, |row| u64::from_be_bytes(row[..].try_into().unwrap())) + 1;
        next.rows.insert(CHANGES, changes.to_be_bytes().to_vec());
        next
    }

    fn parts_that_differ(&self, there: &Self) -> Vec<&'static str> {
        let parts = [("rows", self.rows != there.rows), ("bodies", self.bodies != there.bodies)];
        parts.into_iter().filter(|(_, differs)| *differs).map(|(part, _)| part).collect()
    }

    async fn prepare(store: &Store, change: Change) -> Result<Write, ()> {
        let mut staged = None;
        if let Change::Store(_, body) = &change {
            let mut writer = store.blob_writer();
            for piece in body.chunks(10_000) {
                writer.write(piece).await.map_err(drop)?;
            }
            staged = Some(writer.finish().await.map_err(drop)?);
        }
        Ok(Write { change, staged })
    }

    async fn write(store: &Store, write: Write) -> Result<(), ()> {
        store.write(write).await.map(drop).map_err(drop)
    }

    async fn read(store: &Store) -> Result<Self, StoreError> {
        let (rows, bodies) = {
            let view = store.view()?;
            (view.rows(&ROWS, Span::all(), usize::MAX)?, view.rows(&BODIES, Span::all(), usize::MAX)?)
        };
        let mut state = Self { rows: rows.into_iter().map(|(key, row)| (key, row.0)).collect(), ..Self::default() };
        for (name, row) in bodies {
            let mut reader = store.blob_reader(row.blob);
            let mut hasher = blake3::Hasher::new();
            while let Some(piece) = reader.next().await? {
                hasher.update(&piece);
            }
            assert_eq!(hasher.finalize().as_bytes(), &row.hash, "body {name} is another one");
            state.bodies.insert(name, row.hash);
        }
        Ok(state)
    }
}

/// A change that is ready to be written.
pub struct Write {
    change: Change,
    staged: Option<StagedBlob>,
}

impl Op for Write {
    type Plan = ();
    type Out = u64;
    type Refused = Infallible;

    fn name(&self) -> &'static str {
        "a random change"
    }

    fn check(&self, _: &Tx<'_>) -> Result<(), Halt<Infallible>> {
        Ok(())
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<u64, StoreError> {
        let changes = tx.next("changes", |_| Ok(0))?;
        tx.put(&ROWS, &CHANGES, &Bytes(changes.to_be_bytes().to_vec()))?;
        match &self.change {
            Change::Put(rows) => {
                for (key, row) in rows {
                    tx.put(&ROWS, key, &Bytes(row.clone()))?;
                }
            }
            Change::Remove(key) => drop(tx.remove(&ROWS, key)?),
            Change::Store(name, _) => {
                let staged = self.staged.as_ref().expect("a body was staged");
                let blob = tx.adopt_blob(staged, 1)?;
                set(tx, *name, Some(Body { blob, hash: staged.hash() }))?;
            }
            Change::Release(name) => set(tx, *name, None)?,
            Change::Share(from, to) => {
                if let Some(body) = tx.get(&BODIES, from)? {
                    tx.retain_blob(body.blob, 1)?;
                    set(tx, *to, Some(body))?;
                }
            }
        }
        Ok(changes)
    }
}

/// Gives a name another body, or none.
fn set(tx: &mut Tx<'_>, name: u32, body: Option<Body>) -> Result<(), StoreError> {
    if let Some(old) = tx.remove(&BODIES, &name)? {
        tx.release_blob(old.blob)?;
    }
    body.map_or(Ok(()), |body| tx.put(&BODIES, &name, &body))
}

fn check_references(view: &View, findings: &mut Findings) -> Result<(), StoreError> {
    let mut references: BTreeMap<BlobId, u32> = BTreeMap::new();
    for (_, body) in view.rows(&BODIES, Span::all(), usize::MAX)? {
        *references.entry(body.blob).or_default() += 1;
    }
    view.each_blob(|id, facts| {
        let expected = references.remove(&id).unwrap_or_default();
        if facts.references != expected {
            findings.add(format!("body {id}: {} references instead of {expected}", facts.references));
        }
    })?;
    for id in references.keys() {
        findings.add(format!("body {id}: referred to, but not there"));
    }
    Ok(())
}
