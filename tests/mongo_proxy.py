"""Between a client and a MongoDB server: ends the connection at a text, as a server does that cannot bear it."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading


class Proxy:
    """Forwards to the server on `port`; `with Proxy(...) as proxy` gives `proxy.uri`."""

    def __init__(
        self,
        port: int,
        *,
        to_server: bytes = b"\0never\0",
        to_client: bytes = b"\0never\0",
        tls: ssl.SSLContext | None = None,
        broken: bytes = b"",
    ) -> None:
        """A connection ends when `to_server` is sent to the server, or `to_client` to the client.

        `tls`: what the client has to speak. `broken`: a text that comes to the client as bytes that are none.
        """
        self._broken = broken
        self._tls = tls
        self._port = port
        self._to_server = to_server
        self._to_client = to_client
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.cut = 0  # how often

    @property
    def uri(self) -> str:
        return f"mongodb://127.0.0.1:{self._listener.getsockname()[1]}/?directConnection=true"

    def __enter__(self) -> Proxy:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._forward, args=(client,), daemon=True).start()

    def _spoken(self, plain: socket.socket) -> socket.socket:
        return plain if self._tls is None else self._tls.wrap_socket(plain, server_side=True)

    def _forward(self, plain: socket.socket) -> None:
        with (
            contextlib.suppress(OSError),
            self._spoken(plain) as client,
            socket.create_connection(("127.0.0.1", self._port)) as server,
        ):
            ways = {client: (server, self._to_server), server: (client, self._to_client)}
            before = {client: b"", server: b""}
            while True:
                for source in select.select(list(ways), [], [])[0]:
                    data = source.recv(65536)
                    while isinstance(source, ssl.SSLSocket) and source.pending():
                        data += source.recv(65536)
                    if not data:
                        return
                    if self._broken and source is server:
                        while len(data) < int.from_bytes(data[:4], "little") and (more := source.recv(65536)):
                            data += more
                        data = data.replace(self._broken, b"\xff" * len(self._broken))
                    target, poison = ways[source]
                    if poison in before[source] + data:
                        self.cut += 1
                        return
                    before[source] = data[-len(poison) :]
                    target.sendall(data)
