//! What should be at Auth0, pure: code, address, key and events, and a digest by which a change of
//! what Auth0 never shows is found.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use url::Url;

use crate::ingest::webhook::{EVENTS, Key, REPORTS};

/// The code of every Action; which of its functions runs says the trigger.
pub(super) const CODE: &str = include_str!("report.js");
/// Names of its secrets.
pub(super) const SECRETS: [&str; 2] = ["AUTH0_SYNC_KEY", "AUTH0_SYNC_URL"];

/// A trigger that the code is written for, in the version that it is written for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trigger {
    pub(super) id: &'static str,
    pub(super) version: &'static str,
    /// What its Action is called among what the service has made.
    pub(super) part: &'static str,
    /// Where its Action posts to, below the address of the webhook.
    path: &'static str,
    /// Whether its Action runs where it is bound; else what needs it names it, and nobody binds it.
    pub(super) is_bound: bool,
}

/// The triggers of what users do.
pub(super) const TRIGGERS: [Trigger; 3] = [
    of_users("post-login", "v3"),
    of_users("post-user-registration", "v2"),
    of_users("post-change-password", "v2"),
];

/// The trigger of an event stream.
pub(super) const EVENT_STREAM: Trigger =
    Trigger { id: "event-stream", version: "v1", part: "event-stream-action", path: EVENTS, is_bound: false };

const fn of_users(id: &'static str, version: &'static str) -> Trigger {
    Trigger { id, version, part: id, path: REPORTS, is_bound: true }
}

/// What an event stream hands its events to, in Auth0's words.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Destination {
    /// The webhook itself, by a token.
    Webhook,
    /// An Action of the service's, which signs them and posts them to the webhook.
    Action,
}

/// Where Auth0 reaches the webhook, and what should report there.
#[derive(Clone, Debug)]
pub struct Address {
    /// Without the path of a kind of message.
    pub url: Url,
    /// Whether Actions report.
    pub actions: bool,
    /// What an event stream hands its events to, where there is to be one.
    pub event_stream: Option<Destination>,
}

/// What should be at Auth0.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) actions: bool,
    pub(super) event_stream: Option<Destination>,
    url: String,
    secret: String,
    token: String,
}

impl Wanted {
    pub(super) fn new(address: &Address, key: &Key) -> Wanted {
        Wanted {
            actions: address.actions,
            event_stream: address.event_stream,
            url: address.url.as_str().trim_end_matches('/').to_owned(),
            secret: key.secret(),
            token: key.token(),
        }
    }

    /// The secrets of an Action, as a body carries them.
    pub(super) fn secrets(&self, trigger: Trigger) -> Value {
        let [key, url] = SECRETS;
        json!([{"name": key, "value": self.secret}, {"name": url, "value": self.address(trigger.path)}])
    }

    fn address(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// The event stream's destination that is the webhook itself.
    pub(super) fn webhook(&self) -> Value {
        json!({
            "type": Destination::Webhook,
            "configuration": {
                "webhook_endpoint": self.address(EVENTS),
                "webhook_authorization": {"method": "bearer", "token": self.token},
            },
        })
    }

    /// Changes whenever an Action has to.
    pub(super) fn digest_of_code(&self, trigger: &Trigger) -> String {
        digest(&[CODE, trigger.id, trigger.version, &self.secret, &self.address(trigger.path)])
    }
}

/// The event stream's destination that is an Action.
pub(super) fn action(key: &str) -> Value {
    json!({"type": Destination::Action, "configuration": {"action_id": key}})
}

/// Changes whenever the event stream has to.
pub(super) fn digest_of_feed(destination: &Value, events: &[String]) -> String {
    digest(&[&destination.to_string(), &events.join(",")])
}

fn digest(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    URL_SAFE_NO_PAD.encode(hash.finalize())
}

/// The name of what this service makes; another database that mirrors the same tenant has others.
pub(super) fn name(instance: &str, what: &str) -> String {
    let instance: String = instance.chars().take(8).collect();
    format!("auth0-sync {what} {instance}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::webhook::Key;

    fn wanted(url: &str, key: &Key) -> Wanted {
        Wanted::new(&Address { url: Url::parse(url).unwrap(), actions: true, event_stream: None }, key)
    }

    #[test]
    fn a_digest_changes_with_address_key_and_events_and_with_nothing_else() {
        let (key, other) = (Key::random(), Key::random());
        let same = wanted("https://sync.example/in/", &key);
        let digest = wanted("https://sync.example/in", &key).digest_of_code(&TRIGGERS[0]);
        assert_eq!(same.digest_of_code(&TRIGGERS[0]), digest, "a slash at the end is none");
        assert_ne!(same.digest_of_code(&TRIGGERS[1]), digest);
        assert_ne!(wanted("https://sync.example", &key).digest_of_code(&TRIGGERS[0]), digest);
        assert_ne!(wanted("https://sync.example/in", &other).digest_of_code(&TRIGGERS[0]), digest);
        let events = ["a".to_owned(), "b".to_owned()];
        let feed = digest_of_feed(&same.webhook(), &events);
        assert_ne!(feed, digest_of_feed(&same.webhook(), &events[..1]));
        let renewed = wanted("https://sync.example/in", &other).webhook();
        assert_ne!(feed, digest_of_feed(&renewed, &events), "another token");
        assert_ne!(digest_of_feed(&action("1"), &events), digest_of_feed(&action("2"), &events));
        assert!(!digest.contains(&key.secret()));
    }

    #[test]
    fn the_code_has_a_function_for_each_trigger() {
        for trigger in TRIGGERS {
            assert!(CODE.contains(&format!("report('{}', event)", trigger.id)), "{}", trigger.id);
        }
        assert!(CODE.contains("exports.onExecuteEventStream = "));
        assert!(SECRETS.iter().all(|name| CODE.contains(&format!("secrets.{name}"))));
    }

    #[test]
    fn what_users_do_goes_to_reports_and_events_go_to_events() {
        let (key, at) = (Key::random(), "https://sync.example/in/");
        let address = |trigger| wanted(at, &key).secrets(trigger)[1]["value"].clone();
        assert!(TRIGGERS.into_iter().all(|trigger| address(trigger) == "https://sync.example/in/reports"));
        assert_eq!(address(EVENT_STREAM), "https://sync.example/in/events");
        let webhook = wanted(at, &key).webhook();
        assert_eq!(webhook["configuration"]["webhook_endpoint"], "https://sync.example/in/events");
    }

    #[test]
    fn names_tell_databases_apart_that_mirror_one_tenant() {
        assert_eq!(name("0123456789abcdef", "post-login"), "auth0-sync post-login 01234567");
    }
}
