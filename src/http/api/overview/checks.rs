use super::{CheckState, OverviewCheck, OverviewVerdict};
use crate::backup::Standing;
use crate::base::{DAY_MS, Timestamp, limits};
use crate::http::api::sentence::ended;
use crate::store::Secrets;
use crate::tls::CertificateFacts;

const MINUTE_MS: u64 = 60 * 1000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
/// How long mail may wait before somebody should look: RFC 5321 §4.5.4.1 lets an hour or two pass by itself.
const OLD_MS: u64 = 4 * HOUR_MS;
/// How old the newest backup may be: a day that was missed is no news, two are.
const BACKUP_OLD_MS: u64 = 2 * DAY_MS;
/// How long before its end a certificate is worth a warning: renewals begin at 30 days.
const EXPIRING_MS: u64 = 14 * DAY_MS;
/// How long a start is news.
const NEW_MS: u64 = 10 * MINUTE_MS;
/// Deferred recipients that are worth a warning.
const DEFERRED: u64 = 10;

/// What is known when the checks are made.
pub(super) struct Seen {
    pub(super) now: Timestamp,
    pub(super) started_at: Timestamp,
    pub(super) writable: bool,
    pub(super) full: bool,
    pub(super) free_bytes: Option<u64>,
    pub(super) reserve_bytes: u64,
    pub(super) faults: u64,
    pub(super) secrets: Secrets,
    /// The permission bits of the file, where it lies on a disk.
    pub(super) file_mode: Option<u32>,
    pub(super) certificates: Vec<CertificateFacts>,
    pub(super) listeners: Vec<&'static str>,
    pub(super) oldest_waiting_at: Option<Timestamp>,
    pub(super) waiting: u64,
    pub(super) deferred: Deferred,
    pub(super) has_admin: bool,
    pub(super) backup: Standing,
    /// Milliseconds into the day at which one is made; `None`: never.
    pub(super) daily_at_ms: Option<u64>,
    pub(super) received: u64,
    pub(super) sent: u64,
    /// Octets that the file takes, and those of them that a compaction would give back, where that is known.
    pub(super) used_bytes: u64,
    pub(super) reclaimable_bytes: Option<u64>,
    /// When it is compacted by itself; empty: never.
    pub(super) compact_at: String,
}

/// Recipients whose last attempt has failed for now.
#[derive(Debug, Clone, Default)]
pub(super) struct Deferred {
    pub(super) count: u64,
    /// The oldest one's domain, and what was said.
    pub(super) oldest: Option<(String, String)>,
}

/// What a check comes to: state, what was seen, what to do.
type Found = (CheckState, String, String);

impl Seen {
    /// All of them, the worst first.
    pub(super) fn checks(&self) -> Vec<OverviewCheck> {
        let found: [(&'static str, &'static str, Found); 13] = [
            ("storage", "Storage", self.storage()),
            ("disk", "Disk", self.disk()),
            ("free_pages", "Room in the file", self.free_pages()),
            ("listeners", "Listeners", self.listening()),
            ("certificate", "Certificate", self.certificate()),
            ("queue_age", "Old mail in the queue", self.queue_age()),
            ("deferred", "Mail that others put off", self.deferring()),
            ("administrator", "Administrator", self.administrator()),
            ("secrets", "Secrets in the file", self.secrecy()),
            ("faults", "Faults of the program", self.program()),
            ("backup", "Backup", self.backed_up()),
            ("restore", "Restore", self.restoring()),
            ("started", "Last start", self.started()),
        ];
        let check = |(id, title, (state, detail, fix))| OverviewCheck { id, state, title, detail, fix };
        let mut checks: Vec<OverviewCheck> = found.into_iter().map(check).collect();
        checks.sort_by_key(|check| std::cmp::Reverse(check.state));
        checks
    }

    /// One sentence out of the worst.
    pub(super) fn verdict(&self, checks: &[OverviewCheck]) -> OverviewVerdict {
        let failing: Vec<&OverviewCheck> = checks.iter().filter(|check| check.state != CheckState::Ok).collect();
        let Some(worst) = failing.first() else {
            let waits = match self.waiting {
                0 => "nothing waits".to_owned(),
                1 => "1 recipient waits".to_owned(),
                count => format!("{count} recipients wait"),
            };
            let sentence = format!(
                "Mail flows: {} came in and {} went out in the last 24 hours, and {waits}.",
                plural(self.received, "message"),
                if self.sent == 1 { "1 copy".to_owned() } else { format!("{} copies", self.sent) }
            );
            return OverviewVerdict { state: CheckState::Ok, sentence };
        };
        let begin = match worst.state {
            CheckState::Problem => "Mail is in danger",
            _ => "Mail flows, but look here",
        };
        let more = match failing.len() - 1 {
            0 => String::new(),
            1 => " One more check is not as it should be.".to_owned(),
            count => format!(" {count} more checks are not as they should be."),
        };
        let sentence = format!("{begin}: {} {}{more}", worst.detail, worst.fix);
        OverviewVerdict { state: worst.state, sentence }
    }

    fn storage(&self) -> Found {
        if self.writable {
            return fine("The file takes writes.");
        }
        problem(
            "The file takes no writes: no mail is accepted.",
            "Look into the log for the cause, mend the disk, and start the server again.",
        )
    }

    fn disk(&self) -> Found {
        let Some(free) = self.free_bytes else { return fine("The file lies in memory.") };
        let seen = format!("{} are free, {} are kept in reserve.", bytes(free), bytes(self.reserve_bytes));
        let fix = "Free some space, or give the disk more.";
        if self.full {
            return problem(&format!("{seen} No mail is accepted any more."), fix);
        }
        if free < self.reserve_bytes.saturating_mul(2) {
            return warning(&format!("{seen} Soon no mail will be accepted."), fix);
        }
        fine(&seen)
    }

    fn free_pages(&self) -> Found {
        let Some(free) = self.reclaimable_bytes else {
            return fine("How much of the file is free is known after it was compacted once.");
        };
        let seen = format!("{} of the file's {} are free for new mail.", bytes(free), bytes(self.used_bytes));
        if self.used_bytes <= limits::COMPACTED_FILE_BYTES || free <= self.used_bytes / 2 {
            return fine(&seen);
        }
        if !self.compact_at.is_empty() {
            return fine(&format!("{seen} It is compacted by itself after {} UTC.", self.compact_at));
        }
        warning(&seen, "Compact it: pillarbox compact, or the page Maintenance.")
    }

    fn listening(&self) -> Found {
        if self.listeners.is_empty() {
            return problem("Nothing listens for mail.", "Start the server with at least one listener.");
        }
        fine(&format!("Open: {}.", self.listeners.join(", ")))
    }

    fn certificate(&self) -> Found {
        let fix = "Get a certificate of an authority for this name and put it in.";
        let Some(first) = self.certificates.iter().min_by_key(|certificate| certificate.not_after) else {
            return warning("There is no certificate for the server's name.", fix);
        };
        let left = first.not_after.ms_since(self.now);
        if left == 0 {
            return problem(&format!("The certificate for {} has expired: programs refuse it.", first.name), fix);
        }
        if left < EXPIRING_MS {
            return warning(&format!("The certificate for {} expires in {}.", first.name, span(left)), fix);
        }
        if let Some(own) = self.certificates.iter().find(|certificate| certificate.self_signed) {
            let detail = format!("The certificate for {} is self-signed: programs warn of it.", own.name);
            return warning(&detail, fix);
        }
        fine(&format!("The certificate for {} is good for {}.", first.name, span(left)))
    }

    fn queue_age(&self) -> Found {
        let Some(oldest) = self.oldest_waiting_at else { return fine("Nothing waits.") };
        let age = self.now.ms_since(oldest);
        let seen = format!("The oldest message has waited for {}.", span(age));
        if age < OLD_MS {
            return fine(&seen);
        }
        let why = match &self.deferred.oldest {
            Some((domain, text)) => format!("{seen} For {domain} it was last said: {}", ended(text)),
            None => seen,
        };
        warning(&why, "Look at the queue: retry it, send it another way, or bounce it.")
    }

    fn deferring(&self) -> Found {
        let Deferred { count, oldest } = &self.deferred;
        let Some((domain, text)) = oldest else { return fine("No attempt has failed.") };
        let seen = format!("{} put off, the oldest at {domain}: {}", people(*count), ended(text));
        if *count < DEFERRED {
            return fine(&seen);
        }
        warning(&seen, "They are tried again by themselves; when the other side is mended, flush the queue.")
    }

    fn administrator(&self) -> Found {
        if self.has_admin {
            return fine("Somebody can log in as an administrator.");
        }
        warning(
            "Nobody can log in as an administrator.",
            "Open the link of `pillarbox admin link`, or give an account the role admin.",
        )
    }

    fn secrecy(&self) -> Found {
        if let Some(mode) = self.file_mode.filter(|mode| mode & 0o077 != 0) {
            return warning(
                &format!("Others than its owner may open the file (mode {mode:04o})."),
                "Set its mode to 0600, and look who has read it.",
            );
        }
        match self.secrets {
            Secrets::Plain => fine(
                "Private keys and passwords for other servers lie in the file, and in its backups, as they are: \
                 without --key-file.",
            ),
            Secrets::Sealed { key, plain_until_compacted: false } => {
                fine(&format!("Private keys and passwords for other servers are sealed with the key {key}."))
            }
            Secrets::Sealed { key, plain_until_compacted: true } => warning(
                &format!(
                    "Secrets are sealed with the key {key}, but free room in the file may hold them as they were."
                ),
                "Compact the file, and remove older backups.",
            ),
        }
    }

    fn program(&self) -> Found {
        match self.faults {
            0 => fine("None since the start."),
            count => warning(
                &format!("{} since the start: sessions or changes were undone.", plural(count, "fault")),
                "Look into the log for \"panicked\", and report it.",
            ),
        }
    }

    fn backed_up(&self) -> Found {
        let Standing { is_on_disk, newest_at, failed, .. } = &self.backup;
        let fix = "Make one now, with `pillarbox backup create` or on the page Backups; where that fails, it says why.";
        if !is_on_disk {
            return fine("The file lies in memory.");
        }
        let newest = match newest_at {
            Some(at) => format!("The newest is {} old.", span(self.now.ms_since(*at))),
            None => "There is none.".to_owned(),
        };
        if let Some((at, problem)) = failed.as_ref().filter(|(at, _)| newest_at.is_none_or(|newest| newest < *at)) {
            let ago = span(self.now.ms_since(*at));
            return warning(&format!("{ago} ago no daily backup was made: {} {newest}", ended(problem)), fix);
        }
        let Some(daily_at_ms) = self.daily_at_ms else {
            return fine(&format!("No daily one is wanted (setting backup.daily_at). {newest}"));
        };
        match newest_at.unwrap_or(self.started_at) {
            since if self.now.ms_since(since) >= BACKUP_OLD_MS => warning(&newest, fix),
            _ if newest_at.is_none() => {
                let (hour, minute) = (daily_at_ms / HOUR_MS, daily_at_ms % HOUR_MS / MINUTE_MS);
                fine(&format!("The first one is made at {hour:02}:{minute:02} UTC."))
            }
            _ => fine(&newest),
        }
    }

    fn restoring(&self) -> Found {
        let Some(staged) = &self.backup.staged else { return fine("No backup waits to be put in place.") };
        warning(
            &format!(
                "At the next start, the backup that was staged at {} takes the place of the data file.",
                staged.at.rfc3339()
            ),
            "Start the server again, or drop it with `pillarbox restore drop`.",
        )
    }

    fn started(&self) -> Found {
        let age = self.now.ms_since(self.started_at);
        let news = if age < NEW_MS { " If nobody wanted that, look into the log of before." } else { "" };
        fine(&format!("The server was started {} ago.{news}", span(age)))
    }
}

fn fine(detail: &str) -> Found {
    (CheckState::Ok, detail.to_owned(), String::new())
}

fn warning(detail: &str, fix: &str) -> Found {
    (CheckState::Warning, detail.to_owned(), fix.to_owned())
}

fn problem(detail: &str, fix: &str) -> Found {
    (CheckState::Problem, detail.to_owned(), fix.to_owned())
}

fn people(count: u64) -> String {
    if count == 1 { "1 recipient is".to_owned() } else { format!("{count} recipients are") }
}

fn plural(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// A time as people say it.
fn span(ms: u64) -> String {
    match ms {
        ms if ms >= 2 * DAY_MS => format!("{} days", ms / DAY_MS),
        ms if ms >= 2 * HOUR_MS => format!("{} hours", ms / HOUR_MS),
        ms if ms >= MINUTE_MS => plural(ms / MINUTE_MS, "minute"),
        _ => "less than a minute".to_owned(),
    }
}

fn bytes(count: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1_000_000_000, "GB"), (1_000_000, "MB"), (1000, "kB")];
    match UNITS.into_iter().find(|(unit, _)| count >= *unit) {
        Some((unit, name)) => format!("{}.{} {name}", count / unit, count % unit * 10 / unit),
        None => format!("{count} octets"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::Staged;

    const NOW: Timestamp = Timestamp(100 * DAY_MS);

    fn good() -> Seen {
        let not_after = NOW.plus_ms(90 * DAY_MS);
        Seen {
            now: NOW,
            started_at: Timestamp(NOW.ms() - DAY_MS),
            writable: true,
            full: false,
            free_bytes: Some(50_000_000_000),
            reserve_bytes: 1_000_000_000,
            faults: 0,
            secrets: Secrets::Plain,
            file_mode: Some(0o600),
            certificates: vec![CertificateFacts { name: "mail.x.test".into(), not_after, self_signed: false }],
            listeners: vec!["smtp"],
            oldest_waiting_at: None,
            waiting: 0,
            deferred: Deferred::default(),
            has_admin: true,
            backup: Standing {
                is_on_disk: true,
                newest_at: Some(Timestamp(NOW.ms() - HOUR_MS)),
                ..Standing::default()
            },
            daily_at_ms: Some(3 * HOUR_MS),
            received: 1,
            sent: 2,
            used_bytes: 2 * limits::COMPACTED_FILE_BYTES,
            reclaimable_bytes: Some(limits::COMPACTED_FILE_BYTES),
            compact_at: String::new(),
        }
    }

    fn check(change: impl Fn(&mut Seen), id: &str, state: CheckState, words: &str) {
        let mut seen = good();
        change(&mut seen);
        let checks = seen.checks();
        let found = checks.iter().find(|check| check.id == id).expect("the check is there");
        assert_eq!(found.state, state, "{id}: {}", found.detail);
        assert_eq!(found.fix.is_empty(), state == CheckState::Ok, "{id}: {}", found.fix);
        let verdict = seen.verdict(&checks);
        assert_eq!(verdict.state, state, "{id}: nothing else is wrong");
        assert!(found.detail.contains(words), "{id}: {}", found.detail);
        assert!(state == CheckState::Ok || verdict.sentence.contains(&found.detail), "{id}: {}", verdict.sentence);
        assert!(verdict.sentence.ends_with('.') && !verdict.sentence.contains("  "), "{id}: {}", verdict.sentence);
    }

    #[test]
    fn each_check_says_what_is_wrong_and_what_to_do() {
        use CheckState::{Ok, Problem, Warning};
        check(|seen| seen.writable = false, "storage", Problem, "takes no writes");
        check(|seen| seen.full = true, "disk", Problem, "No mail is accepted");
        check(|seen| seen.free_bytes = Some(1_500_000_000), "disk", Warning, "1.5 GB are free");
        check(|seen| seen.free_bytes = None, "disk", Ok, "in memory");
        let mostly = |seen: &mut Seen| seen.reclaimable_bytes = Some(limits::COMPACTED_FILE_BYTES * 3 / 2);
        check(mostly, "free_pages", Warning, "1.6 GB of the file's 2.1 GB are free");
        check(|seen| seen.reclaimable_bytes = None, "free_pages", Ok, "is known after");
        let by_itself = |seen: &mut Seen| (mostly(seen), seen.compact_at = "04:00".into()).0;
        check(by_itself, "free_pages", Ok, "by itself after 04:00 UTC");
        check(|seen| seen.listeners.clear(), "listeners", Problem, "Nothing listens");
        check(|seen| seen.certificates[0].not_after = NOW, "certificate", Problem, "has expired");
        check(|seen| seen.certificates[0].not_after = NOW.plus_ms(3 * DAY_MS), "certificate", Warning, "in 3 days");
        check(|seen| seen.certificates[0].self_signed = true, "certificate", Warning, "self-signed");
        check(|seen| seen.certificates.clear(), "certificate", Warning, "no certificate");
        let hours = |hours: u64| Some(Timestamp(NOW.ms() - hours * HOUR_MS));
        check(|seen| seen.oldest_waiting_at = hours(3), "queue_age", Ok, "for 3 hours");
        check(|seen| seen.oldest_waiting_at = hours(5), "queue_age", Warning, "for 5 hours");
        let deferred = |count| Deferred { count, oldest: Some(("x.test".into(), "timed out".into())) };
        check(|seen| seen.deferred = deferred(1), "deferred", Ok, "1 recipient is put off, the oldest at x.test");
        check(|seen| seen.deferred = deferred(10), "deferred", Warning, "timed out.");
        check(|seen| seen.has_admin = false, "administrator", Warning, "Nobody");
        check(|seen| seen.backup.newest_at = hours(47), "backup", Ok, "The newest is 47 hours old");
        check(|seen| seen.backup.newest_at = hours(48), "backup", Warning, "The newest is 2 days old");
        check(
            |seen| (seen.backup.newest_at, seen.started_at) = (None, Timestamp(0)),
            "backup",
            Warning,
            "There is none",
        );
        check(|seen| seen.backup.newest_at = None, "backup", Ok, "made at 03:00 UTC");
        let failed = |seen: &mut Seen| seen.backup.failed = hours(2).map(|at| (at, "no room".into()));
        check(failed, "backup", Ok, "The newest is 60 minutes old");
        let failed_since = |seen: &mut Seen| (seen.backup.newest_at, seen.daily_at_ms) = (hours(26), None);
        check(failed_since, "backup", Ok, "No daily one is wanted");
        let both = |seen: &mut Seen| {
            failed(seen);
            failed_since(seen);
        };
        check(both, "backup", Warning, "2 hours ago no daily backup was made: no room. The newest is 26 hours old");
        check(|seen| seen.backup.is_on_disk = false, "backup", Ok, "in memory");
        let staged = Staged { path: "x".into(), at: NOW, file_bytes: 1 };
        check(
            move |seen| seen.backup.staged = Some(staged.clone()),
            "restore",
            Warning,
            "takes the place of the data file",
        );
        let key =
            crate::base::KeyRing::parse(&[200; 32], std::sync::Arc::new(crate::base::SystemRandom)).unwrap().first();
        let sealed = |plain_until_compacted| Secrets::Sealed { key, plain_until_compacted };
        check(|_| {}, "secrets", Ok, "as they are");
        check(|seen| seen.secrets = sealed(false), "secrets", Ok, "are sealed with the key");
        check(|seen| seen.secrets = sealed(true), "secrets", Warning, "free room in the file");
        check(|seen| seen.file_mode = Some(0o640), "secrets", Warning, "mode 0640");
        check(|seen| seen.faults = 2, "faults", Warning, "2 faults");
        check(|seen| seen.started_at = Timestamp(NOW.ms() - MINUTE_MS), "started", Ok, "1 minute ago");
        check(|seen| seen.started_at = NOW, "started", Ok, "less than a minute ago");
    }

    #[test]
    fn when_all_is_well_the_verdict_says_so_and_the_worst_comes_first() {
        let seen = good();
        let checks = seen.checks();
        let verdict = seen.verdict(&checks);
        assert_eq!(
            verdict.sentence,
            "Mail flows: 1 message came in and 2 copies went out in the last 24 hours, and nothing waits."
        );
        let bad = Seen { has_admin: false, writable: false, ..good() };
        let checks = bad.checks();
        assert_eq!((checks[0].id, checks[1].id), ("storage", "administrator"));
        assert!(bad.verdict(&checks).sentence.ends_with("One more check is not as it should be."));
    }
}
