"""One run by several ranks on a cluster: the weights of one rank, failures in words."""

import shlex
import sys

from suite_on_cluster import Suite, run_locally

EPOCHS = 12


SET = f"data.class_limit=3 train.epochs={EPOCHS} evaluate.every={EPOCHS}"


def test_two_ranks_on_two_nodes_reach_the_weights_of_one(cluster, tmp_path, mini_pictures):
    # Adam makes steps of full size of a gradient that is zero but for rounding, a key bias's: SGD does not.
    cell, settings = "cub/deit_tiny/baseline", SET + " model.drop_path=0 train.optimizer=sgd"
    suite = Suite(cluster, tmp_path, mini_pictures, set=settings, cells=cell, nodes=2)
    suite.call("submit")
    suite.wait_for_epochs(2)
    cluster.run("scancel", "--signal=USR2", suite.job())  # both ranks save and meet again
    (alone,) = run_locally(tmp_path / "alone", mini_pictures, settings, cell)
    suite.wait_for_results()
    result = suite.result()
    assert result["device"]["world_size"] == 2
    assert result["cost"]["attempts"] == 2
    assert result["cost"]["steps"] == alone["cost"]["steps"]

    import torch

    paths = [runs / "mini" / cell / "seed0" / "checkpoint.pt" for runs in (suite.runs, tmp_path / "alone")]
    two, one = (torch.load(path, weights_only=True)["model"] for path in paths)
    assert two.keys() == one.keys()
    for name in one:
        torch.testing.assert_close(
            two[name], one[name], rtol=1e-4, atol=1e-6, msg=lambda text, n=name: f"{n}: {text}"
        )


def test_a_rank_that_cannot_start_is_a_failure_with_its_words(cluster, tmp_path, mini_pictures):
    """And no preemption, although srun ends the other one with SIGTERM: the next launch must not repeat it."""
    log = tmp_path / "runs/mini/cub/deit_tiny/baseline/seed0/log.txt"  # the other one is at work
    waits = f"for second in $(seq 90); do [ -e {log} ] && break; sleep 1; done; sleep 2"
    dies = f'if [ "$SLURM_PROCID" = 1 ]; then {waits}; echo no such module; exit 3; fi'
    broken = f"""sh -c '{dies}; exec "$0" "$@"' {shlex.quote(sys.executable)}"""
    suite = Suite(
        cluster, tmp_path, mini_pictures, set=SET, cells="cub/deit_tiny/baseline", nodes=2, python=broken
    )
    suite.call("submit")
    cluster.wait_for(suite.ended, 120, "the job's end")
    status = suite.call("status")
    assert "1 failed" in status
    assert "FAILED: another of its tasks was" in status
    assert "no such module" in suite.call("logs")
    assert "0 runs submitted" in suite.call("submit", status=1)


def test_a_number_of_ranks_that_does_not_divide_the_batch_is_not_sent(cluster, tmp_path, mini_pictures):
    suite = Suite(cluster, tmp_path, mini_pictures, set=SET + " train.batch_size=15", nodes=2)
    process = suite.start("submit")
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "train.batch_size=15" in said
    assert not suite.folder().submission.exists()
