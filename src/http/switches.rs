use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};

use super::page::{pairs, refuse_unknown};
use super::problem::{Fault, Problem};

/// The parameters of an operation that has switches alone: each is `true` or `false`, and false when it is not there.
pub(super) struct Switches(Vec<(String, String)>);

impl Switches {
    /// The values of the switches that the operation has, in their order.
    ///
    /// # Errors
    /// 422 for any other parameter, and for what is neither `true` nor `false`.
    pub fn read<const N: usize>(self, names: [&str; N]) -> Result<[bool; N], Problem> {
        refuse_unknown(&self.0, &names)?;
        let wrong = |(_, value): &&(String, String)| !matches!(value.as_str(), "true" | "false");
        let fault = |(name, _): &(String, String)| Fault::parameter(name, "invalid", "true or false");
        let faults: Vec<Fault> = self.0.iter().filter(wrong).map(fault).collect();
        if !faults.is_empty() {
            return Err(Problem::invalid(faults));
        }
        Ok(names.map(|name| self.0.iter().any(|(known, value)| known == name && value == "true")))
    }
}

impl FromRequest for Switches {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(pairs(request.query_string()).map(Self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn switches_are_read_or_named() {
        let check = |query: &str, expected: Option<[bool; 2]>| {
            let seen = pairs(query).and_then(|pairs| Switches(pairs).read(["dry_run", "force"]));
            assert_eq!(seen.ok(), expected, "{query}");
        };
        check("", Some([false, false]));
        check("force=true", Some([false, true]));
        check("dry_run=true&force=false", Some([true, false]));
        check("force", None);
        check("force=1", None);
        check("prune=true", None);
    }
}
