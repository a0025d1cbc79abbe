#!/usr/bin/python3
"""Train the same network in corering and in PyTorch, from the same weights, on the same samples, and compare.

    tests/peers/train.py                     compare live, as `make check-peers` does
    tests/peers/train.py --write FILE        also write PyTorch's numbers: tests/data/torch_lenet5.txt

PyTorch computes in double precision, so what is measured is corering's own rounding; how far PyTorch's single
precision is off is told beside it. The weights travel as .safetensors, read here with struct and json alone.
Needs python3-torch and MNIST ($CORERING_DATA/mnist, ~/.cache/corering/mnist or data/mnist of the build folder).
"""
import argparse
import gzip
import json
import math
import os
import struct
import subprocess
import sys
import tempfile
import warnings

try:
    import numpy as np
    import torch
except ImportError as missing:
    sys.exit(f"not ok - {missing}: apt-get install python3-torch, and start this with /usr/bin/python3")

SAMPLED = 200
LOSS_TOLERANCE, WEIGHT_TOLERANCE = 1e-4, 1e-5

# What is trained: nothing but the plainest optimiser, and every part of it at work. With ReLU the comparison has to be
# short: sooner or later a value so near to 0 comes along that two roundings take it for different sides, and from then
# on both trainings are right and differ. (PyTorch in single precision parts from its double precision there as well.)
PLAIN = {"steps": 50, "momentum": 0.0, "schedule": "constant"}
ALL = {"steps": 50, "momentum": 0.9, "nesterov": 1, "weight-decay": 5e-4, "schedule": "cosine", "warmup": 0.01}
RUNS = {"lenet5-plain": ("lenet5", PLAIN), "lenet5-all": ("lenet5", ALL),
        "lenet5-relu-all": ("lenet5-relu", {**ALL, "steps": 20})}
COMMON = {"batch-size": 64, "learning-rate": 0.05, "seed": 1, "shuffle": 0, "weight-decay": 0, "warmup": 0}


def idx(folder, name):
    """An IDX file of bytes as an array, plain or .gz."""
    path = os.path.join(folder, name)
    with (open(path, "rb") if os.path.exists(path) else gzip.open(path + ".gz", "rb")) as f:
        data = f.read()
    dims = struct.unpack_from(f">{data[3]}I", data, 4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * data[3]).reshape(dims)


def find_mnist():
    own, cache = os.environ.get("CORERING_DATA"), os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache"))
    places = [os.path.join(own, "mnist")] if own else []
    places += [os.path.join(cache, "corering", "mnist"), os.path.join(os.environ.get("OBJ", "obj"), "data", "mnist")]
    for place in places:
        if os.path.isdir(place):
            return place
    sys.exit("not ok - no MNIST in " + ", ".join(places) + ": corering data get mnist")


def load_checkpoint(folder):
    """Metadata and the model.* tensors, in the order of the network, of the only checkpoint in a run's folder."""
    (name,) = [n for n in os.listdir(folder) if n.endswith(".safetensors")]
    with open(os.path.join(folder, name), "rb") as f:
        data = f.read()
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8:8 + length])
    meta = header.pop("__metadata__")
    tensors = {}
    for name, t in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        begin, end = t["data_offsets"]
        if name.startswith("model."):
            tensors[name] = np.frombuffer(data[8 + length + begin:8 + length + end], "<f4").reshape(t["shape"])
    return meta, tensors


def corering(*words):
    """Run the program; returns its JSON events."""
    out = subprocess.run([os.environ.get("CORERING", "./corering"), *words, "--json"], check=True,
                         stdout=subprocess.PIPE).stdout
    return [json.loads(line) for line in out.splitlines()]


def arguments(options):
    flags = {"nesterov": "--nesterov", "shuffle": "--no-shuffle"}
    words = []
    for name, value in options.items():
        words += [flags[name]] if name in flags else [f"--{name}", str(value)]
    return words


def window(word):
    return tuple(int(n) for n in word.split("x"))


def network(text):
    """The .net text as torch modules; softmax is part of PyTorch's loss."""
    make = {"conv": lambda n, k: [torch.nn.LazyConv2d(int(n), window(k))],
            "linear": lambda n: [torch.nn.Flatten(), torch.nn.LazyLinear(int(n))],
            "maxpool": lambda k: [torch.nn.MaxPool2d(window(k))],
            "tanh": lambda: [torch.nn.Tanh()], "relu": lambda: [torch.nn.ReLU()]}
    modules, shape = [], None
    for line in text.splitlines():
        kind, *args = line.partition("#")[0].split() or [""]
        if kind == "input":
            shape = window(args[0])
        elif kind in make:
            modules += make[kind](*args)
    net = torch.nn.Sequential(*modules)
    net(torch.zeros(1, *shape))  # lets the lazy layers see their shapes
    return net


def learning_rate(options, step, steps_per_epoch):
    """Linear warm-up, then constant or half a cosine over the steps that are left."""
    lr, warm = options["learning-rate"], options.get("warmup", 0) * steps_per_epoch
    if step < warm:
        return lr * min(1, (step + 1) / warm)
    if options["schedule"] == "constant":
        return lr
    return lr * 0.5 * (1 + math.cos(math.pi * (step - warm) / (options["steps"] - warm)))


def train_torch(text, start, options, images, labels, dtype):
    net = network(text).to(dtype)
    parameters = list(net.parameters())
    with torch.no_grad():
        for p, value in zip(parameters, start.values()):
            p.copy_(torch.tensor(value, dtype=dtype))
    sgd = torch.optim.SGD(parameters, lr=1, momentum=options["momentum"], nesterov=bool(options.get("nesterov")),
                          weight_decay=options.get("weight-decay", 0))
    batch, losses = options["batch-size"], []
    for step in range(options["steps"]):
        at = slice(step * batch, (step + 1) * batch)
        sgd.param_groups[0]["lr"] = learning_rate(options, step, math.ceil(len(images) / batch))
        loss = torch.nn.functional.cross_entropy(net(images[at].to(dtype)), labels[at])
        sgd.zero_grad()
        loss.backward()
        sgd.step()
        losses.append(loss.item())
    return np.array(losses), [p.detach().numpy().astype("f8") for p in parameters]


def compare(run, images, labels, data, write):
    net, own = RUNS[run]
    options = {**COMMON, **own}
    with tempfile.TemporaryDirectory() as work:
        first, last = os.path.join(work, "first"), os.path.join(work, "last")
        init = corering("train", net, data, "--epochs", "0", "--seed", "1", "--checkpoint", first)[-1]["weights_sha256"]
        events = corering("train", net, data, *arguments(options), "--init", first, "--checkpoint", last,
                          "--validate-every", "0", "--log-every", "1")
        meta, start = load_checkpoint(first)
        end = list(load_checkpoint(last)[1].values())
    got = np.array([e["loss"] for e in events if e["event"] == "step"])
    losses, weights = train_torch(meta["net"], start, options, images, labels, torch.float64)
    single, single_weights = train_torch(meta["net"], start, options, images, labels, torch.float32)

    def distance(a, b):
        return max(abs(x - y).max() for x, y in zip(a, b))

    loss, weight = distance([got], [losses]), distance(end, weights)
    good = loss <= LOSS_TOLERANCE and weight <= WEIGHT_TOLERANCE
    print(f"{'ok' if good else 'not ok'} - {run}, {len(losses)} steps: loss off by {loss:.1e}, weights {weight:.1e}; "
          f"PyTorch's float32 {distance([single], [losses]):.1e}, {distance(single_weights, weights):.1e}", flush=True)

    if write:
        write.write(f"\nrun {run} {net}\n")
        for name, value in options.items():
            write.write(f"option {name} {value}\n")
        write.write(f"init {init}\n")
        for step, loss in enumerate(losses):
            write.write(f"loss {step + 1} {loss:.9g}\n")
        for i, w in enumerate(weights):
            write.write(f"norm {i} {math.sqrt((w ** 2).sum()):.9g}\n")
        ends = np.cumsum([w.size for w in weights])
        for k in range(SAMPLED):
            at = (2 * k + 1) * int(ends[-1]) // (2 * SAMPLED)
            i = int(np.searchsorted(ends, at, "right"))
            at -= int(ends[i]) - weights[i].size
            write.write(f"weight {i} {at} {weights[i].flat[at]:.9g}\n")
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", metavar="FILE", type=argparse.FileType("w"))
    write = parser.parse_args().write
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", message="Lazy modules")
    data = find_mnist()
    images, labels = idx(data, "train-images-idx3-ubyte"), idx(data, "train-labels-idx1-ubyte")
    bright = images.astype("f8") / 255
    images = torch.tensor((bright - bright.mean()) / bright.std()).unsqueeze(1)
    labels = torch.tensor(labels.astype("i8"))
    if write:
        write.write("# LeNet-5 on MNIST in PyTorch, double precision; tests/peers/train.py --write wrote this.\n"
                    "# Tensors are numbered in network order; of all the weights, evenly spaced ones are kept.\n"
                    f"# PyTorch {torch.__version__}\n")
    good = [compare(run, images, labels, data, write) for run in RUNS]
    print(f"{sum(good)} passed, {len(good) - sum(good)} failed")
    sys.exit(0 if all(good) else 1)


main()
