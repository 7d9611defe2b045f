//! The Management API's client against small servers on real sockets.

#![expect(clippy::unwrap_used, reason = "a test fails by it, in its own functions too")]

mod server;

use std::time::{Duration, Instant};

use auth0_sync::auth0::{Client, Cut, Lane, Outcome, Pages, Request, Settings};
use auth0_sync::catalog::List;
use auth0_sync::error::Kind;
use axum::body::Body;
use axum::http::{Method, Response, StatusCode};
use axum::response::IntoResponse;
use futures_util::future::join_all;
use serde_json::{Map, Value, json};
use server::Server;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

fn client(url: &str) -> Client {
    let settings =
        Settings { base_url: Some(url.parse().unwrap()), ..Settings::new("acme.auth0.com", "id", "secret") };
    Client::new(&settings).unwrap()
}

fn reply(status: u16, body: Value) -> Response<Body> {
    (StatusCode::from_u16(status).unwrap(), axum::Json(body)).into_response()
}

fn token(number: usize, life: u64) -> Response<Body> {
    let body =
        json!({"access_token": format!("t{number}"), "expires_in": life, "scope": "read:users update:users"});
    reply(200, body)
}

fn read() -> Request {
    Request::get("/users/auth0%7C1", Lane::Refetch)
}

fn patch() -> Request {
    Request::write(Method::PATCH, "/users/auth0%7C1", Some(json!({"name": "n"})), "mutation-7")
}

#[tokio::test]
async fn fifty_callers_share_one_token_request() {
    let server = Server::start(|request, before| match request.is_token() {
        true => token(before, 86_400),
        false => reply(200, json!({})),
    })
    .await;
    let client = client(&server.url);
    let request = read();
    let answers = join_all((0..50).map(|_| client.send(&request))).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!((server.tokens(), server.calls().len()), (1, 50));
    assert_eq!(client.scopes().await.unwrap(), ["read:users", "update:users"]);
}

#[tokio::test]
async fn fifty_callers_share_one_refused_token_request() {
    let server = Server::start(|_, _| reply(401, json!({"error": "access_denied"}))).await;
    let client = client(&server.url);
    let request = patch();
    let outcomes = join_all((0..50).map(|_| client.write(&request))).await;
    let blocked =
        |outcome: &Outcome| matches!(outcome, Outcome::Blocked { kind: Kind::Auth0Credentials, .. });
    assert!(outcomes.iter().all(blocked));
    assert_eq!(server.tokens(), 1);
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends() {
    let started = Instant::now();
    let server = Server::start(move |request, before| match request.is_token() {
        true => token(before, if before == 0 { 2 } else { 86_400 }),
        false if request.bearer() == "t0" && started.elapsed() > Duration::from_secs(2) => {
            reply(401, json!({}))
        }
        false => reply(200, json!({})),
    })
    .await;
    let client = client(&server.url);
    while server.calls().last().is_none_or(|call| call.bearer() == "t0") {
        client.send(&read()).await.unwrap();
        assert!(started.elapsed() < Duration::from_secs(10));
    }
    assert!(started.elapsed() < Duration::from_secs(2), "renewed only after the end");
    assert_eq!(server.tokens(), 2);
}

#[tokio::test]
async fn a_401_replaces_exactly_that_token_and_repeats_the_call_once() {
    let server = Server::start(|request, before| match request.is_token() {
        true => token(before, 86_400),
        false if request.bearer() == "t0" => reply(401, json!({"message": "Invalid token"})),
        false => reply(200, json!({"by": request.bearer()})),
    })
    .await;
    let client = client(&server.url);
    let request = patch();
    for outcome in join_all((0..20).map(|_| client.write(&request))).await {
        assert_eq!(outcome, Outcome::Applied(json!({"by": "t1"})));
    }
    assert_eq!(server.tokens(), 2);
}

#[tokio::test]
async fn a_401_to_a_fresh_token_blocks_and_is_no_refusal() {
    let server = Server::start(|request, before| match request.is_token() {
        true => token(before, 86_400),
        false => reply(401, json!({"statusCode": 401, "message": "Client is not global."})),
    })
    .await;
    let outcome = client(&server.url).write(&patch()).await;
    let message = "401 Client is not global.".to_owned();
    assert_eq!(outcome, Outcome::Blocked { kind: Kind::Auth0Token, message });
    assert_eq!((server.tokens(), server.calls().len()), (2, 2));
}

#[tokio::test]
async fn every_way_to_be_denied_a_token_is_told_apart() {
    for (status, kind) in [
        (401, Kind::Auth0Credentials),
        (403, Kind::Auth0Token),
        (404, Kind::Auth0Unreachable),
        (429, Kind::Auth0Throttled),
        (500, Kind::Auth0Server),
    ] {
        let server = Server::start(move |_, _| reply(status, json!({"error_description": "Why"}))).await;
        let error = client(&server.url).scopes().await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }
    let error = client("http://no-such-tenant.invalid").scopes().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Auth0Unreachable);
    assert!(error.to_string().contains("no-such-tenant.invalid"), "{error}");
}

#[tokio::test]
async fn a_429_holds_every_clone_until_the_reset() {
    let server = Server::start(|request, before| match (request.is_token(), before) {
        (true, _) => token(before, 86_400),
        (false, 0) => {
            let mut reply = reply(429, json!({"message": "Global limit has been reached"}));
            reply.headers_mut().insert("retry-after", "1".parse().unwrap());
            reply
        }
        (false, _) => reply(200, json!({})),
    })
    .await;
    let client = client(&server.url);
    let began = Instant::now();
    assert!(matches!(client.write(&patch()).await, Outcome::Throttled { .. }));
    let (request, clone) = (read(), client.clone());
    let (one, two) = tokio::join!(client.read(&request), clone.read(&request));
    assert!(one.is_ok() && two.is_ok());
    assert!(began.elapsed() >= Duration::from_secs(1));
    assert_eq!(server.calls().len(), 3);
}

#[tokio::test]
async fn a_read_waits_for_the_limit_by_itself_and_then_answers() {
    let server = Server::start(|request, before| match (request.is_token(), before) {
        (true, _) => token(before, 86_400),
        (false, 0) => {
            let mut reply = reply(429, json!({}));
            reply.headers_mut().insert("retry-after", "0".parse().unwrap());
            reply
        }
        (false, _) => {
            let mut reply = reply(200, json!({"n": 1}));
            reply.headers_mut().insert("x-ratelimit-remaining", "9".parse().unwrap());
            reply
        }
    })
    .await;
    let answer = client(&server.url).read(&read()).await.unwrap();
    assert_eq!((answer.body, answer.rate.remaining), (json!({"n": 1}), Some(9)));
}

#[tokio::test]
async fn writes_carry_their_correlation_id_and_reads_do_not() {
    let server = Server::start(|request, before| match request.is_token() {
        true => token(before, 86_400),
        false => reply(200, json!({})),
    })
    .await;
    let client = client(&server.url);
    client.send(&patch()).await.unwrap();
    client.send(&Request { correlation_id: Some("x".into()), ..read() }).await.unwrap();
    let calls = server.calls();
    assert_eq!((&calls[0].method, calls[0].path.as_str()), (&Method::PATCH, "/api/v2/users/auth0%7C1"));
    assert_eq!(calls[0].headers["x-correlation-id"], "mutation-7");
    assert!(calls[0].headers["user-agent"].to_str().unwrap().starts_with("auth0-sync/"));
    assert!(!calls[1].headers.contains_key("x-correlation-id"));
}

/// Reads one HTTP request with a body length from a socket.
async fn read_request(socket: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.to_lowercase();
            let length = length.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
            if body.len() >= length.map_or(0, |length| length.trim().parse().unwrap()) {
                return Some(text);
            }
        }
        if socket.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

/// Grants a token, then reads the write, applies it, sends `tail` and closes the socket.
async fn lossy(tail: &'static str) -> (String, tokio::task::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let task = tokio::spawn(async move {
        let mut applied = Vec::new();
        let (mut socket, _) = listener.accept().await.unwrap();
        read_request(&mut socket).await.unwrap();
        let body = r#"{"access_token":"t","expires_in":86400}"#;
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        socket.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        // The write comes over the pooled connection, as most do.
        applied.extend(read_request(&mut socket).await);
        socket.write_all(tail.as_bytes()).await.unwrap();
        drop(socket);
        // A second attempt, if one were made, would be seen here.
        let again = tokio::time::timeout(Duration::from_millis(300), listener.accept()).await;
        if let Ok(Ok((mut socket, _))) = again {
            applied.extend(read_request(&mut socket).await);
        }
        applied
    });
    (url, task)
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_is_unknown_and_not_sent_again() {
    for tail in ["", "HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{\"half", "HTTP/1.1 20"] {
        let (url, server) = lossy(tail).await;
        let outcome = client(&url).write(&patch()).await;
        assert!(
            matches!(outcome, Outcome::Unknown { kind: Kind::Auth0NoAnswer, .. }),
            "{tail:?}: {outcome:?}"
        );
        assert_eq!(server.await.unwrap().len(), 1, "{tail:?}");
    }
}

#[tokio::test]
async fn an_answer_that_does_not_come_in_time_is_unknown() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        read_request(&mut socket).await.unwrap();
        let body = r#"{"access_token":"t","expires_in":86400}"#;
        let text = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        socket.write_all(text.as_bytes()).await.unwrap();
        read_request(&mut socket).await.unwrap();
        read_request(&mut socket).await
    });
    let settings = Settings {
        base_url: Some(url.parse().unwrap()),
        request_timeout: Duration::from_millis(300),
        connect_timeout: Duration::from_millis(300),
        ..Settings::new("acme.auth0.com", "id", "secret")
    };
    let outcome = Client::new(&settings).unwrap().write(&patch()).await;
    assert!(matches!(outcome, Outcome::Unknown { kind: Kind::Auth0NoAnswer, .. }), "{outcome:?}");
    server.await.unwrap();
}

#[tokio::test]
async fn a_refused_connection_proves_that_nothing_left() {
    let server = Server::start(|_, before| token(before, 86_400)).await;
    let client = client(&server.url);
    client.scopes().await.unwrap();
    let url = server.url.clone();
    drop(server);
    let address = url.strip_prefix("http://").unwrap();
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    // The connection that the pool still holds may break under the first write: that is unknown.
    let mut outcome = client.write(&patch()).await;
    if matches!(outcome, Outcome::Unknown { .. }) {
        outcome = client.write(&patch()).await;
    }
    assert!(matches!(outcome, Outcome::NeverLeft { kind: Kind::Auth0Unreachable, .. }), "{outcome:?}");
}

fn list(extra: &str) -> List {
    toml::from_str(&format!(
        "path = \"/orgs/{{id}}/items\"\nscopes = []\narray = \"items\"\nper_page = 2\n{extra}"
    ))
    .unwrap()
}

fn items(numbers: std::ops::Range<u64>) -> Value {
    numbers.map(|n| json!({"n": n})).collect()
}

/// Everything that a list gives, page by page, and whether it was cut.
async fn walk(server: &Server, list: &List) -> (Vec<Vec<u64>>, Option<Cut>) {
    let (client, values) = (client(&server.url), Map::from_iter([("id".to_owned(), json!("org|1"))]));
    let mut pages = Pages::new(&client, list, &values, Lane::Backfill).unwrap();
    let mut all = Vec::new();
    while let Some(page) = pages.next_page().await.unwrap() {
        all.push(page.iter().map(|item| item["n"].as_u64().unwrap()).collect());
    }
    assert!(server.calls().iter().all(|call| call.path == "/api/v2/orgs/org%7C1/items"));
    (all, pages.cut())
}

/// A server of one list: `page` is given the request's parameter of this name.
async fn lister(
    parameter: &'static str,
    page: impl Fn(Option<&str>) -> Value + Send + Sync + 'static,
) -> Server {
    Server::start(move |request, before| match request.is_token() {
        true => token(before, 86_400),
        false => reply(200, page(request.parameter(parameter).as_deref())),
    })
    .await
}

#[tokio::test]
async fn a_list_without_paging_is_one_answer_bare_or_enveloped() {
    let server = lister("page", |page| {
        assert_eq!(page, None);
        items(0..3)
    })
    .await;
    assert_eq!(walk(&server, &list("paging = \"none\"")).await, (vec![vec![0, 1, 2]], None));
    let server = lister("page", |_| json!({"items": items(0..1)})).await;
    assert_eq!(walk(&server, &list("paging = \"none\"")).await.0, [[0]]);
}

#[tokio::test]
async fn offset_pages_end_at_the_total_or_at_a_short_page() {
    let page = |page: Option<&str>, end: u64| {
        let start = page.unwrap().parse::<u64>().unwrap() * 2;
        items(start.min(end)..(start + 2).min(end))
    };
    let offset = list("paging = \"offset\"");
    // By the total: no further call after a full last page.
    let server =
        lister("page", move |p| json!({"items": page(p, 4), "start": 0, "limit": 2, "total": 4})).await;
    assert_eq!(walk(&server, &offset).await, (vec![vec![0, 1], vec![2, 3]], None));
    assert_eq!(server.calls().len(), 2);
    // Bare, and without a total: a short page, here an empty one, ends it.
    let server = lister("page", move |p| page(p, 4)).await;
    assert_eq!(walk(&server, &offset).await.0, [[0, 1], [2, 3]]);
    assert_eq!(server.calls().len(), 3);
    let server = lister("page", move |p| json!({"items": page(p, 3)})).await;
    assert_eq!(walk(&server, &offset).await.0, [vec![0, 1], vec![2]]);
    assert_eq!(server.calls().len(), 2);
}

#[tokio::test]
async fn a_server_that_gives_smaller_pages_than_asked_is_followed() {
    let server = lister("page", |page| {
        let start = page.unwrap().parse::<u64>().unwrap();
        json!({"items": items(start..start + 1), "limit": 1, "total": 3})
    })
    .await;
    assert_eq!(walk(&server, &list("paging = \"offset\"")).await.0, [[0], [1], [2]]);
}

#[tokio::test]
async fn a_list_that_reaches_its_cap_says_so() {
    let server = lister("page", |page| {
        let start = page.unwrap().parse::<u64>().unwrap() * 2;
        json!({"items": items(start..start + 2), "limit": 2, "total": 9})
    })
    .await;
    let (pages, cut) = walk(&server, &list("paging = \"offset\"\ncap = 4")).await;
    assert_eq!((pages, cut), (vec![vec![0, 1], vec![2, 3]], Some(Cut { cap: 4, total: Some(9) })));
}

#[tokio::test]
async fn checkpoints_are_followed_through_short_and_empty_pages_until_none_is_next() {
    for paging in ["checkpoint", "both"] {
        let server = lister("from", |from| match from {
            None => json!({"items": items(0..2), "next": "a"}),
            Some("a") => json!({"items": [], "next": "b"}),
            Some("b") => json!({"items": items(2..3), "next": "c"}),
            Some(_) => json!({"items": []}),
        })
        .await;
        let (pages, cut) = walk(&server, &list(&format!("paging = \"{paging}\"\ncap = 2"))).await;
        assert_eq!((pages, cut), (vec![vec![0, 1], vec![2]], None));
        let calls = server.calls();
        assert_eq!(calls.len(), 4);
        assert!(calls.iter().all(|call| call.parameter("take").as_deref() == Some("2")));
        assert!(calls.iter().all(|call| call.parameter("page").is_none()));
    }
}

#[tokio::test]
async fn a_checkpoint_that_stands_still_is_an_error() {
    let server = lister("from", |_| json!({"items": items(0..1), "next": "a"})).await;
    let (client, list) = (client(&server.url), list("paging = \"checkpoint\""));
    let values = Map::from_iter([("id".to_owned(), json!("1"))]);
    let mut pages = Pages::new(&client, &list, &values, Lane::Sweep).unwrap();
    assert!(pages.next_page().await.unwrap().is_some());
    assert_eq!(pages.next_page().await.unwrap_err().kind(), Kind::Auth0Answer);
}

#[tokio::test]
async fn an_error_of_a_read_keeps_auth0s_message() {
    let server = Server::start(|request, before| match request.is_token() {
        true => token(before, 86_400),
        false => {
            reply(403, json!({"statusCode": 403, "error": "Forbidden", "message": "Insufficient scope"}))
        }
    })
    .await;
    let error = client(&server.url).read(&read()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Auth0Forbidden);
    assert!(error.to_string().contains("Insufficient scope"), "{error}");
}
