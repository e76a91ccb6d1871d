use std::fmt;
use std::io;

use serde_json::Value;

use crate::store::OpenError;

/// What to do about a problem, where its own words do not say it.
const HINTS: [(u16, &str); 4] = [
    (401, "give a token of this server in PILLARBOX_TOKEN, or run it as the server's user, without PILLARBOX_URL"),
    (403, "use a token that may do this: `pillarbox token create`"),
    (412, "somebody has changed it since: look at it again, then repeat"),
    (507, "free some disk space, then repeat"),
];

/// Why a command failed: one line, more only for what the server lists.
#[derive(Debug)]
pub enum Failure {
    /// The arguments ask for what can't be.
    Usage(String),
    /// No server answers.
    Unreachable(String),
    /// Something may not be opened.
    Denied(String),
    /// The server refuses: status and problem document.
    Refused(u16, Value),
    /// There is no such thing.
    NotFound(String),
    /// The file is damaged; the findings are on stdout.
    Damaged(String),
    /// The file can't be opened.
    Open(OpenError),
    /// What was compared differs; how is on stdout.
    Different,
    /// Anything else.
    Failed(String),
}

impl Failure {
    /// The exit code that scripts rely on.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::NotFound(_) => 3,
            Self::Unreachable(_) => 5,
            Self::Denied(_) | Self::Open(OpenError::Sealed { .. } | OpenError::OtherKey { .. }) => 6,
            Self::Damaged(_) | Self::Open(OpenError::Damaged { .. }) => 65,
            Self::Open(OpenError::Locked(_)) => 4,
            Self::Open(OpenError::Io { error, .. }) => match error.kind() {
                io::ErrorKind::NotFound => 3,
                io::ErrorKind::PermissionDenied => 6,
                _ => 74,
            },
            Self::Open(OpenError::NoRoom { .. } | OpenError::NotUpgraded { .. }) => 74,
            Self::Open(OpenError::Newer { .. } | OpenError::Older { .. }) | Self::Different | Self::Failed(_) => 1,
            Self::Refused(status, _) => match status {
                400 | 422 => 2,
                401 | 403 => 6,
                404 => 3,
                409 | 412 | 428 => 4,
                507 => 74,
                _ => 1,
            },
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(text)
            | Self::Unreachable(text)
            | Self::Denied(text)
            | Self::NotFound(text)
            | Self::Damaged(text)
            | Self::Failed(text) => f.write_str(text),
            Self::Different => f.write_str("there are changes"),
            Self::Open(OpenError::Locked(path)) => {
                write!(f, "{} is in use by a running server: stop it first", path.display())
            }
            Self::Open(error) => error.fmt(f),
            Self::Refused(status, problem) => write_problem(f, *status, problem),
        }
    }
}

fn write_problem(f: &mut fmt::Formatter<'_>, status: u16, problem: &Value) -> fmt::Result {
    let detail = problem["detail"].as_str();
    match detail {
        Some(detail) => f.write_str(detail)?,
        None => write!(f, "the server answers {status}")?,
    }
    let faults = problem["errors"].as_array().map_or(&[][..], Vec::as_slice);
    for fault in faults {
        let message = fault["message"].as_str().unwrap_or_default();
        match fault["pointer"].as_str().or(fault["parameter"].as_str()) {
            Some(place) => write!(f, "\n  {place}: {message}")?,
            // A reason that the detail has told already.
            None if detail.is_some_and(|detail| detail.contains(message)) => {}
            None => write!(f, "\n  {message}")?,
        }
    }
    if let Some((_, hint)) = HINTS.iter().find(|(known, _)| *known == status) {
        write!(f, "\n  hint: {hint}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_problem_is_told_with_its_faults() {
        let problem = json!({"detail": "2 faults", "errors": [
            {"pointer": "/a", "message": "is wrong"}, {"parameter": "q", "message": "too"}
        ]});
        let failure = Failure::Refused(422, problem);
        assert_eq!(failure.to_string(), "2 faults\n  /a: is wrong\n  q: too");
        assert_eq!(failure.exit_code(), 2);
        let told =
            json!({"detail": "gone: it was dropped.", "errors": [{"code": "dropped", "message": "it was dropped."}]});
        assert_eq!(Failure::Refused(404, told).to_string(), "gone: it was dropped.");
        let more = json!({"detail": "not ready", "errors": [{"code": "stopping", "message": "it stops"}]});
        assert_eq!(Failure::Refused(503, more).to_string(), "not ready\n  it stops");
        assert_eq!(Failure::Refused(502, Value::Null).to_string(), "the server answers 502");
        let denied = Failure::Refused(401, json!({"detail": "Send a token."})).to_string();
        assert!(denied.starts_with("Send a token.\n  hint: give a token"), "{denied}");
        for (status, code) in [(428, 4), (401, 6), (403, 6), (404, 3), (409, 4), (412, 4), (503, 1), (507, 74)] {
            assert_eq!(Failure::Refused(status, Value::Null).exit_code(), code);
        }
    }
}
