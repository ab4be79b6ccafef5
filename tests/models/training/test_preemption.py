"""SIGTERM during training."""

import os
import signal

from models.training.preemption import catch_sigterm


def test_catch_sigterm_records_the_signal_and_restores_the_handler():
    before = signal.getsignal(signal.SIGTERM)
    with catch_sigterm() as is_stop_requested:
        assert not is_stop_requested()
        os.kill(os.getpid(), signal.SIGTERM)
        assert is_stop_requested()
    assert signal.getsignal(signal.SIGTERM) is before
