use std::fmt::Display;

/// A step on the way from an address to those whom it leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The address that it is about.
    pub address: String,
    /// What is found there.
    pub kind: StepKind,
    /// Where it goes on to; empty: the way ends there.
    pub to: Vec<String>,
    /// How many aliases, forwards and catch-alls have led there.
    pub depth: usize,
}

/// What is found at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepKind {
    /// Its domain is another name of one of ours.
    DomainAlias,
    /// Nobody has it; somebody has it without its tag.
    Subaddress,
    /// An alias or a group.
    Alias,
    /// An account that gets a copy.
    Account,
    /// An account that forwards its mail.
    Forward,
    /// Nobody has it, and the domain's catch-all takes it.
    CatchAll,
    /// Every domain has this address, and an administrator reads it.
    Administrator,
    /// An address elsewhere, which gets a copy.
    Remote,
    /// The way has led there before: nobody gets two copies.
    Repeated,
    /// The address, or its domain, is switched off.
    Disabled,
    /// The domain is ours, but nobody has the address.
    Unknown,
    /// More levels or more members than the limits allow.
    TooFar,
    /// The domain is not ours.
    NotLocal,
}

/// Notes steps, for who wants to know them.
#[derive(Default)]
pub(super) struct Steps(Option<Vec<Step>>);

impl Steps {
    /// For somebody who wants to know.
    pub(super) fn wanted() -> Self {
        Self(Some(Vec::new()))
    }

    pub(super) fn note<T: Display>(&mut self, kind: StepKind, address: &impl Display, depth: usize, to: &[T]) {
        if let Some(steps) = &mut self.0 {
            let to = to.iter().map(T::to_string).collect();
            steps.push(Step { address: address.to_string(), kind, to, depth });
        }
    }

    /// The same where the way ends.
    pub(super) fn end(&mut self, kind: StepKind, address: &impl Display, depth: usize) {
        self.note::<String>(kind, address, depth, &[]);
    }

    pub(super) fn into_vec(self) -> Vec<Step> {
        self.0.unwrap_or_default()
    }
}
