"""Runs a component in the Wasmtime of PyPI's package `wasmtime`, and compares its answers with ONNX Runtime's.

    python3 tests/stock-host/host.py magika.wasm models/magika/reference/batch-3

Another language, another binding and mostly another release than that of `tests/stock-host`. Nothing is linked: the component imports
nothing. Needs `wasmtime` and `numpy`.
"""

import sys
from importlib.metadata import version
from pathlib import Path

import numpy
import wasmtime
from wasmtime import component

PREDICT = "tensorlet:model/predict@0.1.0"

# The largest difference that is allowed.
TOLERANCE = 1e-4


def record(**fields):
    """A record; underscores stand for hyphens."""
    value = component.Record()
    for name, field in fields.items():
        setattr(value, name.replace("_", "-"), field)
    return value


def main(path, case):
    engine = wasmtime.Engine()
    store = wasmtime.Store(engine)
    compiled = component.Component.from_file(engine, path)
    imports = compiled.type.imports(engine)
    assert not imports, f"expected a component that imports nothing, found {list(imports)}"
    instance = component.Linker(engine).instantiate(store, compiled)
    interface = instance.get_export_index(store, PREDICT)

    def call(name, *arguments):
        function = instance.get_func(store, instance.get_export_index(store, name, interface))
        result = function(store, *arguments)
        function.post_return(store)
        return result

    description = call("describe")
    inputs = []
    for spec in description.inputs:
        array = numpy.load(case / "inputs" / f"{spec.name}.npy")
        tensor = record(
            datum_type=getattr(spec, "datum-type"),
            dims=list(array.shape),
            data=array.tobytes(),
        )
        inputs.append(record(name=spec.name, tensor=tensor))
    result = call("predict", inputs)
    outputs = result if isinstance(result, list) else result.payload
    assert isinstance(outputs, list), f"expected outputs, found {outputs}"
    for output in outputs:
        expected = numpy.load(case / "outputs" / f"{output.name}.npy")
        found = numpy.frombuffer(output.tensor.data, expected.dtype).reshape(output.tensor.dims)
        assert found.shape == expected.shape, f"expected {expected.shape}, found {found.shape}"
        worst = float(numpy.abs(found - expected).max())
        host = f"wasmtime {version('wasmtime')}"
        print(f"{host}, {description.name}, {output.name}: differs by {worst:.1e}")
        assert worst <= TOLERANCE, f"expected at most {TOLERANCE}"


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
