"""Uses the HTML rendition of a transcript in a real browser, as a reader does.

Usage: page.py FILE.html…. Needs playwright==1.65.2 from PyPI, and Chromium. With SHOTS=FOLDER, it also writes
screenshots of each page to that folder: desktop and phone, light and dark.
"""

import os
import pathlib
import re
import sys
import tempfile
import wave

sys.dont_write_bytecode = True

from browser import DESKTOP, PHONE, Checks, chromium, opened  # noqa: E402

# The time within which every meeting must open, an hour-long one included.
OPEN_MS = 1_000
# A page with a longer frame looks stuck. The best of three attempts counts, because the machine may be busy.
LONGEST_FRAME_MS = 500

TURNS = """() => [...document.querySelectorAll('.turn')].map(turn => ({
    at: turn.dataset.at ? Number(turn.dataset.at) : null, speaker: turn.dataset.s, text: turn.lastElementChild.textContent,
    href: turn.firstElementChild.getAttribute('href'), shown: !turn.hidden}))"""
# Whether the reader can see the selected turn or the current match: below the bar and within the window.
SEEN = """what => {
    const range = what === 'match' && [...CSS.highlights.get('current')][0];
    const box = (range || document.querySelector('.turn.here') || document.querySelector('.turn:target'))
        .getBoundingClientRect();
    return box.top >= document.querySelector('.find').getBoundingClientRect().bottom - 1 && box.top < innerHeight; }"""
# The lowest contrast of any text with its background, with a sample of the text.
CONTRAST = """() => {
    const canvas = new OffscreenCanvas(1, 1).getContext('2d', {willReadFrequently: true});
    const rgb = colour => {
        canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
        return canvas.getImageData(0, 0, 1, 1).data; };
    const light = colour => {
        const [r, g, b] = [...rgb(colour)].map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
        return .2126 * r + .7152 * g + .0722 * b; };
    const behind = element => {
        for (let e = element; e; e = e.parentElement) {
            const colour = getComputedStyle(e).backgroundColor;
            if (rgb(colour)[3] === 255) return colour; }
        return 'white'; };
    let least = [99, ''];
    const of = 'h1,h2,h3,.facts span,.button,.name,.time,.part,.axis text,.at,.turn b,.turn small,.turn p,footer p,summary';
    for (const e of [...document.querySelectorAll(of)].slice(0, 1500)) {
        const style = getComputedStyle(e);
        const [a, b] = [light(e.namespaceURI.endsWith('svg') ? style.fill : style.color), light(behind(e))];
        const contrast = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
        if (contrast < least[0]) least = [contrast, e.className + ' ' + e.textContent.slice(0, 30)]; }
    return least; }"""
SIDEWAYS = "() => document.scrollingElement.scrollWidth - innerWidth"
# Scrolls through the whole page and returns the longest time between two frames.
SCROLL = """() => new Promise(done => {
    const step = Math.max(600, document.scrollingElement.scrollHeight / 150);
    let [longest, last, frames] = [0, performance.now(), 0];
    scrollTo(0, 0);
    const frame = now => {
        if (frames++ > 1) longest = Math.max(longest, now - last);
        last = now;
        scrollBy(0, step);
        if (frames < 150) requestAnimationFrame(frame); else done(longest); };
    requestAnimationFrame(frame); })"""


def as_text(checks, name, browser, file):
    """Checks that the page is readable and its links work without scripts."""
    with opened(browser, file, javascript=False) as window:
        checks.quiet(f"{name}: without scripts", window)
        checks.that(f"{name}: it has a title", window.page.title().strip())
        checks.equal(f"{name}: one main heading", window.page.locator("h1").count(), 1)
        checks.equal(f"{name}: no buttons without effect", window.page.locator(".find").count() > 0
                     and window.page.locator(".find").is_visible(), False)


def at_first(checks, name, browser, file):
    """Checks what every reader sees, on any screen, and returns the turns."""
    for size in (DESKTOP, PHONE, (320, 600)):
        for dark in (False, True):
            with opened(browser, file, size, dark) as window:
                kind = f"{name} at {size[0]}{' dark' if dark else ''}"
                checks.quiet(kind, window)
                checks.that(f"{kind}: opened within {OPEN_MS} ms", window.opened_ms < OPEN_MS, window.opened_ms)
                checks.that(f"{kind}: nothing overflows", window.page.evaluate(SIDEWAYS) <= 0)
                least, what = window.page.evaluate(CONTRAST)
                checks.that(f"{kind}: contrast of {what!r}", least >= 4.5, least)
                if os.environ.get("SHOTS"):
                    window.screenshot(f"{os.environ['SHOTS']}/{name}-{size[0]}{'-dark' if dark else ''}.png")
    print(f"{name}: {pathlib.Path(file).stat().st_size:,} bytes, opened in {window.opened_ms:.0f} ms")
    with opened(browser, file, dark=True, print_media=True) as window:
        white = window.page.evaluate("() => getComputedStyle(document.body).backgroundColor")
        checks.equal(f"{name}: printed on white", white, "rgb(255, 255, 255)")
        checks.that(f"{name}: contrast in print", window.page.evaluate(CONTRAST)[0] >= 4.5)
        checks.equal(f"{name}: the search is not printed", window.page.locator(".find").count() > 0
                     and window.page.locator(".find").is_visible(), False)
    with opened(browser, file, still=True) as window:
        turns = window.page.evaluate(TURNS)
        if not turns:
            checks.that(f"{name}: the page says that no one spoke", "Nobody spoke" in window.text("main"))
            return turns
        moving = "() => parseFloat(getComputedStyle(document.querySelector('.turn')).transitionDuration)"
        checks.equal(f"{name}: nothing moves if the reader prefers that", window.page.evaluate(moving), 0)
        window.page.keyboard.press("Tab")
        checks.equal(f"{name}: Tab begins with the skip link", window.page.evaluate(
            "() => document.activeElement.className"), "skip")
        unnamed = window.page.evaluate("""() => [...document.querySelectorAll('button, input, a')].filter(e =>
            !(e.textContent.trim() || e.ariaLabel || e.labels?.[0]?.textContent.trim())).length""")
        checks.equal(f"{name}: controls without a name", unnamed, 0)
    return turns


def search(checks, name, browser, file, turns):
    def count(word):
        return sum(len(re.findall(re.escape(word), turn["text"], re.IGNORECASE)) for turn in turns)

    # A word that occurs more than once, if there is one, so that the search has several matches.
    words = {word[:12].lower() for word in turns[len(turns) // 2]["text"].split()}
    word = max(words, key=lambda word: (1 < count(word) < 1000, len(word), word))
    wanted = count(word)
    with opened(browser, file) as window:
        keys, status = window.page.keyboard, "() => document.querySelector('#status').textContent"
        total = f"{wanted:,}"
        keys.press("/")
        checks.equal(f"{name}: / focuses", window.page.evaluate("() => document.activeElement.id"), "search")
        keys.insert_text(word)
        checks.that(f"{name}: {word!r} is found {wanted} times", window.wait(
            f"document.querySelector('#status').textContent === '1 of {total}'"), window.text("#status"))
        checks.equal(f"{name}: all are highlighted", window.page.evaluate("() => CSS.highlights.get('found').size"),
                     wanted)

        def press(key, at):
            keys.press(key)
            expected = f"{(at - 1) % wanted + 1:,} of {total}"
            checks.equal(f"{name}: {key} moves on", window.page.evaluate(status), expected)
            window.page.wait_for_timeout(60)
            checks.that(f"{name}: {key} shows the match", window.page.evaluate(SEEN, "match"))

        for key, at in (("Enter", 2), ("Enter", 3), ("Shift+Enter", 2), ("Shift+Enter", 1), ("Shift+Enter", 0)):
            press(key, at)
        window.page.evaluate("() => document.activeElement.blur()")
        press("n", 1)
        press("Shift+N", 0)
        keys.press("Escape")
        checks.equal(f"{name}: Escape clears", window.page.evaluate(status), "")
        checks.equal(f"{name}: no highlights", window.page.evaluate("() => CSS.highlights.get('found').size"), 0)
        keys.press("/")
        keys.insert_text("(no[such.words*")
        checks.that(f"{name}: says when nothing is found", window.wait(
            "document.querySelector('#status').textContent === 'Nothing found'"))
        checks.quiet(f"{name}: searching", window)


def links(checks, name, browser, file, turns):
    turns = [turn for turn in turns if turn["at"] is not None]
    if not turns:
        return
    selected = "() => [...document.querySelectorAll('.turn.here')].map(turn => Number(turn.dataset.at))"
    url = pathlib.Path(file).resolve().as_uri()
    # If two turns share a link, it leads to the first of them.
    firsts = {turn["href"]: turn for turn in reversed(turns)}
    for turn in (turns[2 * len(turns) // 3], turns[-1], turns[0]):
        wanted = firsts[turn["href"]]["at"]
        with opened(browser, url + turn["href"]) as window:
            window.page.wait_for_timeout(60)
            checks.equal(f"{name}: {turn['href']} on load", window.page.evaluate(selected), [wanted])
            checks.that(f"{name}: {turn['href']} is in view", window.page.evaluate(SEEN, "turn"))
            other = turns[len(turns) // 3]
            window.page.evaluate("hash => { location.hash = hash; }", other["href"])
            window.page.wait_for_timeout(100)
            expected = firsts[other["href"]]["at"]
            checks.equal(f"{name}: {other['href']} later", window.page.evaluate(selected), [expected])
            checks.that(f"{name}: {other['href']} is in view", window.page.evaluate(SEEN, "turn"))
            # Scroll away, and back by the same link.
            window.page.evaluate("() => scrollTo(0, 0)")
            window.page.locator(f".at[href='{other['href']}']").first.press("Enter")
            window.page.wait_for_timeout(60)
            checks.that(f"{name}: {other['href']} by keyboard", window.page.evaluate(SEEN, "turn"))
            checks.quiet(f"{name}: links", window)
    with opened(browser, url + turns[-1]["href"], javascript=False) as window:
        checks.that(f"{name}: links work without scripts", turns[-1]["at"] // 1000 * 1000 == turns[0]["at"] or
                    window.page.locator(":target").count() == 1)


def speakers(checks, name, browser, file, turns):
    with opened(browser, file) as window:
        button = window.page.locator(".name").first
        only = button.get_attribute("data-s")
        button.click()
        shown = {turn["speaker"] for turn in window.page.evaluate(TURNS) if turn["shown"]}
        checks.equal(f"{name}: only one speaker is shown", shown, {only})
        hidden = next((turn for turn in turns if turn["speaker"] != only and turn["href"]), None)
        if hidden:
            # The target of a link must be visible.
            window.page.evaluate("hash => { location.hash = hash; }", hidden["href"])
            checks.that(f"{name}: a link shows everyone again", window.wait(
                "document.querySelectorAll('.turn[hidden]').length === 0"))
            window.page.evaluate("() => scrollTo(0, 0)")
            button.click()
        window.page.locator("#everyone").click()
        visible = [turn for turn in window.page.evaluate(TURNS) if turn["shown"]]
        checks.equal(f"{name}: everyone is back", len(visible), len(turns))
        checks.quiet(f"{name}: speakers", window)


def copying(checks, name, browser, file, turns):
    for clipboard in (True, False):
        with opened(browser, file, permissions=("clipboard-read", "clipboard-write")) as window:
            if not clipboard:
                window.page.evaluate("() => Object.defineProperty(navigator, 'clipboard', {value: undefined})")
            window.page.locator("#copy").click()
            how = f"{name}: copied {'by' if clipboard else 'without'} the clipboard's API"
            if not checks.that(how, window.wait("document.querySelector('#copied').textContent === 'Copied'")):
                continue
            if clipboard:
                text = window.page.evaluate("() => navigator.clipboard.readText()")
                lines = [line for line in text.splitlines() if line.startswith("[")]
                checks.equal(f"{how}: every turn", len(lines), len(turns))
                checks.that(f"{how}: the last words", lines[-1].endswith(turns[-1]["text"]), lines[-1])
            checks.quiet(how, window)


def listening(checks, name, browser, file, turns):
    """Opens a recording from the reader's disk, half a minute of silence, and plays it from a `blob:` URL."""
    within = [turn for turn in turns if turn["at"] is not None and turn["at"] < 25_000]
    if not within:
        return
    with tempfile.TemporaryDirectory() as folder, opened(browser, file) as window:
        sound = f"{folder}/recording.wav"
        with wave.open(sound, "wb") as out:
            out.setparams((1, 1, 8000, 0, "NONE", None))
            out.writeframes(bytes([128]) * 8000 * 30)
        window.page.set_input_files("#file", sound)
        video = "document.querySelector('.dock video')"
        if not checks.that(f"{name}: the recording is loaded", window.wait(f"{video}.readyState >= 2")):
            return
        window.page.evaluate(f"() => {{ {video}.muted = true; }}")
        window.page.locator(f".at[href='{within[-1]['href']}']").first.click()
        checks.that(f"{name}: a time seeks", window.wait(
            f"Math.abs({video}.currentTime - {within[-1]['at'] / 1000}) < 1"))
        # The address is already set, so only the click can have an effect.
        window.page.evaluate(f"() => {{ {video}.currentTime = 28; }}")
        window.page.locator(f".at[href='{within[-1]['href']}']").first.click()
        checks.that(f"{name}: the same time seeks again", window.wait(
            f"Math.abs({video}.currentTime - {within[-1]['at'] / 1000}) < 1"))
        if len(within) > 1:
            window.page.evaluate(f"() => {{ {video}.currentTime = {within[1]['at'] / 1000}; return {video}.play(); }}")
            checks.that(f"{name}: the current turn is marked", window.wait(
                f"document.querySelector('.here')?.dataset.at === '{within[1]['at']}'"))
        checks.quiet(f"{name}: listening", window, only=("blob:",))


def scrolling(checks, name, browser, file):
    with opened(browser, file) as window:
        longest = LONGEST_FRAME_MS
        for _ in range(3):
            longest = min(longest, window.page.evaluate(SCROLL))
            if longest < 100:
                break
        print(f"{name}: longest frame while scrolling through {longest:.0f} ms")
        checks.that(f"{name}: scrolls smoothly", longest < LONGEST_FRAME_MS, longest)
        window.page.keyboard.press("/")
        began = window.page.evaluate("() => performance.now()")
        window.page.keyboard.insert_text("e")
        window.wait("document.querySelector('#status').textContent !== ''")
        found = window.page.evaluate("() => CSS.highlights.get('found').size")
        checks.that(f"{name}: the number of matches has a limit", found < 10_000 or (
            found == 10_000 and window.text("#status") == "1 of 10,000+"), window.text("#status"))
        print(f"{name}: a search for 'e' took {window.page.evaluate('() => performance.now()') - began:.0f} ms")
        checks.quiet(f"{name}: scrolling", window)


def main(files):
    checks = Checks()
    with chromium() as browser:
        for file in files:
            name = pathlib.Path(file).stem
            as_text(checks, name, browser, file)
            turns = at_first(checks, name, browser, file)
            if not turns:
                continue
            search(checks, name, browser, file, turns)
            links(checks, name, browser, file, turns)
            speakers(checks, name, browser, file, turns)
            copying(checks, name, browser, file, turns)
            listening(checks, name, browser, file, turns)
            scrolling(checks, name, browser, file)
    return checks.done()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
