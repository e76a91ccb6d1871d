//! What a copy of the file holds, and bringing some of it back into the file that the server has open: accounts,
//! mailboxes, messages.
//!
//! The copy is only read. What is still here stays as it is and is not doubled, so that a restore can be run again.

mod carry;
mod outcome;
mod restore;
mod source;
mod survey;

pub use outcome::{Few, Outcome};
pub use restore::{Order, restore};
pub use source::{Folder, ItemsError, Source, Wanted, folders, open, says};
pub use survey::{Survey, SurveyedFolder, SurveyedMessage};

#[cfg(test)]
mod tests;
