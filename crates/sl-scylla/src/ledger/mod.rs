//! Attribution's memory and its atomic steps.

use std::sync::Arc;

use async_trait::async_trait;
use sl_core::{
    event::Position,
    step::{StateBytes, StateKey, Step},
};
use sl_store::{
    Result, StoreError,
    ledger::{Ledger, Opened},
};

use crate::cql::Cql;

/// One owner's ledger.
pub(crate) struct CqlLedger {
    cql: Arc<Cql>,
}

impl CqlLedger {
    pub(crate) async fn new(cql: Arc<Cql>) -> Result<Self> {
        Ok(Self { cql })
    }
}

#[async_trait]
impl Ledger for CqlLedger {
    async fn open(&self, _partition: u32) -> Result<Opened> {
        self.cql.micros();
        Err(StoreError::Unavailable("not built yet".to_owned()))
    }

    async fn load(&self, _partition: u32, _keys: Vec<StateKey>) -> Result<Vec<Option<StateBytes>>> {
        Err(StoreError::Unavailable("not built yet".to_owned()))
    }

    async fn apply(&self, _step: Step) -> Result<()> {
        Err(StoreError::Unavailable("not built yet".to_owned()))
    }

    async fn sync(&self, _partition: u32) -> Result<Position> {
        Err(StoreError::Unavailable("not built yet".to_owned()))
    }
}
