"""Drives vncdotool, a VNC client that we did not write; the commands are those of tests/interop/driven.rs.

Usage: vncdotool_driver.py PORT DEPTH [PASSWORD]
"""

import logging
import os
import sys

from twisted.internet import reactor, threads
from vncdotool import api
from vncdotool.client import VNCDoToolClient

SEEN = {"bells": 0, "text": "", "cursor": 0}


def red(pixel):
    return pixel[0] > 247 and pixel[1] < 8 and pixel[2] < 8


class Client(VNCDoToolClient):
    def vncConnectionMade(self):
        super().vncConnectionMade()
        SEEN["client"] = self
        # By itself it asks for one encoding only.
        self.setEncodings(sorted(self.SUPPORTED_ENCODINGS, reverse=True))

    def drawCursor(self):
        """Else it would paint it into the picture."""

    def commitUpdate(self, rectangles=None):
        super().commitUpdate(rectangles)
        # By itself it asks for everything, whenever somebody looks.
        self.framebufferUpdateRequest(incremental=True)

    def bell(self):
        SEEN["bells"] += 1

    def copy_text(self, text):
        SEEN["text"] = text

    def updateCursor(self, x, y, width, height, image, mask):
        super().updateCursor(x, y, width, height, image, mask)
        SEEN["cursor"] = sum(red(pixel) for pixel in self.cursor.getdata())


def obey(client, word, argument):
    if word == "capture":
        threads.blockingCallFromThread(reactor, SEEN["client"].screen.save, argument)
    elif word == "type":
        for character in argument:
            client.keyPress(character)
    elif word == "key":
        client.keyPress(argument)
    elif word == "move":
        client.mouseMove(*map(int, argument.split()))
    elif word == "click":
        button, x, y = map(int, argument.split())
        client.mouseMove(x, y)
        client.mousePress(button)
    elif word == "copy":
        client.paste(argument)
    elif word == "clipboard":
        return SEEN["text"]
    elif word == "bells":
        return SEEN["bells"]
    elif word == "cursor":
        return SEEN["cursor"]
    elif word == "name":
        return client.protocol.name if hasattr(client.protocol, "name") else client.name
    else:
        return None
    return ""


def main():
    logging.disable(logging.CRITICAL)
    port, _depth, *password = sys.argv[1:]
    api.VNCDoToolFactory.protocol = Client
    try:
        client = api.connect(f"127.0.0.1::{port}", password=password[0] if password else None, timeout=30)
        client.refreshScreen()
    except Exception as error:
        print(f"error: {type(error).__name__}: {error}", flush=True)
        return
    print("done", flush=True)
    for line in sys.stdin:
        word, _, argument = line.rstrip("\n").partition(" ")
        try:
            result = obey(client, word, argument)
        except Exception as error:
            print(f"error: {type(error).__name__}: {error}", flush=True)
        else:
            print("cannot" if result is None else f"done {result}", flush=True)
    # Its reactor would hold the process up.
    os._exit(0)


main()
