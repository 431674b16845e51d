"""Makes the reference inputs, outputs and answers of the models with ONNX Runtime.

    pip install -r models/requirements.txt
    python models/references.py           # writes models/<name>/reference/
    python models/references.py --check   # computes again and compares, writes nothing

`README.md` beside this file says what the written files hold. The preprocessing here is a
plain imitation of the one described there, so it doubles as its definition in code.
"""

import argparse
import hashlib
import json
import re
import shutil
import sys
import tomllib
import wave
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image

MODELS = Path(__file__).parent
SAMPLES = MODELS / "samples"
FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}
WHITE_SPACE = b" \t\n\r\x0b\x0c"
# What --check allows, as numpy.testing.assert_allclose(rtol, atol).
TOLERANCE = {"rtol": 1e-4, "atol": 1e-5}


class Model:
    """A folder of models/: its model.toml, its labels and a session of its model.onnx."""

    def __init__(self, name):
        self.folder = MODELS / name
        self.manifest = tomllib.loads((self.folder / "model.toml").read_text("utf-8"))
        file = self.folder / self.manifest["file"]
        if hashlib.sha256(file.read_bytes()).hexdigest() != self.manifest["sha256"]:
            sys.exit(f"{file}: its SHA-256 is not the one in model.toml")

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        # The graph as written: no fusion, no approximation that another runtime would not make.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        self.session = onnxruntime.InferenceSession(
            file, options, providers=["CPUExecutionProvider"]
        )
        self.outputs = [output.name for output in self.session.get_outputs()]
        types = {input.name: input.type for input in self.session.get_inputs()}
        self.bound = {
            name: np.array(value, {"tensor(int64)": np.int64, "tensor(float)": np.float32}[types[name]])
            for name, value in self.manifest.get("bind", {}).items()
        }
        labels = self.manifest["postprocess"].get("labels")
        self.labels = labels and (self.folder / labels).read_text("utf-8").splitlines()

    def run(self, inputs):
        return dict(zip(self.outputs, self.session.run(None, inputs | self.bound)))


# Generated inputs


def generate(seed, low, high, dims):
    """Returns the f32 tensor that README.md calls `splitmix64`."""
    count = int(np.prod(dims, dtype=np.uint64))
    with np.errstate(over="ignore"):
        z = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(seed)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    unit = (z >> np.uint64(40)).astype(np.float32) / np.float32(1 << 24)
    low, high = np.float32(low), np.float32(high)
    return (unit * (high - low) + low).reshape(dims)


# Preprocessing


def preprocess_picture(settings, path):
    picture = Image.open(path).convert("RGB")
    if "crop" in settings:
        side = int(settings["crop"] * min(picture.size) + 0.5)
        left = (picture.width - side) // 2
        top = (picture.height - side) // 2
        picture = picture.crop((left, top, left + side, top + side))
    picture = picture.resize((settings["width"], settings["height"]), FILTERS[settings["filter"]])

    values = np.asarray(picture).astype(np.float32)
    if settings["channels"] == "bgr":
        values = values[:, :, ::-1]
    values = (values - np.float32(settings["mean"])) * np.float32(settings["scale"])
    if settings["layout"] == "nchw":
        values = values.transpose(2, 0, 1)
    return np.ascontiguousarray(values[None])


def preprocess_bytes(settings, content):
    block = settings["block"]
    begin = content[:block].lstrip(WHITE_SPACE)[: settings["begin"]]
    end = content[max(0, len(content) - block) :].rstrip(WHITE_SPACE)
    end = end[max(0, len(end) - settings["end"]) :]
    padding = [settings["padding"]]
    return np.array(
        [
            *begin,
            *padding * (settings["begin"] - len(begin)),
            *padding * (settings["end"] - len(end)),
            *end,
        ],
        np.int32,
    )[None]


def preprocess_audio(settings, path):
    """Returns one input a chunk: `context` samples of what came before, then the chunk."""
    with wave.open(str(path)) as file:
        assert file.getframerate() == settings["sample_rate"]
        assert file.getnchannels() == 1 and file.getsampwidth() == 2
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    chunk, context = settings["chunk"], settings["context"]
    steps = -(-len(samples) // chunk)
    padded = np.zeros(context + steps * chunk, np.float32)
    padded[context : context + len(samples)] = samples.astype(np.float32) / np.float32(32768)
    return [padded[None, step * chunk : (step + 1) * chunk + context] for step in range(steps)]


# Postprocessing


def best_labels(model, output, texts):
    """Returns the best label of each row and its score. `texts`: is the row's file text?"""
    settings = model.manifest["postprocess"]
    answer = {"labels": [], "scores": []}
    for scores, text in zip(output, texts):
        best = int(np.argmax(scores))
        label, score = model.labels[best], float(scores[best])
        default = settings.get("default_threshold", 0.0)
        if score < settings.get("thresholds", {}).get(label, default):
            label = settings["fallback_text" if text else "fallback_bytes"]
        label = settings.get("rename", {}).get(label, label)
        answer["labels"].append(label)
        answer["scores"].append(round(score, 4))
    return answer


def speech_segments(model, scores):
    """Returns [start, end] in seconds of each longest run of chunks that reach the threshold."""
    settings = model.manifest["preprocess"]
    seconds = settings["chunk"] / settings["sample_rate"]
    speech = [score >= model.manifest["postprocess"]["threshold"] for score in scores]
    edges = np.flatnonzero(np.diff([False, *speech, False]))
    return (edges.reshape(-1, 2) * seconds).round(3).tolist()


# Cases. Each returns the parts of a case's folder: description, inputs, outputs, answer.


def generated_case(model, dims, seed, low=-1.0, high=1.0):
    name = model.manifest["preprocess"]["input"]
    description = {
        "generator": "splitmix64",
        "datum_type": "f32",
        "dims": dims,
        "seed": seed,
        "low": low,
        "high": high,
    }
    outputs = model.run({name: generate(seed, low, high, dims)})
    return {"description": {"inputs": {name: description}}, "outputs": outputs}


def picture_case(model, sample, expected):
    inputs = {
        model.manifest["preprocess"]["input"]: preprocess_picture(
            model.manifest["preprocess"], SAMPLES / sample
        )
    }
    outputs = model.run(inputs)
    answer = best_labels(model, outputs[model.manifest["postprocess"]["output"]], [False])
    assert answer["labels"] == [expected], (sample, answer)
    return {"inputs": inputs, "outputs": outputs, "answer": {"samples": [sample]} | answer}


def bytes_case(model, expected):
    """`expected`: file under samples/ -> label; None -> label of 3000 random bytes."""
    random = np.random.default_rng(2048).bytes(3000)
    contents = [(SAMPLES / name).read_bytes() if name else random for name in expected]
    rows = [preprocess_bytes(model.manifest["preprocess"], content) for content in contents]
    inputs = {model.manifest["preprocess"]["input"]: np.concatenate(rows)}
    outputs = model.run(inputs)
    texts = [is_utf8(content) for content in contents]
    answer = best_labels(model, outputs[model.manifest["postprocess"]["output"]], texts)
    assert answer["labels"] == list(expected.values()), answer
    return {"inputs": inputs, "outputs": outputs, "answer": {"samples": list(expected)} | answer}


def is_utf8(content):
    try:
        content.decode("utf-8")
        return True
    except UnicodeDecodeError:
        return False


def stream_case(model, sample, steps, expected):
    settings = model.manifest["preprocess"]
    chunks = preprocess_audio(settings, SAMPLES / sample)
    state = {name: np.zeros(dims, np.float32) for name, dims in settings["state_dims"].items()}
    taken = []
    for chunk in chunks:
        taken.append(model.run({settings["input"]: chunk} | state))
        state = {input: taken[-1][output] for input, output in settings["state"].items()}

    scores = [float(one[model.manifest["postprocess"]["output"]].reshape(())) for one in taken]
    segments = speech_segments(model, scores)
    assert segments == expected, segments
    return {
        "description": {"steps": steps},
        "inputs": {settings["input"]: np.stack(chunks[:steps])},
        "outputs": {name: np.stack([one[name] for one in taken[:steps]]) for name in model.outputs},
        "answer": {"samples": [sample], "segments": segments},
    }


def cases():
    """Yields the model, the name and the parts of every case."""
    model = Model("efficientnet-lite0")
    for rows in [1, 3, 8]:
        yield model, f"batch-{rows}", generated_case(model, [rows, 3, 224, 224], seed=rows)
    yield model, "coffee", picture_case(model, "coffee.png", "espresso")
    yield model, "rocket", picture_case(model, "rocket.jpg", "missile")

    model = Model("magika")
    yield model, "batch-1", bytes_case(model, {"shapes.rs": "rust"})
    three = {"settings.toml": "toml", "guide.md": "markdown", "coffee.png": "png"}
    yield model, "batch-3", bytes_case(model, three)
    more = {"primes.py": "python", "rocket.jpg": "jpeg", "speech.wav": "wav", None: "unknown"}
    yield model, "batch-8", bytes_case(model, {"shapes.rs": "rust"} | three | more)

    model = Model("ppocr-cls")
    yield model, "width-192", generated_case(model, [1, 3, 48, 192], seed=192)
    yield model, "width-320", generated_case(model, [2, 3, 48, 320], seed=320)
    yield model, "line-0", picture_case(model, "line-0.png", "0")
    yield model, "line-180", picture_case(model, "line-180.png", "180")

    model = Model("silero-vad")
    spoken = [[0.32, 2.4], [3.136, 4.512]]
    yield model, "stream", stream_case(model, "speech.wav", 20, spoken)


# Files


def file_name(name):
    """Returns the file that holds the tensor `name`."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", name) + ".npy"


def write_json(path, value):
    path.write_text(json.dumps(value, indent=2) + "\n", "utf-8")


def write(folder, parts):
    folder.mkdir(parents=True)
    if "description" in parts:
        write_json(folder / "case.json", parts["description"])
    if "answer" in parts:
        write_json(folder / "answer.json", parts["answer"])
    for kind in ["inputs", "outputs"]:
        for name, value in parts.get(kind, {}).items():
            (folder / kind).mkdir(exist_ok=True)
            np.save(folder / kind / file_name(name), np.ascontiguousarray(value))


def check(folder, parts):
    for kind, file in [("description", "case.json"), ("answer", "answer.json")]:
        if kind in parts:
            stored = json.loads((folder / file).read_text("utf-8"))
            # Scores are compared as outputs, within the tolerance.
            strip = lambda value: {key: value[key] for key in value if key != "scores"}
            assert strip(stored) == strip(parts[kind]), f"{folder / file} differs"
    for kind in ["inputs", "outputs"]:
        for name, value in parts.get(kind, {}).items():
            stored = np.load(folder / kind / file_name(name), allow_pickle=False)
            assert stored.dtype == value.dtype and stored.shape == value.shape, f"{folder}: {name}"
            np.testing.assert_allclose(value, stored, **TOLERANCE, err_msg=f"{folder}: {name}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    checking = parser.parse_args().check

    cleared = set()
    for model, name, parts in cases():
        reference = model.folder / "reference"
        if not checking and reference not in cleared:
            shutil.rmtree(reference, ignore_errors=True)
            cleared.add(reference)
        (check if checking else write)(reference / name, parts)
        print(f"{model.folder.name}/{name}: {parts.get('answer', 'numbers only')}")


if __name__ == "__main__":
    main()
