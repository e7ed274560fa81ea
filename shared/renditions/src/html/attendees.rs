//! Lists everyone who attended, whether they spoke or not, in a compact form.

use super::{
    super::{Meeting, Speaker},
    chart::Chart,
    put,
    text::{Escaped, counted, length},
};

/// The number of people who are shown at once. With more people, the others are folded away.
const SHOWN: usize = 48;

/// Writes the list, if it says more than the chart.
pub(super) fn write_attendees(meeting: &Meeting, chart: &Chart, out: &mut String) {
    let has_presence = meeting.attendees().any(|person| person.presence.present_ms.is_some());
    if !has_presence && silent(meeting) == 0 {
        return;
    }
    // Those who spoke come first, in the order of the chart.
    let speaking = chart.order().iter().filter_map(|at| Some((*at, meeting.speakers().get(*at)?)));
    let silent = meeting.speakers().iter().enumerate().filter(|(_, person)| person.words == 0);
    let people: Vec<(usize, &Speaker)> = speaking.chain(silent).filter(|(_, person)| !person.is_overflow).collect();
    out.push_str("<section class=\"there\" aria-labelledby=\"there\">\n<h2 id=\"there\">Who attended</h2>\n<ul>\n");
    // A few more are not worth folding.
    let shown = if people.len() > SHOWN + SHOWN / 4 { SHOWN } else { people.len() };
    for (row, &(at, person)) in people.iter().enumerate() {
        if row == shown {
            let others = people.len() - shown;
            put(out, format_args!("</ul>\n<details><summary>{others} more people</summary>\n<ul>\n"));
        }
        write_person(person, chart.color(at), out);
    }
    out.push_str("</ul>\n");
    if shown < people.len() {
        out.push_str("</details>\n");
    }
    let unlisted = meeting.participants_over_limit as u64;
    if unlisted > 0 {
        put(out, format_args!("<p>{} not listed</p>\n", counted(unlisted, "more person is", "more people are")));
    }
    out.push_str("</section>\n");
}

/// Returns how many people never spoke, as far as that is known.
pub(super) fn silent(meeting: &Meeting) -> usize {
    meeting.attendees().filter(|person| person.words == 0).count() + meeting.silent_over_limit()
}

fn write_person(person: &Speaker, color: usize, out: &mut String) {
    match person.words {
        0 => out.push_str("<li>"),
        _ => put(out, format_args!("<li class=\"spoke c{color}\">")),
    }
    put(out, format_args!("<b><bdi>{}</bdi>", Escaped(&person.label)));
    out.push_str(if person.is_host { " <small>host</small></b>" } else { "</b>" });
    if let Some(present_ms) = person.presence.present_ms {
        let present_ms = u32::try_from(present_ms).unwrap_or(u32::MAX);
        put(out, format_args!(" <span>{}</span>", length(present_ms)));
    }
    out.push_str("</li>\n");
}
