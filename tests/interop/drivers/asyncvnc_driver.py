"""Drives asyncvnc, a VNC client that we did not write; the commands are those of tests/interop/driven.rs.

Usage: asyncvnc_driver.py PORT DEPTH [PASSWORD]
"""

import asyncio
import sys

import asyncvnc
from PIL import Image

KEYS = {"ctrl": "Ctrl", "alt": "Alt", "enter": "Return"}
BELLS = 0


async def read(client):
    global BELLS
    while True:
        kind = await client.read()
        BELLS += kind is asyncvnc.UpdateType.BELL
        # It has no event for a complete picture; so it is always asked for more.
        if kind is asyncvnc.UpdateType.VIDEO and client.video.is_complete():
            client.video.refresh()


async def obey(client, word, argument):
    if word == "capture":
        client.video.data = None
        client.video.refresh()
        while not client.video.is_complete():
            await asyncio.sleep(0.01)
        Image.fromarray(client.video.as_rgba(), "RGBA").convert("RGB").save(argument)
    elif word == "type":
        client.keyboard.write(argument)
    elif word == "key":
        client.keyboard.press(*(KEYS.get(key, key) for key in argument.split("-")))
    elif word == "move":
        client.mouse.move(*map(int, argument.split()))
    elif word == "click":
        button, x, y = map(int, argument.split())
        client.mouse.move(x, y)
        client.mouse.click(button - 1)
    elif word == "copy":
        client.clipboard.write(argument)
    elif word == "clipboard":
        return client.clipboard.text
    elif word == "bells":
        return BELLS
    elif word == "name":
        return client.video.name
    else:
        return None
    return ""


async def main():
    port, _depth, *password = sys.argv[1:]
    loop = asyncio.get_running_loop()
    try:
        opening = asyncvnc.connect("127.0.0.1", int(port), password=password[0] if password else None)
        client = await opening.__aenter__()
        client.video.refresh()
    except Exception as error:
        print(f"error: {type(error).__name__}: {error}", flush=True)
        return
    reader = asyncio.create_task(read(client))
    print("done", flush=True)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        word, _, argument = line.rstrip("\n").partition(" ")
        work = asyncio.create_task(obey(client, word, argument))
        await asyncio.wait([work, reader], return_when=asyncio.FIRST_COMPLETED)
        failed = reader.exception() if reader.done() else None
        failed = failed or (work.exception() if work.done() else None)
        if failed:
            print(f"error: {type(failed).__name__}: {failed}", flush=True)
        else:
            result = work.result()
            print("cannot" if result is None else f"done {result}", flush=True)


asyncio.run(main())
