#!/usr/bin/env python3
"""rotate.py FLORIN SECRET: Lambda's runtime for `florin aws rotate`, which is asked for the four steps of one
rotation, the first of them twice. Fails unless each is answered well. The endpoint comes from the
environment, as for every call to AWS.
"""
import http.server
import json
import os
import subprocess
import sys
import threading
import uuid

florin, secret = sys.argv[1:]
TOKEN = str(uuid.uuid4())
STEPS = ["createSecret", "createSecret", "setSecret", "testSecret", "finishSecret"]
answers = []


class Runtime(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if not STEPS:
            self.send_response(410)
            self.end_headers()
            return
        body = json.dumps({"Step": STEPS.pop(0), "SecretId": secret, "ClientRequestToken": TOKEN, "RotationToken": "t"}).encode()
        self.send_response(200)
        self.send_header("lambda-runtime-aws-request-id", "call")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        answers.append((self.path.rsplit("/", 1)[1], self.rfile.read(int(self.headers["content-length"])).decode()))
        self.send_response(202)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Runtime)
threading.Thread(target=server.serve_forever, daemon=True).start()
done = subprocess.run([florin, "aws", "rotate"], env={**os.environ, "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{server.server_address[1]}"}, capture_output=True, text=True, timeout=300)
bad = [body for kind, body in answers if kind != "response"]
if bad or len(answers) != 5:
    sys.exit(f"{len(answers)} steps answered; {bad} {done.stderr[-500:]}")
print(TOKEN)
