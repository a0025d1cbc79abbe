#!/usr/bin/python3
"""Training LeNet-5 by two processes with a thread each, over loopback: corering beside PyTorch, and beside itself as
one process with two threads.

    tests/peers/bench_ddp.py [--rounds 7]

PyTorch's two processes are DistributedDataParallel over gloo, each with a thread and half of every batch. All settings
take turns, each measurement processes of its own, and medians are told: of images per second, of training alone,
without start and validation. Prints a line for each row of what the project promises, "ok - " or "not ok - ". Wants an
otherwise idle machine. Needs python3-torch for the first of them.
"""
import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import time

CORERING = os.environ.get("CORERING", "./corering")
RANKS = 2
EPOCHS = {64: 2, 1024: 3}  # a second or two


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def torch_rank(batch, images):
    """One of PyTorch's processes; rank 0 prints."""
    import torch
    from torch import distributed, nn
    rank = int(os.environ["RANK"])
    torch.set_num_threads(1)
    distributed.init_process_group("gloo")
    torch.manual_seed(1)
    net = nn.parallel.DistributedDataParallel(nn.Sequential(
        nn.Conv2d(1, 6, 5), nn.Tanh(), nn.MaxPool2d(2), nn.Conv2d(6, 12, 5), nn.Tanh(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(192, 100), nn.Tanh(), nn.Linear(100, 10)))
    sgd = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    x, y = torch.randn(60000, 1, 28, 28), torch.randint(10, (60000,))
    share = batch // RANKS

    def train(count):
        order = torch.randperm(len(x))[:count][rank::RANKS]
        for first in range(0, len(order), share):
            at = order[first:first + share]
            sgd.zero_grad(set_to_none=True)
            nn.functional.cross_entropy(net(x[at]), y[at]).backward()
            sgd.step()

    train(20 * batch)  # the first steps choose and compile kernels
    distributed.barrier()
    start = time.perf_counter()
    train(images)
    distributed.barrier()
    if rank == 0:
        print(images / (time.perf_counter() - start))
    distributed.destroy_process_group()


def run_torch(batch, images):
    port = str(free_port())
    ranks = []
    for rank in range(RANKS):
        environment = {**os.environ, "RANK": str(rank), "WORLD_SIZE": str(RANKS), "MASTER_ADDR": "127.0.0.1",
                       "MASTER_PORT": port, "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
        command = [sys.executable, __file__, "--torch", str(batch), "--images", str(images)]
        ranks.append(subprocess.Popen(command, stdout=subprocess.PIPE, env=environment))
    out = [rank.communicate()[0] for rank in ranks]
    if any(rank.returncode for rank in ranks):
        sys.exit("not ok - PyTorch's processes have failed")
    return float(out[0])


def run_corering(data, batch, how):
    """Whole epochs; the speed of training alone, as the program tells it, and the weights."""
    command = [CORERING, "train", "lenet5", data, "-b", str(batch), "-e", str(EPOCHS[batch]),
               "--no-checkpoint", "--validate-every", "0", "--json", *how]
    lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.splitlines()
    end = [json.loads(line) for line in lines][-1]
    return end["images_per_s"], end["weights_sha256"]


def digits():
    """Any 60,000 images do; the program draws its own when nothing else is there."""
    folder = os.path.join(os.environ.get("CORERING_DATA", ""), "mnist")
    if os.path.isdir(folder):
        return folder
    folder = os.path.join(os.environ.get("OBJ", "obj"), "data", "synth")
    if not os.path.isdir(folder):
        subprocess.run([CORERING, "data", "synth", folder], check=True, stdout=subprocess.DEVNULL)
    return folder


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--images", type=int, default=10000, help="trained by PyTorch in a measurement")
    parser.add_argument("--torch", type=int, metavar="BATCH", help=argparse.SUPPRESS)
    a = parser.parse_args()
    if a.torch:
        torch_rank(a.torch, a.images)
        return

    data = digits()
    two = ["-H", ",".join(["localhost:1"] * RANKS)]
    one = ["-t", str(RANKS)]
    speed = {key: [] for key in ("PyTorch", (64, "two"), (64, "one"), (1024, "two"), (1024, "one"))}
    bits = {64: set(), 1024: set()}
    for _ in range(a.rounds):
        speed["PyTorch"].append(run_torch(64, a.images))
        for batch in EPOCHS:
            for name, how in (("two", two), ("one", one)):
                rate, weights = run_corering(data, batch, how)
                speed[batch, name].append(rate)
                bits[batch].add(weights)
    median = {key: statistics.median(s) for key, s in speed.items()}

    good = True

    def tell(row, own, other, least, text):
        nonlocal good
        ratio = median[own] / median[other]
        good = good and ratio >= least
        print(f"{'ok' if ratio >= least else 'not ok'} - {row} {text}: {ratio:.2f} (>= {least}): {median[own]:,.0f} and "
              f"{median[other]:,.0f} images/s, medians of {a.rounds}")

    tell("c05", (64, "two"), "PyTorch", 8, "2 ranks, batch 64, to PyTorch DDP + gloo")
    tell("c06", (64, "two"), (64, "one"), 0.75, "2 ranks to 2 threads, batch 64")
    tell("c06", (1024, "two"), (1024, "one"), 0.95, "2 ranks to 2 threads, batch 1024")
    for batch, hashes in bits.items():
        good = good and len(hashes) == 1
        word = "ok" if len(hashes) == 1 else "not ok"
        print(f"{word} - c06 batch {batch}: the same weights by ranks and by threads")
    sys.exit(not good)


main()
