"""Errors of a pair as tables (accuracy by class, confused classes, confusion matrices) and as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.errors import SuiteError
from benchmark.records.merge import MergedRuns
from benchmark.records.status import RunView
from reports.errors.confusion import Confusion, ConfusionMatrix, Mistakes, count_mistakes
from reports.errors.examples import hardest_queries, write_examples
from reports.page.html_table import HtmlCell, HtmlColumn, HtmlTable, number_cell, text_cell
from reports.page.inputs import Pair
from reports.page.provenance import METHOD_LABELS
from tables.formats import one_line, percent, signed
from tables.records import seeds_text

NAME_LENGTH = 120  # characters of a class name
NOTE_LENGTH = 600  # characters of a note
SHADES = 5  # background colours of a matrix's cells, by their share of the true class


@dataclass(frozen=True)
class ErrorsSection:
    """Section of a page about errors.

    tables: shown openly.
    classes: long table of all classes, folded on the page.
    notes: rules, and what is missing.
    confused: the most frequently confused pairs of classes.
    """

    tables: tuple[HtmlTable, ...] = ()
    classes: HtmlTable | None = None
    notes: tuple[str, ...] = ()
    confused: tuple[Confusion, ...] = ()


def errors_section(runs: Sequence[RunView]) -> ErrorsSection:
    """Show the errors of a pair's finished runs: by class, or by query for re-identification."""
    if not runs:
        return ErrorsSection(notes=("No run is finished.",))
    baseline, dcal = ([run for run in runs if run.cell.method == method] for method in ("baseline", "dcal"))
    try:
        if runs[0].cell.task == "reid":
            return _hardest_queries(baseline, dcal)
        mistakes = count_mistakes(baseline, dcal)
    except KeyError as error:
        return ErrorsSection(
            notes=(one_line(f"The predictions of a finished run have no {error.args[0]}.", NOTE_LENGTH),)
        )
    except SuiteError as error:
        return ErrorsSection(notes=(one_line(error, NOTE_LENGTH),))
    if mistakes is None:
        return ErrorsSection(notes=("No finished run has predictions by class.",))
    tables = (
        _pairs_table(mistakes) if mistakes.pairs else None,
        _matrix_table("confusion-baseline", "The baseline", mistakes.baseline_matrix, mistakes),
        _matrix_table("confusion-dcal", "DCAL", mistakes.dcal_matrix, mistakes),
    )
    return ErrorsSection(
        tuple(table for table in tables if table is not None),
        _classes_table(mistakes),
        tuple(one_line(text, NOTE_LENGTH) for text in (*_rules(mistakes), *mistakes.notes)),
        mistakes.pairs,
    )


def _hardest_queries(baseline: Sequence[RunView], dcal: Sequence[RunView]) -> ErrorsSection:
    """Show the hardest queries of the first finished DCAL run, with the baseline of its seed; else of a baseline."""
    done = [run for run in (*dcal, *baseline) if run.result is not None]
    if not done:
        return ErrorsSection(notes=("No run is finished.",))
    other = next((run for run in baseline if run.seed == done[0].seed and run is not done[0]), None)
    hardest = hardest_queries(done[0], other)
    columns = (
        HtmlColumn("Query", note="position in the list"),
        HtmlColumn("Identity"),
        HtmlColumn("Camera"),
        HtmlColumn("AP, %", "number", note=METHOD_LABELS[done[0].cell.method]),
        HtmlColumn("AP, %", "number", note="baseline"),
        HtmlColumn("First right picture at rank", "number"),
    )
    rows = tuple(
        (
            text_cell(query.index),
            text_cell(query.identity),
            text_cell(query.camera),
            number_cell(query.ap, percent),
            number_cell(query.other_ap, percent),
            number_cell(query.first_hit, lambda value: f"{value:,.0f}"),
        )
        for query in hardest.queries
    )
    notes = tuple(one_line(text, NOTE_LENGTH) for text in (hardest.rule, *hardest.notes))
    return ErrorsSection(
        (HtmlTable("queries", "Hardest queries", columns, rows),) if rows else (), notes=notes
    )


def _name(name: str) -> HtmlCell:
    return HtmlCell(one_line(name, NAME_LENGTH), css_class="prose")


def _rules(mistakes: Mistakes) -> list[str]:
    """List the counted seeds and the rules of the tables."""
    seeds = {"baseline": mistakes.baseline_seeds, "DCAL": mistakes.dcal_seeds}
    counted = "; ".join(f"{name} {seeds_text(numbers)}" for name, numbers in seeds.items() if numbers)
    rules = [mistakes.class_rule, *([mistakes.pair_rule, mistakes.choice_rule] if mistakes.pairs else [])]
    return [f"Counted: {counted}.", *rules]


def _classes_table(mistakes: Mistakes) -> HtmlTable:
    rows = tuple(
        (
            _name(row.name),
            number_cell(row.images, lambda value: f"{value:,.0f}"),
            *(number_cell(accuracy and accuracy.percent, percent) for accuracy in (row.baseline, row.dcal)),
            number_cell(row.gain, signed),
        )
        for row in mistakes.classes
    )
    columns = (
        HtmlColumn("Class"),
        HtmlColumn("Test images", "number"),
        HtmlColumn("Baseline", "number"),
        HtmlColumn("+ DCAL", "number"),
        HtmlColumn("Gain", "number"),
    )
    return HtmlTable("classes", "Accuracy by class, in %, lowest first", columns, rows)


def _pairs_table(mistakes: Mistakes) -> HtmlTable:
    rows = tuple(
        (
            _name(row.true_name),
            _name(row.predicted_name),
            *(
                number_cell(share, lambda value, count=count: f"{percent(value)} ({count:,})")
                for count, share in ((row.baseline, row.baseline_share), (row.dcal, row.dcal_share))
            ),
        )
        for row in mistakes.pairs
    )
    columns = (
        HtmlColumn("True class"),
        HtmlColumn("Taken for"),
        HtmlColumn("Baseline", "number", note="% of the class (images × runs)"),
        HtmlColumn("+ DCAL", "number", note="% of the class (images × runs)"),
    )
    return HtmlTable("confused", "Most confused classes", columns, rows)


def _matrix_table(
    key: str, method: str, matrix: ConfusionMatrix | None, mistakes: Mistakes
) -> HtmlTable | None:
    """Show a confusion matrix. Columns have numbers as headings; the class names stand in the rows."""
    if matrix is None or not mistakes.matrix_classes:
        return None
    columns = (
        HtmlColumn("True class"),
        *(HtmlColumn(str(index + 1), "number") for index in range(len(mistakes.matrix_classes))),
    )
    rows = tuple(
        (
            _name(f"{index + 1} · {name}"),
            *(
                _count_cell(count, matrix.totals[index], index == column)
                for column, count in enumerate(matrix.rows[index])
            ),
            number_cell(matrix.others[index], lambda value: f"{value:,.0f}"),
        )
        for index, (_, name) in enumerate(mistakes.matrix_classes)
    )
    caption = f"{method}: confusion matrix of the most confused classes, in images × runs"
    return HtmlTable(key, caption, (*columns, HtmlColumn("others", "number")), rows, sortable=False)


def _count_cell(count: int, total: int, is_correct: bool) -> HtmlCell:
    """Show a count of the matrix, coloured by its share of the class."""
    shade = -(-SHADES * count // total) if total else 0
    return number_cell(
        count,
        lambda value: f"{value:,.0f}",
        f"{'right' if is_correct else 'wrong'}-{shade}" if shade else "zero",
    )


# --- Pictures of the most frequent confusions; they need the dataset ---


@dataclass(frozen=True)
class ExamplePair:
    """A confusion as a test and a training picture. test, train: paths relative to the pages in cells/."""

    text: str
    test: str
    test_alt: str
    train: str
    train_alt: str


@dataclass(frozen=True)
class ExamplesSection:
    """Section of a page with example pictures. rule: how they were selected; notes: why some or all are missing."""

    pairs: tuple[ExamplePair, ...] = ()
    rule: str = ""
    notes: tuple[str, ...] = ()


def examples_section(
    confused: Sequence[Confusion], runs: Sequence[RunView], merged: MergedRuns, pair: Pair, folder: Path
) -> ExamplesSection:
    """Write thumbnails of confusions of the first finished DCAL run, else of a baseline.

    folder: folder of the report's figures.
    """

    done = sorted(
        (run for run in runs if run.result is not None), key=lambda run: (run.cell.method != "dcal", run.seed)
    )
    if not confused or not done:
        return ExamplesSection()
    name = f"{pair[0]}-{pair[1]}-confused"
    examples = write_examples(confused, done[0], merged.places[done[0].id], folder / name)
    path = f"../figures/{name}"
    pairs = tuple(
        ExamplePair(
            one_line(
                f"{example.confusion.true_name} taken for {example.confusion.predicted_name}; probability of the true "
                f"class {example.probability:.2f}",
                400,
            ),
            f"{path}/{example.test}",
            one_line(f"Test picture of {example.confusion.true_name}", 200),
            f"{path}/{example.train}",
            one_line(f"Training picture of {example.confusion.predicted_name}", 200),
        )
        for example in examples.pairs
    )
    reason = f"No pictures of confusions: {examples.reason}" if examples.reason else ""
    notes = tuple(one_line(text, NOTE_LENGTH) for text in (reason, *examples.notes) if text)
    return ExamplesSection(pairs, one_line(examples.rule, NOTE_LENGTH), notes)
