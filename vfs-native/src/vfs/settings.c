/*
** Settings: see settings.h. One table of keys says which environment variables, kind and bounds
** each has; what needs more than that (the URL, the mode, what goes together) is done by hand.
**
** No message contains a token.
*/
#include "vfs/settings.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>

#include "base/address_list.h"

#define DEFAULT_SERVER "http://127.0.0.1:50051"
#define MAX_NAME_BYTES 512
#define MAX_HOST_BYTES 253
#define MAX_TOKEN_BYTES 8192 /* well within what HTTP servers take as one header */
#define MIB (1024LL * 1024)
#define DAY_MS (24LL * 60 * 60 * 1000)

enum { OK = 0, WRONG = -1, NO_MEMORY = -2 };

typedef struct reader {
  gsq_parameter_fn parameter;
  void *arg;
  gsq_environment_fn environment;
  char *message;
  size_t message_size;
} reader;

/* A value and where it is from. */
typedef struct given {
  const char *value; /* NULL: nowhere */
  const char *where; /* the parameter's or the variable's name, for messages */
  int in_uri;
} given;

/* The bytes of the UTF-8 character at s, or 0 if it is none: no overlong form, no surrogate, nothing
** beyond U+10FFFF. */
static int utf8_length(const unsigned char *s) {
  if (s[0] < 0x80)
    return 1;
  int n = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
  if (s[0] < 0xc2 || s[0] > 0xf4)
    return 0;
  for (int i = 1; i < n; i++) {
    if ((s[i] & 0xc0) != 0x80)
      return 0; /* also at the end, which is 0 */
  }
  if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
      (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
    return 0;
  return n;
}

static int wrong(reader *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int wrong(reader *r, const char *format, ...) {
  if (r->message_size == 0)
    return WRONG;
  va_list args;
  va_start(args, format);
  vsnprintf(r->message, r->message_size, format, args);
  va_end(args);
  /* What was given goes to logs and terminals, and may have been cut within a character. */
  for (unsigned char *c = (unsigned char *)r->message; *c;) {
    int n = utf8_length(c);
    if (n == 0 || *c < 0x20 || *c == 0x7f)
      *c = '?';
    c += n ? n : 1;
  }
  return WRONG;
}

static given look_up(reader *r, const char *key, const char *variable,
                     const char *older_variable) {
  given g = {r->parameter ? r->parameter(r->arg, key) : NULL, key, 1};
  if (g.value)
    return g;
  const char *variables[] = {variable, older_variable};
  for (int i = 0; i < 2 && variables[i]; i++) {
    g.value = r->environment ? r->environment(variables[i]) : NULL;
    if (g.value && !*g.value)
      g.value = NULL;
    g.where = variables[i];
    g.in_uri = 0;
    if (g.value)
      break;
  }
  return g;
}

/* ---- Names ---------------------------------------------------------------------------------- */

const char *gsq_name_problem(const char *name) {
  if (!name || !*name)
    return "a database's name cannot be empty";
  if (*name == '/')
    return "a database's name at the server cannot begin with '/'";
  if (strnlen(name, MAX_NAME_BYTES + 1) > MAX_NAME_BYTES)
    return "a database's name has at most 512 bytes";
  for (const unsigned char *c = (const unsigned char *)name; *c;) {
    int n = utf8_length(c);
    if (!n)
      return "a database's name must be UTF-8";
    c += n;
  }
  for (const char *component = name;;) {
    size_t n = strcspn(component, "/");
    if (n == 2 && component[0] == '.' && component[1] == '.')
      return "a database's name cannot have '..' as a component";
    if (!component[n])
      return NULL;
    component += n + 1;
  }
}

static int read_name(reader *r, const char *name, gsq_settings *out) {
  const char *problem = gsq_name_problem(name);
  if (name && *name == '/')
    return wrong(
        r,
        "\"%.200s\": %s; for a file on this machine, open file:%.200s?vfs=unix (in the "
        "shell: .open 'file:%.200s?vfs=unix')",
        name, problem, name, name);
  if (problem)
    return wrong(r, "\"%.200s\": %s", name ? name : "", problem);
  out->name = strdup(name);
  return out->name ? OK : NO_MEMORY;
}

/* ---- URLs ----------------------------------------------------------------------------------- */

#define URL_FORMS "http://HOST[:PORT], https://HOST[:PORT] or unix:/PATH"
/* The canonical form of a URL is longer by less: a port, or another form of an IPv6 address. */
#define MORE_URL_BYTES 64

/* One of perhaps several URLs. */
typedef struct given_url {
  const char *where, *verb, *text;
} given_url;

static int bad_url(reader *r, const given_url *g, const char *why) {
  return wrong(r, "%s %s \"%.100s\": %s; give %s", g->where, g->verb, g->text, why, URL_FORMS);
}

/* Does not show it: there may be a password. */
static int has_user_name(reader *r, const char *where) {
  return wrong(r, "%s has a user name; a token goes into the parameter token", where);
}

/* A port's digits to the end of the text. 0: none. */
static int port_of(const char *text) {
  int port = 0;
  size_t n = strspn(text, "0123456789");
  if (n == 0 || n > 5 || text[n])
    return 0;
  for (size_t i = 0; i < n; i++)
    port = port * 10 + (text[i] - '0');
  return port <= 65535 ? port : 0;
}

static int read_unix_url(reader *r, const given_url *g, const char *path, char *to) {
  if (path[0] == '/' && path[1] == '/') {
    path += 2;
    if (*path != '/')
      return bad_url(r, g, "a Unix socket is on no host");
  }
  if (*path != '/')
    return bad_url(r, g, "a Unix socket's path must be absolute");
  while (path[1] == '/')
    path++; /* unix://x would be another form */
  struct sockaddr_un address;
  if (strlen(path) >= sizeof address.sun_path)
    return bad_url(r, g, "a Unix socket's path can have at most 107 bytes");
  if (path[1] == 0)
    return bad_url(r, g, "it names no socket");
  sprintf(to, "unix:%s", path);
  return OK;
}

/* Writes the canonical form, which has at most MORE_URL_BYTES more. */
static int read_one_url(reader *r, const given_url *g, char *to) {
  const char *url = g->text;
  if (!strncasecmp(url, "unix:", 5)) return read_unix_url(r, g, url + 5, to);
  int tls = !strncasecmp(url, "https://", 8);
  if (!tls && strncasecmp(url, "http://", 7)) return bad_url(r, g, "it has no known scheme");

  /* Authority, which a single slash may follow. */
  char authority[MAX_HOST_BYTES + 16];
  url += tls ? 8 : 7;
  size_t n = strcspn(url, "/?#");
  if (url[n] && strcmp(url + n, "/")) return bad_url(r, g, "a path, ? or # means nothing here");
  if (n >= sizeof authority) return bad_url(r, g, "the host is too long");
  memcpy(authority, url, n);
  authority[n] = 0;
  if (strchr(authority, '@')) return has_user_name(r, g->where);

  char host[MAX_HOST_BYTES + 8], *rest = authority;
  if (*authority == '[') {
    unsigned char address[sizeof(struct in6_addr)];
    char *end = strchr(authority, ']');
    if (!end) return bad_url(r, g, "']' is missing");
    *end = 0;
    rest = end + 1;
    host[0] = '[';
    if (inet_pton(AF_INET6, authority + 1, address) != 1 ||
        !inet_ntop(AF_INET6, address, host + 1, INET6_ADDRSTRLEN))
      return bad_url(r, g, "what is in [] is no IPv6 address");
    strcat(host, "]");
  } else {
    size_t length = strcspn(authority, ":");
    if (strchr(authority, ':') != strrchr(authority, ':'))
      return bad_url(r, g, "an IPv6 address must be in []");
    if (length == 0) return bad_url(r, g, "the host is missing");
    if (length > MAX_HOST_BYTES) return bad_url(r, g, "the host is too long");
    for (size_t i = 0; i < length; i++) {
      unsigned char c = (unsigned char)authority[i];
      if (!isascii(c) || (!isalnum(c) && !strchr("-._", c)))
        return bad_url(r, g, "the host has a character that no host name has");
      host[i] = (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
    }
    host[length] = 0;
    rest = authority + length;
  }

  int port = tls ? 443 : 50051;
  if (*rest) {
    if (*rest != ':') return bad_url(r, g, "after ']' only a port can follow");
    port = port_of(rest + 1);
    if (!port) return bad_url(r, g, "the port must be a number from 1 to 65535");
  }
  sprintf(to, "%s://%s:%d", tls ? "https" : "http", host, port);
  return OK;
}

/* Whether one of the canonical URLs before `url` in the list is the same, or one that does not go
** with it. NULL: neither. */
static const char *url_problem(const char *list, const char *url) {
  for (const char *one = list; one < url; one += gsq_address_length(one) + 1) {
    const size_t length = gsq_address_length(one);
    if (length == strlen(url) && !memcmp(one, url, length)) return "it is there twice";
    if ((!strncmp(one, "https:", 6) && !strncmp(url, "http:", 5)) ||
        (!strncmp(one, "http:", 5) && !strncmp(url, "https:", 6)))
      return "http:// beside https:// would protect nothing";
  }
  return NULL;
}

/* Cuts `text` into its URLs. */
static int read_urls(reader *r, const given *from, char *text, gsq_settings *out) {
  char *end = out->server;
  const int several = text[gsq_address_length(text)] != 0;
  int count = 0;
  if (several && strncasecmp(text, "unix:", 5) && strchr(text, '@'))
    return has_user_name(r, from->where); /* which may have a password with a comma */
  for (char *next; text; text = next) {
    const size_t length = gsq_address_length(text);
    next = (char *)(uintptr_t)gsq_address_next(text, length);
    text[length] = 0;
    const given_url one = {from->where, several ? "has" : "is", text};
    if (several && length == 0)
      return wrong(r, "%s is \"%.100s\": beside a comma there is no URL", from->where,
                   from->value);
    if (++count > GSQ_MAX_ADDRESSES)
      return wrong(r, "%s has more than %d URLs", from->where, GSQ_MAX_ADDRESSES);
    if (end > out->server) *end++ = ',';
    int rc = read_one_url(r, &one, end);
    if (rc != OK) return rc;
    const char *problem = url_problem(out->server, end);
    if (problem) return bad_url(r, &one, problem);
    end += strlen(end);
  }
  return OK;
}

static int read_server(reader *r, gsq_settings *out) {
  given g = look_up(r, "server", "GRPSQLITE_URL", "GRPC_VFS_URL");
  if (!g.value) g.value = DEFAULT_SERVER;
  size_t count = 1;
  for (const char *c = g.value; *c && count < GSQ_MAX_ADDRESSES; c++) count += *c == ',';
  char *text = strdup(g.value);
  out->server = text ? malloc(strlen(text) + count * MORE_URL_BYTES) : NULL;
  int rc = out->server ? read_urls(r, &g, text, out) : NO_MEMORY;
  free(text);
  return rc;
}

/* ---- Numbers and texts ---------------------------------------------------------------------- */

/* Digits alone, within bounds. */
static int parse_number(const char *text, uint64_t max, uint64_t *out) {
  uint64_t number = 0;
  if (!*text)
    return 0;
  for (; *text; text++) {
    if (*text < '0' || *text > '9')
      return 0;
    unsigned digit = (unsigned)(*text - '0');
    if (number > (max - digit) / 10)
      return 0;
    number = number * 10 + digit;
  }
  *out = number;
  return 1;
}

typedef struct number_key {
  const char *key, *variable;
  int64_t min, max, fallback, unit;
  size_t field;
} number_key;

#define FIELD(name) offsetof(gsq_settings, name)
static const number_key number_keys[] = {
    {"max_staleness_ms", "GRPSQLITE_MAX_STALENESS_MS", 0, DAY_MS, 0, 1,
     FIELD(max_staleness_ms)},
    {"timeout_ms", "GRPSQLITE_TIMEOUT_MS", 1, DAY_MS, 30000, 1, FIELD(timeout_ms)},
    {"connect_timeout_ms", "GRPSQLITE_CONNECT_TIMEOUT_MS", 0, DAY_MS, 5000, 1,
     FIELD(connect_timeout_ms)},
    {"cache_mb", "GRPSQLITE_CACHE_MB", 0, 1024 * 1024, 64, MIB, FIELD(cache_bytes)},
    {"cache_dir_mb", "GRPSQLITE_CACHE_DIR_MB", 1, 1024 * 1024, 1024, MIB,
     FIELD(cache_dir_bytes)},
    {"prefetch_mb", "GRPSQLITE_PREFETCH_MB", 0, 64, 16, MIB, FIELD(prefetch_bytes)},
    {"buffer_mb", "GRPSQLITE_BUFFER_MB", 1, 64 * 1024, 16, MIB, FIELD(buffer_bytes)},
    /* Lengths within a message are 31 bits. */
    {"max_batch_mb", "GRPSQLITE_MAX_BATCH_MB", 1, 1024, 4, MIB, FIELD(batch_bytes)},
};

static int read_numbers(reader *r, gsq_settings *out) {
  for (size_t i = 0; i < sizeof number_keys / sizeof *number_keys; i++) {
    const number_key *k = &number_keys[i];
    given g = look_up(r, k->key, k->variable, NULL);
    uint64_t number = (uint64_t)k->fallback;
    if (g.value &&
        (!parse_number(g.value, (uint64_t)k->max, &number) || number < (uint64_t)k->min))
      return wrong(r, "%s is \"%.100s\"; it must be a number from %lld to %lld", g.where,
                   g.value, (long long)k->min, (long long)k->max);
    int64_t value = (int64_t)number * k->unit;
    memcpy((char *)out + k->field, &value, sizeof value);
  }
  return OK;
}

/* Leaves *to NULL if nothing was given. */
static int read_text(const given *g, char **to) {
  if (!g->value || !*g->value)
    return OK;
  *to = strdup(g->value);
  return *to ? OK : NO_MEMORY;
}

static int read_token(reader *r, gsq_settings *out) {
  given g = look_up(r, "token", "GRPSQLITE_TOKEN", "GRPC_VFS_CLIENT_TOKEN");
  if (g.value && strnlen(g.value, MAX_TOKEN_BYTES + 1) > MAX_TOKEN_BYTES)
    return wrong(r, "%s is too long; it can have at most %d bytes", g.where, MAX_TOKEN_BYTES);
  for (const char *c = g.value; c && *c; c++) {
    if (*c <= 0x20 || *c >= 0x7f)
      return wrong(
          r,
          "%s has a space, a control character or one beyond ASCII; it must be what can "
          "follow \"Bearer\" in an HTTP header",
          g.where);
  }
  return read_text(&g, &out->token);
}

static int read_files(reader *r, gsq_settings *out) {
  given ca = look_up(r, "ca_file", "GRPSQLITE_CA_FILE", NULL);
  given cert = look_up(r, "cert_file", "GRPSQLITE_CERT_FILE", NULL);
  given key = look_up(r, "key_file", "GRPSQLITE_KEY_FILE", NULL);
  if (read_text(&ca, &out->ca_file) || read_text(&cert, &out->cert_file) ||
      read_text(&key, &out->key_file))
    return NO_MEMORY;
  if (!out->cert_file != !out->key_file) {
    const given *one = out->cert_file ? &cert : &key;
    return wrong(r, "%s is \"%.100s\" without %s; a client certificate needs both", one->where,
                 one->value, out->cert_file ? "key_file" : "cert_file");
  }
  return OK;
}

static int read_cache_dir(reader *r, gsq_settings *out) {
  given g = look_up(r, "cache_dir", "GRPSQLITE_CACHE_DIR", NULL);
  return read_text(&g, &out->cache_dir);
}

/* ---- What else there is --------------------------------------------------------------------- */

static int read_mode(reader *r, gsq_settings *out) {
  given mode = look_up(r, "mode", "GRPSQLITE_MODE", NULL);
  if (!mode.value)
    mode.value = "";
  else if (!strcmp(mode.value, "ro"))
    out->read_only = 1;
  else if (!strcmp(mode.value, "rw"))
    out->no_create = 1;
  else if (strcmp(mode.value, "rwc"))
    return wrong(r, "%s is \"%.100s\"; it must be ro, rw or rwc", mode.where, mode.value);

  given at = look_up(r, "at", "GRPSQLITE_AT", NULL);
  given version = look_up(r, "version", "GRPSQLITE_VERSION", NULL);
  /* The URI's word on what to read replaces the environment's, whichever of the two it uses. */
  if (at.value && version.value && at.in_uri != version.in_uri) {
    if (at.in_uri)
      version.value = NULL;
    else
      at.value = NULL;
  }
  if (at.value && version.value)
    return wrong(r, "%s is \"%.100s\" and %s is \"%.100s\"; give one of them", at.where,
                 at.value, version.where, version.value);
  if (at.value && !*at.value)
    return wrong(r, "%s is \"\"; it must be a time such as 2026-01-31T10:00:00Z", at.where);
  if (version.value) {
    if (!parse_number(version.value, UINT64_MAX, &out->version))
      return wrong(r, "%s is \"%.100s\"; it must be a number from 0 to %llu", version.where,
                   version.value, (unsigned long long)UINT64_MAX);
    out->version_given = 1;
  }
  if (!at.value && !version.value)
    return OK;
  if (*mode.value && !out->read_only)
    return wrong(r, "%s is \"%.100s\", but with %s a database is read alone; it must be ro",
                 mode.where, mode.value, at.value ? at.where : version.where);
  out->read_only = 1;
  if (!at.value)
    return OK;
  const char *problem = gsq_rfc3339_read(at.value, &out->at_time);
  if (problem)
    return wrong(r, "%s is \"%.100s\": %s; give a time such as 2026-01-31T10:00:00Z", at.where,
                 at.value, problem);
  return read_text(&at, &out->at);
}

static int read_service(reader *r, gsq_settings *out) {
  given g = look_up(r, "service", "GRPSQLITE_SERVICE", NULL);
  if (!g.value)
    g.value = "auto";
  if (strcmp(g.value, "auto") && strcmp(g.value, "page") && strcmp(g.value, "file"))
    return wrong(r, "%s is \"%.100s\"; it must be auto, page or file", g.where, g.value);
  out->service = *g.value;
  return OK;
}

static int read_compression(reader *r, gsq_settings *out) {
  given g = look_up(r, "compression", "GRPSQLITE_COMPRESSION", NULL);
  if (!g.value) g.value = "auto";
  if (strcmp(g.value, "auto") && strcmp(g.value, "off") && strcmp(g.value, "lz4"))
    return wrong(r, "%s is \"%.100s\"; it must be auto, off or lz4", g.where, g.value);
  out->compression = *g.value;
  return OK;
}

int gsq_settings_read(const char *name, gsq_parameter_fn parameter, void *arg,
                      gsq_environment_fn environment, gsq_settings *out, char *message,
                      size_t message_size) {
  reader r = {parameter, arg, environment, message, message_size};
  memset(out, 0, sizeof *out);
  if (message_size)
    message[0] = 0;
  int rc = read_name(&r, name, out);
  if (rc == OK) rc = read_server(&r, out);
  if (rc == OK)
    rc = read_token(&r, out);
  if (rc == OK)
    rc = read_files(&r, out);
  if (rc == OK) rc = read_cache_dir(&r, out);
  if (rc == OK)
    rc = read_mode(&r, out);
  if (rc == OK)
    rc = read_numbers(&r, out);
  if (rc == OK)
    rc = read_service(&r, out);
  if (rc == OK) rc = read_compression(&r, out);
  if (rc != OK)
    gsq_settings_free(out);
  return rc;
}

void gsq_settings_free(gsq_settings *settings) {
  free(settings->name);
  free(settings->server);
  free(settings->token);
  free(settings->ca_file);
  free(settings->cert_file);
  free(settings->key_file);
  free(settings->cache_dir);
  free(settings->at);
  memset(settings, 0, sizeof *settings);
}
