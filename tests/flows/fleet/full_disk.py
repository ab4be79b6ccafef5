"""Train with a file size limit from step 12 on: what a full disk or a quota does to a write."""

import resource
import signal
import sys

from flows.cli import main
from models.training.trainer import Trainer

STEP, LIMIT_BYTES = 12, 100_000

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
train_step = Trainer.train_step


def limited_train_step(self, step):
    if step == STEP:
        resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT_BYTES, LIMIT_BYTES))
    return train_step(self, step)


Trainer.train_step = limited_train_step
sys.argv = ["flanmoe", "train", sys.argv[1]]
main()
