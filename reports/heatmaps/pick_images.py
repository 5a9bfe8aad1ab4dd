"""Selection of the test pictures of a figure: by a stated rule, from the records only.

random=2,gain=1,loss=1     two at random, the largest gain, the largest loss
list=3,17,images/a/b.jpg   these indices of the test split, or these files
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.errors import SettingsError

DEFAULT = "random=2,gain=1,loss=1"
MAX_PICTURES = 26  # rows of a figure, each with a letter
RULES = ("random", "gain", "loss", "list")
_FORM = f"expected rules like {DEFAULT!r} or 'list=3,17,images/a/b.jpg'"


@dataclass(frozen=True)
class Pick:
    """A selected picture. index: in the test split, or among the queries of Re-ID; rule: why it is shown."""

    index: int
    rule: str


@dataclass(frozen=True)
class PickRules:
    """Rules that select pictures.

    items: (rule, number of pictures) in order; for ``list`` the indices or files.
    seed: of random pictures.
    """

    items: tuple[tuple[str, int | tuple[str, ...]], ...]
    seed: int = 0

    @property
    def text(self) -> str:
        """Return the rules as on the command line, with the seed."""
        parts = [
            f"{rule}={','.join(value) if isinstance(value, tuple) else value}" for rule, value in self.items
        ]
        return f"{','.join(parts)}; seed {self.seed}"


def parse(text: str, seed: int = 0) -> PickRules:
    """Parse ``random=2,gain=1``. Raises SettingsError for anything else, and for rules that select no picture or more
    than ``MAX_PICTURES``.
    """
    rules: list[tuple[str, int | list[str]]] = []
    for part in (part.strip() for part in text.split(",")):
        rule, equals, value = part.partition("=")
        if equals and rule in RULES:
            if rule in (known for known, _ in rules):
                raise SettingsError(f"pick {text!r} has {rule} twice: {_FORM}")
            if rule == "list":
                rules.append((rule, [value]))
            elif value.isdecimal() and int(value) > 0:
                rules.append((rule, int(value)))
            else:
                raise SettingsError(f"pick {part!r}: found {value!r}, expected how many pictures, 1 and more")
        elif part and rules and rules[-1][0] == "list":
            rules[-1][1].append(part)
        else:
            raise SettingsError(f"pick {part!r} is no rule: {_FORM}")
    for rule, value in rules:
        if rule == "list" and not all(value):
            raise SettingsError(f"pick {text!r} lists no picture: {_FORM}")
    total = sum(len(value) if isinstance(value, list) else value for _, value in rules)
    if total > MAX_PICTURES:
        raise SettingsError(
            f"pick {text!r} is {total:,} pictures, expected at most {MAX_PICTURES} in one figure"
        )
    return PickRules(
        tuple((rule, tuple(value) if isinstance(value, list) else value) for rule, value in rules), seed
    )


def gains(
    task: str, baseline: Mapping[str, np.ndarray] | None, dcal: Mapping[str, np.ndarray] | None
) -> np.ndarray:
    """Compute DCAL's gain on each test picture or query: (n,) float64; NaN for a query without a true match.

    task: for fgvc the difference of the true class's probability, DCAL − baseline; for reid the difference of the
        average precision.
    Raises SettingsError for records that lack the arrays or are of different pictures.
    """
    name, key = ("both_ap", "identities") if task == "reid" else ("both_probability", "labels")
    for method, arrays in (("baseline", baseline), ("DCAL", dcal)):
        if arrays is None or name not in arrays:
            raise SettingsError(
                f"the {method} run's predictions have no {name}, which the rules gain and loss need: the record is of "
                "an older version; run the cell anew, or pick by random or list"
            )
    if not np.array_equal(baseline[key], dcal[key]):
        raise SettingsError("baseline and DCAL were tested on different pictures; run both on the same data")
    difference = dcal[name].astype(np.float64) - baseline[name].astype(np.float64)
    if task == "reid":
        difference[(baseline["both_first_hit"] == 0) | (dcal["both_first_hit"] == 0)] = np.nan
    return difference


def choose(rules: PickRules, files: Sequence[str], gain: np.ndarray | None, *, task: str) -> list[Pick]:
    """Choose pictures in the order of the rules; a picture of several rules comes once, with all of them.

    files: files of the test split or the queries.
    gain: result of ``gains``; needed for the rules gain and loss only. The first of equal ones is taken.
    Raises SettingsError for more pictures than there are, and for an unknown file or index.
    """
    reasons: dict[int, list[str]] = {}
    for rule, value in rules.items:
        if rule == "random":
            picks = _random(value, files, rules.seed, "queries" if task == "reid" else "test images")
        elif rule == "list":
            picks = [(_index(name, files), "listed") for name in value]
        else:
            picks = _extreme(rule, value, gain, task)
        for index, reason in picks:
            if reason not in reasons.setdefault(index, []):
                reasons[index].append(reason)
    return [Pick(index, "; ".join(texts)) for index, texts in reasons.items()]


def _random(count: int, files: Sequence[str], seed: int, noun: str) -> list[tuple[int, str]]:
    if count > len(files):
        raise SettingsError(f"pick random={count}: there are {len(files):,} {noun}")
    indices = np.random.default_rng(seed).choice(len(files), count, replace=False)
    return [(int(index), f"random, seed {seed}, {count} of {len(files):,} {noun}") for index in indices]


def _extreme(rule: str, count: int, gain: np.ndarray, task: str) -> list[tuple[int, str]]:
    """Choose the pictures of the largest gain or loss."""
    valid = np.flatnonzero(~np.isnan(gain))
    if count > len(valid):
        raise SettingsError(f"pick {rule}={count}: there are {len(valid):,} pictures to choose among")
    order = valid[np.argsort(-gain[valid] if rule == "gain" else gain[valid], kind="stable")][:count]
    quantity = "average precision" if task == "reid" else "the true class's probability"
    return [
        (int(index), f"{_ordinal(rank)}largest {rule} of {quantity}: {gain[index]:+.2f}".replace("-", "−"))
        for rank, index in enumerate(order, start=1)
    ]


def _ordinal(rank: int) -> str:
    """Return ``2nd ``, ``3rd ``, ``11th ``; "" for the first."""
    if rank == 1:
        return ""
    suffixes = {1: "st", 2: "nd", 3: "rd"}
    return f"{rank}{suffixes.get(rank % 10 if rank // 10 != 1 else 0, 'th')} "


def _index(name: str, files: Sequence[str]) -> int:
    """Return the index of a file, from its number or its name."""
    if name.isdecimal():
        if int(name) >= len(files):
            raise SettingsError(f"pick list={name}: the places go from 0 to {len(files) - 1}")
        return int(name)
    matches = [index for index, file in enumerate(files) if file == name or file.endswith(f"/{name}")]
    if len(matches) != 1:
        raise SettingsError(
            f"pick list={name}: {len(matches)} of the {len(files):,} test pictures have this name, expected one"
        )
    return matches[0]
