"""The pages in a real headless Chromium: quiet, inside the window, sortable, readable in both schemes, printable.

Skipped where Chromium or playwright is missing, unless DCAL_BROWSER=required. DCAL_SCREENSHOTS=FOLDER keeps pictures.
"""

import os
import re
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest

try:
    from playwright.sync_api import sync_playwright
except ImportError:
    sync_playwright = None

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
LACKING = (
    ""
    if sync_playwright and CHROMIUM
    else "no playwright"
    if CHROMIUM
    else "no chromium or google-chrome on PATH"
)
PAGES = ("index.html", "cells/cub-deit_tiny.html", "cells/veri-deit_tiny.html", "cells/cars-deit_small.html")
WIDTHS = (375, 1440)
PRINTED = 1032  # CSS pixels between the margins of A4 on its side


@pytest.fixture(scope="module")
def browser():
    if LACKING:
        answer = pytest.fail if os.environ.get("DCAL_BROWSER") == "required" else pytest.skip
        answer(f"the pages are not looked at in a browser: {LACKING}")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield running
        running.close()


@contextmanager
def opened(browser, path, *, width=1440, scheme="light"):
    """A page in a fresh window, with what it complained about and asked for."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    page.complaints = []
    page.on("console", lambda message: page.complaints.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("requestfailed", lambda request: page.complaints.append(f"failed: {request.url}"))
    page.asked = []
    page.on("request", lambda request: page.asked.append(request.url))
    page.goto(path.as_uri())
    yield page
    context.close()


def keep(page, report, name, width, scheme):
    """A picture of the whole page in the folder DCAL_SCREENSHOTS, where that is set."""
    if folder := os.environ.get("DCAL_SCREENSHOTS"):
        file = f"{report.parent.name}-{Path(name).stem}-{width}-{scheme}.png"
        page.screenshot(path=Path(folder) / file, full_page=True)


@pytest.fixture(scope="module", params=["paper", "mini"])
def report(request, written):
    return getattr(written, request.param)


def test_no_page_complains_or_asks_for_anything_outside(browser, report):
    with opened(browser, report / "index.html") as page:
        for path in sorted(report.rglob("*.html")):
            page.goto(path.as_uri())
            page.evaluate("Promise.all(Array.from(document.images, (image) => image.decode()))")
            assert page.complaints == [], path.name
        assert [url for url in page.asked if not url.startswith((report.as_uri(), "data:"))] == []
        assert sum(url.endswith("style.css") for url in page.asked) == 36


@pytest.mark.parametrize("width", WIDTHS)
def test_no_element_leaves_the_window(browser, report, width):
    with opened(browser, report / "index.html", width=width) as page:
        for path in sorted(report.rglob("*.html")):
            page.goto(path.as_uri())
            if path.relative_to(report).as_posix() in PAGES:
                keep(page, report, path.name, width, "light")
            page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
            assert page.evaluate(BEYOND) == [], path.name


BEYOND = """() => {
    const root = document.scrollingElement;
    const inBox = (element) => element.closest('.scroll') && !element.matches('.scroll');
    const found = Array.from(document.body.querySelectorAll('*'))
        .filter((element) => !inBox(element) && element.getBoundingClientRect().right > innerWidth + 0.5)
        .map((element) => element.outerHTML.slice(0, 120));
    if (root.scrollWidth > innerWidth) found.push(`the page is ${root.scrollWidth} wide`);
    return found;
}"""


COLUMN = """(place) => Array.from(document.querySelectorAll('#table1-rows tbody tr'),
    (row) => row.cells[place].textContent.trim())"""


def heading(page, text, table="table1-rows", nth=0):
    return page.locator(f"#{table} thead th[data-sort]", has_text=re.compile(rf"^{text}")).nth(nth)


def numbers(texts):
    return [float(text.replace("−", "-").replace("\u00a0", " ").split()[0]) for text in texts]


@pytest.mark.parametrize("how", ["click", "keyboard"])
def test_a_heading_sorts_by_number_up_and_down_and_leaves_states_last(browser, written, how):
    with opened(browser, written.paper / "index.html") as page:
        gain = heading(page, "measured", nth=2)
        place = int(gain.get_attribute("data-column"))
        old = page.evaluate(COLUMN, place)
        assert gain.get_attribute("aria-sort") == "none"
        for direction in ("ascending", "descending"):
            button = gain.locator("button")
            if how == "click":
                button.click()
            else:
                button.focus()
                page.keyboard.press("Enter" if direction == "ascending" else "Space")
            assert gain.get_attribute("aria-sort") == direction
            new = page.evaluate(COLUMN, place)
            filled = [text for text in new if text]
            assert new == filled + [""] * (len(new) - len(filled))  # what has no gain comes last, both ways
            assert len(filled) >= 4
            assert numbers(filled) == sorted(numbers(filled), reverse=direction == "descending")
            assert min(numbers(filled)) < -3
            assert new != old
            assert sorted(new) == sorted(old)


def test_only_one_column_is_marked_as_sorted_and_rows_stay_whole(browser, written):
    with opened(browser, written.paper / "index.html") as page:
        rows = (
            "() => Array.from(document.querySelectorAll('#table1-rows tbody tr'), (row) => row.textContent)"
        )
        old = page.evaluate(rows)
        heading(page, "DCAL helps").locator("button").click()
        heading(page, "Dataset").locator("button").click()
        heading(page, "Dataset").locator("button").click()
        marked = page.locator("#table1-rows th[aria-sort]:not([aria-sort=none])")
        assert marked.count() == 1
        assert marked.get_attribute("aria-sort") == "descending"
        new = page.evaluate(rows)
        assert sorted(new) == sorted(old)
        assert [text[:3] for text in new] == ["CUB"] * 5 + ["CAR"] * 5 + ["AIR"] * 5


def test_verdicts_sort_in_the_order_of_their_meaning(browser, written):
    with opened(browser, written.paper / "index.html") as page:
        helps = heading(page, "DCAL helps")
        helps.locator("button").click()
        texts = page.evaluate(COLUMN, int(helps.get_attribute("data-column")))
        order = ["yes", "no difference", "hurts", "open"]
        places = [next(place for place, word in enumerate(order) if text.startswith(word)) for text in texts]
        assert places == sorted(places)
        assert set(places) == {0, 1, 2, 3}


def test_every_sortable_table_sorts_by_every_column(browser, report):
    with opened(browser, report / "index.html") as page:
        page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
        buttons = page.locator("table.sortable th button")
        assert buttons.count() > 30
        page.evaluate(
            "document.querySelectorAll('table.sortable th button').forEach((button) => button.click())"
        )
        assert page.complaints == []
        assert page.locator("th[aria-sort=ascending]").count() == page.locator("table.sortable").count()


CONTRASTS = """() => {
    const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
    const rgba = (colour) => {
        canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
        const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
        return [r, g, b, a / 255];
    };
    const over = (top, under) => top.slice(0, 3).map((value, place) => value * top[3] + under[place] * (1 - top[3]));
    const ground = (element) => element
        ? over(rgba(getComputedStyle(element).backgroundColor), ground(element.parentElement)) : [255, 255, 255];
    const light = (colour) => {
        const [r, g, b] = colour.map((value) => value / 255)
            .map((value) => value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const found = [];
    for (const element of document.body.querySelectorAll('*')) {
        const own = Array.from(element.childNodes).some((node) => node.nodeType === 3 && node.textContent.trim());
        if (!own || !element.checkVisibility()) continue;
        const under = ground(element), style = getComputedStyle(element);
        const [a, b] = [light(over(rgba(style.color), under)), light(under)].sort((x, y) => y - x);
        const text = `${element.tagName}.${element.className}: ${element.textContent.slice(0, 40)}`;
        found.push([(a + 0.05) / (b + 0.05), text]);
    }
    return found;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_text_stands_out_from_its_ground(browser, report, scheme, name):
    with opened(browser, report / name, scheme=scheme, width=375) as page:
        keep(page, report, name, 375, scheme)
        page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
        result = page.evaluate(CONTRASTS)
        assert len(result) > 50
        assert [text for ratio, text in result if ratio < 4.5] == []


def test_dark_is_dark_and_light_is_light(browser, report):
    grounds = {}
    for scheme in ("light", "dark"):
        with opened(browser, report / "index.html", scheme=scheme) as page:
            colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
            grounds[scheme] = sum(map(int, re.findall(r"\d+", colour)[:3])) / 3
    assert grounds["light"] > 240
    assert grounds["dark"] < 40


@pytest.mark.parametrize("name", PAGES)
def test_a_page_prints_with_everything_that_is_folded(browser, report, name, tmp_path):
    with opened(browser, report / name, scheme="dark") as page:
        assert page.pdf(path=tmp_path / "page.pdf", prefer_css_page_size=True)[:5] == b"%PDF-"
        page.emulate_media(media="print")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert page.evaluate("getComputedStyle(document.querySelector('tbody th')).position") == "static"
        hidden = page.evaluate("""() => Array.from(document.querySelectorAll('details td'))
            .filter((cell) => !cell.checkVisibility({ contentVisibilityAuto: true })).length""")
        assert hidden == 0
        page.set_viewport_size({"width": PRINTED, "height": 700})
        assert (
            page.evaluate("""() => Array.from(document.querySelectorAll('table, img, pre'))
            .filter((part) => part.getBoundingClientRect().right > innerWidth + 0.5).map((part) => part.id)""")
            == []
        )


def test_the_skip_link_shows_itself_when_it_has_the_focus(browser, written):
    with opened(browser, written.paper / "index.html") as page:
        page.keyboard.press("Tab")
        box = page.locator(".skip").bounding_box()
        assert box["x"] >= 0
        assert page.evaluate("document.activeElement.getAttribute('href')") == "#content"
        page.keyboard.press("Tab")
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_a_row_leads_to_its_page_and_back(browser, written):
    with opened(browser, written.paper / "index.html") as page:
        page.get_by_role("link", name="CUB · DeiT-Small", exact=True).first.click()
        assert page.locator("h1").inner_text() == "CUB · DeiT-Small"
        page.get_by_role("link", name="All comparisons").click()
        assert page.url.endswith("index.html#table1")


def test_without_scripts_everything_is_there_in_the_paper_s_order(browser, written):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((written.paper / "index.html").as_uri())
    assert page.locator("#table1-rows tbody tr").count() == 15
    assert page.locator("button").count() == 0
    assert not page.locator(".hint").first.is_visible()
    context.close()
