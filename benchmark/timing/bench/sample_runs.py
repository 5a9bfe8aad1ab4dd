"""The committed sample of made-up run records (tests/sweep), unpacked as a folder of runs (no torch)."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

from benchmark.atomic import file_sha256
from benchmark.config.grid import select
from benchmark.config.resolve import Config, load_profile, resolve
from benchmark.errors import RunError
from benchmark.records.provenance import ROOT

SAMPLE = ROOT / "tests" / "sweep"


def unpack(into: Path) -> Path:
    """Copy the sample to ``into``, a folder of runs, and fill in what depends on today's recipes; returns ``into``.

    Raises RunError where the checkout has no sample.
    """
    folders = sorted(SAMPLE.glob("*/*/*/*/seed*"))  # profile/dataset/backbone/method/seed
    if not folders:
        raise RunError(f"{SAMPLE}: no run folders, expected the sample of run records: `git checkout` it")
    profiles = {folder.relative_to(SAMPLE).parts[0] for folder in folders}
    loaded = {profile: load_profile(profile) for profile in profiles}
    for folder in folders:
        run = folder.relative_to(SAMPLE)
        shutil.copytree(folder, into / run)
        profile, *cell, seed = run.parts
        config = resolve(select(["/".join(cell)])[0], int(seed.removeprefix("seed")), loaded[profile], {})
        _fill_in(into / run, config)
    return into


def change(path: Path, **values: object) -> None:
    """Set values of a JSON file."""
    path.write_text(json.dumps(_read(path) | values, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _fill_in(folder: Path, config: Config) -> None:
    """Settings are today's, but for those that the record itself names as different; digests are the files'."""
    settings_hash = config.hash
    if (started := _read(folder / "config.json")) is not None:
        identity = dict(config.identity)
        identity["settings"] = identity["settings"] | started["identity"].get("settings", {})
        if identity != config.identity:
            settings_hash = hashlib.sha256(json.dumps(identity).encode()).hexdigest()
        change(folder / "config.json", hash=settings_hash, identity=identity)
    if _read(folder / "result.json") is not None:
        digest = file_sha256(folder / "predictions.npz")
        change(folder / "result.json", config_hash=settings_hash, predictions_sha256=digest)
    if (folder / "submission.json").exists():
        change(folder / "submission.json", hash=settings_hash)
    for sign in ("heartbeat.json", "claim.1"):  # long silent, however young the copy is
        if (folder / sign).exists():
            os.utime(folder / sign, (0, 0))


def _read(path: Path) -> dict | None:
    """None for a file that is missing or torn."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
