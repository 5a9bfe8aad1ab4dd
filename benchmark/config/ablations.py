"""The ablation table: the paper's statements about DCAL's parts and our own readings, row by row.

A row reads one metric of one cell. Cells are shared: a cell stands in several rows, the baselines and DCAL itself are
Table 1's and Table 2's own. R and M are varied with GLCA alone and T with PWCA alone, so that each curve shows one part
of the method: the paper does not say what else was on; this is our reading.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from benchmark.config import paper
from benchmark.config.paper import published
from benchmark.config.resolve import Config
from benchmark.config.variants import VARIANTS

CUB, VERI = ("cub", "deit_tiny"), ("veri", "vit_base")
BASELINE, DCAL = "cub/deit_tiny/baseline", "cub/deit_tiny/dcal"


@dataclass(frozen=True)
class AblationRow:
    """One line of the table.

    cell: id of the cell it reads, metric: the name in the record's ``metrics``. published: in percent, None where the
    paper's text gives none. reference: id of the cell whose same metric of all branches it is compared with, "" for the
    reference itself. note: what has to be known of our reading, or "".
    """

    group: str
    title: str
    cell: str
    metric: str
    published: float | None = None
    reference: str = BASELINE
    note: str = ""


@dataclass(frozen=True)
class Sweep:
    """A curve: one setting over several cells, with the baseline as a line.

    name: R, M or T; label: of the x axis. setting: the dotted one, shown times scale. points: (x, id of the cell),
    ascending. metric: the name in the records.
    """

    name: str
    label: str
    setting: str
    scale: float
    points: tuple[tuple[float, str], ...]
    metric: str = "top1"
    baseline: str = BASELINE

    def x(self, config: Config) -> float:
        """Where a run of one of its cells lies: a profile with few patches may need another R than a point's."""
        return self.scale * float(config.identity["settings"][self.setting])


def cell_of(method: str, pair: tuple[str, str] = CUB) -> str:
    """Id of a method's cell."""
    return "/".join((*pair, method))


def _components() -> Iterable[AblationRow]:
    group = "Components: CUB, DeiT-Tiny"
    both = published(*CUB, "dcal", "top1")
    yield AblationRow(group, "baseline", BASELINE, "top1", published(*CUB, "baseline", "top1"), "")
    yield AblationRow(group, "GLCA only", cell_of("glca"), "top1", paper.GLCA_ONLY)
    yield AblationRow(group, "PWCA only", cell_of("pwca"), "top1")
    yield AblationRow(group, "both", DCAL, "top1", both)
    yield AblationRow(
        group, "both, SA alone at inference", DCAL, "sa_top1", paper.SA_ONLY_INFERENCE,
        note="the run of both, read without GLCA",
    )  # fmt: skip
    group = "Components: VeRi-776, ViT-Base"
    baseline, dcal = cell_of("baseline", VERI), cell_of("dcal", VERI)
    yield AblationRow(group, "baseline", baseline, "mAP", published(*VERI, "baseline", "mAP"), "")
    yield AblationRow(group, "both", dcal, "mAP", published(*VERI, "dcal", "mAP"), baseline)
    yield AblationRow(
        group, "both, SA alone at inference", dcal, "sa_mAP", paper.SA_ONLY_INFERENCE_VERI, baseline,
        note="the run of both, ranked by SA's feature alone",
    )  # fmt: skip


def _alternatives() -> Iterable[AblationRow]:
    group = "GLCA against its alternatives, without PWCA"
    yield AblationRow(group, "GLCA", cell_of("glca"), "top1", paper.GLCA_ONLY)
    for method, title, value, note in (
        (
            "glca_local", "local self-attention", paper.LOCAL_SELF_ATTENTION,
            "keys and values of the class token and the selected patches alone",
        ),
        (
            "glca_random", "random local queries", paper.RANDOM_QUERIES,
            "with the class-token read-out the selection cannot change a prediction",
        ),
        (
            "glca_attention", "queries by the penultimate layer's attention", paper.PENULTIMATE_ATTENTION,
            "with the class-token read-out the selection cannot change a prediction",
        ),
    ):  # fmt: skip
        yield AblationRow(group, title, cell_of(method), "top1", value, cell_of("glca"), note)


def _sweep(name: str, alone: str, label: str, setting: str, scale: float, points: dict[float, str]) -> Sweep:
    cells = tuple((float(x), cell_of(method)) for x, method in points.items())
    return Sweep(name, f"{label}, {alone} alone", setting, scale, cells)


SWEEPS = (
    _sweep(
        "R", "GLCA", "local queries R, % of the patches", "model.glca_ratio", 100,
        {1: "glca_r1", 5: "glca_r5", 10: "glca", 30: "glca_r30", 50: "glca_r50"},
    ),
    _sweep("M", "GLCA", "GLCA blocks M", "model.glca_blocks", 1, {1: "glca", 2: "glca_m2", 3: "glca_m3"}),
    _sweep(
        "T", "PWCA", "PWCA blocks T", "model.pwca_blocks", 1,
        {1: "pwca_t1", 4: "pwca_t4", 8: "pwca_t8", 12: "pwca"},
    ),
)  # fmt: skip


def _of_sweeps() -> Iterable[AblationRow]:
    for sweep in SWEEPS:
        for x, cell in sweep.points:
            title = f"{sweep.name} = {x:g}{' %' if sweep.name == 'R' else ''}"
            yield AblationRow(f"Sweep: {sweep.label}", title, cell, sweep.metric)


def _regularisers() -> Iterable[AblationRow]:
    group = "Regularisers in PWCA's place"
    yield AblationRow(group, "PWCA", cell_of("pwca"), "top1")
    for method in ("pwca_image_noise", "pwca_label_noise", "pwca_kv_noise"):
        note = "the paper gives no strength of the noise"
        yield AblationRow(group, VARIANTS[method].title, cell_of(method), "top1", None, cell_of("pwca"), note)


def _pairs() -> Iterable[AblationRow]:
    group = "Pair sampling, PWCA alone"
    yield AblationRow(group, "random pairs in the batch", cell_of("pwca"), "top1")
    for method, reference in (
        ("pwca_hardest", "pwca"),
        ("pwca_loader", "pwca"),
        ("pwca_same", "pwca_loader"),
        ("pwca_other", "pwca_loader"),
        ("pwca_half", "pwca_loader"),
    ):
        title = VARIANTS[method].title.removeprefix("PWCA alone, ")
        note = "" if method == "pwca_hardest" else "partners come as a second batch"
        yield AblationRow(group, title, cell_of(method), "top1", None, cell_of(reference), note)


def _readings() -> Iterable[AblationRow]:
    group = "What the paper leaves open"
    for method, reference in (
        ("glca_mean", "glca"),
        ("glca_mean_random", "glca_mean"),
        ("glca_init_random", "glca"),
        ("pwca_figure", "pwca"),
        ("dcal_w185", "dcal"),
        ("dcal_w105", "dcal"),
    ):
        note = ""
        if method.startswith("dcal_w"):
            note = "FairMOT's start value, for all branches; AdamW's steps do not depend on the loss' scale"
        yield AblationRow(
            group, VARIANTS[method].title, cell_of(method), "top1", None, cell_of(reference), note
        )


ROWS: tuple[AblationRow, ...] = (
    *_components(),
    *_alternatives(),
    *_of_sweeps(),
    *_regularisers(),
    *_pairs(),
    *_readings(),
)
