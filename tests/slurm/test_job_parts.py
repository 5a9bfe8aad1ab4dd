"""Ranks from SLURM's variables, staging of data, and the decision whether a stopped job is queued again."""

import fcntl
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from benchmark.data import locate
from benchmark.errors import DataError, RunError
from benchmark.records.heartbeat import RunInterrupt, StopRequest
from slurm import job, staging
from slurm.job import job_id, world

STEP = {
    "SLURM_JOB_ID": "17",
    "SLURM_PROCID": "5",
    "SLURM_NTASKS": "8",
    "SLURM_LOCALID": "1",
    "SLURM_NNODES": "2",
}


def test_a_tasks_place():
    place = world(STEP)
    assert (place.rank, place.size, place.local_rank, place.local_size) == (5, 8, 1, 4)
    assert place.attempt == "17.0"


def test_every_start_of_an_array_element_is_an_attempt_of_its_own():
    element = STEP | {"SLURM_ARRAY_JOB_ID": "12", "SLURM_ARRAY_TASK_ID": "3"}
    assert job_id(element) == "12_3"
    assert world(element | {"SLURM_RESTART_COUNT": "2"}).attempt == "12_3.2"


@pytest.mark.parametrize("name", STEP)
def test_outside_of_a_job_step(name):
    with pytest.raises(RunError, match=f"{name} is not set"):
        world({key: value for key, value in STEP.items() if key != name})


def test_data_are_copied_once_and_again_when_they_change(tmp_path, mini_pictures, monkeypatch):
    monkeypatch.setenv("MY_DISK", str(tmp_path / "disk"))
    first = staging.stage_data("$MY_DISK/here", "cub", mini_pictures)
    assert locate.fingerprint(locate.locate("cub", first), "cub") == locate.fingerprint(
        locate.locate("cub", mini_pictures), "cub"
    )
    mark = next(first.rglob("*.jpg"))
    mark.write_bytes(bytes(mark.stat().st_size))
    assert staging.stage_data("${MY_DISK}/here", "cub", mini_pictures) == first
    assert not any(mark.read_bytes())  # not copied again
    mark.unlink()  # by a site that empties its scratch disks
    assert staging.stage_data("$MY_DISK/here", "cub", mini_pictures) == first
    assert any(mark.read_bytes())
    changed = tmp_path / "data"
    subprocess.run(["cp", "-r", str(mini_pictures), str(changed)], check=True)
    lists = changed / "CUB_200_2011" / "image_class_labels.txt"
    lists.write_text(lists.read_text() + "\n")
    assert staging.stage_data("$MY_DISK/here", "cub", changed) != first


def test_data_that_are_the_folder_itself_are_found_again_in_their_copy(tmp_path, mini_pictures):
    alone = tmp_path / "birds"
    subprocess.run(["cp", "-r", str(mini_pictures / "CUB_200_2011"), str(alone)], check=True)
    assert locate.locate("cub", alone) == alone
    copied = staging.stage_data(str(tmp_path / "disk"), "cub", alone)
    assert locate.locate("cub", copied) == copied / "CUB_200_2011"


def test_a_half_copy_of_a_killed_job_is_no_copy(tmp_path, mini_pictures):
    first = staging.stage_data(str(tmp_path), "cub", mini_pictures)
    half = first.with_name(f".{first.name}.half")
    os.rename(first, half)
    next(half.rglob("*.jpg")).unlink()
    again = staging.stage_data(str(tmp_path), "cub", mini_pictures)
    assert again == first
    assert not half.exists()
    names = [{path.relative_to(root) for path in root.rglob("*.*")} for root in (again, mini_pictures)]
    assert names[0] - {Path(".copied.json")} == {name for name in names[1] if name.parts[0] == "CUB_200_2011"}


def test_jobs_of_one_node_copy_once_between_them(tmp_path, mini_pictures):
    script = (
        "import logging, sys\nfrom pathlib import Path\nfrom slurm.staging import stage_data\n"
        "logging.basicConfig(level='INFO', stream=sys.stdout)\n"
        f"stage_data({str(tmp_path)!r}, 'cub', Path({str(mini_pictures)!r}))\n"
    )
    root = Path(__file__).resolve().parents[2]
    running = [
        subprocess.Popen([sys.executable, "-c", script], cwd=root, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    outputs = [process.communicate(timeout=120)[0] for process in running]
    assert [process.returncode for process in running] == [0] * 4
    assert sum("copied" in text for text in outputs) == 1


def test_a_stop_ends_the_wait_for_another_jobs_copy(tmp_path, mini_pictures):
    first = staging.stage_data(str(tmp_path), "cub", mini_pictures)
    stop = StopRequest()
    with open(first.with_name(f".{first.name}.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        threading.Timer(0.5, setattr, [stop, "reason", "stopped by SIGUSR2"]).start()
        with pytest.raises(RunInterrupt, match="stopped by SIGUSR2 while another job copied"):
            staging.stage_data(str(tmp_path), "cub", mini_pictures, stop)


def test_a_stop_ends_a_copy_and_takes_the_half_away(tmp_path, mini_pictures):
    class AtTheThirdFile(StopRequest):
        looks = 0

        @property
        def reason(self):
            self.looks += 1
            return "a notice" if self.looks > 2 else ""

        @reason.setter
        def reason(self, value):
            pass

    with pytest.raises(RunInterrupt, match="while its data were copied"):
        staging.stage_data(str(tmp_path), "cub", mini_pictures, AtTheThirdFile())
    assert not list(tmp_path.rglob("*.jpg"))


def test_scratch_that_is_not_there(tmp_path, mini_pictures, monkeypatch):
    monkeypatch.delenv("NO_SUCH", raising=False)
    with pytest.raises(RunError, match=r"no variable \$NO_SUCH"):
        staging.stage_data("$NO_SUCH/x", "cub", mini_pictures)
    monkeypatch.setenv("RELATIVE", "disk")
    with pytest.raises(RunError, match="expected an absolute path"):
        staging.stage_data("$RELATIVE/x", "cub", mini_pictures)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no veri in"):
        staging.stage_data(str(tmp_path), "veri", tmp_path / "empty")
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot write"):
        staging.stage_data(str(tmp_path / "file"), "cub", mini_pictures)


def test_a_full_scratch_disk_leaves_no_half_copy(tmp_path, mini_pictures):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=200k", "none", str(disk)], capture_output=True
    ).returncode:
        pytest.skip("needs the right to mount a small file system")
    try:
        with pytest.raises(RunError, match=r"copying .* failed at .*No space left.*leave scratch out"):
            staging.stage_data(str(disk), "cub", mini_pictures)
        assert not [path for path in disk.rglob("*") if path.suffix == ".jpg"]
    finally:
        subprocess.run(["umount", str(disk)], check=True)


JOB_TEXT = (
    "JobId=17 JobState={state} Reason=None\n   PreemptEligibleTime=2026-01-01T00:00:00 PreemptTime={time}\n"
)


@pytest.mark.parametrize(
    ("state", "time", "expected"),
    [
        ("RUNNING", "2026-01-01T00:00:10", True),
        ("RUNNING", "None", False),  # somebody's kill
        ("CANCELLED", "2026-01-01T00:00:10", False),
        ("COMPLETING", "None", False),
    ],
)
def test_only_a_preempted_job_queues_itself_again_on_sigterm(slurm_says, monkeypatch, state, time, expected):
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    slurm_says.says("scontrol", JOB_TEXT.format(state=state, time=time))
    assert job._is_preempted() is expected


def test_a_controller_that_does_not_answer_is_no_preemption(slurm_says, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    slurm_says.says("scontrol", "", error="Unable to contact", status=1)
    assert job._is_preempted() is False


def test_the_notice_is_the_signal_that_the_batch_script_asks_for():
    golden = (Path(__file__).parent / "golden" / "cpu.sbatch").read_text()
    assert f"--signal={job.NOTICE.name.removeprefix('SIG')}@" in golden
    assert job.NOTICE == signal.SIGUSR2
