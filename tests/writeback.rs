//! From a client's commit to Auth0 and back, on the newest Postgres: everything as real processes.

mod scenarios;
mod support;

use support::{Stand, equal};

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

#[tokio::test]
async fn thousands_of_rows_in_one_update_all_settle_in_flat_memory() {
    let mut stand = Stand::start(scenarios::transactions::many()).await;
    scenarios::transactions::thousands_of_rows_in_one_update_all_settle_in_flat_memory(&mut stand).await;
    equal(&stand).await;
}
