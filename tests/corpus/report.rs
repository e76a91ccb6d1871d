//! Differences, gathered by kind.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::compare::Difference;
use crate::known::{KNOWN, Other};
use crate::mails::Mail;
use crate::site::say;

/// Differences that are understood are counted; the others are shown at the end.
#[derive(Default)]
pub struct Report {
    known: BTreeMap<(Other, &'static str), Vec<String>>,
    /// By who says something else and where, section numbers left out.
    unknown: BTreeMap<(String, String), Vec<String>>,
    kept: usize,
    outvoted: usize,
}

impl Report {
    /// Adds what was found in a message.
    pub fn add(&mut self, other: Other, mail: &Mail, differences: Vec<Difference>) {
        for found in differences {
            let known = KNOWN.iter().find(|known| known.other == other && (known.fits)(&found, &mail.content));
            let shown = || {
                let (ours, theirs) = (found.ours.to_string(), found.theirs.to_string());
                // From shortly before they part.
                let same = ours.chars().zip(theirs.chars()).take_while(|(a, b)| a == b).count().saturating_sub(60);
                let cut = |text: &str| text.chars().skip(same).take(400).collect::<String>();
                format!("{} at {}:\n    ours   {}\n    theirs {}", mail.name, found.at, cut(&ours), cut(&theirs))
            };
            match known {
                Some(known) => self.known.entry((known.other, known.name)).or_default().push(shown()),
                None => {
                    self.keep(mail);
                    // Without the section.
                    let is_inner =
                        found.at.starts_with(|c: char| c.is_ascii_digit()) || found.at.starts_with("message");
                    let place =
                        found.at.split_once(' ').filter(|_| is_inner).map_or(found.at.as_str(), |(_, place)| place);
                    let place = place.split(char::is_numeric).next().unwrap_or_default().to_owned();
                    self.unknown.entry((format!("{other:?}"), place)).or_default().push(shown());
                }
            }
        }
    }

    /// Counts where mail-parser reads something else than Dovecot and we do.
    pub fn outvote(&mut self, differences: Vec<Difference>) {
        self.outvoted += differences.len();
    }

    fn keep(&mut self, mail: &Mail) {
        let Some(folder) = std::env::var_os("PILLARBOX_CORPUS_KEEP").map(PathBuf::from) else { return };
        std::fs::create_dir_all(&folder).expect("the folder of PILLARBOX_CORPUS_KEEP");
        let name = mail.name.replace('/', "_");
        std::fs::write(folder.join(name), &mail.content).expect("a message is kept");
        self.kept += 1;
    }

    /// Fails where there is a difference that nobody has explained, or more of a kind than there may be; says how many
    /// there are of each.
    pub fn close(self) -> String {
        let show: usize = std::env::var("PILLARBOX_CORPUS_SHOW").map_or(0, |text| text.parse().expect("a number"));
        let mut wrong = Vec::new();
        let mut total = 0;
        for known in KNOWN {
            let found = self.known.get(&(known.other, known.name)).map_or(&[][..], Vec::as_slice);
            total += found.len();
            say(&format!("corpus: {:?}: {}: {} ({})", known.other, known.name, found.len(), known.why));
            found.iter().take(show).for_each(|one| say(one));
            if found.len() > known.at_most {
                wrong.push(format!("{}: {} where {} are known", known.name, found.len(), known.at_most));
            }
        }
        for ((other, place), found) in &self.unknown {
            say(&format!("corpus: {other} says something else: {place}: {}", found.len()));
            found.iter().take(show.max(3)).for_each(|one| say(one));
            wrong.push(format!("{other} {place}: {} that nobody has explained", found.len()));
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        format!(
            "{total} known differences in {} kinds; {} times mail-parser alone reads something else",
            self.known.len(),
            self.outvoted
        )
    }
}
