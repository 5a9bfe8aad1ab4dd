"""Figures are the same whatever settings of matplotlib a user has, and however damaged these are."""

import ast
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from drawn_examples import every_figure

from reports import plot_style

ROOT = Path(__file__).resolve().parents[2]
# Each of these changes a figure, or stops it, where it counts.
HOSTILE = {
    "text.usetex": True,
    "text.hinting": "none",
    "text.antialiased": False,
    "text.color": "lime",
    "font.family": "monospace",
    "font.size": 23,
    "font.sans-serif": "Nothing Sans",
    "mathtext.fontset": "cm",
    "savefig.dpi": 17,
    "savefig.bbox": "tight",
    "savefig.transparent": True,
    "savefig.facecolor": "yellow",
    "figure.dpi": 31,
    "figure.autolayout": True,
    "figure.facecolor": "black",
    "axes.facecolor": "red",
    "axes.grid": True,
    "axes.unicode_minus": False,
    "axes.formatter.limits": (0, 0),
    "axes.xmargin": 0.4,
    "lines.linewidth": 9,
    "lines.antialiased": False,
    "image.origin": "lower",
    "image.resample": False,
    "xtick.direction": "in",
    "path.sketch": (5, 50, 2),
    "pdf.fonttype": 3,
    "pdf.compression": 0,
    "svg.fonttype": "path",
    "svg.hashsalt": "other",
    "errorbar.capsize": 12,
}
# Artists that other modules put into a figure; whatever makes, styles or saves one is drawing's alone.
ARTISTS = {"matplotlib.collections", "matplotlib.lines", "matplotlib.patches", "matplotlib.ticker"}
USES = ("savefig", "rcParams", "rc_context")


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    return every_figure(tmp_path_factory.mktemp("usual"))


def test_settings_of_the_process_change_no_byte_and_stay_as_they_were(usual, tmp_path):
    import matplotlib

    with matplotlib.rc_context(HOSTILE):
        assert every_figure(tmp_path) == usual
        assert {name: matplotlib.rcParams[name] for name in ("font.size", "pdf.fonttype")} == {
            "font.size": 23,
            "pdf.fonttype": 3,
        }


def test_neither_a_damaged_matplotlibrc_nor_a_home_that_cannot_be_written_changes_a_byte(usual, tmp_path):
    here = tmp_path / "working folder"
    here.mkdir()
    (here / "matplotlibrc").write_bytes(b"font.size: 23\n\xff\xfe is no UTF-8\n")
    (tmp_path / "no folder").write_text("")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MPL")}
    environment |= {
        "MATPLOTLIBRC": str(here / "matplotlibrc"),
        "MPLBACKEND": "nonsense",
        "HOME": str(tmp_path / "no folder"),
        "XDG_CONFIG_HOME": str(tmp_path / "no folder"),
        "XDG_CACHE_HOME": str(tmp_path / "no folder"),
        "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "tests", Path(__file__).parent))),
    }
    code = (
        "import hashlib, json, os, sys, pathlib; from drawn_examples import every_figure\n"
        "made = every_figure(pathlib.Path(sys.argv[1]))\n"
        "assert os.environ['MPLBACKEND'] == 'nonsense' and pathlib.Path('matplotlibrc').exists()\n"
        "print(json.dumps({name: hashlib.sha256(made[name]).hexdigest() for name in made}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "made")],
        cwd=here, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        name: hashlib.sha256(content).hexdigest() for name, content in usual.items()
    }


def test_a_figure_made_elsewhere_with_tex_is_saved_without():
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"text.usetex": True}):
        figure = Figure(figsize=(2, 1))
        figure.subplots().set_title("Black_footed_Albatross 37.5%")
        assert plot_style.render(figure, "png", plot_style.IMAGE_STYLE).startswith(b"\x89PNG")


def test_matplotlib_is_made_and_saved_with_in_one_place():
    wrong = []
    for folder in ("dcal", "benchmark", "tables", "slurm", "reports"):
        for file in (ROOT / folder).rglob("*.py"):
            if file != Path(plot_style.__file__):
                wrong += [f"{file.relative_to(ROOT)}: {what}" for what in _of_matplotlib(file)]
    assert wrong == []


def _of_matplotlib(file):
    """What a file has of matplotlib that it should not have."""
    text = file.read_text(encoding="utf-8")
    if not any(word in text for word in ("matplotlib", *USES)):
        return
    tree = ast.parse(text)
    for_types = {
        id(node)
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and ast.unparse(branch.test) == "TYPE_CHECKING"
        for node in ast.walk(branch)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module]
        else:
            names = []
        for name in names:
            if name.split(".")[0] == "matplotlib" and name not in ARTISTS and id(node) not in for_types:
                yield f"imports {name}"
        if isinstance(node, ast.Attribute) and node.attr in USES:
            yield f"uses {node.attr}"
