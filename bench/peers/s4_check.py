"""Runs s4_model.py on conformance cases (format ebb-case-1), so that what is timed is known to be right."""

import json
import math

import torch
import torch.nn.functional as F
from safetensors import safe_open
from torch import nn

from s4_model import S4, Kernel, Model


def read_case(path):
    with safe_open(path, "pt") as file:
        return file.metadata(), {
            name: file.get_tensor(name).clone() for name in file.keys()
        }  # aligned copies


def below(tensors, prefix):
    return {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def relative(got, expected):
    return ((got - expected).norm() / expected.norm().clamp_min(1e-300)).item()


def build_layer(config, parameters, state, length, plain_c, cauchy):
    """The layer of a case's configuration holding the case's parameters."""
    channels, n_ssm = config["d_model"], parameters["kernel.inv_w_real"].shape[0]
    kernel = Kernel(
        config["mode"],
        channels,
        config["d_state"],
        length,
        parameters["kernel.C"].shape[0],
        n_ssm,
        cauchy=cauchy,
    )
    layer = S4(
        kernel,
        config.get("liquid_kernel") or "null",
        config.get("liquid_degree") or 2,
        config.get("allcombs", True),
        config.get("lcontract"),
        linear=config.get("linear", False),
        skip=config.get("skip", True),
        glu=config.get("postact", "glu") == "glu",
    )
    layer.double()
    layer.load_state_dict(parameters)
    if state:
        as_complex = {name: torch.view_as_complex(state[name]) for name in ("B", "C", "w")}
        layer.freeze(log_dt=state["log_dt"], **as_complex)
    if plain_c and config["mode"] == "nplr":
        dt, w, _, c = kernel.system()
        p = kernel.tiled(torch.view_as_complex(kernel.P))
        kernel.C = nn.Parameter(torch.view_as_real(kernel.truncated(c, dt, w, p).detach()))
    return layer


def check_layer(metadata, tensors, cauchy):
    config = json.loads(metadata["config"])
    u = tensors["input.u"].requires_grad_()
    length = int(metadata.get("kernel_length", u.shape[-1]))
    plain = metadata.get("C_form") == "plain"
    layer = build_layer(
        config, below(tensors, "param."), below(tensors, "state.liquid."), length, plain, cauchy
    )
    mask = None
    if "input.lengths" in tensors:
        mask = (torch.arange(u.shape[-1]) < tensors["input.lengths"][:, None]).double()[:, None]
    y = layer(u, mask)
    y.backward(tensors["cotangent.y"])
    errors = {"y": relative(y, tensors["expect.y"])}
    if "expect.k" in tensors:
        errors["k"] = relative(layer.kernel(u.shape[-1]), tensors["expect.k"])
    gradients = {name: p.grad for name, p in layer.named_parameters()} | {"u": u.grad}
    errors |= {
        f"grad.{name}": relative(gradients[name], g) for name, g in below(tensors, "expect.grad.").items()
    }
    return errors


def warmup_cosine(step, warm, total):
    return step / warm if step < warm else 0.5 * (1 + math.cos(math.pi * (step - warm) / (total - warm)))


def check_training(metadata, tensors, cauchy):
    """The case's optimiser steps: losses, logits before each, logits of the trained model in evaluation."""
    config = json.loads(metadata["config"])
    parameters, state, spec = below(tensors, "param."), below(tensors, "state."), config["model"]
    length = int(metadata["kernel_length"])
    layers = []
    for i in range(spec["n_layers"]):
        prefix = f"layers.{i}.layer."
        layers.append(
            build_layer(
                spec["layer"] | {"d_model": spec["d_model"]},
                below(parameters, prefix),
                below(state, prefix + "liquid."),
                length,
                False,
                cauchy,
            )
        )
    kind, size = config["encoder"]
    encoder = nn.Embedding(size, spec["d_model"]) if kind == "embedding" else nn.Linear(size, spec["d_model"])
    decoder = config["decoder"]
    model = Model(
        encoder,
        layers,
        decoder.get("d_output") or decoder["n_classes"],
        spec["norm"],
        spec["prenorm"],
        decoder["mode"],
        pairs=decoder.get("_name_") == "retrieval",
    ).double()
    model.load_state_dict(parameters, strict=False)
    optimizer, rates = config["optimizer"], spec["layer"]["lr"]
    rates = rates if isinstance(rates, dict) else dict.fromkeys(("dt", "A", "B"), rates)
    adamw = model.optimizer(optimizer["lr"], optimizer["weight_decay"], rates["dt"], rates["A"], rates["B"])
    schedule = config["scheduler"] or {"num_warmup_steps": 0, "num_training_steps": math.inf}
    base = [group["lr"] for group in adamw.param_groups]
    lengths = tensors.get("input.lengths")
    losses = {"cross_entropy": F.cross_entropy, "mse": lambda y, target: F.mse_loss(y.squeeze(-1), target)}
    errors = {}
    for step, (x, target) in enumerate(zip(tensors["input.x"], tensors["input.t"])):
        for group, rate in zip(adamw.param_groups, base):
            group["lr"] = rate * warmup_cosine(
                step, schedule["num_warmup_steps"], schedule["num_training_steps"]
            )
        logits = model(x, lengths)
        loss = losses[config["loss"]](logits, target)
        errors[f"logits.{step}"] = relative(logits, tensors[f"expect.logits.{step}"])
        errors[f"loss.{step}"] = relative(loss, tensors["expect.losses"][step])
        adamw.zero_grad()
        loss.backward()
        adamw.step()
    errors["logits_eval"] = relative(
        model.eval()(tensors["input.x"][0], lengths), tensors["expect.logits_eval"]
    )
    return errors


def unsupported(metadata):
    """What a case needs and this model lacks, or None."""
    config = json.loads(metadata["config"])
    if metadata["kind"] not in ("layer", "training"):
        return f"kind {metadata['kind']}"
    if float(metadata.get("rate", 1)) != 1:
        return "rate other than 1"
    return None if config.get("disc", "bilinear") == "bilinear" else f"disc {config['disc']}"


def check(paths, cauchy, tolerance=1e-8):
    """Prints one line a case (largest relative error, float64) and says whether all are within tolerance."""
    good = True
    for path in paths:
        metadata, tensors = read_case(path)
        name = path.rpartition("/")[2]
        if lacking := unsupported(metadata):
            print(f"-    {name:44} not covered: {lacking}")
            continue
        run = {"layer": check_layer, "training": check_training}[metadata["kind"]]
        errors = run(metadata, tensors, cauchy)
        worst = max(errors, key=errors.get)
        passed = errors[worst] <= tolerance
        good &= passed
        print(
            f"{'ok' if passed else 'FAIL':4} {name:44} {len(errors):3} tensors, worst {worst} {errors[worst]:.1e}"
        )
    return good
