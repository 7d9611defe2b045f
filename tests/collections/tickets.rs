//! Addresses that users follow to verify an e-mail address or to set a password.

use crate::story::Story;

#[tokio::test]
async fn tickets() {
    let mut story = Story::beside(&["ticket"], &["user"], 5, async |_| {}).await;
    let user = story.session.text("select min(user_id) from auth0.user").await;
    story.without("read", "Auth0 shows no ticket again");
    story.without("changed", "Auth0 shows no ticket again");
    story
        .writes(&format!(
            "insert into auth0.ticket (id, type, user_id, result_url, ttl_sec, include_email_in_redirect) values \
             ('one', 'password_change', '{user}', 'https://example.com/done', 3600, true)"
        ))
        .await;
    let address = "select ticket like 'http%reset-password?ticket=%' from auth0.ticket where id = 'one'";
    assert_eq!(story.session.one(address).await, true);
    story
        .writes(&format!("insert into auth0.ticket (type, user_id) values ('email_verification', '{user}')"))
        .await;
    let made = "select count(distinct ticket) from auth0.ticket";
    assert_eq!(story.session.one(made).await, 2);
    let strange = "insert into auth0.ticket (type, user_id) values ('magic', 'auth0|1')";
    story.refused(strange, "22023", "invalid input value for column \"type\"").await;
    story
        .reverted(
            "insert into auth0.ticket (type, user_id) values ('password_change', 'auth0|nobody')",
            "The user does not exist.",
            made,
        )
        .await;
    story.session.run("delete from auth0.ticket where id = 'one'").await;
    story.end().await;
}
