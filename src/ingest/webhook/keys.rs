//! The keys by which Auth0 proves itself at the webhook: random, made at the first start, kept where
//! only the service reads. Two count at a time, so that Actions can change without a gap.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use rand::RngExt;
use sha2::Sha256;

use crate::error::{Error, Kind, Result};
use crate::pg::{Database, fault};

/// A key of 32 bytes.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Key([u8; 32]);

/// The keys that count now; the newest first.
#[derive(Clone, Debug, Default)]
pub struct Keys(Arc<RwLock<Vec<Key>>>);

impl Key {
    pub(crate) fn random() -> Key {
        Key(rand::rng().random())
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// As an Action's secret holds it.
    pub(crate) fn secret(&self) -> String {
        STANDARD.encode(self.0)
    }

    /// What the event stream shows; the key does not follow from it.
    pub(crate) fn token(&self) -> String {
        let mut token = Vec::new();
        if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) {
            mac.update(b"event stream");
            token = mac.finalize().into_bytes().to_vec();
        }
        URL_SAFE_NO_PAD.encode(token)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

impl Keys {
    /// The keys of a schema; the first one is made where there is none.
    ///
    /// # Errors
    /// Of the database.
    pub async fn open(database: &Database, schema: &str) -> Result<Keys> {
        let keys = Keys::default();
        keys.look(database, schema).await?;
        if keys.now().is_empty() {
            renew(database, schema).await?;
            keys.look(database, schema).await?;
        }
        Ok(keys)
    }

    /// Reads them again: another process may have made a new one.
    ///
    /// # Errors
    /// Of the database.
    pub(super) async fn look(&self, database: &Database, schema: &str) -> Result<()> {
        let found: Vec<Vec<u8>> = sqlx::query_scalar(include_str!("sql/keys.sql"))
            .bind(schema)
            .fetch_all(&database.pool)
            .await
            .map_err(fault("cannot read the webhook's keys"))?;
        let strange = |_| Error::new(Kind::Internal, "a key of the webhook has not 32 bytes");
        let found: Result<Vec<Key>> =
            found.into_iter().map(|bytes| bytes.try_into().map(Key).map_err(strange)).collect();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = found?;
        Ok(())
    }

    /// Those that count now, the newest first.
    pub(crate) fn now(&self) -> Vec<Key> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Makes a new key; the one before still counts until the next.
///
/// # Errors
/// Of the database.
pub(crate) async fn renew(database: &Database, schema: &str) -> Result<()> {
    sqlx::query(include_str!("sql/make_key.sql"))
        .bind(schema)
        .bind(Key::random().bytes())
        .execute(&database.pool)
        .await
        .map_err(fault("cannot store the webhook's key"))?;
    Ok(())
}

/// Forgets every key: nothing is Auth0's any more.
///
/// # Errors
/// Of the database.
pub(crate) async fn forget(database: &Database, schema: &str) -> Result<()> {
    sqlx::query("delete from _auth0_sync.webhook_key where schema = $1")
        .bind(schema)
        .execute(&database.pool)
        .await
        .map_err(fault("cannot forget the webhook's keys"))?;
    Ok(())
}
