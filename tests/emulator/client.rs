//! An emulator in this process and a client with a token.

use auth0_sync::emulator::{Credentials, Emulator, Options};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

/// A running emulator; it ends when it is dropped.
pub(crate) struct Tenant {
    pub(crate) base: String,
    pub(crate) client: Credentials,
    pub(crate) http: reqwest::Client,
    token: String,
    server: JoinHandle<()>,
}

/// Status, headers and JSON body of an answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
}

impl Tenant {
    /// A fresh tenant with `users` users.
    pub(crate) async fn with_users(users: usize) -> Tenant {
        Tenant::start(Options { users, ..Options::default() }).await
    }

    pub(crate) async fn start(options: Options) -> Tenant {
        let emulator = Emulator::open(options).unwrap();
        let client = emulator.client().clone();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let server =
            tokio::spawn(async move { emulator.serve(listener, std::future::pending()).await.unwrap() });
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut tenant = Tenant { base, client, http, token: String::new(), server };
        let answer = tenant.token(json!({})).await;
        tenant.token = answer.body["access_token"].as_str().unwrap().to_owned();
        tenant
    }

    /// Asks for a token; `other` replaces fields of a right request.
    pub(crate) async fn token(&self, other: Value) -> Answer {
        let mut body = json!({
            "grant_type": "client_credentials",
            "client_id": self.client.id,
            "client_secret": self.client.secret,
            "audience": format!("{}/api/v2/", self.base),
        });
        body.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
        answer(self.http.post(format!("{}/oauth/token", self.base)).json(&body)).await.unwrap()
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base)).bearer_auth(&self.token)
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        answer(self.request(Method::GET, path)).await.unwrap()
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        answer(self.request(Method::POST, path).json(&body)).await.unwrap()
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Answer {
        answer(self.request(Method::PATCH, path).json(&body)).await.unwrap()
    }

    pub(crate) async fn delete(&self, path: &str, body: Option<Value>) -> Answer {
        let request = self.request(Method::DELETE, path);
        answer(match &body {
            Some(body) => request.json(body),
            None => request,
        })
        .await
        .unwrap()
    }

    /// Everything stored, by table.
    pub(crate) async fn state(&self) -> Value {
        self.get("/_emulator/state").await.body
    }

    /// Stops at once, as a killed process does.
    pub(crate) async fn kill(mut self) {
        self.server.abort();
        assert!((&mut self.server).await.is_err());
    }
}

impl Drop for Tenant {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Sends a request; an error is a lost answer.
pub(crate) async fn answer(request: reqwest::RequestBuilder) -> reqwest::Result<Answer> {
    let response = request.send().await?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = response.text().await?;
    Ok(Answer { status, headers, body: serde_json::from_str(&body).unwrap_or(Value::Null) })
}

/// The ids of the items of an array.
pub(crate) fn ids(items: &Value, key: &str) -> Vec<String> {
    items.as_array().unwrap().iter().map(|item| item[key].as_str().unwrap().to_owned()).collect()
}
