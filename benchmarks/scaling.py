"""Memory and communication of a model on many devices, computed from three measured rates.

    python -m benchmarks.scaling --preset st_32b --peak-flops 4e14 \\
        --intra-node-bandwidth 4e11 --inter-node-bandwidth 5e10

Measure the rates on the devices in question. Rates that are not passed are measured here: a matrix
product, and an exchange between two gloo processes, which show the form of the table and not the
performance of a GPU cluster. benchmarks/scaling.md describes the model.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import torch

from benchmarks.timing import argument_parser, machine_info, write_figures
from models.config import ModelConfig
from models.cost import flops
from models.cost.memory import training_memory
from models.cost.training import training_flops
from models.presets import preset
from models.training.peak_flops import measure_peak_flops

WORLD_SIZES = (8, 64, 512)
DEVICES_PER_NODE = 8
INPUT_LENGTH, TARGET_LENGTH = 2048, 512
BFLOAT16_BYTES, FLOAT32_BYTES = 2, 4


@dataclass(frozen=True, kw_only=True)
class HardwareRates:
    """Rates of one device."""

    peak_flops: float
    """FLOPs per second in large matrix products."""
    intra_node_bandwidth: float
    """Bytes per second that it sends to devices of the same node."""
    inter_node_bandwidth: float
    """Bytes per second that it sends to devices of other nodes."""


def main() -> None:
    """Print a row per number of devices and write the figures."""
    parser = argument_parser(__doc__)
    parser.add_argument("--preset", default="st_32b", help="model; default st_32b")
    parser.add_argument("--rows", type=int, default=1, help="rows per device; default 1")
    parser.add_argument("--peak-flops", type=float, help="FLOPs per second of a device")
    parser.add_argument("--intra-node-bandwidth", type=float, help="bytes per second in a node")
    parser.add_argument("--inter-node-bandwidth", type=float, help="bytes per second between nodes")
    options = parser.parse_args()
    intra_node = options.intra_node_bandwidth or _measure_exchange()
    rates = HardwareRates(
        peak_flops=options.peak_flops or measure_peak_flops(torch.device("cpu"), "float32"),
        intra_node_bandwidth=intra_node,
        inter_node_bandwidth=options.inter_node_bandwidth or intra_node,
    )
    config = preset(options.preset)
    rows = [estimate(config, world_size, rates, options.rows) for world_size in WORLD_SIZES]
    print(
        f"{options.preset}, {rates.peak_flops:.3g} FLOPs/s, {rates.intra_node_bandwidth:.3g} and "
        f"{rates.inter_node_bandwidth:.3g} bytes/s"
    )
    for row in rows:
        print(json.dumps(row))
    figures: dict[str, Any] = {
        "machine": machine_info("torch"),
        "rates": vars(rates),
        "measured_here": not (options.peak_flops and options.intra_node_bandwidth),
        "rows": rows,
    }
    write_figures(figures, options.json)


def estimate(
    config: ModelConfig, world_size: int, rates: HardwareRates, rows: int
) -> dict[str, Any]:
    """Estimate a training step with expert parallelism and FSDP2.

    Args:
        config: MoE model.
        world_size: number of devices.
        rates: rates of one device.
        rows: rows per device and step.

    Returns:
        Expert-parallel size, memory in GB and seconds per step by component.
    """
    assert config.moe is not None
    expert_parallel_size = max(
        size
        for size in range(1, world_size + 1)
        if world_size % size == 0 and config.moe.num_experts % size == 0
    )
    memory = training_memory(config, "adafactor")
    matrices = 3 if config.activation == "gated_gelu" else 2
    layer_expert_weights = matrices * config.d_model * config.d_ff * config.moe.num_experts
    moe_layers = 2 * len(config.moe_layers())
    expert_weights = moe_layers * layer_expert_weights
    shared_weights = flops.count_parameters(config).total - expert_weights
    step_flops = training_flops(
        config, encoder_tokens=INPUT_LENGTH, decoder_tokens=TARGET_LENGTH, rows=rows
    ).total
    compute_s = step_flops / rates.peak_flops
    # To the experts and back, forward and backward: 4 * top_k rows of d_model per token, except
    # those of the device's own experts. Tokens are the mean of both stacks, as `moe_layers` counts
    # the layers of both.
    tokens = rows * (INPUT_LENGTH + TARGET_LENGTH) / 2
    row_bytes = config.d_model * BFLOAT16_BYTES
    sent_bytes = 4 * config.moe.top_k * tokens * row_bytes * moe_layers
    sent_bytes *= 1 - 1 / expert_parallel_size
    intra_node_share = (min(expert_parallel_size, DEVICES_PER_NODE) - 1) / max(
        expert_parallel_size - 1, 1
    )
    all_to_all_s = sent_bytes * (
        intra_node_share / rates.intra_node_bandwidth
        + (1 - intra_node_share) / rates.inter_node_bandwidth
    )
    # FSDP2: two all-gathers of the weights and one reduce-scatter of the gradients, in float32.
    is_single_node = world_size <= DEVICES_PER_NODE
    bandwidth = rates.intra_node_bandwidth if is_single_node else rates.inter_node_bandwidth
    replicas = world_size // expert_parallel_size
    fsdp_s = 3 * FLOAT32_BYTES * shared_weights * (1 - 1 / world_size) / bandwidth
    fsdp_s += (
        3 * FLOAT32_BYTES * expert_weights / expert_parallel_size * (1 - 1 / replicas) / bandwidth
    )
    return {
        "world_size": world_size,
        "expert_parallel_size": expert_parallel_size,
        "state_gb_per_device": round(memory.total / world_size / 1e9, 1),
        "compute_s": compute_s,
        "all_to_all_s": all_to_all_s,
        "fsdp_s": fsdp_s,
        "all_to_all_share": all_to_all_s / (compute_s + all_to_all_s),
        "all_to_all_dominates_below_bytes_s": sent_bytes / compute_s,
        "rows_that_hide_fsdp": fsdp_s / (compute_s / rows),
    }


def _measure_exchange() -> float:
    """Return the bytes per second that one of two gloo processes sends to the other."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone",
               "--nproc-per-node", "2", "-m", "benchmarks.exchange_worker"]  # fmt: skip
    completed = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(completed.stdout.strip().splitlines()[-1])


if __name__ == "__main__":
    main()
