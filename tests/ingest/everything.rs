//! The whole catalogue at once.

use auth0_sync::catalog::{Catalog, Lifecycle};

use crate::support::wait_until;
use crate::support::{Emulator, Postgres, Stand};
use crate::{SECONDS, count, same, text};

#[tokio::test]
async fn every_table_is_filled_and_equals_the_tenant() {
    let mut stand = Stand::with_objects(Postgres::start(), Emulator::start(30).await, &["*"]).await;
    stand.restart_service().await;
    let pool = stand.admin().await;
    // The tenant log's own table keeps nobody waiting.
    let open = "select string_agg(\"table\", ' ') from _auth0_sync.backfill where state not in ('done', 'unavailable')";
    wait_until("every table is filled", SECONDS, async || text(&pool, open).await.is_none()).await;
    let refused = "select count(*) from _auth0_sync.backfill where state = 'unavailable' and error not like '%Please upgrade%'";
    assert_eq!(count(&pool, refused).await, 0, "only what the plan lacks is not shown");
    let catalog = Catalog::bundled().unwrap();
    let read = catalog.iter().filter(|resource| resource.is_read() && resource.lifecycle != Lifecycle::Ended);
    let filled = count(&pool, "select count(*) from _auth0_sync.backfill").await;
    assert_eq!(filled, read.count() as i64);
    same(&stand).await;
}
