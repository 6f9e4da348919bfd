//! Seeded chance. Every choice has its own generator, named by what it is about, so that a choice does not depend on
//! which requests came before it.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

/// The generator of one choice: the same seed and the same name give the same numbers.
#[must_use]
pub fn dice(seed: u64, name: &[&str]) -> ChaCha8Rng {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    for part in name {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    ChaCha8Rng::from_seed(hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;

    #[test]
    fn a_choice_depends_on_its_seed_and_name_alone() {
        let draw = |seed, name: &[&str]| dice(seed, name).random::<u64>();
        assert_eq!(draw(1, &["a", "b"]), draw(1, &["a", "b"]));
        assert_ne!(draw(1, &["a", "b"]), draw(2, &["a", "b"]));
        assert_ne!(draw(1, &["a", "b"]), draw(1, &["ab", ""]), "names do not flow into each other");
    }
}
