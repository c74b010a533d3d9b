/*
** What the URI and the environment say about one open. The URI wins; then the environment; then
** the default. Pure: strings in, a struct or a sentence out.
*/
#ifndef GSQ_VFS_SETTINGS_H
#define GSQ_VFS_SETTINGS_H

#include <stddef.h>
#include <stdint.h>

#include "vfs/rfc3339.h"

typedef struct gsq_settings {
  char *name;   /* the database's name at the server, checked */
  char *
      server; /* canonical URL: http://host:port, https://host:port, unix:/path; or several, with
                ** a comma between them */
  char *token;  /* or NULL */
  char *ca_file, *cert_file, *key_file; /* or NULL */
  int read_only;            /* mode=ro; at and version imply it, and refuse another mode */
  int no_create;            /* mode=rw */
  char *at;                 /* as it was given; or NULL */
  gsq_time at_time;         /* what it means */
  int version_given;
  uint64_t version;
  int64_t max_staleness_ms; /* 0: fresh. A server without Watch is asked once in that time */
  int64_t timeout_ms;       /* of one operation; default 30000 */
  int64_t connect_timeout_ms; /* of a server's first answer, and of each connect(); default 5000.
                              ** 0: that, but does not wait for a server that refuses */
  int64_t cache_bytes;      /* cache_mb; default 64 MiB */
  char *cache_dir;          /* or NULL: no page is kept on disk */
  int64_t cache_dir_bytes;  /* cache_dir_mb: of the pages there; default 1 GiB */
  int64_t prefetch_bytes;   /* prefetch_mb: that one answer may bring unasked; default 16 MiB */
  int64_t buffer_bytes;     /* buffer_mb: of a transaction, before it is staged; default 16 MiB */
  int64_t batch_bytes;      /* max_batch_mb: of one message of the file service; default 4 MiB */
  char service;             /* service=auto|page|file: 'a', 'p', 'f' */
  char compression;         /* compression=auto|off|lz4, of pages that come: 'a', 'o', 'l' */
} gsq_settings;

/* Gives the value of a URI parameter or NULL; what sqlite3_uri_parameter does. */
typedef const char *(*gsq_parameter_fn)(void *arg, const char *key);
typedef const char *(*gsq_environment_fn)(const char *key);

/*
** `name` is the path part that SQLite hands to xOpen. Returns 0 and fills *out
** (gsq_settings_free), -1 with a sentence in message if something is wrong (which parameter, which
** value, what would be right), -2 if memory ran out.
**
** A server's URL is http://HOST[:PORT] (default port 50051), https://HOST[:PORT] (443; HOST may be
** a name, an IPv4 address or an [IPv6] one), unix:/PATH or unix:///PATH. Its canonical form has a
** lower-case scheme and host and always a port, so that equal servers are equal strings; default
** http://127.0.0.1:50051.
**
** Several URLs, with a comma between them and perhaps spaces after it, are those of servers that are
** interchangeable: at most 16, none twice, and not http:// beside https://, for a client that went on
** to the former would send in the clear what the latter kept secret. In the path of a Unix socket a
** comma ends it only if another URL follows.
**
** An environment variable that is empty counts as absent; an empty token, ca_file, cert_file,
** key_file or cache_dir in the URI means none, whatever the environment says.
**
** The environment has GRPSQLITE_URL (or GRPC_VFS_URL), GRPSQLITE_TOKEN (or
** GRPC_VFS_CLIENT_TOKEN), and GRPSQLITE_<KEY> for each other key of the URI.
*/
int gsq_settings_read(const char *name, gsq_parameter_fn parameter, void *arg,
                      gsq_environment_fn environment, gsq_settings *out, char *message,
                      size_t message_size);
void gsq_settings_free(gsq_settings *settings);

/* The rule for names: UTF-8, 1 to 512 bytes, no NUL, no leading '/', no component "..". NULL if it
** holds, else what is wrong. */
const char *gsq_name_problem(const char *name);

#endif
