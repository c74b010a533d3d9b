#include "vfs/pragma.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "service/admin_client.h"
#include "service/file_client.h"
#include "vfs/restore.h"

/* An answer of one text. */
static int answer(char **result, char *text) {
  if (!text) return SQLITE_NOMEM;
  *result = text;
  return SQLITE_OK;
}

/* PRAGMA journal_mode=wal. SQLite would say no by itself, for want of shared memory, but not
** under locking_mode=exclusive. Only SQLite knows which mode there is, and it answers with that when
** it does not know the one asked for: so it is asked for one that nobody knows. It takes any
** beginning of a mode's name for the name. */
void gsq_pragma_forbid_wal(char *mode) {
  const size_t length = strlen(mode);
  if (length > 0 && length <= 3 && strncasecmp(mode, "wal", length) == 0) {
    memset(mode, '?', length);
  }
}

static int show_version(gsq_remote_file *file, char **result) {
  gsq_error error = {0};
  if (file->pin.pinned) {
    return answer(result, sqlite3_mprintf("%llu", file->pin.snapshot.version));
  }
  const gsq_beginning how = {.max_staleness_ms = file->settings.max_staleness_ms};
  if (gsq_database_pin(file->database, &file->pin, &how, gsq_remote_deadline(file), &error) !=
      GSQ_OK) {
    return gsq_fail_error(&file->report, &error, GSQ_LOCKING, "asking for the version of",
                          file->settings.name);
  }
  const uint64_t version = file->pin.snapshot.version;
  gsq_database_unpin(file->database, &file->pin);
  return answer(result, sqlite3_mprintf("%llu", version));
}

char *gsq_remote_stats(gsq_remote_file *file) {
  gsq_server *server = file->server;
  gsq_channel_stats channel;
  gsq_page_cache_stats cache;
  gsq_disk_cache_stats disk;
  gsq_channel_stats_get(server->channel, &channel);
  gsq_page_cache_stats_get(file->database->cache, &cache);
  gsq_disk_cache_stats_get(file->database->disk, &disk);
  return sqlite3_mprintf(
      "rpcs %llu\nround_trips %llu\nretries %llu\nconnects %llu\nserver_changes %llu\n"
      "bytes_sent %llu\nbytes_received %llu\n"
      "cache_hits %llu\ncache_misses %llu\ncache_evictions %llu\ncache_bytes %llu\n"
      "disk_hits %llu\ndisk_misses %llu\ndisk_damaged %llu\ndisk_dropped %llu\n"
      "disk_bytes_read %llu\ndisk_bytes_written %llu\n"
      "prefetch_used %llu\nprefetch_unused %llu\n"
      "commits %llu\npages_committed %llu\npages_staged %llu\n"
      "watch_events %llu\ntransactions_unasked %llu\ntransactions_delegated %llu\n"
      "leases_yielded %llu",
      channel.calls, channel.calls + channel.retries, channel.retries, channel.connects,
      channel.moves, channel.bytes_sent, channel.bytes_received, cache.hits, cache.misses,
      cache.evictions, (sqlite3_uint64)cache.bytes, disk.hits, disk.misses, disk.damaged,
      disk.dropped, disk.bytes_read, disk.bytes_written, cache.unasked_used,
      cache.unasked - cache.unasked_used, atomic_load(&server->commits),
      atomic_load(&server->pages_committed), atomic_load(&server->pages_staged),
      atomic_load(&server->watch_events), atomic_load(&server->unasked),
      atomic_load(&server->delegated), atomic_load(&server->yields));
}

/* Forks what is the head. *result: the new name, or a sentence. */
static int fork_database(gsq_remote_file *file, const char *new_name, char **result) {
  const char *name = file->settings.name;
  gsq_error error = {0};
  gsq_id commit;
  int rc;
  if (file->fixed) {
    /* Of what the server would fork this connection shows nothing. */
    rc = gsq_fail(&file->report, SQLITE_READONLY,
                  "%s is open at version %llu here, and PRAGMA grpsqlite_fork forks what is "
                  "there now; open it without at= and version=",
                  name, (unsigned long long)file->view.snapshot.version);
  } else if (!new_name || !*new_name) {
    rc = gsq_fail(&file->report, SQLITE_ERROR,
                  "%s was not forked: PRAGMA grpsqlite_fork=NAME takes the new database's name",
                  name);
  } else if (gsq_id_random(&commit) != 0) {
    rc = gsq_fail(&file->report, SQLITE_IOERR,
                  "%s was not forked: the system gives no randomness", name);
  } else if (gsq_fork_database(file->server->channel, name, new_name, &commit,
                               gsq_remote_deadline(file), &error) != GSQ_OK) {
    rc = gsq_fail_error(
        &file->report, &error, GSQ_WRITING,
        gsq_may_be_done(&error) ? "it is not known whether this was forked:" : "not forked:",
        name);
  } else {
    return answer(result, sqlite3_mprintf("%s", new_name));
  }
  *result = sqlite3_mprintf("%s", file->report.text);
  return rc;
}

/* A PRAGMA that neither we nor SQLite know may be the server's. */
static int ask_server(gsq_remote_file *file, const char *name, const char *value,
                      char **result) {
  gsq_server *server = file->server;
  gsq_error error = {0};
  gsq_file_capabilities capabilities;
  const int64_t deadline_ms = gsq_remote_deadline(file);
  char *response = NULL;
  int code = gsq_file_get_capabilities(server->channel, server->token ? server->token : "",
                                       &capabilities, deadline_ms, &error);
  if (code == GSQ_OK) {
    const gsq_file_ref ref = {.context = capabilities.context,
                              .lease_id = "",
                              .file_name = file->settings.name,
                              .database = file->settings.name};
    code = gsq_file_pragma(server->channel, &ref, name, value, &response, deadline_ms, &error);
  }
  if (code == GSQ_NOT_FOUND || code == GSQ_UNIMPLEMENTED) return SQLITE_NOTFOUND;
  if (code != GSQ_OK) {
    int rc = gsq_fail_error(&file->report, &error, GSQ_READING, "asking the server for PRAGMA",
                            name);
    *result = sqlite3_mprintf("%s", file->report.text);
    return rc;
  }
  int rc = SQLITE_OK;
  if (response) rc = answer(result, sqlite3_mprintf("%s", response));
  free(response);
  return rc;
}

int gsq_remote_pragma(gsq_remote_file *file, char **arguments) {
  char **result = &arguments[0];
  const char *name = arguments[1];
  char *value = arguments[2];
  if (strcasecmp(name, "journal_mode") == 0) {
    if (value) gsq_pragma_forbid_wal(value);
    return SQLITE_NOTFOUND;
  }
  if (strcasecmp(name, "locking_mode") == 0) {
    int rc = gsq_remote_locking_mode(file, value);
    if (rc != SQLITE_NOTFOUND) *result = sqlite3_mprintf("%s", file->report.text);
    return rc;
  }
  if (gsq_is_sqlite_pragma(name)) return SQLITE_NOTFOUND;
  if (strcasecmp(name, "grpsqlite_last_error") == 0) {
    char text[GSQ_REPORT_BYTES];
    gsq_last_error(text, sizeof text);
    return answer(result,
                  sqlite3_mprintf("%s", file->report.text[0] ? file->report.text : text));
  }
  if (gsq_remote_is_inherited(file)) return SQLITE_IOERR;
  if (strcasecmp(name, "grpsqlite_version") == 0) return show_version(file, result);
  if (strcasecmp(name, "grpsqlite_stats") == 0) return answer(result, gsq_remote_stats(file));
  if (strcasecmp(name, "grpsqlite_server") == 0) {
    return answer(result, sqlite3_mprintf("%s", gsq_channel_url(file->server->channel)));
  }
  if (strcasecmp(name, "grpsqlite_restore") == 0) {
    return gsq_remote_restore(file, value, result);
  }
  if (strcasecmp(name, "grpsqlite_fork") == 0) return fork_database(file, value, result);
  return ask_server(file, name, value, result);
}
