//! The service is killed again and again under a stream of random writes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;

use crate::support::{Program, Session, Stand, equal_after, wait_until};

const KILLS: u32 = 30;
const CLIENTS: u64 = 3;
/// Between two writes of a client.
const PACE: Duration = Duration::from_millis(12);
const SOON: Duration = Duration::from_secs(10);

/// One random write; `n` makes new names.
fn write(rng: &mut StdRng, client: u64, n: u32) -> String {
    let some = |rng: &mut StdRng, table: &str, key: &str| {
        format!("(select {key} from auth0.{table} order by md5({key} || '{}') limit 1)", rng.random::<u32>())
    };
    let user = some(rng, "user", "user_id");
    let name = format!("c{client}-{n}");
    match rng.random_range(0..14) {
        0..4 => format!("update auth0.user set nickname = '{name}' where user_id = {user}"),
        4 => format!(
            "update auth0.user set user_metadata = coalesce(user_metadata, '{{}}') || '{{\"k{}\": {n}}}' where user_id = {user}",
            n % 3
        ),
        5 => format!(
            "insert into auth0.user (user_id, email, connection, password) values \
             ('auth0|{name}', '{name}@example.com', 'Username-Password-Authentication', 'long-enough-1')"
        ),
        6 => format!("insert into auth0.role (name, description) values ('{name}', 'x')"),
        7 => format!(
            "with o as (insert into auth0.organization (name) values ('{name}') returning id) \
             insert into auth0.organization_member select o.id, u.user_id from o, (select user_id from auth0.user where user_id not like 'auth0|c%' limit 2) u"
        ),
        8 => format!("insert into auth0.client (name) values ('{name}')"),
        9 => format!("update auth0.role set description = '{name}' where id = {}", some(rng, "role", "id")),
        10 => format!(
            "update auth0.organization set display_name = '{name}' where id = {}",
            some(rng, "organization", "id")
        ),
        11 => format!(
            "delete from auth0.user where user_id = (select user_id from auth0.user where user_id like 'auth0|c{client}-%' limit 1)"
        ),
        12 => format!(
            "delete from auth0.role where id = (select id from auth0.role where name like 'c{client}-%' limit 1)"
        ),
        _ => format!(
            "update auth0.user set email = (select email from auth0.user where user_id not like 'auth0|c%' limit 1) where user_id = {user}"
        ),
    }
}

#[tokio::test]
async fn killed_at_any_moment_the_service_loses_nothing_and_does_nothing_twice() {
    let seed: u64 =
        std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random);
    println!("SEED={seed}");
    let mut stand = Stand::start(20).await;
    let (stop, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let clients = (0..CLIENTS).map(|client| {
        let (url, stop, written) = (stand.app_url.clone(), Arc::clone(&stop), Arc::clone(&written));
        tokio::spawn(async move {
            let mut session = Session::open(&url).await;
            let mut rng = StdRng::seed_from_u64(seed ^ client);
            let mut pace = tokio::time::interval(PACE);
            for n in 0.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                session.run(&write(&mut rng, client, n)).await;
                written.fetch_add(1, Ordering::Relaxed);
                pace.tick().await;
            }
        })
    });
    let clients: Vec<_> = clients.collect();
    let mut rng = StdRng::seed_from_u64(seed);
    for _ in 0..KILLS {
        let until = written.load(Ordering::Relaxed) + rng.random_range(0..40);
        wait_until("clients write", SOON, async || written.load(Ordering::Relaxed) >= until).await;
        if rng.random_bool(0.5) {
            let fault = ["drop_after", "drop_before"][rng.random_range(0..2)];
            let method = ["POST", "PATCH", "DELETE"][rng.random_range(0..3)];
            let order = json!({"match": {"method": method, "path": "^/api/"}, "times": 1, "do": fault});
            stand.emulator.fault(order).await;
        }
        stand.kill_service().await;
        let variables = stand.variables();
        let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let mut service = Program::start(&["run", "--json"], &variables);
        // Some are killed before they are ready.
        if rng.random_bool(0.8) {
            stand.ready = service.ready().await;
        }
        stand.service = Some(service);
    }
    stop.store(true, Ordering::Relaxed);
    stand.emulator.fault(json!({"clear": true})).await;
    for client in clients {
        client.await.unwrap();
    }
    let written = written.load(Ordering::Relaxed);
    println!("{written} writes, {KILLS} kills");
    equal_after(&stand, written).await;

    let mut session = stand.session().await;
    let ends = session
        .rows("select \"table\", operation, state, error ->> 'message' as message, count(*) from auth0._sync_cdc group by 1, 2, 3, 4 order by 1, 2, 3")
        .await;
    for end in &ends {
        println!("{end}");
    }
    let twice = |end: &&serde_json::Value| {
        end["operation"] == "INSERT" && end["state"] != "confirmed" && end["table"] != "organization_member"
    };
    assert!(!ends.iter().any(|end| twice(&end)), "a create was taken for somebody else's");
    let state = stand.emulator.state().await;
    for table in ["role", "client", "organization"] {
        let mut names = BTreeMap::new();
        for row in state[table].as_array().unwrap() {
            *names.entry(row["name"].as_str().unwrap()).or_insert(0) += 1;
        }
        names.retain(|_, count| *count > 1);
        assert!(names.is_empty(), "{table}: {names:?}");
    }
}
