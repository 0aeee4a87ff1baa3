#!/usr/bin/env python3
"""Times the recurrent cells of ncps, and torch.nn.LSTM, over sequences: one JSON object a line.

The first line describes the machine. A line a cell, shape and pass follows: the median of its runs in milliseconds,
the fastest and the slowest of them, and how many there were; or `left_out` with the reason, where a run would take
longer than --limit or more memory than there is. On a busy machine several threads wait for one another and wall
time says little: there, `--threads 1 --clock cpu` counts the processor's time. `forward` keeps nothing for a backward
pass, as in inference; `train` is forward and backward, with gradients of the parameters and of the input. Everything
is float32.
"""

import argparse
import datetime
import itertools
import json
import os
import statistics
import sys
import time
from dataclasses import asdict, dataclass
from importlib.metadata import version

import torch
from ncps.torch import LTC, CfC
from ncps.wirings import AutoNCP
from torch import nn

from torch_s4 import Clock, processor_name

PASSES = ("forward", "train")
PROBE_STEPS = 8  # of the run that tells how long a long one takes
HEADROOM = 1.25  # over the memory of what is kept for backward: gradients and temporaries


def motors(units):
    """Outputs of AutoNCP networks."""
    return max(units // 8, 1)


def auto_ncp(units):
    return AutoNCP(units, motors(units))


CELLS = {
    "ltc": LTC,
    "ltc_autoncp": lambda inputs, units: LTC(inputs, auto_ncp(units)),
    "ltc_mixed": lambda inputs, units: LTC(inputs, units, mixed_memory=True),
    "cfc": CfC,
    "wired_cfc": lambda inputs, units: CfC(inputs, auto_ncp(units)),
    "cfc_mixed": lambda inputs, units: CfC(inputs, units, mixed_memory=True),
    "lstm": lambda inputs, units: nn.LSTM(inputs, units, batch_first=True),
}


@dataclass(frozen=True)
class Shape:
    """A sequence: units, inputs, batch and time steps."""

    H: int
    I: int
    B: int
    T: int

    def __str__(self):
        return f"H {self.H}, I {self.I}, B {self.B}, T {self.T}"


class ProcessorClock:
    """Milliseconds that the process computes between start and stop."""

    def start(self):
        self.began = time.process_time()

    def stop(self):
        return (time.process_time() - self.began) * 1e3


class Job:
    """One cell on one shape; its passes run over the first `steps` steps."""

    def __init__(self, cell, shape, device="cpu"):
        torch.manual_seed(0)
        self.cell, self.shape, self.device = cell, shape, device
        self.model = CELLS[cell](shape.I, shape.H).to(device)
        self.x = torch.randn(shape.B, shape.T, shape.I, device=device)

    def run(self, pass_name, steps=None):
        return getattr(self, pass_name)(self.x[:, :steps])

    def forward(self, x):
        with torch.no_grad():
            return self.model(x)[0]

    def train(self, x):
        self.model.zero_grad(set_to_none=True)
        x = x.detach().requires_grad_()
        y = self.model(x)[0]
        y.backward(torch.full_like(y, 0.1))
        return x.grad

    def kept_bytes(self, steps):
        """Memory of what a run over `steps` steps keeps for its backward."""
        kept = {}

        def keep(tensor):
            kept[tensor.untyped_storage().data_ptr()] = tensor
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            y = self.model(self.x[:, :steps].detach().requires_grad_())[0]
        del y
        return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


def memory_left(device):
    if device == "cuda":
        return torch.cuda.mem_get_info()[0]
    with open("/proc/meminfo") as file:
        return next(int(line.split()[1]) << 10 for line in file if line.startswith("MemAvailable"))


def memory_wanted(job, pass_name):
    """Bytes of a pass over all steps: what each step keeps is measured on the first ones."""
    if pass_name == "forward":
        return 0
    few, more = (min(steps, job.shape.T) for steps in (1, 3))
    first, last = job.kept_bytes(few), job.kept_bytes(more)
    each = (last - first) / max(more - few, 1)
    return (first + each * (job.shape.T - few)) * HEADROOM


def run_seconds(job, pass_name, steps):
    clock = Clock(job.device)
    clock.start()
    job.run(pass_name, steps)
    return clock.stop() / 1e3


def expected_seconds(job, pass_name, limit):
    """Of a pass over all steps, from a run over a few of them, or over one where that tells enough."""
    T = job.shape.T
    each = min(run_seconds(job, pass_name, 1) for _ in range(3))  # the first sets PyTorch up
    if each * T > 10 * limit:
        return each * T
    steps = min(PROBE_STEPS, T)
    return run_seconds(job, pass_name, steps) * T / steps


def reason_against(job, pass_name, limit):
    """Why a pass is not run, or None."""
    wanted, left = memory_wanted(job, pass_name), memory_left(job.device)
    if wanted > left:
        return f"needs about {wanted / 2**30:.1f} GiB; {left / 2**30:.1f} GiB are free"
    seconds = expected_seconds(job, pass_name, limit)
    if seconds > limit:
        return f"would take about {seconds:.0f} s"
    return None


def timed_runs(job, pass_name, options):
    """Milliseconds of each run: --repeat of them, fewer (but one at least) when --budget is over."""
    times, clock = [], ProcessorClock() if options.clock == "cpu" else Clock(job.device)
    if expected_seconds(job, pass_name, options.budget) < options.budget / 2:
        job.run(pass_name)
    end = time.perf_counter() + options.budget
    while len(times) < options.repeat and (not times or time.perf_counter() < end):
        clock.start()
        job.run(pass_name)
        times.append(clock.stop())
    return times


def summary(times):
    return {
        "ms": statistics.median(times),
        "min_ms": min(times),
        "max_ms": max(times),
        "runs": len(times),
    }


def time_cell(cell, shape, passes, options):
    """A dictionary a pass, as the lines of the output have it."""
    job = Job(cell, shape, options.device)
    for pass_name in passes:
        line = {"cell": cell, "pass": pass_name} | asdict(shape)
        reason = reason_against(job, pass_name, options.limit)
        if reason:
            yield line | {"left_out": reason}
        else:
            yield line | summary(timed_runs(job, pass_name, options))


def describe(options):
    cuda = options.device == "cuda"
    return {
        "date": datetime.datetime.now().strftime("%Y-%m-%d %H:%M"),
        "machine": processor_name(),
        "device": torch.cuda.get_device_name() if cuda else "cpu",
        "threads": options.threads,
        "clock": options.clock,
        "torch": torch.__version__,
        "ncps": version("ncps"),
        "load": os.getloadavg()[0],
    }


def add_common_arguments(parser):
    """What compare_cells.py takes too."""
    parser.add_argument(
        "--cells",
        nargs="+",
        choices=CELLS,
        default=list(CELLS),
        metavar="CELL",
        help=", ".join(CELLS),
    )
    parser.add_argument("--passes", nargs="+", choices=PASSES, default=list(PASSES), help="default: both")
    parser.add_argument("-I", "--inputs", type=int, default=32, help="inputs a step (default 32)")
    parser.add_argument(
        "--threads", type=int, default=len(os.sched_getaffinity(0)), help="default: all cores"
    )
    parser.add_argument("--repeat", type=int, default=7, help="timed runs at most (default %(default)s)")
    parser.add_argument(
        "--budget",
        type=float,
        default=4,
        metavar="S",
        help="seconds after which no further run begins (default %(default)s)",
    )
    parser.add_argument(
        "--limit",
        type=float,
        default=60,
        metavar="S",
        help="passes that would take longer are left out (default 60)",
    )
    parser.add_argument(
        "--clock",
        choices=("wall", "cpu"),
        default="wall",
        help="cpu: processor's time of one thread (default wall)",
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")


def check_common_arguments(parser, options):
    if min(options.inputs, options.threads, options.repeat) < 1:
        parser.error("--inputs, --threads and --repeat must be positive")
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda: PyTorch finds no CUDA device")
    if options.clock == "cpu" and (options.threads > 1 or options.device == "cuda"):
        parser.error("--clock cpu: takes --threads 1 and --device cpu")
    torch.set_num_threads(options.threads)


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for flag, name, default in (("-H", "units", [32]), ("-B", "batch", [16]), ("-T", "steps", [32])):
        parser.add_argument(
            flag,
            f"--{name}",
            type=int,
            nargs="+",
            default=default,
            help=f"one or several (default {default[0]})",
        )
    add_common_arguments(parser)
    options = parser.parse_args()
    check_common_arguments(parser, options)
    if min(options.units + options.batch + options.steps) < 1:
        parser.error("--units, --batch and --steps must be positive")
    return options


def main():
    options = parse_arguments()
    print(json.dumps(describe(options)), flush=True)
    for cell, H, B, T in itertools.product(options.cells, options.units, options.batch, options.steps):
        for line in time_cell(cell, Shape(H, options.inputs, B, T), options.passes, options):
            print(json.dumps(line), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
