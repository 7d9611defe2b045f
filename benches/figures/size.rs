//! One write in a small table and in a large one: it is to cost the same.

use sqlx::{AssertSqlSafe, Executor, PgPool};

use crate::figures::{Aim, Figures, at};
use crate::options::Options;
use crate::support::{self, Emulator, Postgres, Stand};
use crate::writeback::one_by_one;

const SMALL: u32 = 10_000;
/// Rows that Auth0 has, and the only ones that are written.
const USERS: u32 = 200;
const UPDATES: usize = 400;

pub(crate) async fn measure(figures: &mut Figures, options: &Options) {
    let postgres = Postgres::with(&[("fsync", "on"), ("max_wal_size", "8GB")]);
    let mut stand = Stand::set_up(postgres, Emulator::start(USERS).await).await;
    // What the table has more than Auth0 stays.
    stand.configuration = "[sweep]\nevery_hours = 0\n".to_owned();
    stand.restart_service().await;
    let service = PgPool::connect(&stand.variables()[0].1).await.unwrap();
    let mut middles = Vec::new();
    for (from, rows) in [(0, SMALL), (SMALL, options.rows)] {
        fill(&stand, &service, from, rows).await;
        let (committed, heard) = one_by_one(&stand, UPDATES).await;
        let name = |what: &str| format!("{what}, table of {rows} rows");
        figures.spread(&name("single UPDATE with its commit"), &committed, None);
        figures.spread(&name("commit to NOTIFY"), &heard, None);
        middles.push((at(&committed, 0.5), at(&heard, 0.5)));
    }
    let [small, large] = middles[..] else { unreachable!("two sizes") };
    let most = Aim::Below(1.2);
    figures.aim("single UPDATE, large table to small", "", large.0 / small.0, most);
    figures.aim("commit to NOTIFY, large table to small", "", large.1 / small.1, most);
}

const FILLED: &str = "filled-";

/// Puts rows into the table that Auth0 does not have.
async fn fill(stand: &Stand, service: &PgPool, from: u32, to: u32) {
    let sql = format!(
        "insert into auth0.\"user\" (user_id, email, name, created_at, updated_at, user_metadata, app_metadata) \
         select 'auth0|{FILLED}' || n, n || '@example.com', 'Name ' || n, now(), now(), '{{\"theme\": \"dark\"}}', '{{\"plan\": \"free\"}}' \
         from generate_series({from} + 1, {to}) n"
    );
    service.execute(AssertSqlSafe(sql)).await.unwrap();
    let mut admin = stand.postgres.admin(support::stand::DATABASE).await;
    // One by one: VACUUM runs in no transaction.
    for sql in ["vacuum analyze auth0.\"user\"", "checkpoint"] {
        admin.execute(sql).await.unwrap();
    }
}
