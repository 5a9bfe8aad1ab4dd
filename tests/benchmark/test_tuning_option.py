"""TUNE: what it takes, what it refuses, and that it stays out of a run's identity."""

import pytest
from launch_requests import request_to_a_run

from benchmark import __main__
from benchmark.config import compute_setup
from benchmark.config.compute_setup import Tuning, require_divisible
from benchmark.config.grid import select
from benchmark.config.resolve import load_profile, resolve
from benchmark.errors import SettingsError
from benchmark.training import device

DCAL, MARKET = "cub/deit_tiny/dcal", "market/deit_tiny/dcal"


def test_what_is_asked_for_is_parsed_and_written_as_it_is_read():
    assert compute_setup.parse("") == Tuning()
    assert str(Tuning()) == ""
    asked = compute_setup.parse("recompute=true accumulate=2 compile=false")
    assert asked == Tuning(accumulate=2, recompute=True)
    assert str(asked) == "accumulate=2 recompute=true"
    assert compute_setup.parse(str(asked)) == asked


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("acumulate=2", "unknown name 'acumulate'; nearest: accumulate"),
        ("train.epochs=2", "unknown name 'train.epochs'"),
        ("accumulate", "'accumulate' has no value"),
        ("accumulate=2.5", "is not a whole number"),
        ("compile=1", "is not true or false"),
        ("accumulate=0", "accumulate=0: a batch has at least one part"),
        ("compile='true", "No closing quotation"),
    ],
)
def test_unknown_names_wrong_types_and_nonsense_are_refused(text, message):
    with pytest.raises(SettingsError, match=message):
        compute_setup.parse(text)


@pytest.mark.parametrize("verb", [["launch"], ["run", DCAL]], ids=lambda verb: verb[0])
def test_a_launch_and_a_run_refuse_it_before_anything_is_touched(verb, tmp_path, capsys):
    status = __main__.main([*verb, "--runs", str(tmp_path / "runs"), "--tune", "accumulat=2"])
    assert status == 2
    assert "nearest: accumulate" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_a_launch_passes_it_to_its_runs(tmp_path, monkeypatch):
    request = request_to_a_run(tmp_path, monkeypatch, "--tune", " recompute=true  accumulate=2")
    assert request.infrastructure.tuning == Tuning(accumulate=2, recompute=True)


@pytest.mark.parametrize(
    ("cell", "overrides", "ranks", "allowed"),
    [
        (DCAL, {}, 1, (1, 2, 4, 8)),  # 16 pictures, at least 2 in each part
        (DCAL, {}, 2, (1, 2, 4)),
        (DCAL, {"model.pwca_pairing": "loader"}, 2, (1, 2, 4, 8)),
        (MARKET, {"train.batch_size": 24}, 1, (1, 2, 3)),  # 6 identities, at least 2 in each part
    ],
)
def test_parts_that_cannot_be_cut_evenly_are_refused(cell, overrides, ranks, allowed):
    config = resolve(select([cell])[0], 0, load_profile("mini"), overrides)
    for parts in range(1, 18):
        if parts in allowed:
            require_divisible(config, ranks, parts)
            continue
        with pytest.raises(
            SettingsError, match=rf"each in {parts} parts \(TUNE accumulate\), {ranks * parts} in all"
        ):
            require_divisible(config, ranks, parts)


@pytest.mark.parametrize(("cores", "workers"), [(1, 1), (6, 6), (64, 16)])
def test_workers_are_as_many_as_the_cores_that_the_process_may_use(monkeypatch, cores, workers):
    monkeypatch.setattr(device.os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
    monkeypatch.setattr(device.os, "cpu_count", lambda: 128)
    assert device.usable_cores() == cores
    assert device.workers_of(load_profile("paper"), device.usable_cores(), on_gpu=True) == workers
