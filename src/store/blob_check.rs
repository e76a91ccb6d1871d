use std::ops::{Bound, ControlFlow};

use super::blob_read::{BlobReader, Shape};
use super::check::{count, first_keys, next_key};
use super::error::StoreError;
use super::findings::{After, Findings};
use super::key::Key;
use super::own::{BLOB_DATA, BLOB_DEAD, BLOB_HASH, BLOB_IDS, BLOB_PENDING, BLOBS, Blob, Number};
use super::progress::{CheckPart, Teller};
use super::span::Span;
use super::view::{Read, View, encode_key};
use crate::base::{BlobId, limits};

/// How closely bodies are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bodies {
    /// That their chunks are there, and as long as they should be.
    Counted,
    /// And that they are what their hash says.
    Read,
}

/// Chunks too many of a body that are removed at a time.
const SURPLUS_AT_ONCE: usize = 1000;

/// Each body has its chunks, as long as they should be, and is found by its hash.
pub(super) fn check_bodies(
    view: &View,
    depth: Bodies,
    findings: &mut Findings,
    teller: &mut Teller<'_>,
) -> Result<(), StoreError> {
    teller.begin(CheckPart::Bodies, count(view, BLOBS.name())?)?;
    let mut key = None;
    // Row by row: one that does not decode was found before, and the others are looked at.
    while let Some(id) = next_key(view, BLOBS.name(), key.as_deref())? {
        teller.step()?;
        if let Some(place) = Key::read(&mut id.as_slice())
            && let Some(blob) = view.get(&BLOBS, &place)?
        {
            check_body(view, place, blob, depth, findings)?;
        }
        key = Some(id);
    }
    view.scan(&BLOB_HASH, Span::all(), |short, id| {
        let id = BlobId(id.0);
        let fits = view.blob(id).ok().flatten().is_some_and(|blob| blob.hash.starts_with(&short));
        if !fits {
            findings.add(format!("body {id}: its hash leads to no such body")).remove(&BLOB_HASH, &short);
        }
        ControlFlow::Continue(())
    })?;
    check_counter(view, findings)
}

/// No id of a body, or of what is to become or was one, will be given again.
fn check_counter(view: &View, findings: &mut Findings) -> Result<(), StoreError> {
    let (highest, last) = (highest_id(view)?, view.counter(BLOB_IDS)?);
    if highest > last {
        findings.add(format!("body {}: the counter is at {last} only", BlobId(highest))).raise(BLOB_IDS, highest);
    }
    Ok(())
}

/// The highest id of a body, or of what is to become or was one.
pub(super) fn highest_id(read: &impl Read) -> Result<u64, StoreError> {
    let ids = [
        read.last(&BLOBS, Span::all())?.map(|(id, _)| id.0),
        read.last(&BLOB_DATA, Span::all())?.map(|((id, _), _)| id.0),
        read.last(&BLOB_PENDING, Span::all())?.map(|(id, ())| id.0),
        read.last(&BLOB_DEAD, Span::all())?.map(|(id, ())| id.0),
    ];
    Ok(ids.into_iter().flatten().max().unwrap_or_default())
}

fn check_body(view: &View, id: BlobId, blob: Blob, depth: Bodies, findings: &mut Findings) -> Result<(), StoreError> {
    if blob.references == 0 {
        // Who refers to it is known to the rooms, which mend it.
        findings.add(format!("body {id}: nothing refers to it"));
    }
    if view.has(&BLOB_PENDING, &id)? || view.has(&BLOB_DEAD, &id)? {
        let finding = findings.add(format!("body {id}: it is listed as pending or dead"));
        finding.remove(&BLOB_PENDING, &id).remove(&BLOB_DEAD, &id);
    }
    if blob.size_bytes >= limits::SHARED_BODY_BYTES {
        let mut short = [0; 16];
        short.copy_from_slice(&blob.hash[..16]);
        if !view.has(&BLOB_HASH, &short)? {
            findings.add(format!("body {id}: its hash does not lead to it")).put(&BLOB_HASH, &short, &Number(id.0));
        }
    }
    let Some(shape) = Shape::new(blob) else {
        findings.add(format!("body {id}: its frames contradict its size"));
        return Ok(());
    };
    let mut chunks = 0;
    for (chunk, length) in (0u32..).zip(shape.chunk_lengths()) {
        let there = view.get_bytes(BLOB_DATA.name(), &encode_key(&(id, chunk)), |row| row.len() as u64)?;
        if there != Some(length + 1) {
            let there = there.map_or("missing".into(), |row| format!("{} octets long", row.saturating_sub(1)));
            findings.add(format!("body {id}, chunk {chunk}: {there} instead of {length} octets"));
            return Ok(());
        }
        chunks = chunk + 1;
    }
    check_surplus(view, id, chunks, findings)?;
    if depth == Bodies::Read
        && let Err(error) = BlobReader::read_all(view, id, &shape)
    {
        findings.add(format!("body {id}: {error}"));
    }
    Ok(())
}

/// There are no chunks behind the last.
fn check_surplus(view: &View, id: BlobId, chunks: u32, findings: &mut Findings) -> Result<(), StoreError> {
    let (from, to) = (encode_key(&(id, chunks)), encode_key(&(id, u32::MAX)));
    let bounds = (Bound::Included(from.as_slice()), Bound::Included(to.as_slice()));
    let surplus = first_keys(view, BLOB_DATA.name(), bounds, SURPLUS_AT_ONCE)?;
    if !surplus.is_empty() {
        let finding = findings.add(format!("body {id}: it has more than its {chunks} chunks"));
        surplus.iter().fold(finding, |finding, key| finding.change(BLOB_DATA.name(), key, After::Gone));
    }
    Ok(())
}

/// Each chunk belongs to a body, or to one that is pending or dead.
pub(super) fn check_chunks(view: &View, findings: &mut Findings) -> Result<(), StoreError> {
    let mut after: Option<BlobId> = None;
    loop {
        let from = after.map(|id| encode_key(&(id, u32::MAX)));
        let Some(key) = next_key(view, BLOB_DATA.name(), from.as_deref())? else { return Ok(()) };
        let Some((id, _)) = <(BlobId, u32) as Key>::read(&mut key.as_slice()) else { return Ok(()) };
        let owned = view.has(&BLOBS, &id)? || view.has(&BLOB_PENDING, &id)? || view.has(&BLOB_DEAD, &id)?;
        if !owned {
            findings.add(format!("body {id}: chunks without a body")).put(&BLOB_DEAD, &id, &());
        }
        after = Some(id);
    }
}
