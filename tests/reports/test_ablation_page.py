"""The ablations' page: whole, truthful, and there only where an ablation was run."""

import json
import shlex
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from types import SimpleNamespace

import mini_sweep
import pytest
from left_ablations import CUB, DIGESTS, DONE, FAILED, leave_ablations
from page_reader import Page
from test_page_markup import (  # noqa: F401 (the same checks, on this page)
    test_every_page_says_where_it_goes_and_what_it_is,
    test_ids_are_unique_on_a_page,
    test_nothing_is_loaded_from_outside,
    test_pictures_have_an_alternative_text_and_a_size,
    test_tables_have_captions_headings_and_boxes_that_scroll,
    test_tags_balance,
)

from benchmark.config.grid import ablation_cells
from benchmark.config.paper import OVERHEADS
from benchmark.records.forecasts import glca_cost_path
from benchmark.records.run_folder import read_json
from reports import plot_style
from reports.__main__ import main
from tables.ablations.layout import TERMS

ROOT = Path(__file__).resolve().parents[2]
CELLS = len(ablation_cells())
SITE = ("ablations", "report")


def ablations(*arguments):
    return main(["ablations", *map(str, arguments)])


def site(runs, profile="mini"):
    return runs.joinpath(profile, *SITE)


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """Both profiles of the sweep with ablations, and their pages."""
    runs = mini_sweep.unpack(tmp_path_factory.mktemp("ablations") / "a sweep")
    for profile in mini_sweep.PROFILES:
        leave_ablations(runs, profile)
    counted = {
        "parameters": 100,
        "added_parameters": 8,
        "multiply_adds": 200,
        "added_multiply_adds": 3,
        "rollout_multiply_adds": 30,
    }
    costs = [{"of": f"{row.dataset}/{row.backbone}", "cost": counted} for row in OVERHEADS]
    glca_cost_path(runs, "mini").parent.mkdir()
    glca_cost_path(runs, "mini").write_text(json.dumps({"costs": costs, "made": {}}))
    with mini_sweep.alive(runs):
        for profile in mini_sweep.PROFILES:
            assert ablations("--profile", profile, "--runs", runs) == 0
    return SimpleNamespace(
        runs=runs, **{name: Page(site(runs, name) / "index.html") for name in mini_sweep.PROFILES}
    )


@pytest.fixture(autouse=True)
def only_svg(monkeypatch):
    """Render only SVG in single tests; ``reports`` has every kind, and fonts in a PDF take half a page's time."""
    render = plot_style.render
    monkeypatch.setattr(
        plot_style,
        "render",
        lambda figure, kind, *style, **options: (
            render(figure, kind, *style, **options) if kind == "svg" else b""
        ),
    )


@pytest.fixture(params=mini_sweep.PROFILES)
def report(request, reports):
    return site(reports.runs, request.param)


@pytest.fixture
def site_pages(report):
    return [Page(report / "index.html")]


def test_every_link_leads_somewhere(site_pages):
    (page,) = site_pages
    for target in (
        *page.attributes("a", "href"),
        *page.attributes("img", "src"),
        *page.attributes("link", "href"),
    ):
        if target.startswith("#"):
            assert target[1:] in page.ids
        elif not target.startswith("data:"):
            assert (page.path.parent / target).is_file(), target


def test_the_counted_overhead_beside_the_page_is_kept(reports):
    assert glca_cost_path(reports.runs, "mini").is_file()
    assert reports.mini.table("ablations-overhead")[0] == ["CUB, DeiT-Tiny · parameters", "9", "8.00", ""]
    assert "Not counted yet: run make ablations" in reports.paper.text


def test_a_row_has_its_number_its_gain_and_what_it_is_compared_with(reports):
    rows = {row[0]: row[1:] for row in reports.mini.table("ablations-group-2-0")}
    dcal, baseline = (
        read_json(reports.runs / "mini" / CUB / method / "seed0" / "result.json")["metrics"]["top1"]
        for method in ("dcal", "baseline")
    )
    assert rows["random local queries"][:4] == ["82.6", f"{dcal:.1f}", "+0.5", f"{dcal - baseline:+.1f}"]
    assert rows["local self-attention"] == ["82.6", "not run", "+0.5", "", "", "open"]
    compared = {row[0]: row[1:] for row in reports.mini.table("ablations-group-2-1")}
    assert compared["random local queries"] == ["−0.5", "0.0", "0.0 to 0.0", "1.000", "no difference shown"]


def test_the_finding_stands_beside_the_rows_it_is_about_with_what_was_measured(reports):
    page = reports.mini
    assert page.ids.index("group-2") < page.ids.index("finding") < page.ids.index("group-3")
    assert "the rollout's run again, bit for bit: final weights, logits, every probability" in page.text
    assert (
        "rollout, R = 5 % (seed 0): the rollout's run up to rounding: largest difference of a probability"
        in page.text
    )
    assert f"SA {DIGESTS['sa']}, GLCA {DIGESTS['glca']}" in page.text
    rows = {row[0]: row[1:] for row in page.table("ablations-selection")}
    assert rows["random, R = 10 % · 0"] == ["same bits", "same bits", "same bits", "0", "0 of 240"]
    assert rows["rollout, R = 5 % · 0"][:3] == ["other bits"] * 3
    assert rows["rollout, R = 50 % · 0"] == ["not run", "", "", "", ""]
    of_r = page.source.split('<h2 id="group-3">')[1].split("<h2")[0]
    assert "cannot change a prediction: every R is the same model, up to rounding" in of_r


def test_mini_is_warned_of_on_the_page_and_in_every_figure(reports):
    for name, warned in (("mini", True), ("paper", False)):
        page = getattr(reports, name)
        assert ("NOT comparable" in page.text) is warned
        figures = sorted(path.name for path in (page.path.parent / "figures").iterdir())
        assert figures == [f"accuracy-{sweep}.{kind}" for sweep in "MRT" for kind in ("pdf", "png", "svg")]
        for sweep in "MRT":
            svg = ElementTree.parse(page.path.parent / "figures" / f"accuracy-{sweep}.svg")
            words = " ".join(svg.getroot().itertext())
            assert ("profile mini: NOT comparable with the paper's numbers" in words) is warned
            assert ("paper's baseline" in words) is not warned


def test_figures_say_what_they_show_and_what_they_lack(reports):
    alts = reports.mini.attributes("img", "alt")
    assert alts[0].startswith("Accuracy against local queries R, % of the patches, GLCA alone. 5: ")
    assert "bootstrap over the test images" in reports.mini.text
    assert "Not done: R = 1, R = 30, R = 50." in reports.mini.text


def test_every_cell_says_how_it_was_trained(reports):
    cells = {row[0]: row[1:] for row in reports.mini.table("ablation-settings")}
    assert cells[f"{CUB}/glca_random"] == [
        "random local queries", "model.glca_select = random, model.pwca_blocks = 0", "seed 0 done",
    ]  # fmt: skip
    assert cells[f"{CUB}/{FAILED}"][1:] == ["model.glca_blocks = 0, model.pwca_blocks = 8", "seed 0 failed"]
    assert "model.glca_ratio = 0.016" in cells[f"{CUB}/glca_r1"][1]
    runs = {row[0]: row for row in reports.mini.table("ablation-runs")}
    assert len(runs) == len(DONE) + 2
    assert runs[f"{CUB}/glca/seed0"][-2:] == ["5" * 12, "6" * 12]


def test_what_is_missing_is_named_with_the_command_that_runs_it(reports):
    page = reports.mini
    assert "failed: a <b>made-up</b> error" in page.text
    (command,) = page.commands
    words = dict(word.partition("=")[::2] for word in shlex.split(command))
    assert words["RUNS"] == str(reports.runs)
    assert len(words["CELLS"].split()) == CELLS - len(DONE) - 2
    assert f"{CUB}/{FAILED}" in words["CELLS"].split()
    assert f"{CUB}/glca" not in words["CELLS"].split()


def test_hostile_text_of_a_record_stays_text(sweep):
    hostile = "<script>alert(1)</script>"
    leave_ablations(
        sweep, device={"type": "cpu", "name": hostile, "precision": "float32", "threads": 1, "world_size": 1}
    )
    assert ablations("--runs", sweep) == 0
    page = Page(site(sweep) / "index.html")
    assert hostile not in page.source
    assert hostile in page.text


def test_without_an_ablation_run_there_is_no_page_and_no_error(sweep, capsys):
    assert ablations("--runs", sweep) == 0
    assert (
        capsys.readouterr().out
        == "no ablation is run there: make ablations runs them and writes their page\n"
    )
    assert not (sweep / "mini" / "ablations").exists()


def test_one_failed_run_alone_still_gives_a_page(tmp_path):
    folder = tmp_path / "mini" / CUB / FAILED / "seed0"
    folder.mkdir(parents=True)
    (folder / "claim.1").write_text("{}")
    (folder / "outcome.json").write_text(json.dumps({"state": "failed", "message": "no luck"}))
    assert ablations("--runs", tmp_path) == 0
    page = Page(site(tmp_path) / "index.html")
    assert page.problems == []
    assert page.attributes("img", "src") == []
    assert page.text.count("No run of this sweep is done.") == 3
    assert "No run is finished." in page.text
    (command,) = page.commands
    assert command == f"make ablations RUNS={tmp_path}"


def test_runs_of_several_folders_are_one_page_with_their_conflicts(sweep, tmp_path):
    leave_ablations(sweep)
    other = tmp_path / "the other's"
    shutil.copytree(sweep / "mini" / CUB / "pwca", other / "mini" / CUB / "pwca")
    record = other / "mini" / CUB / "pwca" / "seed0" / "result.json"
    changed = read_json(record)
    changed["metrics"]["top1"] = 1.0
    record.write_text(json.dumps(changed))
    shutil.move(sweep / "mini" / CUB / "glca_r5", other / "mini" / CUB / "glca_r5")
    assert ablations("--runs", f"{shlex.quote(str(sweep))} {shlex.quote(str(other))}") == 0
    page = Page(site(sweep) / "index.html")
    assert f"{CUB}/pwca/seed0: two valid records differ (top1 " in page.text
    assert "rollout, R = 5 % (seed 0): the rollout's run up to rounding" in page.text


def test_the_seeds_are_those_of_ablations_not_of_the_tables(sweep):
    leave_ablations(sweep, "paper", seeds=(1,))
    assert ablations("--profile", "paper", "--runs", sweep) == 0
    page = Page(site(sweep, "paper") / "index.html")
    assert "seed 1." in page.text
    assert [row[0] for row in page.table("ablation-runs")][:2] == [
        f"{CUB}/baseline/seed1",
        f"{CUB}/dcal/seed1",
    ]


def test_points_of_other_seeds_are_named_below_their_figure(sweep):
    leave_ablations(sweep, "paper", seeds=(0, 1))
    shutil.rmtree(sweep / "paper" / CUB / "pwca_t1" / "seed1")
    assert ablations("--profile", "paper", "--runs", sweep) == 0
    page = Page(site(sweep, "paper") / "index.html")
    text = "differences may be those of the seeds: T = 1 of seed 0; T = 12, the baseline of seeds 0, 1."
    assert page.text.count("Not all of the same seeds") == 1
    assert text in page.text


def test_another_reading_of_the_recipe_is_named_in_the_figure_and_not_called_incomparable(sweep):
    leave_ablations(sweep, "paper")
    changed = "model.glca_readout=mean"  # of which PWCA alone is independent
    assert ablations("--profile", "paper", "--runs", sweep, "--set", changed) == 0
    words = (site(sweep, "paper") / "figures" / "accuracy-T.svg").read_text()
    assert f"another reading of the paper's recipe: {changed}" in words
    assert "NOT comparable" not in words


def test_the_terms_stand_above_the_tables(reports):
    first = reports.mini.source.split('id="group-0"')[0]
    assert [name for name, _ in TERMS if f"<dt>{name}</dt>" in first] == ["SA", "GLCA", "PWCA", "both"]


def test_records_alone_never_load_torch(reports):
    script = (
        "import sys\n"
        "from reports.__main__ import main\n"
        f"assert main(['ablations', '--runs', {str(reports.runs)!r}]) == 0\n"
        "loaded = [name for name in ('torch', 'timm', 'torchvision') if name in sys.modules]\n"
        "sys.exit(f'loaded {loaded}' if loaded else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


# The report beside it


def test_the_report_writes_the_page_and_leads_to_it_and_back(sweep):
    leave_ablations(sweep)
    assert main(["page", "--no-pictures", "--runs", str(sweep)]) == 0
    index = Page(sweep / "mini" / "report" / "index.html")
    (link,) = [target for target in index.attributes("a", "href") if "ablations/" in target]
    page = Page(index.path.parent / link)
    assert page.path.resolve() == (site(sweep) / "index.html").resolve()
    assert f"{len(DONE) + 2} of {CELLS} runs are done" in index.text
    assert ablations("--runs", sweep) == 0
    page = Page(page.path)
    assert (page.path.parent / page.attributes("a", "href")[1]).resolve() == index.path.resolve()


def test_a_report_without_ablations_says_nothing_of_them(written):
    assert "ablations" not in Page(written.mini / "index.html").ids
    assert not (written.runs / "mini" / "ablations").exists()
