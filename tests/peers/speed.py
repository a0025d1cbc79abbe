#!/usr/bin/python3
"""Images per second of LeNet-5 training at batch 64, corering with two threads beside PyTorch with one and with two.

    tests/peers/speed.py [--rounds 7] [--images 10000] [--least 5]

All three take turns, each measurement a process of its own, so that whatever else the machine does falls on all alike;
medians of the rounds are told. The ratio is to PyTorch's better number: on small networks one thread often is. Ends
with status 1 when the ratio is below --least. Needs python3-torch.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time

try:
    import torch
except ImportError as missing:
    sys.exit(f"not ok - {missing}: apt-get install python3-torch, and start this with /usr/bin/python3")

BATCH, THREADS = 64, 2


def measure_torch(threads, images):
    """One process's work: plain SGD on random images, timed without the start of Python."""
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    nn = torch.nn
    net = nn.Sequential(nn.Conv2d(1, 6, 5), nn.Tanh(), nn.MaxPool2d(2), nn.Conv2d(6, 12, 5), nn.Tanh(), nn.MaxPool2d(2),
                        nn.Flatten(), nn.Linear(192, 100), nn.Tanh(), nn.Linear(100, 10))
    sgd = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    x, y = torch.randn(60000, 1, 28, 28), torch.randint(10, (60000,))

    def train(count):
        order = torch.randperm(len(x))[:count]
        for first in range(0, count, BATCH):
            at = order[first:first + BATCH]
            sgd.zero_grad(set_to_none=True)
            nn.functional.cross_entropy(net(x[at]), y[at]).backward()
            sgd.step()

    train(20 * BATCH)  # the first steps choose and compile kernels
    start = time.perf_counter()
    train(images)
    print(images / (time.perf_counter() - start))


def run_torch(threads, images):
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    out = subprocess.run([sys.executable, __file__, "--torch", str(threads), "--images", str(images)], check=True,
                         stdout=subprocess.PIPE, env=environment)
    return float(out.stdout)


def run_corering(data):
    """An epoch over all 60,000 images; the speed of training alone, as the program tells it."""
    out = subprocess.run([os.environ.get("CORERING", "./corering"), "train", "lenet5", data, "-b", str(BATCH),
                          "-e", "1", "-t", str(THREADS), "--no-checkpoint", "--validate-every", "0", "--json"],
                         check=True, stdout=subprocess.PIPE)
    return json.loads(out.stdout.splitlines()[-1])["images_per_s"]


def digits():
    """Any 60,000 images do; the program draws its own when nothing else is there."""
    folder = os.path.join(os.environ.get("CORERING_DATA", ""), "mnist")
    if os.path.isdir(folder):
        return folder
    folder = os.path.join(os.environ.get("OBJ", "obj"), "data", "synth")
    if not os.path.isdir(folder):
        subprocess.run([os.environ.get("CORERING", "./corering"), "data", "synth", folder], check=True,
                       stdout=subprocess.DEVNULL)
    return folder


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--images", type=int, default=10000, help="trained by PyTorch in a measurement")
    parser.add_argument("--least", type=float, default=5, help="ratio that must be reached")
    parser.add_argument("--torch", type=int, metavar="THREADS", help=argparse.SUPPRESS)
    a = parser.parse_args()
    if a.torch:
        measure_torch(a.torch, a.images)
        return

    data = digits()
    who = {"corering": lambda: run_corering(data), "PyTorch, 1 thread": lambda: run_torch(1, a.images),
           "PyTorch, 2 threads": lambda: run_torch(2, a.images)}
    speed = {name: [] for name in who}
    for _ in range(a.rounds):
        for name, run in who.items():
            speed[name].append(run())
    median = {name: statistics.median(s) for name, s in speed.items()}
    for name, s in speed.items():
        print(f"{name + ',' if name != 'corering' else f'corering, {THREADS} threads,':22} "
              f"{median[name]:9,.0f} images/s ({min(s):,.0f} to {max(s):,.0f})")
    own = median.pop("corering")
    ratio = own / max(median.values())
    print(f"{'ok' if ratio >= a.least else 'not ok'} - LeNet-5, batch {BATCH}: {ratio:.1f} times PyTorch "
          f"{torch.__version__}, medians of {a.rounds}")
    sys.exit(0 if ratio >= a.least else 1)


main()
