"""Every finished run of the ablations: what it took, and the digests that tell whether two runs are the same."""

from __future__ import annotations

from benchmark.config.quantities import duration, hours, memory
from benchmark.records.status import RunView
from reports.page.costs import Costs
from reports.page.html_table import Column, Sheet, number, word
from tables import records
from tables.formats import short_digest


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
