//! Strict statements while an operator has paused writes.

use serde_json::json;

use super::{at_auth0, becomes, decided, strict, user};
use crate::support::{Stand, equal};

#[tokio::test]
async fn during_a_pause_a_strict_statement_says_so_and_nothing_is_taken_back_until_its_end() {
    let stand = Stand::start(10).await;
    let (mut open, mut session) = (strict(&stand).await, strict(&stand).await);
    let mine = user(&mut session, 0).await;
    let nickname = at_auth0(&stand, &mine).await["nickname"].clone();
    open.run("begin").await;
    open.run(&format!("update auth0.user set nickname = 'open' where user_id = '{mine}'")).await;
    let (done, out, log) = stand.run(&["pause", "--reason", "a migration at Auth0"]).await;
    assert!(done.success() && out.contains("nothing is written to Auth0 any more"), "{out}{log}");

    stand.emulator.forget_calls().await;
    open.run("rollback").await;
    for sql in ["update auth0.user set nickname = 'never'", "insert into auth0.role (name) values ('never')"]
    {
        let refusal = session.refused(sql).await;
        assert_eq!(refusal.message, "[Auth0] writes to Auth0 are paused: a migration at Auth0");
        assert_eq!(refusal.code, "55000");
        assert!(refusal.hint.contains("auth0-sync resume"), "{refusal:?}");
    }
    assert_eq!(stand.emulator.calls("PATCH /users/{user_id}").await, 0);
    assert_eq!(stand.emulator.calls("POST /roles").await, 0);
    assert_eq!(at_auth0(&stand, &mine).await["nickname"], json!("open"));

    let (done, out, log) = stand.run(&["resume"]).await;
    assert!(done.success(), "{out}{log}");
    becomes(&stand, &mine, "nickname", &nickname).await;
    decided(&stand).await;
    session.run(&format!("update auth0.user set nickname = 'again' where user_id = '{mine}'")).await;
    assert_eq!(at_auth0(&stand, &mine).await["nickname"], json!("again"));
    equal(&stand).await;
}
