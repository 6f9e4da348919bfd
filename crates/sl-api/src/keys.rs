//! API keys as the commands and the first start make them (decisions 11 to 13).

use sl_core::{
    apikey::{KeySecret, Role, is_permission},
    catalog::{ApiKey, Team},
    ids::{ApiKeyId, TeamId},
    time::{Clock, Timestamp},
};
use sl_store::{Store, StoreError};

/// A key could not be made or revoked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The name is empty or longer than 100 characters.
    #[error("name = {0:?}: give the key a name of 1 to 100 characters, such as the program that uses it")]
    BadName(String),
    /// Not a permission of contract F.
    #[error("permission = {0:?}: there is no such permission; `smart-links.view` is one")]
    BadPermission(String),
    /// No such key in this team.
    #[error("key {0}: this team has no such key; `smartlinks keys list` shows them")]
    Unknown(u64),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A key as it was made; the only moment at which its secret is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    /// The row that is stored: everything but the secret.
    pub key: ApiKey,
    /// The secret, to be shown once: only its hash is kept.
    pub secret: KeySecret,
}

/// Makes the first team if there is none yet, and an owner key for it if it has none. Returns the secret to be shown
/// once; `None` on every later start. `random` fills 32 bytes.
///
/// # Errors
/// [`KeyError::Store`].
pub async fn ensure_team_and_owner_key(
    store: &Store,
    name: &str,
    slug: &str,
    clock: &dyn Clock,
    random: &(dyn Fn(&mut [u8]) + Send + Sync),
) -> Result<Option<KeySecret>, KeyError> {
    let first = match store.catalog.teams().await?.into_iter().next() {
        Some(team) => team.id,
        None => {
            let id = TeamId(1);
            let team = Team { id, name: name.to_owned(), slug: slug.to_owned(), created_at: clock.now() };
            store.catalog.put_team(team).await?;
            id
        }
    };
    if !store.catalog.keys(first).await?.is_empty() {
        return Ok(None);
    }
    let made = create_key(store, first, "owner", Role::Owner.permissions(), clock.now(), random).await?;
    Ok(Some(made.secret))
}

/// Makes a key with these permission keys of contract F; [`Role::permissions`] gives those of a role.
///
/// # Errors
/// [`KeyError`].
pub async fn create_key(
    store: &Store,
    team: TeamId,
    name: &str,
    permissions: Vec<String>,
    now: Timestamp,
    random: &(dyn Fn(&mut [u8]) + Send + Sync),
) -> Result<NewKey, KeyError> {
    let name = key_name(name)?;
    if let Some(unknown) = permissions.iter().find(|key| !is_permission(key)) {
        return Err(KeyError::BadPermission(unknown.clone()));
    }
    let mut bytes = [0; 32];
    random(&mut bytes);
    let secret = KeySecret::generate(bytes);
    let key = ApiKey {
        id: store.catalog.next_key_id().await?,
        team,
        name: name.to_owned(),
        hash: secret.hash(),
        permissions,
        created_at: now,
        last_used_at: None,
        revoked_at: None,
    };
    store.catalog.put_key(key.clone()).await?;
    Ok(NewKey { key, secret })
}

/// The name of a key, without blanks around it.
///
/// # Errors
/// [`KeyError::BadName`].
pub fn key_name(text: &str) -> Result<&str, KeyError> {
    let name = text.trim();
    if name.is_empty() || name.chars().count() > 100 {
        return Err(KeyError::BadName(name.chars().take(100).collect()));
    }
    Ok(name)
}

/// All keys of a team, revoked ones too.
///
/// # Errors
/// [`KeyError::Store`].
pub async fn list_keys(store: &Store, team: TeamId) -> Result<Vec<ApiKey>, KeyError> {
    Ok(store.catalog.keys(team).await?)
}

/// Revokes a key; one that is revoked already stays as it is.
///
/// # Errors
/// [`KeyError::Unknown`], [`KeyError::Store`].
pub async fn revoke_key(
    store: &Store,
    team: TeamId,
    id: ApiKeyId,
    now: Timestamp,
) -> Result<ApiKey, KeyError> {
    let keys = store.catalog.keys(team).await?;
    let mut key = keys.into_iter().find(|key| key.id == id).ok_or(KeyError::Unknown(id.0))?;
    if key.revoked_at.is_none() {
        key.revoked_at = Some(now);
        store.catalog.put_key(key.clone()).await?;
    }
    Ok(key)
}
