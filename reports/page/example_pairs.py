"""Pictures of a pair's most frequent confusions, for its page; drawn from the dataset, so not from records alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.records.merge import Merged
from benchmark.records.status import RunView
from reports.errors.confusion import Confusion
from reports.page.inputs import Pair
from tables.formats import one_line


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
    confused: Sequence[Confusion], runs: Sequence[RunView], merged: Merged, pair: Pair, folder: Path
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
