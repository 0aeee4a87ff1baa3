#!/usr/bin/env python3
"""Times recurrent cells in ebb and in ncps (PyTorch) in turn, on the same shapes and threads or GPU.

Prints a line a cell, shape and pass: both medians, ncps / ebb (above 1: ebb is faster), and the range of ncps' runs.
`forward` is the forward pass alone, `train` forward and backward, with gradients of the parameters and of the input.
What ncps cannot do in --limit seconds or in the memory that is free is left out, and said. Before the times, `ebb
verify` runs one case of each cell that ncps wrote, with the same options: both compute the same. Without options,
five cells and six shapes take a few minutes.
"""

import argparse
import glob
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile

import torch

import ncps_case
from torch_ncps import (
    CELLS,
    PASSES,
    Job,
    Shape,
    add_common_arguments,
    check_common_arguments,
    describe,
    reason_against,
    timed_runs,
)
from torch_s4 import benchmark_rows, ebb_version

HERE = os.path.dirname(os.path.abspath(__file__))
# H, B, T
DEFAULT_SHAPES = ((32, 16, 32), (32, 128, 32), (64, 16, 128), (128, 16, 32), (512, 1, 32), (32, 1, 4096))
FULL_SHAPES = tuple(itertools.product((32, 64, 128, 256, 512), (1, 16, 128), (32, 512, 4096, 16384)))
EBB_PASSES = {"forward": ("forward",), "train": ("forward", "backward")}
CASE_SHAPE = Shape(32, 32, 3, 5)


def found(pattern):
    """The newest program that a build has under this name."""
    return max(
        glob.glob(os.path.join(HERE, "..", "..", "build", "*", pattern)), key=os.path.getmtime, default=None
    )


# ---- the same computation ----


def case_layer(cell):
    """The layer of a case that has this cell, and its options beside the library's defaults."""
    if cell.startswith("ltc"):
        return "ltc", {
            "implicit_param_constraints": True,
            "input_mapping": "affine",
            "output_mapping": "affine",
        }
    return cell.removesuffix("_mixed"), {"mode": "default"}


def write_default_case(folder, cell):
    layer, config = case_layer(cell)
    mixed = cell.endswith("_mixed")
    config |= {"input_size": CASE_SHAPE.I, "units": CASE_SHAPE.H, "mixed_memory": mixed}
    model = CELLS[cell](CASE_SHAPE.I, CASE_SHAPE.H).double()
    inputs = {"x": torch.randn(CASE_SHAPE.B, CASE_SHAPE.T, CASE_SHAPE.I)}
    for name in ("h0", "c0") if mixed else ("h0",):
        inputs[name] = torch.zeros(CASE_SHAPE.B, CASE_SHAPE.H)
    inputs = {name: tensor.double().requires_grad_() for name, tensor in inputs.items()}
    path = os.path.join(folder, f"{cell}.safetensors")
    ncps_case.write_case(path, layer, model, config, inputs)
    return path


def check(program, cells):
    """Runs a case of each cell of ncps in ebb; stops where one disagrees."""
    cells = [cell for cell in cells if cell != "lstm"]  # of PyTorch: with another bias, and no case
    if not program:
        print("no program ebb found (--ebb): that both compute the same is not checked")
        return
    torch.set_default_dtype(torch.float64)
    with tempfile.TemporaryDirectory() as folder:
        paths = [write_default_case(folder, cell) for cell in cells]
        if not ncps_case.verify(program, paths):
            sys.exit("compare_cells.py: ebb and ncps compute different things")
    torch.set_default_dtype(torch.float32)


# ---- ebb's times ----


def ebb_times(job, pass_name, options):
    """Milliseconds of several runs; forward and backward are timed apart and added."""
    shape = job.shape
    case = f"{job.cell}/{shape.H}x{shape.I}/{shape.B}x{shape.T}"
    parts = [f"{case}/{part}" for part in EBB_PASSES[pass_name]]
    command = [options.bench, "--benchmark_format=json", f"--benchmark_filter=^({'|'.join(parts)})(/|$)"]
    if options.device == "cuda":
        command.append("--device=cuda")  # takes medians itself
    else:
        command += ["--benchmark_repetitions=3", "--benchmark_min_time=0.1"]
    threads = str(options.threads)
    environment = {"EBB_BENCH_CELLS": case, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
    result = subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, check=False
    )
    times = added(result.stdout, parts, "cpu_time" if options.clock == "cpu" else "real_time")
    if result.returncode != 0 or not times:
        said = (result.stderr or result.stdout)[-500:]
        sys.exit(f"compare_cells.py: EBB_BENCH_CELLS={case} {' '.join(command)} gives no times: {said}")
    return times


def added(text, parts, clock):
    times = {part: [] for part in parts}
    for name, ms in benchmark_rows(text, clock):
        part = next((part for part in parts if (name + "/").startswith(part + "/")), None)
        if part:
            times[part].append(ms)
    return [sum(each) for each in zip(*times.values())]


# ---- both in turn ----


def compare(job, pass_name, options):
    """What is printed of one pass."""
    row = {"cell": job.cell, "pass": pass_name, "shape": str(job.shape)}
    reason = reason_against(job, pass_name, options.limit)
    if reason:
        return row | {"left_out": reason}
    ebb, peer = [], []
    for _ in range(options.rounds):
        ebb += ebb_times(job, pass_name, options)
        peer += timed_runs(job, pass_name, options)
    row |= {"ebb_ms": statistics.median(ebb), "ncps_ms": statistics.median(peer)}
    return row | {"ncps_min_ms": min(peer), "ncps_max_ms": max(peer), "ncps_runs": len(peer)}


def print_row(row):
    start = f"{row['cell']:12} {row['shape']:28} {row['pass']:8}"
    if "left_out" in row:
        print(f"{start} left out: ncps {row['left_out']}", flush=True)
        return
    own, peer = row["ebb_ms"], row["ncps_ms"]
    spread = f"{row['ncps_min_ms']:.1f} to {row['ncps_max_ms']:.1f} in {row['ncps_runs']} runs"
    print(f"{start} {own:>11.3f} {peer:>11.3f} {peer / own:>9.1f}  {spread}", flush=True)


def compare_all(options):
    for (H, B, T), cell in itertools.product(options.shapes, options.cells):
        job = Job(cell, Shape(H, options.inputs, B, T), options.device)
        for pass_name in options.passes:
            row = compare(job, pass_name, options)
            if options.json:
                print(json.dumps(row), flush=True)
            else:
                print_row(row)


def print_head(about):
    print(", ".join(f"{key} {value}" for key, value in about.items() if key != "load"))
    if about["load"] > 0.5:
        print(
            f"warning: load average {about['load']:.1f} before the first run; wall times on a busy machine mean little"
        )
    print(
        f"{'cell':12} {'shape':28} {'pass':8} {'ebb ms':>11} {'ncps ms':>11} {'ncps/ebb':>9}  ncps' range, ms"
    )


def shape_argument(text):
    H, B, T = (int(number) for number in text.split(","))
    if min(H, B, T) < 1:
        raise ValueError
    return H, B, T


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--bench",
        default=found("bench/bench_cell"),
        help="the program bench_cell (default: the newest in build/)",
    )
    parser.add_argument("--ebb", default=found("ebb"), help="the program ebb (default: the newest in build/)")
    parser.add_argument(
        "--shapes",
        nargs="+",
        type=shape_argument,
        default=DEFAULT_SHAPES,
        metavar="H,B,T",
        help="units, batch, time steps",
    )
    parser.add_argument(
        "--full", action="store_true", help="H 32 to 512, B 1 to 128, T 32 to 16384; takes hours"
    )
    parser.add_argument("--rounds", type=int, default=2, help="how often ebb and ncps take turns (default 2)")
    parser.add_argument("--json", action="store_true", help="print JSON lines instead of a table")
    add_common_arguments(parser)
    parser.set_defaults(budget=1, repeat=5, cells=["ltc", "ltc_autoncp", "cfc", "wired_cfc", "lstm"])
    options = parser.parse_args()
    check_common_arguments(parser, options)
    if options.rounds < 1:
        parser.error("--rounds must be positive")
    if not options.bench or not os.access(options.bench, os.X_OK):
        parser.error("no program bench_cell; build target bench_cell, or name it with --bench")
    if options.full:
        options.shapes = FULL_SHAPES
    return options


def main():
    options = parse_arguments()
    about = describe(options) | {"ebb": ebb_version()}
    check(options.ebb, options.cells)
    if options.json:
        print(json.dumps(about), flush=True)
    else:
        print_head(about)
    compare_all(options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
