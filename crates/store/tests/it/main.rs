//! One behaviour suite, run on SQLite and on PostgreSQL.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed unwrap is a failed test")]

extern crate callgate_store as store;

mod approvals;
mod bed;
mod budgets;
mod claims;
mod cluster;
mod departures;
mod engines;
mod gateways;
mod health;
mod histories;
mod index;
mod observed;
mod opening;
mod pins;
mod postgres;
mod principals;
mod property;
mod records;
mod secrets;
mod sqlite;
mod tokens;
mod twins;
mod untold;

use bed::Bed;
use std::{future::Future, pin::Pin};

type Case = fn(Bed) -> Pin<Box<dyn Future<Output = ()> + Send>>;

/// Every case is a test of its own on SQLite. On PostgreSQL they share one test and so one cluster,
/// which a test runner with a process per test would otherwise start for each.
macro_rules! suite {
    ($($module:ident: $($case:ident),+ $(,)?;)+) => {
        const CASES: &[(&str, Case)] = &[$($((
            concat!(stringify!($module), "::", stringify!($case)),
            |bed| Box::pin(async move { $module::$case(&bed).await }),
        )),+),+];

        mod on_sqlite {
            $(mod $module {
                $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    crate::$module::$case(&crate::Bed::sqlite()).await;
                })+
            })+
        }
    };
}

suite! {
    approvals:
        one_is_open_for_a_subject_and_it_comes_back_as_it_was,
        of_many_who_spend_the_same_one_succeeds,
        pages_of_a_list_have_each_once,
        what_is_due_is_found,
        a_group_is_lent_for_a_while_and_taken_back,
        a_draft_is_its_owners_is_submitted_once_and_ends_with_its_time,
        what_is_still_decided_by_is_not_forgotten_and_the_rest_is_everywhere,
        what_was_proposed_before_arguments_were_kept_no_more_is_forgotten_too,
        what_the_operator_does_not_keep_goes_with_the_end,
        a_delivery_that_a_later_state_overtook_is_known_before_it_is_dropped,
        an_answer_is_forgotten_and_a_call_that_waits_to_leave_is_not,
        a_call_on_its_way_ends_whatever_is_kept_no_more_meanwhile;
    budgets:
        of_many_at_once_no_more_pass_than_there_is_room,
        what_never_left_is_given_back_once,
        what_people_lifted_passes_and_counts,
        a_restart_knows_what_is_open_and_what_a_deed_has,
        values_count_once_each,
        a_value_is_new_until_it_was_let_through,
        what_no_window_needs_is_forgotten;
    twins:
        of_many_twins_at_once_one_takes_the_key,
        what_never_left_leaves_the_key_as_it_was,
        an_answer_is_kept_for_its_window_and_of_one_asker_the_newest_alone,
        an_answer_that_is_to_be_forgotten_goes_and_its_key_stays_taken,
        a_restart_finds_its_own_open_keys,
        no_history_does_a_deed_twice;
    principals:
        an_agent_and_a_user_are_listed_as_they_were_added,
        a_name_is_taken_once,
        a_disabled_agent_that_is_removed_stays_refused_until_it_is_enabled,
        an_agent_cannot_act_for_a_user_nobody_added,
        a_user_with_an_agent_cannot_be_removed,
        whoever_has_the_name_of_somebody_removed_finds_nothing_of_theirs,
        nothing_is_seen_from_another_tenant_or_environment,
        every_change_a_gateway_must_notice_counts,
        a_waiter_wakes_when_another_process_revokes,
        a_waiter_gives_up_when_nothing_happens;
    tokens:
        a_token_leads_to_its_principal,
        an_unknown_hash_leads_nowhere,
        a_lapsed_token_leads_to_nobody_and_says_why,
        a_removed_agents_tokens_never_come_back,
        a_token_needs_an_agent_a_future_and_a_hash_of_its_own,
        a_token_is_revoked_only_where_it_lives,
        the_last_use_never_goes_back,
        a_token_added_while_its_agent_is_removed_never_lives,
        parallel_writers_lose_nothing;
    pins:
        the_first_sight_pins_and_the_second_does_not,
        a_first_sight_that_is_held_approves_nothing,
        what_cannot_be_pinned_is_accepted_by_nobody_and_said,
        of_tools_that_are_not_offered_what_was_accepted_and_what_is_shown_is_known,
        a_changed_item_is_withdrawn_until_somebody_approves_it,
        an_item_that_is_gone_and_comes_back_is_restored_only_as_it_was,
        a_kind_that_was_not_listed_is_not_gone,
        a_rejected_definition_stays_rejected_and_leaves_the_approved_one,
        rejecting_what_is_approved_withdraws_it,
        what_is_gone_is_taken_note_of_and_never_refused,
        all_means_what_is_pending,
        what_moved_since_it_was_looked_at_is_not_approved,
        a_list_that_cannot_be_true_changes_nothing,
        of_two_replicas_one_sees_first,
        replaced_definitions_do_not_pile_up,
        many_items_go_through_all_that_one_goes_through,
        what_a_connection_found_out_is_kept_apart_from_pins,
        a_forgotten_server_is_seen_for_the_first_time_again;
    departures:
        what_was_harmless_meanwhile_comes_back_and_how_often_is_remembered,
        what_was_not_harmless_meanwhile_comes_back_for_somebody_to_look_at,
        what_broke_clients_may_be_taken_back_once,
        what_was_judged_beside_another_definition_is_not_judged,
        no_number_of_harmless_ones_pushes_out_what_was_caught,
        what_is_shown_to_one_user_while_it_waits_is_kept_too,
        what_one_user_is_shown_otherwise_is_withdrawn_from_everybody;
    observed:
        the_first_of_each_kind_is_kept_of_pinned_tools_only,
        what_is_forgotten_did_nothing;
    records:
        a_record_goes_its_way_and_every_step_is_kept,
        a_step_that_the_state_does_not_allow_changes_nothing,
        nothing_is_approved_without_everything_it_takes,
        what_moved_since_it_was_looked_at_is_not_decided,
        of_many_who_decide_on_the_same_sight_one_does,
        a_record_is_its_environments_own,
        what_is_approved_and_forgotten_is_in_review,
        every_step_is_noticed;
    untold:
        whatever_is_decided_is_left_to_be_told_and_told_once,
        what_lets_somebody_in_is_left_to_be_told_too,
        who_is_known_and_in_which_groups_is_left_to_be_told,
        what_is_not_done_leaves_nothing_to_be_told,
        what_somebody_else_left_is_told_late_and_as_it_was,
        of_many_who_tell_at_once_one_tells_each_event,
        however_much_a_look_finds_is_told_once_and_in_order,
        what_the_ledger_does_not_take_stays_to_be_told,
        an_event_of_a_kind_that_nobody_leaves_is_named_and_not_told_as_it_says,
        what_a_look_finds_is_left_to_be_told_with_what_the_looker_knows,
        what_a_crash_has_told_twice_is_known_by_server_version_and_time;
    secrets:
        a_secret_comes_back_as_it_was_sealed,
        a_users_secret_and_the_shared_one_never_stand_in_for_each_other,
        a_secret_of_one_server_is_not_given_to_another,
        a_secret_of_somebody_who_was_removed_is_nobodys,
        a_replaced_value_is_kept_until_nothing_uses_it,
        a_value_is_resealed_only_as_it_was_read,
        a_version_is_stored_once,
        a_removed_secret_is_gone_and_starts_again,
        listing_and_debug_show_no_value;
    index:
        a_call_is_found_with_everything_that_is_known_of_it,
        who_used_what_is_counted,
        an_open_call_has_no_decision,
        a_decision_is_found_however_it_came,
        every_filter_finds_its_calls_and_no_others,
        pages_follow_each_other_without_gap_or_repetition,
        text_is_searched_literally,
        a_batch_sent_twice_is_indexed_once,
        how_entries_are_batched_makes_no_difference,
        a_gap_is_refused_and_changes_nothing,
        what_somebody_else_filled_is_not_filled_on,
        a_wiped_index_is_filled_again_to_the_same,
        what_a_peer_sends_cannot_break_the_index,
        two_writers_of_one_log_do_not_disturb_each_other,
        what_calls_share_is_said_once_and_goes_with_them,
        what_is_remembered_of_a_wiped_index_is_forgotten,
        a_batch_that_failed_is_not_remembered,
        a_call_is_found_though_its_id_tells_another_time,
        an_interaction_that_is_named_after_a_call_has_its_calls,
        names_with_the_same_number_are_told_apart,
        a_shown_list_is_kept_once;
    gateways:
        whoever_is_there_by_other_rules_is_known;
    health:
        what_cannot_be_read_is_named_with_its_table;
    histories:
        nothing_leaves_without_a_yes_or_twice;
    property:
        pins_behave_like_their_model;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_behaviour_holds_on_postgresql() {
    let mut failed = Vec::new();
    for cases in CASES.chunks(6) {
        let mut running = Vec::new();
        for (name, case) in cases {
            let Some(bed) = Bed::postgres().await else { return };
            running.push((name, tokio::spawn(case(bed))));
        }
        for (name, case) in running {
            if case.await.is_err() {
                failed.push(*name);
            }
        }
    }
    assert!(failed.is_empty(), "on PostgreSQL these failed: {failed:#?}");
}
