#!/usr/bin/env python3
"""
Fail unless the certificate in FOLDER proves each NAME; `helm test` runs it in a pod.

A TLS handshake in memory, with the key and certificate of the Secret on one side and
its `ca.crt` (or the system's trust where there is none) on the other: it sees a foreign
key, an unknown CA, a wrong name and an expired certificate.

Usage: python certificate.py FOLDER NAME...
"""

import ssl
import sys
from pathlib import Path

folder, *names = sys.argv[1:]
certificate = Path(folder, "tls.crt")
key = Path(folder, "tls.key")
authority = Path(folder, "ca.crt")
trusted = authority if authority.is_file() and authority.stat().st_size else None

serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
serving.load_cert_chain(certificate, key)
asking = ssl.create_default_context(cafile=trusted)

for name in names:
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = serving.wrap_bio(to_server, to_client, server_side=True)
    client = asking.wrap_bio(
        to_client, to_server, server_hostname=name.replace("*", "any", 1)
    )
    waiting = [client, server]
    while waiting:
        side = waiting.pop(0)
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            waiting.append(side)
    sys.stdout.write(f"{name}: {client.getpeercert()}\n")
