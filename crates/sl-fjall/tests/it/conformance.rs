//! One test per case of the suite.

use sl_store::suite::{
    catalog, dimensions, heartbeats, leases, ledger, outbox, pool, pool_model, reports, upkeep,
};

use crate::backend::Fjall;

/// One test per case, under the case's own name.
macro_rules! cases {
    ($($module:ident: $($case:ident),+;)+) => {
        $($(
            #[tokio::test]
            async fn $case() {
                $module::$case(&Fjall::fresh()).await;
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
        a_change_reaches_other_processes,
        a_deleted_postback_is_gone,
        a_deleted_pixel_is_gone;
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
    outbox:
        due_jobs_come_oldest_first_per_destination,
        counts_follow_every_change,
        what_waits_for_later_is_read_in_pages,
        a_destination_that_rests_has_nothing_due_and_what_waits_is_left_as_it_is,
        the_first_waiting_of_a_fan_is_the_earliest_to_have_happened,
        a_renewal_goes_on_from_what_was_read_only,
        a_replay_leaves_a_trail,
        a_job_that_comes_again_keeps_its_progress,
        a_job_skipped_from_the_start_is_never_due,
        the_first_body_stays,
        a_click_events_body_goes_when_it_is_final,
        a_progress_goes_on_from_what_is_stored,
        several_bodies_are_kept_like_each_of_them,
        a_request_is_written_anew_only_in_the_place_of_the_one_that_was_read,
        several_go_on_each_for_itself,
        a_shard_is_one_workers_at_a_time,
        the_last_fifty_attempts_are_kept,
        pages_cover_every_delivery_once,
        deliveries_of_another_team_are_not_there;
    pool:
        fresh_links_leave_in_creation_order,
        a_stock_that_gets_links_is_told,
        no_link_is_in_two_blocks,
        two_processes_share_a_stock,
        a_block_that_is_out_is_known_after_a_restart,
        an_expired_block_passes_quarantine,
        only_a_qualifying_look_recycles,
        every_link_counts_once,
        a_former_holder_does_not_take_a_link_back,
        a_link_given_before_it_is_known_is_not_fresh,
        a_trial_link_is_single_use,
        retired_links_are_gone_for_good,
        a_retired_link_is_live_until_whoever_has_it_is_known,
        retired_links_of_a_block_are_told,
        live_links_are_listed_until_their_last_look,
        the_matchers_work_stays_until_it_is_done;
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
    upkeep:
        old_click_rows_go_and_sums_stay,
        old_addresses_are_cut_to_their_network,
        a_round_that_was_cut_short_is_taken_up_with_a_later_horizon,
        a_clock_that_was_ahead_keeps_no_address_for_good,
        old_deliveries_go_unless_they_wait;
}

#[tokio::test]
async fn pool_states_follow_the_model() {
    pool_model::pool_states_follow_the_model(40, Fjall::fresh).await;
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
