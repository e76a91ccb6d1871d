use pillarbox::base::Random;
use pillarbox::store::{Schema, Store, StoreError};

/// What a file must hold, how it may be changed, and how it is read.
pub trait World: Clone + Default + PartialEq + Send + std::fmt::Debug {
    /// A change that may be made.
    type Change: Clone + std::fmt::Debug;
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
    /// The same, made once more on this state.
    fn once_more(&self, change: Self::Change) -> Self::Change {
        change
    }
    /// Which of its parts are another in `there`, which is not the same.
    fn parts_that_differ(&self, there: &Self) -> Vec<&'static str>;
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
