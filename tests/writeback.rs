//! From a client's commit to Auth0 and back, on the newest Postgres: everything as real processes.

mod scenarios;
mod support;

use support::{Emulator, Postgres, Stand, equal};

macro_rules! one_test_each {
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

scenarios::every_scenario!(one_test_each);

macro_rules! one_test_of_each_shape {
    ($($module:ident :: $name:ident),* $(,)?) => {
        $(
            #[tokio::test]
            async fn $name() {
                let mut stand = Stand::with_objects(Postgres::start(), Emulator::start(8).await, scenarios::$module::TABLES).await;
                stand.restart_service().await;
                scenarios::$module::$name(&mut stand).await;
                equal(&stand).await;
            }
        )*
    };
}

one_test_of_each_shape! {
    commands::a_command_runs_once_and_keeps_its_answer,
    commands::a_refused_command_stays_and_says_why,
    commands::a_command_whose_answer_is_lost_is_not_run_again,
    commands::a_command_whose_service_is_killed_is_not_run_again,
    commands::a_throttled_command_runs_later,
    commands::a_command_waits_for_what_it_is_about,
    children::keys_below_a_parent_are_made_by_auth0,
    children::a_lost_answer_below_a_parent_is_found,
    children::a_refused_parent_takes_everything_below_it_back,
    children::a_right_waits_for_its_member,
    children::a_row_below_a_provisional_key_may_be_committed_at_any_time,
    bodies::a_call_that_replaces_keeps_what_others_have_written,
    bodies::a_singleton_comes_and_goes,
    atomic::a_mail_that_nothing_calls_back_is_said_before,
    guards::what_the_service_stands_on_is_protected,
    links::links_of_one_parent_do_not_overwrite_each_other,
    links::links_keep_their_places_and_those_of_others,
    watches::a_watch_shows_what_hangs_on_it_and_is_never_sent,
}

#[tokio::test]
async fn thousands_of_rows_in_one_update_all_settle_in_flat_memory() {
    let mut stand = Stand::start(scenarios::transactions::many()).await;
    scenarios::transactions::thousands_of_rows_in_one_update_all_settle_in_flat_memory(&mut stand).await;
    equal(&stand).await;
}

macro_rules! one_test_of_each_import {
    ($($name:ident),* $(,)?) => {
        $(
            #[tokio::test]
            async fn $name() {
                let mut stand = Stand::start(20).await;
                scenarios::bulk::$name(&mut stand).await;
            }
        )*
    };
}

one_test_of_each_import! {
    thousands_of_users_in_one_statement_go_by_import_and_the_refused_come_back,
    the_client_says_how_new_users_go,
    an_import_is_taken_up_again_by_a_service_that_was_killed,
    an_import_whose_answer_is_lost_or_that_fails_creates_nobody_twice,
    imports_of_others_are_waited_for,
    an_open_transaction_shows_the_imports_that_it_would_start,
}
