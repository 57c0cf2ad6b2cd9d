"""Exact search of faiss. argv is a JSON object: `items` and `queries` (files of float32 rows), `dims`, `k`, `threads`. Prints
a line of JSON when the index is ready, and one after each line of input, for which it searches all queries."""

import json
import resource
import sys
import time

import faiss
import numpy

o = json.loads(sys.argv[1])
faiss.omp_set_num_threads(o["threads"])


def say(since, **figures):
    wall, busy = since
    figures["seconds"] = time.perf_counter() - wall
    figures["cpuSeconds"] = time.process_time() - busy
    figures["rssMb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(figures), flush=True)


def now():
    return time.perf_counter(), time.process_time()


started = now()
index = faiss.IndexFlatIP(o["dims"])
rows = numpy.memmap(o["items"], dtype=numpy.float32, mode="r").reshape(-1, o["dims"])
for first in range(0, len(rows), 65536):
    index.add(numpy.ascontiguousarray(rows[first : first + 65536]))
queries = numpy.fromfile(o["queries"], dtype=numpy.float32).reshape(-1, o["dims"])
say(started)
for _ in sys.stdin:
    started = now()
    scores, _found = index.search(queries, o["k"])
    say(started, meanScore=float(scores.mean()))
