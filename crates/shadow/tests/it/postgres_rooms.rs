//! The rooms' promises again, with their tables on PostgreSQL: statements, matching, links,
//! corrections, checks, monitors, reads and topics.

use std::cell::RefCell;
use std::sync::Arc;

use florin_platform::sql::Db;
use florin_platform::testing::postgres::TestPostgres;

thread_local! {
    /// The server of the tests that run on this thread.
    static SERVER: RefCell<Option<Arc<TestPostgres>>> = const { RefCell::new(None) };
}

/// Empty tables for a test: in memory, or on the server that its thread was given.
pub async fn tables() -> Db {
    let server = SERVER.with_borrow(Clone::clone);
    match server {
        Some(server) => server.fresh().await,
        None => Db::open_memory().await.expect("opens"),
    }
}

/// Runs tests one after the other on a server of their own.
fn on_postgres(tests: &[(&str, fn())]) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let Some(server) = runtime.block_on(TestPostgres::start()) else {
        println!("SKIPPED the shadow ledger on PostgreSQL: its server is not installed");
        return;
    };
    SERVER.set(Some(server));
    for (name, test) in tests {
        println!("on PostgreSQL: {name}");
        test();
    }
    SERVER.set(None);
}

macro_rules! on_postgres {
    ($($group:ident: $($test:ident),+;)+) => {$(
        #[test]
        fn $group() {
            on_postgres(&[$((stringify!($test), crate::$group::$test)),+]);
        }
    )+};
}

on_postgres! {
    importing:
        a_file_is_imported_once,
        refused_files_leave_nothing,
        a_gzip_bomb_is_too_large,
        partial_keeps_what_passes_and_multipart_is_unwrapped,
        ofx_goes_on_from_the_closing_before,
        rows_met_twice_wait_for_a_person,
        only_operators_import_and_match,
        long_statements_are_stored_in_chunks;
    reconciling:
        a_month_is_reconciled_and_reported,
        people_match_and_undo,
        a_flip_undoes_its_match,
        entries_shortly_before_the_start_are_matched,
        random_books_are_bridged;
    links:
        a_linked_book_is_the_account,
        a_correction_is_a_transfer,
        the_balances_agree_under_load;
    corrections:
        bad_requests_have_their_codes,
        four_eyes_above_the_limit,
        repetitions,
        reversals,
        four_eyes_on_every_path,
        one_of_two_deciders_wins,
        proposals_expire;
    drift:
        bad_checks_have_their_codes,
        a_missing_credit_is_explained_and_proposed,
        the_policy_posts_within_its_limits,
        an_entry_in_the_wrong_book_is_moved_by_a_pair,
        a_rejected_event_is_proposed_for_redrive,
        streams_are_paged;
    monitors:
        only_unexplained_drift_alerts,
        other_kinds;
    reading:
        inv_s7_the_last_event_has_the_greatest_key,
        inv_s8_what_was_known_stays_known,
        inv_s10_pages_fit_together_and_end_in_the_balance,
        a_deadline_makes_a_held_debit_final,
        floors_decide_and_cannot_be_set_against_history,
        inv_s13_the_same_set_has_the_same_digest_by_every_door;
    writing:
        an_event_is_recorded_once_and_told_apart_after_that;
    topics:
        row_50_inv_s14_a_bad_message_is_parked_and_stops_nothing,
        row_50_each_fault_of_an_event_has_its_code_at_the_topic,
        inv_s18_a_correction_of_a_topic_is_proposed_and_never_applied,
        inv_s2_copies_go_out_once_for_each_and_change_nothing_when_they_come_back,
        inv_s2_duplicates_change_nothing_by_any_door;
    bad_input:
        rows_1_to_6_answer_first_and_alone,
        rows_7_and_8_no_credential_wrong_role_out_of_scope,
        rows_9_to_23_name_each_fault,
        row_24_a_known_id_is_told_apart_by_its_content,
        row_25_ill_formed_instants,
        an_idempotency_key_replays_and_guards,
        a_batch_tells_what_became_of_each_item,
        a_broken_line_spoils_only_itself;
    rebuilding:
        inv_s6_rebuilt_equals_live_and_an_altered_row_is_named;
    conservation:
        inv_s5_balances_are_the_sum_of_entries_and_events_have_one_state,
        inv_s2_a_set_that_comes_again_by_the_other_door_leaves_no_trace,
        inv_s12_tables_and_numbers_are_exact;
    keys:
        matches_by_hand_are_made_once,
        reconciliations_and_imports_are_begun_once,
        steps_of_corrections_are_done_once,
        an_event_under_a_known_key_names_its_difference;
    opening:
        an_installation_has_an_id_of_its_own_for_ever;
    large_books:
        inv_s3_a_book_read_in_part_decides_as_one_in_memory,
        outlines_of_an_older_version_are_made_again;
}
