"""Output of squeue and sacct as jobs; every state of SLURM has a phase, which is never "done"."""

import pytest

from slurm.queue import (
    END_MESSAGES,
    RUNNING_STATES,
    WAITING_STATES,
    Job,
    expand_array_id,
    job_phase,
    parse_sacct,
    parse_squeue,
    query_jobs,
)

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
    assert job_phase(state) in (("waiting", "running") if state in ALIVE else ("ended",))


def test_no_state_has_two_meanings_and_none_is_made_up():
    named = [*WAITING_STATES, *RUNNING_STATES, *END_MESSAGES]
    assert sorted(named) == sorted(DOCUMENTED)


@pytest.mark.parametrize("word", ["", "DONE", "running", "COMPLETED+", "?"])
def test_any_other_word_is_unknown(word):
    assert job_phase(word) == "unknown"


def test_squeue_lines_become_jobs():
    text = (
        "12_0|dcal-a|RUNNING|n1|None\n"
        "12_[1,4-6%3]|dcal-a|PENDING||JobArrayTaskLimit\n"
        "13|other|PENDING||(Nodes required | are DOWN)\n"
    )
    jobs = parse_squeue(text)
    assert sorted(jobs) == ["12_0", "12_1", "12_4", "12_5", "12_6", "13"]
    assert jobs["12_0"] == Job("12_0", "dcal-a", "RUNNING", "n1", "")
    assert jobs["12_5"] == Job("12_5", "dcal-a", "PENDING", "", "JobArrayTaskLimit")
    assert jobs["13"].reason == "(Nodes required | are DOWN)"


def test_sacct_lines_become_jobs():
    text = (
        "12_0|dcal-a|CANCELLED by 1000|n1\n12_1|dcal-a|OUT_OF_MEMORY|n2\n"
        "12_[1-3%2]|dcal-a|CANCELLED by 0|None assigned\n"  # lags behind its elements' own lines
    )
    jobs = parse_sacct(text)
    assert {id: job.state for id, job in jobs.items()} == {
        "12_0": "CANCELLED", "12_1": "OUT_OF_MEMORY", "12_2": "CANCELLED", "12_3": "CANCELLED",
    }  # fmt: skip
    assert jobs["12_3"] == Job("12_3", "dcal-a", "CANCELLED")


def test_array_ids():
    assert expand_array_id("7") == ["7"]
    assert expand_array_id("7_2") == ["7_2"]
    assert expand_array_id("7_[0-2,9]") == ["7_0", "7_1", "7_2", "7_9"]
    assert expand_array_id("7_[3]") == ["7_3"]
    assert expand_array_id("7_[1-7:3,9-10%4]") == ["7_1", "7_4", "7_7", "7_9", "7_10"]


def test_one_call_each_whatever_the_number_of_jobs(slurm_says):
    slurm_says.says("squeue", "".join(f"9_{n}|x|RUNNING|n1|None\n" for n in range(100)))
    slurm_says.says("sacct", "10_0|x|TIMEOUT|n1\n")
    queue = query_jobs([f"9_{n}" for n in range(100)] + ["10_0"])
    assert len(queue.jobs) == 101
    assert [call.split()[0] for call in slurm_says.calls] == ["squeue", "sacct"]
    assert all(call.endswith("-j 9,10") for call in slurm_says.calls)


def test_no_call_for_no_job(slurm_says):
    assert query_jobs([]).jobs == {}
    assert slurm_says.calls == []


def test_squeue_knows_better_than_accounting(slurm_says):
    slurm_says.says("squeue", "9_0|x|PENDING||BeginTime\n")  # queued again
    slurm_says.says("sacct", "9_0|x|PREEMPTED|n1\n")
    assert query_jobs(["9_0"]).jobs["9_0"].state == "PENDING"


def test_a_site_without_accounting_is_no_problem(slurm_says):
    slurm_says.says("squeue", "9_0|x|RUNNING|n1|None\n")
    queue = query_jobs(["9_0"])
    assert queue.problem == ""
    assert queue.jobs["9_0"].state == "RUNNING"


def test_a_forgotten_job_is_no_problem_and_not_known(slurm_says):
    slurm_says.says("squeue", "", error="slurm_load_jobs error: Invalid job id specified", status=1)
    queue = query_jobs(["9"])
    assert (queue.problem, queue.jobs) == ("", {})


def test_a_controller_that_is_down_is_a_problem(slurm_says):
    slurm_says.says("squeue", "", error="slurm_load_jobs error: Unable to contact slurm controller", status=1)
    assert "Unable to contact" in query_jobs(["9"]).problem
    assert slurm_says.count("sacct") == 0


def test_a_machine_without_slurm_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert query_jobs(["9"]).problem == "no squeue on this machine"


def test_a_job_of_another_name_is_another_job(slurm_says):
    slurm_says.says("squeue", "9_0|somebody-elses|RUNNING|n1|None\n")
    queue = query_jobs(["9_0"])
    assert queue.job("9_0", "dcal-mini-default-12345678") is None
    assert queue.job("9_0", "somebody-elses").state == "RUNNING"


def test_an_array_cancelled_before_it_began_is_one_line_for_all_its_elements(slurm_says):
    slurm_says.says("squeue", "5|dcal-a|CANCELLED||None\n")
    queue = query_jobs(["5_0", "5_1"])
    assert queue.job("5_1", "dcal-a").state == "CANCELLED"
    assert queue.job("5_1", "dcal-b") is None


@pytest.mark.parametrize("state", ["PENDING", "RUNNING", "COMPLETING", "REQUEUED"])
def test_accounts_alone_never_keep_a_job_alive(slurm_says, state):
    """Accounts may list living jobs that squeue does not have, after a controller lost its state."""
    slurm_says.says("squeue", "9_0|x|PENDING||Priority\n")
    slurm_says.says(
        "sacct", f"9_0|x|PENDING|None assigned\n9_1|x|{state}|n1\n9_[2-3]|x|SPARKLING|None assigned\n"
    )
    jobs = query_jobs(["9_0", "9_1", "9_2"]).jobs
    assert jobs["9_0"].state == "PENDING"
    assert "9_1" not in jobs
    assert jobs["9_2"].state == "SPARKLING"  # a word nobody knows stays unknown


def test_slurm_is_asked_for_whole_lists(slurm_says, tmp_path):
    script = slurm_says.folder / "squeue"
    script.write_text(script.read_text().replace("#!/bin/bash\n", f"#!/bin/bash\nenv > '{tmp_path}/seen'\n"))
    query_jobs(["9_0"])
    assert "SLURM_BITSTR_LEN=0" in (tmp_path / "seen").read_text()
    assert all(" -r " not in call for call in slurm_says.calls)
