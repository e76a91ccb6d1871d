use pillarbox::base::Random;
use pillarbox::store::{Schema, Store, StoreError};

/// What a file must hold, how it may be changed, and how it is read.
pub trait World: Clone + Default + PartialEq + Send {
    /// A change that may be made.
    type Change: Clone;
    /// A change that is ready to be written.
    type Write;
    /// What the file is opened with.
    const SCHEMA: &'static Schema;

    /// A change that fits the state.
    fn random(&self, random: &dyn Random) -> Self::Change;
    /// The state after it.
    fn after(&self, change: &Self::Change) -> Self;
    /// Whether it must not be submitted together with others.
    fn is_alone(_: &Self::Change) -> bool {
        false
    }
    /// Whether it is made once more after a crash, when nobody knows whether it was made.
    fn is_repeated(_: &Self::Change) -> bool {
        false
    }
    /// Does what comes before the write, such as taking a body in.
    async fn prepare(store: &Store, change: Self::Change) -> Result<Self::Write, ()>;
    /// Writes.
    async fn write(store: &Store, write: Self::Write) -> Result<(), ()>;
    /// The state that the file is in.
    async fn read(store: &Store) -> Result<Self, StoreError>;
}

/// A random number below `end`.
pub fn below(random: &dyn Random, end: u64) -> u64 {
    random.next_u64() % end
}

/// Some octets, half of them compressible.
pub fn bytes(random: &dyn Random, longest: u64) -> Vec<u8> {
    let mut bytes = vec![0; below(random, longest + 1) as usize];
    let half = bytes.len() / 2;
    random.fill(&mut bytes[half..]);
    bytes
}
