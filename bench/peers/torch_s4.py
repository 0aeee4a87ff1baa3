#!/usr/bin/env python3
"""Times Liquid-S4 in plain PyTorch and, with --ebb, in ebb beside it, on the same shapes and threads or GPU.

The PyTorch side is written from the mathematics (s4_model.py) without compiled extensions. The scan has no
parallel form in plain PyTorch: it is a Python loop over time. On a GPU a training step runs eagerly, as a captured
CUDA graph and compiled (--forms); the fastest of them is what ebb is compared with.
"""

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import nn

from s4_model import CAUCHY, LIQUID_KINDS, S4, Kernel, Model


@dataclass(frozen=True)
class Shape:
    """One experiment's shapes and the hyper-parameters that change what is computed."""

    batch: int
    channels: int
    state: int
    length: int
    layers: int
    classes: int
    vocabulary: int  # 0: one real input a step
    dt: tuple
    norm: str = "batch"
    prenorm: bool = True
    bidirectional: bool = False
    dropout: float = 0.0
    decode: str = "pool"
    lengths: bool = False
    pairs: bool = False  # of documents: 2 batch rows
    mix_batch: int = 1 << 30  # of the mixing part alone on the CPU, at most
    lr: float = 0.002
    lr_system: float = 0.0009
    weight_decay: float = 0.03


SHAPES = {
    "listops": Shape(12, 128, 7, 2048, 9, 10, 18, (0.002, 0.2), dropout=0.01, lengths=True),
    "imdb": Shape(8, 128, 7, 4096, 4, 2, 135, (0.002, 0.2), dropout=0.1, lengths=True),
    "aan": Shape(16, 256, 64, 4000, 6, 2, 98, (0.001, 0.1), dropout=0.2, lengths=True, pairs=True),
    "cifar": Shape(50, 512, 512, 1024, 6, 10, 0, (0.002, 0.2), "layer", False, True, 0.1, mix_batch=10),
    "pathfinder": Shape(4, 256, 64, 1024, 6, 2, 0, (0.001, 0.1), decode="last"),
    "pathx": Shape(8, 320, 64, 16384, 6, 2, 0, (0.0001, 0.1)),
    "small": Shape(32, 64, 16, 256, 3, 10, 18, (0.001, 0.1), lengths=True),
}


def config_label(options, *overrides):
    """The configuration as benchmark names have it: listops, listops_diag, listops_b4_l1 (batch, layers), ..."""
    label = options.config
    if options.mode == "diag" and options.liquid != "scan":
        label += "_diag"
    for name in overrides:
        number = getattr(options, name)
        if number not in (None, getattr(SHAPES[options.config], name)):
            label += f"_{name[0]}{number}"
    return label


def liquid_label(options):
    """null, polyb, polyb3 (degree 3), ..."""
    return options.liquid + (
        "" if options.liquid in ("null", "scan") or options.degree == 2 else str(options.degree)
    )


def build_layer(shape, options):
    mode = "diag" if options.liquid == "scan" else options.mode
    kernel = Kernel(
        mode,
        shape.channels,
        shape.state,
        shape.length,
        2 if shape.bidirectional else 1,
        dt=shape.dt,
        cauchy=options.cauchy,
    )
    return S4(kernel, options.liquid, options.degree, dropout=shape.dropout)


def build_model(shape, options):
    layers = [build_layer(shape, options) for _ in range(shape.layers)]
    encoder = (
        nn.Embedding(shape.vocabulary, shape.channels) if shape.vocabulary else nn.Linear(1, shape.channels)
    )
    return Model(
        encoder, layers, shape.classes, shape.norm, shape.prenorm, shape.decode, shape.dropout, shape.pairs
    )


class Clock:
    """Milliseconds of a piece of work: wall time on the CPU, between two events on a GPU."""

    def __init__(self, device):
        self.events = [torch.cuda.Event(enable_timing=True) for _ in range(2)] if device == "cuda" else None

    def start(self):
        if self.events:
            torch.cuda.synchronize()
            self.events[0].record()
        self.began = time.perf_counter()

    def stop(self):
        if not self.events:
            return (time.perf_counter() - self.began) * 1e3
        self.events[1].record()
        self.events[1].synchronize()
        return self.events[0].elapsed_time(self.events[1])


def median_ms(run, options, setup=lambda: None):
    """Median time of run(setup()) in milliseconds; setup is not timed."""
    times, clock = [], Clock(options.device)
    for _ in range(options.warmup + options.repeat):
        argument = setup()
        clock.start()
        run(argument)
        times.append(clock.stop())
    return statistics.median(times[options.warmup :])


def captured(step):
    """The step as a CUDA graph, after the runs that PyTorch asks for on a side stream."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


def forward_and_backward(forward, options):
    """Times of forward and of the backward of its result."""
    cotangent = torch.randn_like(forward())
    return {
        "forward": median_ms(lambda _: forward(), options),
        "backward": median_ms(lambda y: y.backward(cotangent), options, setup=forward),
    }


def time_layer(shape, options):
    """One layer's kernel, and its mixing of the sequence: convolution, D skip, liquid term, GELU, dropout."""
    layer = build_layer(replace(shape, dropout=0.1), options).to(options.device)
    rows = shape.batch * (2 if shape.pairs else 1)
    batch = options.batch or (rows if options.device == "cuda" else min(rows, shape.mix_batch))
    u = torch.randn(batch, shape.channels, shape.length, device=options.device, requires_grad=True)
    parts, k = {}, None
    if options.liquid != "scan":
        k = layer.kernels(shape.length).detach().requires_grad_()
        suffix = "_series" if options.liquid == "series" else ""
        parts[f"kernel/{config_label(options)}{suffix}"] = lambda: layer.kernels(shape.length)
    kind = {"null": "none", "scan": "scan"}.get(options.liquid, options.liquid + str(options.degree))
    parts[f"conv/{config_label(options, 'batch')}/{kind}"] = lambda: layer.mix(u, k)
    return {
        f"{part}/{pass_name}": ms
        for part, forward in parts.items()
        for pass_name, ms in forward_and_backward(forward, options).items()
    }


def training_step(shape, options, form):
    """Forward, loss, backward and AdamW of the whole model as a function without arguments."""
    model = build_model(shape, options).to(options.device)
    adamw = model.optimizer(
        shape.lr, shape.weight_decay, None, shape.lr_system, shape.lr_system, capturable=form == "graph"
    )
    size = (shape.batch * (2 if shape.pairs else 1), shape.length)
    x = torch.randint(shape.vocabulary, size) if shape.vocabulary else torch.randn(*size, 1)
    x, target = x.to(options.device), torch.randint(shape.classes, (shape.batch,), device=options.device)
    lengths = torch.full(size[:1], shape.length, device=options.device) if shape.lengths else None
    forward = torch.compile(model) if form == "compile" else model

    def step():
        adamw.zero_grad(set_to_none=True)
        F.cross_entropy(forward(x, lengths), target).backward()
        adamw.step()

    return captured(step) if form == "graph" else step


def time_step(shape, options):
    """Times of a training step in each form; one that does not work in this PyTorch is left out and said."""
    name = f"train_step/{config_label(options, 'batch', 'layers')}/{liquid_label(options)}"
    times = {}
    for form in options.forms:
        try:
            step = training_step(shape, options, form)
            times[form] = median_ms(lambda _: step(), options)
        except Exception as error:  # whatever a compiler or a capture dies of
            if len(options.forms) == 1:
                raise
            print(f"{name}: {form} fails: {str(error).splitlines()[0][:200]}", file=sys.stderr)
        if options.device == "cuda":
            step = None
            torch.cuda.empty_cache()
    if not times:
        raise RuntimeError(f"{name}: no form works")
    return {name: min(times.values())}, {name: times}


def ebb_times(names, options):
    """Times in ms of the Google Benchmark cases of these names, those that the binaries have."""
    environment = os.environ | {
        "OMP_NUM_THREADS": str(options.threads),
        "OPENBLAS_NUM_THREADS": str(options.threads),
    }
    for variable, value in (("EBB_BENCH_BATCH", options.batch), ("EBB_BENCH_LAYERS", options.layers)):
        if value:
            environment[variable] = str(value)
    times = {}
    for binary in options.ebb:
        pattern = "^(" + "|".join(names) + ")(/|$)"
        command = [binary, "--benchmark_format=json", f"--benchmark_filter={pattern}"]
        if options.device == "cuda":  # takes medians itself
            command += ["--device=cuda", f"--precision={options.precision}"]
        else:
            command.append(f"--benchmark_repetitions={options.repeat}")
        try:
            result = subprocess.run(
                command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
        except OSError as error:
            sys.exit(
                f"torch_s4.py: cannot run {binary}: {error.strerror}; build it first (targets bench_...)"
            )
        if result.returncode != 0:
            sys.exit(
                f"torch_s4.py: {' '.join(command)} failed with status {result.returncode}: {result.stderr[-500:]}"
            )
        for name, ms in benchmark_rows(result.stdout):
            known = next((n for n in names if (name + "/").startswith(n + "/")), None)
            if known:
                times.setdefault(known, []).append(ms)
    return {name: statistics.median(values) for name, values in times.items()}


def benchmark_rows(text, clock="real_time"):
    """Name and time in ms of every successful run in Google Benchmark's JSON; none where nothing matched."""
    scale = {"ns": 1e-6, "us": 1e-3, "ms": 1.0, "s": 1e3}
    for row in json.loads(text)["benchmarks"] if text.strip() else []:
        if row.get("run_type") == "iteration" and not row.get("error_occurred"):
            yield row["name"], row[clock] * scale[row["time_unit"]]


def processor_name():
    try:
        with open("/proc/cpuinfo") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def ebb_version():
    here = os.path.dirname(os.path.abspath(__file__))
    result = subprocess.run(
        ["git", "-C", here, "describe", "--always", "--dirty"], capture_output=True, text=True
    )
    return result.stdout.strip() or "unknown"


def describe(shape, options, load):
    return {
        "date": datetime.datetime.now().strftime("%Y-%m-%d %H:%M"),
        "machine": processor_name(),
        "device": torch.cuda.get_device_name() if options.device == "cuda" else "cpu",
        "threads": options.threads,
        "torch": torch.__version__,
        "ebb": ebb_version() if options.ebb else None,
        "config": options.config,
        "shape": f"B {shape.batch}, H {shape.channels}, N {shape.state}, L {shape.length}, {shape.layers} layers, "
        f"{'bidirectional' if shape.bidirectional else 'unidirectional'}",
        "mode": "diag" if options.liquid == "scan" else options.mode,
        "liquid": (
            options.liquid if options.liquid == "null" else f"{options.liquid}, degree {options.degree}"
        ),
        "cauchy": options.cauchy,
        "precision": options.precision if options.device == "cuda" else None,
        "repeats": options.repeat,
        "load": load,
    }


def print_table(about, torch_ms, ebb_ms, forms):
    print(
        ", ".join(
            f"{key} {value}"
            for key, value in about.items()
            if value is not None and key not in ("shape", "load")
        )
    )
    print(about["shape"])
    if about["load"] > 0.5:
        print(
            f"warning: load average {about['load']:.1f} before the first run; times on a busy machine mean little"
        )
    if about["liquid"].startswith("scan"):
        print("torch's scan is a Python loop over time")
    print(f"{'part':36} {'ebb ms':>10} {'torch ms':>10} {'torch/ebb':>10}")
    several = {name: times for name, times in forms.items() if len(times) > 1}
    for name, ms in torch_ms.items():
        own = ebb_ms.get(name)
        left, ratio = (f"{own:.3f}", f"{ms / own:.2f}") if own else ("-", "-")
        detail = ", ".join(f"{form} {each:.3f}" for form, each in several.get(name, {}).items())
        print(f"{name:36} {left:>10} {ms:>10.3f} {ratio:>10}  {detail}".rstrip())


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", choices=SHAPES, default="listops")
    parser.add_argument("--mode", choices=("nplr", "diag"), default="nplr")
    parser.add_argument("--liquid", choices=LIQUID_KINDS, default="null")
    parser.add_argument("--degree", type=int, default=2, help="liquid degree p (default 2)")
    parser.add_argument(
        "--cauchy",
        choices=CAUCHY,
        default="pair",
        help="pair: conjugate pairs joined, faster (default); naive: the published fallback",
    )
    parser.add_argument("--batch", type=int, help="instead of the configuration's")
    parser.add_argument("--layers", type=int, help="instead of the configuration's")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="default: all")
    parser.add_argument("--repeat", type=int, default=5, help="timed runs; their median counts (default 5)")
    parser.add_argument("--warmup", type=int, default=2)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument(
        "--precision",
        choices=("float32", "tf32"),
        default="float32",
        help="of matrix products on a GPU, in both systems (default float32)",
    )
    parser.add_argument(
        "--forms",
        nargs="+",
        choices=("eager", "graph", "compile"),
        help="of PyTorch's training step (default: eager, and graph on a GPU)",
    )
    parser.add_argument("--parts", choices=("all", "layer", "step"), default="all")
    parser.add_argument(
        "--ebb", nargs="+", metavar="BINARY", help="ebb's bench binaries; prints both systems and the ratio"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument(
        "--check", nargs="+", metavar="CASE", help="compare with conformance cases instead of timing"
    )
    return parser, parser.parse_args()


def main():
    parser, options = parse_arguments()
    if options.check:
        from s4_check import check

        return 0 if check(options.check, options.cauchy) else 1
    if (
        min(options.threads, options.repeat, options.batch or 1, options.layers or 1) < 1
        or options.warmup < 0
    ):
        parser.error("--threads, --repeat, --batch and --layers must be positive, --warmup not negative")
    if options.degree < 2:
        parser.error("--degree must be at least 2")
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda: PyTorch finds no CUDA device")
    options.forms = options.forms or (["eager", "graph"] if options.device == "cuda" else ["eager"])
    if "graph" in options.forms and options.device == "cpu":
        parser.error("--forms graph: the CPU has no CUDA graphs")
    torch.backends.cuda.matmul.allow_tf32 = options.precision == "tf32"
    shape = SHAPES[options.config]
    shape = replace(shape, batch=options.batch or shape.batch, layers=options.layers or shape.layers)
    if options.liquid in ("series", "scan") and shape.bidirectional:
        parser.error(f"--liquid {options.liquid} is causal; configuration {options.config} is bidirectional")
    load = os.getloadavg()[0]
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    torch_ms, forms = {}, {}
    if options.parts != "step":
        torch_ms |= time_layer(shape, options)
    if options.parts != "layer":
        steps, forms = time_step(shape, options)
        torch_ms |= steps
    ebb_ms = ebb_times(list(torch_ms), options) if options.ebb else {}
    about = describe(shape, options, load)
    if options.json:
        print(json.dumps(about | {"torch_ms": torch_ms, "ebb_ms": ebb_ms, "forms_ms": forms}, indent=1))
    else:
        print_table(about, torch_ms, ebb_ms, forms)
    return 0


if __name__ == "__main__":
    sys.exit(main())
