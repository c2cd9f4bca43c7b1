"""
A mail server that takes mail after STARTTLS and AUTH alone, and keeps what it got.

Only the standard library is needed: the end-to-end tests run this file in a pod, as
`python mail.py PORT CERT KEY USER PASSWORD`, where it prints a line for each mail.

Source: RFC 5321, RFC 3207 (STARTTLS), RFC 4954 (AUTH)
"""

import base64
import contextlib
import email
import email.policy
import json
import socketserver
import ssl
import sys
import threading
from collections.abc import Iterator
from email.message import EmailMessage
from typing import Any

__all__ = ["MailServer", "mail_serving", "shown"]


def shown(mail: EmailMessage) -> dict[str, str]:
    """Return what a test asks of a mail."""
    part = mail.get_body(("plain",))
    text = part.get_content() if part is not None else ""
    return {"to": mail["to"], "subject": mail["subject"], "text": text}


class MailServer(socketserver.ThreadingTCPServer):
    """
    The server.

    Attributes:
        mails: What it got.
        refused: Commands that came without TLS or without the right password.
    """

    allow_reuse_address = True
    daemon_threads = True

    def __init__(
        self, address: tuple[str, int], tls: ssl.SSLContext, *, user: str, password: str
    ) -> None:
        super().__init__(address, _Session)
        self.tls = tls
        self.credentials = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
        self.mails: list[EmailMessage] = []
        self.refused: list[str] = []

    def take(self, mail: EmailMessage) -> None:
        """Keep a mail."""
        self.mails.append(mail)

    def handle_error(self, *_args: Any) -> None:
        """Say nothing of clients that go away."""


class _Session(socketserver.StreamRequestHandler):
    server: MailServer
    authenticated = False

    def handle(self) -> None:
        self.say("220 mail")
        while line := self.rfile.readline(2000):
            verb, _, rest = line.decode().strip().partition(" ")
            command = getattr(self, f"do_{verb.lower()}", None)
            if command is None:
                self.say("502 unknown")
            elif command(rest) is False:
                break

    def finish(self) -> None:
        with contextlib.suppress(OSError):
            super().finish()
        # the server closes the socket that it knows, which TLS has taken over
        self.request.close()

    def say(self, *lines: str) -> None:
        self.wfile.write("".join(f"{line}\r\n" for line in lines).encode())

    @property
    def encrypted(self) -> bool:
        return isinstance(self.request, ssl.SSLSocket)

    def do_ehlo(self, _rest: str) -> None:
        self.say("250-mail", "250 AUTH PLAIN" if self.encrypted else "250 STARTTLS")

    def do_starttls(self, _rest: str) -> None:
        self.say("220 go ahead")
        self.request = self.server.tls.wrap_socket(self.request, server_side=True)
        self.connection = self.request
        self.setup()

    def do_auth(self, rest: str) -> None:
        good = self.encrypted and rest == f"PLAIN {self.server.credentials}"
        self.authenticated = good
        if not good:
            self.server.refused.append("AUTH")
        self.say("235 welcome" if good else "535 wrong")

    def do_mail(self, _rest: str) -> None:
        if not self.authenticated:
            self.server.refused.append("MAIL")
        self.say("250 ok" if self.authenticated else "530 log in first")

    def do_rcpt(self, _rest: str) -> None:
        self.say("250 ok")

    def do_data(self, _rest: str) -> None:
        self.say("354 go ahead")
        lines = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line.removeprefix(b"."))
        content = b"".join(lines)
        policy = email.policy.default
        self.server.take(email.message_from_bytes(content, policy=policy))
        self.say("250 taken")

    def do_quit(self, _rest: str) -> bool:
        self.say("221 bye")
        return False


@contextlib.contextmanager
def mail_serving(
    tls: ssl.SSLContext, *, user: str, password: str
) -> Iterator[MailServer]:
    """Run a mail server on a free port of the loopback interface."""
    with MailServer(("127.0.0.1", 0), tls, user=user, password=password) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()


class _Printing(MailServer):
    def take(self, mail: EmailMessage) -> None:
        print(json.dumps(shown(mail)) + "\n", end="", flush=True)  # noqa: T201 - the pod's log


def _main(port: str, cert: str, key: str, user: str, password: str) -> None:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(cert, key)
    address = ("0.0.0.0", int(port))
    _Printing(address, tls, user=user, password=password).serve_forever()


if __name__ == "__main__":
    _main(*sys.argv[1:])
