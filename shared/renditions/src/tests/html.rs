//! Tests what must hold for every page. `tests/browser/page.py` tests how pages look and behave in a browser, with the
//! files that are written here.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use super::{info, meeting, render};
use crate::{
    Attendance, EventsReader, Format, MeetingInfo, ParticipantsReader, RecordingTimes, TranscriptReader,
    html::{SCRIPT, STYLE},
};

const SPOKEN: &str = "so I think we should start with the numbers from last week because they tell most of the \
    story and then go through the roadmap one item at a time the migration is nearly done only the billing \
    tables are left we saw a small rise in latency on Tuesday which turned out to be the new index can you say \
    more about that sure the planner picked the wrong one for about an hour and nobody noticed until the \
    dashboard went yellow";

/// Returns a page without the style, the script and their hashes. Style and script are reviewed in their own files.
pub(super) fn bare(page: &str) -> String {
    page.replace(STYLE, "…").replace(SCRIPT, "…").replace(&hash(STYLE), "…").replace(&hash(SCRIPT), "…")
}

fn hash(source: &str) -> String {
    STANDARD.encode(digest(&SHA256, source.as_bytes()))
}

/// Returns a conversation of this length with 150 words per minute. One turn in eight begins before the previous one
/// has ended.
fn conversation(minutes: u32, people: u32) -> Vec<u8> {
    let spoken: Vec<&str> = SPOKEN.split(' ').collect();
    let (mut turns, mut at_s, mut number) = (Vec::new(), 0.8, 0_u32);
    while at_s < f64::from(minutes * 60) {
        // Any numbers will do that do not repeat soon. People at the start of the list speak more often.
        let chance = |of: u32, salt: u32| number.wrapping_add(salt).wrapping_mul(2_654_435_761).rotate_left(11) % of;
        let speaker = chance(people, 1).min(chance(people, 2));
        let words = [3, 5, 8, 12, 20, 30][chance(6, 3) as usize];
        let start_s = if number % 8 == 7 { at_s - 2.0 } else { at_s };
        let word = |index: u32| {
            let from_s = start_s + f64::from(index) * 0.4;
            json!({
                "text": spoken[((number * 7 + index) as usize) % spoken.len()],
                "start_timestamp": {"relative": from_s, "absolute": null},
                "end_timestamp": {"relative": from_s + 0.36, "absolute": null},
            })
        };
        let words: Vec<Value> = (0..words).map(word).collect();
        at_s = start_s + 0.4 * words.len() as f64 + 0.3;
        let name = format!("{} {}", ["Ann", "Bob", "Chidi", "Dana", "Eve", "Femi"][speaker as usize % 6], speaker + 1);
        turns.push(json!({
            "participant": {"id": speaker, "name": name, "is_host": speaker == 0},
            "language_code": "en",
            "words": words,
        }));
        number += 1;
    }
    json!(turns).to_string().into_bytes()
}

/// Returns the page of a conversation of 45 minutes between ten people, in which others attend as well and do not
/// speak.
fn audience(people: u32) -> String {
    let names = ["Femi", "Alexandra", "Bo", "Maria-Magdalena Konstantinopoulou", "山田 太郎", "Priya"];
    let person = |id: u32| {
        let name = format!("{} {}", names[id as usize % names.len()], id + 1);
        json!({"id": id, "name": name, "is_host": id == 0 || id == 17, "email": null})
    };
    let stay = |id: u32| {
        let event = |action: &str, at_s: u32| {
            let timestamp = json!({"relative": at_s, "absolute": null});
            json!({"action": action, "participant": {"id": id}, "timestamp": timestamp})
        };
        let joined_s = id * 7 % 300;
        [event("join", joined_s), event("leave", 2700 - (id * 131) % 2000)]
    };
    let mut participants = ParticipantsReader::new();
    participants.push(json!((0..people).map(person).collect::<Vec<_>>()).to_string().as_bytes());
    let started_at = info().started_at;
    let times = RecordingTimes { started_at, completed_at: started_at.map(|at| at.plus(Duration::from_secs(2700))) };
    let mut events = EventsReader::new(times);
    events.push(json!((0..people).flat_map(stay).collect::<Vec<_>>()).to_string().as_bytes());
    let attendance = Attendance::new(participants.finish().ok(), events.finish().ok(), None);
    let mut reader = TranscriptReader::new(times);
    reader.push(&conversation(45, 10));
    let info = MeetingInfo { ended_at: times.completed_at, platform: Some("google_meet".to_owned()), ..info() };
    render(&reader.finish(info, attendance).meeting.expect("a transcript"), Format::Html)
}

/// Returns the pages of all fixtures, of three large meetings, of a meeting without times, and of two meetings with an
/// audience, by name.
fn pages() -> Vec<(String, String)> {
    let large = [("hour", conversation(60, 6)), ("day", conversation(480, 6)), ("crowd", conversation(90, 40))];
    let untimed = String::from_utf8(conversation(3, 3)).expect("JSON").replace("_timestamp", "_nothing").into_bytes();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let fixtures = fixtures.read_dir().expect("the folder of fixtures").map(|entry| {
        let folder = entry.expect("a fixture").path();
        let name = folder.file_name().expect("a name").to_string_lossy().into_owned();
        (name, std::fs::read(folder.join("transcript.json")).expect("a transcript"))
    });
    large
        .map(|(name, file)| (name.to_owned(), file))
        .into_iter()
        .chain([("untimed".to_owned(), untimed)])
        .chain(fixtures)
        .map(|(name, file)| (name, render(&meeting(&file, usize::MAX).expect("a transcript"), Format::Html)))
        .chain([("audience".to_owned(), audience(40)), ("webinar".to_owned(), audience(1500))])
        .collect()
}

/// Returns every text between the two marks.
fn between<'a>(page: &'a str, before: &'a str, after: &'a str) -> Vec<&'a str> {
    page.split(before).skip(1).map(|rest| rest.split(after).next().unwrap_or_default()).collect()
}

#[test]
fn pages_are_self_contained_and_linked() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/pages");
    std::fs::create_dir_all(&folder).expect("a folder for the browser's test");
    for (name, page) in pages() {
        std::fs::write(folder.join(format!("{name}.html")), &page).expect("a page for the browser's test");

        // The policy allows exactly this style and this script. Nothing else can run or load.
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; media-src blob:; base-uri 'none'; \
             form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
            hash(STYLE),
            hash(SCRIPT)
        );
        assert_eq!(between(&page, "<meta http-equiv=\"Content-Security-Policy\" content=\"", "\""), [policy], "{name}");
        assert_eq!(between(&page, "<style>", "</style>"), [STYLE], "{name}");
        let bare = bare(&page);
        for tag in between(&bare, "<", ">") {
            // Remove the attribute values.
            let names: String = tag.split('"').step_by(2).collect();
            assert!(!names.contains("style=") && !names.contains("src=") && !names.contains(" on"), "{name}: {tag}");
        }
        assert!(between(&bare, "href=\"", "\"").iter().all(|link| link.starts_with('#')), "{name}");

        // Every link has a target, even without the script, and no id appears twice.
        let ids = between(&bare, " id=\"", "\"");
        let unique: HashSet<_> = ids.iter().collect();
        assert_eq!(unique.len(), ids.len(), "{name}");
        let said = between(&bare, "<a class=\"at\" href=\"#", "\"");
        let dead: Vec<_> = between(&bare, "href=\"#", "\"").into_iter().filter(|link| !unique.contains(link)).collect();
        assert!(dead.is_empty(), "{name}: {dead:?}");
        assert_eq!(
            between(&bare, "<div class=\"turn", "<p dir=\"auto\"").len(),
            between(&bare, "<p dir=", "</p>").len()
        );

        let (speech, silence) = (!said.is_empty() || bare.contains("<div class=\"turn"), bare.contains("Nobody spoke"));
        assert!(speech != silence, "{name}");
        assert_eq!(between(&page, "<script>", "</script>"), if speech { vec![SCRIPT] } else { vec![] }, "{name}");
    }
}

#[test]
fn style_and_script_contain_no_end_tag() {
    for source in [STYLE, SCRIPT] {
        assert!(!source.contains("</") && !source.contains("<!--") && !source.contains('\r'));
    }
}

#[test]
fn spoken_text_is_never_markup() {
    let said = "<script>alert(1)</script> --> <!-- </title> \"onload='x' & &lt; \u{fffe}\u{1ffff}\u{fdd0}";
    let file = json!([{
        "participant": {"id": 1, "name": said, "is_host": true},
        "language_code": "en\"><script>",
        "words": [{"text": said, "start_timestamp": null, "end_timestamp": null}],
    }]);
    let page = bare(&render(&meeting(file.to_string().as_bytes(), usize::MAX).expect("a transcript"), Format::Html));
    assert_eq!(page.matches("<script").count(), 1);
    assert_eq!(page.matches("&lt;script&gt;alert(1)&lt;/script&gt; --&gt; &lt;!-- &lt;/title&gt;").count(), 4);
    assert_eq!(page.matches("&quot;onload=&#39;x&#39; &amp; &amp;lt; \u{fffd}\u{fffd}\u{fffd}").count(), 4);
    // An invalid language code is left out, and so are all times.
    assert!(
        !page.contains("lang=\"en&") && !page.contains("data-at") && !page.contains("<h3") && !page.contains(">0:")
    );
}

#[test]
fn pages_of_long_meetings_are_small() {
    let size = |minutes, people| {
        let file = conversation(minutes, people);
        render(&meeting(&file, usize::MAX).expect("a transcript"), Format::Html).len()
    };
    assert!(size(60, 6) < 300_000, "an hour: {} bytes", size(60, 6));
    assert!(size(480, 6) < 1_500_000, "eight hours: {} bytes", size(480, 6));
    // Each speaker has a row and a lane of limited length.
    assert!(size(60, 600) < 1_000_000, "a crowd: {} bytes", size(60, 600));
}

#[test]
fn everyone_who_attended_is_listed_with_the_time_present() {
    let page = bare(&audience(40));
    let listed = between(&page, "<h2 id=\"there\">Who attended</h2>", "</section>")[0];
    assert_eq!(listed.matches("<li").count(), 40);
    assert_eq!(listed.matches("<li class=\"spoke").count(), 10);
    assert!(listed.contains("<li><b><bdi>Priya 18</bdi> <small>host</small></b> <span>"), "{listed}");
    assert!(page.contains("<span>Google Meet</span> <span>40 people</span> <span>10 speakers</span>"));
    assert_eq!(between(&page, "<section class=\"who\"", "</section>")[0].matches("<li class=\"c").count(), 10);
    let page = audience(1500);
    assert!(
        page.contains("<summary>952 more people</summary>") && page.contains("<p>500 more people are not listed</p>")
    );
}
