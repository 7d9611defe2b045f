//! Secrets of every kind go to Auth0 and stay nowhere: for each column of the catalogue that holds
//! one, a marker is written and then looked for in tables, `_sync_cdc`, the decoded stream, NOTIFY,
//! the server's log and the service's.

use std::collections::BTreeSet;
use std::time::Duration;

use auth0_sync::catalog::{Catalog, Class, Resource};
use sqlx::postgres::PgListener;

use crate::support::{Emulator, Postgres, Stand, all_settled};

/// What stands for each secret.
const MARKER: &str = "Marker-5e1c-of-a-secret-that-nobody-may-find-again";

/// A write for every table with a secret: `<m>` is the marker. Some are refused by Auth0, which must
/// leave as little behind as the others.
const WRITES: &[(&str, &str)] = &[
    (
        "action",
        "insert into auth0.action (name, supported_triggers, code, secrets) values ('secretive', \
         '[{\"id\": \"post-login\", \"version\": \"v3\"}]', 'x', '[{\"name\": \"KEY\", \"value\": \"<m>\"}]')",
    ),
    (
        "action_module",
        "insert into auth0.action_module (name, code, secrets) values ('secretive', 'x', '[{\"name\": \"KEY\", \"value\": \"<m>\"}]')",
    ),
    (
        "attack_protection_captcha",
        "update auth0.attack_protection_captcha set arkose = '{\"site_key\": \"k\", \"secret\": \"<m>\"}', \
         hcaptcha = '{\"site_key\": \"k\", \"secret\": \"<m>\"}', recaptcha_v2 = '{\"site_key\": \"k\", \"secret\": \"<m>\"}', \
         friendly_captcha = '{\"site_key\": \"k\", \"secret\": \"<m>\"}', \
         recaptcha_enterprise = '{\"site_key\": \"k\", \"api_key\": \"<m>\", \"project_id\": \"p\"}'",
    ),
    (
        "branding_phone_provider",
        "insert into auth0.branding_phone_provider (name, configuration, credentials) values ('twilio', \
         '{\"sid\": \"AC1\", \"default_from\": \"+15550100\", \"delivery_methods\": [\"text\"]}', '{\"auth_token\": \"<m>\"}')",
    ),
    ("client", "update auth0.client set client_secret = '<m>' where not global and name = 'Web Shop'"),
    (
        "client_credential",
        "insert into auth0.client_credential (client_id, name, credential_type, pem) \
         select client_id, 'secretive', 'public_key', '<m>' from auth0.client where not global limit 1",
    ),
    (
        "connection",
        "insert into auth0.connection (name, strategy, options) values ('secretive', 'oidc', '{\"client_id\": \"x\", \
         \"client_secret\": \"<m>\", \"issuer\": \"https://idp.example/\", \"type\": \"back_channel\"}')",
    ),
    (
        "device_credential",
        "insert into auth0.device_credential (device_name, device_id, type, client_id, value) \
         select 'Tablet', 'ab-12', 'public_key', client_id, '<m>' from auth0.client where not global limit 1",
    ),
    (
        "email",
        "insert into auth0.email (name, default_from_address, credentials) values ('smtp', 'b@example.com', \
         '{\"smtp_host\": \"smtp.example.com\", \"smtp_port\": 587, \"smtp_user\": \"u\", \"smtp_pass\": \"<m>\"}')",
    ),
    (
        "encryption_key_import",
        "insert into auth0.encryption_key_import (kid, wrapped_key) values ('a-key-that-is-not-there', '<m>')",
    ),
    (
        "event_stream",
        "insert into auth0.event_stream (name, subscriptions, destination) values ('secretive', \
         '[{\"event_type\": \"user.created\"}]', '{\"type\": \"webhook\", \"configuration\": {\"webhook_endpoint\": \
         \"https://hook.example\", \"webhook_authorization\": {\"method\": \"bearer\", \"token\": \"<m>\"}}}')",
    ),
    (
        "flow_vault_connection",
        "insert into auth0.flow_vault_connection (app_id, name, setup) values ('SENDGRID', 'secretive', \
         '{\"type\": \"API_KEY\", \"api_key\": \"<m>\"}')",
    ),
    (
        "guardian_factor_duo_setting",
        "update auth0.guardian_factor_duo_setting set ikey = 'I', skey = '<m>', host = 'api.example.com'",
    ),
    (
        "guardian_factor_phone_provider_twilio",
        "update auth0.guardian_factor_phone_provider_twilio set \"from\" = '+15550100', sid = 'AC1', auth_token = '<m>'",
    ),
    (
        "guardian_factor_sms_provider_twilio",
        "update auth0.guardian_factor_sms_provider_twilio set \"from\" = '+15550100', sid = 'AC1', auth_token = '<m>'",
    ),
    (
        "guardian_factor_push_notification_provider_apns",
        "update auth0.guardian_factor_push_notification_provider_apns set bundle_id = 'b', sandbox = true, p12 = '<m>'",
    ),
    (
        "guardian_factor_push_notification_provider_fcm",
        "insert into auth0.guardian_factor_push_notification_provider_fcm (server_key) values ('<m>')",
    ),
    (
        "guardian_factor_push_notification_provider_fcmv1",
        "insert into auth0.guardian_factor_push_notification_provider_fcmv1 (server_credentials) values ('<m>')",
    ),
    (
        "guardian_factor_push_notification_provider_sns",
        "update auth0.guardian_factor_push_notification_provider_sns set aws_access_key_id = 'A', \
         aws_secret_access_key = '<m>', aws_region = 'eu-west-1'",
    ),
    (
        "job_users_import",
        "insert into auth0.job_users_import (connection_id, users) select id, \
         '[{\"email\": \"new@example.com\", \"password_hash\": \"<m>\"}]' from auth0.connection limit 1",
    ),
    (
        "log_stream",
        "insert into auth0.log_stream (name, type, sink) values ('secretive', 'datadog', \
         '{\"datadogApiKey\": \"<m>\", \"datadogRegion\": \"us\"}')",
    ),
    (
        "network_acl_key",
        "insert into auth0.network_acl_key (name, alg, value) values ('secretive', 'hmac-sha256', '<m>')",
    ),
    (
        "resource_server",
        "insert into auth0.resource_server (name, identifier, signing_alg, signing_secret) \
         values ('secretive', 'https://secretive.example.com', 'HS256', '<m>')",
    ),
    (
        "user",
        "insert into auth0.user (email, connection, password) \
         values ('secretive@example.com', 'Username-Password-Authentication', '<m>')",
    ),
    (
        "user_authentication_method",
        "insert into auth0.user_authentication_method (user_id, type, name, totp_secret) \
         select user_id, 'totp', 'secretive', '<m>' from auth0.user limit 1",
    ),
];

/// Whether a client can write a secret into this table.
fn takes_secrets(resource: &Resource) -> bool {
    resource.columns.values().any(|column| {
        let secret = column.secret || !column.secret_keys.is_empty() || !column.secret_paths.is_empty();
        secret && column.class != Class::ReadOnly
    })
}

#[tokio::test]
async fn secrets_of_every_table_go_to_auth0_and_stay_nowhere() {
    let catalog = Catalog::bundled().unwrap();
    let takes: BTreeSet<_> = catalog.iter().filter(|r| takes_secrets(r)).map(|r| r.table.as_str()).collect();
    let written: BTreeSet<_> = WRITES.iter().map(|(table, _)| *table).collect();
    assert_eq!(written, takes, "a table whose secrets are not tried, or one without");

    let tables: Vec<_> = WRITES.iter().map(|(table, _)| *table).collect();
    let mut stand = Stand::with_objects(Postgres::start(), Emulator::start(5).await, &tables).await;
    stand.restart_service().await;
    let mut root = stand.root().await;
    root.run("select pg_create_logical_replication_slot('spy', 'pgoutput')").await;
    let mut listener = PgListener::connect(&stand.app_url).await.unwrap();
    listener.listen("auth0_sync").await.unwrap();
    let mut session = stand.session().await;
    for (table, sql) in WRITES {
        session.run(&sql.replace("<m>", MARKER)).await;
        let told = format!("select count(*) from auth0._sync_cdc where \"table\" = '{table}'");
        assert!(session.count(&told).await > 0, "nothing was written: {sql}");
    }
    all_settled(&stand).await;
    let confirmed = root.count("select count(*) from auth0._sync_cdc where state = 'confirmed'").await;
    assert!(confirmed as usize > WRITES.len() / 2, "only {confirmed} writes were confirmed");
    assert!(stand.emulator.journal().contains(MARKER), "the secrets arrived");

    // Before the questions below, which hold the marker themselves.
    let log = std::fs::read_to_string(stand.postgres.data().with_extension("log")).unwrap();
    assert!(!log.contains(MARKER), "the server's log");
    let tables = "select quote_ident(schemaname) || '.' || quote_ident(tablename) as name from pg_tables \
                  where schemaname in ('auth0', '_auth0_sync')";
    for table in root.rows(tables).await {
        let name = table["name"].as_str().unwrap();
        let sql = format!("select count(*) from {name} t where t::text like '%{MARKER}%'");
        assert_eq!(root.count(&sql).await, 0, "{name} holds a secret");
    }
    let stream = format!(
        "select count(*) filter (where position('{MARKER}'::bytea in data) > 0) as leaks, count(*) as told from \
         pg_logical_slot_peek_binary_changes('spy', null, null, 'proto_version', '1', 'publication_names', 'auth0_sync')"
    );
    let stream = &root.rows(&stream).await[0];
    assert_eq!(stream["leaks"], 0, "the publication");
    assert!(stream["told"].as_i64().unwrap() > WRITES.len() as i64, "the publication was looked at");
    root.run("select pg_drop_replication_slot('spy')").await;
    let mut notes = 0;
    while let Ok(note) = tokio::time::timeout(Duration::from_millis(100), listener.recv()).await {
        assert!(!note.unwrap().payload().contains(MARKER), "NOTIFY");
        notes += 1;
    }
    assert!(notes >= WRITES.len(), "{notes} notifications");
    assert!(!stand.service.as_ref().unwrap().log().contains(MARKER), "the service's log");
}
