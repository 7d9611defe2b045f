//! Random statements on rows that others change too.

use rand::RngExt;
use rand::rngs::StdRng;

use crate::clients::OWN;
use crate::strict::STRICT;

/// One statement; `word` is a value that no other writes, `n` counts those of the client.
pub(crate) fn statement(rng: &mut StdRng, word: &str, n: u64) -> String {
    let few = n % 5;
    let some = |rng: &mut StdRng, table: &str, key: &str, beside: &str| {
        format!(
            "(select {key} from auth0.{table} where {key} not like '%{OWN}%' {beside} order by md5({key} || '{}') limit 1)",
            rng.random::<u32>()
        )
    };
    let user = some(rng, "user", "user_id", "");
    let own = format!("and name not like '{OWN}%'");
    let role = some(rng, "role", "id", &own);
    let organization = some(rng, "organization", "id", &own);
    match rng.random_range(0..24) {
        0..5 => format!("update auth0.user set nickname = '{word}' where user_id = {user}"),
        5 => format!(
            "update auth0.user set given_name = '{word}' where user_id in (select user_id from auth0.user where user_id not like '%{STRICT}%' order by md5(user_id || '{word}') limit 5)"
        ),
        6 => format!(
            "update auth0.user set user_metadata = coalesce(user_metadata, '{{}}') || '{{\"k{few}\": \"{word}\"}}' where user_id = {user}"
        ),
        7 => format!(
            "update auth0.user set email = (select max(email) from auth0.user where user_id like 'auth0|{OWN}%') where user_id = {user}"
        ),
        8 => format!(
            "delete from auth0.user where user_id = {user} and (select count(*) from auth0.user where user_id not like '%{OWN}%') > 30"
        ),
        9 => format!("update auth0.role set description = '{word}' where id = {role}"),
        10 => {
            format!(
                "delete from auth0.role where id = {role} and (select count(*) from auth0.role where name not like '{OWN}%') > 8"
            )
        }
        11 => format!(
            "update auth0.organization set display_name = '{word}', metadata = '{{\"w\": \"{word}\"}}' where id = {organization}"
        ),
        12 => format!(
            "insert into auth0.organization_member (organization_id, user_id) select {organization}, {user} on conflict do nothing"
        ),
        13 => format!(
            "delete from auth0.organization_member where (organization_id, user_id) = (select organization_id, user_id from auth0.organization_member order by md5(user_id || '{word}') limit 1)"
        ),
        14 => format!(
            "insert into auth0.user_role (user_id, role_id) select {user}, {role} on conflict do nothing"
        ),
        15 => format!(
            "delete from auth0.user_role where (user_id, role_id) = (select user_id, role_id from auth0.user_role where user_id not like '%{OWN}%' order by md5(user_id || '{word}') limit 1)"
        ),
        16 => format!(
            "insert into auth0.role_permission (role_id, resource_server_identifier, permission_name) \
             select {role}, identifier, 'read:all' from auth0.resource_server where scopes @> '[{{\"value\": \"read:all\"}}]' order by md5(id || '{word}') limit 1 on conflict do nothing"
        ),
        17 => format!("delete from auth0.role_permission where role_id = {role}"),
        18 => format!(
            "insert into auth0.client_grant (client_id, audience, scope) \
             select c.client_id, s.identifier, '{{read:all}}' from auth0.client c, auth0.resource_server s \
             where s.scopes @> '[{{\"value\": \"read:all\"}}]' order by md5(c.client_id || s.id || '{word}') limit 1"
        ),
        19 => format!(
            "delete from auth0.client_grant where id = (select id from auth0.client_grant where is_system is not true order by md5(id || '{word}') limit 1)"
        ),
        20 => format!(
            "insert into auth0.organization_member_role (organization_id, user_id, role_id) \
             select organization_id, user_id, {role} from auth0.organization_member order by md5(user_id || '{word}') limit 1 on conflict do nothing"
        ),
        21 => format!(
            "update auth0.client set description = '{word}' where client_id = {}",
            some(rng, "client", "client_id", "")
        ),
        22 => format!(
            "with o as (insert into auth0.organization (name) values ('{word}') returning id) \
             insert into auth0.organization_member (organization_id, user_id) select o.id, u.user_id from o, (select user_id from auth0.user where user_id not like '%{OWN}%' order by md5(user_id || '{word}') limit 2) u"
        ),
        _ => format!(
            "delete from auth0.organization where id = {organization} and (select count(*) from auth0.organization where name not like '{OWN}%') > 8"
        ),
    }
}
