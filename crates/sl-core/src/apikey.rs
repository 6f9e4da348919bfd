//! Keys of our own API: how they look, how they are hashed, what they may do (decisions 12, 13; contract F).

use std::fmt;

use sha2::{Digest, Sha256};

/// Every secret starts with it, so that a leaked one can be recognised.
pub const PREFIX: &str = "slk_";

/// Characters after the prefix: 40 × log2(62) = 238 bits.
const SECRET_CHARS: usize = 40;

const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// The secret of an API key, `slk_` and 40 letters and digits. Shown once, never stored.
#[derive(Clone, PartialEq, Eq)]
pub struct KeySecret(String);

/// A text is not the secret of an API key. It does not repeat the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an API key is slk_ followed by 40 letters and digits")]
pub struct BadKey;

impl KeySecret {
    /// Makes a secret out of 32 random bytes; the same bytes make the same secret.
    #[must_use]
    pub fn generate(random: [u8; 32]) -> Self {
        let mut text = String::with_capacity(PREFIX.len() + SECRET_CHARS);
        text.push_str(PREFIX);
        let mut block = 0_u64;
        while text.len() < PREFIX.len() + SECRET_CHARS {
            let bytes = Sha256::new().chain_update(random).chain_update(block.to_be_bytes()).finalize();
            // 248 = 4 × 62: larger bytes are left out, otherwise some characters would come more often.
            let fair = bytes.iter().filter(|byte| **byte < 248);
            let wanted = PREFIX.len() + SECRET_CHARS - text.len();
            text.extend(
                fair.filter_map(|byte| ALPHABET.get(usize::from(byte % 62)))
                    .take(wanted)
                    .map(|c| char::from(*c)),
            );
            block += 1;
        }
        Self(text)
    }

    /// Reads a secret that somebody presents.
    ///
    /// # Errors
    /// [`BadKey`] when it has not the form of one.
    pub fn parse(text: &str) -> Result<Self, BadKey> {
        let rest = text.strip_prefix(PREFIX).ok_or(BadKey)?;
        if rest.len() == SECRET_CHARS && rest.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadKey)
        }
    }

    /// What is stored instead of it. A plain hash is enough for 238 random bits.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0.as_bytes()).into()
    }

    /// The text, to be shown once.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for KeySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("slk_…")
    }
}

/// The roles of contract F.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Everything.
    Owner,
    /// Everything but deleting the team.
    Admin,
    /// Works with links, pixels and postbacks.
    Member,
    /// Keys, webhooks and exports.
    Developer,
    /// Looks only.
    Viewer,
}

impl Role {
    /// In the order of contract F.
    pub const ALL: [Self; 5] = [Self::Owner, Self::Admin, Self::Member, Self::Developer, Self::Viewer];

    /// The word of `--role`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Member => "member",
            Self::Developer => "developer",
            Self::Viewer => "viewer",
        }
    }

    /// Reads the word of `--role`.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == word)
    }

    fn letter(self) -> char {
        match self {
            Self::Owner => 'O',
            Self::Admin => 'A',
            Self::Member => 'M',
            Self::Developer => 'D',
            Self::Viewer => 'V',
        }
    }

    /// The permission keys that the role stands for.
    #[must_use]
    pub fn permissions(self) -> Vec<String> {
        PERMISSIONS
            .iter()
            .filter(|(_, roles)| roles.contains(self.letter()))
            .map(|(key, _)| (*key).to_owned())
            .collect()
    }
}

/// The table of contract F: each key with the initials of the roles that have it.
const PERMISSIONS: &[(&str, &str)] = &[
    ("smart-links.view", "OAMDV"),
    ("smart-links.manage", "OAM"),
    ("postbacks.view", "OAMDV"),
    ("postbacks.manage", "OAM"),
    ("meta-pixels.view", "OAMDV"),
    ("meta-pixels.manage", "OAM"),
    ("tracking-links.view", "OAMDV"),
    ("free-trials.view", "OAMDV"),
    ("tracking-links.manage", "OAM"),
    ("free-trials.manage", "OAM"),
    ("accounts.view", "OAMDV"),
    ("accounts.manage", "OAM"),
    ("api-keys.view", "OAMDV"),
    ("api-keys.manage", "OAMD"),
    ("webhooks.view", "OAMDV"),
    ("webhooks.manage", "OAMD"),
    ("logs.view", "OAMDV"),
    ("data-export.view", "OAMDV"),
    ("data-export.manage", "OAMD"),
    ("credits.view", "OAMDV"),
    ("usage.view", "OAMDV"),
    ("team.members.view", "OAV"),
    ("team.members.manage", "OA"),
    ("team.update", "OA"),
    ("team.delete", "O"),
];

/// Whether `key` is one of contract F.
#[must_use]
pub fn is_permission(key: &str) -> bool {
    PERMISSIONS.iter().any(|(known, _)| *known == key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_has_the_promised_form_and_reads_back() {
        let secret = KeySecret::generate([7; 32]);
        assert_eq!(secret.expose().len(), 44);
        assert_eq!(KeySecret::parse(secret.expose()), Ok(secret.clone()));
        assert_eq!(KeySecret::generate([7; 32]), secret);
        assert_ne!(KeySecret::generate([8; 32]), secret);
        for bad in ["", "slk_", "slk_short", &format!("{}x", secret.expose()), &"x".repeat(44)] {
            assert_eq!(KeySecret::parse(bad), Err(BadKey), "{bad}");
        }
    }

    #[test]
    fn debug_never_shows_a_secret() {
        let secret = KeySecret::generate([7; 32]);
        assert!(!format!("{secret:?}").contains(&secret.expose()[4..]));
    }

    #[test]
    fn roles_have_the_keys_of_the_contract() {
        let owner = Role::Owner.permissions();
        assert_eq!(owner.len(), PERMISSIONS.len());
        let mut admin = Role::Admin.permissions();
        admin.push("team.delete".to_owned());
        assert_eq!(admin, owner);
        let viewer = Role::Viewer.permissions();
        assert!(viewer.iter().all(|key| key.ends_with(".view")));
        assert_eq!(viewer.len(), owner.iter().filter(|key| key.ends_with(".view")).count());
        assert!(!Role::Developer.permissions().contains(&"smart-links.manage".to_owned()));
        assert!(Role::Developer.permissions().contains(&"webhooks.manage".to_owned()));
        assert!(!Role::Developer.permissions().contains(&"team.members.view".to_owned()));
        assert!(is_permission("postbacks.manage") && !is_permission("postbacks.own"));
    }
}
