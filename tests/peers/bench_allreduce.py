#!/usr/bin/python3
"""Combining messages, two ranks on loopback: corering beside Open MPI over TCP, whose ranks never sleep.

    tests/peers/bench_allreduce.py [--rounds 7]

They take turns, each measurement processes of its own; medians over the rounds of the median time are told. A line
for each size begins with "ok - " or "not ok - ". Wants an otherwise idle machine. Needs libopenmpi-dev and openmpi-bin.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile

CORERING = os.environ.get("CORERING", "./corering")
MOST = {22278: 1.5, 10000000: 1.1}  # words: the share of Open MPI's time that may be taken


def run_corering():
    out = subprocess.run([CORERING, "bench", "allreduce", "--json", *[str(4 * n) for n in MOST]], check=True,
                         stdout=subprocess.PIPE).stdout
    lines = [json.loads(line) for line in out.splitlines()]
    return [line["microseconds"] for line in lines if "microseconds" in line]


def run_mpi(program):
    out = subprocess.run(["mpirun", "--allow-run-as-root", "--mca", "btl", "tcp,self", "-n", "2", program,
                          *[str(n) for n in MOST]], check=True, stdout=subprocess.PIPE).stdout
    return [float(line) for line in out.splitlines()]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    a = parser.parse_args()
    if not shutil.which("mpicc") or not shutil.which("mpirun"):
        sys.exit("not ok - c07: no mpicc or no mpirun; Debian: libopenmpi-dev openmpi-bin")
    with tempfile.TemporaryDirectory() as folder:
        program = os.path.join(folder, "bench_allreduce")
        subprocess.run(["mpicc", "-O2", "-o", program, __file__[:-len(".py")] + ".c"], check=True)
        own, other = [], []
        for _ in range(a.rounds):
            own.append(run_corering())
            other.append(run_mpi(program))
    good = True
    for i, (words, most) in enumerate(MOST.items()):
        mine, peer = statistics.median(t[i] for t in own), statistics.median(t[i] for t in other)
        fine = mine <= most * peer
        good = good and fine
        print(f"{'ok' if fine else 'not ok'} - c07 {words:,} words: {mine / peer:.2f} of Open MPI's time (<= {most}): "
              f"{mine:,.1f} and {peer:,.1f} us, medians of {a.rounds}")
    sys.exit(not good)


main()
