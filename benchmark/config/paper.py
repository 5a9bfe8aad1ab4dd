"""Every published number of the paper, with its place in it, and the published costs.

The blocks below stand in the order of the paper's rows and columns, to be proof-read beside it.
All values are percentages. Source: "Dual Cross-Attention Learning for Fine-Grained Visual
Categorization and Object Re-Identification" (CVPR 2022), Tables 1 and 2 and the paragraph "More
Transformer Baselines".
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from benchmark.config.backbones import BACKBONES
from benchmark.config.datasets import DATASETS


@dataclass(frozen=True)
class Published:
    """One number of the paper.

    table: ``table1``, ``table2`` or ``extras``; row and column: the labels as the paper prints them.
    method, backbone, dataset: the keys of the grid; metric: ``top1``, ``mAP`` or ``R1``.
    value: in percent.
    """

    table: str
    row: str
    column: str
    method: str
    backbone: str
    dataset: str
    metric: str
    value: float


@dataclass(frozen=True)
class PublishedCost:
    """What one training took: ``hours`` on ``gpus`` GPUs of the kind ``COST_GPU``."""

    dataset: str
    backbone: str
    method: str
    gpus: int
    hours: float

    @property
    def gpu_hours(self) -> float:
        return self.gpus * self.hours


# Table 1, accuracy (%): method, backbone, then CUB, CAR, AIR.
TABLE1 = """
Baseline        | DeiT-Tiny    | 82.1 87.2 84.7
Baseline + DCAL | DeiT-Tiny    | 84.6 89.4 87.4
Baseline        | DeiT-Small   | 85.8 90.7 88.1
Baseline + DCAL | DeiT-Small   | 87.6 92.3 90.0
Baseline        | DeiT-Base    | 88.0 92.9 90.3
Baseline + DCAL | DeiT-Base    | 88.8 93.8 92.6
Baseline        | ViT-Base     | 90.8 92.5 90.0
Baseline + DCAL | ViT-Base     | 91.4 93.4 91.5
Baseline        | R50-ViT-Base | 91.3 94.0 92.4
Baseline + DCAL | R50-ViT-Base | 92.0 95.3 93.3
"""

# Table 2: method, then mAP and R1 of VeRi-776, MSMT17, Market1501, DukeMTMC.
TABLE2 = """
DeiT-Tiny                | 71.3 94.3   42.1 63.9   77.9 90.3   69.5 82.9
DeiT-Tiny + DCAL (Ours)  | 74.1 94.7   44.9 68.2   79.8 91.8   71.7 84.9
DeiT-Small               | 76.7 95.5   53.3 75.0   84.3 93.7   75.7 87.6
DeiT-Small + DCAL (Ours) | 78.1 95.9   55.1 77.3   85.3 94.0   77.4 87.9
DeiT-Base                | 78.3 95.9   60.5 81.6   86.6 94.4   79.1 88.7
DeiT-Base + DCAL (Ours)  | 80.0 96.5   62.3 83.1   87.2 94.5   80.2 89.6
ViT-Base                 | 78.1 96.0   61.6 81.4   87.1 94.3   78.9 89.4
ViT-Base + DCAL (Ours)   | 80.2 96.9   64.0 83.1   87.5 94.7   80.1 89.0
"""

# "More Transformer Baselines", a paragraph: backbone, dataset and metric, baseline, "our method".
EXTRAS = """
CaiT-XS24 | CUB top-1 accuracy | 88.5 89.7
Swin-T    | CUB top-1 accuracy | 84.9 85.8
Swin-T    | MSMT mAP           | 55.7 56.7
"""

# "Implementation Details", last paragraph: "All of our experiments are conducted on PyTorch with Nvidia Tesla V100
# GPUs. Our method costs 3.8 hours with DeiT-Tiny backbone for training using 4 GPUs on CUB, and 9.5 hours with ViT-Base
# for training using 1 GPU on MSMT17." That paragraph gives no cost of a baseline; the 2.1 hours, on the same 4 GPUs,
# are the long (arXiv) version's.
COST_GPU = "Tesla V100"
COSTS = (
    PublishedCost("cub", "deit_tiny", "baseline", 4, 2.1),
    PublishedCost("cub", "deit_tiny", "dcal", 4, 3.8),
    PublishedCost("msmt17", "vit_base", "dcal", 1, 9.5),
)

_BACKBONE = {row.title: row.key for row in BACKBONES.values()}
_COLUMN = {row.column: row.key for row in DATASETS.values()} | {"MSMT": "msmt17"}
# Task → the metrics that the paper reports, the first one first.
REPORTED_METRICS = {"fgvc": ("top1",), "reid": ("mAP", "R1")}
_METRIC = {"top-1 accuracy": "top1", "mAP": "mAP"}


def _lines(block: str) -> list[list[str]]:
    return [[part.strip() for part in line.split("|")] for line in block.strip().splitlines()]


def _table1() -> list[Published]:
    numbers = []
    for label, title, values in _lines(TABLE1):
        method = {"Baseline": "baseline", "Baseline + DCAL": "dcal"}[label]
        for column, value in zip(("CUB", "CAR", "AIR"), values.split(), strict=True):
            place = ("table1", f"{label} | {title}", column)
            key = (method, _BACKBONE[title], _COLUMN[column], "top1")
            numbers.append(Published(*place, *key, float(value)))
    return numbers


def _table2() -> list[Published]:
    columns = [
        (dataset, metric)
        for dataset in ("VeRi-776", "MSMT17", "Market1501", "DukeMTMC")
        for metric in REPORTED_METRICS["reid"]
    ]
    numbers = []
    for label, values in _lines(TABLE2):
        title, plus, _ = label.partition(" + DCAL (Ours)")
        for (column, metric), value in zip(columns, values.split(), strict=True):
            place = ("table2", label, f"{column} | {metric} (%)")
            key = ("dcal" if plus else "baseline", _BACKBONE[title], _COLUMN[column], metric)
            numbers.append(Published(*place, *key, float(value)))
    return numbers


def _extras() -> list[Published]:
    numbers = []
    for title, column, values in _lines(EXTRAS):
        dataset, _, metric = column.partition(" ")
        for method, value in zip(("baseline", "dcal"), values.split(), strict=True):
            place = ("extras", title if method == "baseline" else f"{title} | our method", column)
            key = (method, _BACKBONE[title], _COLUMN[dataset], _METRIC[metric])
            numbers.append(Published(*place, *key, float(value)))
    return numbers


PUBLISHED: tuple[Published, ...] = (*_table1(), *_table2(), *_extras())

_BY_KEY = MappingProxyType(
    {(number.dataset, number.backbone, number.method, number.metric): number.value for number in PUBLISHED}
)


def published(dataset: str, backbone: str, method: str, metric: str) -> float | None:
    """The paper's number in percent, or None where the paper gives none."""
    return _BY_KEY.get((dataset, backbone, method, metric))


def metrics(table: str, dataset: str) -> tuple[str, ...]:
    """The metrics the paper gives for a dataset in a table, in its order, e.g. ``("mAP", "R1")``."""
    metrics = [number.metric for number in PUBLISHED if (number.table, number.dataset) == (table, dataset)]
    return tuple(dict.fromkeys(metrics))


# --- What the paper's text states about DCAL's parts: accuracies beside those of its tables, and GLCA's cost ---

GLCA_ONLY = 83.1
LOCAL_SELF_ATTENTION = 82.6
RANDOM_QUERIES = 82.6
PENULTIMATE_ATTENTION = 82.8
SA_ONLY_INFERENCE = 84.3
SA_ONLY_INFERENCE_VERI = 80.1


@dataclass(frozen=True)
class PublishedOverhead:
    """What GLCA adds to a baseline at the paper's sizes, in whole percent of its parameters and multiply-adds."""

    dataset: str
    backbone: str
    parameters: int
    multiply_adds: int


OVERHEADS = (PublishedOverhead("cub", "deit_tiny", 9, 2), PublishedOverhead("veri", "vit_base", 8, 3))
