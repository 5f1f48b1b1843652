/* Drives libvncclient, a VNC client library that we did not write; the commands are those of tests/interop/driven.rs.
 *
 * Usage: libvncclient_driver PORT BITS [PASSWORD]
 *
 * With a security type that begins with X509 in $VNC_SECURITY, it comes in by VeNCrypt, with $VNC_USERNAME, and knows the
 * server by the certificate $VNC_CA.
 */
#include <gnutls/gnutls.h>
#include <poll.h>
#include <rfb/keysym.h>
#include <rfb/rfbclient.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char clipboard[4096];
static int bells, cursor_pixels, lamps;
static const char *password;

static char *get_password(rfbClient *client) { (void)client; return strdup(password ? password : ""); }
static rfbCredential *get_credential(rfbClient *client, int type) {
  (void)client;
  rfbCredential *credential = calloc(1, sizeof *credential);
  if (!credential) return NULL;
  if (type == rfbCredentialTypeUser) {
    credential->userCredential.username = strdup(getenv("VNC_USERNAME"));
    credential->userCredential.password = strdup(password ? password : "");
  } else {
    credential->x509Credential.x509CACertFile = strdup(getenv("VNC_CA"));
  }
  return credential;
}
static void bell(rfbClient *client) { (void)client; bells++; }
static void lamps_lit(rfbClient *client, int value, int pad) { (void)client; (void)pad; lamps = value; }
static void keep(const char *text, int length) { snprintf(clipboard, sizeof clipboard, "%.*s", length, text); }

/* Text of the old kind is in Latin-1; here all is in UTF-8. */
static void got_latin1(rfbClient *client, const char *text, int length) {
  (void)client;
  char utf8[4096], *end = utf8;
  for (int i = 0; i < length && end < utf8 + sizeof utf8 - 2; i++) {
    unsigned char byte = text[i];
    if (byte >= 0x80) { *end++ = (char)(0xc0 | byte >> 6); byte = 0x80 | (byte & 0x3f); }
    *end++ = (char)byte;
  }
  keep(utf8, (int)(end - utf8));
}

static uint32_t pixel(const rfbClient *client, const uint8_t *at) {
  uint32_t value = 0;
  memcpy(&value, at, client->format.bitsPerPixel / 8);
  return value;
}

static uint8_t channel(uint32_t value, int shift, int max) { return (uint8_t)(((value >> shift) & max) * 255 / max); }

static void colour(const rfbClient *client, const uint8_t *at, uint8_t rgb[3]) {
  uint32_t value = pixel(client, at);
  rgb[0] = channel(value, client->format.redShift, client->format.redMax);
  rgb[1] = channel(value, client->format.greenShift, client->format.greenMax);
  rgb[2] = channel(value, client->format.blueShift, client->format.blueMax);
}

static void got_cursor(rfbClient *client, int x, int y, int width, int height, int bytes) {
  (void)x; (void)y;
  cursor_pixels = 0;
  for (int i = 0; i < width * height; i++) {
    uint8_t rgb[3];
    colour(client, client->rcSource + i * bytes, rgb);
    cursor_pixels += client->rcMask[i] && rgb[0] > 247 && rgb[1] < 8 && rgb[2] < 8;
  }
}

static int capture(rfbClient *client, const char *path) {
  FILE *file = fopen(path, "wb");
  if (!file) return 0;
  fprintf(file, "P6\n%d %d\n255\n", client->width, client->height);
  for (int i = 0; i < client->width * client->height; i++) {
    uint8_t rgb[3];
    colour(client, client->frameBuffer + (size_t)i * (client->format.bitsPerPixel / 8), rgb);
    fwrite(rgb, 3, 1, file);
  }
  return fclose(file) == 0;
}

static void press(rfbClient *client, uint32_t key) { SendKeyEvent(client, key, TRUE); SendKeyEvent(client, key, FALSE); }

/* The characters of UTF-8 up to U+FFFF as key symbols. */
static void type(rfbClient *client, const unsigned char *text) {
  while (*text) {
    uint32_t c = *text++;
    if (c >= 0xe0) { c = (c & 15) << 12 | (text[0] & 63) << 6 | (text[1] & 63); text += 2; }
    else if (c >= 0xc0) { c = (c & 31) << 6 | (*text++ & 63); }
    press(client, c < 0x100 ? c : 0x01000000 | c);
  }
}

static void chord(rfbClient *client, char *keys) {
  uint32_t down[8];
  int count = 0;
  for (char *key = strtok(keys, "-"); key && count < 8; key = strtok(NULL, "-"))
    down[count++] = !strcmp(key, "ctrl") ? XK_Control_L : !strcmp(key, "alt") ? XK_Alt_L
                  : !strcmp(key, "enter") ? XK_Return : (uint32_t)*key;
  for (int i = 0; i < count; i++) SendKeyEvent(client, down[i], TRUE);
  while (count > 0) SendKeyEvent(client, down[--count], FALSE);
}

static void obey(rfbClient *client, char *line) {
  char *argument = strchr(line, ' ');
  int a, b, c;
  if (argument) *argument++ = 0; else argument = line + strlen(line);
  if (!strcmp(line, "capture")) { puts(capture(client, argument) ? "done" : "error: no file"); }
  else if (!strcmp(line, "type")) { type(client, (unsigned char *)argument); puts("done"); }
  else if (!strcmp(line, "key")) { chord(client, argument); puts("done"); }
  else if (!strcmp(line, "move") && sscanf(argument, "%d %d", &a, &b) == 2) { SendPointerEvent(client, a, b, 0); puts("done"); }
  else if (!strcmp(line, "click") && sscanf(argument, "%d %d %d", &a, &b, &c) == 3) {
    SendPointerEvent(client, b, c, 0); SendPointerEvent(client, b, c, 1 << (a - 1)); SendPointerEvent(client, b, c, 0);
    puts("done");
  }
  else if (!strcmp(line, "resize") && sscanf(argument, "%d %d", &a, &b) == 2) { puts(SendExtDesktopSize(client, a, b) ? "done" : "error: not sent"); }
  else if (!strcmp(line, "copy")) {
    /* Its one function for text takes Latin-1. */
    char latin1[4096], *end = latin1;
    for (unsigned char *c = (unsigned char *)argument; *c && end < latin1 + sizeof latin1 - 1; c++) {
      if (*c >= 0xc4) { puts("cannot"); return; }
      if (*c >= 0xc0) { *end++ = (char)((*c & 3) << 6 | (c[1] & 63)); c++; } else { *end++ = (char)*c; }
    }
    SendClientCutText(client, latin1, (int)(end - latin1));
    puts("done");
  }
  else if (!strcmp(line, "clipboard")) { printf("done %s\n", clipboard); }
  else if (!strcmp(line, "bells")) { printf("done %d\n", bells); }
  else if (!strcmp(line, "lamps")) { printf("done %s\n", lamps & 4 ? "caps" : ""); }
  else if (!strcmp(line, "cursor")) { printf("done %d\n", cursor_pixels); }
  else if (!strcmp(line, "name")) { printf("done %s\n", client->desktopName); }
  else { puts("cannot"); }
}

int main(int argc, char **argv) {
  int bits = argc > 2 ? atoi(argv[2]) : 32;
  rfbClient *client = bits == 8 ? rfbGetClient(2, 3, 1) : bits == 16 ? rfbGetClient(5, 3, 2) : rfbGetClient(8, 3, 4);
  password = argc > 3 ? argv[3] : NULL;
  setvbuf(stdout, NULL, _IOLBF, 0);
  rfbEnableClientLogging = FALSE;
  client->serverHost = strdup("127.0.0.1");
  client->serverPort = atoi(argv[1]);
  client->canHandleNewFBSize = TRUE;
  client->appData.useRemoteCursor = TRUE;
  client->appData.qualityLevel = 8;
  client->appData.encodingsString = "tight zrle trle ultra copyrect hextile zlib corre rre raw";
  client->GetPassword = get_password;
  client->Bell = bell;
  client->HandleKeyboardLedState = lamps_lit;
  client->GotXCutText = got_latin1;
  client->GotCursorShape = got_cursor;
  client->GetCredential = get_credential;
  const char *security = getenv("VNC_SECURITY");
  static const uint32_t secured[] = {rfbVeNCrypt, rfbVeNCryptX509None, rfbVeNCryptX509VNC, rfbVeNCryptX509Plain};
  if (security && !strncmp(security, "X509", 4)) SetClientAuthSchemes(client, secured, 4);
  if (!rfbInitClient(client, NULL, NULL)) { puts("error: no connection"); return 1; }
  puts("done");
  for (;;) {
    struct pollfd ends[2] = {{.fd = 0, .events = POLLIN}, {.fd = client->sock, .events = POLLIN}};
    /* What it has read ahead is not to be seen from outside. */
    int held = client->buffered > 0 || (client->tlsSession && gnutls_record_check_pending(client->tlsSession) > 0);
    int ready = held ? 1 : poll(ends, 2, -1);
    if (ready < 0) return 1;
    if (held || ends[1].revents) {
      if (!HandleRFBServerMessage(client)) { puts("error: the connection ended"); return 1; }
      continue;
    }
    if (ends[0].revents) {
      char line[8192];
      size_t length = 0;
      while (length < sizeof line - 1 && read(0, line + length, 1) == 1 && line[length] != '\n') length++;
      if (length == 0) return 0;
      line[length] = 0;
      obey(client, line);
    }
  }
}
