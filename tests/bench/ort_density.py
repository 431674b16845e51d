"""Measures what sessions of ONNX Runtime take while they are idle: as many as asked, of one model, in one process.

    ort_density.py MODEL.onnx N,N,... NAME:TYPE[DIMS][=VALUE]...

Prints what `tensorlet-native-bench density` prints of instances, as one line of JSON. `cargo xtask bench` calls it.
"""

import json
import sys

from peer import make_inputs, make_session, memory_bytes

# How often each session predicts: what only the first call touches is not all that there is.
CALLS = 2

STATUS = "/proc/self/status"
ROLLUP = "/proc/self/smaps_rollup"


def main():
    model, counts, *inputs = sys.argv[1:]
    inputs = make_inputs(inputs)
    sessions = []
    samples = []
    for count in map(int, counts.split(",")):
        while len(sessions) < count:
            session = make_session(model, threads=1)
            for _ in range(CALLS):
                session.run(None, inputs)
            sessions.append(session)
        samples.append({
            "instances": count,
            "rss_bytes": memory_bytes(STATUS, "VmRSS"),
            "anonymous_bytes": memory_bytes(STATUS, "RssAnon"),
            "file_bytes": memory_bytes(STATUS, "RssFile"),
            "shared_bytes": memory_bytes(STATUS, "RssShmem"),
            "pss_bytes": memory_bytes(ROLLUP, "Pss"),
            "page_table_bytes": memory_bytes(STATUS, "VmPTE"),
        })
    print(json.dumps(samples))


main()
