//! Tests the reader of the participants file.

use std::fmt::Write;

use super::*;

fn read(file: &[u8], step: usize) -> Result<Participants, String> {
    let mut reader = ParticipantsReader::new();
    file.chunks(step).for_each(|chunk| reader.push(chunk));
    reader.finish()
}

fn names(participants: &Participants) -> Vec<Option<&str>> {
    participants.people.iter().map(|participant| participant.name.as_deref()).collect()
}

#[test]
fn participants_are_read_however_the_file_arrives() {
    let file = "\u{feff} [{\"id\": 1, \"name\": \"Ann\\u00eb\", \"is_host\": true, \"platform\": \"desktop\",
        \"extra_data\": {\"zoom\": {\"conf_user_id\": \"z\"}}, \"email\": \" ann@x.example\\n\"},
        {\"id\": 2, \"name\": null, \"is_host\": null, \"extra_data\": null, \"email\": null}, {\"name\": \"Bo\"}]\n";
    let whole = read(file.as_bytes(), usize::MAX).expect("a list");
    assert_eq!(names(&whole), [Some("Annë"), None, Some("Bo")]);
    let Participant { id, is_host, static_ids, email, .. } = &whole.people[0];
    assert_eq!((id.as_deref(), *is_host, email.as_deref()), (Some("1"), true, Some("ann@x.example")));
    assert_eq!(static_ids, &[("zoom", "z".to_owned())]);
    assert_eq!((whole.skipped_values(), whole.over_limit), (0, 0));
    for step in 1..40 {
        assert_eq!(read(file.as_bytes(), step).as_ref(), Ok(&whole), "in steps of {step}");
    }
}

#[test]
fn elements_of_a_wrong_shape_are_skipped_and_counted() {
    let file = br#"[null, 5, "Ann", ["x"], {}, {"id": null, "name": " "}, {"id": {}, "name": "Ann", "is_host": "yes"},
        {"id": 7, "name": [], "email": 5}, {"id": 8, "name": "Bo", "email": "nobody", "is_host": NaN},
        {"id": "9", "name": "\ud83d", "extra_data": [1]}, {"id": 7, "name": "Cy", "email": "c@x.example"}]"#;
    let read = read(file, 3).expect("a list");
    assert_eq!(names(&read), [Some("Ann"), Some("Cy"), Some("Bo"), Some("\u{fffd}\u{fffd}\u{fffd}")]);
    let emails: Vec<_> = read.people.iter().map(|participant| participant.email.as_deref()).collect();
    assert_eq!(emails, [None, Some("c@x.example"), None, None]);
    assert_eq!(read.skipped_values(), 9);
}

#[test]
fn file_that_is_no_list_is_refused_with_a_reason() {
    for (file, why) in [
        ("", "not valid JSON: the file is incomplete"),
        ("[{\"id\": 1}", "not valid JSON: the file is incomplete"),
        ("{\"results\": []}", "not valid JSON of a list of participants at byte 0: expected an array"),
        ("<html>", "not valid JSON of a list of participants at byte 0: expected an array"),
        ("[] []", "not valid JSON of a list of participants at byte 3: expected nothing after the array"),
        (
            "[{\"id\": 1} {\"id\": 2}]",
            "not valid JSON of a list of participants at byte 11: expected a comma or the end",
        ),
        ("[\"\u{0}", "not valid JSON of a list of participants at byte 1: expected an object"),
    ] {
        assert_eq!(read(file.as_bytes(), 1), Err(why.to_owned()), "{file}");
    }
    assert_eq!(read(b"[\"\xff\"]", 1), Err("not valid JSON: the file is not UTF-8".to_owned()));
    let long = format!("[{{\"name\": \"{}\"}}]", "x".repeat(2 << 20));
    assert!(read(long.as_bytes(), 1000).expect_err("too long").contains("longer than"));
    assert_eq!(read(b"[]", 1), Ok(Participants::default()));
}

#[test]
fn memory_is_limited_for_a_large_file() {
    let mut reader = ParticipantsReader::new();
    reader.push(b"[");
    for n in 0..100_000 {
        let mut element = String::from(if n > 0 { "," } else { "" });
        let name = format!("Person with a long name {n} {}", "x".repeat(100));
        let _ = write!(element, r#"{{"id": {n}, "name": "{name}", "email": "person{n}@x.example", "is_host": false}}"#);
        reader.push(element.as_bytes());
        assert!(reader.0.pending_bytes() < 1 << 10);
    }
    reader.push(b"]");
    let read = reader.finish().expect("a list");
    assert!(read.people.len() == MAX_KEPT && read.over_limit == 90_000, "{} {}", read.people.len(), read.over_limit);
    let bytes: usize = read.people.iter().map(Participant::text_bytes).sum();
    assert!(bytes < MAX_KEPT_BYTES);
    // Longer names leave room for fewer people.
    let person = |n: u32| format!(r#"{{"id": {n}, "name": "{}"}}"#, "x".repeat(5000));
    let file = format!("[{}]", (0..20_000).map(person).collect::<Vec<_>>().join(","));
    let read = read_all(&file);
    assert!(read.people.len() > 10_000 / 2 && read.people.len() + read.over_limit == 20_000);
}

fn read_all(file: &str) -> Participants {
    read(file.as_bytes(), 64 << 10).expect("a list")
}
