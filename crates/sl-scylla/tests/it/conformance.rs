//! One test per case of the suite.

use sl_store::suite;

use crate::backend::Cluster;

/// One test per case, under the case's own name.
macro_rules! cases {
    ($($module:ident: $($case:ident),+;)+) => {
        $($(
            #[tokio::test]
            #[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
            async fn $case() {
                suite::$module::$case(&Cluster::fresh()).await;
            }
        )+)+
    };
}

sl_store::each_case!(cases);

/// A few histories only: each of their steps asks about every link. The embedded store does forty of the same.
#[tokio::test]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
async fn pool_states_follow_the_model() {
    suite::pool_model::pool_states_follow_the_model(5, Cluster::fresh).await;
}
