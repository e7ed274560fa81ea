// Polls for the jobs every second and shows changes. All text is inserted as text, never as markup.
"use strict";

const EVERY_MS = 700;
const HIDDEN_EVERY_MS = 10_000;
const TIMEOUT_MS = 5_000;
const SLOWEST_MS = 5_000;

// The tone and the meaning of each status. A status without an entry is shown unchanged.
const STATUSES = {
  creating: ["going", "requesting a transcript"],
  transcribing: ["going", "Recall is transcribing"],
  copying: ["going", "copying to the bucket"],
  waiting: ["wait", "waiting for its next attempt"],
  stored: ["good", "complete in the bucket"],
  limit_reached: ["bad", "limit of transcripts reached"],
  skipped: ["still", "not wanted"],
  failed: ["bad", "no transcript"],
  lost: ["bad", "gone at Recall"],
  refused: ["bad", ""],
  foreign: ["still", ""],
};
const KINDS = { html: "HTML", md: "Markdown", txt: "Text", vtt: "VTT", srt: "SRT", jsonl: "JSONL" };
const NAMES = { "meetings.jsonl": "Meeting" };

// The names of platforms. Others are shown as the manifest writes them.
const PLATFORMS = { zoom: "Zoom", google_meet: "Google Meet", microsoft_teams: "Microsoft Teams", webex: "Webex" };

const byId = id => document.getElementById(id);
const cards = new Map(); // recording id → {json, status, element}
const opened = new Set(); // the recordings whose steps are shown
const stepsShown = new WeakMap(); // the table of steps → the answer that it shows
let heard = ""; // the last answer, to detect an unchanged one
let failures = 0;
let timer;
let asking = false;

// element("p", {class: "soft"}, "text", otherElement, null)
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== null && value !== undefined && value !== false) made.setAttribute(key, value);
  }
  made.append(...children.filter(child => child !== null && child !== undefined && child !== ""));
  return made;
}

const number = value => value.toLocaleString("en");
const count = (value, one, many = one + "s") => `${number(value)} ${value === 1 ? one : many}`;
const words = text => text.replaceAll("_", " ");

function size(bytes) {
  if (bytes < 1000) return `${bytes} B`;
  return bytes < 999_500 ? `${Math.round(bytes / 1000)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

function clock(moment) {
  const at = new Date(moment);
  const time = at.toLocaleTimeString("en-GB");
  return at.toDateString() === new Date().toDateString() ? time : `${at.toLocaleDateString("en-CA")} ${time}`;
}

function length(ms) {
  const minutes = Math.round(ms / 60_000);
  return minutes > 0 ? count(minutes, "minute") : count(Math.round(ms / 1000), "second");
}

function span(seconds) {
  if (seconds < 59.5) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  return minutes % 60 === 0 ? `${minutes / 60} h` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

async function ask(path, options = {}) {
  const answer = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(TIMEOUT_MS), ...options });
  const body = await answer.text();
  if (!answer.ok) {
    let error = body;
    try { error = JSON.parse(body).error ?? body; } catch { /* the body is not JSON */ }
    throw Object.assign(new Error(error), { status: answer.status });
  }
  return body;
}

async function poll() {
  // A call during a running poll needs no poll of its own.
  if (asking) return;
  asking = true;
  clearTimeout(timer);
  try {
    const body = await ask("api/jobs");
    failures = 0;
    connected("live", "live");
    if (body !== heard) show(JSON.parse(body));
    heard = body;
    await Promise.all([...opened].map(showSteps));
  } catch (error) {
    failures += 1;
    // A single late answer is not reported.
    if (failures > 1 || !heard) {
      const why = error.status ? `cargo dev answers with an error: ${error.message}.` : "cargo dev does not answer.";
      connected("gone", `${why} Trying again …`);
    }
  }
  asking = false;
  const wait = document.hidden ? HIDDEN_EVERY_MS : EVERY_MS * 2 ** Math.min(failures, 10);
  timer = setTimeout(poll, document.hidden ? wait : Math.min(wait, SLOWEST_MS));
}

function connected(state, text) {
  const line = byId("connection");
  if (line.dataset.state === state && line.textContent === text) return;
  line.dataset.state = state;
  line.textContent = text;
  for (const button of document.querySelectorAll(".play")) button.disabled = state === "gone";
}

function show(list) {
  showButtons(list.meetings);
  showSums(list);
  byId("empty").hidden = list.total > 0;
  byId("empty").textContent = list.simulator
    ? "No recording yet. Play a meeting to see what happens."
    : "No recording yet. It appears here when Recall reports one as done.";
  byId("more").hidden = list.total <= list.jobs.length;
  byId("more").textContent = `The newest ${number(list.jobs.length)} of ${number(list.total)} are shown.`;
  const news = [];
  const gone = new Set(cards.keys());
  list.jobs.forEach((job, index) => {
    gone.delete(job.recording_id);
    const card = showJob(job, news);
    const there = byId("jobs").children[index];
    if (there !== card) byId("jobs").insertBefore(card, there ?? null);
  });
  for (const id of gone) {
    cards.get(id).element.remove();
    cards.delete(id);
    opened.delete(id);
  }
  if (news.length > 0) byId("news").textContent = news.slice(0, 5).join(". ");
}

function showSums(list) {
  const parts = list.total === 0 ? [] : [count(list.total, "recording"), `${number(list.stored)} stored`];
  if (list.simulator && list.attempts > 0) {
    const twice = list.twice > 0 ? `, ${number(list.twice)} of them twice` : ", nothing twice";
    parts.push(`${count(list.attempts, "attempt")} in this run, ${count(list.paid, "transcript")} paid${twice}`);
  }
  byId("sums").textContent = parts.join(" · ");
}

function showButtons(meetings) {
  byId("play").hidden = meetings.length === 0;
  if (byId("buttons").children.length === meetings.length) return;
  byId("buttons").replaceChildren(...meetings.map(meeting => {
    const press = event => play(meeting.kind, event.currentTarget);
    const button = element("button", { type: "button", class: "play", "data-kind": meeting.kind, onclick: press },
      element("b", {}, meeting.label), element("span", {}, meeting.about));
    return element("li", {}, button);
  }));
}

async function play(kind, button) {
  button.disabled = true;
  try {
    await ask(`api/play/${kind}`, { method: "POST" });
    byId("play-error").hidden = true;
  } catch (error) {
    byId("play-error").textContent = error.status ? error.message : "cargo dev does not answer. Nothing was played.";
    byId("play-error").hidden = false;
  }
  button.disabled = false;
  button.focus();
  poll();
}

function showJob(job, news) {
  const json = JSON.stringify(job);
  const known = cards.get(job.recording_id);
  if (known?.json === json) return known.element;
  if (heard && known?.status !== job.status) news.push(`${job.title ?? "Recording"}: ${words(job.status ?? "played")}`);
  const card = element("li", { class: "job", "data-recording": job.recording_id, "data-status": job.status ?? "none" },
    ...parts(job));
  if (known) {
    // The reader's focus stays where it was.
    const focus = known.element.contains(document.activeElement) ? document.activeElement.dataset.focus : undefined;
    const steps = known.element.querySelector(".table");
    if (steps) card.querySelector("details")?.append(steps);
    known.element.replaceWith(card);
    if (focus) [...card.querySelectorAll("[data-focus]")].find(one => one.dataset.focus === focus)?.focus();
  }
  cards.set(job.recording_id, { json, status: job.status, element: card });
  return card;
}

function badge(status, word) {
  const [tone, title] = STATUSES[status] ?? ["still", ""];
  return element("span", { class: "badge", "data-tone": tone, title: title || null }, word);
}

function parts(job) {
  const done = job.due_at === null;
  const time = job.updated_at && element("time", { datetime: job.updated_at },
    `changed ${clock(job.updated_at)}`);
  const status = job.status === null ? badge("none", "no job yet") : badge(job.status, words(job.status));
  const why = [job.recording, job.hold].filter(Boolean).join("; ");
  const bad = ["failed", "lost", "limit_reached"].includes(job.status);
  return [
    element("div", { class: "head" }, status, element("h3", {}, job.title ?? "Recording without a title"), time),
    facts(job),
    why && element("p", { class: bad ? "why bad" : "why" }, why),
    !done && element("p", { class: "soft facts" }, `due again at ${clock(job.due_at)}, or when an event arrives`),
    ...job.transcripts.map(made => transcript(made, job.title)),
    job.faults.length > 0 && element("div", { class: "faults" }, element("p", {}, "Injected faults"),
      element("ul", {}, ...job.faults.map(fault => element("li", {}, fault)))),
    job.recall && steps(job.recording_id),
  ].filter(Boolean);
}

function facts(job) {
  const id = job.recording_id;
  const label = `Copy the id ${id}`;
  const copy = element("button", { type: "button", class: "copy", "data-focus": "copy", "aria-label": label }, "copy");
  copy.addEventListener("click", () => copyId(id, copy));
  const found = [
    element("span", {}, "recording ", element("span", { class: "id", title: id }, id.slice(0, 8)), " ", copy),
    element("span", {}, `${count(job.attempts, "attempt")}, ${count(job.transcript_count, "transcript")} at Recall`),
  ];
  if (job.recall) {
    const { paid, calls, deliveries, accepted } = job.recall;
    const asked = calls > paid ? ` (asked ${calls} times)` : "";
    found.push(element("span", { class: "paid" }, `${count(paid, "paid create")}${asked}`));
    const again = deliveries > accepted ? `, ${number(deliveries - accepted)} told to retry` : "";
    found.push(element("span", {}, `${count(deliveries, "delivery", "deliveries")}${again}`));
  }
  return element("div", { class: "facts" }, ...found);
}

async function copyId(id, button) {
  try {
    await navigator.clipboard.writeText(id);
    button.textContent = "copied";
  } catch {
    button.textContent = id; // the user can select it by hand
    return;
  }
  setTimeout(() => { button.textContent = "copy"; }, 1500);
}

function transcript(made, title) {
  const name = made.attempt === null ? "Requested by another client" : `Attempt ${made.attempt}`;
  const line = [element("span", {}, name), made.provider && element("code", {}, made.provider),
    badge(made.state, words(made.state)), made.why && element("span", { class: "soft" }, made.why),
    made.deleted && element("span", { class: "soft" }, "deleted at Recall")];
  if (made.empty) line.push(element("span", { class: "soft" }, "no one spoke"));
  else if (made.counts) {
    const { turns, words, speakers, duration_ms } = made.counts;
    line.push(element("span", { class: "soft" }, [count(words, "word"), count(turns, "turn"),
      count(speakers, "speaker"), length(duration_ms)].join(", ")));
  }
  const files = made.files.length > 0 && element("ul", { class: "files", "aria-label": "Objects in the bucket" },
    ...made.files.toSorted((a, b) => rank(a) - rank(b)).map(link));
  return element("div", { class: "made" }, element("div", { class: "line" }, ...line.filter(Boolean)),
    made.meeting && meeting(made.meeting, title), files || null);
}

// Who attended: those who spoke in a list, and the others in a few lines, because there may be many of them.
function meeting(met, title) {
  const { attended, spoke, people } = met;
  const about = [
    met.title && met.title !== title && element("b", { dir: "auto" }, met.title),
    met.platform && element("span", { class: "platform" }, PLATFORMS[met.platform] ?? words(met.platform)),
    element("span", { class: "soft" }, `${count(attended, "person", "people")} attended, ${number(spoke)} spoke`),
  ].filter(Boolean);
  const speakers = people.filter(person => person.spoke);
  const silent = people.filter(person => !person.spoke);
  const hidden = attended - people.length;
  return element("div", { class: "meeting" }, element("div", { class: "line" }, ...about),
    speakers.length > 0 ? element("ul", { class: "speakers", "aria-label": "Spoke" }, ...speakers.map(person)) : null,
    silent.length > 0 ? element("ul", { class: "silent", "aria-label": "Attended without speaking" },
      element("li", { class: "soft", "aria-hidden": "true" }, "Silent, with the time present:"),
      ...silent.map(person)) : null,
    hidden > 0 ? element("p", { class: "soft" }, `and ${number(hidden)} more`) : null);
}

function person({ name, is_host, present_s, spoke, talk_s }) {
  const present = present_s !== null && span(present_s);
  const times = spoke ? [present && `present ${present}`, talk_s !== null && `talked ${span(talk_s)}`] : [present];
  return element("li", {}, element("span", { class: "name", dir: "auto" }, name ?? "Unnamed"),
    is_host ? element("span", { class: "host" }, "host") : null,
    element("span", { class: "soft" }, times.filter(Boolean).join(", ")));
}

const ending = file => file.name.split(".").pop();
const rank = file => (Object.keys(KINDS).indexOf(ending(file)) + 100) % 100;

function link(file) {
  const href = "objects/" + file.key.split("/").map(encodeURIComponent).join("/");
  const title = `${file.key}, ${file.content_type}`;
  return element("li", {}, element("a", { href, target: "_blank", rel: "noopener", "data-focus": file.key, title },
    NAMES[file.name] ?? KINDS[ending(file)] ?? file.name, " ", element("span", { class: "soft" }, size(file.bytes))));
}

function steps(id) {
  const toggled = event => {
    if (!event.currentTarget.isConnected) return;
    if (event.currentTarget.open) opened.add(id);
    else opened.delete(id);
    showSteps(id).catch(() => {});
  };
  return element("details", { open: opened.has(id), ontoggle: toggled },
    element("summary", { "data-focus": "steps" }, "Step by step"));
}

async function showSteps(id) {
  const details = cards.get(id)?.element.querySelector("details");
  if (!details?.open) return;
  const body = await ask(`api/jobs/${encodeURIComponent(id)}/steps`);
  const old = details.querySelector(".table");
  if (old && stepsShown.get(old) === body) return;
  const rows = JSON.parse(body).steps.map(step => {
    const odd = step.status === null || step.status >= 300;
    return element("tr", {}, element("td", { class: "number" }, `${(step.at_ms / 1000).toFixed(2)} s`),
      element("td", { class: "what" }, element("span", {},
        element("span", { class: "way" }, `${step.from} → ${step.to}`), element("span", {}, step.what))),
      element("td", { class: odd ? "number odd" : "number" }, step.status ?? "no answer"),
      element("td", { class: "number took" }, step.took_ms === null ? "" : `${step.took_ms.toFixed(1)} ms`));
  });
  const heads = [["At", "number"], ["What", null], ["Answer", "number"], ["Took", "number took"]]
    .map(([head, kind]) => element("th", { scope: "col", class: kind }, head));
  const table = element("div", { class: "table", tabindex: "0", role: "region", "aria-label": "Step by step", },
    rows.length === 0
      ? element("p", { class: "soft" }, "Nothing has happened yet.")
      : element("table", {}, element("thead", {}, element("tr", {}, ...heads)), element("tbody", {}, ...rows)));
  stepsShown.set(table, body);
  if (old) old.replaceWith(table);
  else details.append(table);
}

document.addEventListener("visibilitychange", () => { if (!document.hidden) poll(); });
poll();
