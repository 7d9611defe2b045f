//! Roles: the service's login role, and two group roles for applications.

use sqlx::PgConnection;

use super::Change;
use crate::error::Result;
use crate::pg::fault;
use crate::pg::ident::{ident, literal};

/// What the roles of one tenant are called and what they lack.
#[derive(Clone, Debug)]
pub struct Roles {
    /// The service's login role.
    pub service: String,
    /// The tenant's schema: `<schema>_reader` and `<schema>_writer` are the applications' groups.
    pub schema: String,
    /// The database that is mirrored into.
    pub database: String,
}

impl Roles {
    /// What an administrator has to run: creates what is missing, leaves the rest.
    ///
    /// # Errors
    /// `database`, `database_unavailable`.
    pub async fn plan(&self, connection: &mut PgConnection, password: Option<&str>) -> Result<Vec<Change>> {
        let exists = |name: String| {
            sqlx::query_as::<_, (bool, bool)>(
                "select rolreplication or rolsuper, rolcanlogin from pg_catalog.pg_roles where rolname = $1",
            )
            .bind(name)
        };
        let mut changes = Vec::new();
        let mut change = |what: String, sql: String| changes.push(Change { what, sql, alone: false });
        let service = ident(&self.service);
        match exists(self.service.clone())
            .fetch_optional(&mut *connection)
            .await
            .map_err(fault("cannot read roles"))?
        {
            None => {
                let secret = password.map(|text| format!(" password {}", literal(text))).unwrap_or_default();
                change(
                    format!("create role {}", self.service),
                    format!("create role {service} login replication{secret}"),
                );
            }
            Some((true, true)) => {}
            Some(_) => change(
                format!("let role {} log in and replicate", self.service),
                format!("alter role {service} login replication"),
            ),
        }
        for group in [format!("{}_reader", self.schema), format!("{}_writer", self.schema)] {
            let there = exists(group.clone()).fetch_optional(&mut *connection).await;
            if there.map_err(fault("cannot read roles"))?.is_none() {
                change(format!("create role {group}"), format!("create role {} nologin", ident(&group)));
            }
        }
        let member: bool = sqlx::query_scalar(include_str!("../sql/writer_reads.sql"))
            .bind(format!("{}_reader", self.schema))
            .bind(format!("{}_writer", self.schema))
            .fetch_one(&mut *connection)
            .await
            .map_err(fault("cannot read role membership"))?;
        if !member {
            let (reader, writer) = (format!("{}_reader", self.schema), format!("{}_writer", self.schema));
            change(format!("let {writer} read"), format!("grant {} to {}", ident(&reader), ident(&writer)));
        }
        let may: bool = sqlx::query_scalar(
            "select coalesce((select pg_catalog.has_database_privilege(oid, current_database(), 'CREATE') \
             and pg_catalog.has_database_privilege(oid, current_database(), 'CONNECT') \
             from pg_catalog.pg_roles where rolname = $1), false)",
        )
        .bind(&self.service)
        .fetch_one(&mut *connection)
        .await
        .map_err(fault("cannot read privileges of the database"))?;
        if !may {
            change(
                format!("let {} connect to {} and create schemas in it", self.service, self.database),
                format!("grant connect, create on database {} to {service}", ident(&self.database)),
            );
        }
        Ok(changes)
    }
}
