//! Calls that have left are brought to their ends, whether a statement still waits for them or not: read back while
//! one is on its way, a row would show what it was, and the call would be carried out behind that.

use std::collections::HashMap;

use tokio::sync::watch;

/// The calls under way, by request id.
#[derive(Clone, Debug, Default)]
pub(super) struct UnderWay(watch::Sender<HashMap<String, u32>>);

impl UnderWay {
    /// Makes a call in a task of its own; none where that broke.
    pub(super) async fn make<T: Send + 'static>(
        &self,
        request_id: &str,
        call: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let (calls, id) = (self.0.clone(), request_id.to_owned());
        calls.send_modify(|calls| *calls.entry(id.clone()).or_default() += 1);
        let ends = Ends { calls, id };
        let task = tokio::spawn(async move {
            let _ends = ends;
            call.await
        });
        task.await.ok()
    }

    /// Waits until no call of the request is under way.
    pub(super) async fn ended(&self, request_id: &str) {
        // The sender lives as long as `self`.
        let _ = self.0.subscribe().wait_for(|calls| !calls.contains_key(request_id)).await;
    }
}

struct Ends {
    calls: watch::Sender<HashMap<String, u32>>,
    id: String,
}

impl Drop for Ends {
    fn drop(&mut self) {
        self.calls.send_modify(|calls| {
            let left = calls.get(&self.id).copied().unwrap_or_default().saturating_sub(1);
            match left {
                0 => drop(calls.remove(&self.id)),
                left => drop(calls.insert(self.id.clone(), left)),
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn a_call_ends_though_nobody_waits_for_it_and_who_asks_waits_for_that() {
        let under_way = UnderWay::default();
        under_way.ended("a").await;
        let (answer, answered) = oneshot::channel::<()>();
        let mut given_up = Box::pin(under_way.make("a", answered));
        assert!(given_up.as_mut().now_or_never().is_none());
        drop(given_up);
        let mut ended = Box::pin(under_way.ended("a"));
        assert!(ended.as_mut().now_or_never().is_none());
        under_way.ended("b").await;
        answer.send(()).unwrap();
        ended.await;
        assert_eq!(under_way.make("a", async { 7 }).await, Some(7));
    }
}
