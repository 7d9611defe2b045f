//! Statistics: Auth0 counts, nobody writes.

use crate::story::Story;

#[tokio::test]
async fn stats() {
    let mut story = Story::begin(&["active_user_count", "daily_stat"], 5, async |_| {}).await;
    story.reads("select count > 0 from auth0.active_user_count", true).await;
    story.reads("select logins from auth0.daily_stat order by date limit 1", 12).await;
    let update = "update auth0.daily_stat set logins = 1000";
    story.refused(update, "0A000", "rows of auth0.daily_stat cannot be updated").await;
    story.without("reverted", "Auth0 has no call that writes numbers");
    story.without("changed", "Auth0 counts by itself; no call changes what it counted");
    story.end().await;
}
