#!/usr/bin/python3
"""PyTorch's speed on one network, images per second, on one line. For tests/peers/bench_peers.py.

    bench_torch.py DIR NET BATCH THREADS IMAGES [--infer]      DIR holds MNIST's four files, unpacked

Plain SGD with momentum on shuffled images that are floats already; without the start of Python, after a warm-up. With
--infer the forward pass alone, without gradients.
"""
import struct
import sys
import time

import numpy as np
import torch
from torch import nn

NETS = {
    "lenet5": lambda: [nn.Conv2d(1, 6, 5), nn.Tanh(), nn.MaxPool2d(2), nn.Conv2d(6, 12, 5), nn.Tanh(), nn.MaxPool2d(2),
                       nn.Flatten(), nn.Linear(192, 100), nn.Tanh(), nn.Linear(100, 10)],
    "conv3": lambda: [nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(),
                      nn.MaxPool2d(2), nn.Conv2d(64, 128, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
                      nn.Linear(128 * 49, 10)],
}
WARM_STEPS = 10


def idx(path):
    with open(path, "rb") as f:
        data = f.read()
    dims = struct.unpack_from(f">{data[3]}I", data, 4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * data[3]).reshape(dims)


def main():
    folder, name, batch, threads, images = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6])
    infer = "--infer" in sys.argv
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    x = torch.tensor(idx(folder + "/train-images-idx3-ubyte").astype("f4") / 255).unsqueeze(1)
    y = torch.tensor(idx(folder + "/train-labels-idx1-ubyte").astype("i8"))
    x = (x - x.mean()) / x.std()
    net = nn.Sequential(*NETS[name]())
    sgd = torch.optim.SGD(net.parameters(), lr=0.05 if batch > 1 else 0.001, momentum=0.9)

    def run(count):
        order = torch.randperm(len(x))[:count]
        for first in range(0, count, batch):
            at = order[first:first + batch]
            if infer:
                net(x[at])
            else:
                sgd.zero_grad(set_to_none=True)
                nn.functional.cross_entropy(net(x[at]), y[at]).backward()
                sgd.step()

    with torch.set_grad_enabled(not infer):
        run(WARM_STEPS * batch)  # the first steps choose and compile kernels
        start = time.perf_counter()
        run(images)
        print(images / (time.perf_counter() - start))


main()
