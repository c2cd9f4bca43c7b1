#!/usr/bin/env python3
"""
Fail unless URL answers 200 with every TEXT in its body; `helm test` runs it in a pod.

Usage: python answers.py URL [TEXT...]
"""

import http.client
import sys
import time
import urllib.parse

ATTEMPTS = 20
PAUSE = 1.0  # seconds

url, *texts = sys.argv[1:]
target = urllib.parse.urlsplit(url)
problem = ""
for _ in range(ATTEMPTS):
    connection = http.client.HTTPConnection(target.netloc, timeout=5)
    try:
        connection.request("GET", f"{target.path}?{target.query}".rstrip("?"))
        answer = connection.getresponse()
        body = answer.read().decode()
    except OSError as error:
        problem = str(error)
    else:
        missing = [text for text in texts if text not in body]
        if answer.status == http.client.OK and not missing:
            sys.stdout.write(f"{url}: {answer.status} {answer.reason}\n")
            sys.exit(0)
        problem = f"status {answer.status}, missing {missing}"
    finally:
        connection.close()
    time.sleep(PAUSE)
sys.exit(f"{url}: {problem}")
