"""Format of each export: pipe table, LaTeX balance, RFC 4180, safe HTML, width of the text."""

import csv
import io
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic_runs import HOSTILE, done, everything, extras_runs, other

from tables.exports import csv as csv_export
from tables.exports import html, latex, markdown
from tables.layout import build

KINDS = [
    ("table1", "paper"),
    ("table1", "mini"),
    ("table2", "paper"),
    ("table2", "quick"),
    ("extras", "paper"),
]


def layout_of(table, profile):
    runs = {"table1": everything, "table2": list, "extras": extras_runs}
    return build(table, profile, runs[table]())


# Markdown


def pipe_tables(rendered):
    lines = rendered.splitlines()
    return [line for line in lines if line.startswith("|")]


@pytest.mark.parametrize(("table", "profile"), KINDS)
def test_every_row_of_a_markdown_table_has_as_many_cells_as_its_heading(table, profile):
    rows = pipe_tables(markdown.render_markdown(layout_of(table, profile)))
    widths = [len(re.findall(r"(?<!\\)\|", row)) for row in rows]
    first = widths[: 2 + len(layout_of(table, profile).main.rows)]
    assert set(first) == {len(layout_of(table, profile).main.columns) + 3}
    sides = {len(table.headings) + 1 for table in layout_of(table, profile).side_tables}
    assert set(widths) == set(first) | sides


def test_markdown_shows_hostile_text_as_text():
    rendered = markdown.render_markdown(
        build("table1", "paper", [other("cub/deit_tiny/dcal", 0, "failed", HOSTILE)])
    )
    assert "<script" not in rendered
    assert r"\| a &amp; b\_c" in rendered
    assert "数据" in rendered


# LaTeX


def check_latex(rendered):
    """Braces and environments balance; every row has the columns of its tabular."""
    code = re.sub(r"(?<!\\)%.*", "", rendered)
    bare = re.sub(r"\\[\\{}&%$#_]", "", code.replace(r"\shortstack", ""))
    depth = 0
    for letter in bare:
        depth += {"{": 1, "}": -1}.get(letter, 0)
        assert depth >= 0
    assert depth == 0
    assert bare.count("$") % 2 == 0
    stack = []
    for verb, name in re.findall(r"\\(begin|end)\{(\w+)\}", code):
        if verb == "begin":
            stack.append(name)
        else:
            assert stack.pop() == name
    assert stack == []
    for spec, body in re.findall(r"\\begin\{tabular\}\{([lr]+)\}(.*?)\\end\{tabular\}", code, re.S):
        for row in re.findall(r"^(.*) \\\\$", body, re.M):
            spanned = sum(int(width) - 1 for width in re.findall(r"\\multicolumn\{(\d+)\}", row))
            assert len(re.findall(r"(?<!\\)&", row)) + spanned == len(spec) - 1, row
    assert code.isascii()


@pytest.mark.parametrize(("table", "profile"), KINDS)
def test_latex_balances(table, profile):
    rendered = latex.render(layout_of(table, profile))
    check_latex(rendered)
    for rule in (r"\toprule", r"\midrule", r"\bottomrule", r"\cmidrule(lr){3-"):
        assert rule in rendered
    assert r"\multirow" not in rendered


@given(st.text(max_size=60))
def test_latex_balances_whatever_a_reason_says(reason):
    runs = [other("cub/deit_tiny/dcal", 0, "failed", reason)]
    runs.append(done("cub/deit_tiny/baseline", 0, 82.0, coverage="subset", text=reason))
    check_latex(latex.render(build("table1", "paper", runs)))


@pytest.mark.parametrize(
    ("plain", "escaped"),
    [
        ("a & b", r"a \& b"),
        ("50 %", r"50 \%"),
        ("a_b#c$", r"a\_b\#c\$"),
        ("~^", r"\textasciitilde{}\textasciicircum{}"),
        (r"\input{x}", r"\textbackslash{}input\{x\}"),
        ("1 ± 2 − 3", r"1 $\pm$ 2 $-$ 3"),
        ("--- x — y", "-{}-{}- x --- y"),
        ("café 数", "cafe ?"),
    ],
)
def test_latex_escapes(plain, escaped):
    assert latex.escape(plain) == escaped


# CSV


def csv_lines(table="table1", profile="paper", runs=None):
    rendered = csv_export.render(build(table, profile, everything() if runs is None else runs))
    return list(csv.DictReader(io.StringIO(rendered, newline=""), strict=True)), rendered


def test_csv_has_a_line_a_cell_and_a_line_a_gain():
    lines, rendered = csv_lines()
    assert len(lines) == 30 + 15
    assert [line["method"] for line in lines[30:]] == ["gain"] * 15
    assert rendered.splitlines()[0] == ",".join(csv_export.COLUMNS)
    assert "\r\n" in rendered
    assert "\n" not in rendered.replace("\r\n", "")


def test_csv_numbers_are_unrounded_and_ascii():
    lines, _ = csv_lines()
    tiny = next(line for line in lines if (line["backbone"], line["method"]) == ("deit_tiny", "baseline"))
    assert float(tiny["measured_mean"]) == pytest.approx((81.8 + 82.1 + 82.3) / 3, abs=1e-12)
    assert float(tiny["measured_std"]) == pytest.approx(0.251661147842358, abs=1e-12)
    assert float(tiny["difference"]) == pytest.approx(-0.1 / 3, abs=1e-12)
    assert tiny["n"] == "3"
    assert tiny["state"] == "done"
    small = next(line for line in lines if (line["backbone"], line["method"]) == ("deit_small", "baseline"))
    assert small["difference"].startswith("-0.3") or small["difference"].startswith("-0.29999")


def test_csv_names_states_reasons_hashes_and_commits():
    lines, _ = csv_lines()
    by_place = {(line["dataset"], line["backbone"], line["method"]): line for line in lines}
    dcal = by_place["cub", "deit_tiny", "dcal"]
    assert dcal["commit"] == f"{'b' * 40} {'b' * 40}-dirty"
    assert dcal["config_hashes"] == "hash-cub-deit_tiny-dcal"
    partial = by_place["cub", "deit_small", "baseline"]
    assert partial["state"] == "2 done, 1 failed"
    assert partial["reason"].startswith("seed 2: CUDA out of memory")
    assert by_place["cars", "deit_small", "dcal"]["reason"].startswith("seeds 0, 1, 2: <script>")
    assert by_place["cars", "deit_tiny", "baseline"]["coverage"] == "subset"


def test_csv_has_no_difference_outside_the_paper_profile():
    lines, _ = csv_lines(profile="mini")
    assert {line["difference"] for line in lines} == {""}
    assert {line["profile"] for line in lines} == {"mini"}


def test_a_reason_never_starts_a_spreadsheet_formula():
    lines, _ = csv_lines(runs=[other("cub/deit_tiny/baseline", 0, "failed", "=cmd|' /C calc'!A0")])
    assert lines[0]["reason"].startswith("seed 0: =cmd")


# HTML


class Tags(HTMLParser):
    """Checks nesting and collects tags and text."""

    VOID = ("meta",)

    def __init__(self, page):
        super().__init__()
        self.seen, self.open, self.words = [], [], []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


@pytest.mark.parametrize(("table", "profile"), KINDS)
def test_html_is_well_formed_and_self_contained(table, profile):
    page = html.render(layout_of(table, profile))
    tags = Tags(page)
    assert {tag for tag, _ in tags.seen}.isdisjoint({"script", "link", "img", "iframe"})
    assert not any("src" in attrs or "href" in attrs for _, attrs in tags.seen)
    assert "prefers-color-scheme: dark" in page
    assert "width=device-width" in page


def test_every_html_row_spans_all_columns():
    layout = layout_of("table1", "paper")
    body = html.render(layout).split("<tbody>")[1].split("</tbody>")[0]
    assert [row.count("<td") for row in body.split("</tr>")[:-1]] == [len(layout.main.columns)] * 15


def test_html_shows_hostile_text_as_text():
    page = html.render(build("table1", "paper", [other("cub/deit_tiny/dcal", 0, "failed", HOSTILE)]))
    assert "<script" not in page
    assert "<script>alert('x')</script>" in "".join(Tags(page).words)


def test_each_table_scrolls_in_its_own_container():
    page = html.render(layout_of("table1", "paper"))
    assert page.count('<div class="scroll"') == page.count("<table>") == 3
    assert "overflow-x: auto" in page


# Text


@pytest.mark.parametrize(("table", "profile"), KINDS)
def test_the_terminal_table_fits_110_columns(table, profile):
    rendered = markdown.render_text(layout_of(table, profile))
    assert max(map(len, rendered.splitlines())) <= 110


def test_the_terminal_explains_the_short_heading():
    rendered = markdown.render_text(build("table1", "mini", []))
    assert "paper*" in rendered
    assert "* paper (full data, full recipe)" in rendered


def test_control_characters_do_not_reach_the_terminal():
    rendered = markdown.render_text(
        build("table1", "paper", [other("cub/deit_tiny/dcal", 0, "failed", "\x1b[2J\x07 bad")])
    )
    assert "\x1b" not in rendered
    assert "\x07" not in rendered


@pytest.mark.parametrize(
    "text", ["=1+1", "+1+1", "-2+3", "@SUM(A1)", " =1", "\t=1", "\r=1", "\uff1d1+1", '=HYPERLINK("x")']
)
def test_text_of_a_foreign_record_is_no_formula_in_csv(text):
    run = done("cub/deit_tiny/dcal", 0, 84.0, commit=text)
    run.result["config_hash"] = text
    rendered = csv_export.render(build("table1", "paper", [run]))
    (row,) = [row for row in csv.DictReader(io.StringIO(rendered)) if row["commit"]]
    assert row["commit"] == "'" + " ".join(text.split())
    assert row["config_hashes"] == row["commit"]
    assert csv_export.escape_formula(text) == f"'{text}"


@pytest.mark.parametrize(
    "value", [-3.1, "-3.1", "+0.5", "-1e-05", 7, None, "seed 1: =1", "", "a-b", float("-inf")]
)
def test_numbers_and_other_text_stay_as_they_are_in_csv(value):
    assert csv_export.escape_formula(value) is value


def test_a_negative_gain_is_a_number_in_csv():
    runs = [done("cub/deit_tiny/baseline", 0, 84.0), done("cub/deit_tiny/dcal", 0, 80.0)]
    rows = csv.DictReader(io.StringIO(csv_export.render(build("table1", "paper", runs))))
    (gain,) = [row for row in rows if row["method"] == "gain" and row["n"] == "1"]
    assert float(gain["measured_mean"]) == -4.0
