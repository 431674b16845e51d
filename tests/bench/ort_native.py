"""Measures ONNX Runtime, native: one process, one model, one size of inputs.

    ort_native.py MODEL.onnx ITERATIONS [--threads N] NAME:TYPE[DIMS][=VALUE]...

Prints the figures of `tensorlet bench --json` as one line of JSON. `cargo xtask bench` calls it.
"""

import argparse
import json
import time

import numpy as np

from peer import make_inputs, make_session, memory_bytes

# Caches and clocks settle in this time; the same for every contender.
WARM_UP_SECONDS = 1.0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("iterations", type=int)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("inputs", nargs="*")
    args = parser.parse_intermixed_args()
    inputs = make_inputs(args.inputs)

    start = time.perf_counter()
    session = make_session(args.model, args.threads)
    load_ms = (time.perf_counter() - start) * 1e3

    def predict():
        start = time.perf_counter()
        session.run(None, inputs)
        return (time.perf_counter() - start) * 1e3

    first_ms = predict()
    warm = time.perf_counter() + WARM_UP_SECONDS if args.iterations > 1 else 0
    while time.perf_counter() < warm:
        predict()
    times = sorted(predict() for _ in range(args.iterations))
    print(json.dumps({
        "load_ms": load_ms,
        "first_ms": first_ms,
        "min_ms": times[0],
        "median_ms": float(np.median(times)),
        "p99_ms": times[min(args.iterations - 1, args.iterations * 99 // 100)],
        "rss_bytes": memory_bytes("/proc/self/status", "VmRSS"),
    }))


main()
