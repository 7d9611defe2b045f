//! The whole catalogue at once.

use auth0_sync::catalog::{Catalog, Lifecycle};

use crate::support::{Emulator, Postgres, Stand};
use crate::{count, same};

#[tokio::test]
async fn every_table_is_filled_and_equals_the_tenant() {
    let mut stand = Stand::with_objects(Postgres::start(), Emulator::start(30).await, &["*"]).await;
    stand.restart_service().await;
    let pool = stand.admin().await;
    assert_eq!(count(&pool, "select count(*) from _auth0_sync.backfill where state <> 'done'").await, 0);
    let catalog = Catalog::bundled().unwrap();
    let read = catalog.iter().filter(|resource| resource.is_read() && resource.lifecycle != Lifecycle::Ended);
    let filled = count(&pool, "select count(*) from _auth0_sync.backfill").await;
    assert_eq!(filled, read.count() as i64);
    same(&stand).await;
}
