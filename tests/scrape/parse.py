"""Reads a page of metrics with prometheus_client's parsers, and prints what they make of it as JSON.

Usage: parse.py openmetrics|prometheus < page
"""

import json
import math
import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_prometheus

READERS = {"openmetrics": read_openmetrics, "prometheus": read_prometheus}


def told(value):
    """JSON has no numbers that are not finite."""
    return value if math.isfinite(value) else str(value)


def named(exemplar):
    """What came with a sample."""
    if exemplar is None:
        return None
    return {"labels": exemplar.labels, "value": exemplar.value, "at": float(exemplar.timestamp)}


def main():
    page = sys.stdin.buffer.read().decode("utf-8")
    families = [
        {
            "name": family.name,
            "kind": family.type,
            "unit": family.unit,
            "help": family.documentation,
            "samples": [
                [sample.name, sample.labels, told(sample.value), named(sample.exemplar)] for sample in family.samples
            ],
        }
        for family in READERS[sys.argv[1]](page)
    ]
    json.dump(families, sys.stdout)


main()
