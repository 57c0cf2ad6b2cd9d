"""BM25 of a public library. argv is a JSON object: `library` (bm25s or rank_bm25), `texts` and `queries` (files, one a
line), `count` (queries), `k`, `k1`, `b`, `stop` (stop words). Prints a line of JSON after indexing, and one after each
line of input, for which it searches all queries."""

import json
import resource
import sys
import time

o = json.loads(sys.argv[1])
stop = set(o["stop"])


def lines(path):
    with open(path, encoding="utf-8") as file:
        for line in file:
            yield line.rstrip("\n")


def tokens(text):
    return [word for word in text.split() if word not in stop]


def say(since, **figures):
    wall, busy = since
    figures["seconds"] = time.perf_counter() - wall
    figures["cpuSeconds"] = time.process_time() - busy
    figures["rssMb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(figures), flush=True)


def now():
    return time.perf_counter(), time.process_time()


started = now()
queries = [tokens(text) for _, text in zip(range(o["count"]), lines(o["queries"]))]
if o["library"] == "bm25s":
    import bm25s

    # The library's own tokenizer (a regular expression, then numbers), as its documentation does for large corpora.
    tokenizer = bm25s.tokenization.Tokenizer(lower=True, splitter=r"\w+", stopwords=o["stop"])
    corpus = tokenizer.tokenize(list(lines(o["texts"])), return_as="tuple", show_progress=False)
    model = bm25s.BM25(method="robertson", k1=o["k1"], b=o["b"])
    model.index(corpus, show_progress=False)
    del corpus
    known = model.vocab_dict
    asked = [[known[word] for word in query if word in known] for query in queries]

    def search():
        found, scores = model.retrieve(asked, k=o["k"], show_progress=False)
        return scores * (o["k1"] + 1)
else:
    import numpy
    from rank_bm25 import BM25Okapi

    model = BM25Okapi([tokens(text) for text in lines(o["texts"])], k1=o["k1"], b=o["b"])

    def search():
        return numpy.array([-numpy.sort(-model.get_scores(query))[: o["k"]] for query in queries])


say(started)
for _ in sys.stdin:
    started = now()
    scores = search()
    say(started, meanScore=float(scores.mean()))
