"""A small VNC viewer for the suite, written from RFC 6143 and nothing of xenvnc's, that can also read what it sees.

Reading works without knowing the font: the guest prints all printable characters in order (`learn`), and from then on the
picture of a character cell is looked up among those.
"""

import pathlib
import select
import socket
import struct
import zlib
from collections import Counter

from suite import Failure, check, check_equal

RAW, COPY_RECT, DESKTOP_SIZE, DESKTOP_NAME = 0, 1, -223, -307
RETURN = 0xFF0D
SHIFT, CONTROL = 0xFFE1, 0xFFE3
# What a US keyboard reaches with Shift.
SHIFTED = set('~!@#$%^&*()_+{}|:"<>?ABCDEFGHIJKLMNOPQRSTUVWXYZ')
TIMEOUT_SECONDS = 120
COLUMNS, ROWS = 80, 25


class Closed(Failure):
    """The server ended the connection."""


class Viewer:
    def __init__(self, address):
        self.socket = socket.create_connection(address, TIMEOUT_SECONDS)
        self.socket.settimeout(TIMEOUT_SECONDS)
        self.glyphs = {}
        self.updates = 0
        version = self.take(12)
        check(version.startswith(b"RFB 003."), f"not an RFB server: {version!r}")
        self.socket.sendall(b"RFB 003.008\n")
        count = self.take(1)[0]
        check(count > 0, "the server refused the connection at once")
        self.security = set(self.take(count))
        if 1 not in self.security:
            return
        self.socket.sendall(b"\x01")
        check_equal(struct.unpack(">I", self.take(4))[0], 0, "security result")
        self.socket.sendall(b"\x01")
        self.width, self.height = struct.unpack(">HH", self.take(4))
        self.take(16)
        self.name = self.take(struct.unpack(">I", self.take(4))[0]).decode(errors="replace")
        # 32 bits a pixel, little endian, 0x00RRGGBB.
        self.socket.sendall(struct.pack(">B3xBBBBHHHBBB3x", 0, 32, 24, 0, 1, 255, 255, 255, 16, 8, 0))
        encodings = (COPY_RECT, RAW, DESKTOP_SIZE, DESKTOP_NAME)
        self.socket.sendall(struct.pack(f">BxH{len(encodings)}i", 2, len(encodings), *encodings))
        self.clear()
        self.request(incremental=False)
        self.update()

    def close(self):
        self.socket.close()

    def clear(self):
        self.pixels = bytearray(self.width * self.height * 4)

    def take(self, length):
        data = bytearray()
        while len(data) < length:
            try:
                piece = self.socket.recv(min(length - len(data), 1 << 20))
            except TimeoutError as error:
                raise Failure(f"the server sent nothing for {TIMEOUT_SECONDS} s") from error
            except ConnectionError as error:
                raise Closed("the connection was reset") from error
            if not piece:
                raise Closed("the server closed the connection")
            data += piece
        return bytes(data)

    # Pictures -------------------------------------------------------------------------------------------------

    def request(self, incremental=True):
        self.socket.sendall(struct.pack(">BBHHHH", 3, incremental, 0, 0, self.width, self.height))

    def update(self):
        """Waits for one FramebufferUpdate and draws it."""
        while True:
            kind = self.take(1)[0]
            if kind == 0:
                break
            if kind == 2:
                continue
            check_equal(kind, 3, "type of a server message")
            self.take(struct.unpack(">3xI", self.take(7))[0])
        for _ in range(struct.unpack(">xH", self.take(3))[0]):
            x, y, width, height, encoding = struct.unpack(">HHHHi", self.take(12))
            if encoding == DESKTOP_SIZE:
                self.width, self.height = width, height
                self.clear()
                continue
            if encoding == DESKTOP_NAME:
                self.name = self.take(struct.unpack(">I", self.take(4))[0]).decode(errors="replace")
                continue
            check(x + width <= self.width and y + height <= self.height,
                  f"a rectangle outside of the screen: {width}x{height}+{x}+{y}")
            row = width * 4
            if encoding == RAW:
                data = self.take(row * height)
            elif encoding == COPY_RECT:
                from_x, from_y = struct.unpack(">HH", self.take(4))
                data = b"".join(self.line(from_x, from_y + line, width) for line in range(height))
            else:
                raise Failure(f"an encoding that was not asked for: {encoding}")
            for line in range(height):
                at = ((y + line) * self.width + x) * 4
                self.pixels[at : at + row] = data[line * row : (line + 1) * row]
        self.updates += 1

    def refresh(self):
        """A whole picture of now."""
        self.request(incremental=False)
        self.update()

    def rest(self, seconds):
        """Reads updates until none has come for so long."""
        while True:
            self.request()
            ready, _, _ = select.select([self.socket], [], [], seconds)
            if not ready:
                return
            self.update()

    def line(self, x, y, width):
        at = (y * self.width + x) * 4
        return bytes(self.pixels[at : at + width * 4])

    def png(self, path):
        rows = bytearray()
        for y in range(self.height):
            bgrx = self.line(0, y, self.width)
            rgb = bytearray(self.width * 3)
            rgb[0::3], rgb[1::3], rgb[2::3] = bgrx[2::4], bgrx[1::4], bgrx[0::4]
            rows += b"\0" + rgb

        def chunk(kind, data):
            return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

        header = struct.pack(">IIBBBBB", self.width, self.height, 8, 2, 0, 0, 0)
        pathlib.Path(path).write_bytes(
            b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(rows))) + chunk(b"IEND", b"")
        )

    def colours(self):
        """How many colours the picture has."""
        return len({bytes(self.pixels[i : i + 3]) for i in range(0, len(self.pixels), 4)})

    # Keys -----------------------------------------------------------------------------------------------------

    def key(self, keysym, pressed):
        self.socket.sendall(struct.pack(">BBxxI", 4, pressed, keysym))

    def press(self, keysym):
        self.key(keysym, True)
        self.key(keysym, False)

    def type(self, text):
        """Types as a person does: Shift for what needs it, Return for a line feed."""
        for character in text:
            if character == "\n":
                self.press(RETURN)
            elif character in SHIFTED:
                self.key(SHIFT, True)
                self.press(ord(character))
                self.key(SHIFT, False)
            else:
                self.press(ord(character))

    def control(self, character):
        self.key(CONTROL, True)
        self.press(ord(character))
        self.key(CONTROL, False)

    # Reading --------------------------------------------------------------------------------------------------

    def glyph(self, column, row):
        """The picture of a character cell as bits: what differs from its most common colour."""
        width, height = self.width // COLUMNS, self.height // ROWS
        cell = b"".join(self.line(column * width, row * height + y, width) for y in range(height))
        pixels = [cell[i : i + 3] for i in range(0, len(cell), 4)]
        background = Counter(pixels).most_common(1)[0][0]
        return bytes(pixel != background for pixel in pixels)

    def learn(self, seconds_each=TIMEOUT_SECONDS):
        """Lets the guest's shell print all printable characters from the top left, and remembers how each looks."""
        self.type('clear;awk \'BEGIN{for(i=33;i<127;i++)printf"%c",i;print"";print"learnt"}\'\n')
        characters = [chr(code) for code in range(33, 127)]
        places = [(index % COLUMNS, index // COLUMNS) for index in range(len(characters))]
        while True:
            self.refresh()
            seen = [self.glyph(*place) for place in places]
            word = [self.glyph(column, 2) for column in range(6)]
            known = dict(zip(seen, characters))
            if len(known) == len(characters) and [known.get(glyph) for glyph in word] == list("learnt"):
                break
            # Some picture follows: the guest is not done.
            self.request()
            self.update()
        self.glyphs = known
        self.glyphs[bytes(len(seen[0]))] = " "

    def text(self):
        """The screen's lines; what was not learnt is a replacement character."""
        return [
            "".join(self.glyphs.get(self.glyph(column, row), "\ufffd") for column in range(COLUMNS)).rstrip()
            for row in range(ROWS)
        ]

    def until_line(self, wanted):
        """Waits until a line of the screen is this."""
        while True:
            lines = self.text()
            if wanted in lines:
                return lines
            self.request()
            try:
                self.update()
            except Failure as failure:
                shown = "\n".join(line for line in lines if line)
                raise Failure(f"{wanted!r} was never shown ({failure}). The screen:\n{shown}") from failure
