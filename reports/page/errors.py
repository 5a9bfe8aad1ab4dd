"""Where a pair errs, as tables: accuracy by class, confused classes, confusion matrices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.errors import SuiteError
from benchmark.records.merge import MergedRuns
from benchmark.records.status import RunView
from reports.errors.confusion import Accuracy, Confusion, Matrix, Mistakes, mistakes
from reports.errors.examples import hardest
from reports.page.html_table import Column, Entry, Sheet, number, word
from reports.page.inputs import Pair
from reports.page.provenance import METHODS
from tables.formats import one_line, percent, signed
from tables.records import seeds_text

NAME_LENGTH = 120  # characters of a class name
SHADES = 5  # of a matrix' cells, by their share of the true class


@dataclass(frozen=True)
class Errors:
    """sheets stand open on the page, the long list of classes is folded; notes: rules, and what is missing.

    confused: the pairs of classes that were confused most.
    """

    sheets: tuple[Sheet, ...] = ()
    classes: Sheet | None = None
    notes: tuple[str, ...] = ()
    confused: tuple[Confusion, ...] = ()


def errors(runs: Sequence[RunView]) -> Errors:
    """The errors of a pair's finished runs: by class, or of re-identification by query."""
    if not runs:
        return Errors(notes=("No run is finished.",))
    by_method = {
        method: [run for run in runs if run.cell.method == method] for method in ("baseline", "dcal")
    }
    try:
        if runs[0].cell.task == "reid":
            return _queries(**by_method)
        found = mistakes(by_method["baseline"], by_method["dcal"])
    except KeyError as error:
        return Errors(notes=(one_line(f"The predictions of a finished run have no {error.args[0]}.", 600),))
    except SuiteError as error:
        return Errors(notes=(one_line(error, 600),))
    if found is None:
        return Errors(notes=("No finished run has predictions by class.",))
    sheets = (
        _pairs(found) if found.pairs else None,
        _matrix("confusion-baseline", "The baseline", found.baseline_matrix, found),
        _matrix("confusion-dcal", "DCAL", found.dcal_matrix, found),
    )
    return Errors(
        tuple(sheet for sheet in sheets if sheet is not None),
        _classes(found),
        tuple(one_line(text, 600) for text in (*_seeds(found), *found.notes)),
        found.pairs,
    )


def _queries(baseline: Sequence[RunView], dcal: Sequence[RunView]) -> Errors:
    """The hardest queries of the first finished DCAL run beside the baseline of its seed; else of a baseline."""
    done = [run for run in (*dcal, *baseline) if run.result is not None]
    if not done:
        return Errors(notes=("No run is finished.",))
    other = next((run for run in baseline if run.seed == done[0].seed and run is not done[0]), None)
    found = hardest(done[0], other)
    columns = (
        Column("Query", note="place in the list"),
        Column("Identity"),
        Column("Camera"),
        Column("AP, %", "number", note=METHODS[done[0].cell.method]),
        Column("AP, %", "number", note="baseline"),
        Column("First right picture at rank", "number"),
    )
    rows = tuple(
        (
            word(query.place),
            word(query.identity),
            word(query.camera),
            number(query.ap, percent),
            number(query.other_ap, percent),
            number(query.first_hit, lambda value: f"{value:,.0f}"),
        )
        for query in found.queries
    )
    notes = tuple(one_line(text, 600) for text in (found.rule, *found.notes))
    return Errors((Sheet("queries", "Hardest queries", columns, rows),) if rows else (), notes=notes)


def _name(name: str) -> Entry:
    return Entry(one_line(name, NAME_LENGTH), look="prose")


def _seeds(found: Mistakes) -> list[str]:
    shown = {"baseline": found.baseline_seeds, "DCAL": found.dcal_seeds}
    counted = "; ".join(f"{who} {seeds_text(seeds)}" for who, seeds in shown.items() if seeds)
    rules = [found.class_rule, *([found.pair_rule, found.choice_rule] if found.pairs else [])]
    return [f"Counted: {counted}.", *rules]


def _classes(found: Mistakes) -> Sheet:
    rows = tuple(
        (
            _name(row.name),
            number(row.images, lambda value: f"{value:,.0f}"),
            _percent(row.baseline),
            _percent(row.dcal),
            number(row.gain, signed),
        )
        for row in found.classes
    )
    columns = (
        Column("Class"),
        Column("Test images", "number"),
        Column("Baseline", "number"),
        Column("+ DCAL", "number"),
        Column("Gain", "number"),
    )
    return Sheet("classes", "Accuracy by class, in %, lowest first", columns, rows)


def _percent(found: Accuracy | None) -> Entry:
    return number(found.percent if found else None, percent)


def _pairs(found: Mistakes) -> Sheet:
    rows = tuple(
        (
            _name(row.true_name),
            _name(row.predicted_name),
            *(
                number(share, lambda value, count=count: f"{percent(value)} ({count:,})")
                for count, share in ((row.baseline, row.baseline_share), (row.dcal, row.dcal_share))
            ),
        )
        for row in found.pairs
    )
    columns = (
        Column("True class"),
        Column("Taken for"),
        Column("Baseline", "number", note="% of the class (images × runs)"),
        Column("+ DCAL", "number", note="% of the class (images × runs)"),
    )
    return Sheet("confused", "Most confused classes", columns, rows)


def _matrix(key: str, who: str, matrix: Matrix | None, found: Mistakes) -> Sheet | None:
    """Numbers head the columns, so that long names stand once."""
    if matrix is None or not found.chosen:
        return None
    columns = (
        Column("True class"),
        *(Column(str(place + 1), "number") for place in range(len(found.chosen))),
    )
    rows = tuple(
        (
            _name(f"{place + 1} · {name}"),
            *(
                _shaded(count, matrix.totals[place], place == column)
                for column, count in enumerate(matrix.rows[place])
            ),
            number(matrix.others[place], lambda value: f"{value:,.0f}"),
        )
        for place, (_, name) in enumerate(found.chosen)
    )
    caption = f"{who}: confusion matrix of the most confused classes, in images × runs"
    return Sheet(key, caption, (*columns, Column("others", "number")), rows, sortable=False)


def _shaded(count: int, total: int, right: bool) -> Entry:
    shade = -(-SHADES * count // total) if total else 0
    return number(
        count, lambda value: f"{value:,.0f}", f"{'right' if right else 'wrong'}-{shade}" if shade else "zero"
    )


# --- Pictures of a pair's most frequent confusions, for its page; drawn from the dataset, so not from records alone ---


@dataclass(frozen=True)
class Shown:
    """One confusion in two pictures. test, train: relative to the pages of cells/."""

    text: str
    test: str
    test_alt: str
    train: str
    train_alt: str


@dataclass(frozen=True)
class Pictures:
    """rule: how the pictures were chosen; notes: why there are none, or fewer."""

    shown: tuple[Shown, ...] = ()
    rule: str = ""
    notes: tuple[str, ...] = ()


def pictures(
    confused: Sequence[Confusion], runs: Sequence[RunView], merged: MergedRuns, pair: Pair, folder: Path
) -> Pictures:
    """Thumbnails in ``folder``, that of the report's figures: of the first finished DCAL run, else of a baseline's."""
    from reports.errors.examples import examples

    done = sorted(
        (run for run in runs if run.result is not None), key=lambda run: (run.cell.method != "dcal", run.seed)
    )
    if not confused or not done:
        return Pictures()
    name = f"{pair[0]}-{pair[1]}-confused"
    found = examples(confused, done[0], merged.places[done[0].id], folder / name)
    at = f"../figures/{name}"
    shown = tuple(
        Shown(
            one_line(
                f"{example.confusion.true_name} taken for {example.confusion.predicted_name}; probability of the true "
                f"class {example.probability:.2f}",
                400,
            ),
            f"{at}/{example.test}",
            one_line(f"Test picture of {example.confusion.true_name}", 200),
            f"{at}/{example.train}",
            one_line(f"Training picture of {example.confusion.predicted_name}", 200),
        )
        for example in found.pictures
    )
    why = f"No pictures of confusions: {found.reason}" if found.reason else ""
    notes = tuple(one_line(text, 600) for text in (why, *found.notes) if text)
    return Pictures(shown, one_line(found.rule, 600), notes)
