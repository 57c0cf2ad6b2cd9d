"""BLaIR's pretraining step as its official code takes it, with Hugging Face's RoBERTa: the peer of `npm run bench -- pretraining`.

argv: {"config": config.json of a RoBERTa model, "pairs", "length", "threads", "mlmWeight", "device" [cpu]}. Then on stdin, a line of JSON each:
{"steps": n}, answered by {"ms": [n], "losses": [n]}. Two passes: texts as they are for the contrastive loss over CLS, dense
and tanh; and masked, for the LM head over all positions.
"""

import json
import sys
import time

import torch
from torch.nn import functional as F
from transformers import RobertaConfig, RobertaForMaskedLM

spec = json.loads(sys.argv[1])
torch.set_num_threads(spec["threads"])
torch.manual_seed(0)
config = RobertaConfig(**spec["config"])
device = spec.get("device") or "cpu"
model = RobertaForMaskedLM(config).train().to(device)
head = torch.nn.Linear(config.hidden_size, config.hidden_size, device=device)
optimizer = torch.optim.AdamW([*model.parameters(), *head.parameters()], lr=5e-5, weight_decay=0.0)
pairs, length, vocabulary = spec["pairs"], spec["length"], config.vocab_size


def step():
    ids = torch.randint(4, vocabulary - 1, (2 * pairs, length), device=device)
    ids[:, 0], ids[:, -1] = 0, 2
    chosen = torch.rand(ids.shape, device=device) < 0.15
    labels = torch.where(chosen, ids, -100)
    masked = torch.where(chosen & (torch.rand(ids.shape, device=device) < 0.8), vocabulary - 1, ids)
    optimizer.zero_grad()
    cls = model.roberta(ids).last_hidden_state[:, 0]
    vectors = F.normalize(torch.tanh(head(cls)), dim=-1)
    logits = vectors[:pairs] @ vectors[pairs:].t() / 0.05
    contrastive = F.cross_entropy(logits, torch.arange(pairs, device=device))
    scores = model.lm_head(model.roberta(masked).last_hidden_state)
    mlm = F.cross_entropy(scores.view(-1, vocabulary), labels.view(-1))
    loss = contrastive + spec["mlmWeight"] * mlm
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return loss.item()


for line in sys.stdin:
    times, losses = [], []
    for _ in range(json.loads(line)["steps"]):
        start = time.perf_counter()
        losses.append(step())
        times.append((time.perf_counter() - start) * 1e3)
    print(json.dumps({"ms": times, "losses": losses}), flush=True)
