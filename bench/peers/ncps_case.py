#!/usr/bin/env python3
"""Writes conformance cases (format ebb-case-1) of ltc, cfc and wired_cfc from ncps in float64, with random options.

Sizes, modes, mappings, wirings, elapsed times, mixed memory and parameters are drawn from --seed, one after the
other, so a case's number and the seed say what it is. `ebb verify FILE ...` runs them; --verify does so at once.
"""

import argparse
import json
import os
import random
import subprocess
import sys

import torch
from ncps.torch import LTC, CfC
from ncps.wirings import NCP, AutoNCP, FullyConnected, Random
from safetensors.torch import save_file

TOLERANCE = {"output": 2e-5, "grad": 1e-3, "param": 5e-3}
MAPPINGS = ("affine", "linear", None)
MODES = ("default", "pure", "no_gate")
ACTIVATIONS = ("lecun_tanh", "relu", "silu", "gelu", "tanh")


def draw_ncp(rng, units):
    motor = rng.randint(1, units - 2)
    command = rng.randint(1, units - motor - 1)
    inter = units - motor - command
    return NCP(
        inter,
        command,
        motor,
        sensory_fanout=rng.randint(1, inter),
        inter_fanout=rng.randint(1, command),
        recurrent_command_synapses=rng.randint(1, 2 * command),
        motor_fanin=rng.randint(1, command),
        seed=rng.randrange(1 << 30),
    )


def draw_wiring(rng, units):
    """A wiring, and its name with what was drawn for it."""
    kinds = ["full", "random"] + (["ncp"] if units > 2 else []) + (["autoncp"] if units > 3 else [])
    kind, seed = rng.choice(kinds), rng.randrange(1 << 30)
    if kind == "ncp":
        return draw_ncp(rng, units), kind
    if kind == "autoncp":
        outputs, sparsity = rng.randint(1, units - 3), round(rng.uniform(0.1, 0.9), 2)
        return AutoNCP(units, outputs, sparsity, seed), f"{kind}, sparsity {sparsity}"
    outputs = rng.randint(1, units)
    if kind == "random":
        sparsity = round(rng.uniform(0.1, 0.9), 2)
        return Random(units, outputs, sparsity, seed), f"{kind}, sparsity {sparsity}"
    self_connections = rng.random() < 0.7
    return FullyConnected(units, outputs, seed, self_connections), kind + (
        "" if self_connections else ", no self synapses"
    )


def draw_ltc(rng, inputs, units):
    wiring, note = draw_wiring(rng, units)
    config = {
        "ode_unfolds": rng.choice((1, 2, 3, 6, 6, 11)),
        "epsilon": 1e-8,
        "implicit_param_constraints": rng.random() < 0.6,
        "input_mapping": rng.choice(MAPPINGS),
        "output_mapping": rng.choice(MAPPINGS),
        "mixed_memory": rng.random() < 0.3,
    }
    return LTC(inputs, wiring, **config), config, note


def draw_cfc(rng, inputs, units):
    config = {
        "mode": rng.choice(MODES),
        "activation": rng.choice(ACTIVATIONS),
        "backbone_layers": rng.choice((0, 1, 1, 2, 3)),
        "backbone_units": rng.randint(1, 40),
        "mixed_memory": rng.random() < 0.3,
    }
    if rng.random() < 0.3:
        config["proj_size"] = rng.randint(1, 20)
    return CfC(inputs, units, **config), config, ""


def draw_wired_cfc(rng, inputs, units):
    wiring, note = draw_wiring(rng, units)
    config = {"mode": rng.choice(MODES), "mixed_memory": rng.random() < 0.3}
    return CfC(inputs, wiring, **config), config, note


LAYERS = {"ltc": draw_ltc, "cfc": draw_cfc, "wired_cfc": draw_wired_cfc}


def case_name(name):
    """A parameter's name as cases have it."""
    return name.removeprefix("rnn_cell.").replace("layer_", "layers.")


def move_parameters(model):
    """Moves parameters away from initial values that are all alike, such as the 1 and 0 of mappings."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad and parameter.numel() > 1 and parameter.std() == 0:
                parameter += 0.3 * torch.randn_like(parameter)


def run_steps(model, x, state, ts):
    """Outputs and states of every step. The sequence form of ncps takes no elapsed times of several samples."""
    h, c = state["h0"], state.get("c0")
    ys, hs, cs = [], [], []
    for t in range(x.shape[1]):
        if c is not None:
            h, c = model.lstm(x[:, t], (h, c))
            cs.append(c)
        y, h = model.rnn_cell(x[:, t], h, 1.0 if ts is None else ts[:, t : t + 1])
        ys.append(model.fc(y) if hasattr(model, "fc") else y)
        hs.append(h)
    results = {"y": torch.stack(ys, 1), "h_seq": torch.stack(hs, 1), "h_T": h}
    return results | ({"c_seq": torch.stack(cs, 1)} if cs else {})


def require_same(model, inputs, results):
    """Without elapsed times, the steps must give what the library's own sequence gives."""
    state = (inputs["h0"], inputs["c0"]) if "c0" in inputs else inputs["h0"]
    with torch.no_grad():
        y = model(inputs["x"], state)[0]
    if not torch.allclose(y, results["y"], rtol=1e-12, atol=1e-12):
        raise RuntimeError("run step by step, ncps gives another result than at once")


def draw_inputs(rng, inputs, states, batch, steps, mixed):
    drawn = {"x": torch.randn(batch, steps, inputs), "h0": 0.5 * torch.randn(batch, states)}
    if mixed:
        drawn["c0"] = 0.5 * torch.randn(batch, states)
    if rng.random() < 0.5:
        drawn["ts"] = torch.rand(batch, steps) * 2 + 0.05
    return {name: tensor.requires_grad_() for name, tensor in drawn.items()}


def tensors_of(model, inputs):
    """The tensors of a case: parameters, masks and inputs, and what comes of them."""
    results = run_steps(model, inputs["x"], inputs, inputs.get("ts"))
    if "ts" not in inputs:
        require_same(model, inputs, results)
    cotangent = torch.randn_like(results["y"])
    (results["y"] * cotangent).sum().backward()
    tensors = {f"input.{name}": tensor for name, tensor in inputs.items()}
    tensors |= {f"expect.{name}": tensor for name, tensor in results.items()}
    tensors |= {f"expect.grad.{name}": tensor.grad for name, tensor in inputs.items()}
    tensors["cotangent.y"] = cotangent
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            tensors[f"mask.{case_name(name)}"] = parameter
            continue
        tensors[f"param.{case_name(name)}"] = parameter
        tensors[f"expect.grad.{case_name(name)}"] = (
            torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        )
    return {name: tensor.detach().contiguous().clone() for name, tensor in tensors.items()}


def write_case(path, layer, model, config, inputs, note=""):
    metadata = {
        "format": "ebb-case-1",
        "kind": "layer",
        "layer": layer,
        "config": json.dumps(config, sort_keys=True),
        "tolerance": json.dumps(TOLERANCE),
        "note": note,
    }
    save_file(tensors_of(model, inputs), path, metadata)


def draw_case(seed, number, options):
    """Writes case `number` and returns its path with a line that describes it."""
    rng = random.Random(f"{seed}/{number}")
    torch.manual_seed(rng.randrange(1 << 62))
    layer = options.layers[number % len(options.layers)]
    inputs, units = rng.randint(1, options.most), rng.randint(1, options.most)
    batch, steps = rng.randint(1, options.most_batch), rng.randint(1, options.most_steps)
    model, config, note = LAYERS[layer](rng, inputs, units)
    move_parameters(model.double())
    config |= {"input_size": inputs, "units": units}
    drawn = draw_inputs(rng, inputs, units, batch, steps, config["mixed_memory"])
    path = os.path.join(options.out, f"{layer}_{seed}_{number}.safetensors")
    write_case(path, layer, model, config, drawn, note)
    shown = [f"{key} {value}" for key, value in config.items() if key != "epsilon"]
    shown += (
        [f"B {batch}, T {steps}"] + ([note] if note else []) + (["elapsed times"] if "ts" in drawn else [])
    )
    return path, ", ".join(shown)


def verify(program, paths):
    """What `ebb verify` says of the cases; True where all agree."""
    return (
        subprocess.run([program, "verify", "--quiet", "--device", "cpu", *paths], check=False).returncode == 0
    )


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", required=True, metavar="FOLDER", help="where the cases go")
    parser.add_argument("--count", type=int, default=30, help="cases (default 30)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--layers", nargs="+", choices=LAYERS, default=list(LAYERS), help="default: all, in turn"
    )
    parser.add_argument("--most", type=int, default=70, help="most inputs and units (default 70)")
    parser.add_argument("--most-batch", type=int, default=6, help="(default 6)")
    parser.add_argument("--most-steps", type=int, default=20, help="(default 20)")
    parser.add_argument("--verify", metavar="EBB", help="the program ebb: run the cases with it")
    options = parser.parse_args()
    if min(options.count, options.most, options.most_batch, options.most_steps) < 1:
        parser.error("--count, --most, --most-batch and --most-steps must be positive")
    return options


def main():
    options = parse_arguments()
    torch.set_default_dtype(torch.float64)
    os.makedirs(options.out, exist_ok=True)
    paths = []
    for number in range(options.count):
        path, description = draw_case(options.seed, number, options)
        print(f"{path}: {description}", flush=True)
        paths.append(path)
    return 0 if not options.verify or verify(options.verify, paths) else 1


if __name__ == "__main__":
    sys.exit(main())
