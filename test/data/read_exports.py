"""Reads exported datasets with pandas, the atomic files as RecBole's Dataset._load_feat does, and prints them as JSON."""

import json
import os
import sys

import numpy as np
import pandas as pd

root = sys.argv[1]


def load_feat(path):
    """RecBole 1.2, recbole/data/dataset/dataset.py: a typed header, tabs, pandas' own quoting, Python engine."""
    with open(path, encoding="utf-8") as file:
        head = file.readline()[:-1]
    columns, dtype = [], {}
    for field_type in head.split("\t"):
        field, ftype = field_type.split(":")
        assert ftype in ("token", "token_seq", "float", "float_seq")
        columns.append(field)
        dtype[field_type] = np.float64 if ftype == "float" else str
    frame = pd.read_csv(path, delimiter="\t", dtype=dtype, encoding="utf-8", engine="python")
    frame.columns = columns
    return frame


def rows(frame):
    return frame[["user_id", "parent_asin", "rating", "timestamp"]].values.tolist()


recbole = load_feat(os.path.join(root, "recbole", "x.inter")).rename(columns={"item_id": "parent_asin"})
items = load_feat(os.path.join(root, "recbole", "x.item"))
parquet = pd.read_parquet(os.path.join(root, "parquet", "x.parquet"))
meta = pd.read_parquet(os.path.join(root, "parquet", "meta_x.parquet"))
csv = pd.read_csv(os.path.join(root, "csv", "x.csv"))
print(
    json.dumps(
        {
            "recbole": {"inter": rows(recbole), "items": items["item_id"].tolist()},
            "parquet": {
                "inter": rows(parquet),
                "items": [
                    [i, {"title": t, "features": None if f is None else list(f)}]
                    for i, t, f in zip(meta["parent_asin"], meta["title"], meta["features"])
                ],
            },
            "csv": {"inter": rows(csv)},
        }
    )
)
