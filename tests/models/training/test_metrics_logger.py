"""Log lines on disk, warnings, and the sink."""

from models.training.metrics_logger import MetricsLogger
from tests.models.training.factories import read_log


def log_line(step):
    return {"step": step, "loss": 1.0, "tokens_per_second": 10.0, "mfu": None}


class RecordingSink:
    """Records the calls it receives."""

    def __init__(self):
        self.calls = []

    def restart(self):
        self.calls.append("restart")

    def log(self, line):
        self.calls.append(line["step"])

    def close(self):
        self.calls.append("close")


def test_rewind_drops_later_and_incomplete_lines(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text('{"step": 1}\n{"step": 2}\n{"step": 3}\n{"step": 4, "lo')
    sink = RecordingSink()
    logger = MetricsLogger(path, 5, sink)
    logger.rewind(2)
    logger.log(log_line(3), {})
    logger.close()
    assert [line["step"] for line in read_log(path)] == [1, 2, 3]
    assert logger.lines == read_log(path)
    assert sink.calls == ["restart", 1, 2, 3, "close"]


def test_log_warning_is_shown_once_after_three_lines(tmp_path, capfd):
    logger = MetricsLogger(tmp_path / "log.jsonl", 6)
    logger.rewind(0)
    for step in range(1, 5):
        logger.log(log_line(step), {"dead": "2 experts receive no token"})
    logger.log(log_line(5), {})
    logger.close()
    lines = read_log(tmp_path / "log.jsonl")
    assert [bool(line.get("warnings")) for line in lines] == [False, False, True, True, False]
    output = capfd.readouterr().out
    assert output.count("warning: step 3: 2 experts receive no token") == 1
