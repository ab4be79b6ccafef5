"""What a model needs on many devices, on paper: memory, traffic, and when traffic takes longer.

    python -m benchmarks.scaling --preset st_32b --flops 4e14 --link 4e11 --between 5e10

`--flops`: what a device reaches in large products, FLOPs a second; `--link` and `--between`: bytes
a second that it sends to others of its machine and of other machines. Measure all three on the
devices in question. Without them they are measured here: a matrix product, and an exchange between
two gloo processes, which show the form of the table and not what a fleet of GPUs does. The model
is described in benchmarks/scaling.md.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

from benchmarks.timing import machine, parser, write
from models.config import ModelConfig
from models.cost import flops
from models.cost.memory import training_memory
from models.presets import preset
from models.training.peak_flops import measured_peak

DEVICES = (8, 64, 512)
PER_MACHINE = 8
SOURCE, TARGET = 2048, 512
HALF, FULL = 2, 4

EXCHANGE = """
import sys, time
import torch, torch.distributed as dist
dist.init_process_group("gloo")
rows = torch.ones(2 * 2**20)
times = []
for _ in range(12):
    out = torch.empty_like(rows)
    began = time.perf_counter()
    dist.all_to_all_single(out, rows)
    times.append(time.perf_counter() - began)
if dist.get_rank() == 0:
    print(rows.numel() * 4 / 2 / sorted(times)[len(times) // 2])
dist.destroy_process_group()
"""


def main() -> None:
    """Prints a row for each number of devices, and writes them where asked."""
    options = parser(__doc__)
    options.add_argument("--preset", default="st_32b", help="model; default st_32b")
    options.add_argument("--rows", type=int, default=1, help="rows of a device; default 1")
    for name in ("flops", "link", "between"):
        options.add_argument(f"--{name}", type=float, default=0.0)
    chosen = options.parse_args()
    measured = measured_peak(torch.device("cpu"), "float32") if not chosen.flops else chosen.flops
    link = chosen.link or _exchange()
    between = chosen.between or link
    config = preset(chosen.preset)
    rows = [plan(config, n, measured, link, between, chosen.rows) for n in DEVICES]
    print(f"{chosen.preset}, {measured:.3g} FLOPs/s, {link:.3g} and {between:.3g} bytes/s")
    for row in rows:
        print(json.dumps(row))
    figures: dict[str, Any] = {
        "machine": machine("torch"),
        "given": {"flops": measured, "link": link, "between": between},
        "measured_here": not (chosen.flops and chosen.link),
        "rows": rows,
    }
    write(figures, chosen.json)


def plan(
    config: ModelConfig, devices: int, rate: float, link: float, between: float, rows: int
) -> dict[str, Any]:
    """One number of devices: experts spread over as many as divide them, the rest by FSDP2."""
    assert config.moe is not None
    experts = max(x for x in range(1, devices + 1) if devices % x == 0
                  and config.moe.num_experts % x == 0)  # fmt: skip
    memory = training_memory(config, "adafactor")
    stacked = config.d_model * config.d_ff * config.moe.num_experts
    stacked *= 3 if config.activation == "gated_gelu" else 2
    layers = 2 * len(config.moe_layers())
    shared = flops.parameters(config).total - layers * stacked
    compute = flops.training(config, encoder_tokens=SOURCE, decoder_tokens=TARGET, rows=rows) / rate
    # There and back, forward and backward: 4 times k rows of d_model, but those that stay.
    k = config.moe.top_k
    tokens = rows * (SOURCE + TARGET) / 2
    leaving = 4 * k * tokens * config.d_model * HALF * layers * (1 - 1 / experts)
    near = (min(experts, PER_MACHINE) - 1) / max(experts - 1, 1)
    exchange = leaving * (near / link + (1 - near) / between)
    # FSDP2: weights gathered twice, gradients scattered once, float32 weights.
    speed = link if devices <= PER_MACHINE else between
    sharding = 3 * FULL * shared * (1 - 1 / devices) / speed
    replicas = devices // experts
    sharding += 3 * FULL * layers * stacked / experts * (1 - 1 / replicas) / speed
    return {
        "devices": devices,
        "experts_over": experts,
        "state_gb_a_device": round(memory.total / devices / 1e9, 1),
        "compute_s": compute,
        "all_to_all_s": exchange,
        "fsdp_s": sharding,
        "all_to_all_share": exchange / (compute + exchange),
        "all_to_all_dominates_below_bytes_s": leaving / compute,
        "rows_that_hide_fsdp": sharding / (compute / rows),
    }


def _exchange() -> float:
    """Bytes a second that one of two gloo processes here sends to the other."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "exchange.py"
        script.write_text(EXCHANGE, encoding="utf-8")
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone",
                   "--nproc-per-node", "2", str(script)]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.strip().splitlines()[-1])


if __name__ == "__main__":
    main()
