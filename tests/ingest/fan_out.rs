//! What hangs on two tables is read from the side that takes fewer calls.

use serde_json::json;

use crate::support::{Emulator, Postgres, Stand, compare};
use crate::{calls, count, fault, text};

const ROLES: &str = "GET /roles/{role_id}/users";
const USERS: &str = "GET /users/{user_id}/roles";

#[tokio::test]
async fn many_users_and_few_roles_are_linked_below_the_roles() {
    let stand = Stand::start(120).await;
    assert_eq!(compare(&stand).await, Vec::<String>::new());
    assert!(count(&stand.admin().await, "select count(*) from auth0.user_role").await > 0);
    assert!(calls(&stand, ROLES).await > 0);
    assert_eq!(calls(&stand, USERS).await, 0);
}

#[tokio::test]
async fn few_users_and_many_roles_are_linked_below_the_users() {
    let emulator = Emulator::start(3).await;
    let roles: Vec<_> =
        (0..30).map(|n| json!({"id": format!("rol_{n:016}"), "name": format!("role {n}")})).collect();
    emulator.api.post("/_emulator/preload", json!({"collections": {"/roles": roles}})).await;
    let mut stand = Stand::set_up(Postgres::start(), emulator).await;
    stand.restart_service().await;
    assert_eq!(compare(&stand).await, Vec::<String>::new());
    assert_eq!((calls(&stand, ROLES).await, calls(&stand, USERS).await), (0, 3));
}

#[tokio::test]
async fn a_side_that_auth0_refuses_gives_way_to_the_other() {
    let mut stand = Stand::set_up(Postgres::start(), Emulator::start(20).await).await;
    fault(&stand, json!({"match": {"method": "GET", "path": "^/api/v2/roles/[^/]+/users$"}, "do": "status", "status": 403})).await;
    stand.restart_service().await;
    assert_eq!(compare(&stand).await, Vec::<String>::new());
    assert_eq!(calls(&stand, USERS).await, 20);
}

#[tokio::test]
async fn a_side_whose_parents_auth0_does_not_show_is_not_believed() {
    let mut stand = Stand::set_up(Postgres::start(), Emulator::start(20).await).await;
    fault(
        &stand,
        json!({"match": {"method": "GET", "path": "^/api/v2/roles$"}, "do": "status", "status": 403}),
    )
    .await;
    stand.restart_service().await;
    let pool = stand.admin().await;
    let state = text(&pool, "select state from _auth0_sync.backfill where \"table\" = 'role'").await;
    assert_eq!(state.as_deref(), Some("unavailable"));
    assert_eq!(calls(&stand, USERS).await, 20, "no role is known, and users have some all the same");
    assert!(count(&pool, "select count(*) from auth0.user_role").await > 0);
}
