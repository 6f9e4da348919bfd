//! Stocks by number.

use std::{collections::HashMap, sync::Arc};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use parking_lot::Mutex;
use sl_core::pool::StockKey;
use sl_store::Result;

use crate::{
    catalog::Numbers,
    codec::{decode, encode},
    cql::Cql,
    failure::damaged,
    statements::{Tries, statements},
};

/// Lanes of `pool_stocks`, see `schemas/cql/0004_pool.cql`.
const LANES: i32 = 16;

statements!(Statements {
    number: SerialRead "SELECT stock FROM pool_stock_numbers WHERE key = ?";
    take: Compare "INSERT INTO pool_stock_numbers (key, stock) VALUES (?, ?) IF NOT EXISTS";
    list: Write "INSERT INTO pool_stocks (lane, stock, key) VALUES (?, ?, ?)";
    lane: Read "SELECT stock, key FROM pool_stocks WHERE lane = ?";
});

/// The registry. A stock keeps its number for good, so what is known stays true.
pub(super) struct Stocks {
    cql: Arc<Cql>,
    statements: Statements,
    numbers: Numbers,
    known: Mutex<HashMap<StockKey, i32>>,
}

// === impl Stocks ===

impl Stocks {
    pub(super) async fn new(cql: Arc<Cql>) -> Result<Self> {
        let statements = Statements::prepare(&cql).await?;
        let numbers = Numbers::new(Arc::clone(&cql)).await?;
        Ok(Self { cql, statements, numbers, known: Mutex::default() })
    }

    /// The number of a stock that has links, or had.
    pub(super) async fn number(&self, key: &StockKey) -> Result<Option<i32>> {
        if let Some(&number) = self.known.lock().get(key) {
            return Ok(Some(number));
        }
        let found: Option<(i32,)> = self.cql.row(&self.statements.number, (encode(key)?,)).await?;
        if let Some((number,)) = found {
            self.known.lock().insert(key.clone(), number);
        }
        Ok(found.map(|(number,)| number))
    }

    /// The number of a stock that may be new.
    pub(super) async fn number_or_new(&self, key: &StockKey) -> Result<i32> {
        if let Some(&number) = self.known.lock().get(key) {
            return Ok(number);
        }
        let mut tries = Tries::of("the number of a stock");
        let number = loop {
            if let Some(number) = tries.settled(self.take_number(key).await).await? {
                break number;
            }
        };
        // Also when it has one: whoever took it may have died before it was listed.
        self.cql.run(&self.statements.list, (number % LANES, number, encode(key)?)).await?;
        self.known.lock().insert(key.clone(), number);
        Ok(number)
    }

    async fn take_number(&self, key: &StockKey) -> Result<Option<i32>> {
        let name = encode(key)?;
        let known: Option<(i32,)> = self.cql.row(&self.statements.number, (&name,)).await?;
        if let Some((number,)) = known {
            return Ok(Some(number));
        }
        let number = i32::try_from(self.numbers.next("stock").await?);
        let number = number.map_err(|_| damaged("two thousand million stocks"))?;
        Ok(self.cql.compare(&self.statements.take, (name, number)).await?.then_some(number))
    }

    /// The stock of a number.
    pub(super) async fn key(&self, number: i32) -> Result<Option<StockKey>> {
        let of = |known: &HashMap<StockKey, i32>| {
            known.iter().find(|(_, known)| **known == number).map(|(key, _)| key.clone())
        };
        if let Some(key) = of(&self.known.lock()) {
            return Ok(Some(key));
        }
        let all = self.all().await?.into_iter().collect();
        let key = of(&all);
        *self.known.lock() = all;
        Ok(key)
    }

    /// All stocks, by key.
    pub(super) async fn all(&self) -> Result<Vec<(StockKey, i32)>> {
        let lanes = stream::iter(0..LANES)
            .map(|lane| async move { self.cql.rows::<(i32, Vec<u8>)>(&self.statements.lane, (lane,)).await });
        let lanes: Vec<_> = lanes.buffered(8).try_collect().await?;
        let rows = lanes.into_iter().flatten().map(|(number, key)| Ok((decode(&key)?, number)));
        let mut stocks: Vec<(StockKey, i32)> = rows.collect::<Result<_>>()?;
        stocks.sort();
        Ok(stocks)
    }
}
