#!/usr/bin/env python3
"""Leaves out documents of kinds that the schemas of Kubernetes do not know: stdin to stdout."""
import re
import sys

KNOWN = re.compile(r"^apiVersion: (v1|apps/v1|batch/v1|policy/v1|autoscaling/v2|(rbac\.authorization|networking|storage)\.k8s\.io/v1)$", re.M)
print("\n---\n".join(document for document in sys.stdin.read().split("\n---\n") if KNOWN.search(document)))
