use actix_web::HttpRequest;

use crate::directory::Precondition;
use crate::http::etag::expect;
use crate::http::problem::{Code, Problem, Refusal};
use crate::store::WriteError;

/// What a write depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Guard {
    /// What the client asks for.
    pub asked: Precondition,
    /// For a write that hangs on what this request has read itself, as what the caller may change does: that it is still
    /// what is there.
    pub as_read: Precondition,
}

impl Guard {
    /// Reads the preconditions of a request; `current` is the version that it has found, `None` where there is nothing.
    ///
    /// # Errors
    /// 412 when they do not hold; 400 when they can't be read.
    pub fn read(request: &HttpRequest, current: Option<u64>) -> Result<Self, Problem> {
        let asked = expect(request, current)?;
        let as_read = match (asked, current) {
            (Precondition::None, Some(version)) => Precondition::Version(version),
            (Precondition::None, None) => Precondition::Absent,
            (asked, _) => asked,
        };
        Ok(Self { asked, as_read })
    }

    /// The problem of a write that did not come about. A client that has asked for no precondition is told of a conflict
    /// where somebody was quicker, and may simply send the request again.
    pub fn problem<R: Refusal>(self, error: WriteError<R>) -> Problem {
        match error {
            WriteError::Refused(refusal) if refusal.is_precondition() && self.asked == Precondition::None => {
                Problem::new(Code::Conflict, "Somebody else changed it at the same moment: send the request again.")
            }
            error => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::ResponseError;
    use actix_web::test::TestRequest;

    use super::*;
    use crate::directory::Refused;

    fn check(field: (&str, &str), current: Option<u64>, as_read: Precondition, status_when_late: u16) {
        let request = TestRequest::put().insert_header(field).to_http_request();
        let guard = Guard::read(&request, current).expect("the precondition holds");
        assert_eq!(guard.as_read, as_read, "{field:?} {current:?}");
        let late = guard.problem(WriteError::Refused(Refused::Precondition));
        assert_eq!(late.status_code().as_u16(), status_when_late, "{field:?} {current:?}");
    }

    #[test]
    fn a_write_hangs_on_what_was_read_and_blames_nobody() {
        check(("x-none", ""), None, Precondition::Absent, 409);
        check(("x-none", ""), Some(3), Precondition::Version(3), 409);
        check(("if-match", "\"3\""), Some(3), Precondition::Version(3), 412);
        check(("if-none-match", "*"), None, Precondition::Absent, 412);
    }
}
