"""The digests of a finished run's outputs: of which bytes, in which order, and what they tell of two runs."""

import copy
import hashlib
import struct
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from quick_runs import QUICK
from result_example import RESULT
from test_batches_and_accuracy import NAMED, Indexed, Scripted
from torch.nn.functional import normalize

from benchmark.config.grid import select
from benchmark.data.loader import ImageBatch
from benchmark.evaluation.classification import predict
from benchmark.evaluation.retrieval import retrieve
from benchmark.records import run_folder, status
from benchmark.training import run
from benchmark.training.request import Infrastructure
from dcal.heads import Branch
from dcal.model import Outputs
from tables.ablations.selection import compare_selections
from tables.ablations.selection_table import sentences

CUB = "cub/deit_tiny/"


def literal(rows):
    """sha256 of the float32 of every row, little-endian, one after another."""
    digest = hashlib.sha256()
    for row in rows.tolist():
        for value in row:
            digest.update(struct.pack("<f", value))
    return digest.hexdigest()


@pytest.fixture(scope="module")
def logits():
    torch.manual_seed(0)
    return torch.randn(50, 3), torch.randn(50, 3)


def of(logits, size=8, labels=None, whole=lambda rows: rows):
    labels = torch.zeros(len(logits[0]), dtype=torch.long) if labels is None else labels
    return predict(Scripted(*logits), NAMED, Indexed(labels, size), lambda images: images, whole).digests


@pytest.mark.parametrize("size", [1, 7, 50])
def test_a_digest_is_of_the_logits_in_the_split_s_order_whatever_the_batches(logits, size):
    assert of(logits, size) == {"sa": literal(logits[0]), "glca": literal(logits[1])}
    assert of(logits[:1], size) == {"sa": literal(logits[0])}


def test_half_precision_is_digested_as_float32(logits):
    half = [each.bfloat16() for each in logits]
    assert of(half) == {"sa": literal(half[0].float()), "glca": literal(half[1].float())}


def test_one_bit_of_one_image_is_another_digest(logits):
    sa = logits[0].clone()
    sa[31, 2] = torch.nextafter(sa[31, 2], torch.tensor(9.0))
    found = of((sa, logits[1]))
    assert found["sa"] != literal(logits[0])
    assert found["glca"] == literal(logits[1])


def test_ranks_digest_all_of_their_rows(logits):
    """What another rank found comes first, in the order in which both ask for it."""
    first, second = [tuple(each[part] for each in logits) for part in (slice(0, 24), slice(24, None))]
    theirs = []
    of(first, whole=lambda rows: theirs.append(rows) or rows)
    assert of(second, whole=lambda rows: torch.cat([theirs.pop(0), rows])) == of(logits)


class Features(Scripted):
    """The features of picture i."""

    def __init__(self, sa, glca):
        torch.nn.Module.__init__(self)
        self.found = sa, glca

    def forward(self, images):
        index = images[:, 0, 0, 0].long()
        return Outputs(*(Branch(each[index], each[index]) for each in self.found))


class Split(SimpleNamespace):
    def __len__(self):
        return len(self.labels)


def test_a_retrieval_s_digests_are_of_the_features_that_are_ranked():
    torch.manual_seed(1)
    sa, glca = torch.randn(6, 4), torch.randn(6, 4)
    query = Split(labels=[0, 1], cameras=[0, 0])
    gallery = Split(labels=[0, 1, 0, 1], cameras=[1, 1, 2, 2])
    index = torch.arange(6)
    batch = ImageBatch(index.view(-1, 1, 1, 1).expand(-1, 2, 2, 3).float(), index, index)
    dataset = SimpleNamespace(query=query, gallery=gallery)
    found = retrieve(Features(sa, glca), dataset, [batch], lambda images: images)
    assert found.digests == {
        "sa": literal(normalize(sa)),
        "glca": literal(normalize(glca)),
        "both": literal(normalize(torch.cat([sa, glca], dim=1))),
    }


def test_a_record_made_before_digests_is_valid_and_one_with_other_digests_is_not():
    assert "outputs_sha256" not in RESULT
    assert run_folder.result_problem(RESULT) == ""
    made = copy.deepcopy(RESULT) | {"outputs_sha256": {"sa": "1" * 64, "glca": "2" * 64}}
    assert run_folder.result_problem(made) == ""
    made["outputs_sha256"]["glca"] = 3
    assert run_folder.result_problem(made) == "outputs_sha256.glca is int, expected str"


def test_rollout_and_random_selection_end_in_the_same_run_and_another_r_differs_by_rounding(places):
    """Three real runs of seconds."""
    torch.set_num_threads(1)
    chosen = {"overrides": QUICK | {"train.epochs": 1}}
    names = [CUB + method for method in ("glca", "glca_random", "glca_r50")]
    rollout, random, _ = (
        run.run_cell(
            select([name])[0], 0, "mini", places, infrastructure=Infrastructure(quiet=True), **chosen
        )
        for name in names
    )
    assert random["config_hash"] != rollout["config_hash"]
    assert random["final_weights_sha256"] == rollout["final_weights_sha256"]
    assert random["outputs_sha256"] == rollout["outputs_sha256"]
    assert set(rollout["outputs_sha256"]) == {"sa", "glca"}
    views = status.collect(
        table="ablations",
        profile="mini",
        runs_dir=places.runs,
        patterns=names,
        data_dir=places.data,
        **chosen,
    )
    stored = [np.load(view.folder.predictions) for view in views]
    for name in stored[0].files:
        assert stored[0][name].tobytes() == stored[1][name].tobytes(), name
    same, near = compare_selections(views)
    assert same.identical
    assert near.changed == 0
    assert 0 < near.largest < 1e-5
    assert not near.identical
    assert [text.partition(": ")[2][:29] for text in sentences([same, near])] == [
        "the rollout's run again, bit ",
        "the rollout's run up to round",
    ]
