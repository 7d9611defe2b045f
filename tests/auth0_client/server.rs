//! A small server on a real socket that answers as a test tells it and keeps what it saw.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Response, Uri};
use tokio::net::TcpListener;

/// One request as the server saw it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
}

impl Seen {
    pub(crate) fn is_token(&self) -> bool {
        self.path == "/oauth/token"
    }

    pub(crate) fn bearer(&self) -> &str {
        self.headers["authorization"].to_str().unwrap().strip_prefix("Bearer ").unwrap()
    }

    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        let mut pairs = url::form_urlencoded::parse(self.query.as_bytes());
        pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }
}

pub(crate) type Log = Arc<Mutex<Vec<Seen>>>;

pub(crate) struct Server {
    pub(crate) url: String,
    pub(crate) log: Log,
    pub(crate) task: tokio::task::JoinHandle<()>,
}

impl Server {
    /// `answer` is given the request and how many of its kind (token or not) came before it.
    pub(crate) async fn start(
        answer: impl Fn(&Seen, usize) -> Response<Body> + Send + Sync + 'static,
    ) -> Self {
        let log = Log::default();
        let (answer, seen) = (Arc::new(answer), Arc::clone(&log));
        let app = Router::new().fallback(async move |method, uri: Uri, headers, _: Bytes| {
            let request = Seen {
                method,
                path: uri.path().to_owned(),
                query: uri.query().unwrap_or_default().to_owned(),
                headers,
            };
            let before = {
                let mut log = seen.lock().unwrap();
                let before = log.iter().filter(|other| other.is_token() == request.is_token()).count();
                log.push(request.clone());
                before
            };
            answer(&request, before)
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Server { url, log, task }
    }

    pub(crate) fn tokens(&self) -> usize {
        self.log.lock().unwrap().iter().filter(|request| request.is_token()).count()
    }

    pub(crate) fn calls(&self) -> Vec<Seen> {
        self.log.lock().unwrap().iter().filter(|request| !request.is_token()).cloned().collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}
