/// What a commit was about: a kind that the announcing room names, and which one (0: the kind as a whole).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Topic(pub &'static str, pub u64);

/// Tells watchers what was committed, after it was committed.
#[derive(Debug, Default)]
pub struct Bus {}

/// A watcher's end.
#[derive(Debug)]
pub struct Watch {}

impl Bus {
    /// Watches every topic of that kind.
    pub fn watch(&self, _kind: &'static str) -> Watch {
        todo!()
    }
}

impl Watch {
    /// The next committed topic of the kind. `None` when the store is closed. When the watcher was too slow and
    /// topics were lost, the id is 0: look at everything.
    pub async fn next(&mut self) -> Option<Topic> {
        todo!()
    }
}
