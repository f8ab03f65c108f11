"""Takes metrics by OTLP over HTTP, with OpenTelemetry's own messages, and tells as JSON what they add up to.

Usage: receive.py PORT FOLDER STATUS RETRY_AFTER

What it took is kept in the folder, so that one that is started again there goes on. With a status other than 200 it
takes nothing, until PUT /answer says otherwise. Prints its port once it listens.
"""

import gzip
import json
import os
import pathlib
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)

DELTA, CUMULATIVE = 1, 2
POINTS_MAX, BYTES_MAX, BUCKETS_MAX = 2_000, (1 << 20) + (1 << 16), 160


class Exponential:
    """A histogram to which others are added, at the coarser of both scales."""

    def __init__(self):
        self.scale, self.zero, self.count, self.sum = 20, 0, 0, 0.0
        self.sides = {"positive": {}, "negative": {}}

    def add(self, point):
        scale = min(self.scale, point.scale)
        for name, buckets in self.sides.items():
            told = getattr(point, name)
            added = [(index >> (self.scale - scale), count) for index, count in buckets.items()]
            places = enumerate(told.bucket_counts)
            added += [((told.offset + place) >> (point.scale - scale), count) for place, count in places]
            buckets.clear()
            for index, count in added:
                if count:
                    buckets[index] = buckets.get(index, 0) + count
        self.scale = scale
        self.zero += point.zero_count
        self.count += point.count
        self.sum = self.sum + point.sum if self.sum is not None and point.HasField("sum") else None

    def told(self):
        sides = {name: sorted(buckets.items()) for name, buckets in self.sides.items()}
        return {"scale": self.scale, "zero": self.zero, "count": self.count, "sum": self.sum, **sides}


class Series:
    """What the points of a series add up to."""

    def __init__(self, kind, temporality):
        self.kind, self.temporality = kind, temporality
        self.number, self.exponential = 0, Exponential()
        self.start, self.end, self.points = 0, 0, 0

    def add(self, point, wrong):
        if not 0 < point.start_time_unix_nano < point.time_unix_nano:
            wrong.append("a span that is none")
        if self.temporality == DELTA and point.start_time_unix_nano < self.end:
            wrong.append("spans that overlap")
        if self.temporality == CUMULATIVE and self.points:
            if point.start_time_unix_nano != self.start or point.time_unix_nano <= self.end:
                wrong.append("a start that moves, or points that are not in order")
        self.start, self.end = point.start_time_unix_nano, point.time_unix_nano
        self.points += 1
        if self.kind == "exponential_histogram":
            self.add_exponential(point, wrong)
        else:
            self.add_number(point, wrong)

    def add_number(self, point, wrong):
        value = getattr(point, point.WhichOneof("value"))
        if self.temporality == CUMULATIVE and value < self.number:
            wrong.append("a total that falls")
        self.number = self.number + value if self.temporality == DELTA else value

    def add_exponential(self, point, wrong):
        counts = [*point.positive.bucket_counts, *point.negative.bucket_counts]
        if point.count != sum(counts) + point.zero_count:
            wrong.append("a count that is not its buckets'")
        if max(len(point.positive.bucket_counts), len(point.negative.bucket_counts)) > BUCKETS_MAX:
            wrong.append("too many buckets")
        if point.HasField("min") or point.HasField("max"):
            wrong.append("a minimum or maximum that nobody knows")
        if self.temporality == CUMULATIVE:
            self.exponential = Exponential()
        self.exponential.add(point)

    def told(self):
        value = self.exponential.told() if self.kind == "exponential_histogram" else self.number
        return {"points": self.points, "value": value}


class Received:
    """All that was taken."""

    def __init__(self, folder):
        self.folder = folder
        self.families, self.resource, self.scope = {}, {}, []
        self.requests, self.headers, self.wrong = 0, {}, []
        for path in sorted(folder.glob("*.protobuf")):
            self.add(path.read_bytes())

    def take(self, body):
        path = self.folder / f"{self.requests:08}.protobuf"
        path.write_bytes(body)
        self.add(body)

    def add(self, body):
        request = ExportMetricsServiceRequest.FromString(body)
        self.requests += 1
        if len(body) > BYTES_MAX:
            self.wrong.append("a request that is too large")
        points = 0
        for resource in request.resource_metrics:
            self.resource = {each.key: each.value.string_value for each in resource.resource.attributes}
            for scope in resource.scope_metrics:
                self.scope = [scope.scope.name, scope.scope.version]
                points += sum(self.add_metric(metric) for metric in scope.metrics)
        if not 0 < points <= POINTS_MAX:
            self.wrong.append(f"a request of {points} points")

    def add_metric(self, metric):
        kind = metric.WhichOneof("data")
        data = getattr(metric, kind)
        temporality = 0 if kind == "gauge" else data.aggregation_temporality
        if kind == "sum" and not data.is_monotonic:
            self.wrong.append("a sum that can fall")
        family = self.families.setdefault(metric.name, {"series": {}})
        family |= {"kind": kind, "unit": metric.unit, "description": metric.description, "temporality": temporality}
        for point in data.data_points:
            labels = tuple((each.key, each.value.string_value) for each in point.attributes)
            series = family["series"].setdefault(labels, Series(kind, temporality))
            series.add(point, self.wrong)
        return len(data.data_points)

    def told(self):
        families = {
            name: family | {"series": [{"labels": dict(of), **series.told()} for of, series in family["series"].items()]}
            for name, family in self.families.items()
        }
        told = {"requests": self.requests, "resource": self.resource, "scope": self.scope, "headers": self.headers}
        return told | {"wrong": self.wrong, "families": families}


class State:
    def __init__(self, folder, answer):
        self.received, self.answer = Received(folder), answer
        self.refused, self.hurried, self.not_before = 0, 0, 0.0
        # Held until an answer is out, so that whoever ends the process ends it between two requests.
        self.lock = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def body(self):
        return self.rfile.read(int(self.headers.get("content-length", 0)))

    def reply(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def do_POST(self):
        body = self.body()
        with state.lock:
            if time.monotonic() < state.not_before:
                state.hurried += 1
            status = state.answer["status"]
            if status != 200:
                return self.refuse(status)
            if self.path != "/v1/metrics" or self.headers["content-type"] != "application/x-protobuf":
                return self.reply(404)
            state.received.headers = {name.lower(): value for name, value in self.headers.items()}
            is_gzip = self.headers.get("content-encoding") == "gzip"
            state.received.take(gzip.decompress(body) if is_gzip else body)
            response = ExportMetricsServiceResponse()
            if state.answer.get("rejected"):
                response.partial_success.rejected_data_points = state.answer["rejected"]
                response.partial_success.error_message = "told to"
            self.reply(200, response.SerializeToString(), Content_Type="application/x-protobuf")

    def refuse(self, status):
        state.refused += 1
        after = state.answer.get("retry_after")
        if after is None:
            return self.reply(status)
        state.not_before = time.monotonic() + after
        self.reply(status, Retry_After=str(after))

    def do_PUT(self):
        body = self.body()
        with state.lock:
            state.answer, state.not_before = json.loads(body), 0.0
            self.reply(204)

    def do_GET(self):
        with state.lock:
            told = state.received.told() | {"refused": state.refused, "hurried": state.hurried}
            self.reply(200, json.dumps(told).encode(), Content_Type="application/json")


def end(*_):
    state.lock.acquire()
    os._exit(0)


folder = pathlib.Path(sys.argv[2])
folder.mkdir(parents=True, exist_ok=True)
state = State(folder, {"status": int(sys.argv[3]), "retry_after": int(sys.argv[4])})
server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
signal.signal(signal.SIGTERM, end)
print(server.server_address[1], flush=True)
server.serve_forever()
