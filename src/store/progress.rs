use std::ops::ControlFlow;

use super::error::StoreError;

/// Rows or bodies that are looked at between two words about them.
const STEP: u64 = 256;

/// What a check looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckPart {
    /// The file's pages, against their checksums: in octets.
    Pages,
    /// Every row of every table: in rows.
    Rows,
    /// Every body: in bodies.
    Bodies,
    /// Every table against the others: in comparisons.
    Tables,
}

/// How far a check is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckProgress {
    /// At what it is. They come in their order.
    pub part: CheckPart,
    /// So much of it is done.
    pub done: u64,
    /// Of so much. Pages that nothing uses are not read, so that their part may end before.
    pub total: u64,
}

/// Hears how far a check is, and may end it.
pub type Tell<'a> = &'a mut dyn FnMut(CheckProgress) -> ControlFlow<()>;

/// Counts what a check has done, and tells of it now and then.
pub(super) struct Teller<'a> {
    tell: Tell<'a>,
    at: CheckProgress,
    told: u64,
    is_given_up: bool,
}

impl<'a> Teller<'a> {
    pub(super) fn new(tell: Tell<'a>) -> Self {
        let at = CheckProgress { part: CheckPart::Pages, done: 0, total: 0 };
        Self { tell, at, told: 0, is_given_up: false }
    }

    /// Whoever wanted the check wants it no more.
    pub(super) fn is_given_up(&self) -> bool {
        self.is_given_up
    }

    /// Begins with a part.
    ///
    /// # Errors
    /// [`StoreError::Closed`] when it is given up.
    pub(super) fn begin(&mut self, part: CheckPart, total: u64) -> Result<(), StoreError> {
        self.at = CheckProgress { part, done: 0, total };
        self.say()
    }

    /// One more is done.
    ///
    /// # Errors
    /// As [`Teller::begin`].
    pub(super) fn step(&mut self) -> Result<(), StoreError> {
        self.at.done += 1;
        if self.at.done == self.at.total || self.at.done - self.told >= STEP { self.say() } else { Ok(()) }
    }

    /// So much is done.
    ///
    /// # Errors
    /// As [`Teller::begin`].
    pub(super) fn reach(&mut self, done: u64) -> Result<(), StoreError> {
        self.at.done = done.min(self.at.total);
        self.say()
    }

    fn say(&mut self) -> Result<(), StoreError> {
        self.told = self.at.done;
        self.is_given_up |= (self.tell)(self.at).is_break();
        if self.is_given_up { Err(StoreError::Closed) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_tells_now_and_then_and_at_the_end() {
        let mut told = Vec::new();
        let mut tell = |progress: CheckProgress| {
            told.push((progress.part, progress.done, progress.total));
            if progress.part == CheckPart::Tables { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let mut teller = Teller::new(&mut tell);
        teller.begin(CheckPart::Rows, STEP + 10).unwrap();
        (0..STEP + 10).try_for_each(|_| teller.step()).unwrap();
        assert!(!teller.is_given_up());
        assert!(matches!(teller.begin(CheckPart::Tables, 3), Err(StoreError::Closed)));
        assert!(teller.is_given_up());
        let rows = |done| (CheckPart::Rows, done, STEP + 10);
        assert_eq!(told, [rows(0), rows(STEP), rows(STEP + 10), (CheckPart::Tables, 0, 3)]);
    }
}
