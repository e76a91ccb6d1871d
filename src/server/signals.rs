use std::io;

use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// The signal that has told the process to stop. Made once, for its whole life: one that comes between two servers of the
/// same process is heard by the next. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Signals(watch::Receiver<Option<&'static str>>);

impl Signals {
    /// Listens from now on, on a runtime that lives as long as the process.
    pub(super) fn listen(runtime: &Handle) -> io::Result<Self> {
        let _entered = runtime.enter();
        let (tell, told) = watch::channel(None);
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        runtime.spawn(async move {
            let name = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            };
            tell.send_replace(Some(name));
        });
        Ok(Self(told))
    }

    /// Waits for it, and says its name; at once when it has come already.
    pub(super) async fn come(&mut self) -> &'static str {
        match self.0.wait_for(Option::is_some).await {
            Ok(name) => name.unwrap_or_default(),
            // Whoever listened has gone: only with the process.
            Err(_) => std::future::pending().await,
        }
    }

    /// Whether it has come.
    pub(super) fn have_come(&self) -> bool {
        self.0.borrow().is_some()
    }
}
