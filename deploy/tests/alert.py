#!/usr/bin/env python3
"""One alert end to end: a metric crosses its limit, Prometheus evaluates the rules of the
repository, Alertmanager routes by the configuration of the repository, a receiver gets it.

Differences to production: the interval is 1 s, the receivers are a local web hook instead of SNS.
"""
import http.server
import json
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

DEPLOY = Path(__file__).resolve().parent.parent
WAIT_S = 60


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Metrics(http.server.BaseHTTPRequestHandler):
    violations = 0

    def do_GET(self):
        body = f"# TYPE ledger_invariant_violations_total counter\nledger_invariant_violations_total {Metrics.violations}\n".encode()
        self.send_response(200)
        self.send_header("content-type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Receiver(http.server.BaseHTTPRequestHandler):
    got = []
    event = threading.Event()

    def do_POST(self):
        Receiver.got.append((self.path, json.loads(self.rfile.read(int(self.headers["content-length"])))))
        Receiver.event.set()
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


def serve(handler):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def ready(url):
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:
        try:
            return urllib.request.urlopen(url, timeout=2).read()
        except OSError:
            time.sleep(0.2)
    sys.exit(f"{url} does not answer")


def ask(port, query):
    answer = json.loads(ready(f"http://127.0.0.1:{port}/api/v1/query?query={query}"))
    return answer["data"]["result"]


def main():
    metrics, receiver = serve(Metrics), serve(Receiver)
    prometheus, alertmanager = free_port(), free_port()
    work = Path(tempfile.mkdtemp())
    shutil.copy(DEPLOY / "prometheus" / "rules.yml", work / "rules.yml")
    # The routes of the repository; each receiver becomes a path of the local hook.
    routes = (DEPLOY / "alertmanager" / "alertmanager.yml").read_text()
    routes = re.sub(r"    sns_configs:\n      - topic_arn: TOPIC_(\w+)\n        sigv4:\n          region: [\w-]+\n        subject: .*\n",
                    lambda m: f"    webhook_configs:\n      - url: http://127.0.0.1:{receiver}/{m[1].lower()}\n", routes)
    assert routes.count("webhook_configs") == 2, "both receivers are known"
    (work / "alertmanager.yml").write_text(routes)
    (work / "prometheus.yml").write_text(f"""
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [rules.yml]
alerting: {{alertmanagers: [{{static_configs: [{{targets: ["127.0.0.1:{alertmanager}"]}}]}}]}}
scrape_configs: [{{job_name: ecs, static_configs: [{{targets: ["127.0.0.1:{metrics}"], labels: {{unit: wallets}}}}]}}]
""")
    log = open(work / "log", "w")
    programs = [
        subprocess.Popen(["prometheus-alertmanager", f"--config.file={work}/alertmanager.yml", f"--storage.path={work}/am", f"--web.listen-address=127.0.0.1:{alertmanager}", "--cluster.listen-address="], stdout=log, stderr=log),
        subprocess.Popen(["prometheus", f"--config.file={work}/prometheus.yml", f"--storage.tsdb.path={work}/tsdb", f"--web.listen-address=127.0.0.1:{prometheus}"], stdout=log, stderr=log),
    ]
    try:
        ready(f"http://127.0.0.1:{alertmanager}/-/ready")
        ready(f"http://127.0.0.1:{prometheus}/-/ready")
        # The counter must have been seen at 0 before it rises.
        end = time.monotonic() + WAIT_S
        while len(ask(prometheus, "count_over_time(ledger_invariant_violations_total[30s])>=3")) == 0:
            assert time.monotonic() < end, "nothing was scraped"
            time.sleep(0.5)
        assert not Receiver.got, "nothing rings while all is well"
        Metrics.violations = 1
        raised = time.monotonic()
        assert Receiver.event.wait(WAIT_S), "the alert was not delivered"
        path, message = Receiver.got[0]
        alert = message["alerts"][0]
        assert path == "/page", path
        assert alert["labels"]["alertname"] == "LedgerInvariantViolated" and alert["labels"]["unit"] == "wallets", alert
        assert alert["status"] == "firing", alert
        print(f"  delivered to {path} {time.monotonic() - raised:.1f} s after the violation: {alert['annotations']['summary']}")
    finally:
        for program in programs:
            program.terminate()
            program.wait(timeout=20)
        shutil.rmtree(work, ignore_errors=True)


main()
