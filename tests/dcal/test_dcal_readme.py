"""dcal/README.md says what is so."""

import contextlib
import dataclasses
import functools
import re
import tempfile
from pathlib import Path

import pytest
import torch

import dcal

README = (Path(dcal.__file__).parent / "README.md").read_text(encoding="utf-8")
TESTS = "".join(file.read_text(encoding="utf-8") for file in Path(__file__).parent.glob("test_*.py"))


EXAMPLES = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


@functools.cache
def ran(example):
    """What an example leaves behind; files it writes are gone afterwards."""
    names = {}
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        exec(compile(example, "README.md", "exec"), names)
    return names


@pytest.mark.parametrize("example", EXAMPLES, ids=range(1, 1 + len(EXAMPLES)))
def test_an_example_runs_as_written(example):
    """And what it says of a value's shape, `name = …  # (2, 197)` or `value  # (2, 197)`, is so."""
    names = ran(example)
    for line in example.splitlines():
        if stated := re.fullmatch(r"\s*(?:(\w+) = )?(\S.*?)  # \((\d+(?:, \d+)+)\).*", line):
            name, value, shape = stated.groups()
            found = names[name] if name else eval(value, names)
            assert list(found.shape) == [int(size) for size in shape.split(", ")], line


def test_the_first_example_trains_all_branches_and_predicts_with_two():
    names = ran(EXAMPLES[0])
    assert names["scores"].shape == (4, 200)
    torch.testing.assert_close(names["scores"].sum(dim=1), torch.full((4,), 2.0))  # two probability vectors
    assert names["weighting"].w.grad.abs().min() > 0


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(test_\w+)`", README))))
def test_a_test_it_names_exists(name):
    assert f"def {name}(" in TESTS


def test_it_names_tests():
    assert len(set(re.findall(r"`(test_\w+)`", README))) > 15


@pytest.mark.parametrize("place", sorted(set(re.findall(r"`(\w+\.\w+(?:\.\w+)?)`", README))))
def test_a_function_or_setting_it_names_exists(place):
    head, *rest = place.split(".")
    if rest == ["py"]:
        assert (Path(dcal.__file__).parent / place).is_file()
        return
    if head == "dcal":
        found = dcal
    elif head in dcal.__all__:
        found = getattr(dcal, head)
    else:
        found = __import__(f"dcal.{head}", fromlist=["_"])
    for name in rest:
        assert hasattr(found, name)
        found = getattr(found, name)


@pytest.mark.parametrize("settings", [dcal.GLCASettings, dcal.PWCASettings])
def test_every_option_is_there_with_its_default_first(settings):
    for field in dataclasses.fields(settings):
        if isinstance(field.default, str):
            assert re.search(rf"`{field.name}=\"{field.default}\"", README), field.name
        else:
            assert f"{settings.__name__}.{field.name}` ({field.default})" in README, field.name
