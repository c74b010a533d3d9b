#include "rpc/url.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int bad(gsq_error *error, const char *text, const char *why) {
  /* The text may be anything: not more of it than helps, and nothing that a terminal obeys. */
  char shown[120];
  size_t n = 0;
  for (; text[n] && n < sizeof shown - 1; n++) {
    unsigned char c = (unsigned char)text[n];
    shown[n] = c < 0x20 || c == 0x7f ? '?' : (char)c;
  }
  shown[n] = 0;
  return gsq_error_set(error, GSQ_BAD_URL,
                       "\"%s\" cannot be used as a server's URL: %s; give http://host:port, "
                       "https://host:port or unix:/path",
                       shown, why);
}

static int parse_unix(const char *text, gsq_url *out, gsq_error *error) {
  const char *path = text + strlen("unix:");
  while (strncmp(path, "//", 2) == 0) path++; /* unix:///path */
  size_t size = strlen(path);
  if (size == 0) return bad(error, text, "it has no path");
  if (size >= sizeof out->path) return bad(error, text, "the path is too long for a socket");
  out->is_unix = 1;
  memcpy(out->path, path, size + 1);
  strcpy(out->authority, "localhost");
  snprintf(out->text, sizeof out->text, "unix:%s", out->path);
  return GSQ_OK;
}

static int is_host_char(char c) {
  return isalnum((unsigned char)c) || c == '.' || c == '-' || c == '_';
}

/* Copies an IPv6 literal "[…]"; returns what follows it, or NULL. */
static const char *parse_ipv6(const char *at, gsq_url *out) {
  const char *close = strchr(at, ']');
  if (!close) return NULL;
  size_t size = (size_t)(close - at) - 1;
  if (size == 0 || size > 80) return NULL;
  memcpy(out->host, at + 1, size);
  out->host[size] = 0;
  char address[INET6_ADDRSTRLEN + 1];
  size_t bare = strcspn(out->host, "%"); /* a zone may follow: fe80::1%eth0 */
  if (bare >= sizeof address) return NULL;
  memcpy(address, out->host, bare);
  address[bare] = 0;
  for (const char *zone = out->host + bare; *zone; zone++) {
    if (*zone != '%' && !is_host_char(*zone)) return NULL;
  }
  struct in6_addr binary;
  if (inet_pton(AF_INET6, address, &binary) != 1) return NULL;
  out->is_address = 1;
  return close + 1;
}

int gsq_url_parse(const char *text, gsq_url *out, gsq_error *error) {
  memset(out, 0, sizeof *out);
  if (!text) text = "";
  if (strncasecmp(text, "unix:", 5) == 0) return parse_unix(text, out, error);
  const char *at;
  if (strncasecmp(text, "http://", 7) == 0) {
    at = text + 7;
    strcpy(out->port, "80");
  } else if (strncasecmp(text, "https://", 8) == 0) {
    at = text + 8;
    out->tls = 1;
    strcpy(out->port, "443");
  } else {
    return bad(error, text, "it begins with none of http://, https://, unix:");
  }

  if (*at == '[') {
    at = parse_ipv6(at, out);
    if (!at) return bad(error, text, "what is in brackets is no IPv6 address");
  } else {
    size_t size = 0;
    while (is_host_char(at[size])) size++;
    if (size == 0) return bad(error, text, "it has no host");
    if (size >= sizeof out->host) return bad(error, text, "the host is too long");
    memcpy(out->host, at, size);
    out->host[size] = 0;
    at += size;
    struct in_addr binary;
    out->is_address = inet_pton(AF_INET, out->host, &binary) == 1;
  }

  if (*at == ':') {
    at++;
    size_t digits = strspn(at, "0123456789");
    if (digits == 0) return bad(error, text, "after the colon there is no port number");
    long port = digits > 5 ? 0 : strtol(at, NULL, 10);
    if (port < 1 || port > 65535) return bad(error, text, "a port is 1 to 65535");
    snprintf(out->port, sizeof out->port, "%d", (int)port);
    at += digits;
  }
  if (*at == '/') at++;
  if (*at) return bad(error, text, "something follows the host and port");

  const char *open = strchr(out->host, ':') ? "[" : "", *close = *open ? "]" : "";
  snprintf(out->authority, sizeof out->authority, "%s%s%s:%s", open, out->host, close,
           out->port);
  snprintf(out->text, sizeof out->text, "http%s://%s", out->tls ? "s" : "", out->authority);
  return GSQ_OK;
}
