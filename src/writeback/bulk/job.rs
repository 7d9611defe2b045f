//! The calls of an import: the file is sent, its job looked at, its errors read, its rows searched for.

use std::collections::HashMap;
use std::str::FromStr;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::answers::{Failures, Progress, progress};
use super::file::File;
use super::run::Run;
use super::store::{self, Import};
use crate::auth0::{Lane, Outcome, Pages, Refusal, Request, Upload};
use crate::catalog::{Call, List, RowKey, fill_body};
use crate::error::{Error, Kind, Result};
use crate::pg::mirror::{Row, row_listed};
use crate::retry::pause;
use crate::writeback::call::delay;
use crate::writeback::recognise::{BETWEEN_LOOKS, LOOKS};
use crate::writeback::worker::write;

/// Rows that are searched for at a time.
const SEARCHED: usize = 50;
/// The pauses between looks at a job.
const FIRST_LOOK: Duration = Duration::from_millis(200);
const LAST_LOOK: Duration = Duration::from_secs(15);

/// How sending a file ended.
pub(super) enum Sent {
    /// There is a job.
    Job(String),
    /// Nothing has been created; again not before this time.
    NotNow(Instant),
    /// Auth0 refused the file, and nothing has been created.
    Refused(Refusal),
    /// Auth0 refused the file after a try whose answer was lost.
    Lost,
}

impl Run<'_> {
    /// Sends the file until there is a job or it is certain that there is none.
    pub(super) async fn send(
        &self,
        import: &mut Import,
        file: &File<'_>,
        home: &str,
        ids: &[i64],
    ) -> Result<Sent> {
        if let Some(job) = &import.job {
            return Ok(Sent::Job(job.clone()));
        }
        let request = self.request(import, file, home)?;
        let mut tries = 0;
        loop {
            let outcome = write(self.context, self.resource, &request).await;
            let now = Instant::now();
            let at = match outcome {
                Outcome::Applied(answer) if answer["id"].is_string() => {
                    return Ok(Sent::Job(answer["id"].as_str().unwrap_or_default().to_owned()));
                }
                Outcome::Refused(_) if import.doubtful => return Ok(Sent::Lost),
                Outcome::Refused(refusal) => return Ok(Sent::Refused(refusal)),
                Outcome::Throttled { until } if !import.doubtful => return Ok(Sent::NotNow(until)),
                Outcome::Blocked { kind, .. } | Outcome::NeverLeft { kind, .. } if !import.doubtful => {
                    tracing::warn!(table = %self.resource.table, kind = kind.as_str(), "an import waits: {}", kind.policy().hint);
                    return Ok(Sent::NotNow(now));
                }
                Outcome::Throttled { until } => until.max(now + delay(tries)),
                Outcome::Blocked { .. } | Outcome::NeverLeft { .. } => now + delay(tries),
                Outcome::Unknown { .. } | Outcome::Applied(_) | Outcome::Gone => {
                    // The same rows again: what the job has created already cannot be created twice.
                    tracing::warn!(table = %self.resource.table, "the outcome of an import is unknown, its rows are sent again");
                    import.doubtful = true;
                    store::note(&self.context.store, import).await?;
                    self.context.store.doubt(ids).await?;
                    now + delay(tries)
                }
            };
            tries += 1;
            tokio::time::sleep_until(at).await;
        }
    }

    fn request(&self, import: &Import, file: &File<'_>, home: &str) -> Result<Request> {
        let call = &self.bulk.start;
        let method = Method::from_str(&call.method)
            .map_err(|error| Error::with(Kind::Catalog, "an import has no such method", error))?;
        let values = Map::from_iter([
            (self.bulk.home.gives.clone(), Value::from(home)),
            ("correlation_id".to_owned(), Value::from(import.request.as_str())),
        ]);
        let body = call.body.as_ref().and_then(|body| fill_body(body, &values));
        let mut request = Request::write(method, call.path.clone(), body, &import.request);
        request.upload = Some(Upload { field: self.bulk.file.clone(), content: file.text() });
        Ok(request)
    }

    /// What a job says of its rows, and whether it says so of all; none where it came to nothing, or to a part.
    pub(super) async fn judge(&self, job: &str) -> Result<Option<(Failures, bool)>> {
        let Some(failed) = self.wait(job).await? else { return Ok(None) };
        let Some(errors) = self.read(&self.bulk.errors, job).await? else { return Ok(None) };
        let key = self.resource.key.last().map_or("", String::as_str);
        let failures = Failures::read(self.bulk, &errors, self.resource.write_field(key));
        let sure = failures.are_all(failed);
        Ok(Some((failures, sure)))
    }

    /// Waits for a job's end: how many rows failed, where it says so; none where it came to nothing.
    async fn wait(&self, job: &str) -> Result<Option<Option<u64>>> {
        let mut looks = 0;
        loop {
            let Some(answer) = self.read(&self.bulk.look, job).await? else { return Ok(None) };
            match progress(self.bulk, &answer) {
                Progress::Done { failed } => return Ok(Some(failed)),
                Progress::Failed => return Ok(None),
                Progress::UnderWay => {}
            }
            tokio::time::sleep(pause(looks, FIRST_LOOK, LAST_LOOK)).await;
            looks += 1;
        }
    }

    /// What a call about the job answers, however long that takes; none where there is no such job.
    async fn read(&self, call: &Call, job: &str) -> Result<Option<Value>> {
        let request = Request::of_row(call, &Map::from_iter([("id".to_owned(), json!(job))]), Lane::Write)?;
        let mut tries = 0;
        loop {
            match self.context.auth0.read(&request).await {
                Ok(answer) => return Ok(Some(answer.body)),
                Err(error) if error.kind() == Kind::Auth0NotFound => return Ok(None),
                Err(error) => tracing::warn!(%error, job, "an import cannot be looked at yet"),
            }
            tokio::time::sleep(delay(tries)).await;
            tries += 1;
        }
    }

    /// Rows as a search shows them. It lags behind: what it does not show is there all the same.
    pub(super) async fn find(&self, keys: &[&RowKey]) -> HashMap<RowKey, Row> {
        let mut found = HashMap::new();
        let Some(list) = self.resource.list.first() else { return found };
        for look in 0..LOOKS {
            let missing: Vec<&RowKey> =
                keys.iter().filter(|key| !found.contains_key(**key)).copied().collect();
            if missing.is_empty() {
                break;
            }
            if look > 0 {
                tokio::time::sleep(BETWEEN_LOOKS).await;
            }
            for some in missing.chunks(SEARCHED) {
                if let Err(error) = self.search(list, some, &mut found).await {
                    tracing::warn!(%error, table = %self.resource.table, "imported rows cannot be searched for");
                    return found;
                }
            }
        }
        found
    }

    async fn search(&self, list: &List, keys: &[&RowKey], found: &mut HashMap<RowKey, Row>) -> Result<()> {
        let plain = |text: &&str| !text.contains(['"', '\\']);
        let names: Vec<String> = keys
            .iter()
            .filter_map(|key| key.0.last().map(String::as_str).filter(plain))
            .map(|key| format!("\"{key}\""))
            .collect();
        if names.is_empty() {
            return Ok(());
        }
        let query = self.bulk.find.replace("{keys}", &names.join(" OR "));
        let none = Map::new();
        let mut pages = Pages::new(&self.context.auth0, list, &none, Lane::Write)?.search(Some(query));
        while let Some(items) = pages.next_page().await? {
            for item in items {
                let row = row_listed(self.resource, list, &item, &none);
                if let Some(key) = RowKey::of(self.resource, &row).filter(|key| keys.contains(&key)) {
                    found.insert(key, row);
                }
            }
        }
        Ok(())
    }
}
