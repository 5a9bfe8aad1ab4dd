"""Protocol card of each method, and provenance of every finished run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from benchmark.config.grid import METHODS
from benchmark.config.model_settings import setting_text
from benchmark.config.parse import duration
from benchmark.records.status import RunView
from reports.page.html_table import HtmlColumn, HtmlTable, text_cell
from tables import records
from tables.formats import one_line, short_digest
from tables.layout import LABELS

METHOD_LABELS = {method: LABELS[method] for method in METHODS}


def protocol_card(runs: Iterable[RunView]) -> HtmlTable | None:
    """Show the protocol: one column per method, one row per fact; None if no run is finished.

    A fact in which the runs of a method differ lists all values.
    """
    done = [run for run in runs if run.result is not None]
    methods = [method for method in METHODS if any(run.cell.method == method for run in done)]
    if not methods:
        return None
    facts = {method: [dict(_facts(run)) for run in done if run.cell.method == method] for method in methods}
    names = dict.fromkeys(name for run_facts in facts.values() for fact in run_facts for name in fact)
    rows = []
    for name in names:
        texts = [
            " / ".join(records.distinct(fact.get(name, "") for fact in facts[method])) for method in methods
        ]
        rows.append((text_cell(name), *(text_cell(text or "—", "prose") for text in texts)))
    return HtmlTable(
        "protocol",
        "Protocol card",
        (HtmlColumn("Fact"), *(HtmlColumn(METHOD_LABELS[method]) for method in methods)),
        tuple(rows),
        sortable=False,
    )


def _facts(run: RunView) -> Iterable[tuple[str, str]]:
    result, settings = run.result, run.config.settings
    data, weights, device = result["data"], result["weights"], result["device"]
    yield "data", f"{data['name']}: {data['text']}"
    yield "data coverage", str(data["coverage"])
    yield "data version", records.version(run) or "the only one"
    yield "data fingerprint", short_digest(data["fingerprint"])
    yield "evaluation", records.protocol(run) or "top-1 accuracy over all test images, one crop"
    yield "resize → crop", f"{_size(settings.data.resize)} → {_size(settings.data.crop)}"
    yield "epochs", str(settings.train.epochs)
    yield "batch size", f"{settings.train.batch_size}, over all processes"
    yield "optimizer", f"{settings.train.optimizer}, weight decay {settings.train.weight_decay:g}"
    yield (
        "learning rate",
        f"{settings.train.lr * settings.train.batch_size / settings.train.lr_batch:.6g} "
        f"(train.lr {settings.train.lr:g} for a batch of {settings.train.lr_batch})",
    )
    yield "pretrained weights", f"{weights['tag']}, file {weights['file']}"
    yield "weights' sha256", str(weights["sha256"])
    yield "weights left out", ", ".join(map(str, weights["dropped"])) or "none"
    yield "device", f"{device['world_size']} × {device['name']} ({device['type']})"
    yield "precision", str(device["precision"])
    for name, value in run.config.identity["settings"].items():
        yield name, setting_text(value)


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]}×{size[1]}"


def provenance_table(runs: Iterable[RunView]) -> HtmlTable | None:
    """Show code, machine, dates and digests, one row per finished run; None if no run is finished."""
    done = [run for run in runs if run.result is not None]
    if not done:
        return None
    facts: tuple[tuple[str, Callable[[RunView], str]], ...] = (
        ("Commit", lambda run: records.commit(run, digits=10) or "not recorded"),
        ("Host", lambda run: _text(run, "host")),
        ("Last attempt started", lambda run: _time(run, "started")),
        ("Finished", lambda run: _time(run, "finished")),
        ("Attempts", lambda run: str(run.result["cost"]["attempts"])),
        ("Training", lambda run: duration(run.result["cost"]["train_seconds"])),
        ("Settings", lambda run: short_digest(run.result["config_hash"])),
        ("Final weights", lambda run: short_digest(run.result["final_weights_sha256"])),
        ("Predictions", lambda run: short_digest(run.result["predictions_sha256"])),
    )
    rows = tuple(
        (text_cell(run_name(run)), *(text_cell(to_text(run)) for _, to_text in facts)) for run in done
    )
    return HtmlTable(
        "provenance",
        "Provenance of each run",
        (HtmlColumn("Run"), *(HtmlColumn(heading) for heading, _ in facts)),
        rows,
        sortable=False,
    )


def provenance_details(run: RunView) -> list[tuple[str, str]]:
    """List the recorded provenance of a finished run as (label, text), with complete digests."""
    versions = records.section(run, "provenance").get("versions")
    facts = [
        ("run folder", str(run.folder.path)),
        ("commit", records.commit(run) or "not recorded"),
        ("other code than at submission", records.run_code_difference(run)),
        ("command", _text(run, "command")),
        ("host", _text(run, "host")),
        ("platform", _text(run, "platform")),
        ("processor", f"{_text(run, 'cpu')}, {_text(run, 'cores')} cores"),
        (
            "versions",
            ", ".join(f"{name} {version}" for name, version in versions.items())
            if isinstance(versions, Mapping)
            else "not recorded",
        ),
        ("started", _time(run, "started")),
        ("finished", _time(run, "finished")),
        ("settings' hash", str(run.result["config_hash"])),
        ("final weights", str(run.result["final_weights_sha256"])),
        ("predictions", str(run.result["predictions_sha256"])),
        ("data fingerprint", str(run.result["data"]["fingerprint"])),
    ]
    return [(label, one_line(text, 1000)) for label, text in facts if text]


def run_name(run: RunView) -> str:
    """Return a run's name: ``+ DCAL, seed 0``."""
    return f"{METHOD_LABELS[run.cell.method]}, seed {run.seed}"


def _text(run: RunView, name: str) -> str:
    value = records.section(run, "provenance").get(name)
    return "not recorded" if value in (None, "") else one_line(value, 1000)


def _time(run: RunView, name: str) -> str:
    """Format an ISO 8601 time as ``2026-11-21 03:16 UTC``; other forms stay unchanged."""
    text = _text(run, name)
    return f"{text[:10]} {text[11:16]} UTC" if text.endswith("+00:00") and len(text) == 25 else text
