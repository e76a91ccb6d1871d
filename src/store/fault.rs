//! For tests: a disk that loses power and fails as a test wants it to.
//!
//! It knows what a sync has made durable and what was only written. When the power goes, any part of what was only
//! written is lost, pieces of it are torn at sector ends, and the file may have any length that it had meanwhile.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;

use crate::base::Random;

/// Octets that a disk writes whole or not at all.
const SECTOR_BYTES: u64 = 512;

/// A disk in memory. Shared with the store that lies on it.
#[derive(Debug, Default)]
pub struct FaultDisk {
    state: Mutex<State>,
    hanging: Mutex<Hanging>,
    turn: Condvar,
}

/// Syncs that do not come back.
#[derive(Debug, Default)]
struct Hanging {
    wanted: bool,
    syncs: usize,
}

#[derive(Debug, Default)]
struct State {
    /// What the last honest sync left.
    durable: Vec<u8>,
    /// What was changed since, in its order.
    pending: Vec<Change>,
    /// What is read.
    current: Vec<u8>,
    counts: [u64; 4],
    /// Writes, syncs and changes of length until the power goes.
    power_for: Option<u64>,
    /// Syncs until it goes.
    power_for_syncs: Option<u64>,
    dark: bool,
    /// One sync of so many is honest.
    honest_one_in: u64,
    fault: Option<Fault>,
    /// The disk that is to take the place of this one.
    successor: Option<Arc<FaultDisk>>,
    /// It has.
    handed_over: bool,
    /// That it is to take its place is answered with an error; and whether it does all the same.
    hand_over_fails: Option<bool>,
}

#[derive(Debug)]
enum Change {
    Write(u64, Vec<u8>),
    SetLen(u64),
}

/// What a disk is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Octets are written.
    Write,
    /// What was written is made durable.
    Sync,
    /// The length is changed.
    SetLen,
    /// Octets are read.
    Read,
}

/// An operation that fails.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    /// Which kind fails.
    pub operation: Operation,
    /// Which of that kind, counted from the moment that the fault is set; the first is 1.
    pub number: u64,
    /// Whether all of that kind fail from there on.
    pub lasting: bool,
    /// The operating system's error number, such as EIO.
    pub errno: i32,
}

impl FaultDisk {
    /// An empty disk.
    pub fn new() -> Arc<Self> {
        Self::holding(Vec::new())
    }

    /// A disk on which `image` is durable.
    pub fn holding(image: Vec<u8>) -> Arc<Self> {
        let state = State { durable: image.clone(), current: image, honest_one_in: 1, ..State::default() };
        Arc::new(Self { state: Mutex::new(state), hanging: Mutex::default(), turn: Condvar::new() })
    }

    /// The power goes at the write, sync or change of length that comes after so many.
    pub fn cut_power_after(&self, operations: u64) {
        self.lock().power_for = Some(operations);
    }

    /// The power goes at the sync that comes after so many, when everything is written and nothing is sure.
    pub fn cut_power_at_sync(&self, syncs: u64) {
        self.lock().power_for_syncs = Some(syncs);
    }

    /// Whether it is gone.
    pub fn is_dark(&self) -> bool {
        self.lock().dark
    }

    /// From here on only one sync of so many is a true one; the others say that they were.
    pub fn lie(&self, honest_one_in: u64) {
        self.lock().honest_one_in = honest_one_in.max(1);
    }

    /// Sets a fault.
    pub fn fail(&self, fault: Fault) {
        let mut state = self.lock();
        state.counts = [0; 4];
        state.fault = Some(fault);
    }

    /// From here on syncs do not come back, until it is called with `false`.
    pub fn hang(&self, hangs: bool) {
        self.hanging.lock().unwrap_or_else(PoisonError::into_inner).wanted = hangs;
        self.turn.notify_all();
    }

    /// Waits until a sync hangs.
    pub fn wait_until_it_hangs(&self) {
        let hanging = self.hanging.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.turn.wait_while(hanging, |hanging| hanging.syncs == 0));
    }

    fn hang_if_wanted(&self) {
        let mut hanging = self.hanging.lock().unwrap_or_else(PoisonError::into_inner);
        if hanging.wanted {
            hanging.syncs += 1;
            self.turn.notify_all();
            hanging = self.turn.wait_while(hanging, |hanging| hanging.wanted).unwrap_or_else(PoisonError::into_inner);
            hanging.syncs -= 1;
        }
    }

    /// Operations of that kind, since the start or since the last fault was set.
    pub fn count(&self, operation: Operation) -> u64 {
        self.lock().counts[operation as usize]
    }

    /// A compaction writes to that disk, and puts it in the place of this one.
    pub fn succeed_by(&self, disk: Arc<FaultDisk>) {
        self.lock().successor = Some(disk);
    }

    /// Whether that disk has taken the place of this one.
    pub fn is_handed_over(&self) -> bool {
        self.lock().handed_over
    }

    /// That another takes its place is answered with an error from here on, whether it does or not.
    pub fn fail_to_hand_over(&self, does_it: bool) {
        self.lock().hand_over_fails = Some(does_it);
    }

    pub(super) fn successor(&self) -> Arc<FaultDisk> {
        Arc::clone(self.lock().successor.get_or_insert_with(Self::new))
    }

    pub(super) fn hand_over(&self) -> io::Result<()> {
        let mut state = self.lock();
        if state.dark {
            return Err(io::Error::other("the power is gone"));
        }
        state.handed_over = state.hand_over_fails.unwrap_or(true);
        match state.hand_over_fails {
            Some(_) => Err(io::ErrorKind::NotFound.into()),
            None => Ok(()),
        }
    }

    /// What a killed process leaves: everything that was written.
    pub fn image(&self) -> Vec<u8> {
        self.lock().current.clone()
    }

    /// What a power cut leaves, by chance.
    pub fn image_after_power_cut(&self, random: &dyn Random) -> Vec<u8> {
        let state = self.lock();
        let mut image = state.durable.clone();
        // All, none, or some of it reached the disk.
        let kept_of_ten = [0, 5, 5, 9, 10][below(random, 5) as usize];
        let mut lengths = vec![image.len() as u64];
        for change in &state.pending {
            match change {
                Change::SetLen(len) => lengths.push(*len),
                Change::Write(..) if below(random, 10) >= kept_of_ten => {}
                Change::Write(offset, bytes) => {
                    let torn = kept_of_ten < 10 && below(random, 4) == 0;
                    write(&mut image, *offset, bytes, |_| !torn || below(random, 2) == 0);
                }
            }
        }
        let len = lengths[below(random, lengths.len() as u64) as usize];
        image.resize(len as usize, 0);
        image
    }

    /// The disk as the storage engine takes it.
    pub(super) fn plug(self: Arc<Self>) -> impl StorageBackend {
        Plug(self)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Counts the operation; an error when it is the one that fails.
    fn begin(&mut self, operation: Operation) -> io::Result<()> {
        let counts = [
            (operation != Operation::Read).then_some(&mut self.power_for),
            (operation == Operation::Sync).then_some(&mut self.power_for_syncs),
        ];
        for left in counts.into_iter().flatten().flatten() {
            match left.checked_sub(1) {
                Some(less) => *left = less,
                None => self.dark = true,
            }
        }
        if self.dark {
            return Err(io::Error::other("the power is gone"));
        }
        let count = &mut self.counts[operation as usize];
        *count += 1;
        match self.fault {
            Some(fault)
                if fault.operation == operation
                    && (*count == fault.number || (fault.lasting && *count > fault.number)) =>
            {
                Err(io::Error::from_raw_os_error(fault.errno))
            }
            _ => Ok(()),
        }
    }
}

/// Writes the sectors that `keep` wants.
fn write(image: &mut Vec<u8>, offset: u64, bytes: &[u8], keep: impl Fn(u64) -> bool) {
    let end = offset + bytes.len() as u64;
    if image.len() < end as usize {
        image.resize(end as usize, 0);
    }
    let mut at = offset;
    while at < end {
        let sector_end = end.min((at / SECTOR_BYTES + 1) * SECTOR_BYTES);
        if keep(at) {
            let part = &bytes[(at - offset) as usize..(sector_end - offset) as usize];
            image[at as usize..sector_end as usize].copy_from_slice(part);
        }
        at = sector_end;
    }
}

fn below(random: &dyn Random, end: u64) -> u64 {
    random.next_u64() % end
}

#[derive(Debug)]
struct Plug(Arc<FaultDisk>);

impl StorageBackend for Plug {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().current.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut state = self.0.lock();
        state.begin(Operation::Read)?;
        let bytes = state.current.get(offset as usize..offset as usize + out.len());
        out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.0.lock();
        state.begin(Operation::SetLen)?;
        state.current.resize(len as usize, 0);
        state.pending.push(Change::SetLen(len));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.hang_if_wanted();
        let mut state = self.0.lock();
        state.begin(Operation::Sync)?;
        let state = &mut *state;
        if state.counts[Operation::Sync as usize].is_multiple_of(state.honest_one_in) {
            for change in state.pending.drain(..) {
                match change {
                    Change::SetLen(len) => state.durable.resize(len as usize, 0),
                    Change::Write(offset, bytes) => {
                        let range = offset as usize..offset as usize + bytes.len();
                        state.durable[range].copy_from_slice(&bytes);
                    }
                }
            }
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.0.lock();
        state.begin(Operation::Write)?;
        let end = offset as usize + data.len();
        let place = state.current.get_mut(offset as usize..end).ok_or(io::ErrorKind::UnexpectedEof)?;
        place.copy_from_slice(data);
        state.pending.push(Change::Write(offset, data.to_vec()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::SeededRandom;

    #[test]
    fn a_power_cut_takes_only_what_was_not_synced() {
        let disk = FaultDisk::new();
        let plug = Arc::clone(&disk).plug();
        plug.set_len(4096).unwrap();
        plug.write(0, &[1; 2048]).unwrap();
        plug.sync_data().unwrap();
        plug.set_len(8192).unwrap();
        plug.write(1024, &[2; 2048]).unwrap();
        let images: Vec<_> = (0..500).map(|seed| disk.image_after_power_cut(&SeededRandom::new(seed))).collect();
        assert!(images.iter().all(|image| image[..1024] == [1; 1024]));
        let count = |like: &dyn Fn(&[u8]) -> bool| images.iter().filter(|image| like(image)).count();
        assert!(count(&|image| image.len() == 4096) > 50 && count(&|image| image.len() == 8192) > 50);
        assert!(count(&|image| image[1024..3072] == [2; 2048]) > 50, "kept");
        assert!(count(&|image| !image.contains(&2)) > 20, "lost");
        assert!(count(&|image| image[1024] != image[1536]) > 5, "torn");
        assert!(count(&|image| image[1024] != image[1535]) == 0, "never inside a sector");
    }

    #[test]
    fn the_operation_that_was_named_fails() {
        let disk = FaultDisk::new();
        let plug = Arc::clone(&disk).plug();
        disk.fail(Fault { operation: Operation::SetLen, number: 2, lasting: false, errno: 28 });
        plug.set_len(512).unwrap();
        assert_eq!(plug.set_len(1024).unwrap_err().kind(), io::ErrorKind::StorageFull);
        plug.set_len(1024).unwrap();
        disk.fail(Fault { operation: Operation::Sync, number: 1, lasting: true, errno: 5 });
        assert!(plug.sync_data().is_err() && plug.sync_data().is_err() && plug.write(0, &[1]).is_ok());
        disk.cut_power_after(1);
        assert!(plug.write(0, &[1]).is_ok() && !disk.is_dark());
        assert!(plug.write(0, &[1]).is_err() && disk.is_dark() && plug.read(0, &mut [0]).is_err());
    }
}
