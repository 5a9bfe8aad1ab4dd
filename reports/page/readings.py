"""The open readings of the paper: each question, its options, the profile's default, and what finished runs used.

Questions and options are those of dcal/README.md (model) and recipes/paper.toml (data, training).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from benchmark.config import TASKS, load_profile
from benchmark.data.registry import DATASETS
from benchmark.settings import CAME_LATER
from benchmark.status import RunView
from reports.page.sheets import Column, Entry, Sheet, word

TASK_WORDS = {"fgvc": "fine-grained", "reid": "re-identification"}


@dataclass(frozen=True)
class Reading:
    """question: in one sentence. options: what else is there, the default first."""

    question: str
    options: str


# One row for every name of benchmark.settings.READINGS.
QUESTIONS: dict[str, Reading] = {
    "model.glca_blocks": Reading(
        "How many GLCA blocks (M), and where?",
        "1, beside the last block, complete: LN, attention, FFN, residuals; n: beside the last n, each with K and V "
        "from SA at its own depth and Q from the block before",
    ),
    "model.glca_ratio": Reading(
        "Which share R of the patch tokens become local queries? The class token is always one and is not counted.",
        "0.1 (fine-grained) and 0.3 (re-identification) as in the paper; any share in (0, 1]",
    ),
    "model.glca_init": Reading(
        "From which weights does GLCA start?",
        "copy of the SA block beside it; random, which cannot catch up at the paper's learning rate",
    ),
    "model.glca_readout": Reading(
        "What is GLCA's feature?",
        "cls, its class token, with which the selection of local queries cannot change any prediction; mean of the "
        "selected tokens, with which it does",
    ),
    "model.glca_select": Reading(
        "Which tokens become local queries?",
        "rollout, the highest accumulated attention (Eq. 2); random and attention, that of the class token in the "
        "penultimate block: the paper's ablations",
    ),
    "model.glca_keys": Reading(
        "What do local queries attend to?",
        "global, all tokens (Eq. 3); local, the selected tokens alone, the paper's ablation “local self-attention”",
    ),
    "model.pwca_blocks": Reading(
        "In how many blocks (T) do pairs attend to each other?",
        "12; fewer: the last T blocks are pair-wise, those before plain self-attention",
    ),
    "model.pwca_stream": Reading(
        "What does PWCA's stream carry from block to block?",
        "own, a stream of image 1 whose distractor comes from the partner's SA stream at the same depth; figure, the "
        "overview figure taken literally, which with T = 12 is almost self-attention again",
    ),
    "model.pwca_pairing": Reading(
        "Where does an image's partner come from?",
        "batch, a random derangement of the batch; loader, a second batch shuffled on its own; by class: same, other, "
        "half of each; by feature distance: hardest, mixed",
    ),
    "model.pwca_regulariser": Reading(
        "What is the second stream in training?",
        "pwca; in its place image_noise, label_noise or kv_noise, the paper's comparison",
    ),
    "model.pwca_noise": Reading(
        "How strong is the noise of a regulariser in PWCA's place? The paper gives no strength.",
        "0.1 of the normalised pixels' standard deviation, or of the labels; any share in (0, 1]. Without meaning for "
        "pwca itself",
    ),
    "model.w_init": Reading(
        "At which value do the uncertainty weights w start?",
        "0; the paper gives none, FairMOT starts at −1.85 and −1.05",
    ),
    "data.test_crop": Reading(
        "Which part of a test picture is classified?",
        "center, the middle of the resized picture; whole, the picture at the size of the crop",
    ),
    "data.drop_banner": Reading(
        "Is Aircraft's 20-pixel copyright banner cut off?",
        "false, as in peers' work; true",
    ),
    "data.merge_val": Reading(
        "Is MSMT17's validation list trained on?",
        "true, as in TransReID; false, as in FastReID and torchreid",
    ),
    "train.optimizer": Reading(
        "Which optimizer is meant by the paper's “Adam with weight decay” and “SGD”?",
        "adamw (fine-grained) and sgd (re-identification); adam, whose coupled decay wears down weights with weak "
        "gradients",
    ),
    "train.batch_size": Reading(
        "Is the batch size that of all devices together?",
        "16 and 64 as the total; times the number of GPUs for the reading “per GPU”",
    ),
    "train.precision": Reading(
        "In which precision are networks trained?",
        "auto: bfloat16, else float16 on GPUs, float32 on CPUs; float32, bfloat16, float16",
    ),
    "evaluate.every": Reading(
        "After how many epochs is the test set looked at? The last epoch alone counts.",
        "any number; it feeds the curves and the best-epoch number, which is not the result",
    ),
}


def sheet(profile: str, runs: Iterable[RunView]) -> Sheet:
    """One row a reading. runs: all that are asked for; the finished ones tell what was used."""
    done = [run for run in runs if run.state == "done"]
    return Sheet(
        "readings",
        "Where the paper is silent or reads two ways",
        (
            Column("Setting"),
            Column("Question"),
            Column("Options"),
            Column("Profile's default"),
            Column("Used"),
        ),
        tuple(_row(name, reading, profile, done) for name, reading in QUESTIONS.items()),
        sortable=False,
    )


def _row(name: str, reading: Reading, profile: str, done: list[RunView]) -> tuple[Entry, ...]:
    return (
        word(name, "code"),
        word(reading.question, "prose"),
        word(reading.options, "prose"),
        word(_defaults(name, profile), "prose"),
        word(_used(name, done) or "no finished run", "prose"),
    )


def _defaults(name: str, profile: str) -> str:
    """``16 (fine-grained), 64 (re-identification)``, with the datasets that have a value of their own."""
    loaded = load_profile(profile)
    words = TASK_WORDS | {key: row.column for key, row in DATASETS.items()}
    found = {section: loaded.tables.get(section, {}).get(name) for section in (*TASKS, *DATASETS)}
    given = {words[section]: _shown(value) for section, value in found.items() if value is not None}
    return _told(given) or "none"


def _used(name: str, done: list[RunView]) -> str:
    """The values of finished runs, by task where these differ.

    A run is done only if its record has the hash of the settings it is shown under, so these are what it was made with.
    """
    by_task: dict[str, dict[str, None]] = {}
    for run in done:
        settings = run.config.identity["settings"] | _left_out(run)
        if name in settings:
            by_task.setdefault(TASK_WORDS[run.cell.task], {})[_shown(settings[name])] = None
    return _told({task: " and ".join(values) for task, values in by_task.items()})


def _left_out(run: RunView) -> dict[str, object]:
    """Settings that a run has and its identity does not name, because they came later and have their first value."""
    branches = {"glca": run.config.glca, "pwca": run.config.pwca}
    return {
        name: value
        for name, value in CAME_LATER.items()
        if branches[name.removeprefix("model.").partition("_")[0]] is not None
        and name not in run.config.identity["settings"]
    }


def _told(given: Mapping[str, str]) -> str:
    if len(given) > 1 and len(set(given.values())) == 1:
        return next(iter(given.values()))
    return ", ".join(f"{value} ({where})" for where, value in given.items())


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
