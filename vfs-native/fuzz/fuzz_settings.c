/* The URI parser: lines of the input are the database's name, then KEY=VALUE; keys in capitals are
** the environment's, the others the URI's. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "vfs/settings.h"

#define MAX_LINES 40

static char *lines[MAX_LINES];
static int line_count;

static const char *value_of(void *arg, const char *key) {
  size_t n = strlen(key);
  (void)arg;
  for (int i = 1; i < line_count; i++) {
    if (!strncmp(lines[i], key, n) && lines[i][n] == '=')
      return lines[i] + n + 1;
  }
  return NULL;
}

static const char *environment_of(const char *key) {
  return value_of(NULL, key);
}

static const char *canonical(void *arg, const char *key) {
  return strcmp(key, "server") ? NULL : arg;
}

static void require(int condition) {
  if (!condition)
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *text = malloc(size + 1), message[300];
  if (!text)
    return 0;
  memcpy(text, data, size);
  text[size] = 0;
  line_count = 0;
  for (char *line = text; line && line_count < MAX_LINES;) {
    lines[line_count++] = line;
    line = strchr(line, '\n');
    if (line)
      *line++ = 0;
  }
  gsq_settings settings, again;
  int rc = gsq_settings_read(lines[0], value_of, NULL, environment_of, &settings, message,
                             sizeof message);
  if (rc == 0) {
    require(!gsq_name_problem(settings.name));
    require(strchr("apf", settings.service) != NULL);
    require(strchr("aol", settings.compression) != NULL);
    require(settings.timeout_ms > 0 && settings.connect_timeout_ms >= 0);
    require(settings.cache_bytes >= 0 && settings.buffer_bytes > 0 && settings.batch_bytes > 0);
    require(settings.read_only || (!settings.at && !settings.version_given));
    /* A canonical URL is one whose canonical form is itself. */
    rc = gsq_settings_read("a", canonical, settings.server, NULL, &again, message,
                           sizeof message);
    require(rc == 0 && !strcmp(again.server, settings.server));
    gsq_settings_free(&again);
    gsq_settings_free(&settings);
  } else {
    require(rc == -2 || (rc == -1 && *message && strlen(message) < sizeof message));
  }
  free(text);
  return 0;
}
