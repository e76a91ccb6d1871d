//! The server's own changes: accounts and mailboxes come and go, messages are delivered to recipients here and elsewhere,
//! appended, marked, copied, moved and expunged, attempts begin and end, what failed is told, what went is kept and
//! delivered once more, and jobs run.

mod change;
mod content;
mod house;
mod read;
mod write;

use std::fmt;

use pillarbox::base::{Random, Timestamp};
use pillarbox::schema;
use pillarbox::store::{Schema, Store, StoreError};

use super::world::World;
use change::{Change, What};
use house::House;
use write::Write;

/// What the file must hold. No house: nothing was made yet.
#[derive(Clone, Default)]
pub struct Mail {
    /// When the last change was made, or the newest that the file tells of: it is what the next one comes after.
    clock: Timestamp,
    house: Option<House>,
}

impl PartialEq for Mail {
    fn eq(&self, other: &Self) -> bool {
        self.house == other.house
    }
}

impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.house.fmt(f)
    }
}

impl World for Mail {
    type Change = Change;
    type Write = Write;
    const SCHEMA: &'static Schema = &schema::SCHEMA;

    fn random(&self, random: &dyn Random) -> Change {
        Change::after(self.clock, random, change::choose(self.house.as_ref(), random))
    }

    fn after(&self, change: &Change) -> Self {
        let mut house = self.house.clone().unwrap_or_default();
        house.make(change);
        Self { clock: self.clock.max(change.at), house: Some(house) }
    }

    fn is_alone(change: &Change) -> bool {
        change.what.is_alone()
    }

    fn is_repeated(change: &Change) -> bool {
        matches!(change.what, What::Deliver { .. })
    }

    fn once_more(&self, change: Change) -> Change {
        // Later than the last time too: its session is another one, as its sender's would be.
        Change { at: change.at.max(self.clock).plus_ms(1), ..change }
    }

    fn parts_that_differ(&self, there: &Self) -> Vec<&'static str> {
        let (Some(here), Some(there)) = (&self.house, &there.house) else { return vec!["house"] };
        let parts = [
            ("mailboxes", here.accounts != there.accounts),
            ("queue", here.queue != there.queue),
            ("kept messages", here.kept != there.kept),
            ("jobs", here.jobs != there.jobs),
            ("accounts", here.by_age != there.by_age || here.keeps != there.keeps),
        ];
        parts.into_iter().filter(|(_, differs)| *differs).map(|(part, _)| part).collect()
    }

    async fn prepare(store: &Store, change: Change) -> Result<Write, ()> {
        write::prepare(store, change).await
    }

    async fn write(store: &Store, write: Write) -> Result<(), ()> {
        write.submit(store).await
    }

    async fn read(store: &Store) -> Result<Self, StoreError> {
        let (clock, house) = read::read(store).await?;
        Ok(Self { clock, house })
    }
}
