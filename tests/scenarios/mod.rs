//! What clients do and what must come of it. Each scenario takes a stand with 20 users and leaves
//! tables and emulator the same; the newest and the oldest Postgres run them.

#![allow(unreachable_pub, dead_code, reason = "every test file takes what it needs")]
#![expect(clippy::unwrap_used, reason = "tests alone stand on this")]

pub mod again;
pub mod apart;
pub mod atomic;
pub mod bodies;
pub mod bulk;
pub mod children;
pub mod columns;
pub mod commands;
pub mod guards;
pub mod keys;
pub mod links;
pub mod outcome;
pub mod plan;
pub mod refusals;
pub mod rows;
pub mod scans;
pub mod secrets;
pub mod transactions;
pub mod watches;

/// Hands every scenario to a macro, so that no Postgres is left out of one.
macro_rules! every_scenario {
    ($with:ident) => {
        $with! {
            outcome::an_update_is_confirmed_and_auth0_shows_it,
            outcome::what_auth0_refuses_is_put_back_and_told_everywhere,
            outcome::waiting_inside_the_transaction_says_what_to_do,
            outcome::many_updates_of_one_row_go_out_together_and_only_the_guilty_one_comes_back,
            refusals::what_the_catalogue_knows_to_be_wrong_is_refused_in_the_statement,
            refusals::the_bookkeeping_is_out_of_reach_of_applications,
            rows::users_roles_and_links_come_and_go,
            rows::organizations_and_members_come_and_go,
            rows::clients_connections_and_the_tenant_change,
            keys::provisional_keys_are_replaced_everywhere,
            keys::a_refused_organization_takes_its_members_back,
            keys::upserts_insert_or_update,
            columns::metadata_changes_key_by_key,
            columns::two_sessions_and_auth0_change_one_row_without_loss,
            columns::what_users_add_to_a_table_is_theirs,
            apart::what_auth0_takes_apart_is_one_update_for_the_client,
            apart::a_later_refusal_takes_the_earlier_calls_back,
            apart::what_cannot_be_taken_back_is_told_and_shown,
            apart::an_emptied_object_is_emptied_at_auth0,
            secrets::a_password_reaches_auth0_and_nothing_else,
            scans::no_statement_of_a_write_reads_a_whole_table,
            transactions::what_is_rolled_back_is_never_sent,
            guards::a_large_delete_is_refused_unless_it_is_allowed,
            guards::what_is_held_leaves_when_it_is_released_and_in_its_order,
            guards::what_is_discarded_comes_back_and_is_never_sent,
            guards::what_has_changed_at_auth0_is_not_overwritten_where_that_is_asked,
            atomic::one_refusal_takes_the_whole_transaction_back,
            atomic::a_transaction_that_auth0_takes_is_confirmed_as_one,
            atomic::an_organization_whose_member_is_refused_was_never_there,
            atomic::what_others_write_on_an_undecided_row_waits_for_the_decision,
            atomic::a_transaction_is_all_or_nothing_though_the_service_is_killed,
            atomic::what_cannot_be_taken_back_is_said_in_the_statement,
            atomic::a_wrong_value_of_a_setting_is_refused_by_its_name,
            again::a_refused_change_is_made_again,
            again::a_confirmed_change_is_taken_back,
            again::a_whole_transaction_is_taken_back,
            plan::an_open_transaction_shows_the_calls_that_it_would_make,
            keys::a_provisional_key_stays_a_good_name_for_its_row,
            keys::a_provisional_key_that_is_committed_too_late_is_replaced,
        }
    };
}
pub(crate) use every_scenario;

use serde_json::Value;

use crate::support::{Session, Stand};

/// Users of the main database connection, by id.
const MINE: &str = "select user_id from auth0.user where identities -> 0 ->> 'connection' = 'Username-Password-Authentication'";

/// The id of the n-th user.
pub async fn user(session: &mut Session, n: u32) -> String {
    session.text(&format!("{MINE} order by user_id offset {n} limit 1")).await
}

/// The user as the API shows it.
pub async fn api_user(stand: &Stand, id: &str) -> Value {
    stand.emulator.api.get(&format!("/api/v2/users/{}", id.replace('|', "%7C"))).await
}

/// The rows of a table at the emulator whose `field` is `value`.
pub async fn there(stand: &Stand, table: &str, field: &str, value: &str) -> Vec<Value> {
    let state = stand.emulator.state().await;
    state[table].as_array().unwrap().iter().filter(|row| row[field] == value).cloned().collect()
}
