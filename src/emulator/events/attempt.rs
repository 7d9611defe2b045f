//! One attempt to deliver an event to a webhook: the request with the authorization that the stream
//! names, and what its answer means.

use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder};
use serde_json::Value;

/// Auth0 does not say how long it waits for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What became of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    /// Any 2XX.
    Delivered,
    /// Anything else; `again`: another attempt may help. A 4XX fails at once.
    Failed { error: String, again: bool },
}

/// Who sends.
#[derive(Clone, Debug)]
pub(super) struct Sender(Client);

impl Sender {
    /// A sender that goes through no proxy: receivers of a test are on this machine.
    pub(super) fn new() -> reqwest::Result<Sender> {
        Client::builder().no_proxy().timeout(PATIENCE).redirect(Policy::none()).build().map(Sender)
    }

    /// Sends an event to a `destination` as a stream holds it.
    pub(super) async fn send(&self, destination: &Value, event: &Value) -> Attempt {
        let text = |name: &str| destination["configuration"][name].as_str().unwrap_or_default();
        let request = self.0.post(text("webhook_endpoint")).json(event);
        let request = authorized(request, &destination["configuration"]["webhook_authorization"]);
        match request.send().await {
            Ok(answer) => judge(answer.status().as_u16()),
            Err(error) => {
                let error = match () {
                    () if error.is_timeout() => "the webhook did not answer in time",
                    () if error.is_connect() => "the webhook could not be reached",
                    () if error.is_builder() => "the webhook's address or authorization is not valid",
                    () => "the connection to the webhook broke",
                };
                Attempt::Failed { error: error.to_owned(), again: true }
            }
        }
    }
}

/// The request with what a stream's `webhook_authorization` says.
fn authorized(request: RequestBuilder, authorization: &Value) -> RequestBuilder {
    let text = |name: &str| authorization[name].as_str().unwrap_or_default();
    match text("method") {
        "basic" => request.basic_auth(text("username"), Some(text("password"))),
        "bearer" => request.bearer_auth(text("token")),
        "custom_header" => request.header(text("header_key"), text("header_value")),
        _ => request,
    }
}

fn judge(status: u16) -> Attempt {
    match status {
        200..300 => Attempt::Delivered,
        status => Attempt::Failed {
            error: format!("the webhook answered {status}"),
            again: !(400..500).contains(&status),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_refusal_ends_the_attempts_and_a_failure_does_not() {
        assert_eq!(judge(204), Attempt::Delivered);
        let again = |status| matches!(judge(status), Attempt::Failed { again: true, .. });
        assert!(again(500) && again(503) && again(302));
        assert!(!again(400) && !again(401) && !again(429));
    }

    #[test]
    fn a_request_carries_the_authorization_of_its_stream() {
        let header = |authorization: Value, name: &str| {
            let request = Client::builder().build().unwrap().post("http://127.0.0.1/");
            let request = authorized(request, &authorization).build().unwrap();
            request.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
        };
        let basic = json!({"method": "basic", "username": "u", "password": "p"});
        assert_eq!(header(basic, "authorization").unwrap(), "Basic dTpw");
        let bearer = json!({"method": "bearer", "token": "t"});
        assert_eq!(header(bearer, "authorization").unwrap(), "Bearer t");
        let custom = json!({"method": "custom_header", "header_key": "x-key", "header_value": "v"});
        assert_eq!(header(custom, "x-key").unwrap(), "v");
        assert_eq!(header(Value::Null, "authorization"), None);
    }
}
