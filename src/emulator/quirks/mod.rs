//! Where Auth0 itself treats a resource as no other: one file a resource, each rule with its
//! reason. Everything that can be data stands in the catalogue's `[emulator]` tables instead.

pub(super) mod action_bindings;
mod action_modules;
mod actions;
mod attack_protection;
mod blocks;
mod branding;
mod certificate;
mod client_grants;
pub(super) mod clients;
mod connection_keys;
pub(super) mod connections;
mod credentials;
mod custom_domains;
mod discovery;
mod documents;
mod effective;
mod emails;
mod enrolments;
pub(super) mod event_streams;
mod forms;
mod guardian;
mod hooks;
mod identities;
pub(super) mod imports;
mod invitations;
pub(super) mod jobs;
mod keys;
mod log_streams;
pub(super) mod logins;
mod network_acls;
mod organization_clients;
mod organization_connections;
mod organizations;
pub(super) mod people;
mod prompts;
mod provisioning;
mod resource_servers;
mod saml;
pub(super) mod tenants;
mod token_exchange_profiles;
mod tokens;
pub(super) mod users;

use super::calls::Incoming;
use super::problem::{Answer, Problem};
use super::rules::Fields;
use super::store::{Row, Store};
use super::world::{Request, Scene, World};

/// A row in the making.
#[derive(Clone, Debug, Default)]
pub(super) struct Draft {
    /// What the API will show.
    pub(super) body: Fields,
    /// What it never shows.
    pub(super) hidden: Fields,
    /// What only the answer to this write shows.
    pub(super) once: Fields,
    /// Key columns that the path gives.
    pub(super) keys: Fields,
}

/// The exceptions of one resource; each has a default of "none".
pub(super) trait Quirks: Sync {
    /// Judges and completes a new row, before the defaults.
    fn create(&self, _: &World, _: &Store, _: &Request, _: &mut Draft) -> Result<(), Problem> {
        Ok(())
    }

    /// Judges a change by the row as it is and the body.
    fn judge(&self, _: &World, _: &Store, _: &Row, _: &Fields) -> Result<(), Problem> {
        Ok(())
    }

    /// Completes a changed row; `old` is what it was, `patch` the body.
    fn update(
        &self,
        _: &Store,
        _: &Request,
        _old: &Row,
        _patch: &Fields,
        _: &mut Draft,
    ) -> Result<(), Problem> {
        Ok(())
    }

    /// Judges and completes any written row, after the defaults.
    fn finish(&self, _: &World, _: &Store, _: &Request, _: &mut Draft) -> Result<(), Problem> {
        Ok(())
    }

    /// Refuses to delete a row.
    fn delete(&self, _: &Row) -> Result<(), Problem> {
        Ok(())
    }

    /// The rows of a list that Auth0 works out instead of keeping; `values` are what path and query
    /// give by column.
    fn list(&self, _: Scene, _values: &Fields) -> Option<Result<Vec<Fields>, Problem>> {
        None
    }

    /// Rows that stand inside rows of another table, with their key columns.
    fn embedded(&self, _: &Store) -> Vec<Fields> {
        Vec::new()
    }

    /// Answers a call in place of the rules that hold for other resources.
    fn call(&self, _: &mut Store, _: Incoming) -> Option<Result<Answer, Problem>> {
        None
    }

    /// Changes the answer of a call that succeeded, or rows elsewhere.
    fn after(&self, _: &mut Store, _: Incoming, _: &mut Answer) {}

    /// Rows `(table, key)` that go with the row of this key.
    fn dependents(&self, _: &Store, _: &str) -> Vec<(String, String)> {
        Vec::new()
    }
}

struct Ordinary;

impl Quirks for Ordinary {}

/// The exceptions of a table.
pub(super) fn of(table: &str) -> &'static dyn Quirks {
    match table {
        action_modules::TABLE => &action_modules::Modules,
        action_modules::VERSIONS => &action_modules::Versions,
        action_modules::ROLLBACK => &action_modules::Rollback,
        actions::TABLE => &actions::Actions,
        action_bindings::TABLE => &action_bindings::Bindings,
        table if actions::DEPLOYS.contains(&table) => &actions::Deploys,
        client_grants::TABLE => &client_grants::ClientGrants,
        attack_protection::TABLE => &attack_protection::AttackProtection,
        branding::PAGE => &branding::Page,
        branding::THEME => &branding::Theme,
        branding::PHONE_PROVIDER => &branding::PhoneProviders,
        custom_domains::TABLE => &custom_domains::CustomDomains,
        custom_domains::DEFAULT => &custom_domains::Default,
        custom_domains::VERIFY => &custom_domains::Verify,
        emails::TABLE => &emails::Emails,
        guardian::APPLE => &guardian::Apple,
        table if guardian::TEXTS.contains(&table) => &guardian::Texts,
        hooks::TABLE => &hooks::HookSecrets,
        keys::ENCRYPTION => &keys::EncryptionKeys,
        keys::ROTATE | keys::REVOKE | keys::REKEY | keys::IMPORT | keys::WRAP => &keys::Keys,
        log_streams::TABLE => &log_streams::LogStreams,
        prompts::TABLE => &prompts::Partials,
        clients::TABLE => &clients::Clients,
        connection_keys::TABLE => &connection_keys::Keys,
        connection_keys::CREATE | connection_keys::ROTATE => &connection_keys::Commands,
        connections::TABLE => &connections::Connections,
        connections::CLIENTS => &connections::Clients,
        forms::TABLE => &forms::Forms,
        network_acls::TABLE => &network_acls::NetworkAcls,
        organization_clients::TABLE => &organization_clients::OrganizationClients,
        organizations::MEMBERS => &organizations::Members,
        organizations::TABLE => &organizations::Organizations,
        provisioning::SCIM => &provisioning::Scim,
        provisioning::DIRECTORY => &provisioning::Directory,
        tenants::TABLE => &tenants::Tenants,
        token_exchange_profiles::TABLE => &token_exchange_profiles::TokenExchangeProfiles,
        users::TABLE => &users::Users,
        blocks::TABLE | blocks::COMMAND => &blocks::Blocks,
        credentials::TABLE => &credentials::Credentials,
        documents::PREVIEW | documents::REGISTER => &documents::Documents,
        documents::ROTATE => &documents::Rotate,
        effective::ROLES => &effective::Effective(effective::ROLES),
        effective::ROLE_GROUPS => &effective::Effective(effective::ROLE_GROUPS),
        effective::PERMISSIONS => &effective::Effective(effective::PERMISSIONS),
        effective::PERMISSION_ROLES => &effective::Effective(effective::PERMISSION_ROLES),
        effective::MEMBER_ROLES => &effective::Effective(effective::MEMBER_ROLES),
        effective::MEMBER_ROLE_GROUPS => &effective::Effective(effective::MEMBER_ROLE_GROUPS),
        effective::USER_GROUPS => &effective::Effective(effective::USER_GROUPS),
        effective::ORGANIZATION_GROUPS => &effective::Effective(effective::ORGANIZATION_GROUPS),
        enrolments::TABLE => &enrolments::Enrolments,
        event_streams::REDELIVER | event_streams::REDELIVER_ONE | event_streams::TEST => {
            &event_streams::Commands
        }
        identities::TABLE => &identities::Identities,
        identities::FACTORS => &identities::Factors,
        invitations::TABLE => &invitations::Invitations,
        jobs::EXPORT => &jobs::Export,
        imports::TABLE => &imports::Import,
        jobs::JOB => &jobs::Jobs,
        jobs::ERRORS => &jobs::Errors,
        organization_connections::TABLE => &organization_connections::OrganizationConnections,
        resource_servers::TABLE => &resource_servers::ResourceServers,
        tokens::TABLE => &tokens::Tokens,
        _ => &Ordinary,
    }
}
