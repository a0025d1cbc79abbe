#!/usr/bin/python3
"""corering beside the peers that are installed: PyTorch, oneDNN, OpenBLAS, BLIS. `make bench-peers` starts it.

    bench_peers.py [--rounds 7] [--rows "1 5 6"] [--write BENCHMARKS.md]

All contestants take turns, round by round, each measurement a process of its own, so that whatever else the machine
does falls on all alike; medians of the rounds make the table. --write puts it between the marks in the file. From the
environment: CORERING, the program; OBJ, a folder to build peers and unpack data in; SRCDIR; CC; CORERING_DATA.
"""
import argparse
import functools
import gzip
import json
import math
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time

CORERING = os.environ.get("CORERING", "./corering")
WORK = os.path.join(os.environ.get("OBJ", "obj"), "bench")
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
CONV3 = os.path.join(HERE, "bench_conv3.net")
SHAPES = ["16x32x32-16", "32x28x28-64", "64x14x14-128", "128x7x7-256", "256x14x14-256", "64x28x28-128-1x1",
          "64x28x28-128-s2"]
PASSES = ["forward", "input", "weight"]
PRODUCTS = [f"{kind}:{m}x{n}x{k}" for kind in ("NN", "NT", "TN") for m, n, k in (
    (1024, 1024, 1024), (512, 512, 512), (256, 256, 256), (128, 128, 128), (64, 64, 64), (6, 576, 25), (12, 64, 150),
    (64, 100, 192), (20, 576, 25), (50, 64, 500), (64, 784, 288), (128, 196, 576), (64, 500, 800))]
INFER_BATCHES = 64, 500
PUBLISHED_PER_CORE = 28000  # SimpleChains.jl's LeNet-5, the best we know of
LIBRARIES = {"OpenBLAS": ("libopenblas-dev", "openblas-pthread", "-lopenblas"),
             "BLIS": ("libblis-dev", "blis-openmp", "-lblis")}


def output(*words, **environment):
    """What a command prints. Settings that hold OpenBLAS down to older kernels are not handed on: peers do their best."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("OPENBLAS_")}
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, env={**inherited, **environment}, text=True)
    return done.stdout


def json_lines(text):
    return [json.loads(line) for line in text.splitlines()]


def missing(what, package):
    print(f"{what} is missing: apt-get install {package}", file=sys.stderr)


# ---- data and peers

SOURCE = os.path.join(os.environ.get("CORERING_DATA", ""), "mnist")
DIGITS = "MNIST" if os.path.isdir(SOURCE) else "drawn digits"


@functools.lru_cache(None)
def digits():
    """MNIST, unpacked; where there is none, digits drawn by the program."""
    folder = os.path.join(WORK, DIGITS.replace(" ", "-").lower())
    if os.path.exists(os.path.join(folder, "train-labels-idx1-ubyte")):
        return folder
    os.makedirs(folder, exist_ok=True)
    if DIGITS != "MNIST":
        output(CORERING, "data", "synth", folder)
        return folder
    for part in ("t10k-images-idx3", "t10k-labels-idx1", "train-images-idx3", "train-labels-idx1"):
        path = os.path.join(SOURCE, part + "-ubyte")
        with (open(path, "rb") if os.path.exists(path) else gzip.open(path + ".gz", "rb")) as f:
            with open(os.path.join(folder, part + "-ubyte"), "wb") as to:
                shutil.copyfileobj(f, to)
    return folder


@functools.lru_cache(None)
def have_torch():
    try:
        output("/usr/bin/python3", "-c", "import numpy, torch")
        return True
    except (OSError, subprocess.CalledProcessError):
        missing("PyTorch", "python3-torch python3-numpy")
        return False


@functools.lru_cache(None)
def built(name, source, package, *flags):
    """A peer program, compiled, with corering's memory; None where its library is not installed."""
    os.makedirs(WORK, exist_ok=True)
    program = os.path.join(WORK, name)
    compiler = os.environ.get("CC", "cc").split()
    command = [*compiler, "-std=c11", "-O2", "-I", ROOT, os.path.join(HERE, source),
               os.path.join(ROOT, "core", "memory.c"), "-o", program, *flags]
    if subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0:
        return program
    missing(name.removeprefix("bench_"), package)
    return None


def onednn():
    return built("bench_oneDNN", "bench_onednn.c", "libdnnl-dev", "-ldnnl")


def blas_folder(name):
    triplet = output(*os.environ.get("CC", "cc").split(), "-dumpmachine").strip()
    return f"/usr/lib/{triplet.replace('-pc-', '-').replace('-unknown-', '-')}/{LIBRARIES[name][1]}"


def blas(name):
    package, _, flag = LIBRARIES[name]
    folder = blas_folder(name)
    return built("bench_" + name, "bench_gemm.c", package, "-L" + folder, flag, "-Wl,-rpath," + folder)


@functools.lru_cache(None)
def kernels(name):
    """The name of the kernels a library chooses, and what it has to be told. BLIS goes by the processor's family; to one
    younger than itself it gives kernels in C, unless told its number of Skylake-X or Haswell."""
    chosen = output(blas(name), "--kernels").strip()
    if chosen != "generic":
        return chosen, {}
    with open("/proc/cpuinfo", encoding="ascii") as f:
        told = {"BLIS_ARCH_TYPE": "0" if " avx512f" in f.read() else "3"}
    return output(blas(name), "--kernels", **told).strip(), told


# ---- measurements: each gives a number, or a table of numbers; the arguments are its name

def train(net, batch, threads, *more):
    """Images per second of `corering train`, of training alone."""
    length = {("lenet5", 1): ("--steps", "20000"), (CONV3, 64): ("--steps", "40")}.get((net, batch), ("-e", "3"))
    lines = json_lines(output(CORERING, "train", net, digits(), "-b", str(batch), "-t", str(threads), "--lr",
                              "0.05" if batch > 1 else "0.001", "--no-checkpoint", "--validate-every", "0", "--json",
                              *length, *more))
    return lines[-1]["images_per_s"]


def torch(net, batch, threads):
    images = {("lenet5", 1): 2000, ("conv3", 64): 1280}.get((net, batch), 10000)
    return float(output("/usr/bin/python3", os.path.join(HERE, "bench_torch.py"), digits(), net, str(batch),
                        str(threads), str(images), OMP_NUM_THREADS=str(threads)))


def infer():
    """Images per second of the forward pass on two threads, and microseconds of an image alone on one."""
    line, = json_lines(output(CORERING, "bench", "infer", "lenet5", "-t", "2", "--json"))
    return {name: line[name] for name in ("images_per_s", "microseconds")}


def torch_infer(batch, threads):
    return float(output("/usr/bin/python3", os.path.join(HERE, "bench_torch.py"), digits(), "lenet5", str(batch),
                        str(threads), str(min(20000, 4000 * batch)), "--infer", OMP_NUM_THREADS=str(threads)))


def peak():
    return {(e["isa"], e["threads"]): e["gflops"] for e in json_lines(output(CORERING, "bench", "peak", "--json"))
            if e["bench"] == "fma"}


def conv():
    lines = json_lines(output(CORERING, "bench", "conv", "--json", "--block", "16", "-t", "1", *SHAPES))
    return {(e["shape"], e["pass"], what): e[what] for e in lines for what in ("gflops", "share")}


def conv_peer():
    lines = json_lines(output(onednn(), "16", *SHAPES, OMP_NUM_THREADS="1"))
    return {(e["shape"], e["pass"], e["algorithm"]): e["gflops"] for e in lines}


def products(text, threads):
    """Of one thread by its own processor time, of a team by the clock on the wall."""
    return {f"{e['kind']}:{e['m']}x{e['n']}x{e['k']}": e["gflops" if threads == 1 else "wall"]
            for e in json_lines(text)}


def gemm(threads):
    return products(output(CORERING, "bench", "gemm", "--json", "-t", str(threads), *PRODUCTS), threads)


def gemm_peer(name, threads):
    return products(output(blas(name), *PRODUCTS, OPENBLAS_NUM_THREADS=str(threads), BLIS_NUM_THREADS=str(threads),
                           **kernels(name)[1]), threads)


def start_up():
    """Milliseconds of a whole process that opens everything and trains nothing."""
    start = time.perf_counter()
    output(CORERING, "train", "lenet5", digits(), "--epochs", "0", "--no-checkpoint", "-q")
    return 1000 * (time.perf_counter() - start)


# ---- rows: which measurements, and what they make. `m` gives the median of one; a row is a list of table lines

def speed(number, what, own, peers, must, goal):
    """Images per second against PyTorch's best number of threads."""
    def make(m):
        mine, best = m(own), max(m(p) for p in peers)
        return [(number, what, f"{mine:,.0f} images/s", f"PyTorch {best:,.0f}", f"{mine / best:.1f}x", must, goal)]
    return [own, *peers], make


def per_core(m):
    mine = m((train, "lenet5-relu", 128, 1))
    return [(3, "lenet5-relu training, batch 128, 1 thread", f"{mine:,.0f} images/s",
             f"SimpleChains, published {PUBLISHED_PER_CORE:,}", f"{mine / PUBLISHED_PER_CORE:.1f}x", "40,000",
             "60,000")]


def geometric_mean(values):
    return math.exp(statistics.fmean(map(math.log, values)))


def shares(m):
    each = [m((conv,))[s, p, "share"] for s in SHAPES for p in PASSES]
    return [(5, "3x3 layers, forward, by input, by weight, block 16, 1 thread",
             f"{100 * min(each):.0f}-{100 * max(each):.0f} % of peak", "measured FMA peak",
             f"least {100 * min(each):.0f} %", "70 %", "88 %")]


def against_onednn(m):
    mine, its = m((conv,)), m((conv_peer,))
    direct, auto = (geometric_mean([mine[s, p, "gflops"] / its[s, p, a] for s in SHAPES for p in PASSES])
                    for a in ("direct", "auto"))
    return [(6, "the same layers", "", "oneDNN, batch 16, direct", f"{direct:.2f}x", "1.1x", "1.5x"),
            ("", "", "", "oneDNN, with Winograd", f"{auto:.2f}x", "", "")]


def against_blas(m):
    lines = []
    for threads in 1, 2:
        mine, peers = m((gemm, threads)), [m((gemm_peer, name, threads)) for name in LIBRARIES if blas(name)]
        ratio = [mine[p] / max(peer[p] for peer in peers) for p in PRODUCTS]
        lines.append((7, f"SGEMM NN, NT, TN, {threads} thread{'s' * (threads > 1)}", "",
                      "better of " + " and ".join(name for name in LIBRARIES if blas(name)),
                      f"{geometric_mean(ratio):.2f}x, least {min(ratio):.2f}x", "0.92x, 0.75x", "1.0x"))
    return lines


def scaling(m):
    one, two = m((train, "lenet5", 64, 1)), m((train, "lenet5", 64, 2))
    top = m((peak,))
    isa = list(top)[-1][0]
    possible = top[isa, 2] / top[isa, 1]
    return [(8, "2 threads vs 1, LeNet-5, batch 64", f"{one:,.0f}, {two:,.0f} images/s",
             f"peak scales {possible:.2f}x", f"{two / one / possible:.2f}", "0.90", "0.98")]


def instruction_sets(m):
    lines = []
    for what, net in ("LeNet-5", "lenet5"), ("1-32-64-128", CONV3):
        small, large = (m((train, net, 64, 2, "--isa", isa)) for isa in ("avx2", "avx512"))
        lines.append((9, f"avx2 vs avx512, {what}, batch 64, 2 threads", f"{small:,.0f}, {large:,.0f} images/s", "",
                      f"{small / large:.2f}", "0.85", "0.95"))
    return lines


def inference(m):
    mine = m((infer,))
    best = max(m((torch_infer, batch, threads)) for batch in INFER_BATCHES for threads in (1, 2))
    alone = 1e6 / m((torch_infer, 1, 1))
    return [(10, f"LeNet-5 forward, 2 threads; an image alone {mine['microseconds']:.1f} us",
             f"{mine['images_per_s']:,.0f} images/s", f"PyTorch {best:,.0f}; {alone:.0f} us",
             f"{mine['images_per_s'] / best:.1f}x", "8x", "15x")]


def starting(m):
    return [(11, "start-up: train --epochs 0, whole process", f"{m((start_up,)):.0f} ms", "", "", "50 ms", "20 ms")]


def layer_table(m, with_peer):
    """GFLOP/s of the layers: corering, and oneDNN when it was measured."""
    mine, its = m((conv,)), m((conv_peer,)) if with_peer else None
    lines = ["| layer | forward | by input | by weight |", "|---|---|---|---|"]
    for s in SHAPES:
        cells = [f"{mine[s, p, 'gflops']:.0f} ({100 * mine[s, p, 'share']:.0f} %)"
                 + (f" / {its[s, p, 'direct']:.0f} / {its[s, p, 'auto']:.0f}" if its else "") for p in PASSES]
        lines.append(f"| {s} | " + " | ".join(cells) + " |")
    return lines


def product_table(m):
    names = [name for name in LIBRARIES if blas(name)]
    lines = ["| product | 1 thread | 2 threads |", "|---|---|---|"]
    for p in PRODUCTS:
        cells = [" / ".join(f"{v[p]:.0f}" for v in [m((gemm, t)), *(m((gemm_peer, n, t)) for n in names)])
                 for t in (1, 2)]
        lines.append(f"| {p} | " + " | ".join(cells) + " |")
    return lines


def has_command(name):
    return subprocess.run([CORERING, *name.split(), "--help"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                          check=False).returncode == 0


def rows_possible():
    """The rows whose peers are here, by number: (measurements, function that makes the lines)."""
    rows = {}
    if have_torch():
        for number, what, net, batch, must, goal in (
                (1, "LeNet-5 training, batch 64, 2 threads", "lenet5", 64, "10x", "14x"),
                (2, "LeNet-5 training, batch 1", "lenet5", 1, "25x", "38x"),
                (4, "1-32-64-128 training, batch 64, 2 threads", "conv3", 64, "1.4x", "1.8x")):
            own = (train, CONV3 if net == "conv3" else net, batch, 2)
            rows[number] = speed(number, what, own, [(torch, net, batch, 1), (torch, net, batch, 2)], must, goal)
        rows[10] = [(infer,), (torch_infer, 1, 1)] + \
            [(torch_infer, batch, threads) for batch in INFER_BATCHES for threads in (1, 2)], inference
    rows[3] = [(train, "lenet5-relu", 128, 1)], per_core
    rows[5] = [(conv,)], shares
    if onednn():
        rows[6] = [(conv,), (conv_peer,)], against_onednn
    if has_command("bench gemm") and any(map(blas, LIBRARIES)):
        rows[7] = [(f, *name, t) for t in (1, 2)
                   for f, name in [(gemm, ()), *((gemm_peer, (n,)) for n in LIBRARIES if blas(n))]], against_blas
    rows[8] = [(train, "lenet5", 64, 1), (train, "lenet5", 64, 2), (peak,)], scaling
    if "avx512" in output(CORERING, "--version"):
        rows[9] = [(train, net, 64, 2, "--isa", isa) for net in ("lenet5", CONV3) for isa in ("avx2", "avx512")], \
            instruction_sets
    rows[11] = [(start_up,)], starting
    return rows


# ---- running and telling

def measure(names, rounds):
    """The measurements in turn, `rounds` times; a function that gives the median of one."""
    seen = {name: [] for name in names}
    for i in range(rounds):
        for name, values in seen.items():
            values.append(name[0](*name[1:]))
        print(f"round {i + 1} of {rounds}", file=sys.stderr, flush=True)

    def median(name):
        values = seen[name]
        if isinstance(values[0], dict):
            return {key: statistics.median(v[key] for v in values) for key in values[0]}
        return statistics.median(values)
    return median


def processor():
    """Name and family: those of virtual machines are often called alike."""
    found = {}
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        for line in f:
            key, _, value = line.partition(":")
            found.setdefault(key.strip(), value.strip())
    if "model name" not in found:
        return platform.machine()
    return f"{found['model name']} (family {found.get('cpu family', '?')})"


def versions():
    found = [output(CORERING, "--version").splitlines()[0]]
    if have_torch():
        found.append("PyTorch " + output("/usr/bin/python3", "-c", "import torch; print(torch.__version__)").strip())
    for package in "libdnnl-dev", "libopenblas-dev", "libblis-dev":
        query = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, text=True, check=False)
        if query.returncode == 0:
            found.append(f"{package} {query.stdout}")
    return ", ".join(found)


def tell(rows, m, rounds):
    lines = [f"Measured {time.strftime('%Y-%m-%d')} with `make bench-peers ROUNDS={rounds}` on {os.cpu_count()} x "
             f"{processor()}, {platform.system()} {platform.release()}: {versions()}. Medians of {rounds} rounds in "
             f"turn; networks on {DIGITS}.",
             "", "| # | what | corering | peer | ratio | must | goal |", "|---|---|---|---|---|---|---|"]
    for number in sorted(rows):
        for line in rows[number][1](m):
            lines.append("| " + " | ".join(map(str, line)) + " |")
    if 6 in rows or 5 in rows:
        peer = " / oneDNN direct / oneDNN as it chooses" if 6 in rows else ""
        lines += ["", f"Layers, one thread, 16 samples: GFLOP/s of corering (share of measured peak){peer}.", ""]
        lines += layer_table(m, 6 in rows)
    if 7 in rows:
        names = " / ".join(f"{name} ({kernels(name)[0]} kernels)" for name in LIBRARIES if blas(name))
        lines += ["", f"Products KIND:MxNxK, GFLOP/s of corering / {names}.", ""] + product_table(m)
    return lines


def replace_between_marks(path, lines):
    begin, end = "<!-- bench-peers: begin -->\n", "<!-- bench-peers: end -->\n"
    with open(path, encoding="utf-8") as f:
        head, _, rest = f.read().partition(begin)
    _, found, tail = rest.partition(end)
    if not found:
        sys.exit(f"{path} lacks the marks between which the table belongs")
    with open(path, "w", encoding="utf-8") as f:
        f.write(head + begin + "\n".join(lines) + "\n" + end + tail)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--rows", default="", help='numbers of the table\'s rows, as "1 5 6"; all unless said')
    parser.add_argument("--write", metavar="FILE", help="put the table into this file, between its marks")
    a = parser.parse_args()
    rows = rows_possible()
    wanted = [int(n) for n in a.rows.split()] or list(rows)
    for n in wanted:
        if n not in rows:
            print(f"row {n} cannot be measured here", file=sys.stderr)
    rows = {n: rows[n] for n in wanted if n in rows}
    m = measure(dict.fromkeys(name for names, _ in rows.values() for name in names), a.rounds)
    lines = tell(rows, m, a.rounds)
    print("\n".join(lines))
    if a.write:
        replace_between_marks(a.write, lines)


main()
