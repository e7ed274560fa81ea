//! Where a list continues after its pages were read, or failed.

use super::*;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

/// A cursor of a pass that began a second ago, after a pass that began an hour ago was completed.
fn at(link: &str, pages: u32) -> ListCursor {
    ListCursor { next: Some(link.to_owned()), pages, began_at: Some(ago(1)), ..restarted() }
}

fn restarted() -> ListCursor {
    ListCursor { complete_at: Some(ago(60 * 60)), ..ListCursor::default() }
}

fn ago(secs: u64) -> Timestamp {
    NOW.minus(Duration::from_secs(secs))
}

#[test]
fn list_is_read_to_its_end_and_starts_again() {
    let mut cursor = ListCursor { began_at: Some(ago(1)), ..restarted() };
    assert!(advance_cursor(&mut cursor, Some("a".to_owned())));
    assert_eq!(cursor, at("a", 1));
    cursor.failures = 2;
    assert!(advance_cursor(&mut cursor, Some("b".to_owned())));
    assert_eq!(cursor, at("b", 2));
    assert!(!advance_cursor(&mut cursor, None));
    assert_eq!(cursor, ListCursor { complete_at: Some(ago(1)), ..ListCursor::default() });
    // A link to the same page, a link that is too long, and a list without an end.
    for (mut cursor, link) in [(at("a", 1), "a"), (at("a", 1), &*"x".repeat(5000)), (at("a", 99_999), "b")] {
        assert!(!advance_cursor(&mut cursor, Some(link.to_owned())));
        assert_eq!(cursor, restarted(), "the pass was not completed");
    }
}

#[test]
fn window_covers_an_outage_that_is_longer_than_the_window() {
    const HOUR: u64 = 60 * 60;
    let window = Duration::from_secs(48 * HOUR);
    let first = |complete_at: Option<Timestamp>| {
        window_start(&ListCursor { complete_at, ..ListCursor::default() }, window, NOW)
    };
    assert_eq!(first(None), ago(48 * HOUR), "a new stack");
    assert_eq!(first(Some(ago(60))), ago(48 * HOUR + 60));
    // An outage from Friday evening to Monday morning. A meeting that was in progress when it began is listed as well.
    assert_eq!(first(Some(ago(63 * HOUR))), ago((63 + 48) * HOUR));
    assert_eq!(first(Some(ago(60 * 24 * HOUR))), ago(31 * 24 * HOUR));
    assert_eq!(first(Some(NOW.plus(window))), ago(48 * HOUR), "a clock was ahead of ours");
    let month = ListCursor { complete_at: Some(ago(60)), ..ListCursor::default() };
    assert_eq!(window_start(&month, MAX_SPAN, NOW), ago(31 * 24 * HOUR));
}

/// Consecutive passes that do not reach the end of the list all list entries from the same time.
#[test]
fn window_does_not_move_until_a_pass_is_complete() {
    let window = Duration::from_secs(48 * 60 * 60);
    let mut cursor = ListCursor::default();
    let mut starts = Vec::new();
    for secs in [3 * 60 * 60, 2 * 60 * 60, 60 * 60] {
        cursor.begin(ago(secs));
        starts.push(window_start(&cursor, window, ago(secs)));
        record_failure(&Problem::NotFound.into(), &mut cursor, ago(secs));
    }
    assert_eq!(starts, [ago(51 * 60 * 60); 3]);
    cursor.begin(ago(60));
    assert!(!advance_cursor(&mut cursor, None));
    assert_eq!(window_start(&cursor, window, NOW), ago(48 * 60 * 60 + 60));
}

#[test]
fn failures_say_where_the_list_continues() {
    let later = |status| Problem::Later { after: Some(Duration::from_secs(90)), status, source: None };
    let (stays, restarted) = (at("a", 7), restarted());
    let waits = ListCursor { retry_at: NOW.plus(Duration::from_secs(90)), ..stays.clone() };
    let failed = ListCursor { failures: 1, ..stays.clone() };
    let unexpected = |status| Problem::Unexpected { status, detail: String::new() };
    for (error, reason, cursor) in [
        (later(Some(429)).into(), "throttled", &waits),
        (later(Some(503)).into(), "unanswered", &failed),
        (later(None).into(), "unanswered", &failed),
        (Problem::NotFound.into(), "refused", &restarted),
        (unexpected(400).into(), "refused", &restarted),
        (unexpected(200).into(), "refused", &restarted),
        (Problem::Operator { status: 401 }.into(), "operator", &stays),
        (Problem::Operator { status: 404 }.into(), "operator", &restarted),
        (StoreError::Unavailable { operation: "GetItem", source: "x".into() }.into(), "unavailable", &failed),
        (PageError::OutOfTime, "out_of_time", &failed),
    ] {
        let mut actual = at("a", 7);
        assert_eq!(record_failure(&error, &mut actual, NOW), reason, "{error:?}");
        assert_eq!(&actual, cursor, "{error:?}");
    }
}

#[test]
fn page_that_keeps_failing_restarts_its_list() {
    let mut cursor = at("a", 7);
    for failures in 1..MAX_FAILURES {
        record_failure(&PageError::OutOfTime, &mut cursor, NOW);
        assert_eq!(cursor, ListCursor { failures, ..at("a", 7) });
    }
    record_failure(&PageError::OutOfTime, &mut cursor, NOW);
    assert_eq!(cursor, restarted());
}

/// Recall may ask a throttled list to wait for a year. The list does not wait that long.
#[test]
fn throttled_wait_has_a_limit() {
    let after = Some(Duration::from_secs(365 * 24 * 60 * 60));
    let error = Problem::Later { after, status: Some(429), source: None }.into();
    let mut cursor = at("a", 7);
    assert_eq!(record_failure(&error, &mut cursor, NOW), "throttled");
    assert_eq!(cursor.retry_at, NOW.plus(MAX_WAIT));
    let error = Problem::Later { after: None, status: Some(429), source: None }.into();
    record_failure(&error, &mut cursor, NOW);
    assert_eq!(cursor.retry_at, NOW.plus(THROTTLED_WAIT), "Recall names no time");
}

#[test]
fn wait_written_by_a_clock_far_ahead_is_ignored() {
    let in_secs = |secs| NOW.plus(Duration::from_secs(secs));
    for (until, waits) in
        [(ago(1), false), (NOW, false), (in_secs(1), true), (in_secs(1200), true), (in_secs(1201), false)]
    {
        assert_eq!(must_wait(until, NOW, MAX_LEASE), waits, "{until:?}");
    }
}

#[test]
fn page_time_leaves_time_for_the_other_list() {
    let (minute, second) = (Duration::from_secs(60), Duration::from_secs(1));
    assert_eq!(page_time(minute), 30 * second);
    assert!(minute.saturating_sub(page_time(minute)) >= MIN_STEP_TIME);
    assert_eq!(page_time(6 * second), MIN_STEP_TIME);
}
