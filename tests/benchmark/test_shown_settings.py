"""`make settings`: every setting with its value and explanation, what differs, and the open readings."""

from benchmark.config import resolve, show
from benchmark.config.parse import setting_types
from benchmark.config.settings import READINGS, SETTINGS


def test_the_settings_verb_lists_every_setting():
    shown = "\n".join(show.lines(resolve.load_profile("paper"), {}))
    assert [name for name in setting_types() if f"\n{name}=" not in shown] == []


def test_every_setting_says_what_it_is():
    assert [name for name, info in SETTINGS.items() if not info.explanation] == []
    assert list(SETTINGS) == list(setting_types())


def test_the_settings_verb_explains_settings_and_open_readings():
    shown = list(show.lines(resolve.load_profile("paper"), {}))
    explained = [line.split(maxsplit=2) for line in shown if line.startswith("train.warmup_start=")]
    assert explained == [["train.warmup_start=0.01", "#", SETTINGS["train.warmup_start"].explanation]]
    for name, reading in READINGS.items():
        assert shown[shown.index(f"# {name}: {reading.question}") + 1] == f"#   {reading.options}"


def test_the_settings_verb_says_what_differs_by_backbone():
    shown = list(show.lines(resolve.load_profile("paper"), {}))
    at = shown.index("# cait_xs24 differs")
    assert shown[at + 1] == "model.pwca_blocks=26"
    assert shown.count("# swin_tiny has no GLCA: model.glca_* have no meaning there") == 2  # a task each
    assert not [line for line in shown if line.startswith("# deit")]
