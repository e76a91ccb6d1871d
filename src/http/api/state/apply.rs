use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use super::diff;
use super::passwords::Passwords;
use super::section::{Section, version};
use super::shape::{Item, StateChange, StateDone, Wanted};
use super::step::{self, Done};
use crate::base::{Timestamp, limits};
use crate::directory;
use crate::http::caller::Caller;
use crate::http::large_body::Held;
use crate::http::managed;
use crate::http::problem::{Code, Fault, Problem, Refusal};
use crate::http::validate::below;
use crate::mailbox;
use crate::settings::{self, Live, Settings, Source};
use crate::store::{Draft, Halt, Op, StoreError, Tx};

/// How often what was refused is tried again because something else has changed: a name that goes from one thing to
/// another is free only then.
const ROUNDS: usize = 16;

/// Makes everything as a state says, or nothing. Its check tries each change on a draft of the transaction, by the op that
/// the thing's own PUT or DELETE runs: so a dry run and a real one can't differ, nor can the rules.
#[derive(Clone)]
pub(super) struct ApplyState {
    pub wanted: Arc<Held<Wanted>>,
    pub passwords: Arc<Passwords>,
    pub dry_run: bool,
    /// Whether what the state's sections do not name goes.
    pub prune: bool,
    /// The version that the state must still have.
    pub expected: Option<String>,
    pub caller: Arc<Caller>,
    pub live: Arc<Live>,
    pub at: Timestamp,
    /// What was changed, for the audit; set when it is.
    pub told: Arc<Mutex<Option<Value>>>,
}

/// Changes that the audit tells of at most.
const TOLD: usize = 200;

/// One thing to be made or removed.
struct Step {
    section: Section,
    item: Item,
    removes: bool,
}

/// A thing that was changed.
struct Touched {
    section: Section,
    name: String,
    key: String,
    secret: bool,
    removed: bool,
}

impl Op for ApplyState {
    type Plan = (Draft, StateDone);
    type Out = StateDone;
    type Refused = Problem;

    fn name(&self) -> &'static str {
        "http.apply_state"
    }

    fn weight_bytes(&self) -> usize {
        // It may be long: nothing else waits in its batch.
        limits::BATCH_BYTES
    }

    fn runs_when_full(&self) -> bool {
        true
    }

    fn check(&self, tx: &Tx<'_>) -> Result<Self::Plan, Halt<Problem>> {
        // It may run again, in a batch without the op that broke the first.
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = None;
        if let Some(expected) = &self.expected
            && *expected != version(tx)?
        {
            let detail = "It was changed meanwhile: read it again.";
            return Err(Halt::Refused(Problem::new(Code::PreconditionFailed, detail)));
        }
        let removals = self.removals(tx)?;
        self.check_losses(tx, &removals)?;
        let mut draft = tx.draft();
        let touched = self.run(&mut draft, removals)?;
        let changes = touched.iter().map(|touched| touched.changes(tx, &draft)).collect::<Result<Vec<_>, _>>()?;
        self.mark(&mut draft, &touched)?;
        let warnings = self.warnings(&draft, &touched)?;
        let done = StateDone { applied: !self.dry_run, changes: changes.concat(), warnings };
        Ok((draft.into_draft(), done))
    }

    fn apply(&self, tx: &mut Tx<'_>, (draft, done): Self::Plan) -> Result<StateDone, StoreError> {
        if !self.dry_run {
            tx.adopt(draft)?;
            let first: Vec<&StateChange> = done.changes.iter().take(TOLD).collect();
            let told = json!({"changes": first, "count": done.changes.len()});
            *self.told.lock().unwrap_or_else(PoisonError::into_inner) = Some(told);
        }
        Ok(done)
    }
}

impl ApplyState {
    /// What is there and is not named, where that is to go.
    fn removals(&self, tx: &Tx<'_>) -> Result<Vec<Step>, StoreError> {
        let mut steps = Vec::new();
        // A domain goes after what is in it.
        for section in Section::ALL.into_iter().rev().filter(|_| self.prune) {
            let Some(named) = self.wanted.section(section) else { continue };
            let named: std::collections::HashSet<&str> = named.iter().map(|item| item.key.as_str()).collect();
            let unnamed = section.all(tx)?.into_iter().filter(|thing| !named.contains(thing.key.as_str()));
            steps.extend(unnamed.map(|thing| Step {
                section,
                item: Item { name: thing.name, key: thing.key, value: thing.value },
                removes: true,
            }));
        }
        Ok(steps)
    }

    /// Refuses to remove mail that nobody has said may go.
    fn check_losses(&self, tx: &Tx<'_>, removals: &[Step]) -> Result<(), Halt<Problem>> {
        let mut faults = Vec::new();
        for step in removals.iter().filter(|step| step.section == Section::Accounts) {
            let address = crate::base::Address::parse(&step.item.name).ok();
            let Some(account) = address.map_or(Ok(None), |address| directory::account(tx, &address))? else { continue };
            let messages = mailbox::usage(tx, account.id)?.messages;
            if messages > 0 && !self.wanted.allow_data_loss.contains(&step.item.key) {
                let message = format!("{} has {messages} messages: name it in allow_data_loss", step.item.name);
                faults.push(Fault::body(step.pointer(), "has_mail", message));
            }
        }
        if faults.is_empty() {
            return Ok(());
        }
        let detail =
            format!("{} accounts would be removed with their mail: allow_data_loss names none of them.", faults.len());
        Err(Halt::Refused(Problem::new(Code::Conflict, detail).with_faults(faults)))
    }

    /// Tries all steps on the draft.
    fn run(&self, draft: &mut Tx<'_>, removals: Vec<Step>) -> Result<Vec<Touched>, Halt<Problem>> {
        let puts = |section: Section| {
            let items = self.wanted.section(section).unwrap_or_default().iter();
            items.map(move |item| Step { section, item: item.clone(), removes: false })
        };
        let is_setting = |step: &Step| step.section == Section::Settings;
        let (mut first, mut then): (Vec<Step>, Vec<Step>) = removals.into_iter().partition(is_setting);
        first.extend(puts(Section::Settings));
        then.extend(Section::ALL.into_iter().filter(|section| *section != Section::Settings).flat_map(puts));
        let (mut touched, mut problems) = (Vec::new(), Vec::new());
        // What the other sections leave out has its default from the settings as they will be.
        for steps in [first, then] {
            let settings = self.settings(draft)?;
            problems.extend(self.try_all(draft, &settings, steps, &mut touched)?);
        }
        if problems.is_empty() {
            touched.sort_by(|a, b| (a.section, &a.key).cmp(&(b.section, &b.key)));
            return Ok(touched);
        }
        let is_forbidden = problems.iter().any(|(_, problem)| problem.is_forbidden());
        let is_conflict = problems.iter().all(|(_, problem)| problem.is_conflict());
        let faults: Vec<Fault> =
            problems.into_iter().flat_map(|(pointer, problem)| problem.faults_below(&pointer)).collect();
        let code = match (is_forbidden, is_conflict) {
            (true, _) => Code::Forbidden,
            (_, true) => Code::Conflict,
            _ => Code::Invalid,
        };
        Err(Halt::Refused(Problem::many(code, faults)))
    }

    fn settings(&self, draft: &Tx<'_>) -> Result<Settings, StoreError> {
        let rows = settings::stored(draft)?;
        Ok(self.live.with(&rows).unwrap_or_else(|_| (*self.live.now()).clone()))
    }

    /// Runs the steps, those that were refused again as long as others have changed something; what is refused at last.
    fn try_all(
        &self,
        draft: &mut Tx<'_>,
        settings: &Settings,
        mut steps: Vec<Step>,
        touched: &mut Vec<Touched>,
    ) -> Result<Vec<(String, Problem)>, StoreError> {
        let mut problems = Vec::new();
        for _ in 0..ROUNDS {
            let (before, changed) = (steps.len(), touched.len());
            let mut refused = Vec::new();
            problems.clear();
            for step in steps {
                let done = match step.removes {
                    true => step::remove(self, step.section, &step.item, draft),
                    false => step::put(self, settings, step.section, &step.item, draft),
                };
                match done {
                    Ok(Done::Nothing) => {}
                    Ok(Done::Changed { secret }) => touched.push(step.touched(secret)),
                    Err(Halt::Broken(error)) => return Err(error),
                    Err(Halt::Refused(problem)) => {
                        problems.push((step.pointer(), problem));
                        refused.push(step);
                    }
                }
            }
            steps = refused;
            if steps.is_empty() || steps.len() == before || touched.len() == changed {
                break;
            }
        }
        Ok(problems)
    }

    /// Everything that the state names is kept by it from now on.
    fn mark(&self, draft: &mut Tx<'_>, touched: &[Touched]) -> Result<(), StoreError> {
        for gone in touched.iter().filter(|touched| touched.removed) {
            managed::unmark(draft, gone.section.name(), &gone.key)?;
        }
        for section in Section::ALL.into_iter().filter(|section| *section != Section::Settings) {
            for item in self.wanted.section(section).unwrap_or_default() {
                if let Some(seen) = section.find(draft, &item.name)? {
                    managed::mark(draft, section.name(), &item.key, seen.created_at, self.at)?;
                }
            }
        }
        Ok(())
    }

    fn warnings(&self, draft: &Tx<'_>, touched: &[Touched]) -> Result<Vec<String>, StoreError> {
        let mut warnings = Vec::new();
        let settings = self.settings(draft)?;
        for name in touched.iter().filter(|touched| touched.section == Section::Settings).map(|touched| &touched.name) {
            let Ok(key) = settings::key(name) else { continue };
            match settings.origin(name) {
                Ok((source @ (Source::Environment | Source::Flag), _)) => {
                    let by = if source == Source::Flag { "--set" } else { "PILLARBOX_SET" };
                    warnings.push(format!("setting {name} is kept, but {by} is in force over it"));
                }
                _ if key.needs_restart() => {
                    warnings.push(format!("setting {name} comes into force at the next start"));
                }
                _ => {}
            }
        }
        for item in self.wanted.section(Section::Accounts).unwrap_or_default() {
            let has_none = |value: &serde_json::Value| value["password"]["set"] == false;
            let is_new = touched.iter().any(|touched| touched.section == Section::Accounts && touched.key == item.key);
            let gets_one = !item.value["password"].is_null();
            if is_new
                && !gets_one
                && Section::Accounts.find(draft, &item.name)?.is_some_and(|seen| has_none(&seen.value))
            {
                warnings.push(format!("account {} has no password: it can't log in", item.name));
            }
        }
        Ok(warnings)
    }
}

impl Step {
    fn pointer(&self) -> String {
        below(&below("", self.section.name()), &self.item.name)
    }

    fn touched(&self, secret: bool) -> Touched {
        let (section, removed) = (self.section, self.removes);
        Touched { section, name: self.item.name.clone(), key: self.item.key.clone(), secret, removed }
    }
}

impl Touched {
    fn changes(&self, before: &Tx<'_>, after: &Tx<'_>) -> Result<Vec<StateChange>, StoreError> {
        let secret = match self.section {
            Section::Accounts => "/password",
            _ => "/auth/secret",
        };
        let seen = |tx: &Tx<'_>| Ok::<_, StoreError>(self.section.find(tx, &self.name)?.map(|seen| seen.value));
        let (before, mut after) = (seen(before)?, seen(after)?);
        // A dry run makes no hash, and shows that there will be one.
        if self.secret
            && let Some(shown) = after.as_mut().and_then(|after| after.pointer_mut(secret))
        {
            *shown = super::shape::secret_seen(true);
        }
        let path = below(&below("", self.section.name()), &self.name);
        Ok(diff::changes(&path, before, after, self.secret.then_some(secret)))
    }
}

impl Refusal for Problem {
    fn is_precondition(&self) -> bool {
        false
    }

    fn problem(self) -> Problem {
        self
    }
}
