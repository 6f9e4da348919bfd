//! One test per case of the suite.

use sl_store::suite::{dimensions, heartbeats, leases, ledger, reports};

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
    dimensions:
        clicks_are_summed_by_dimension,
        dimension_sums_can_be_rebuilt_from_raw_rows;
    heartbeats:
        the_last_word_of_each_sender_is_known_until_it_is_silent;
    leases:
        a_lease_goes_to_one_of_those_who_saw_the_same;
    ledger:
        a_step_is_there_at_once_and_after_a_restart,
        a_step_that_comes_again_changes_nothing,
        the_last_to_open_a_partition_has_it,
        state_is_read_in_order_per_partition,
        a_new_epoch_goes_on_from_its_own_start,
        marks_change_click_rows;
    reports:
        clicks_come_newest_first_as_filtered,
        conversions_come_newest_first_as_filtered,
        rollups_can_be_rebuilt_from_raw_rows,
        a_cut_hour_is_counted_from_raw_rows,
        parts_of_an_hour_add_up_to_the_whole,
        sums_are_what_the_last_step_said,
        conversions_of_a_click_come_by_time,
        rows_of_another_team_are_not_there,
        dead_letters_page_and_leave,
        dead_letters_go_on_behind_one_that_left;
}
