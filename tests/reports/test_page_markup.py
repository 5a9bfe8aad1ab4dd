"""Every page of a report parses, holds together, loads nothing from outside, and shows hostile text as text."""

import re
import shlex
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from page_reader import Page, pages
from sweep.plan import HOSTILE_HOST, HOSTILE_LOG, HOSTILE_NAMES

from tables.formats import one_line

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module", params=["paper", "mini"])
def report(request, written):
    return getattr(written, request.param)


@pytest.fixture(scope="module")
def site_pages(report):
    return pages(report)


def test_tags_balance(site_pages):
    assert [(page.path.name, page.problems) for page in site_pages if page.problems] == []


def test_ids_are_unique_on_a_page(site_pages):
    for page in site_pages:
        assert len(page.ids) == len(set(page.ids)), page.path.name


def targets(page):
    for tag, attributes in page.elements:
        for name in ("href", "src", "srcset", "action", "data", "poster"):
            if name in attributes:
                yield tag, name, attributes[name]


def test_every_link_and_picture_is_there(site_pages):
    ids = {page.path.resolve(): set(page.ids) for page in site_pages}
    for page in site_pages:
        for tag, _, target in targets(page):
            if tag == "link" and target.startswith("data:"):
                continue
            parts = urlsplit(target)
            assert not parts.scheme, target
            path = (page.path.parent / unquote(parts.path)).resolve() if parts.path else page.path.resolve()
            assert path.is_file(), f"{page.path.name}: {target}"
            if parts.fragment:
                assert parts.fragment in ids[path], f"{page.path.name}: {target}"


def test_nothing_is_loaded_from_outside(site_pages, report):
    for page in site_pages:
        for _, name, target in targets(page):
            assert "//" not in target, f"{page.path.name}: {name}={target}"
        assert not [attributes for _, attributes in page.elements if "style" in attributes]
        assert page.attributes("script", "src") == [
            ("../" if page.path.parent.name == "cells" else "") + "assets/sort.js"
        ]
    style = (report / "assets" / "style.css").read_text(encoding="utf-8")
    assert "url(" not in style
    assert "@import" not in style
    assert not re.search(r"fetch|XMLHttp|import|eval|innerHTML", (report / "assets" / "sort.js").read_text())


def test_every_page_says_where_it_goes_and_what_it_is(site_pages):
    for page in site_pages:
        assert page.attributes("html", "lang") == ["en"]
        assert page.attributes("a", "href")[0] == "#content"
        assert "content" in page.ids
        assert "<title></title>" not in page.source
        assert page.source.count("<h1") == 1


def test_tables_have_captions_headings_and_boxes_that_scroll(site_pages):
    for page in site_pages:
        tables = [tag for tag, _ in page.elements if tag == "table"]
        assert page.source.count("<caption") == len(tables) > 0
        assert page.source.count('<div class="scroll" role="region"') == len(tables)
        assert all(
            attributes.get("scope") in ("col", "row", "colgroup")
            for tag, attributes in page.elements
            if tag == "th"
        )
        assert all(cells for _, cells in page.rows)


def test_pictures_have_an_alternative_text_and_a_size(site_pages):
    for page in site_pages:
        for tag, attributes in page.elements:
            if tag == "img":
                assert attributes["alt"].strip()
                assert int(attributes["width"]) > 0
                assert int(attributes["height"]) > 0


def test_hostile_text_is_text(site_pages):
    scripts = [
        page.path.name
        for page in site_pages
        if len(page.attributes("script", "src")) != page.source.count("<script")
    ]
    assert scripts == []
    for page in site_pages:
        handlers = [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
        assert handlers == []
        assert not {"iframe", "object", "embed", "base", "form"} & {tag for tag, _ in page.elements}
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", page.source)


@pytest.mark.parametrize(
    ("name", "hostile"),
    [
        ("cub-deit_tiny", HOSTILE_NAMES[0]),
        ("cub-deit_tiny", HOSTILE_NAMES[1]),
        ("cub-deit_tiny", HOSTILE_NAMES[5]),
        ("cub-deit_tiny", HOSTILE_HOST),
        ("cars-deit_small", "<script>alert('reason')</script>"),
        ("cars-deit_small", one_line(HOSTILE_LOG)),
        ("veri-deit_tiny", one_line(f"Caption {HOSTILE_LOG}")),
        ("veri-deit_tiny", HOSTILE_NAMES[0]),
    ],
)
def test_hostile_text_is_shown_to_the_last_letter(written, name, hostile):
    page = Page(written.paper / "cells" / f"{name}.html")
    assert " ".join(hostile.split()) in page.text


def test_a_long_name_is_cut_with_an_ellipsis(written):
    page = Page(written.paper / "cells" / "cub-deit_tiny.html")
    assert "a name of 300 characters long long" in page.text
    assert HOSTILE_NAMES[2].strip() not in page.text


def test_a_hostile_folder_and_settings_stay_text(tmp_path):
    from reports.__main__ import main

    runs = tmp_path / "<b>'runs\"&$x"
    runs.mkdir()
    assert main(["page", "--runs", str(runs), "--no-pictures", "--set", "model.w_init=0.5"]) == 0
    for page in pages(runs / "mini" / "report"):
        assert page.problems == []
        assert not [tag for tag, _ in page.elements if tag == "b"]
    page = Page(runs / "mini" / "report" / "cells" / "cub-deit_tiny.html")
    command = page.commands[0]
    assert shlex.split(command)[2] == f"RUNS={runs}"
    assert command.endswith(" SET=model.w_init=0.5")


def test_no_template_switches_escaping_off():
    for template in (ROOT / "reports" / "page" / "templates").iterdir():
        assert not re.search(r"\|\s*safe|autoescape|Markup", template.read_text(encoding="utf-8")), (
            template.name
        )
