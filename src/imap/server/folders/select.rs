use std::collections::HashMap;

use crate::imap::wire::{ListSelection, matches};
use crate::mailbox::Folder;

/// Which names LIST and LSUB are to answer with.
pub(super) struct Query {
    /// Each as it is, and as it is held against INBOX, whose case does not matter.
    patterns: Vec<(String, String)>,
    selection: ListSelection,
}

/// A name that is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Listed<'a> {
    pub(super) name: &'a str,
    /// `None`: it only stands above a name that is subscribed to.
    pub(super) folder: Option<&'a Folder>,
    /// It is what was asked for; else only something below it is.
    pub(super) is_selected: bool,
    /// Something below it is what was asked for (RFC 5258 §4).
    pub(super) is_above_selected: bool,
}

impl Query {
    pub(super) fn new(patterns: Vec<String>, selection: ListSelection) -> Self {
        let patterns = patterns.into_iter().map(|pattern| {
            let for_inbox = pattern.to_ascii_uppercase();
            (pattern, for_inbox)
        });
        Self { patterns: patterns.collect(), selection }
    }

    /// The names to answer with, in the order of `folders`.
    pub(super) fn select<'a>(&self, folders: &'a [Folder]) -> Vec<Listed<'a>> {
        let candidates: Vec<_> = folders
            .iter()
            .map(|folder| {
                let is_selected = self.is_selected(folder);
                // Nothing else is asked of a name, so most need not be held against the patterns.
                let matched = (is_selected || self.selection.recursive_match) && self.is_matched(&folder.name);
                (folder, is_selected, matched)
            })
            .collect();
        let mut above = self.above(&candidates);
        let mut listed = Vec::new();
        for (folder, is_selected, matched) in candidates {
            let below = above.remove(folder.name.as_str());
            // RFC 5258 §3.1: who only stands above is told of where nothing below tells the client by itself.
            if matched && (is_selected || below == Some(Reach::Beyond)) {
                let is_above_selected = below.is_some();
                listed.push(Listed { name: &folder.name, folder: Some(folder), is_selected, is_above_selected });
            }
        }
        let unknown = above.into_iter().filter(|(name, reach)| *reach == Reach::Beyond && self.is_matched(name));
        let unknown = unknown.map(|(name, _)| name);
        listed.extend(unknown.map(|name| Listed { name, folder: None, is_selected: false, is_above_selected: true }));
        listed
    }

    /// The names above those that are selected, where they are asked for.
    fn above<'a>(&self, candidates: &[(&'a Folder, bool, bool)]) -> HashMap<&'a str, Reach> {
        let mut above = HashMap::new();
        if !self.selection.recursive_match {
            return above;
        }
        for (folder, _, matched) in candidates.iter().filter(|(_, is_selected, _)| *is_selected) {
            let reach = if *matched { Reach::Within } else { Reach::Beyond };
            for name in superiors(&folder.name) {
                let known = above.entry(name).or_insert(reach);
                *known = reach.max(*known);
            }
        }
        above
    }

    fn is_selected(&self, folder: &Folder) -> bool {
        let ListSelection { subscribed, special_use, .. } = self.selection;
        let has_use = folder.mailbox.as_ref().is_some_and(|(_, mailbox)| mailbox.special_use.is_some());
        // A name that is no mailbox is a level of the hierarchy, or only subscribed to: then LIST does not know it.
        let is_known = folder.mailbox.is_some() || folder.has_children;
        (is_known || subscribed) && (!subscribed || folder.subscribed) && (!special_use || has_use)
    }

    fn is_matched(&self, name: &str) -> bool {
        let is_inbox = name == "INBOX";
        let as_it_is =
            |(pattern, for_inbox): &(String, String)| matches(if is_inbox { for_inbox } else { pattern }, name);
        self.patterns.iter().any(as_it_is)
    }
}

/// What is known of the selected names below a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    /// All of them are answered with.
    Within,
    /// One at least is not, since no pattern matches it.
    Beyond,
}

/// The names above a name.
fn superiors(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices('/').map(|(at, _)| &name[..at])
}

#[cfg(test)]
mod tests;
