"""Whatever happens to a job, its run ends with the weights of an undisturbed one, bit for bit."""

import math
import os
import signal
import subprocess
from pathlib import Path

import pytest
from suite_on_cluster import Suite, run_locally

CELL = "cub/deit_tiny/dcal"
EPOCHS = 12
SET = f"data.class_limit=3 train.epochs={EPOCHS} evaluate.every={EPOCHS}"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, mini_pictures):
    (result,) = run_locally(tmp_path_factory.mktemp("undisturbed"), mini_pictures, SET, CELL)
    return result


@pytest.fixture(scope="module", autouse=True)
def long_run(cluster, undisturbed, tmp_path_factory, mini_pictures):
    """A run whose time limit of a minute comes again and again while the other tests go on; on the second node.

    SLURM looks every 30 s for jobs to warn, and counts another 30 s to what was asked for: the notice comes 10 to 40 s
    after a start. At this machine's pace the training takes 90 s, more than two such starts can hold.
    """
    epochs = math.ceil(90 * EPOCHS / undisturbed["cost"]["train_seconds"])
    suite = Suite(
        cluster,
        tmp_path_factory.mktemp("limit"),
        mini_pictures,
        set=f"data.class_limit=3 train.epochs={epochs} evaluate.every={epochs}",
        minutes=1,
        notice_seconds=20,
        requeues=100,  # a busy machine may need many starts
        extra={"nodelist": "n2"},
    )
    suite.call("submit")
    return suite


@pytest.fixture
def suite(cluster, tmp_path, mini_pictures):
    """One run on the first node, of which a checkpoint is written after every step."""
    return Suite(cluster, tmp_path, mini_pictures, set=SET, extra={"nodelist": "n1"})


def finished_as(suite, undisturbed):
    suite.wait_for_results()
    result = suite.result()
    assert result["final_weights_sha256"] == undisturbed["final_weights_sha256"]
    assert result["metrics"] == undisturbed["metrics"]
    return result


def urgent_job(cluster, seconds=3):
    """A job of a higher partition that wants all of the first node."""
    cluster.run(
        "sbatch",
        "--partition=urgent",
        "--nodelist=n1",
        "--exclusive",
        "--output=/dev/null",
        f"--wrap=sleep {seconds}",
    )


def test_preempted_by_a_higher_partition(suite, cluster, undisturbed):
    suite.call("submit")
    suite.wait_for_epochs(2)
    urgent_job(cluster)
    cluster.wait_for(
        lambda: cluster.job(suite.job())["Restarts"] == "1", 30, "SLURM takes the job's place away"
    )
    cluster.wait_for(lambda: "1 queued" in suite.call("status"), 30, "the run waits for its place")
    assert "0 runs submitted" in suite.call("submit")
    assert finished_as(suite, undisturbed)["cost"]["attempts"] == 2


def test_preempted_with_a_grace_time_it_saves_and_queues_again_by_itself(suite, cluster, undisturbed):
    suite.write_site(extra={"nodelist": "n1"}, partition="graceful")
    suite.call("submit")
    suite.wait_for_epochs(2)
    urgent_job(cluster)
    cluster.wait_for(lambda: cluster.job(suite.job())["Restarts"] == "1", 60, "the job is queued again")
    assert "stopped by SIGTERM in epoch" in suite.job_output()
    assert finished_as(suite, undisturbed)["cost"]["attempts"] == 2


def test_a_notice_saves_at_the_next_step_and_queues_again(suite, cluster, undisturbed):
    suite.call(
        "submit", "--workers", "2"
    )  # SLURM signals every process of a step, those that decode pictures, too
    suite.wait_for_epochs(2)
    cluster.run("scancel", "--signal=USR2", suite.job())
    cluster.wait_for(lambda: cluster.job(suite.job())["Restarts"] == "1", 30, "the job is queued again")
    assert "stopped by SIGUSR2 in epoch" in suite.job_output()
    assert finished_as(suite, undisturbed)["cost"]["attempts"] == 2


def test_killed_by_scancel_and_its_checkpoint_torn(suite, cluster, undisturbed):
    """SLURM lets SIGTERM go before SIGKILL, so the run saves; what it saved is torn here."""
    suite.call("submit")
    suite.wait_for_epochs(2)
    cluster.run("scancel", "--signal=KILL", suite.job())
    cluster.wait_for(suite.ended, 60, "the job's end")
    torn = suite.folder().checkpoint
    torn.write_bytes(torn.read_bytes()[: torn.stat().st_size // 2])
    assert "1 preempted" in suite.call("status")
    assert "1 runs submitted" in suite.call("retry")
    assert finished_as(suite, undisturbed)["cost"]["attempts"] == 2
    assert "checkpoint.pt is passed over" in suite.folder().log.read_text()


def test_the_task_is_killed_while_it_writes_a_checkpoint(suite, cluster, undisturbed):
    suite.call("submit")
    suite.wait_for_epochs(2)
    cluster.wait_for(
        lambda: any(suite.folder().path.glob(".checkpoint.pt.*.tmp")), 30, "a checkpoint being written"
    )
    os.kill(suite.process(), signal.SIGKILL)
    cluster.wait_for(suite.ended, 60, "the job's end")
    status = suite.call("status")
    assert "1 failed" in status
    assert f"job {suite.job()} FAILED" in status
    assert "0 runs submitted" in suite.call("submit", status=1)
    assert "1 runs submitted" in suite.call("retry")
    assert finished_as(suite, undisturbed)["cost"]["attempts"] == 2


def test_a_nodes_daemon_is_killed_and_brought_back(suite, cluster, undisturbed):
    suite.call("submit")
    suite.wait_for_epochs(2)
    cluster.kill_slurmd("n1")
    cluster.start_slurmd("n1")
    assert finished_as(suite, undisturbed)["cost"]["attempts"] == 1


def kill_all_of(suite):
    """What is left of a job when its machine goes off: SLURM's own processes for it first, so that none can tell."""
    titles = {
        path.parent: path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()
    }
    steps = [
        process
        for process, title in titles.items()
        if title.startswith(b"slurmstepd: [%d." % int(suite.job()))
    ]
    assert len(steps) == 2  # the batch script's and the run's
    for pid in (*(int(process.name) for process in steps), suite.process()):
        os.kill(pid, signal.SIGKILL)


def test_a_lost_nodes_jobs_start_elsewhere(suite, cluster, tmp_path, mini_pictures, undisturbed):
    """Two runs on a node that is lost: one dies with it, the other lives on, frozen, while its job starts again."""
    dead = suite
    frozen = Suite(cluster, tmp_path / "frozen", mini_pictures, set=SET)
    for each in (dead, frozen):
        each.write_site(extra={"nodelist": "n1"})
        each.call("submit")
    for each in (dead, frozen):
        each.wait_for_epochs(2)
    old = frozen.process()
    os.kill(old, signal.SIGSTOP)
    cluster.kill_slurmd("n1")
    kill_all_of(dead)
    try:
        for each in (dead, frozen):
            cluster.wait_for(
                lambda each=each: cluster.job(each.job())["Restarts"] != "0", 90, "SLURM gives the node up"
            )
            cluster.run("scontrol", "update", f"JobId={each.job()}", "ReqNodeList=n2")
        assert finished_as(dead, undisturbed)["cost"]["attempts"] == 2
        cluster.wait_for(lambda: cluster.job(frozen.job())["NodeList"] == "n2", 60, "the second start")
        assert frozen.process() == old  # it waits for the first
        os.kill(old, signal.SIGCONT)
        assert finished_as(frozen, undisturbed)["cost"]["attempts"] == 1
    finally:
        cluster.start_slurmd("n1")


def test_the_controller_is_restarted_in_mid_run(suite, cluster, undisturbed):
    suite.call("submit")
    suite.wait_for_epochs(2)
    cluster.restart_slurmctld()
    assert "1 running" in suite.call("status")
    assert finished_as(suite, undisturbed)["cost"]["attempts"] == 1


def test_while_the_controller_is_down_nothing_is_called_done(suite, cluster):
    suite.write_site(extra={"begin": "now+1hour"})
    suite.call("submit")
    cluster.stop_slurmctld()  # not killed: it would forget the job that it was given a moment ago
    try:
        status = suite.call("status")
        assert "WARNING: SLURM does not answer" in status
        assert "1 unknown" in status
    finally:
        cluster.start_slurmctld()
    job = suite.job()
    cluster.wait_for(
        lambda: job in {known["id"] for known in cluster.jobs()}, 30, "the controller knows the job again"
    )
    assert "cancelled: 1 jobs" in suite.call("cancel")


def test_two_launches_at_the_same_moment_send_every_run_once(suite, cluster, undisturbed):
    both = [suite.start("submit"), suite.start("submit")]
    said = [process.communicate(timeout=120)[0] for process in both]
    assert sorted("1 runs submitted" in text for text in said) == [False, True], said
    assert finished_as(suite, undisturbed)["cost"]["attempts"] == 1


def test_a_run_that_was_sent_twice_all_the_same_runs_once(suite, cluster, undisturbed):
    """As by two users whose launches cannot see each other's lock."""
    suite.write_site()
    suite.call("submit")
    first = suite.job()
    suite.folder().submission.unlink()
    suite.call("submit")
    second = suite.job()
    assert first != second
    assert finished_as(suite, undisturbed)["cost"]["attempts"] == 1
    cluster.wait_for(
        lambda: {first, second}.isdisjoint(job["id"] for job in cluster.jobs()), 60, "both jobs' end"
    )
    states = {job["id"]: job["state"] for job in cluster.jobs(finished=True)}
    assert (states[first], states[second]) == ("COMPLETED", "COMPLETED")


def test_where_the_site_forbids_requeueing_retry_goes_on(suite, cluster, undisturbed):
    suite.write_site(requeues=0, extra={"nodelist": "n1"})
    suite.call("submit")
    suite.wait_for_epochs(2)
    cluster.run("scancel", "--signal=USR2", suite.job())
    cluster.wait_for(suite.ended, 30, "the job's end")
    status = suite.call("status")
    assert "1 preempted" in status
    assert "requeues = 0" in status
    suite.call("retry")
    assert finished_as(suite, undisturbed)["cost"]["attempts"] == 2


def test_a_cancelled_run_saves_does_not_come_back_and_goes_on_when_submitted(suite, cluster, undisturbed):
    suite.call("submit")
    suite.wait_for_epochs(2)
    assert "cancelled: 1 jobs" in suite.call("cancel")
    cluster.wait_for(suite.ended, 60, "the job's end")
    status = suite.call("status")
    assert "1 preempted" in status
    assert "stopped by SIGTERM" in status
    assert cluster.job(suite.job())["Restarts"] == "0"
    assert "1 runs submitted" in suite.call("submit")
    assert finished_as(suite, undisturbed)["cost"]["attempts"] == 2


def test_the_time_limit_hit_twice(long_run, tmp_path_factory, mini_pictures):
    (alone,) = run_locally(tmp_path_factory.mktemp("long alone"), mini_pictures, long_run.set, CELL)
    long_run.wait_for_results(seconds=900)
    result = long_run.result()
    assert result["cost"]["attempts"] >= 3
    assert result["final_weights_sha256"] == alone["final_weights_sha256"]
    assert result["metrics"] == alone["metrics"]
    restarts = long_run.cluster.job(long_run.job())["Restarts"]
    assert int(restarts) == result["cost"]["attempts"] - 1


def test_nothing_of_a_run_is_left_running(cluster):
    """Runs last in this file: all jobs are over, and no process of a run has outlived its job."""
    cluster.wait_for(lambda: not cluster.jobs(), 60, "an empty queue")
    shown = subprocess.run(
        ["pgrep", "-f", "submitit.core._submit"], capture_output=True, text=True
    ).stdout.split()
    marker = f"SLURM_CONF={cluster.environment['SLURM_CONF']}".encode()
    own = []
    for pid in shown:
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                own += [pid] if marker in file.read() else []
        except OSError:
            continue
    assert own == []
