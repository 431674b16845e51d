"""Measures ONNX Runtime, native, on one thread: one process, one model, one size of inputs.

    ort_native.py MODEL.onnx ITERATIONS NAME:TYPE[DIMS][=VALUE]...

Prints the figures of `tensorlet bench --json` as one line of JSON. `cargo xtask bench` calls it.
"""

import json
import re
import sys
import time

import numpy as np
import onnxruntime

# Caches and clocks settle in this time; the same for every contender.
WARM_UP_SECONDS = 1.0

TYPES = {"f32": np.float32, "i32": np.int32, "i64": np.int64}


def make_input(text, rng):
    """Returns the name and the value of an input given as NAME:TYPE[DIMS] or NAME:TYPE[DIMS]=VALUE."""
    name, kind, dims, value = re.fullmatch(r"(.+):(\w+)\[([\d,]*)\](?:=(.+))?", text).groups()
    dims = [int(dim) for dim in dims.split(",") if dim]
    kind = TYPES[kind]
    if value is not None:
        return name, np.full(dims, float(value), kind)
    if np.issubdtype(kind, np.integer):
        return name, rng.integers(0, 256, dims, kind)
    return name, rng.uniform(-1.0, 1.0, dims).astype(kind)


def resident_bytes():
    with open("/proc/self/status") as status:
        line = next(line for line in status if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024


def main():
    model, iterations, *inputs = sys.argv[1:]
    rng = np.random.default_rng(1)
    inputs = dict(make_input(text, rng) for text in inputs)

    start = time.perf_counter()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    load_ms = (time.perf_counter() - start) * 1e3

    def predict():
        start = time.perf_counter()
        session.run(None, inputs)
        return (time.perf_counter() - start) * 1e3

    first_ms = predict()
    iterations = int(iterations)
    warm = time.perf_counter() + WARM_UP_SECONDS if iterations > 1 else 0
    while time.perf_counter() < warm:
        predict()
    times = sorted(predict() for _ in range(iterations))
    print(json.dumps({
        "load_ms": load_ms,
        "first_ms": first_ms,
        "min_ms": times[0],
        "median_ms": float(np.median(times)),
        "p99_ms": times[min(iterations - 1, iterations * 99 // 100)],
        "rss_bytes": resident_bytes(),
    }))


main()
