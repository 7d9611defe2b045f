//! The Management API as somebody else's client uses it.

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

/// A client with a token of its own; paths begin with `/api/v2/` or `/_emulator/`.
#[derive(Clone)]
pub struct Api {
    base: String,
    token: String,
    client: Client,
}

impl Api {
    /// Fetches a token with client credentials.
    pub async fn connect(base: &str, client_id: &str, client_secret: &str) -> Self {
        let base = base.trim_end_matches('/').to_owned();
        let client = Client::builder().no_proxy().build().unwrap();
        let mut api = Api { base, token: String::new(), client };
        let body = json!({
            "grant_type": "client_credentials",
            "client_id": client_id,
            "client_secret": client_secret,
            "audience": format!("{}/api/v2/", api.base),
        });
        let (status, answer) = api.send(Method::POST, "/oauth/token", Some(&body)).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        api.token = answer["access_token"].as_str().unwrap().to_owned();
        api
    }

    /// The status and the body of any answer; `null` where there is no body.
    pub async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> (StatusCode, Value) {
        self.try_send(method, path, body).await.unwrap()
    }

    /// The same where the other side may be away: an error when no whole answer came.
    pub async fn try_send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> reqwest::Result<(StatusCode, Value)> {
        let mut request =
            self.client.request(method, format!("{}{path}", self.base)).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::Null)))
    }

    async fn expect(&self, method: Method, path: &str, body: Option<&Value>) -> Value {
        let (status, answer) = self.send(method.clone(), path, body).await;
        assert!(status.is_success(), "{method} {path} → {status}: {answer}");
        answer
    }

    /// A GET that must succeed.
    pub async fn get(&self, path: &str) -> Value {
        self.expect(Method::GET, path, None).await
    }

    /// A POST that must succeed.
    pub async fn post(&self, path: &str, body: Value) -> Value {
        self.expect(Method::POST, path, Some(&body)).await
    }

    /// A PATCH that must succeed.
    pub async fn patch(&self, path: &str, body: Value) -> Value {
        self.expect(Method::PATCH, path, Some(&body)).await
    }

    /// A DELETE that must succeed.
    pub async fn delete(&self, path: &str) {
        self.expect(Method::DELETE, path, None).await;
    }
}
