// Measures ONNX Runtime Web in node, on one thread: one process, one model, one size of inputs.
//
//     ort_web.mjs DIR MODEL.onnx ITERATIONS NAME:TYPE[DIMS][=VALUE]...
//
// DIR holds node_modules/onnxruntime-web. Prints the figures of `tensorlet bench --json` as one line of JSON.
// `cargo xtask bench` calls it.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { performance } from "node:perf_hooks";
import process from "node:process";

// V8 compiles WebAssembly quickly at first and replaces it by better code while it runs; that takes this time.
const warmUpMs = 2000;

const [dir, model, iterationsText, ...inputTexts] = process.argv.slice(2);
const iterations = Number(iterationsText);
const ort = createRequire(resolve(dir, "from-here.js"))("onnxruntime-web");

/** The generator mulberry32: numbers in [0, 1), the same in every run. */
function generator(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let bits = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Returns the name and the value of an input given as NAME:TYPE[DIMS] or NAME:TYPE[DIMS]=VALUE. */
function makeInput(text, random) {
  const [, name, type, dimsText, value] = text.match(/^(.+):(\w+)\[([\d,]*)\](?:=(.+))?$/);
  const dims = dimsText.split(",").filter(Boolean).map(Number);
  const length = dims.reduce((product, dim) => product * dim, 1);
  const integer = () => (value === undefined ? Math.floor(random() * 256) : Number(value));
  const real = () => (value === undefined ? random() * 2 - 1 : Number(value));
  switch (type) {
    case "f32":
      return [name, new ort.Tensor("float32", Float32Array.from({ length }, real), dims)];
    case "i32":
      return [name, new ort.Tensor("int32", Int32Array.from({ length }, integer), dims)];
    case "i64":
      return [name, new ort.Tensor("int64", BigInt64Array.from({ length }, () => BigInt(integer())), dims)];
    default:
      throw new Error(`expected the type f32, i32 or i64, found ${type}`);
  }
}

function median(sorted) {
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

ort.env.wasm.numThreads = 1;
ort.env.logLevel = "error";
const random = generator(1);
const inputs = Object.fromEntries(inputTexts.map((text) => makeInput(text, random)));

// WebAssembly is compiled here too, as there is nothing that a process could keep for the next.
let start = performance.now();
const session = await ort.InferenceSession.create(readFileSync(model), { executionProviders: ["wasm"] });
const loadMs = performance.now() - start;

async function predict() {
  start = performance.now();
  await session.run(inputs);
  return performance.now() - start;
}

const firstMs = await predict();
const warm = iterations > 1 ? performance.now() + warmUpMs : 0;
while (performance.now() < warm) await predict();
const times = [];
for (let i = 0; i < iterations; i++) times.push(await predict());
times.sort((a, b) => a - b);
console.log(
  JSON.stringify({
    load_ms: loadMs,
    first_ms: firstMs,
    min_ms: times[0],
    median_ms: median(times),
    p99_ms: times[Math.min(iterations - 1, Math.floor((iterations * 99) / 100))],
    rss_bytes: process.memoryUsage().rss,
  }),
);
