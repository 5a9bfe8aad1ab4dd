"""How the rows were trained: what each cell sets otherwise than DCAL, and what all of a pair share (no torch)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmark.config.ablations import ROWS
from benchmark.config.backbones import BACKBONES
from benchmark.config.datasets import DATASETS
from benchmark.config.model_settings import setting_text
from benchmark.config.parse import duration, hours, memory
from benchmark.records.status import RunView
from reports.page.costs import Costs
from reports.page.html_table import Column, Sheet, number, word
from tables import records, states
from tables.formats import short_digest
from tables.records import seeds_text


def settings_sheet(runs: Sequence[RunView]) -> Sheet:
    """A row a cell: which rows of the table read it, what it sets otherwise than DCAL of its pair, and its runs."""
    by_cell: dict[str, list[RunView]] = {}
    for run in runs:
        by_cell.setdefault(run.cell.id, []).append(run)
    rows = tuple(
        (
            word(cell_id, "code"),
            word("; ".join(_titles(cell_id)), "prose"),
            word(_otherwise(of_cell[0], by_cell), "prose"),
            word(_states(of_cell), "prose"),
        )
        for cell_id, of_cell in by_cell.items()
    )
    columns = (Column("Cell"), Column("Rows"), Column("Otherwise than DCAL"), Column("Runs"))
    return Sheet("ablation-settings", "What each cell trains", columns, rows, sortable=False)


def _titles(cell_id: str) -> list[str]:
    return list(dict.fromkeys(row.title for row in ROWS if row.cell == cell_id))


def _otherwise(run: RunView, by_cell: dict[str, list[RunView]]) -> str:
    """``model.pwca_blocks = 0, model.glca_select = random``."""
    method = run.cell.method
    if method == "baseline":
        return "neither cross-attention"
    if method == "dcal":
        return "nothing"
    beside = by_cell.get(f"{run.cell.dataset}/{run.cell.backbone}/dcal")
    if not beside:
        return "DCAL itself is left out: these settings make no sense for it"
    own, usual = run.config.settings.named_values(), beside[0].config.settings.named_values()
    return ", ".join(f"{name} = {setting_text(value)}" for name, value in own.items() if value != usual[name])


def _states(runs: Iterable[RunView]) -> str:
    """``seeds 0, 1 done; seed 2 failed``."""
    by_state: dict[str, list[int]] = {}
    for run in runs:
        by_state.setdefault(run.state, []).append(run.seed)
    return "; ".join(f"{seeds_text(seeds)} {states.state_label(state)}" for state, seeds in by_state.items())


def shared(runs: Iterable[RunView]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Of each pair of dataset and backbone, its title and every setting of DCAL's, as (name, value)."""
    found = {}
    for run in runs:
        if run.cell.method == "dcal":
            title = f"{DATASETS[run.cell.dataset].column}, {BACKBONES[run.cell.backbone].title}"
            found[title] = [
                (name, setting_text(value)) for name, value in run.config.settings.named_values().items()
            ]
    return list(found.items())


# --- Every finished run of the ablations: what it took, and the digests that tell whether two runs are the same ---


def sheet(costs: Costs) -> Sheet:
    """A row a finished run, in the order of the costs."""
    rows = tuple(
        (
            word(cost.run.id, "code"),
            number(cost.hours, lambda value, kind=cost.kind: f"{hours(value)} {kind}"),
            number(cost.train_seconds, duration),
            number(cost.memory, memory),
            word(cost.device),
            word(records.commit(cost.run, digits=10) or "not recorded"),
            word(short_digest(cost.run.result["config_hash"]), "code"),
            word(short_digest(cost.run.result["final_weights_sha256"]), "code"),
            *(word(_logits(cost.run, branch), "code") for branch in ("sa", "glca")),
        )
        for cost in costs.runs
    )
    columns = (
        Column("Run"),
        Column("Cost", "number"),
        Column("Training", "number", note="without evaluations"),
        Column("Peak memory", "number"),
        Column("Device"),
        Column("Commit"),
        Column("Settings", group="sha256, the first digits"),
        Column("Final weights", group="sha256, the first digits"),
        Column("SA logits", group="sha256, the first digits", note="Re-ID: features"),
        Column("GLCA logits", group="sha256, the first digits", note="Re-ID: features"),
    )
    return Sheet("ablation-runs", "Every finished run", columns, rows)


def _logits(run: RunView, branch: str) -> str:
    """Of Re-ID the features'."""
    return short_digest(records.section(run, "outputs_sha256").get(branch, ""))
