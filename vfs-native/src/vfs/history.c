/*
** An eponymous virtual table:
**
**   version        INTEGER  what version= of the URI takes
**   committed_at   TEXT     RFC 3339 in UTC, with milliseconds; what at= takes
**   pages_changed  INTEGER  by its commit
**   page_size      INTEGER
**   page_count     INTEGER
**   size           INTEGER  bytes
**   schema         hidden: grpsqlite_history('aux') is the history of the database attached as aux
**
** A row comes as the server lists it: the table is of no transaction, and shows the whole history
** also where a connection is at a fixed version. The list is asked for in pieces when rows are, so
** that LIMIT 10 costs one RPC; ORDER BY version DESC is the order that it has, and a lower bound of
** version ends it.
*/
#include "vfs/history.h"

#include <string.h>

#include "service/admin_client.h"
#include "vfs/remote_file.h"

/* Versions in the first answer, and in each that follows. */
#define FIRST_LISTED 64
#define LISTED 1000

enum column { VERSION, COMMITTED_AT, PAGES_CHANGED, PAGE_SIZE, PAGE_COUNT, SIZE, SCHEMA };
static const char declaration[] =
    "CREATE TABLE grpsqlite_history(version INTEGER, committed_at TEXT, pages_changed INTEGER, "
    "page_size INTEGER, page_count INTEGER, size INTEGER, schema TEXT HIDDEN)";

/* Bits of idxNum: which arguments there are, in this order. */
enum { SCHEMA_GIVEN = 1, LOWEST_GIVEN = 2 };

typedef struct history_table {
  sqlite3_vtab base;
  sqlite3 *db;
} history_table;

typedef struct history_cursor {
  sqlite3_vtab_cursor base;
  char *schema;
  gsq_id database; /* what that was when it began */
  gsq_version_list list;
  size_t at; /* in list */
  int64_t lowest;
} history_cursor;

static int wrong(sqlite3_vtab *table, int rc, const char *text) {
  sqlite3_free(table->zErrMsg);
  table->zErrMsg = sqlite3_mprintf("%s", text);
  return rc;
}

static int history_connect(sqlite3 *db, void *arg, int count, const char *const *arguments,
                           sqlite3_vtab **out, char **message) {
  (void)arg, (void)count, (void)arguments, (void)message;
  int rc = sqlite3_declare_vtab(db, declaration);
  if (rc != SQLITE_OK) return rc;
  history_table *table = sqlite3_malloc(sizeof *table);
  if (!table) return SQLITE_NOMEM;
  memset(table, 0, sizeof *table);
  table->db = db;
  *out = &table->base;
  return SQLITE_OK;
}

static int history_disconnect(sqlite3_vtab *base) {
  sqlite3_free(base);
  return SQLITE_OK;
}

static int history_best_index(sqlite3_vtab *base, sqlite3_index_info *info) {
  int schema = -1, lowest = -1;
  (void)base;
  for (int i = 0; i < info->nConstraint; i++) {
    const struct sqlite3_index_constraint *one = &info->aConstraint[i];
    if (one->iColumn == SCHEMA && one->op == SQLITE_INDEX_CONSTRAINT_EQ) {
      /* Not before it is known of which database. */
      if (!one->usable) return SQLITE_CONSTRAINT;
      schema = i;
    }
    if (one->iColumn == VERSION && one->usable &&
        (one->op == SQLITE_INDEX_CONSTRAINT_GE || one->op == SQLITE_INDEX_CONSTRAINT_GT)) {
      lowest = i;
    }
  }
  int next = 1;
  if (schema >= 0) {
    info->aConstraintUsage[schema].argvIndex = next++;
    info->aConstraintUsage[schema].omit = 1;
    info->idxNum |= SCHEMA_GIVEN;
  }
  if (lowest >= 0) {
    info->aConstraintUsage[lowest].argvIndex = next++;
    info->idxNum |= LOWEST_GIVEN;
  }
  info->orderByConsumed =
      info->nOrderBy == 1 && info->aOrderBy[0].iColumn == VERSION && info->aOrderBy[0].desc;
  info->estimatedRows = lowest >= 0 ? 100 : 1000;
  info->estimatedCost = (double)info->estimatedRows * 10;
  return SQLITE_OK;
}

static int history_open(sqlite3_vtab *base, sqlite3_vtab_cursor **out) {
  (void)base;
  history_cursor *cursor = sqlite3_malloc(sizeof *cursor);
  if (!cursor) return SQLITE_NOMEM;
  memset(cursor, 0, sizeof *cursor);
  *out = &cursor->base;
  return SQLITE_OK;
}

static void reset(history_cursor *cursor) {
  gsq_version_list_free(&cursor->list);
  sqlite3_free(cursor->schema);
  cursor->schema = NULL;
}

static int history_close(sqlite3_vtab_cursor *base) {
  reset((history_cursor *)base);
  sqlite3_free(base);
  return SQLITE_OK;
}

/* The file, looked up each time: between two rows anybody may DETACH it. */
static int find_file(const history_cursor *cursor, gsq_remote_file **out) {
  history_table *table = (history_table *)cursor->base.pVtab;
  char text[GSQ_REPORT_BYTES];
  sqlite3_file *file = NULL;
  int rc = sqlite3_file_control(table->db, cursor->schema, SQLITE_FCNTL_FILE_POINTER, &file);
  if (rc != SQLITE_OK || !gsq_is_remote_file(file)) {
    sqlite3_snprintf(sizeof text, text,
                     rc == SQLITE_OK ? "grpsqlite_history: %s is no database of a gRPSQLite "
                                       "server with the page service"
                                     : "grpsqlite_history: there is no database %s",
                     cursor->schema);
    return wrong(&table->base, SQLITE_ERROR, text);
  }
  *out = (gsq_remote_file *)file;
  if (!gsq_remote_is_inherited(*out)) return SQLITE_OK;
  return wrong(&table->base, SQLITE_IOERR, (*out)->report.text);
}

/* Gets the versions below `below`. */
static int fetch(history_cursor *cursor, gsq_remote_file *file, uint32_t limit,
                 uint64_t below) {
  gsq_error error = {0};
  gsq_version_list list;
  int code =
      gsq_list_versions(file->server->channel, file->settings.name, limit, cursor->list.next,
                        below, &list, gsq_remote_deadline(file), &error);
  if (code != GSQ_OK) {
    int rc = gsq_fail_error(&file->report, &error, GSQ_READING, "listing the versions of",
                            file->settings.name);
    return wrong(cursor->base.pVtab, code == GSQ_UNIMPLEMENTED ? SQLITE_ERROR : rc,
                 file->report.text);
  }
  gsq_version_list_free(&cursor->list);
  cursor->list = list;
  cursor->at = 0;
  return SQLITE_OK;
}

static int history_filter(sqlite3_vtab_cursor *base, int index, const char *text, int count,
                          sqlite3_value **values) {
  history_cursor *cursor = (history_cursor *)base;
  gsq_remote_file *file;
  int next = 0;
  (void)text, (void)count;
  reset(cursor);
  const char *schema = "main";
  if (index & SCHEMA_GIVEN) schema = (const char *)sqlite3_value_text(values[next++]);
  cursor->lowest = index & LOWEST_GIVEN ? sqlite3_value_int64(values[next++]) : 0;
  cursor->schema = sqlite3_mprintf("%s", schema ? schema : "NULL");
  if (!cursor->schema) return SQLITE_NOMEM;
  int rc = find_file(cursor, &file);
  if (rc != SQLITE_OK) return rc;
  cursor->database = file->database->id;
  return fetch(cursor, file, FIRST_LISTED, UINT64_MAX);
}

static int history_next(sqlite3_vtab_cursor *base) {
  history_cursor *cursor = (history_cursor *)base;
  gsq_remote_file *file;
  const uint64_t before = cursor->list.versions[cursor->at].version;
  if (++cursor->at < cursor->list.count || !cursor->list.next[0] ||
      before <= (uint64_t)cursor->lowest) {
    return SQLITE_OK;
  }
  int rc = find_file(cursor, &file);
  if (rc != SQLITE_OK) return rc;
  if (!gsq_database_is(file->database, &cursor->database)) {
    return wrong(base->pVtab, SQLITE_ERROR,
                 "grpsqlite_history: another database has been attached meanwhile");
  }
  return fetch(cursor, file, LISTED, before);
}

static int history_eof(sqlite3_vtab_cursor *base) {
  const history_cursor *cursor = (history_cursor *)base;
  return cursor->at >= cursor->list.count ||
         (int64_t)cursor->list.versions[cursor->at].version < cursor->lowest;
}

static int history_column(sqlite3_vtab_cursor *base, sqlite3_context *context, int column) {
  const history_cursor *cursor = (history_cursor *)base;
  const gsq_version_info *info = &cursor->list.versions[cursor->at];
  switch (column) {
    case VERSION:
      sqlite3_result_int64(context, (sqlite3_int64)info->version);
      break;
    case COMMITTED_AT: {
      const gsq_time time = {info->committed_at_seconds, info->committed_at_nanos};
      char text[GSQ_RFC3339_BYTES];
      gsq_rfc3339_write(&time, text);
      sqlite3_result_text(context, text, -1, SQLITE_TRANSIENT);
      break;
    }
    case PAGES_CHANGED:
      sqlite3_result_int64(context, info->pages_changed);
      break;
    case PAGE_SIZE:
      sqlite3_result_int64(context, info->page_size);
      break;
    case PAGE_COUNT:
      sqlite3_result_int64(context, info->page_count);
      break;
    case SIZE:
      sqlite3_result_int64(context, (sqlite3_int64)info->page_size * info->page_count);
      break;
    default:
      sqlite3_result_text(context, cursor->schema, -1, SQLITE_TRANSIENT);
  }
  return SQLITE_OK;
}

static int history_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *out) {
  const history_cursor *cursor = (history_cursor *)base;
  *out = (sqlite3_int64)cursor->list.versions[cursor->at].version;
  return SQLITE_OK;
}

/* Without xCreate: it is there by its name, and cannot be made with CREATE VIRTUAL TABLE. */
static const sqlite3_module history_module = {
    .xConnect = history_connect,
    .xBestIndex = history_best_index,
    .xDisconnect = history_disconnect,
    .xOpen = history_open,
    .xClose = history_close,
    .xFilter = history_filter,
    .xNext = history_next,
    .xEof = history_eof,
    .xColumn = history_column,
    .xRowid = history_rowid,
};

int gsq_history_register(sqlite3 *db) {
  return sqlite3_create_module(db, "grpsqlite_history", &history_module, NULL);
}
