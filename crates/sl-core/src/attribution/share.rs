//! Memory shared out among stream partitions: what one partition remembers of many accounts, as many partitions remember it
//! of the accounts that live there.

use std::collections::BTreeMap;

use super::{
    key::{Key, LONG, PRINT, TRACKING, TRIAL, UNKNOWN, VISITOR},
    record::{BadRecord, DueRecord, Kept},
};
use crate::{
    ids::{AccountId, SmartLinkId},
    step::{StateBytes, StateKey},
};

/// Whom a piece of memory belongs to, as its name tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// All accounts of the partition: [`share_out`] cuts the piece.
    Everybody,
    /// An account.
    Account(AccountId),
    /// The account with this [`AccountId::digest`].
    Digest([u8; 8]),
    /// The account of a Smart Link.
    Link(SmartLinkId),
}

/// Whom the piece under this name belongs to.
///
/// # Errors
/// [`BadRecord`] when no name looks like this.
pub fn owner(name: &StateKey) -> Result<Owner, BadRecord> {
    let bad = |reason: &str| BadRecord {
        key: format!("{:02x?}", name.0),
        reason: format!("its name has {reason}"),
    };
    let (tag, rest) = name.0.split_last().ok_or_else(|| bad("no bytes"))?;
    match *tag {
        VISITOR | UNKNOWN | PRINT | TRACKING | TRIAL => {
            let digest = rest.last_chunk::<8>().ok_or_else(|| bad("too few bytes"))?;
            Ok(Owner::Digest(*digest))
        }
        LONG => {
            let key: Key = postcard::from_bytes(rest).map_err(|error| bad(&error.to_string()))?;
            Ok(match key {
                Key::Due => Owner::Everybody,
                Key::Account(account)
                | Key::Visitor(account, _)
                | Key::Print(account, _)
                | Key::Holder(account, _)
                | Key::Fan(account, _)
                | Key::Transaction(account, _)
                | Key::Applied(account, _)
                | Key::Page(account, ..) => Owner::Account(account),
                Key::Link(link) | Key::Hour(link, _) | Key::FanDay(link, ..) | Key::Spread(link, _) => {
                    Owner::Link(link)
                }
                Key::Dimension(key) => Owner::Link(key.link),
            })
        }
        _ => Err(bad("an unknown last byte")),
    }
}

/// Cuts the piece that is of everybody: each partition that gets something with its own one.
///
/// # Errors
/// [`BadRecord`] when it can't be read.
pub fn share_out(
    value: &StateBytes,
    partition_of: impl Fn(&AccountId) -> u32,
) -> Result<BTreeMap<u32, StateBytes>, BadRecord> {
    let mut shares: BTreeMap<u32, DueRecord> = BTreeMap::new();
    for due in super::due(Some(value))? {
        shares.entry(partition_of(&due.1)).or_default().accounts.push(due);
    }
    let encode = |record: DueRecord| {
        let mut bytes = Vec::new();
        DueRecord::record(record).encode(&mut bytes);
        StateBytes(bytes)
    };
    Ok(shares.into_iter().map(|(partition, record)| (partition, encode(record))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        attribution::Who,
        click::VisitorId,
        ids::{FanId, LinkKind, PoolLinkId, TeamId, TransactionId},
        step::{Dimension, DimensionKey},
        time::Timestamp,
    };

    #[test]
    fn every_piece_is_known_to_be_somebodys_by_its_name() {
        let (account, link) = (AccountId::from("acct_1"), SmartLinkId::from_bytes([7; 16]));
        let (visitor, at) = (VisitorId(u128::MAX / 3), Timestamp(1_772_654_400_000));
        let pool = |kind| PoolLinkId { kind, number: 9 };
        let day =
            |value: &str| DimensionKey { link, day: at, dimension: Dimension::Ecid, value: value.into() };
        let digest = Owner::Digest(account.digest());
        let of_account = Owner::Account(account.clone());
        let fan = FanId::from("501");
        for (key, owner) in [
            (Key::Due, Owner::Everybody),
            (Key::Account(account.clone()), of_account.clone()),
            (Key::Visitor(account.clone(), Who::Cookie(visitor)), digest.clone()),
            (Key::Visitor(account.clone(), Who::Print(visitor)), digest.clone()),
            (Key::Print(account.clone(), visitor), digest.clone()),
            (Key::Holder(account.clone(), pool(LinkKind::TrackingLink)), digest.clone()),
            (Key::Holder(account.clone(), pool(LinkKind::FreeTrial)), digest),
            (Key::Fan(account.clone(), fan.clone()), of_account.clone()),
            (Key::Transaction(account.clone(), TransactionId::from("t")), of_account.clone()),
            (Key::Applied(account.clone(), "key".into()), of_account.clone()),
            (Key::Page(account, 2, 300), of_account),
            (Key::Link(link), Owner::Link(link)),
            (Key::Hour(link, at), Owner::Link(link)),
            (Key::FanDay(link, fan, at), Owner::Link(link)),
            (Key::Spread(link, at), Owner::Link(link)),
            (Key::Dimension(day("x")), Owner::Link(link)),
        ] {
            assert_eq!(super::owner(&key.to_state_key()).unwrap(), owner, "{key:?}");
        }
        for damaged in [&b""[..], &[VISITOR], &[1, 2, 3, LONG], &[0, 99]] {
            assert!(super::owner(&StateKey(damaged.to_vec())).is_err(), "{damaged:?}");
        }
    }

    #[test]
    fn what_is_of_everybody_goes_to_whom_it_concerns() {
        let account = |number: u32| AccountId::from(format!("acct_{number}"));
        let due: Vec<_> = (0..6).map(|n| (TeamId(1), account(n), Timestamp(n.into()))).collect();
        let mut bytes = Vec::new();
        DueRecord::record(DueRecord { accounts: due.clone() }).encode(&mut bytes);
        let partition = |account: &AccountId| u32::from(account.as_str().ends_with(['1', '4'])) + 3;
        let shares = share_out(&StateBytes(bytes), partition).unwrap();
        let read = |share: &StateBytes| super::super::due(Some(share)).unwrap();
        assert_eq!(shares.keys().copied().collect::<Vec<_>>(), [3, 4]);
        assert_eq!(read(&shares[&4]), [due[1].clone(), due[4].clone()]);
        assert_eq!(read(&shares[&3]).len(), 4);
        assert!(share_out(&StateBytes(vec![9]), partition).is_err());
    }
}
