"""Training steps of the four models in plain PyTorch, as RecBole writes them: the peer of `npm run bench -- steps`.

argv: {"model", "items", "length", "textDims", "settings", "threads", "learningRate", "tuned", "device" [cpu]}. Then, a line of JSON each on stdin:
  {"texts": [[x]]}                                                                 frozen text vectors [items, textDims]
  {"randomTexts": true}                                                            the same, drawn here
  {"batches": [{"history": [[id]], "positions": [flat] or null, "target": [id]}]}  what steps go round
  {"parameters": {name: {"shape", "values"}}}                                      start from these (rec's names and layout)
  {"steps": n}                                                   answers {"ms": [n], "losses": [n], "cpuMs": of all threads}
Null positions are all of them. "tuned" takes what PyTorch offers beyond the plain form: fused attention and fused Adam.
"""

import json
import math
import re
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

# Matrices that have the same layout on both sides.
ALIKE = ("item.weight", "transformer.position.weight")


class Block(nn.Module):
    def __init__(self, settings, tuned):
        super().__init__()
        d, inner = settings["hiddenSize"], settings["innerSize"]
        self.heads, self.tuned = settings["heads"], tuned
        self.attention_rate = settings["attentionDropout"]
        self.query, self.key, self.value, self.out = (nn.Linear(d, d) for _ in range(4))
        self.attention_norm = nn.LayerNorm(d, eps=1e-12)
        self.inner, self.outer = nn.Linear(d, inner), nn.Linear(inner, d)
        self.output_norm = nn.LayerNorm(d, eps=1e-12)
        self.dropout = nn.Dropout(settings["hiddenDropout"])

    def forward(self, x, mask):
        """x [batch, length, d], mask [1, 1, length, length] added to the logits."""
        batch, length, d = x.shape
        q, k, v = (
            layer(x).view(batch, length, self.heads, d // self.heads).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        if self.tuned:
            mixed = F.scaled_dot_product_attention(q, k, v, dropout_p=self.attention_rate, is_causal=True)
        else:
            logits = q @ k.transpose(-1, -2) / math.sqrt(d // self.heads) + mask
            mixed = F.dropout(torch.softmax(logits, -1), self.attention_rate) @ v
        attended = self.out(mixed.transpose(1, 2).reshape(batch, length, d))
        y = self.attention_norm(x + self.dropout(attended))
        return self.output_norm(y + self.dropout(self.outer(F.gelu(self.inner(y)))))


class Transformer(nn.Module):
    def __init__(self, length, settings, tuned):
        super().__init__()
        d = settings["hiddenSize"]
        self.position = nn.Embedding(length, d)
        self.norm = nn.LayerNorm(d, eps=1e-12)
        self.dropout = nn.Dropout(settings["hiddenDropout"])
        self.layer = nn.ModuleList(Block(settings, tuned) for _ in range(settings["layers"]))
        self.register_buffer("mask", torch.full((1, 1, length, length), -1e9).triu(1), persistent=False)

    def forward(self, x):
        x = self.dropout(self.norm(x + self.position.weight))
        for layer in self.layer:
            x = layer(x, self.mask)
        return x


def initialise(model):
    """BERT's way."""
    for module in model.modules():
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, std=0.02)
        if isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)


class SASRec(nn.Module):
    def __init__(self, items, length, _text_dims, settings, tuned):
        super().__init__()
        self.item = nn.Embedding(items, settings["hiddenSize"])
        self.transformer = Transformer(length, settings, tuned)
        initialise(self)

    def items(self, _texts):
        return self.item.weight

    def forward(self, history, _table):
        return self.transformer(self.item(history))


class GRU4Rec(nn.Module):
    def __init__(self, items, _length, _text_dims, settings, _tuned):
        super().__init__()
        embedding, hidden = settings["embeddingSize"], settings["hiddenSize"]
        self.item = nn.Embedding(items, embedding)
        self.dropout = nn.Dropout(settings["dropout"])
        self.gru = nn.GRU(embedding, hidden, settings["layers"], batch_first=True)
        self.dense = nn.Linear(hidden, embedding)
        nn.init.xavier_normal_(self.item.weight)
        for name, parameter in self.gru.named_parameters():
            if name.startswith("weight"):
                nn.init.xavier_uniform_(parameter)

    def items(self, _texts):
        return self.item.weight

    def forward(self, history, _table):
        states, _ = self.gru(self.dropout(self.item(history)))
        return self.dense(states)


class SASRecText(nn.Module):
    def __init__(self, _items, length, text_dims, settings, tuned):
        super().__init__()
        inner, d = settings["adaptorSize"], settings["hiddenSize"]
        self.adaptor = nn.ModuleList([nn.Linear(text_dims, inner), nn.Linear(inner, d)])
        self.dropout = nn.Dropout(settings["adaptorDropout"])
        self.transformer = Transformer(length, settings, tuned)
        initialise(self)

    def items(self, texts):
        widen, narrow = self.adaptor
        return narrow(self.dropout(torch.relu(widen(self.dropout(texts)))))

    def forward(self, history, table):
        return self.transformer(table[history])


class MixtureOfExperts(nn.Module):
    """sum_k gate_k(x) W_k (dropout(x) - b_k), noisy gates; every expert a product of its own, as in the official code."""

    def __init__(self, text_dims, settings):
        super().__init__()
        self.experts, self.size = settings["experts"], settings["hiddenSize"]
        self.weight = nn.Parameter(torch.randn(text_dims, self.experts * self.size) * 0.02)
        self.shift = nn.Parameter(torch.zeros(self.experts, text_dims))
        self.gate = nn.Parameter(torch.zeros(text_dims, self.experts))
        self.gate_noise = nn.Parameter(torch.zeros(text_dims, self.experts))
        self.dropout = nn.Dropout(settings["adaptorDropout"])

    def forward(self, x):
        logits = x @ self.gate
        gates = torch.softmax(logits + torch.randn_like(logits) * (F.softplus(x @ self.gate_noise) + 0.01), -1)
        weights = self.weight.split(self.size, 1)
        each = [(self.dropout(x) - self.shift[k]) @ weights[k] for k in range(self.experts)]
        return (gates.unsqueeze(-1) * torch.stack(each, -2)).sum(-2)


class UniSRec(nn.Module):
    temperature = 0.07

    def __init__(self, _items, length, text_dims, settings, tuned):
        super().__init__()
        self.adaptor = MixtureOfExperts(text_dims, settings)
        self.transformer = Transformer(length, settings, tuned)
        initialise(self.transformer)

    def items(self, texts):
        return self.adaptor(texts)

    def forward(self, history, table):
        return self.transformer(table[history])


def load(model, parameters):
    """Takes over rec's parameters: matrices are [in, out] there and [out, in] here, tables are alike."""
    own = dict(model.named_parameters())
    for name, given in parameters.items():
        values = torch.tensor(given["values"]).reshape(given["shape"])
        if values.dim() == 2 and name not in ALIKE and (not name.startswith("adaptor.") or name[8].isdigit()):
            values = values.T
        gru = re.fullmatch(r"gru\.(\d+)\.(input|hidden)\.(weight|bias)", name)
        if gru:
            name = f"gru.{gru[3]}_{'ih' if gru[2] == 'input' else 'hh'}_l{gru[1]}"
        own.pop(name).data.copy_(values)
    if own:
        raise SystemExit(f"no values were given for {', '.join(own)}")


def step(model, optimizer, batch, texts):
    history, positions, target = batch
    optimizer.zero_grad()
    table = model.items(texts)
    vectors = model(history, table).flatten(0, 1)
    if positions is not None:
        vectors = vectors[positions]
    if hasattr(model, "temperature"):
        vectors, table = F.normalize(vectors, dim=-1) / model.temperature, F.normalize(table, dim=-1)
    loss = F.cross_entropy(vectors @ table.T, target)
    loss.backward()
    optimizer.step()
    return loss.item()


def main():
    spec = json.loads(sys.argv[1])
    torch.set_num_threads(spec["threads"])
    torch.manual_seed(1)
    device = spec.get("device", "cpu")
    kind = {"sasrec": SASRec, "gru4rec": GRU4Rec, "sasrec-text": SASRecText, "unisrec": UniSRec}[spec["model"]]
    model = kind(spec["items"], spec["length"], spec["textDims"], spec["settings"], spec["tuned"]).to(device)
    extra = {"fused": True} if spec["tuned"] else {}
    optimizer = torch.optim.Adam(model.parameters(), lr=spec["learningRate"], **extra)
    batches, texts, done = [], None, 0
    for line in sys.stdin:
        command, answer = json.loads(line), {}
        if "batches" in command:
            batches = [
                (
                    torch.tensor(b["history"], device=device),
                    None if b["positions"] is None else torch.tensor(b["positions"], device=device),
                    torch.tensor(b["target"], device=device),
                )
                for b in command["batches"]
            ]
        if "texts" in command:
            texts = torch.tensor(command["texts"], device=device)
        if command.get("randomTexts"):
            texts = torch.randn(spec["items"], spec["textDims"], device=device)
        if "parameters" in command:
            load(model, command["parameters"])
        if "steps" in command:
            answer = {"ms": [], "losses": []}
            cpu = time.process_time()
            for _ in range(command["steps"]):
                started = time.perf_counter()
                answer["losses"].append(step(model, optimizer, batches[done % len(batches)], texts))
                answer["ms"].append((time.perf_counter() - started) * 1e3)
                done += 1
            answer["cpuMs"] = (time.process_time() - cpu) * 1e3
        print(json.dumps(answer), flush=True)


main()
