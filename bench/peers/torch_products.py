"""Matrix products of PyTorch (MKL on x86, cuBLAS on cards): for every line {"shape": [m, k, n], "repeats": r}, the milliseconds of each.

The specification in argv is {"threads": t, "device" [cpu]}.
"""

import json
import sys
import time

import torch

spec = json.loads(sys.argv[1])
torch.set_num_threads(spec["threads"])
device = spec.get("device", "cpu")
wait = torch.cuda.synchronize if device == "cuda" else lambda: None
for line in sys.stdin:
    command = json.loads(line)
    m, k, n = command["shape"]
    a, b, out = (torch.rand(rows, columns, device=device) for rows, columns in ((m, k), (k, n), (m, n)))
    wait()
    times = []
    for _ in range(command["repeats"]):
        started = time.perf_counter()
        torch.mm(a, b, out=out)
        wait()
        times.append((time.perf_counter() - started) * 1e3)
    print(json.dumps({"ms": times}), flush=True)
