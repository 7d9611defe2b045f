//! What should be at Auth0, pure: code, address, key and events, and a digest by which a change of
//! what Auth0 never shows is found.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
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
}

pub(super) const TRIGGERS: [Trigger; 3] = [
    Trigger { id: "post-login", version: "v3" },
    Trigger { id: "post-user-registration", version: "v2" },
    Trigger { id: "post-change-password", version: "v2" },
];

/// Where Auth0 reaches the webhook, and what should report there.
#[derive(Clone, Debug)]
pub struct Address {
    /// Without the path of a kind of message.
    pub url: Url,
    /// Whether Actions report.
    pub actions: bool,
    /// Whether an event stream does.
    pub event_stream: bool,
}

/// What should be at Auth0.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) actions: bool,
    pub(super) event_stream: bool,
    reports: String,
    events: String,
    secret: String,
    token: String,
}

impl Wanted {
    pub(super) fn new(address: &Address, key: &Key) -> Wanted {
        let url = address.url.as_str().trim_end_matches('/');
        Wanted {
            actions: address.actions,
            event_stream: address.event_stream,
            reports: format!("{url}{REPORTS}"),
            events: format!("{url}{EVENTS}"),
            secret: key.secret(),
            token: key.token(),
        }
    }

    /// The secrets of an Action, as a body carries them.
    pub(super) fn secrets(&self) -> Value {
        let [key, url] = SECRETS;
        json!([{"name": key, "value": self.secret}, {"name": url, "value": self.reports}])
    }

    /// The destination of the event stream.
    pub(super) fn destination(&self) -> Value {
        json!({
            "type": "webhook",
            "configuration": {
                "webhook_endpoint": self.events,
                "webhook_authorization": {"method": "bearer", "token": self.token},
            },
        })
    }

    /// Changes whenever an Action has to.
    pub(super) fn digest_of_code(&self, trigger: &Trigger) -> String {
        digest(&[CODE, trigger.id, trigger.version, &self.secret, &self.reports])
    }

    /// Changes whenever the event stream has to.
    pub(super) fn digest_of_feed(&self, events: &[String]) -> String {
        digest(&[&self.token, &self.events, &events.join(",")])
    }
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
        Wanted::new(&Address { url: Url::parse(url).unwrap(), actions: true, event_stream: true }, key)
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
        assert_ne!(same.digest_of_feed(&events), same.digest_of_feed(&events[..1]));
        assert!(!digest.contains(&key.secret()));
    }

    #[test]
    fn the_code_has_a_function_for_each_trigger() {
        for trigger in TRIGGERS {
            assert!(CODE.contains(&format!("report('{}', event)", trigger.id)), "{}", trigger.id);
        }
        assert!(SECRETS.iter().all(|name| CODE.contains(&format!("event.secrets.{name}"))));
    }

    #[test]
    fn names_tell_databases_apart_that_mirror_one_tenant() {
        assert_eq!(name("0123456789abcdef", "post-login"), "auth0-sync post-login 01234567");
    }
}
