"""Text embedding on PyTorch with a RoBERTa checkpoint: the peers of `npm run bench -- encode`.

argv: {"folder", "threads", "texts": file of a JSON list, "way"}. For every line {"from", "to"} of stdin: embeds those texts, answers
{"ms", "cpuMs", "vectors": [[x]] of the first few}. Ways:
  official               batches of 16 in the texts' order, padded to the longest, cut at 512 tokens, CLS (AmazonReviews2023)
  sentence-transformers  its encode(), CLS pooling, as it comes
"""

import json
import os
import sys
import time

import torch

os.environ |= {"TRANSFORMERS_VERBOSITY": "error", "TQDM_DISABLE": "1", "HF_HUB_OFFLINE": "1"}

spec = json.loads(sys.argv[1])
torch.set_num_threads(spec["threads"])
with open(spec["texts"]) as file:
    texts = json.load(file)


def official():
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(spec["folder"])
    model = AutoModel.from_pretrained(spec["folder"]).eval()

    def encode(texts):
        vectors = []
        with torch.no_grad():
            for i in range(0, len(texts), 16):
                batch = tokenizer(
                    texts[i : i + 16], padding=True, max_length=512, truncation=True, return_tensors="pt"
                )
                vectors.append(model(**batch).last_hidden_state[:, 0])
        return torch.cat(vectors)

    return encode


def sentence_transformers():
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    transformer = Transformer(spec["folder"], max_seq_length=512)
    model = SentenceTransformer(modules=[transformer, Pooling(transformer.get_embedding_dimension(), "cls")], device="cpu")
    return lambda texts: torch.from_numpy(model.encode(texts, show_progress_bar=False))


encode = {"official": official, "sentence-transformers": sentence_transformers}[spec["way"]]()
for line in sys.stdin:
    command = json.loads(line)
    cpu, started = time.process_time(), time.perf_counter()
    vectors = encode(texts[command["from"] : command["to"]])
    answer = {"ms": (time.perf_counter() - started) * 1e3, "cpuMs": (time.process_time() - cpu) * 1e3}
    print(json.dumps(answer | {"vectors": vectors[:8].tolist()}), flush=True)
