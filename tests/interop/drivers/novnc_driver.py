"""Drives noVNC in Chromium; the commands are those of tests/interop/driven.rs.

Usage: novnc_driver.py PORT DEPTH [PASSWORD]

noVNC's files are expected in $NOVNC. Chromium is driven by its chromedriver (W3C WebDriver), keys and pointer included,
so that noVNC gets them as from a keyboard and a mouse. A websockify stands between it and the port.
"""

import base64
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

PAGE = """<!DOCTYPE html><meta charset="utf-8"><style>body{margin:0}</style>
<div id="screen" style="width:640px;height:400px"></div>
<script type="module">
  import RFB from './core/rfb.js';
  const seen = window.seen = { bells: 0, text: '', name: '', state: '' };
  const at = new URL('websockify', location.href.replace('http', 'ws'));
  const password = new URLSearchParams(location.search).get('password');
  const rfb = window.rfb = new RFB(document.getElementById('screen'), at.href,
                                   password ? { credentials: { password } } : {});
  rfb.addEventListener('connect', () => { seen.state = 'connected'; rfb.focus(); });
  rfb.addEventListener('disconnect', () => { seen.state = 'disconnected'; });
  rfb.addEventListener('securityfailure', event => { seen.state = 'refused: ' + event.detail.reason; });
  rfb.addEventListener('credentialsrequired', () => { seen.state = 'credentials required'; });
  rfb.addEventListener('bell', () => { seen.bells += 1; });
  rfb.addEventListener('clipboard', event => { seen.text = event.detail.text; });
  rfb.addEventListener('desktopname', event => { seen.name = event.detail.name; });
</script>"""

CURSOR = """
const image = rfb._cursorImage, pixels = image.rgbaPixels;
let count = 0;
for (let i = 0; i + 3 < pixels.length; i += 4)
  count += pixels[i] > 247 && pixels[i + 1] < 8 && pixels[i + 2] < 8 && pixels[i + 3] === 255;
return count;"""

KEYS = {"ctrl": "\ue009", "alt": "\ue00a", "enter": "\ue007"}


class Browser:
    def __init__(self, directory):
        self.driver = subprocess.Popen(
            ["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for line in self.driver.stdout:
            if "started successfully on port" in line:
                self.at = f"http://127.0.0.1:{line.split()[-1].rstrip('.')}"
                break
        arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1100,900",
                     f"--user-data-dir={directory}/profile", "--no-first-run", "--disable-background-networking"]
        options = {"browserName": "chrome", "goog:chromeOptions": {"args": arguments}}
        self.session = ""
        self.session = "/session/" + self.ask("/session", {"capabilities": {"alwaysMatch": options}})["sessionId"]

    def ask(self, path, body=None, method="POST"):
        data = None if method == "DELETE" else json.dumps(body or {}).encode()
        request = urllib.request.Request(
            self.at + self.session + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(json.load(error)["value"]["message"].splitlines()[0]) from None

    def run(self, script):
        return self.ask("/execute/sync", {"script": script, "args": []})

    def keys(self, actions):
        self.ask("/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def pointer(self, actions):
        self.ask("/actions", {"actions": [
            {"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": actions}]})

    def close(self):
        try:
            self.ask("", method="DELETE")
        finally:
            self.driver.terminate()
            self.driver.wait()


def obey(browser, word, argument):
    if word == "capture":
        url = browser.run("return document.querySelector('canvas').toDataURL('image/png')")
        with open(argument, "wb") as file:
            file.write(base64.b64decode(url.partition(",")[2]))
    elif word == "type":
        browser.keys([{"type": kind, "value": c} for c in argument for kind in ("keyDown", "keyUp")])
    elif word == "key":
        chord = [KEYS.get(key, key) for key in argument.split("-")]
        down = [{"type": "keyDown", "value": key} for key in chord]
        browser.keys(down + [{"type": "keyUp", "value": key} for key in reversed(chord)])
    elif word in ("move", "click"):
        *button, x, y = map(int, argument.split())
        place = browser.run("const r = document.querySelector('canvas').getBoundingClientRect(); return [r.x, r.y]")
        actions = [{"type": "pointerMove", "duration": 0, "x": round(place[0]) + x, "y": round(place[1]) + y}]
        if button:
            actions += [{"type": kind, "button": button[0] - 1} for kind in ("pointerDown", "pointerUp")]
        browser.pointer(actions)
    elif word == "resize":
        width, height = argument.split()
        browser.run("rfb.resizeSession = true; const s = document.getElementById('screen').style;"
                    f"s.width = '{width}px'; s.height = '{height}px'")
    elif word == "copy":
        browser.run(f"rfb.clipboardPasteFrom({json.dumps(argument)})")
    elif word == "clipboard":
        return browser.run("return seen.text")
    elif word == "bells":
        return browser.run("return seen.bells")
    elif word == "lamps":
        return "caps" if browser.run("return rfb._remoteCapsLock") else ""
    elif word == "cursor":
        return browser.run(CURSOR)
    elif word == "name":
        return browser.run("return seen.name")
    else:
        return None
    return ""


def main():
    port, _depth, *password = sys.argv[1:]
    with tempfile.TemporaryDirectory() as directory:
        for name in ("core", "vendor"):
            os.symlink(os.path.join(os.environ["NOVNC"], name), os.path.join(directory, name))
        with open(os.path.join(directory, "page.html"), "w", encoding="utf-8") as file:
            file.write(PAGE)
        web = os.environ["WEB_PORT"]
        proxy = subprocess.Popen(["websockify", f"--web={directory}", f"127.0.0.1:{web}", f"127.0.0.1:{port}"],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        browser = None
        try:
            browser = Browser(directory)
            query = f"?password={password[0]}" if password else ""
            for attempt in range(100):
                try:
                    browser.ask("/url", {"url": f"http://127.0.0.1:{web}/page.html{query}"})
                    break
                except RuntimeError:
                    time.sleep(0.1)
            serve(browser)
        finally:
            proxy.terminate()
            proxy.wait()
            if browser:
                browser.close()


def serve(browser):
    state = ""
    for attempt in range(600):
        state = browser.run("return window.seen ? seen.state : ''")
        if state:
            break
        time.sleep(0.05)
    print("done" if state == "connected" else f"error: {state}", flush=True)
    for line in sys.stdin:
        word, _, argument = line.rstrip("\n").partition(" ")
        try:
            state = browser.run("return seen.state")
            result = obey(browser, word, argument)
        except Exception as error:
            print(f"error: {type(error).__name__}: {error}", flush=True)
        else:
            if state != "connected":
                print(f"error: {state}", flush=True)
            else:
                print("cannot" if result is None else f"done {result}", flush=True)


main()
