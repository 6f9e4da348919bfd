//! What edges tell each other of their visitors.

use prost::Message as _;
use sl_core::{
    click::VisitorId,
    event::JournalId,
    ids::{ClickId, SmartLinkId},
    time::Timestamp,
    visitor::{Target, Visit},
};

use super::{DecodeError, parts};
use crate::proto;

/// Appends the visit's bytes to `into`: about 110, of which 64 are four ids, and the address of the visitor's own link.
pub fn encode_visit(journal: JournalId, visit: &Visit, into: &mut Vec<u8>) {
    let message = proto::Visit {
        journal: journal.0,
        click: Some(parts::id(visit.click.to_bytes())),
        link: Some(parts::id(visit.target.link.to_bytes())),
        ecid: visit.target.ecid,
        at: visit.at.0,
        daily: Some(parts::wide(visit.daily.0)),
        given: visit.given.map(|id| parts::wide(id.0)),
        rung: parts::rung(visit.rung),
        pool_link: visit.pool_link.map(parts::pool_link),
        sent_to: visit.sent_to.as_deref().map(str::to_owned),
    };
    let encoded = message.encode(into);
    debug_assert!(encoded.is_ok(), "a Vec grows as needed");
}

/// Reads what [`encode_visit`] wrote: the visit, and the journal that has its click.
///
/// # Errors
/// [`DecodeError`] when the bytes are no visit this version can use.
pub fn decode_visit(bytes: &[u8]) -> Result<(JournalId, Visit), DecodeError> {
    let message = proto::Visit::decode(bytes).map_err(|error| DecodeError::Malformed(error.to_string()))?;
    let rung = parts::rung_back(message.rung)?;
    let link = SmartLinkId::from_bytes(parts::need(message.link, "link")?);
    let visit = Visit {
        click: ClickId::from_bytes(parts::need(message.click, "click")?),
        target: Target { link, ecid: message.ecid },
        at: Timestamp(message.at),
        daily: VisitorId(u128::from_be_bytes(parts::need(message.daily, "daily")?)),
        given: message.given.map(|id| VisitorId(parts::narrow(id))),
        rung,
        pool_link: message.pool_link.map(parts::pool_link_back).transpose()?,
        sent_to: message.sent_to.map(String::into_boxed_str),
    };
    Ok((JournalId(message.journal), visit))
}

#[cfg(test)]
mod tests {
    use sl_core::{
        click::Rung,
        ids::{LinkKind, PoolLinkId},
    };

    use super::*;

    #[test]
    fn a_visit_comes_back_and_is_small() {
        let whole = Visit {
            click: ClickId::from_bytes([1; 16]),
            target: Target { link: SmartLinkId::from_bytes([2; 16]), ecid: u64::MAX },
            at: Timestamp(1_772_655_069_000),
            daily: VisitorId(3),
            given: Some(VisitorId(u128::MAX)),
            rung: Rung::Fresh,
            pool_link: Some(PoolLinkId { kind: LinkKind::TrackingLink, number: 12_345_678 }),
            sent_to: Some("https://onlyfans.com/somebody/c123".into()),
        };
        let bare =
            Visit { given: None, rung: Rung::Profile, pool_link: None, sent_to: None, ..whole.clone() };
        for visit in [whole, bare] {
            let mut bytes = Vec::new();
            encode_visit(JournalId(9), &visit, &mut bytes);
            assert!(bytes.len() <= 160, "{}", bytes.len());
            assert_eq!(decode_visit(&bytes), Ok((JournalId(9), visit)));
        }
    }

    #[test]
    fn a_visit_without_its_ids_is_refused() {
        let bytes = proto::Visit { rung: parts::rung(Rung::Fresh), ..Default::default() }.encode_to_vec();
        assert_eq!(decode_visit(&bytes), Err(DecodeError::Absent("link")));
        assert!(decode_visit(b"\x00").is_err());
    }
}
