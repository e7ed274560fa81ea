//! Where a list is taken up, whatever became of its pages.

use super::*;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

/// In a pass that began a moment ago, after one that came to its end an hour ago.
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
fn a_list_is_read_to_its_end_and_begun_anew() {
    let mut cursor = ListCursor { began_at: Some(ago(1)), ..restarted() };
    assert!(turn(&mut cursor, Some("a".to_owned())));
    assert_eq!(cursor, at("a", 1));
    cursor.failures = 2;
    assert!(turn(&mut cursor, Some("b".to_owned())));
    assert_eq!(cursor, at("b", 2));
    assert!(!turn(&mut cursor, None));
    assert_eq!(cursor, ListCursor { complete_at: Some(ago(1)), ..ListCursor::default() });
    // A link that leads nowhere, and lists without an end.
    for (mut cursor, link) in [(at("a", 1), "a"), (at("a", 1), &*"x".repeat(5000)), (at("a", 99_999), "b")] {
        assert!(!turn(&mut cursor, Some(link.to_owned())));
        assert_eq!(cursor, restarted(), "it has not come to its end");
    }
}

#[test]
fn an_outage_that_outlasts_the_window_leaves_nothing_out() {
    const HOUR: u64 = 60 * 60;
    let window = Duration::from_secs(48 * HOUR);
    let first =
        |complete_at: Option<Timestamp>| since(&ListCursor { complete_at, ..ListCursor::default() }, window, NOW);
    assert_eq!(first(None), ago(48 * HOUR), "a new stack");
    assert_eq!(first(Some(ago(60))), ago(48 * HOUR + 60));
    // From Friday evening to Monday morning; a meeting that was still going on at its beginning is in the list, too.
    assert_eq!(first(Some(ago(63 * HOUR))), ago((63 + 48) * HOUR));
    assert_eq!(first(Some(ago(60 * 24 * HOUR))), ago(31 * 24 * HOUR));
    assert_eq!(first(Some(NOW.plus(window))), ago(48 * HOUR), "a clock was ahead");
    let month = ListCursor { complete_at: Some(ago(60)), ..ListCursor::default() };
    assert_eq!(since(&month, MAX_SPAN, NOW), ago(31 * 24 * HOUR));
}

/// Passes that do not come to the list's end, one after the other, all list from the same moment on.
#[test]
fn until_a_pass_is_complete_the_window_stays_where_the_first_one_put_it() {
    let window = Duration::from_secs(48 * 60 * 60);
    let mut cursor = ListCursor::default();
    let mut listed = Vec::new();
    for secs in [3 * 60 * 60, 2 * 60 * 60, 60 * 60] {
        cursor.begin(ago(secs));
        listed.push(since(&cursor, window, ago(secs)));
        give_up(&Problem::NotFound.into(), &mut cursor, ago(secs));
    }
    assert_eq!(listed, [ago(51 * 60 * 60); 3]);
    cursor.begin(ago(60));
    assert!(!turn(&mut cursor, None));
    assert_eq!(since(&cursor, window, NOW), ago(48 * 60 * 60 + 60));
}

#[test]
fn whatever_goes_wrong_says_where_to_go_on() {
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
        let mut left = at("a", 7);
        assert_eq!(give_up(&error, &mut left, NOW), reason, "{error:?}");
        assert_eq!(&left, cursor, "{error:?}");
    }
}

#[test]
fn a_page_that_cannot_be_had_does_not_hold_up_the_list_for_ever() {
    let mut cursor = at("a", 7);
    for failures in 1..MAX_FAILURES {
        give_up(&PageError::OutOfTime, &mut cursor, NOW);
        assert_eq!(cursor, ListCursor { failures, ..at("a", 7) });
    }
    give_up(&PageError::OutOfTime, &mut cursor, NOW);
    assert_eq!(cursor, restarted());
}

/// Whatever a throttled list asks for: the next run after this is not in a year.
#[test]
fn an_absurd_wait_is_cut_short() {
    let after = Some(Duration::from_secs(365 * 24 * 60 * 60));
    let error = Problem::Later { after, status: Some(429), source: None }.into();
    let mut cursor = at("a", 7);
    assert_eq!(give_up(&error, &mut cursor, NOW), "throttled");
    assert_eq!(cursor.retry_at, NOW.plus(MAX_WAIT));
    let error = Problem::Later { after: None, status: Some(429), source: None }.into();
    give_up(&error, &mut cursor, NOW);
    assert_eq!(cursor.retry_at, NOW.plus(THROTTLED_WAIT), "it names no time");
}

#[test]
fn nobody_waits_for_what_a_clock_that_was_ahead_has_written() {
    let in_secs = |secs| NOW.plus(Duration::from_secs(secs));
    for (until, held) in
        [(ago(1), false), (NOW, false), (in_secs(1), true), (in_secs(1200), true), (in_secs(1201), false)]
    {
        assert_eq!(holds(until, NOW, MAX_LEASE), held, "{until:?}");
    }
}

#[test]
fn a_slow_page_leaves_the_other_list_its_turn() {
    let (minute, second) = (Duration::from_secs(60), Duration::from_secs(1));
    assert_eq!(for_page(minute), 30 * second);
    assert!(minute.saturating_sub(for_page(minute)) >= SHORTEST_STEP);
    assert_eq!(for_page(6 * second), SHORTEST_STEP);
}
