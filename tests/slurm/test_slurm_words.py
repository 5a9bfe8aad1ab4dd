"""Error messages of SLURM are printed once, with what to do."""

import pytest

from slurm import queue
from slurm.queue import query_jobs

UNREACHABLE = (
    "sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)"
)
NO_ANSWER = "slurm_load_jobs error: Unable to contact slurm controller (connect failure)"


def test_an_unreachable_controller_is_said_once_and_blames_no_file(launch, slurm_says, site):
    slurm_says.says("sbatch", "", error=UNREACHABLE, status=1)
    status, out, err = launch("submit")
    assert status == 2
    assert (out + err).count("Unable to contact") == 1
    assert err.strip().splitlines()[-1] == (
        f"error: SLURM does not answer, 2 runs of class 'default' are not sent: {UNREACHABLE}. Submit again once "
        "`squeue` answers; should the jobs be queued all the same, the next launch finds them"
    )
    assert str(site) not in err


def test_a_refusal_is_said_once_with_every_line_and_the_file_to_mend(launch, slurm_says, site):
    lines = [
        "sbatch: error: Invalid account or account/partition combination",
        "sbatch: a hint of the site's",
    ]
    slurm_says.says("sbatch", "", error="\n".join(lines), status=1)
    status, _, err = launch("submit")
    assert status == 2
    assert [err.count(line) for line in lines] == [1, 1]
    assert f"Mend {site} and submit again" in err


def test_a_silent_controller_is_named_once_however_many_runs_wait(launch, slurm_says):
    launch("submit")
    slurm_says.says("squeue", "", error=f"{NO_ANSWER}\n{NO_ANSWER}\n", status=1)
    for verb in ("submit", "cancel"):
        _, out, err = launch(verb)
        assert (out + err).count("Unable to contact") == 1
        assert err.strip().endswith("the same command does the rest once `squeue` answers")
    _, out, err = launch("status")
    assert (out + err).count("Unable to contact") == 1
    assert out.count("SLURM does not answer") == 1 + 2  # the warning, and each run that may be queued


def test_what_submitit_says_of_a_submission_that_works_is_not_lost(launch, slurm_says, monkeypatch):
    import submitit

    usual = submitit.SlurmExecutor._submit_command

    def warns(self, command):
        import sys

        print("a warning of submitit's", file=sys.stderr)
        return usual(self, command)

    monkeypatch.setattr(submitit.SlurmExecutor, "_submit_command", warns)
    status, _, err = launch("submit")
    assert status == 0
    assert "a warning of submitit's" in err


def test_where_there_is_no_slurm_another_machine_is_advised(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert queue.advice(query_jobs(["9"]).problem) == "run it on a machine that belongs to the cluster"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("squeue: error: a\nsqueue: error: a\n\nsqueue: b", "squeue: error: a; squeue: b"),
        ("slurm_load_jobs error: c", "squeue: slurm_load_jobs error: c"),
    ],
)
def test_a_line_that_repeats_one_before_it_is_left_out(text, message):
    assert queue.command_message("squeue", text) == message
