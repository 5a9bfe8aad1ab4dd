"""The LaTeX files through a real TeX engine: no error, and nothing beyond the edge of a letter page."""

import re
import shutil
import subprocess

import pytest
from synthetic_runs import HOSTILE, other
from test_tables_golden import CASES, GOLDEN

from tables.exports import latex
from tables.layout import build

# A letter page with margins of one inch, without the package that sets them.
PAGE = r"""\documentclass[10pt]{article}
\usepackage{booktabs}
\textwidth=6.5in \oddsidemargin=0pt \evensidemargin=0pt \textheight=9in \topmargin=0pt
\begin{document}
%s
\end{document}
"""
TOLERANCE = 1.0  # points of 1/72 inch that a line may stick out


@pytest.fixture
def log(tmp_path):
    """Function that compiles a table and returns TeX's output."""
    engine = shutil.which("pdflatex")
    if engine is None:
        pytest.skip("needs pdflatex with booktabs, e.g. apt-get install texlive-latex-recommended")
    if subprocess.run(["kpsewhich", "booktabs.sty"], capture_output=True).returncode:
        pytest.skip("pdflatex is there, booktabs is not, e.g. apt-get install texlive-latex-recommended")

    def compile_(table):
        (tmp_path / "page.tex").write_text(PAGE % table, encoding="utf-8")
        command = [engine, "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "page.tex"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace")
        assert done.returncode == 0, "\n".join(done.stdout.splitlines()[-25:])
        assert (tmp_path / "page.pdf").stat().st_size > 0
        return done.stdout

    return compile_


def check(output):
    too_wide = [float(points) for points in re.findall(r"Overfull \\hbox \(([\d.]+)pt too wide\)", output)]
    assert max(too_wide, default=0.0) <= TOLERANCE
    assert "Float too large" not in output
    assert "Undefined control sequence" not in output


@pytest.mark.parametrize("case", CASES)
def test_a_golden_file_compiles_and_fits(log, case):
    check(log((GOLDEN / f"{case}.tex").read_text(encoding="utf-8")))


def test_a_table_without_a_run_compiles_and_fits(log):
    check(log(latex.render(build("extras", "paper", []))))


def test_hostile_text_prints_as_text(log):
    runs = [other("cub/deit_tiny/dcal", 0, "failed", HOSTILE)]
    conflicts = ["/" + "/".join(["a long path"] * 30) + f"/{HOSTILE}"]
    check(log(latex.render(build("table1", "paper", runs, conflicts=conflicts, folders=["/a_b", "/c%d"]))))
