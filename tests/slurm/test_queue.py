"""squeue and sacct: what they print becomes jobs, and every state of theirs has a meaning that is never "done"."""

import pytest

from slurm.queue import Job, ask, expand, parse_sacct, parse_squeue
from slurm.states import ENDED, WAITS, WORKS, kind

# "JOB STATE CODES" of SLURM's squeue page, 21.08 to 25.05, and sacct's; written down from there, not from the code.
DOCUMENTED = """
BOOT_FAIL CANCELLED COMPLETED CONFIGURING COMPLETING DEADLINE EXPEDITING FAILED LAUNCH_FAILED NODE_FAIL OUT_OF_MEMORY
PENDING POWER_UP_NODE PREEMPTED RECONFIG_FAIL REQUEUED REQUEUE_FED REQUEUE_HOLD RESIZING RESV_DEL_HOLD REVOKED RUNNING
SIGNALING SPECIAL_EXIT STAGE_OUT STOPPED SUSPENDED TIMEOUT UPDATE_DB
""".split()
ALIVE = """
CONFIGURING COMPLETING EXPEDITING PENDING POWER_UP_NODE REQUEUED REQUEUE_FED REQUEUE_HOLD RESIZING RESV_DEL_HOLD RUNNING
SIGNALING SPECIAL_EXIT STAGE_OUT STOPPED SUSPENDED UPDATE_DB
""".split()


@pytest.mark.parametrize("state", DOCUMENTED)
def test_every_state_means_something(state):
    assert kind(state) in (("waits", "works") if state in ALIVE else ("ended",))


def test_no_state_has_two_meanings_and_none_is_made_up():
    named = [*WAITS, *WORKS, *ENDED]
    assert sorted(named) == sorted(DOCUMENTED)


@pytest.mark.parametrize("word", ["", "DONE", "running", "COMPLETED+", "?"])
def test_any_other_word_is_unknown(word):
    assert kind(word) == "unknown"


def test_squeue_lines_become_jobs():
    text = (
        "12_0|dcal-a|RUNNING|n1|None\n"
        "12_[1,4-6%3]|dcal-a|PENDING||JobArrayTaskLimit\n"
        "13|other|PENDING||(Nodes required | are DOWN)\n"
    )
    jobs = parse_squeue(text)
    assert list(jobs) == ["12_0", "12_1", "12_4", "12_5", "12_6", "13"]
    assert jobs["12_0"] == Job("12_0", "dcal-a", "RUNNING", "n1", "")
    assert jobs["12_5"] == Job("12_5", "dcal-a", "PENDING", "", "JobArrayTaskLimit")
    assert jobs["13"].reason == "(Nodes required | are DOWN)"


def test_sacct_lines_become_jobs():
    text = "12_0|dcal-a|CANCELLED by 1000|n1\n12_1|dcal-a|OUT_OF_MEMORY|n2\n12_[2-3]|dcal-a|PENDING|None assigned\n"
    jobs = parse_sacct(text)
    assert [job.state for job in jobs.values()] == ["CANCELLED", "OUT_OF_MEMORY", "PENDING", "PENDING"]
    assert jobs["12_3"].where == ""


def test_array_ids():
    assert expand("7") == ["7"]
    assert expand("7_2") == ["7_2"]
    assert expand("7_[0-2,9]") == ["7_0", "7_1", "7_2", "7_9"]


def test_one_call_each_whatever_the_number_of_jobs(slurm_says):
    slurm_says.says("squeue", "".join(f"9_{n}|x|RUNNING|n1|None\n" for n in range(100)))
    slurm_says.says("sacct", "10_0|x|TIMEOUT|n1\n")
    queue = ask([f"9_{n}" for n in range(100)] + ["10_0"])
    assert len(queue.jobs) == 101
    assert [call.split()[0] for call in slurm_says.calls] == ["squeue", "sacct"]
    assert all(call.endswith("-j 9,10") for call in slurm_says.calls)


def test_no_call_for_no_job(slurm_says):
    assert ask([]).jobs == {}
    assert slurm_says.calls == []


def test_squeue_knows_better_than_accounting(slurm_says):
    slurm_says.says("squeue", "9_0|x|PENDING||BeginTime\n")  # queued again
    slurm_says.says("sacct", "9_0|x|PREEMPTED|n1\n")
    assert ask(["9_0"]).jobs["9_0"].state == "PENDING"


def test_a_site_without_accounting_is_no_problem(slurm_says):
    slurm_says.says("squeue", "9_0|x|RUNNING|n1|None\n")
    queue = ask(["9_0"])
    assert queue.problem == ""
    assert queue.jobs["9_0"].state == "RUNNING"


def test_a_forgotten_job_is_no_problem_and_not_known(slurm_says):
    slurm_says.says("squeue", "", error="slurm_load_jobs error: Invalid job id specified", status=1)
    queue = ask(["9"])
    assert (queue.problem, queue.jobs) == ("", {})


def test_a_controller_that_is_down_is_a_problem(slurm_says):
    slurm_says.says("squeue", "", error="slurm_load_jobs error: Unable to contact slurm controller", status=1)
    assert "Unable to contact" in ask(["9"]).problem
    assert slurm_says.count("sacct") == 0


def test_a_machine_without_slurm_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert ask(["9"]).problem == "no squeue on this machine"


def test_a_job_of_another_name_is_another_job(slurm_says):
    slurm_says.says("squeue", "9_0|somebody-elses|RUNNING|n1|None\n")
    queue = ask(["9_0"])
    assert queue.job("9_0", "dcal-mini-default-12345678") is None
    assert queue.job("9_0", "somebody-elses").state == "RUNNING"


def test_an_array_cancelled_before_it_began_is_one_line_for_all_its_elements(slurm_says):
    slurm_says.says("squeue", "5|dcal-a|CANCELLED||None\n")
    queue = ask(["5_0", "5_1"])
    assert queue.job("5_1", "dcal-a").state == "CANCELLED"
    assert queue.job("5_1", "dcal-b") is None
