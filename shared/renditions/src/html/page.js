'use strict';
// This script is optional: reading, printing and linking work without it. All text comes from the page and goes back
// only as text, never as markup.
const $ = (selector) => document.querySelector(selector);
const turns = [...document.querySelectorAll('.turn')].map((element) => ({
  element,
  // In seconds, like the links and the recording; NaN if not known.
  at: element.dataset.at / 1000,
  speaker: element.dataset.s,
  words: element.lastElementChild.firstChild,
}));
// In time order.
const timed = turns.filter((turn) => turn.element.dataset.at);
const blocks = [...document.querySelectorAll('.block')];
const names = [...document.querySelectorAll('.name')];
const bar = $('.find');
document.documentElement.classList.add('scripted');

// ---- Jump to a moment ---------------------------------------------------------------------------------------------

let here = null;

// Returns the last turn that starts no later, or the first turn if there is none.
function turnAt(seconds) {
  let low = 0;
  let high = timed.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (timed[middle].at <= seconds) low = middle + 1;
    else high = middle;
  }
  return timed[Math.max(0, low - 1)];
}

function select(turn) {
  if (here === turn) return;
  here?.element.classList.remove('here');
  here?.element.removeAttribute('aria-current');
  here = turn;
  here.element.classList.add('here');
  here.element.setAttribute('aria-current', 'true');
}

// Scrolls twice: turns that come into view are laid out only then, and move the others.
function reveal(turn, range) {
  const scroll = () => {
    turn.element.scrollIntoView({ block: 'center' });
    const box = (range ?? turn.element).getBoundingClientRect();
    const top = bar.getBoundingClientRect().bottom + 16;
    if (box.top < top || (range && box.bottom > innerHeight)) scrollBy(0, box.top - top);
  };
  scroll();
  requestAnimationFrame(scroll);
}

function jump(seconds, focus = true) {
  if (!timed.length) return;
  // A link has whole seconds. It means the turn that begins within that second, if there is one.
  const within = Number.isInteger(seconds) && timed.find((turn) => turn.at >= seconds && turn.at < seconds + 1);
  const turn = within || turnAt(seconds);
  if (turn.element.hidden) showOnly(new Set());
  select(turn);
  reveal(turn);
  if (focus) turn.element.firstElementChild.focus({ preventScroll: true });
  if (media.src) media.currentTime = Math.max(seconds, within ? within.at : 0);
}

// Reads the time from `#t=83`, `#t=83.5` or `#t=1:23`.
function fromHash() {
  const time = /^#t=([\d.:]+)$/.exec(location.hash);
  const seconds = time ? time[1].split(':').reduce((sum, part) => sum * 60 + Number(part), 0) : NaN;
  if (Number.isFinite(seconds)) jump(seconds);
}

addEventListener('hashchange', fromHash);
document.addEventListener('click', (event) => {
  const link = event.target.closest('a[href^="#t="]');
  // A link to the current address does not fire `hashchange`.
  if (link && link.getAttribute('href') === location.hash) fromHash();
  const lane = event.target.closest('.lane, .strip');
  if (lane) {
    const box = lane.getBoundingClientRect();
    const share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    location.hash = `t=${((share * $('.who').dataset.ms) / 1000).toFixed(1)}`;
  }
});

// ---- Search -------------------------------------------------------------------------------------------------------

const field = $('#search');
const status = $('#status');
const MOST_FOUND = 10_000;
let found = [];
let current = -1;

const say = (text) => { status.textContent = text; };
// If the browser cannot highlight ranges, the current range is selected instead.
const paint = (name, ranges) => {
  if (!globalThis.Highlight) {
    if (name === 'current' && ranges[0]) getSelection().setBaseAndExtent(
      ranges[0].startContainer, ranges[0].startOffset, ranges[0].endContainer, ranges[0].endOffset);
    return;
  }
  const highlight = new Highlight();
  for (const range of ranges) highlight.add(range);
  highlight.priority = name === 'current' ? 1 : 0;
  CSS.highlights.set(name, highlight);
};

function search() {
  const query = field.value.trim();
  // An accent may be part of its letter or a separate character, both in the field and in the words.
  const forms = [...new Set([query.normalize('NFC'), query.normalize('NFD')])];
  const escaped = forms.map((form) => form.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&').replace(/\s+/g, '\\s+'));
  const pattern = new RegExp(escaped.join('|'), 'giu');
  found = [];
  current = -1;
  for (const turn of query ? turns : []) {
    if (turn.element.hidden) continue;
    for (const match of turn.words.data.matchAll(pattern)) {
      const range = new Range();
      range.setStart(turn.words, match.index);
      range.setEnd(turn.words, match.index + match[0].length);
      if (found.push({ turn, range }) === MOST_FOUND) break;
    }
    if (found.length === MOST_FOUND) break;
  }
  paint('found', found.map(({ range }) => range));
  paint('current', []);
  for (const button of document.querySelectorAll('.find [data-step]')) button.disabled = !found.length;
  if (found.length) step(1);
  else say(query ? 'Nothing found' : '');
}

function step(by) {
  if (!found.length) return;
  current = (current + by + found.length) % found.length;
  const { turn, range } = found[current];
  paint('current', [range]);
  reveal(turn, range);
  const [at, all] = [current + 1, found.length].map((number) => number.toLocaleString('en'));
  say(`${at} of ${all}${found.length === MOST_FOUND ? '+' : ''}`);
}

function clear() {
  field.value = '';
  search();
}

let typing;
field.addEventListener('input', () => {
  clearTimeout(typing);
  typing = setTimeout(search, 80);
});
for (const button of document.querySelectorAll('[data-step]')) {
  button.addEventListener('click', () => step(Number(button.dataset.step)));
}
document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  const inField = event.target === field;
  if (event.key === 'Escape' && (inField || found.length)) {
    clear();
    field.blur();
  } else if (inField && event.key === 'Enter') {
    event.preventDefault();
    step(event.shiftKey ? -1 : 1);
  } else if (!inField && event.target.tagName !== 'VIDEO') {
    if (event.key === '/') {
      event.preventDefault();
      field.focus();
      field.select();
    } else if (event.key === 'n' || event.key === 'N') step(event.key === 'n' ? 1 : -1);
  }
});

// ---- Filter by speaker --------------------------------------------------------------------------------------------

const everyone = $('#everyone');

function showOnly(speakers) {
  for (const name of names) name.setAttribute('aria-pressed', speakers.has(name.dataset.s));
  for (const turn of turns) turn.element.hidden = speakers.size > 0 && !speakers.has(turn.speaker);
  for (const block of blocks) block.hidden = !block.querySelector('.turn:not([hidden])');
  everyone.hidden = !speakers.size;
  search();
}

const isPressed = (name) => name.getAttribute('aria-pressed') === 'true';
const pressed = () => new Set(names.filter(isPressed).map((name) => name.dataset.s));
for (const name of names) {
  name.addEventListener('click', () => {
    const speakers = pressed();
    if (!speakers.delete(name.dataset.s)) speakers.add(name.dataset.s);
    showOnly(speakers);
  });
}
everyone.addEventListener('click', () => {
  showOnly(new Set());
  field.focus({ preventScroll: true });
});

// ---- Copy as text -------------------------------------------------------------------------------------------------

$('#copy').addEventListener('click', async () => {
  const name = Object.fromEntries(names.map((button) => [button.dataset.s, button.firstElementChild.textContent]));
  const digits = (number) => String(Math.floor(number)).padStart(2, '0');
  const time = (at) => (at >= 0 ? [at / 3600, (at / 60) % 60, at % 60].map(digits).join(':') : '--:--:--');
  const shown = turns.filter((turn) => !turn.element.hidden);
  const lines = shown.map(({ at, speaker, words }) => `[${time(at)}] ${name[speaker]}: ${words.data}\n`);
  const facts = [...$('.facts').children].map((fact) => fact.innerText).join(' · ');
  const text = `${$('h1').textContent}\n${facts}\n\n${lines.join('')}`;
  let copied = true;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // A page from plain http has no clipboard, and others may not allow it. Then copy a selection.
    const area = document.body.appendChild(document.createElement('textarea'));
    area.value = text;
    area.select();
    copied = document.execCommand('copy');
    area.remove();
  }
  $('#copied').textContent = copied ? 'Copied' : 'The browser refused to copy';
  setTimeout(() => { $('#copied').textContent = ''; }, 3000);
});

// ---- Listen along -------------------------------------------------------------------------------------------------

const media = $('.dock video');

// The file stays on the reader's machine: the policy of the page does not allow it to be sent anywhere.
$('#file').addEventListener('change', (event) => {
  const [file] = event.target.files;
  if (!file) return;
  if (media.src) URL.revokeObjectURL(media.src);
  media.src = URL.createObjectURL(file);
  $('.dock').hidden = false;
  if (here) media.currentTime = here.at;
});
media.addEventListener('loadedmetadata', () => media.classList.toggle('picture', media.videoWidth > 0));
media.addEventListener('error', () => say('This file cannot be played'));
media.addEventListener('timeupdate', () => {
  const turn = turnAt(media.currentTime);
  if (!turn || turn === here || media.paused) return;
  // Follow the speech until the reader scrolls away, and again after the reader has scrolled back.
  const box = here?.element.getBoundingClientRect();
  const followed = !box || (box.bottom > 0 && box.top < innerHeight);
  select(turn);
  if (followed && !turn.element.hidden) reveal(turn);
});

// ---- Reading position ---------------------------------------------------------------------------------------------

const now = $('.strip rect');
let waiting = false;

function place() {
  waiting = false;
  const seen = document.elementFromPoint(innerWidth / 2, bar.getBoundingClientRect().bottom + 24)?.closest('.turn');
  if (seen && !seen.dataset.at) return;
  const x = () => (now.ownerSVGElement.viewBox.baseVal.width * seen.dataset.at) / $('.who').dataset.ms;
  now?.setAttribute('x', seen ? x() : 0);
}

addEventListener('scroll', () => {
  if (!waiting) requestAnimationFrame(place);
  waiting = true;
}, { passive: true });
addEventListener('beforeprint', () => document.querySelectorAll('details').forEach((more) => { more.open = true; }));

search();
fromHash();
