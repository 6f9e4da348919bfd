//! Attribution's memory, piece by piece.

use std::collections::BTreeMap;

use sl_core::{event::Position, step::StateBytes};
use sl_store::{
    Result, Store,
    moving::{Kind, Page, Piece, Rows},
};

use super::{Found, Opened, Router, View};

/// Pieces read at once.
const PAGE: usize = 4_096;

pub(super) async fn compare(
    source: &Opened,
    new: &Store,
    router: &Router,
    found: &mut Found,
    view: &mut View,
) -> Result<()> {
    view.begin_comparing("pieces compared");
    let (mut after, mut unlike) = (None, 0_u64);
    loop {
        let Page { rows, next } = source.rows.page(Kind::Memory, after, PAGE).await?;
        let mut partitions: BTreeMap<u32, Vec<Piece>> = BTreeMap::new();
        if let Rows::Memory(pieces) = router.route(rows)? {
            for piece in pieces {
                partitions.entry(piece.partition).or_default().push(piece);
            }
        }
        for (partition, pieces) in partitions {
            let names = pieces.iter().map(|piece| piece.key.clone()).collect();
            let values = new.ledger.load(partition, names).await?;
            found.pieces += pieces.len() as u64;
            let differ = |(piece, value): (&Piece, &Option<StateBytes>)| value.as_ref() != Some(&piece.value);
            unlike += pieces.iter().zip(&values).filter(|pair| differ(*pair)).count() as u64;
        }
        view.total(found.pieces);
        after = next;
        if after.is_none() {
            break;
        }
    }
    view.end(found.pieces);
    if unlike > 0 {
        found.differences.push(format!("memory of attribution: {unlike} of {} pieces differ", found.pieces));
    }
    for partition in 0..router.partitions() {
        let position = new.ledger.sync(partition).await?;
        if position != Position::default() {
            found.differences.push(format!("stream partition {partition} does not begin at its start"));
        }
    }
    Ok(())
}
