//! Where a list is taken up, whatever became of its pages.

use super::*;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

/// In a pass that began a moment ago, after one that came to its end an hour ago.
fn at(link: &str, pages: u32) -> Position {
    Position { next: Some(link.to_owned()), pages, began_at: Some(ago(1)), ..anew() }
}

fn anew() -> Position {
    Position { complete_at: Some(ago(60 * 60)), ..Position::default() }
}

fn ago(secs: u64) -> Timestamp {
    NOW.minus(Duration::from_secs(secs))
}

#[test]
fn a_list_is_read_to_its_end_and_begun_anew() {
    let mut position = Position { began_at: Some(ago(1)), ..anew() };
    assert!(turn(&mut position, Some("a".to_owned())));
    assert_eq!(position, at("a", 1));
    position.failures = 2;
    assert!(turn(&mut position, Some("b".to_owned())));
    assert_eq!(position, at("b", 2));
    assert!(!turn(&mut position, None));
    assert_eq!(position, Position { complete_at: Some(ago(1)), ..Position::default() });
    // A link that leads nowhere, and lists without an end.
    for (mut position, link) in [(at("a", 1), "a"), (at("a", 1), &*"x".repeat(5000)), (at("a", 9_999), "b")] {
        assert!(!turn(&mut position, Some(link.to_owned())));
        assert_eq!(position, anew(), "it has not come to its end");
    }
}

#[test]
fn an_outage_that_outlasts_the_window_leaves_nothing_out() {
    const HOUR: u64 = 60 * 60;
    let window = Duration::from_secs(48 * HOUR);
    let first = |complete_at: Option<Timestamp>| since(&Position { complete_at, ..Position::default() }, window, NOW);
    assert_eq!(first(None), ago(48 * HOUR), "a new stack");
    assert_eq!(first(Some(ago(60))), ago(48 * HOUR + 60));
    // From Friday evening to Monday morning; a meeting that was still going on at its beginning is in the list, too.
    assert_eq!(first(Some(ago(63 * HOUR))), ago((63 + 48) * HOUR));
    assert_eq!(first(Some(ago(60 * 24 * HOUR))), ago(31 * 24 * HOUR));
    assert_eq!(first(Some(NOW.plus(window))), ago(48 * HOUR), "a clock was ahead");
    let month = Position { complete_at: Some(ago(60)), ..Position::default() };
    assert_eq!(since(&month, MAX_SPAN, NOW), ago(31 * 24 * HOUR));
}

#[test]
fn whatever_goes_wrong_says_where_to_go_on() {
    let later = |status| Problem::Later { after: Duration::from_secs(90), status, source: None };
    let end = After::EndRun { until: NOW };
    let wait = After::EndRun { until: NOW.plus(Duration::from_secs(90)) };
    let (stays, anew) = (at("a", 7), anew());
    let failed = Position { failures: 1, ..stays.clone() };
    let unexpected = |status| Problem::Unexpected { status, detail: String::new() };
    for (error, after, position) in [
        (later(Some(429)).into(), wait, &stays),
        (later(Some(503)).into(), After::EndList, &failed),
        (later(None).into(), After::EndList, &failed),
        (Problem::NotFound.into(), After::EndList, &anew),
        (unexpected(400).into(), After::EndList, &anew),
        (unexpected(200).into(), After::EndList, &anew),
        (Problem::Operator { status: 401 }.into(), end, &stays),
        (Problem::Operator { status: 404 }.into(), end, &anew),
        (StoreError::Unavailable("x".into()).into(), end, &failed),
        (PageError::OutOfTime, end, &failed),
    ] {
        let mut left = at("a", 7);
        assert_eq!(give_up(&error, &mut left, NOW).1, after, "{error:?}");
        assert_eq!(&left, position, "{error:?}");
    }
}

#[test]
fn a_page_that_cannot_be_had_does_not_hold_up_the_list_for_ever() {
    let mut position = at("a", 7);
    for failures in 1..MAX_FAILURES {
        give_up(&PageError::OutOfTime, &mut position, NOW);
        assert_eq!(position, Position { failures, ..at("a", 7) });
    }
    give_up(&PageError::OutOfTime, &mut position, NOW);
    assert_eq!(position, anew());
}

/// Whatever a throttled list asks for: the next run after this is not in a year.
#[test]
fn an_absurd_wait_is_cut_short() {
    let after = Duration::from_secs(365 * 24 * 60 * 60);
    let error = Problem::Later { after, status: Some(429), source: None }.into();
    let (reason, after) = give_up(&error, &mut at("a", 7), NOW);
    assert_eq!((reason, after), ("throttled", After::EndRun { until: NOW.plus(MAX_WAIT) }));
}
