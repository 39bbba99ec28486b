"""Whether a cluster answers at an address is known in seconds, whatever else listens there."""

import contextlib
import socket
import threading

import pytest

from nas.trials import resources
from nas.trials.resources import NoRoom, check_address


@contextlib.contextmanager
def listening(answer):
    """The address of a server that says `answer` to whoever connects, for as long as the block lasts."""
    connections = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    connections.append(server.accept()[0])
                    if answer is not None:
                        connections[-1].sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"127.0.0.1:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)  # closing alone would leave the thread in accept
            thread.join(10)
            for connection in connections:
                connection.close()


@pytest.mark.parametrize(
    "answer",
    [None, b"", b"SSH-2.0-OpenSSH_9.6\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"+PONG\r\n"],
    ids=["silence", "nothing", "ssh", "web server", "redis"],
)
def test_what_listens_but_is_no_cluster_is_refused_and_not_waited_for(monkeypatch, answer):
    monkeypatch.setattr(resources, "ANSWER", 0.3)
    with listening(answer) as address, pytest.raises(NoRoom, match=f"what listens at {address} is no Ray"):
        check_address(address)


def test_a_server_that_greets_as_a_cluster_does_is_let_through():
    with listening(b"\0\0\0\4\0\0\0\0\0") as address:
        assert check_address(address) is None
