"""What trackers wrote, read back by their own packages; and a W&B of a test's own."""

import glob
import json
import sys

from benchmark.atomic import write_json
from benchmark.records.run_folder import RunFolder

STAND_IN = """
import os, time

class Run:
    dir, id, offline = "run/files", "id", False
    starting_step = int(os.environ.get("WANDB_STARTS_AT", 0))

    def __init__(self):
        self.summary = self

    def log(self, numbers, *, step, commit):
        comes_to("log", step)

    def update(self, numbers):
        comes_to("summary")

    def finish(self):
        comes_to("finish")

def comes_to(place, *details):
    with open(os.environ["WANDB_CAME_TO"], "a") as stream:
        print(place, *details, file=stream)
    if place == os.environ.get("WANDB_HANGS_IN"):
        time.sleep(3600)
    if place == os.environ.get("WANDB_BREAKS_IN"):
        raise RuntimeError(f"broken in\\n{place}")

def init(*, mode, project, resume, **_):
    comes_to("init", mode, project, resume)
    return Run()

Settings = dict
comes_to("import", os.environ.get("WANDB_ERROR_REPORTING"))
"""


def unset_wandb(monkeypatch, folder):
    """No setting of the user's reaches W&B, and nothing of it their files. folder: for its own."""
    for name in ("MODE", "PROJECT", "ERROR_REPORTING", "SILENT"):
        monkeypatch.delenv(f"WANDB_{name}", raising=False)
    for name in ("CACHE_DIR", "CONFIG_DIR", "DATA_DIR"):
        monkeypatch.setenv(f"WANDB_{name}", str(folder / "wandb's own"))


class StandIn:
    """A W&B that trackers import instead of the real one, and that writes down where it came to.

    options: breaks_in="log" or hangs_in="init"; starts_at=3: what the server has ends before.
    """

    def __init__(self, tmp_path, monkeypatch, **options):
        package = tmp_path / "stand-in" / "wandb"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text(STAND_IN)
        self._path = tmp_path / "came to"
        monkeypatch.syspath_prepend(package.parent)
        self._monkeypatch = monkeypatch
        self.forget()
        for name, value in {"came_to": self._path, **options}.items():
            monkeypatch.setenv(f"WANDB_{name.upper()}", str(value))

    @property
    def came_to(self):
        """Places, and what they were given."""
        return self._path.read_text().splitlines() if self._path.exists() else []

    def forget(self):
        """As in a new process, which imports it anew; the real one is back after the test."""
        for name in [name for name in sys.modules if name.partition(".")[0] == "wandb"]:
            self._monkeypatch.delitem(sys.modules, name)


def run_folder(path):
    """The folder of a run that has just begun."""
    folder = RunFolder(path)
    folder.make()
    identity = {"run": "cub/deit_tiny/dcal/seed0", "settings": {"train.lr": 0.5, "data.crop": [64, 48]}}
    write_json(
        folder.config, {"profile": "mini", "hash": "0123456789abcdef", "data": "few", "identity": identity}
    )
    write_json(folder.provenance, {"commit": "c0ffee"})
    return folder


def entry(epoch, loss):
    """A line of history.jsonl."""
    return {
        "epoch": epoch,
        "loss": {"sa": loss, "glca": loss + 1},
        "w": {},
        "lr": 0.5 / epoch,
        "seconds": 1.0,
    }


def history_of(folder):
    return [json.loads(line) for line in folder.history.read_text().splitlines()]


def named(entry):
    """An entry's numbers as trackers name them."""
    found = {}
    for name, value in entry.items():
        if isinstance(value, dict):
            found |= {f"{name}/{key}": deeper for key, deeper in value.items()}
        elif name != "epoch":
            found[name] = value
    return found


def tensorboard_scalars(folder):
    """Tag → [(step, value), …] in the order read, as TensorBoard shows them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder.path / "tensorboard"), size_guidance={"scalars": 0}).Reload()
    return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def scalars_of(history):
    """What ``tensorboard_scalars`` has to be for a history; TensorBoard keeps float32."""
    import numpy as np

    found = {}
    for line in history:
        for name, value in named(line).items():
            found.setdefault(name, []).append((line["epoch"], float(np.float32(value))))
    return found


def wandb_records(folder):
    """Of the one offline run of a folder: its id, config, summary, and a dict a history row."""
    from wandb.proto.wandb_internal_pb2 import Record
    from wandb.sdk.internal.datastore import DataStore

    (path,) = glob.glob(str(folder.path / "wandb" / "offline-run-*" / "*.wandb"))
    store, run, config, summary, rows = DataStore(), "", {}, {}, []
    store.open_for_scan(path)
    while (data := store.scan_data()) is not None:
        record = Record()
        record.ParseFromString(data)
        if record.HasField("run"):
            run = record.run.run_id
            config = {item.key: json.loads(item.value_json) for item in record.run.config.update}
        if record.HasField("summary"):
            summary |= {item.key: json.loads(item.value_json) for item in record.summary.update if item.key}
        if record.HasField("history"):
            items = {"/".join(item.nested_key) or item.key: item.value_json for item in record.history.item}
            rows.append({name: json.loads(value) for name, value in items.items()})
    return run, config, summary, rows


def rows_of(history):
    """What the rows of ``wandb_records`` have to be for a history, its own columns aside."""
    return [named(line) | {"_step": line["epoch"]} for line in history]


def without_own(rows):
    return [{name: row[name] for name in row if name not in ("_timestamp", "_runtime")} for row in rows]
