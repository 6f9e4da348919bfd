//! One test per case of the suite.

use sl_store::suite;

use crate::backend::Fjall;

/// One test per case, under the case's own name.
macro_rules! cases {
    ($($module:ident: $($case:ident),+;)+) => {
        $($(
            #[tokio::test]
            async fn $case() {
                suite::$module::$case(&Fjall::fresh()).await;
            }
        )+)+
    };
}

sl_store::each_case!(cases);

#[tokio::test]
async fn pool_states_follow_the_model() {
    suite::pool_model::pool_states_follow_the_model(40, Fjall::fresh).await;
}

/// The same where late rows go into their tables before every step.
mod settled {
    use sl_fjall::FjallOptions;
    use sl_store::suite::{ledger, pool, upkeep};

    use crate::backend::Fjall;

    fn fresh() -> Fjall {
        Fjall::with(FjallOptions { late_bytes: 0, ..FjallOptions::default() })
    }

    #[tokio::test]
    async fn a_step_is_there_at_once_and_after_a_restart() {
        ledger::a_step_is_there_at_once_and_after_a_restart(&fresh()).await;
    }

    #[tokio::test]
    async fn a_step_that_comes_again_changes_nothing() {
        ledger::a_step_that_comes_again_changes_nothing(&fresh()).await;
    }

    #[tokio::test]
    async fn state_is_read_in_order_per_partition() {
        ledger::state_is_read_in_order_per_partition(&fresh()).await;
    }

    #[tokio::test]
    async fn a_link_given_before_it_is_known_is_not_fresh() {
        pool::a_link_given_before_it_is_known_is_not_fresh(&fresh()).await;
    }

    #[tokio::test]
    async fn old_click_rows_go_and_sums_stay() {
        upkeep::old_click_rows_go_and_sums_stay(&fresh()).await;
    }
}
