"""Matrix products of PyTorch (MKL on x86): for every line {"shape": [m, k, n], "repeats": r}, the milliseconds of each.

The specification in argv is {"threads": t}.
"""

import json
import sys
import time

import torch

torch.set_num_threads(json.loads(sys.argv[1])["threads"])
for line in sys.stdin:
    command = json.loads(line)
    m, k, n = command["shape"]
    a, b, out = torch.rand(m, k), torch.rand(k, n), torch.empty(m, n)
    times = []
    for _ in range(command["repeats"]):
        started = time.perf_counter()
        torch.mm(a, b, out=out)
        times.append((time.perf_counter() - started) * 1e3)
    print(json.dumps({"ms": times}), flush=True)
