"""Drives vncdotool, a VNC client that we did not write.

Usage: vncdotool_driver.py ADDRESS::PORT [PASSWORD]

Reads one command a line from standard input and answers each with one line, "done" or "error: WHY":

    type TEXT       press and release the key of each character
    key NAME        press and release one key: enter, ctrl-c, alt-f2
    move X Y        move the pointer
    capture FILE    ask for the whole screen and write it as a PNG file
"""

import logging
import sys

from vncdotool import api


def answer(text):
    print(text, flush=True)


def main():
    logging.disable(logging.CRITICAL)
    server, *password = sys.argv[1:]
    try:
        client = api.connect(server, password=password[0] if password else None, timeout=30)
        # The connection is made behind our back; this waits for it.
        client.refreshScreen()
    except Exception as error:
        answer(f"error: {type(error).__name__}: {error}")
        return 1
    answer("done")
    for line in sys.stdin:
        command, _, argument = line.rstrip("\n").partition(" ")
        try:
            if command == "type":
                for character in argument:
                    client.keyPress(character)
            elif command == "key":
                client.keyPress(argument)
            elif command == "move":
                client.mouseMove(*map(int, argument.split()))
            elif command == "capture":
                client.captureScreen(argument)
            else:
                raise ValueError(f"no command {command!r}")
        except Exception as error:
            answer(f"error: {type(error).__name__}: {error}")
        else:
            answer("done")
    client.disconnect()
    api.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
