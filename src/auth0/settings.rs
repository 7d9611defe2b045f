//! Where the tenant is and who we are there.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::catalog::Limits;
use crate::error::{Error, Kind, Result};

/// What a [`super::Client`] needs to know. Check it with [`Settings::validate`] first.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Canonical domain of the tenant, for example `acme.eu.auth0.com`. May be empty only where
    /// `base_url` is given.
    pub domain: String,
    /// Where requests go instead of `https://{domain}`: an emulator.
    pub base_url: Option<Url>,
    /// Client id of the machine-to-machine application.
    pub client_id: String,
    /// Its secret.
    pub client_secret: SecretString,
    /// The longest that one request may take, connecting included.
    pub request_timeout: Duration,
    /// The longest that connecting may take; shorter than `request_timeout`, so that a host that
    /// cannot be reached is told apart from an answer that does not come.
    pub connect_timeout: Duration,
    /// `User-Agent` of every request.
    pub user_agent: String,
    /// Name of the subscription, whose rate limits are kept from the start; none learns them from
    /// Auth0's answers.
    pub plan: Option<String>,
    /// What is left to the tenant's other applications, in percent of each limit.
    pub reserve_percent: u8,
}

impl Settings {
    /// Settings for a tenant with the usual timeouts: 30 s a request, 5 s to connect.
    pub fn new(
        domain: impl Into<String>,
        client_id: impl Into<String>,
        client_secret: impl Into<SecretString>,
    ) -> Self {
        Settings {
            domain: domain.into(),
            base_url: None,
            client_id: client_id.into(),
            client_secret: client_secret.into(),
            request_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(5),
            user_agent: concat!("auth0-sync/", env!("CARGO_PKG_VERSION")).to_owned(),
            plan: None,
            reserve_percent: 20,
        }
    }

    /// Names the first value that cannot work.
    pub fn validate(&self) -> Result<()> {
        let wrong = |key: &str, why: &str| Err(Error::new(Kind::Config, format!("{key} {why}")));
        match &self.base_url {
            None if self.domain.is_empty() => return wrong("AUTH0_DOMAIN", "is missing"),
            Some(url) if !matches!(url.scheme(), "http" | "https") || url.host().is_none() => {
                return wrong("AUTH0_BASE_URL", "is not an http or https URL");
            }
            Some(url) if url.query().is_some() || url.fragment().is_some() => {
                return wrong("AUTH0_BASE_URL", "must end after its path");
            }
            _ => {}
        }
        let is_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':');
        if !self.domain.chars().all(is_host) {
            return wrong("AUTH0_DOMAIN", "is a host name alone, without https:// and without a path");
        }
        if self.client_id.is_empty() {
            return wrong("AUTH0_CLIENT_ID", "is missing");
        }
        if self.client_secret.expose_secret().is_empty() {
            return wrong("AUTH0_CLIENT_SECRET", "is missing");
        }
        if let Some(plan) = &self.plan
            && let Err(error) = Limits::load()?.plan(plan)
        {
            return wrong("auth0.plan (AUTH0_SYNC_PLAN):", error.what());
        }
        if self.reserve_percent > 95 {
            return wrong("auth0.reserve_percent", "must be between 0 and 95");
        }
        if self.request_timeout.is_zero() {
            return wrong("auth0.request_timeout", "must be longer than zero");
        }
        if self.connect_timeout.is_zero() || self.connect_timeout > self.request_timeout {
            return wrong("auth0.connect_timeout", "must be longer than zero and not above request_timeout");
        }
        Ok(())
    }

    /// Where requests go, without a slash at the end.
    pub(super) fn root(&self) -> String {
        match &self.base_url {
            Some(url) => url.as_str().trim_end_matches('/').to_owned(),
            None => format!("https://{}", self.domain),
        }
    }

    /// The Management API's identifier: of the tenant's domain, wherever requests go.
    pub(super) fn audience(&self) -> String {
        match self.domain.as_str() {
            "" => format!("{}/api/v2/", self.root()),
            domain => format!("https://{domain}/api/v2/"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings::new("acme.eu.auth0.com", "id", "secret")
    }

    fn error(settings: &Settings) -> String {
        settings.validate().unwrap_err().to_string()
    }

    #[test]
    fn the_wrong_key_is_named() {
        assert!(settings().validate().is_ok());
        assert!(error(&Settings { domain: String::new(), ..settings() }).starts_with("AUTH0_DOMAIN "));
        assert!(
            error(&Settings { domain: "https://acme/".into(), ..settings() }).starts_with("AUTH0_DOMAIN ")
        );
        assert!(error(&Settings { client_id: String::new(), ..settings() }).starts_with("AUTH0_CLIENT_ID "));
        assert!(
            error(&Settings { client_secret: "".into(), ..settings() }).starts_with("AUTH0_CLIENT_SECRET ")
        );
        let base_url = Some(Url::parse("ftp://localhost/").unwrap());
        assert!(error(&Settings { base_url, ..settings() }).starts_with("AUTH0_BASE_URL "));
        let connect_timeout = Duration::from_secs(31);
        assert!(error(&Settings { connect_timeout, ..settings() }).starts_with("auth0.connect_timeout "));
    }

    #[test]
    fn the_audience_is_the_tenants_wherever_requests_go() {
        let base_url = Some(Url::parse("http://127.0.0.1:4000").unwrap());
        let emulated = Settings { base_url: base_url.clone(), ..settings() };
        assert_eq!(emulated.audience(), "https://acme.eu.auth0.com/api/v2/");
        assert_eq!(emulated.root(), "http://127.0.0.1:4000");
        let nameless = Settings { base_url, domain: String::new(), ..settings() };
        assert_eq!(nameless.audience(), "http://127.0.0.1:4000/api/v2/");
    }
}
