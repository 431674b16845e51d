"""Makes the broken, awkward and greedy models of the error tests in tests/fixtures/.

    pip install -r models/requirements.txt
    python models/hostile.py

Every file is tiny and the same in each run. `tests/fixtures/README.md` says what each is for.
The models in VALID are run once with ONNX Runtime, and those in INVALID must be refused by it.
Symbolic links do not travel well, so the test of a link that leads out of the folder makes it
itself: a copy of `external-ok/` whose `weights.bin` is a link to a file elsewhere.
"""

from pathlib import Path

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

FIXTURES = Path(__file__).parent.parent / "tests" / "fixtures"
OPSET = 17
IR_VERSION = 8
FLOAT = TensorProto.FLOAT

# Inputs to try each valid model with.
VALID = {
    "add": {"a": np.ones((2, 4), np.float32), "b": np.ones((2, 4), np.float32)},
    "matmul-symbols": {"x": np.ones((2, 3, 8), np.float32)},
    "external-ok/model": {"x": np.ones((2, 4), np.float32)},
    "slow": {"x": np.full((16, 16), 1 / 16, np.float32)},
    "hungry": {"x": np.arange(5, dtype=np.float32)},
    "mixed-types": {
        "i64": np.array([-1, 2**40], np.int64),
        "bool": np.array([True, False]),
        "u8": np.array([0, 255], np.uint8),
        "f16": np.array([0.5, -2.0], np.float16),
        "f64": np.array([0.1, 1e300], np.float64),
    },
    "no-inputs": {},
    "weird-names": {"a/b:0": np.ones((2, 2), np.float32)},
    "scalar": {"x": np.array(1.5, np.float32)},
    "string-input": {"text": np.array(["a", "b"], object)},
}
INVALID = [
    "truncated",
    "not-onnx",
    "empty",
    "unknown-operator",
    "unknown-domain",
    "opset-99",
    "external-missing/model",
    "external-escape/model",
    "external-absolute/model",
    "external-short/model",
    "cycle",
    "undefined-input",
    "duplicate-output",
    "bad-shapes",
    "overflow-dims",
]


def value(name, *dims, datum_type=FLOAT):
    return helper.make_tensor_value_info(name, datum_type, list(dims))


def constant(name, array):
    return numpy_helper.from_array(np.asarray(array), name)


def node(operator, inputs, outputs, name=None, **attributes):
    return helper.make_node(operator, inputs, outputs, name=name or outputs[0], **attributes)


def model(nodes, inputs, outputs, initializers=(), opset=OPSET, domains=()):
    graph = helper.make_graph(nodes, "hostile", inputs, outputs, list(initializers))
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(name, 1) for name in domains)]
    made = helper.make_model(graph, opset_imports=opsets, producer_name="tensorlet")
    made.ir_version = IR_VERSION
    return made


def ramp(*dims):
    """Returns small numbers that differ: 0, 1/8, 2/8, …"""
    return (np.arange(np.prod(dims), dtype=np.float32) / 8).reshape(dims)


# Not ONNX, or not a whole one


def truncated():
    whole = matmul_symbols().SerializeToString()
    return whole[: len(whole) * 2 // 3]


def not_onnx():
    return b"This is a line of text and not a model.\n"


def empty():
    return b""


# Operators and versions


def unknown_operator():
    flux = node("FluxCapacitor", ["x"], ["y"], name="mystery", gigawatts=1.21)
    return model([flux], [value("x", "N", 4)], [value("y", "N", 4)])


def unknown_domain():
    flux = node("Mystery", ["x"], ["y"], name="mystery", domain="com.example")
    return model([flux], [value("x", "N", 4)], [value("y", "N", 4)], domains=["com.example"])


def opset(version):
    return lambda: model(
        [node("Relu", ["x"], ["y"])], [value("x", "N", 4)], [value("y", "N", 4)], opset=version
    )


def opset_1():
    """Opset 1's `Add`: the second operand is broadcast only if an attribute says so."""
    add = node("Add", ["x", "b"], ["y"], broadcast=1, axis=1)
    return model(
        [add], [value("x", "N", 4)], [value("y", "N", 4)], [constant("b", ramp(4))], opset=1
    )


# External data


def external(location, offset=0, length=48):
    """`y = x @ W + b` with W in the file `location`, at `offset`, and b behind it."""
    tensors = []
    for name, dims, start, size in [("W", [4, 3], offset, length), ("b", [3], offset + 64, 12)]:
        tensor = TensorProto(name=name, data_type=FLOAT, dims=dims)
        tensor.data_location = TensorProto.EXTERNAL
        for key, entry in [("location", location), ("offset", start), ("length", size)]:
            tensor.external_data.add(key=key, value=str(entry))
        tensors.append(tensor)
    nodes = [node("MatMul", ["x", "W"], ["product"]), node("Add", ["product", "b"], ["y"])]
    return model(nodes, [value("x", "N", 4)], [value("y", "N", 3)], tensors)


def external_weights():
    """W at 0, 16 zeros, b at 64."""
    return ramp(4, 3).tobytes() + bytes(16) + np.array([-1, 0, 1], np.float32).tobytes()


# Graphs that contradict themselves


def cycle():
    nodes = [node("Add", ["x", "back"], ["sum"]), node("Relu", ["sum"], ["back"])]
    return model(nodes, [value("x", "N", 4)], [value("sum", "N", 4)])


def undefined_input():
    nodes = [node("Add", ["x", "nowhere"], ["y"])]
    return model(nodes, [value("x", "N", 4)], [value("y", "N", 4)])


def duplicate_output():
    nodes = [node("Relu", ["x"], ["y"], name="first"), node("Neg", ["x"], ["y"], name="second")]
    return model(nodes, [value("x", "N", 4)], [value("y", "N", 4)])


def bad_shapes():
    nodes = [node("MatMul", ["a", "b"], ["y"], name="mismatch")]
    return model(nodes, [value("a", 2, 3), value("b", 4, 5)], [value("y", 2, 5)])


# Too much of something


def huge_dims():
    """2^40 elements of f32, 4 TiB, from a shape of two numbers."""
    shape = constant("shape", np.array([2**20, 2**20], np.int64))
    nodes = [
        node("ConstantOfShape", ["shape"], ["huge"]),
        node("ReduceSum", ["huge"], ["total"], keepdims=0),
        node("Add", ["x", "total"], ["y"]),
    ]
    return model(nodes, [value("x", "N")], [value("y", "N")], [shape])


def overflow_dims():
    """An initializer whose dims multiply to 2^65, which is 0 in 64 bits, and that holds no data."""
    tensor = TensorProto(name="W", data_type=FLOAT, dims=[2**33, 2**32])
    tensor.raw_data = b""
    nodes = [node("MatMul", ["x", "W"], ["y"])]
    return model(nodes, [value("x", "N", 2**33)], [value("y", "N", 2**32)], [tensor])


def endless_loop():
    """A `Loop` of 2^63 - 1 turns that adds 1 in each."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["going"], ["goes_on"]),
            helper.make_node("Add", ["carried", "one"], ["next"]),
        ],
        "turn",
        [
            value("turn", datum_type=TensorProto.INT64),
            value("going", datum_type=TensorProto.BOOL),
            value("carried", "N"),
        ],
        [value("goes_on", datum_type=TensorProto.BOOL), value("next", "N")],
        [constant("one", np.float32(1))],
    )
    return model(
        [node("Loop", ["turns", "true", "x"], ["y"], name="forever", body=body)],
        [value("x", "N")],
        [value("y", "N")],
        [constant("turns", np.int64(2**63 - 1)), constant("true", np.bool_(True))],
    )


def slow():
    """64 products with `x`: 64 × 2 N³ operations. If all of `x` is 1/N, so is `y`."""
    nodes, last = [], "x"
    for turn in range(64):
        name = "y" if turn == 63 else f"power{turn + 2}"
        nodes.append(node("MatMul", [last, "x"], [name]))
        last = name
    return model(nodes, [value("x", "N", "N")], [value("y", "N", "N")])


def hungry():
    """`y[i] = max over j of (x[i] + x[j])` by way of an N × N tensor of all sums: 4 N² bytes."""
    nodes = [
        node("Unsqueeze", ["x", "one"], ["column"]),
        node("Unsqueeze", ["x", "zero"], ["row"]),
        node("Add", ["column", "row"], ["sums"]),
        node("ReduceMax", ["sums"], ["y"], axes=[1], keepdims=0),
    ]
    axes = [constant("zero", np.array([0], np.int64)), constant("one", np.array([1], np.int64))]
    return model(nodes, [value("x", "N")], [value("y", "N")], axes)


# Awkward but right


def add():
    return model(
        [node("Add", ["a", "b"], ["sum"])],
        [value("a", "N", 4), value("b", "N", 4)],
        [value("sum", "N", 4)],
    )


def no_kernel():
    """The indices of the elements of `-x` that are not 0, as floats: how many there are only the data decides."""
    return model(
        [
            node("Neg", ["x"], ["negative"], name="negate"),
            node("NonZero", ["negative"], ["indices"], name="find"),
            node("Cast", ["indices"], ["y"], name="convert", to=FLOAT),
        ],
        [value("x", "N", 4)],
        [value("y", 2, "K")],
    )


def matmul_symbols():
    return model(
        [node("MatMul", ["x", "W"], ["y"])],
        [value("x", "batch", "sequence", 8)],
        [value("y", "batch", "sequence", 4)],
        [constant("W", ramp(8, 4))],
    )


def mixed_types():
    """Each input as it is (`<name>_same`) and as another type (`<name>_as_<type>`)."""
    types = {
        "i64": (TensorProto.INT64, "i32", TensorProto.INT32),
        "bool": (TensorProto.BOOL, "u8", TensorProto.UINT8),
        "u8": (TensorProto.UINT8, "f32", FLOAT),
        "f16": (TensorProto.FLOAT16, "f32", FLOAT),
        "f64": (TensorProto.DOUBLE, "f32", FLOAT),
    }
    nodes, inputs, outputs = [], [], []
    for name, (own, other_name, other) in types.items():
        same, cast = f"{name}_same", f"{name}_as_{other_name}"
        nodes += [node("Identity", [name], [same]), node("Cast", [name], [cast], to=other)]
        inputs.append(value(name, "N", datum_type=own))
        outputs += [value(same, "N", datum_type=own), value(cast, "N", datum_type=other)]
    return model(nodes, inputs, outputs)


def no_inputs():
    nodes = [node("Neg", ["c"], ["y"])]
    return model(nodes, [], [value("y", 2, 2)], [constant("c", ramp(2, 2))])


def weird_names():
    nodes = [node("Neg", ["a/b:0"], ["../out put"], name="a node/with: a name")]
    return model(nodes, [value("a/b:0", "N", 2)], [value("../out put", "N", 2)])


def scalar():
    nodes = [node("Add", ["x", "one"], ["y"])]
    return model(nodes, [value("x")], [value("y")], [constant("one", np.float32(1))])


def string_input():
    string = TensorProto.STRING
    return model(
        [node("Identity", ["text"], ["same"])],
        [value("text", "N", datum_type=string)],
        [value("same", "N", datum_type=string)],
    )


# Files

FILES = {
    "truncated.onnx": truncated,
    "not-onnx.onnx": not_onnx,
    "empty.onnx": empty,
    "unknown-operator.onnx": unknown_operator,
    "unknown-domain.onnx": unknown_domain,
    "opset-99.onnx": opset(99),
    "opset-1.onnx": opset_1,
    "external-missing/model.onnx": lambda: external("weights.bin"),
    "external-escape/model.onnx": lambda: external("../../secret.bin"),
    "external-absolute/model.onnx": lambda: external("/etc/passwd"),
    "external-ok/model.onnx": lambda: external("weights.bin"),
    "external-ok/weights.bin": external_weights,
    "external-short/model.onnx": lambda: external("weights.bin", offset=1 << 20),
    "external-short/weights.bin": external_weights,
    "cycle.onnx": cycle,
    "undefined-input.onnx": undefined_input,
    "duplicate-output.onnx": duplicate_output,
    "bad-shapes.onnx": bad_shapes,
    "huge-dims.onnx": huge_dims,
    "overflow-dims.onnx": overflow_dims,
    "endless-loop.onnx": endless_loop,
    "slow.onnx": slow,
    "hungry.onnx": hungry,
    "add.onnx": add,
    "no-kernel.onnx": no_kernel,
    "matmul-symbols.onnx": matmul_symbols,
    "mixed-types.onnx": mixed_types,
    "no-inputs.onnx": no_inputs,
    "weird-names.onnx": weird_names,
    "scalar.onnx": scalar,
    "string-input.onnx": string_input,
}


def session(name):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(
        FIXTURES / f"{name}.onnx", options, providers=["CPUExecutionProvider"]
    )


def main():
    total = 0
    for name, make in FILES.items():
        made = make()
        content = made if isinstance(made, bytes) else made.SerializeToString(deterministic=True)
        path = FIXTURES / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        total += len(content)
    print(f"{len(FILES)} files, {total} bytes")

    for name, inputs in VALID.items():
        outputs = session(name).run(None, inputs)
        dims = [output.shape for output in outputs]
        print(f"{name}: runs, dims {dims}")
    for name in INVALID:
        try:
            session(name)
        except Exception as error:
            print(f"{name}: refused, {str(error).strip().splitlines()[0][:90]}")
        else:
            raise AssertionError(f"{name} is not refused")


if __name__ == "__main__":
    main()
