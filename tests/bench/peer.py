"""What the scripts that measure ONNX Runtime share."""

import re

import numpy as np
import onnxruntime

TYPES = {"f32": np.float32, "i32": np.int32, "i64": np.int64}


def make_inputs(texts):
    """Returns the values of inputs given as NAME:TYPE[DIMS] or NAME:TYPE[DIMS]=VALUE, by name."""
    rng = np.random.default_rng(1)
    return dict(make_input(text, rng) for text in texts)


def make_input(text, rng):
    name, kind, dims, value = re.fullmatch(r"(.+):(\w+)\[([\d,]*)\](?:=(.+))?", text).groups()
    dims = [int(dim) for dim in dims.split(",") if dim]
    kind = TYPES[kind]
    if value is not None:
        return name, np.full(dims, float(value), kind)
    if np.issubdtype(kind, np.integer):
        return name, rng.integers(0, 256, dims, kind)
    return name, rng.uniform(-1.0, 1.0, dims).astype(kind)


def make_session(model, threads):
    """Loads a model, for calls on so many threads."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def memory_bytes(path, name):
    """Returns what a file of /proc says in kB, in a line such as `VmRSS:   12 kB`."""
    with open(path) as lines:
        line = next(line for line in lines if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024
