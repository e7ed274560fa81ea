//! Draws how long and when everyone spoke: one row per speaker, as plain paths. No color or size needs an inline style.

use super::{
    super::{Meeting, Speaker},
    COLORS, put,
    text::{Escaped, clock},
};

/// The number of steps in a lane, so that a path is short even for a long meeting. There are more steps than pixels:
/// the browser shades the details, and a busy day does not look like one solid bar.
const STEPS: u32 = 4000;
/// The maximum number of rows. With more speakers, those who spoke least are folded away.
const ROWS: usize = 12;
/// The number of labels on the time axis. On a phone, more labels would touch.
const TICKS: u32 = 6;

#[derive(Debug, Default)]
pub(super) struct Chart {
    /// Whether any time is known. Otherwise the chart counts words, and draws nothing over time.
    pub(super) timed: bool,
    /// Whether times are written with hours.
    pub(super) hours: bool,
    /// The speakers who said something, ordered by how much, then by appearance.
    order: Vec<usize>,
    /// For each speaker, the index in `order`.
    ranks: Vec<usize>,
    /// For each speaker, the lane.
    lanes: Vec<Lane>,
    /// The labels of the time axis in milliseconds, each with the second of the last turn that starts no later.
    ticks: Vec<(u32, Option<u32>)>,
}

impl Chart {
    pub(super) fn of(meeting: &Meeting) -> Self {
        let speakers = meeting.speakers();
        let mut lanes = vec![Lane::default(); speakers.len()];
        let mut timed = false;
        let mut ticks = ticks(meeting.duration_ms());
        for (speaker, span) in meeting.spans() {
            if let Some(start_ms) = span.map(|span| span.start_ms) {
                timed = true;
                for (at_ms, second) in &mut ticks {
                    if start_ms <= *at_ms || second.is_none() {
                        *second = Some(start_ms / 1000);
                    }
                }
            }
            if let Some(lane) = lanes.get_mut(speaker) {
                lane.add(span, meeting.duration_ms());
            }
        }
        let mut order: Vec<usize> = (0..speakers.len()).filter(|&at| speakers[at].words > 0).collect();
        order.sort_by_key(|&at| std::cmp::Reverse(amount(&speakers[at], timed)));
        let mut ranks = vec![0; speakers.len()];
        for (rank, &at) in order.iter().enumerate() {
            ranks[at] = rank;
        }
        Self { timed, hours: meeting.duration_ms() >= 3_600_000, order, ranks, lanes, ticks }
    }

    /// The speakers who said something, ordered by how much.
    pub(super) fn order(&self) -> &[usize] {
        &self.order
    }

    /// Returns how many people said something.
    pub(super) fn speakers(&self) -> usize {
        self.order.len()
    }

    pub(super) fn color(&self, speaker: usize) -> usize {
        self.ranks.get(speaker).copied().unwrap_or(0) % COLORS
    }

    pub(super) fn write(&self, meeting: &Meeting, out: &mut String) {
        put(
            out,
            format_args!(
                "<section class=\"who{}\" aria-labelledby=\"who\" data-ms=\"{}\">\n<h2 id=\"who\">{}</h2>\n<ol>\n",
                if self.timed { "" } else { " untimed" },
                meeting.duration_ms().max(1),
                if self.timed { "Who spoke, and when" } else { "Who spoke" }
            ),
        );
        let amounts = || self.order.iter().map(|&at| amount(&meeting.speakers()[at], self.timed));
        let of_all = (amounts().max().unwrap_or(0), amounts().sum());
        let folds = self.order.len() > ROWS;
        for (row, &speaker) in self.order.iter().enumerate() {
            if folds && row == ROWS - 1 {
                out.push_str("</ol>\n");
                self.write_axis(meeting.duration_ms(), out);
                let others = self.order.len() - row;
                put(out, format_args!("<details><summary>{others} more speakers</summary>\n<ol>\n"));
            }
            self.write_row(meeting.speakers(), speaker, of_all, out);
        }
        out.push_str("</ol>\n");
        if folds {
            out.push_str("</details>\n");
        } else {
            self.write_axis(meeting.duration_ms(), out);
        }
        out.push_str("</section>\n");
    }

    /// Writes the row of one speaker. `most` is the largest amount of any speaker, `total` the sum over all speakers.
    fn write_row(&self, speakers: &[Speaker], at: usize, (most, total): (u64, u64), out: &mut String) {
        let Speaker { label, is_host, .. } = &speakers[at];
        let lane = &self.lanes[at];
        let own = amount(&speakers[at], self.timed);
        let written = match self.timed {
            // Started seconds count, so that no speaker has a time of zero.
            true => clock(u32::try_from(own.next_multiple_of(1000)).unwrap_or(u32::MAX), self.hours),
            false => own.to_string(),
        };
        put(
            out,
            format_args!(
                "<li class=\"c{}\"><button type=\"button\" class=\"name\" data-s=\"{at}\" aria-pressed=\"false\" \
                 title=\"{label}\"><bdi>{label}</bdi>{}</button>\
                 <svg class=\"share\" viewBox=\"0 0 100 1\" preserveAspectRatio=\"none\" aria-hidden=\"true\">\
                 <path d=\"M0 .5h{}\"/></svg>\
                 <span class=\"time\">{}{written}{}</span> <span class=\"part\">{}%</span>",
                self.color(at),
                if *is_host { " <small>host</small>" } else { "" },
                percent(own, most),
                // The amount is partly an estimate.
                if self.timed && lane.untimed { "~" } else { "" },
                if self.timed { "" } else { " words" },
                percent(own, total),
                label = Escaped(label),
            ),
        );
        if self.timed {
            put(
                out,
                format_args!(
                    "<svg class=\"lane\" viewBox=\"0 0 {STEPS} 1\" preserveAspectRatio=\"none\" aria-hidden=\"true\">\
                     <path id=\"l{at}\" d=\"{}\"/></svg>",
                    lane.path()
                ),
            );
        }
        out.push_str("</li>\n");
    }

    /// Writes the whole meeting as one lane, which reuses the paths of the chart.
    pub(super) fn write_strip(&self, out: &mut String) {
        if !self.timed {
            return;
        }
        put(
            out,
            format_args!(
                "<svg class=\"strip\" viewBox=\"0 0 {STEPS} 1\" preserveAspectRatio=\"none\" aria-hidden=\"true\">"
            ),
        );
        for &speaker in &self.order {
            put(out, format_args!("<use href=\"#l{speaker}\" class=\"c{}\"/>", self.color(speaker)));
        }
        out.push_str("<rect width=\"12\" height=\"1\"/></svg>\n");
    }

    fn write_axis(&self, duration_ms: u32, out: &mut String) {
        if !self.timed {
            return;
        }
        out.push_str("<div class=\"axis\"><svg role=\"group\" aria-label=\"Time\">");
        for &(at_ms, second) in &self.ticks {
            let permille = permille(at_ms, duration_ms);
            let (x, tenth) = (permille / 10, permille % 10);
            put(out, format_args!("<line x1=\"{x}.{tenth}%\" x2=\"{x}.{tenth}%\" y1=\"0\" y2=\"5\"/>"));
            let text = format!("<text x=\"{x}.{tenth}%\" y=\"18\">{}</text>", clock(at_ms, self.hours));
            match second {
                Some(second) => put(out, format_args!("<a href=\"#t={second}\">{text}</a>")),
                None => out.push_str(&text),
            }
        }
        out.push_str("</svg></div>\n");
    }
}

/// Returns the labels of the time axis, without their links.
fn ticks(duration_ms: u32) -> Vec<(u32, Option<u32>)> {
    const SECONDS: [u32; 13] = [5, 10, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400];
    let seconds = SECONDS.into_iter().find(|seconds| duration_ms / (seconds * 1000) <= TICKS);
    // A recording of more than a day is divided into equal parts of whole hours.
    let step_ms = seconds.map_or(duration_ms / TICKS / 3_600_000 * 3_600_000, |seconds| seconds * 1000);
    // A label at the very end would be outside of the chart.
    let at = (0..=TICKS).map(|tick| tick.saturating_mul(step_ms)).filter(|at_ms| permille(*at_ms, duration_ms) <= 930);
    at.map(|at_ms| (at_ms, None)).collect()
}

fn permille(at_ms: u32, duration_ms: u32) -> u64 {
    u64::from(at_ms) * 1000 / u64::from(duration_ms.max(1))
}

/// Returns how much a speaker said: in milliseconds, or in words if no time is known.
fn amount(speaker: &Speaker, timed: bool) -> u64 {
    if timed { speaker.talk_ms } else { speaker.words }
}

fn percent(part: u64, whole: u64) -> u64 {
    (part * 100 + whole / 2).checked_div(whole).unwrap_or(0)
}

/// The steps in which one speaker talks, one bit per step.
#[derive(Clone, Debug)]
struct Lane {
    steps: [u64; (STEPS as usize).div_ceil(64)],
    /// Whether the speaker has words without a known time. They are not drawn.
    untimed: bool,
}

impl Default for Lane {
    fn default() -> Self {
        Self { steps: [0; _], untimed: false }
    }
}

impl Lane {
    fn add(&mut self, span: Option<crate::times::Span>, duration_ms: u32) {
        let Some(span) = span else {
            self.untimed = true;
            return;
        };
        let last_step = u64::from(STEPS - 1);
        let step = |ms: u32| u64::from(ms) * u64::from(STEPS) / u64::from(duration_ms.max(1));
        // A span has at least one step, so that even one word is visible.
        let first = step(span.start_ms).min(last_step);
        let last = step(span.end_ms.saturating_sub(1)).clamp(first, last_step);
        for at in first..=last {
            self.steps[(at / 64) as usize] |= 1 << (at % 64);
        }
    }

    /// Returns the path. `M12 .5h5m30 0h2` draws 5 steps from step 12, skips 30 and draws 2.
    fn path(&self) -> String {
        let mut path = String::new();
        let mut drawn_to = None;
        let mut at = 0;
        while at < STEPS {
            let from = at;
            while at < STEPS && self.has(at) {
                at += 1;
            }
            if at > from {
                match drawn_to {
                    None => put(&mut path, format_args!("M{from} .5h{}", at - from)),
                    Some(end) => put(&mut path, format_args!("m{} 0h{}", from - end, at - from)),
                }
                drawn_to = Some(at);
            }
            at += 1;
        }
        path
    }

    fn has(&self, at: u32) -> bool {
        self.steps[(at / 64) as usize] >> (at % 64) & 1 == 1
    }
}
