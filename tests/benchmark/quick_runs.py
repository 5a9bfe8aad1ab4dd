"""Settings and stops of runs that take seconds."""

from benchmark.records.heartbeat import StopRequest

# Three classes, 60 pictures, 4 steps an epoch: seconds a run.
QUICK = {"data.class_limit": 3, "train.epochs": 3, "evaluate.every": 1}


class StopAfter(StopRequest):
    """Asks to stop once it was looked at so many times: once a step, and once a batch of an evaluation."""

    def __init__(self, steps):
        super().__init__()
        self.left = steps

    @property
    def reason(self):
        self.left -= 1
        return "a test" if self.left < 0 else ""

    @reason.setter
    def reason(self, value):
        pass
