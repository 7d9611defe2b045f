//! The same scenarios on the oldest Postgres that is supported, one after another on one stand.

mod scenarios;
mod support;

use support::{Stand, equal};

macro_rules! one_after_another {
    ($($module:ident :: $name:ident),* $(,)?) => {{
        let mut stand = Stand::oldest(20).await;
        $(
            eprintln!(concat!("· ", stringify!($name)));
            scenarios::$module::$name(&mut stand).await;
            equal(&stand).await;
        )*
    }};
}

#[tokio::test]
async fn the_oldest_postgres_does_what_the_newest_does() {
    scenarios::every_scenario!(one_after_another);
}
