"""`make weights` against a server that answers as the hub does: fetched, gone on with, verified, recorded."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hub_stand_in import COMMIT, serving

ROOT = Path(__file__).resolve().parents[2]
TINY, SMALL = "deit_tiny_patch16_224.fb_in1k", "deit_small_patch16_224.fb_in1k"
MAIN = (
    "import sys\n"
    "from benchmark.__main__ import main\n"
    "status = main(sys.argv[1:])\n"
    "print('torch loaded' if 'torch' in sys.modules else 'no torch', file=sys.stderr)\n"
    "sys.exit(status)\n"
)


def whole(size=5000, fill=7):
    """A .safetensors of one tensor."""
    header = json.dumps({"t": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    return len(header).to_bytes(8, "little") + header + bytes([fill]) * size


def sha256(content):
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def hub():
    with serving() as hub:
        yield hub


@pytest.fixture
def weights(hub, tmp_path):
    """Calls the verb in a process of its own, as the hub's library reads its environment once."""

    def call(cells, *, folder=tmp_path / "weights", offline=False, home=tmp_path / "home"):
        environment = os.environ | {"HF_ENDPOINT": hub.address, "HF_HOME": str(home)}
        for name in ("HF_HUB_CACHE", "HF_HUB_OFFLINE"):
            environment.pop(name, None)
        if offline:
            environment["HF_HUB_OFFLINE"] = "1"
        arguments = ["weights", "--profile", "paper", "--cells", cells, "--weights", str(folder or "")]
        done = subprocess.run(
            [sys.executable, "-c", MAIN, *arguments],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode in (0, 1), done.stderr
        lines = done.stdout.splitlines()
        if not any(line.endswith("fetched") for line in lines):  # torch reads new files alone
            assert done.stderr.endswith("no torch\n"), done.stderr
        return done.returncode, lines

    return call


def manifest(folder):
    return json.loads((folder / "weights.json").read_text())["files"]


def test_exactly_the_cells_tags_are_fetched_verified_and_recorded(hub, weights, tmp_path):
    content = hub.files[f"timm/{TINY}/model.safetensors"] = whole()
    hub.files[f"timm/{SMALL}/model.safetensors"] = whole(6000)
    status, lines = weights("cub/deit_tiny veri/deit_tiny/dcal")
    digest = sha256(content)
    file = f"{TINY}.safetensors"
    assert status == 0
    assert lines[0] == f"{TINY}  {file}  {len(content):,} bytes  {digest[:12]}  fetched"
    assert (tmp_path / "weights" / file).read_bytes() == content
    assert sorted(path.name for path in (tmp_path / "weights").iterdir()) == [file, "weights.json"]
    source = f"{hub.address}/timm/{TINY}/resolve/main/model.safetensors@{COMMIT}"
    entry = {"file": file, "size": len(content), "sha256": digest, "source": source}
    assert manifest(tmp_path / "weights") == {TINY: entry}
    status, lines = weights("cub/deit_tiny")
    assert (status, lines[0].split("  ")[-1]) == (0, "there already")
    assert len(hub.served) == 1


def test_one_tag_that_cannot_be_had_leaves_the_others_and_says_so(hub, weights, tmp_path):
    hub.files[f"timm/{SMALL}/model.safetensors"] = whole()
    status, lines = weights("cub/deit_tiny cub/deit_small")
    assert status == 1
    assert lines[0].startswith(
        f"{TINY}  FAILED: timm/{TINY} has none of model.safetensors, pytorch_model.bin"
    )
    assert lines[1].endswith("fetched")
    assert set(manifest(tmp_path / "weights")) == {SMALL}


def test_an_interrupted_download_goes_on_where_it_ended(hub, weights, tmp_path):
    content = hub.files[f"timm/{TINY}/model.safetensors"] = whole(
        12 << 20
    )  # the client writes 10 MiB at a time
    hub.cut = 11 << 20
    status, lines = weights("cub/deit_tiny")
    assert status == 1
    assert "the same command goes on with it" in lines[0]
    assert not (tmp_path / "weights" / f"{TINY}.safetensors").exists()
    hub.cut, hub.gone = None, False
    status, _ = weights("cub/deit_tiny")
    assert status == 0
    assert (tmp_path / "weights" / f"{TINY}.safetensors").read_bytes() == content
    assert [first for _, first in hub.served] == [0, 10 << 20]
    assert not list((tmp_path / "weights").glob(".*part*"))


def test_a_file_that_was_changed_on_the_way_is_not_put_in_place(hub, weights, tmp_path):
    hub.files[f"timm/{TINY}/model.safetensors"] = whole()
    hub.digests[f"timm/{TINY}/model.safetensors"] = "b" * 64
    status, lines = weights("cub/deit_tiny")
    assert status == 1
    assert "the hub says bbbbbbbbbbbb" in lines[0]
    assert list((tmp_path / "weights").iterdir()) == []


def test_a_truncated_file_on_the_hub_is_not_put_in_place(hub, weights, tmp_path):
    hub.files[f"timm/{TINY}/model.safetensors"] = whole()[:-10]
    status, lines = weights("cub/deit_tiny")
    assert status == 1
    assert "truncated" in lines[0]
    assert list((tmp_path / "weights").iterdir()) == []


def test_without_a_folder_the_hubs_cache_is_filled_and_a_damaged_file_in_it_replaced(hub, weights, tmp_path):
    content = hub.files[f"timm/{TINY}/model.safetensors"] = whole()
    status, lines = weights("cub/deit_tiny", folder=None)
    assert status == 0
    assert lines[0].endswith(f"{sha256(content)[:12]}  fetched")
    (blob,) = (tmp_path / "home").glob("hub/models--timm--*/blobs/*")
    assert weights("cub/deit_tiny", folder=None)[1][0].endswith("there already")
    blob.chmod(0o644)
    blob.write_bytes(whole(fill=8))
    assert weights("cub/deit_tiny", folder=None)[1][0].endswith("fetched")
    assert blob.read_bytes() == content
    assert len(hub.served) == 2


def test_offline_nothing_is_asked(hub, weights):
    hub.files[f"timm/{TINY}/model.safetensors"] = whole()
    status, lines = weights("cub/deit_tiny", offline=True)
    assert status == 1
    assert "HF_HUB_OFFLINE forbids to ask the hub" in lines[0]
    assert hub.served == []
