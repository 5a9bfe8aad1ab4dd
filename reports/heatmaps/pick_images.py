"""Which test pictures a figure shows: by a stated rule, from the records alone, never by hand (no torch).

random=2,gain=1,loss=1     two at random, the largest gain, the largest loss
list=3,17,images/a/b.jpg   these places in the test split, or these files
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.errors import SettingsError

DEFAULT = "random=2,gain=1,loss=1"
MOST = 26  # rows of a figure, each with a letter
RULES = ("random", "gain", "loss", "list")
_FORM = f"expected rules like {DEFAULT!r} or 'list=3,17,images/a/b.jpg'"


@dataclass(frozen=True)
class Pick:
    """A picture and why it is shown. index: its place in the test split, of Re-ID among the queries."""

    index: int
    rule: str


@dataclass(frozen=True)
class Wanted:
    """Rules in order: how many of each; of ``list`` the places or files. seed: of the random ones."""

    rules: tuple[tuple[str, int | tuple[str, ...]], ...]
    seed: int = 0

    @property
    def text(self) -> str:
        """As it is written on the command line, with the seed."""
        parts = [
            f"{rule}={','.join(asked) if isinstance(asked, tuple) else asked}" for rule, asked in self.rules
        ]
        return f"{','.join(parts)}; seed {self.seed}"


def parse(text: str, seed: int = 0) -> Wanted:
    """The rules in ``random=2,gain=1``. Raises SettingsError for anything else, and for rules that pick no picture or
    more than ``MOST``.
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
    for rule, asked in rules:
        if rule == "list" and not all(asked):
            raise SettingsError(f"pick {text!r} lists no picture: {_FORM}")
    total = sum(len(asked) if isinstance(asked, list) else asked for _, asked in rules)
    if total > MOST:
        raise SettingsError(f"pick {text!r} is {total:,} pictures, expected at most {MOST} in one figure")
    return Wanted(tuple((rule, tuple(a) if isinstance(a, list) else a) for rule, a in rules), seed)


def gains(
    task: str, baseline: Mapping[str, np.ndarray] | None, dcal: Mapping[str, np.ndarray] | None
) -> np.ndarray:
    """What DCAL gains on each test picture or query, (n,) float64; NaN for a query that has nothing to find.

    fgvc: the true class's probability under DCAL minus that under the baseline. reid: the difference of the average
    precisions. Raises SettingsError for records that lack the arrays or are of different pictures.
    """
    name, same = ("both_ap", "identities") if task == "reid" else ("both_probability", "labels")
    for who, found in (("baseline", baseline), ("DCAL", dcal)):
        if found is None or name not in found:
            raise SettingsError(
                f"the {who} run's predictions have no {name}, which the rules gain and loss go by: the record is of "
                "an older version; run the cell anew, or pick by random or list"
            )
    if not np.array_equal(baseline[same], dcal[same]):
        raise SettingsError("baseline and DCAL were tested on different pictures; run both on the same data")
    difference = dcal[name].astype(np.float64) - baseline[name].astype(np.float64)
    if task == "reid":
        difference[(baseline["both_first_hit"] == 0) | (dcal["both_first_hit"] == 0)] = np.nan
    return difference


def choose(wanted: Wanted, files: Sequence[str], gained: np.ndarray | None, *, task: str) -> list[Pick]:
    """The pictures in the order of the rules; one that several rules pick comes once, with all of them.

    files: of the test split or the queries. gained: as ``gains``, needed by gain and loss alone. Ties go by place.
    Raises SettingsError for more pictures than there are, and for a file or place that is none.
    """
    picked: dict[int, list[str]] = {}
    for rule, asked in wanted.rules:
        if rule == "random":
            found = _random(asked, files, wanted.seed, "queries" if task == "reid" else "test images")
        elif rule == "list":
            found = [(_listed(name, files), "listed") for name in asked]
        else:
            found = _extreme(rule, asked, gained, task)
        for index, why in found:
            if why not in picked.setdefault(index, []):
                picked[index].append(why)
    return [Pick(index, "; ".join(why)) for index, why in picked.items()]


def _random(count: int, files: Sequence[str], seed: int, what: str) -> list[tuple[int, str]]:
    if count > len(files):
        raise SettingsError(f"pick random={count}: there are {len(files):,} {what}")
    drawn = np.random.default_rng(seed).choice(len(files), count, replace=False)
    return [(int(index), f"random, seed {seed}, {count} of {len(files):,} {what}") for index in drawn]


def _extreme(rule: str, count: int, gained: np.ndarray, task: str) -> list[tuple[int, str]]:
    valid = np.flatnonzero(~np.isnan(gained))
    if count > len(valid):
        raise SettingsError(f"pick {rule}={count}: there are {len(valid):,} pictures to choose among")
    order = valid[np.argsort(-gained[valid] if rule == "gain" else gained[valid], kind="stable")][:count]
    of = "average precision" if task == "reid" else "the true class's probability"
    return [
        (int(index), f"{_ordinal(place)}largest {rule} of {of}: {gained[index]:+.2f}".replace("-", "−"))
        for place, index in enumerate(order, start=1)
    ]


def _ordinal(place: int) -> str:
    return (
        ""
        if place == 1
        else f"{place}{({1: 'st', 2: 'nd', 3: 'rd'}).get(place % 10 if place // 10 != 1 else 0, 'th')} "
    )


def _listed(name: str, files: Sequence[str]) -> int:
    if name.isdecimal():
        if int(name) >= len(files):
            raise SettingsError(f"pick list={name}: the places go from 0 to {len(files) - 1}")
        return int(name)
    found = [place for place, file in enumerate(files) if file == name or file.endswith(f"/{name}")]
    if len(found) != 1:
        raise SettingsError(
            f"pick list={name}: {len(found)} of the {len(files):,} test pictures are called so, expected one"
        )
    return found[0]
