//! Blacklisted tokens: Auth0 has removed the endpoint, and the table says so.

use crate::story::Story;

#[tokio::test]
async fn blacklists() {
    let mut story = Story::begin(&["blacklist"], 0, async |_| {}).await;
    story.reads("select count(*) from auth0.blacklist", 0).await;
    let insert = "insert into auth0.blacklist (jti, aud) values ('token', 'application')";
    story.refused(insert, "0A000", "rows of auth0.blacklist cannot be inserted").await;
    let refusal = story.session.refused(insert).await;
    assert!(refusal.hint.contains("refresh_token_revoke"), "{refusal:?}");
    let update = "update auth0.blacklist set aud = 'other'";
    story.refused(update, "0A000", "rows of auth0.blacklist cannot be updated").await;
    let delete = "delete from auth0.blacklist";
    story.refused(delete, "0A000", "rows of auth0.blacklist cannot be deleted").await;
    story.without("reverted", "nothing is sent to Auth0");
    story.without("changed", "Auth0 has removed the endpoint");
    story.end().await;
}
