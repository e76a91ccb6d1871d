//! A mailbox beside what was sent to it: what is lost, doubled, cut short, or from nobody.

use std::collections::HashMap;

use super::load::{self, Attempt, Outcome};

/// What may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Nothing that was acknowledged.
    Acknowledged,
    /// Nothing at all.
    Everything,
}

/// A message of a mailbox.
pub enum Copy {
    /// As it was read.
    Read(Vec<u8>),
    /// One that was read before or in another mailbox, and was whole: its [`Attempt::id`].
    Known(String),
}

impl From<Vec<u8>> for Copy {
    fn from(content: Vec<u8>) -> Self {
        Self::Read(content)
    }
}

/// What a mailbox holds.
pub struct Compared {
    /// What is wrong with it.
    pub faults: Vec<String>,
    /// Copies of messages whose sender saw no 250.
    pub unacknowledged: usize,
}

/// Looks at the mailbox of `address`, which has `contents`: an attempt has at most one copy and exactly one where it is
/// expected, every copy is whole, and each is of an attempt.
pub fn compare(
    address: &str,
    contents: impl Iterator<Item = impl Into<Copy>>,
    attempts: &[Attempt],
    expect: Expect,
) -> Compared {
    let to_address = |attempt: &&Attempt| attempt.recipients.iter().any(|recipient| recipient == address);
    let sent: HashMap<&str, &Attempt> =
        attempts.iter().filter(to_address).map(|attempt| (attempt.id.as_str(), attempt)).collect();
    let mut copies: HashMap<&str, u32> = HashMap::new();
    let (mut faults, mut unacknowledged) = (Vec::new(), 0);
    for copy in contents {
        let (id, content) = match copy.into() {
            Copy::Read(content) => (load::id_of(&content), Some(content)),
            Copy::Known(id) => (id, None),
        };
        match sent.get_key_value(id.as_str()) {
            None => faults.push(format!("{address} has {id}, which nobody sent to it")),
            Some((id, attempt)) => {
                *copies.entry(id).or_default() += 1;
                unacknowledged += usize::from(attempt.outcome == Outcome::Unknown);
                if let Some(content) = content.filter(|content| !attempt.is_whole_in(content)) {
                    faults.push(format!("{address} has {id} not as it was sent: {} octets", content.len()));
                }
            }
        }
    }
    for (id, attempt) in sent {
        let outcome = attempt.outcome;
        match copies.get(id) {
            Some(1) => {}
            Some(count) => faults.push(format!("{address} has {id} {count} times ({outcome:?})")),
            None if outcome == Outcome::Acknowledged || expect == Expect::Everything => {
                faults.push(format!("{address} has no {id} ({outcome:?})"));
            }
            None => {}
        }
    }
    Compared { faults, unacknowledged }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two attempts, to `a` and to `b`, of which the first is acknowledged; each is there `copies` times with its last
    /// `cut` octets missing.
    fn check(copies: [usize; 2], cut: usize, expect: Expect, fault: Option<&str>) {
        let attempts = ["one", "two"].map(|id| Attempt::example(id, &["a@example.test", "b@example.test"]));
        let [mut one, two] = attempts;
        one.outcome = Outcome::Acknowledged;
        let attempts = [one, two];
        let contents = attempts.iter().zip(copies).flat_map(|(attempt, copies)| {
            let content = [b"Return-Path: <>\r\n".to_vec(), attempt.content()].concat();
            vec![content[..content.len() - cut].to_vec(); copies]
        });
        let compared = compare("a@example.test", contents, &attempts, expect);
        assert_eq!(compared.unacknowledged, copies[1]);
        let found = compared.faults;
        match fault {
            None => assert_eq!(found, Vec::<String>::new()),
            Some(words) => assert!(found.len() == 1 && found[0].contains(words), "{words}: {found:?}"),
        }
    }

    #[test]
    fn what_was_not_acknowledged_may_be_there_or_not() {
        check([1, 1], 0, Expect::Acknowledged, None);
        check([1, 0], 0, Expect::Acknowledged, None);
    }

    #[test]
    fn a_loss_is_seen() {
        check([0, 1], 0, Expect::Acknowledged, Some("no one"));
        check([1, 0], 0, Expect::Everything, Some("no two"));
    }

    #[test]
    fn a_second_copy_is_seen() {
        check([2, 0], 0, Expect::Acknowledged, Some("one 2 times"));
        check([1, 2], 0, Expect::Acknowledged, Some("two 2 times"));
    }

    #[test]
    fn a_part_is_seen() {
        check([1, 0], 2, Expect::Acknowledged, Some("one not as it was sent"));
    }

    #[test]
    fn mail_from_nobody_is_seen() {
        let stranger = Attempt::example("stranger", &["a@example.test"]).content();
        let found = compare("a@example.test", std::iter::once(stranger), &[], Expect::Acknowledged).faults;
        assert_eq!(found, ["a@example.test has stranger, which nobody sent to it"]);
    }
}
