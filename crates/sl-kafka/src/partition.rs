//! Which partition an account lives in: the same one on every edge, for as long as the topic lives.

use sl_core::ids::AccountId;

/// CRC-32 of the account id, modulo the number of partitions. Our own, not the library's: a library's default may
/// change with its version, and an account whose records lie in two partitions has no order any more.
#[must_use]
pub fn of_account(account: &AccountId, partitions: u32) -> u32 {
    of_bytes(account.as_str().as_bytes(), partitions)
}

/// The partition of any key: [`of_account`]'s rule for bytes.
#[must_use]
pub fn of_bytes(key: &[u8], partitions: u32) -> u32 {
    crc32fast::hash(key) % partitions.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_never_moves() {
        // Written down once: a change of these numbers breaks the order inside accounts.
        let at = |account: &str, partitions| of_account(&account.into(), partitions);
        assert_eq!([at("acct_1", 12), at("acct_2", 12), at("acct_suite", 12), at("", 12)], [1, 3, 8, 0]);
        assert_eq!([at("acct_1", 48), at("acct_2", 48), at("acct_suite", 48)], [1, 27, 32]);
    }

    #[test]
    fn accounts_spread_evenly() {
        let mut counts = [0_u32; 12];
        for n in 0..12_000 {
            counts[of_account(&format!("acct_{n:026}").into(), 12) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (800..1200).contains(count)), "{counts:?}");
    }

    #[test]
    fn one_partition_takes_everything() {
        assert_eq!(of_account(&"acct_1".into(), 1), 0);
        assert_eq!(of_account(&"acct_1".into(), 0), 0);
    }
}
