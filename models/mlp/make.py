"""Makes the perceptron of this folder, and its reference outputs with ONNX Runtime.

    pip install -r models/requirements.txt
    python models/mlp/make.py           # writes model.onnx and reference/
    python models/mlp/make.py --check   # makes both again and compares, writes nothing

The model is not trained: it is there to be called often, so what counts is its size and that
different inputs have different outputs. Weights are those that `models/README.md` calls `splitmix64`,
uniform with the variance of He et al. (2015), 2 / inputs of the layer, so they are the same on
every machine. `model.toml` holds the SHA-256 of the file: write it there if this script changes.
"""

import argparse
import hashlib
import shutil
import sys
import tomllib
from pathlib import Path

import numpy as np
import onnxruntime
from onnx import TensorProto, checker, helper, numpy_helper

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent))
# The folder of the models is no place for Python's caches.
sys.dont_write_bytecode = True
import references  # noqa: E402, it is in the folder above

SIZES = [784, 512, 512, 10]
OPSET = 17
IR_VERSION = 8
# Biases are small beside the sums that they are added to.
BIAS = 0.1


def make():
    """Returns the bytes of the model."""
    nodes, initializers = [], []
    value = "image"
    for layer, (inputs, outputs) in enumerate(zip(SIZES, SIZES[1:]), 1):
        bound = np.sqrt(6 / inputs)
        weights = references.generate(2 * layer - 1, -bound, bound, [inputs, outputs])
        bias = references.generate(2 * layer, -BIAS, BIAS, [outputs])
        for name, array in [(f"weights_{layer}", weights), (f"bias_{layer}", bias)]:
            initializers.append(numpy_helper.from_array(array, name))
        parameters = [f"weights_{layer}", f"bias_{layer}"]
        last = layer == len(SIZES) - 1
        sums = "logits" if last else f"sums_{layer}"
        nodes.append(helper.make_node("Gemm", [value, *parameters], [sums], name=f"gemm_{layer}"))
        if last:
            nodes.append(
                helper.make_node("Softmax", [sums], ["probabilities"], name="softmax", axis=-1)
            )
        else:
            value = f"hidden_{layer}"
            nodes.append(helper.make_node("Relu", [sums], [value], name=f"relu_{layer}"))

    tensor = lambda name, size: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", size])
    graph = helper.make_graph(
        nodes,
        "mlp",
        [tensor("image", SIZES[0])],
        [tensor("probabilities", SIZES[-1])],
        initializers,
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="tensorlet"
    )
    model.ir_version = IR_VERSION
    checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)


def cases(model):
    """Yields the name and the parts of every case, as `references.write` takes them."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    for rows in [1, 3, 8]:
        case = {
            "generator": "splitmix64",
            "datum_type": "f32",
            "dims": [rows, SIZES[0]],
            "seed": 100 + rows,
            "low": 0.0,
            "high": 1.0,
        }
        image = references.generate(case["seed"], case["low"], case["high"], case["dims"])
        [probabilities] = session.run(None, {"image": image})
        assert np.ptp(probabilities, axis=1).min() > 0.05, "classes must differ"
        assert rows == 1 or np.ptp(probabilities, axis=0).max() > 0.01, "rows must differ"
        yield f"batch-{rows}", {
            "description": {"inputs": {"image": case}},
            "outputs": {"probabilities": probabilities},
        }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    checking = parser.parse_args().check

    model = make()
    digest = hashlib.sha256(model).hexdigest()
    if checking:
        assert (FOLDER / "model.onnx").read_bytes() == model, "model.onnx differs"
        expected = tomllib.loads((FOLDER / "model.toml").read_text("utf-8"))["sha256"]
        assert digest == expected, f"model.toml: its SHA-256 is not {digest}"
    else:
        (FOLDER / "model.onnx").write_bytes(model)
        shutil.rmtree(FOLDER / "reference", ignore_errors=True)
    print(f"model.onnx: {len(model)} bytes, SHA-256 {digest}")
    for name, parts in cases(model):
        (references.check if checking else references.write)(FOLDER / "reference" / name, parts)
        print(f"mlp/{name}")


if __name__ == "__main__":
    main()
