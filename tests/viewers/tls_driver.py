"""A VNC viewer's handshake by OpenSSL (Python's ssl), and what a viewer should not do in it.

tls_driver.py PORT CA CASE [USER PASSWORD] prints one word: what became of it.
"""

import socket
import ssl
import struct
import sys

PLAIN = 262  # VeNCrypt X509Plain


class Viewer:
    def __init__(self, port, authority):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=90)
        self.authority = authority

    def read(self, count):
        data = b""
        while len(data) < count:
            piece = self.socket.recv(count - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data

    def choose(self, subtype):
        """Up to the choice of a VeNCrypt subtype."""
        assert self.read(12) == b"RFB 003.008\n"
        self.socket.sendall(b"RFB 003.008\n")
        assert 19 in self.read(self.read(1)[0])
        self.socket.sendall(b"\x13")
        assert self.read(2) == b"\0\2"
        self.socket.sendall(b"\0\2")
        assert self.read(1) == b"\0"
        count = self.read(1)[0]
        offered = struct.unpack(f">{count}I", self.read(4 * count))
        self.socket.sendall(struct.pack(">I", subtype))
        ack = self.read(1)[0]
        assert ack == (subtype in offered), f"{subtype} of {offered}: {ack}"

    def secure(self):
        context = ssl.create_default_context(cafile=self.authority)
        self.socket = context.wrap_socket(self.socket, server_hostname="127.0.0.1")

    def login(self, user, password):
        user, password = user.encode(), password.encode()
        self.socket.sendall(struct.pack(">II", len(user), len(password)) + user + password)

    def result(self):
        if self.read(4) == b"\0\0\0\0":
            return "accepted"
        return self.read(struct.unpack(">I", self.read(4))[0]).decode()

    def end(self):
        """Waits until the server closes."""
        try:
            while self.socket.recv(4096):
                pass
        except (ConnectionResetError, ssl.SSLError):
            pass
        return "closed"


def run(viewer, case, arguments):
    if case == "login":
        viewer.choose(PLAIN)
        viewer.secure()
        viewer.login(*arguments)
        outcome = viewer.result()
        if outcome == "accepted":
            viewer.socket.sendall(b"\1")
            init = viewer.read(24)
            assert viewer.read(struct.unpack(">I", init[20:])[0])
        return outcome
    if case == "unoffered":
        viewer.choose(int(arguments[0]))
        return viewer.end()
    viewer.choose(PLAIN)
    if case == "clear":
        viewer.login(*arguments)
        return viewer.end()
    if case == "truncated":
        # The first bytes of a ClientHello, and no more.
        viewer.socket.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        viewer.socket.shutdown(socket.SHUT_WR)
        return viewer.end()
    viewer.secure()
    if case == "huge":
        viewer.socket.sendall(struct.pack(">II", 1 << 30, 5))
        return viewer.end()
    if case == "early":
        viewer.login(*arguments)
        viewer.socket.sendall(b"\1" + b"\4\1\0\0\0\0\0a")
        return viewer.end()
    raise ValueError(case)


port, authority, case, *arguments = sys.argv[1:]
print(run(Viewer(int(port), authority), case, arguments))
