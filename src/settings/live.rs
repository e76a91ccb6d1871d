use std::sync::{Arc, PoisonError, RwLock};

use super::list::Settings;
use super::stored::stored;
use super::value::SettingError;
use crate::store::{Read, StoreError};

/// The settings as they are now: those of the start, and what the file has got since.
#[derive(Debug)]
pub struct Live {
    environment: String,
    flags: Vec<String>,
    at_start: Arc<Settings>,
    now: RwLock<Arc<Settings>>,
}

impl Live {
    /// Begins with what the server has started with; the environment and the flags as for [`Settings::gather`].
    pub fn new(at_start: Arc<Settings>, environment: &str, flags: &[String]) -> Self {
        let now = RwLock::new(Arc::clone(&at_start));
        Self { environment: environment.to_owned(), flags: flags.to_vec(), at_start, now }
    }

    /// What the running server has started with, and goes on with where a key needs a restart.
    pub fn at_start(&self) -> &Settings {
        &self.at_start
    }

    /// What the file, the environment and the flags say now: for the keys that need no restart, what is in force.
    pub fn now(&self) -> Arc<Settings> {
        Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the file's settings again, after they were changed. `view` is asked for the file when it is this one's turn,
    /// so that of two who come at the same moment the older state never stays.
    ///
    /// # Errors
    /// [`StoreError`]; what was gathered before stays.
    pub fn refresh<R: Read>(&self, view: impl FnOnce() -> Result<R, StoreError>) -> Result<(), StoreError> {
        let mut now = self.now.write().unwrap_or_else(PoisonError::into_inner);
        let rows = stored(&view()?)?;
        match self.with(&rows) {
            Ok(settings) => *now = Arc::new(settings),
            // Nothing gets into the file that does not fit the list.
            Err(error) => tracing::error!(event = "settings_unread", %error, "the settings stay as they were"),
        }
        Ok(())
    }

    /// What the settings are when the file holds these rows.
    ///
    /// # Errors
    /// [`SettingError`].
    pub fn with(&self, rows: &[(String, super::SettingRow)]) -> Result<Settings, SettingError> {
        Settings::gather(rows, &self.environment, &self.flags)
    }
}

impl Default for Live {
    /// The defaults alone.
    fn default() -> Self {
        Self::new(Arc::new(Settings::default()), "", &[])
    }
}
