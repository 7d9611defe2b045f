//! What a job says of the rows of its file, pure.

use std::collections::HashMap;

use serde_json::Value;

use crate::auth0::Refusal;
use crate::catalog::Bulk;

/// How far a job is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// It goes on.
    UnderWay,
    /// It is over: so many rows failed, where it says so.
    Done {
        /// As its summary counts them.
        failed: Option<u64>,
    },
    /// It came to nothing, or to a part that nobody knows.
    Failed,
}

/// How far a job is by what reading it answered.
pub(super) fn progress(bulk: &Bulk, job: &Value) -> Progress {
    let state = job.get(&bulk.state).and_then(Value::as_str).unwrap_or_default();
    if state == bulk.done {
        return Progress::Done { failed: job.pointer("/summary/failed").and_then(Value::as_u64) };
    }
    match bulk.failed.iter().any(|failed| failed == state) {
        true => Progress::Failed,
        false => Progress::UnderWay,
    }
}

/// The rows of a file that could not be created.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Failures {
    by_name: HashMap<String, Refusal>,
    /// Which row an error is about is not known of so many: what is not named here may have failed too.
    strange: usize,
}

impl Failures {
    /// Reads a job's errors; `field` is where a row has its name. Without errors there is no body.
    pub(super) fn read(bulk: &Bulk, errors: &Value, field: &str) -> Failures {
        let mut failures = Failures::default();
        let items = match errors {
            Value::Null => return failures,
            Value::Array(items) => items.as_slice(),
            // One error about the job as a whole.
            _ => {
                failures.strange = 1;
                return failures;
            }
        };
        for item in items {
            match item.get(&bulk.row).and_then(|row| row.get(field)).and_then(Value::as_str) {
                Some(name) => {
                    failures.by_name.insert(name.to_owned(), refusal(bulk, item));
                }
                None => failures.strange += 1,
            }
        }
        failures
    }

    /// Whether every row that is not named here has been created, where the job counts so many `failed`.
    pub(super) fn are_all(&self, failed: Option<u64>) -> bool {
        self.strange == 0 && failed.is_none_or(|failed| failed == self.by_name.len() as u64)
    }

    /// Why a row could not be created.
    pub(super) fn of(&self, name: &str) -> Option<&Refusal> {
        self.by_name.get(name)
    }
}

/// A row's errors as a call of its own would tell them: Auth0's words, and what says that there is such a
/// row is a conflict.
fn refusal(bulk: &Bulk, item: &Value) -> Refusal {
    let errors: Vec<&Value> = item.get("errors").and_then(Value::as_array).into_iter().flatten().collect();
    let text =
        |error: &Value, name: &str| error.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let words = errors.iter().map(|error| match text(error, "path") {
        path if path.is_empty() => text(error, "message"),
        path => format!("{} (on property {path})", text(error, "message")),
    });
    let message = words.collect::<Vec<_>>().join("; ");
    let code = errors.first().map(|error| text(error, "code")).unwrap_or_default();
    let (status, error) = match bulk.conflicts.contains(&code) {
        true => (409, "Conflict"),
        false => (400, "Bad Request"),
    };
    Refusal { status, error: error.to_owned(), message, error_code: Some(code) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;
    use serde_json::json;

    #[test]
    fn errors_name_their_rows_and_what_names_none_leaves_the_others_open() {
        let catalog = Catalog::bundled().unwrap();
        let bulk = catalog.iter().find_map(|resource| resource.bulk.as_ref()).unwrap();
        let read = |errors: Value| Failures::read(bulk, &errors, "user_id");
        let format = json!({"code": "FORMAT", "message": "No e-mail address", "path": "email"});
        let known = json!({"code": "DUPLICATED_USER", "message": "The user already exists"});
        let failures = read(json!([
            {"user": {"user_id": "1", "email": "x"}, "errors": [format]},
            {"user": {"user_id": "2"}, "errors": [known]},
        ]));
        let (one, two) = (failures.of("1").unwrap(), failures.of("2").unwrap());
        assert_eq!((one.status, one.message.as_str()), (400, "No e-mail address (on property email)"));
        assert_eq!((two.status, two.error_code.as_deref()), (409, Some("DUPLICATED_USER")));
        assert_eq!(failures.of("3"), None);
        assert!(failures.are_all(Some(2)) && failures.are_all(None) && !failures.are_all(Some(3)));
        assert!(read(Value::Null).are_all(Some(0)) && !read(Value::Null).are_all(Some(1)));
        assert!(!read(json!([{"user": {"email": "x"}, "errors": []}])).are_all(Some(1)));
        assert!(!read(json!({"status": "failed"})).are_all(None));
    }

    #[test]
    fn a_job_is_over_when_it_says_so() {
        let catalog = Catalog::bundled().unwrap();
        let bulk = catalog.iter().find_map(|resource| resource.bulk.as_ref()).unwrap();
        let job = |status: &str| json!({"status": status, "summary": {"failed": 3}});
        assert_eq!(progress(bulk, &job("pending")), Progress::UnderWay);
        assert_eq!(progress(bulk, &job("processing")), Progress::UnderWay);
        assert_eq!(progress(bulk, &job("completed")), Progress::Done { failed: Some(3) });
        assert_eq!(progress(bulk, &job("failed")), Progress::Failed);
    }
}
