"""Computes what `data_processing` must say of tests/data/flights-2013-01.csv, with Python's standard library alone.

    python3 tests/it/tasks/flights_expected.py > tests/it/tasks/flights_expected.json

None of Halyard's code takes part: `csv` reads, `statistics` computes (quantiles: method "inclusive", which is type 7 of
Hyndman and Fan), `collections.Counter` counts.
"""

import collections
import csv
import json
import pathlib
import statistics
import sys

DATA = pathlib.Path(__file__).parents[2] / "data" / "flights-2013-01.csv"
NULLS = {"", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None"}


def column(name, fields):
    values = [f for f in fields if f not in NULLS]
    counted = collections.Counter(values)
    out = {
        "name": name,
        "count": len(values),
        "nulls": len(fields) - len(values),
        "distinct": len(counted),
        "top_values": [
            {"value": v, "count": n} for v, n in sorted(counted.items(), key=lambda item: (-item[1], item[0]))[:5]
        ],
    }
    try:
        numbers = [int(v) for v in values]
    except ValueError:
        out["type"] = "datetime" if name == "time_hour" else "text"
        out["min"], out["max"] = min(values), max(values)
        return out
    cut = statistics.quantiles(numbers, n=100, method="inclusive")
    out |= {
        "type": "integer",
        "min": min(numbers),
        "max": max(numbers),
        "mean": statistics.fmean(numbers),
        "stddev": statistics.stdev(numbers),
        "quantiles": {"p25": cut[24], "p50": cut[49], "p75": cut[74], "p95": cut[94]},
    }
    return out


def main():
    with DATA.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    columns = [column(name, [row[i] for row in rows]) for i, name in enumerate(header)]
    expected = {"rows": len(rows), "bytes": DATA.stat().st_size, "columns": columns}
    json.dump(expected, sys.stdout, indent=1, ensure_ascii=False)
    sys.stdout.write("\n")


main()
