//! The cases of catalog, pool, outbox and upkeep.

use sl_store::suite::{catalog, outbox, pool, upkeep};

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
        a_change_reaches_other_processes,
        a_deleted_postback_is_gone,
        a_deleted_pixel_is_gone;
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
    upkeep:
        old_click_rows_go_and_sums_stay,
        old_addresses_are_cut_to_their_network,
        a_round_that_was_cut_short_is_taken_up_with_a_later_horizon,
        a_clock_that_was_ahead_keeps_no_address_for_good,
        old_deliveries_go_unless_they_wait;
}

/// A few histories only: each of their steps asks about every link. The embedded store does forty of the same.
#[tokio::test]
#[ignore = "needs the dev cluster: deploy/dev-cluster/up"]
async fn pool_states_follow_the_model() {
    sl_store::suite::pool_model::pool_states_follow_the_model(5, Cluster::fresh).await;
}
