//! Ids derived from their causes, and the key of an `ecid`.

use sha2::{Digest, Sha256};
use ulid::Ulid;

use crate::{time::Timestamp, visitor::is_unexpanded_macro};

/// A ULID made of a time and 80 bits of the hash of what caused it (decisions 21): the same cause, the same id.
pub(super) fn ulid(at: Timestamp, cause: &[&[u8]]) -> Ulid {
    let mut hash = Sha256::new();
    for part in cause {
        // The length keeps ("ab", "c") and ("a", "bc") apart.
        hash.update(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        hash.update(part);
    }
    let digest: [u8; 32] = hash.finalize().into();
    let random = digest.iter().take(10).fold(0_u128, |sum, byte| (sum << 8) | u128::from(*byte));
    Ulid::from_parts(u64::try_from(at.0).unwrap_or(0), random)
}

/// Key of an `ecid` for comparing: 0 when it is absent, empty or an unreplaced macro (decisions 36).
pub(super) fn ecid(value: Option<&str>) -> u64 {
    let Some(value) = value.map(str::trim).filter(|value| !value.is_empty() && !is_unexpanded_macro(value))
    else {
        return 0;
    };
    let digest: [u8; 32] = Sha256::digest(value.as_bytes()).into();
    digest.iter().take(8).fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unreplaced_macro_is_no_ecid() {
        for text in ["{{ad.id}}", "__CLICKID__", "{clickid}", "${x}", "[x]", "%x%", " {a} ", "", "  "] {
            assert_eq!(ecid(Some(text)), 0, "{text}");
        }
        assert_eq!(ecid(None), 0);
        assert_ne!(ecid(Some("ad-7781")), 0);
        assert_ne!(ecid(Some("ad-7781")), ecid(Some("ad-7782")));
    }

    #[test]
    fn the_same_cause_has_the_same_id_and_sorts_by_time() {
        let id = ulid(Timestamp(5), &[b"ab", b"c"]);
        assert_eq!(id, ulid(Timestamp(5), &[b"ab", b"c"]));
        assert_ne!(id, ulid(Timestamp(5), &[b"a", b"bc"]));
        assert!(id < ulid(Timestamp(6), &[b"ab", b"c"]));
    }
}
