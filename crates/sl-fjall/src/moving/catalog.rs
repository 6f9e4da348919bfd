//! What people configure.

use sl_core::catalog::{Account, SmartLink};
use sl_store::{
    Result,
    moving::{Kind, Page, Rows},
};

use super::scan::Scan;
use crate::{
    catalog::{Table, Versioned},
    db::Db,
};

pub(super) fn page(db: &Db, kind: Kind, after: Option<&[u8]>, limit: usize) -> Result<Page> {
    let table = match kind {
        Kind::Teams => Table::Team,
        Kind::Keys => Table::ApiKey,
        Kind::Accounts => Table::Account,
        Kind::Links => Table::Link,
        Kind::Pixels => Table::Pixel,
        _ => Table::Postback,
    };
    let all = table.all();
    let scan = Scan { all: &all, after, limit };
    macro_rules! of {
        ($rows:ident) => {{
            let found = scan.values(&db.catalog, db)?;
            Ok(Page { rows: Rows::$rows(found.rows), next: found.next })
        }};
        ($rows:ident, $row:ty) => {{
            let found = scan.values::<Versioned<$row>>(&db.catalog, db)?.map(|found| Ok(found.row))?;
            Ok(Page { rows: Rows::$rows(found.rows), next: found.next })
        }};
    }
    match table {
        Table::Team => of!(Teams),
        Table::ApiKey => of!(Keys),
        Table::Account => of!(Accounts, Account),
        Table::Link => of!(Links, SmartLink),
        Table::Pixel => of!(Pixels),
        Table::Postback => of!(Postbacks),
    }
}
