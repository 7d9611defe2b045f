//! From a client's commit to Auth0 and back, on the newest Postgres: everything as real processes.

mod scenarios;
mod support;

use support::{Stand, equal};

macro_rules! scenarios {
    ($($module:ident :: $name:ident),* $(,)?) => {
        $(
            #[tokio::test]
            async fn $name() {
                let mut stand = Stand::start(20).await;
                scenarios::$module::$name(&mut stand).await;
                equal(&stand).await;
            }
        )*
    };
}

scenarios! {
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
    secrets::a_password_reaches_auth0_and_nothing_else,
    transactions::what_is_rolled_back_is_never_sent,
}
