"""Training logs."""

import json

LINE = {
    "step": 20, "steps": 80, "loss": 2.5, "tokens_per_second": 900.0, "mfu": 0.41,
    "max_expert_load": 1.5, "validation_loss": None, "lr": 1e-3, "grad_norm": 1.0, "time": 1.8e9,
}  # fmt: skip


def write_log(folder, lines, *, incomplete=""):
    """Write log.jsonl, with an incomplete last line if one is passed."""
    folder.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps({**LINE, **line}) + "\n" for line in lines)
    (folder / "log.jsonl").write_text(text + incomplete)
