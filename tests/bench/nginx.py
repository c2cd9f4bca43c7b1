"""nginx as a peer: one worker, an access log, and what a measurement adds."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from tests.bench.contestants import Contestant

__all__ = ["nginx"]

_CONF = """
{user} worker_processes 1; daemon off; pid {folder}/pid; error_log {folder}/error;
events {{ worker_connections 4096; }}
http {{
  access_log {folder}/access;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  keepalive_requests 10000000;
  {more}
}}
"""


def nginx(
    folder: Path,
    more: Callable[[int], str],
    *,
    name: str = "nginx, one worker, access log",
    path: str = "/",
) -> Contestant:
    """
    Return nginx, or the contestant that is missing.

    Args:
        folder: Where its files go.
        more: Gives what else its `http` block has, by the port.
        name: How the tables call it.
        path: What is asked for until it answers.
    """
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    # workers of root would be nobody, who reads and writes none of our files
    user = "user root;" if os.geteuid() == 0 else ""

    def command(port: int, _admin: int) -> list[str] | None:
        if program is None:
            return None
        file = folder / "nginx.conf"
        file.write_text(_CONF.format(folder=folder, more=more(port), user=user))
        return [program, "-p", str(folder), "-c", str(file)]

    missing = "nginx is not installed (Debian package nginx-light)"
    return Contestant(name=name, command=command, path=path, missing=missing)
