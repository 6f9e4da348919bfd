//! The cases of catalog, pool, outbox and upkeep.

use sl_store::suite::catalog;

use crate::backend::Cluster;

/// One test per case, under the case's own name.
macro_rules! cases {
    ($($module:ident: $($case:ident),+;)+) => {
        $($(
            #[tokio::test]
            #[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
            async fn $case() {
                $module::$case(&Cluster::fresh()).await;
            }
        )+)+
    };
}

cases! {
    catalog:
        rows_survive_a_restart,
        numbers_are_given_once,
        fields_with_their_own_writer_are_kept,
        changes_are_told_by_revision,
        a_deleted_postback_is_gone;
}
