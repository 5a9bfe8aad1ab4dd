"""Settings and runs of the ablations: how each cell differs from DCAL, what all cells share, every finished run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from benchmark.config.ablations import ROWS
from benchmark.config.backbones import BACKBONES
from benchmark.config.datasets import DATASETS
from benchmark.config.model_settings import setting_text
from benchmark.config.parse import duration, hours, memory
from benchmark.records.status import RunView
from reports.page.costs import Costs
from reports.page.html_table import HtmlColumn, HtmlTable, number_cell, text_cell
from tables import records, states
from tables.formats import short_digest
from tables.records import seeds_text


def settings_table(runs: Sequence[RunView]) -> HtmlTable:
    """Show one row per cell: rows of the ablations that use it, differences from DCAL of its pair, its runs."""
    cells: dict[str, list[RunView]] = {}
    for run in runs:
        cells.setdefault(run.cell.id, []).append(run)
    rows = tuple(
        (
            text_cell(cell_id, "code"),
            text_cell("; ".join(dict.fromkeys(row.title for row in ROWS if row.cell == cell_id)), "prose"),
            text_cell(_differences(cell_runs[0], cells), "prose"),
            text_cell(_states(cell_runs), "prose"),
        )
        for cell_id, cell_runs in cells.items()
    )
    columns = (
        HtmlColumn("Cell"),
        HtmlColumn("Rows"),
        HtmlColumn("Differences from DCAL"),
        HtmlColumn("Runs"),
    )
    return HtmlTable("ablation-settings", "Settings of each cell", columns, rows, sortable=False)


def _differences(run: RunView, cells: Mapping[str, Sequence[RunView]]) -> str:
    """Format the settings that differ from DCAL: ``model.pwca_blocks = 0, model.glca_select = random``."""
    method = run.cell.method
    if method == "baseline":
        return "neither cross-attention"
    if method == "dcal":
        return "nothing"
    dcal_runs = cells.get(f"{run.cell.dataset}/{run.cell.backbone}/dcal")
    if not dcal_runs:
        return "DCAL itself is left out: these settings make no sense for it"
    values, dcal_values = run.config.settings.named_values(), dcal_runs[0].config.settings.named_values()
    return ", ".join(
        f"{name} = {setting_text(value)}" for name, value in values.items() if value != dcal_values[name]
    )


def _states(runs: Iterable[RunView]) -> str:
    """Format the states: ``seeds 0, 1 done; seed 2 failed``."""
    seeds: dict[str, list[int]] = {}
    for run in runs:
        seeds.setdefault(run.state, []).append(run.seed)
    return "; ".join(f"{seeds_text(numbers)} {states.state_label(state)}" for state, numbers in seeds.items())


def shared_settings(runs: Iterable[RunView]) -> list[tuple[str, list[tuple[str, str]]]]:
    """List for each dataset and backbone its title and DCAL's settings as (name, value)."""
    settings = {}
    for run in runs:
        if run.cell.method == "dcal":
            title = f"{DATASETS[run.cell.dataset].column}, {BACKBONES[run.cell.backbone].title}"
            settings[title] = [
                (name, setting_text(value)) for name, value in run.config.settings.named_values().items()
            ]
    return list(settings.items())


# --- Costs of every finished run, and digests that identify equal runs ---


def runs_table(costs: Costs) -> HtmlTable:
    """Show one row per finished run, in the order of the costs."""
    rows = tuple(
        (
            text_cell(cost.run.id, "code"),
            number_cell(cost.hours, lambda value, kind=cost.kind: f"{hours(value)} {kind}"),
            number_cell(cost.train_seconds, duration),
            number_cell(cost.memory, memory),
            text_cell(cost.device),
            text_cell(records.commit(cost.run, digits=10) or "not recorded"),
            text_cell(short_digest(cost.run.result["config_hash"]), "code"),
            text_cell(short_digest(cost.run.result["final_weights_sha256"]), "code"),
            *(
                text_cell(short_digest(records.section(cost.run, "outputs_sha256").get(branch, "")), "code")
                for branch in ("sa", "glca")
            ),
        )
        for cost in costs.runs
    )
    columns = (
        HtmlColumn("Run"),
        HtmlColumn("Cost", "number"),
        HtmlColumn("Training", "number", note="without evaluations"),
        HtmlColumn("Peak memory", "number"),
        HtmlColumn("Device"),
        HtmlColumn("Commit"),
        HtmlColumn("Settings", group="sha256, the first digits"),
        HtmlColumn("Final weights", group="sha256, the first digits"),
        HtmlColumn("SA logits", group="sha256, the first digits", note="Re-ID: features"),
        HtmlColumn("GLCA logits", group="sha256, the first digits", note="Re-ID: features"),
    )
    return HtmlTable("ablation-runs", "Every finished run", columns, rows)
