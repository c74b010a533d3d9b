/* What a URI and an environment mean, and what is said when they mean nothing. */
#include <stdlib.h>

#include "check.h"
#include "vfs/settings.h"

/* "key", "value", ..., NULL */
static const char *const *uri, *const *environment;

static const char *find(const char *const *pairs, const char *key) {
  for (; pairs && *pairs; pairs += 2) {
    if (!strcmp(*pairs, key))
      return pairs[1];
  }
  return NULL;
}

static const char *from_uri(void *arg, const char *key) {
  CHECK(arg == (void *)&uri);
  return find(uri, key);
}

static const char *from_environment(const char *key) {
  return find(environment, key);
}

static gsq_settings settings;
static char message[400];

static int read_with(const char *name, const char *const *parameters,
                     const char *const *variables) {
  uri = parameters;
  environment = variables;
  memset(&settings, 0xa5, sizeof settings);
  memset(message, 'x', sizeof message);
  return gsq_settings_read(name, from_uri, (void *)&uri, from_environment, &settings, message,
                           sizeof message);
}

#define PAIRS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void without_anything_the_defaults_hold(void) {
  CHECK_INT(0, read_with("tenant-7/main.db", NULL, NULL));
  CHECK_STR("tenant-7/main.db", settings.name);
  CHECK_STR("http://127.0.0.1:50051", settings.server);
  CHECK(!settings.token && !settings.ca_file && !settings.cert_file && !settings.key_file);
  CHECK(!settings.at && !settings.read_only && !settings.no_create && !settings.version_given);
  CHECK_INT(0, settings.max_staleness_ms);
  CHECK_INT(30000, settings.timeout_ms);
  CHECK_INT(5000, settings.connect_timeout_ms);
  CHECK_INT(64 << 20, settings.cache_bytes);
  CHECK(!settings.cache_dir);
  CHECK_INT(1LL << 30, settings.cache_dir_bytes);
  CHECK_INT(16 << 20, settings.prefetch_bytes);
  CHECK_INT(16 << 20, settings.buffer_bytes);
  CHECK_INT(4 << 20, settings.batch_bytes);
  CHECK_INT('a', settings.service);
  CHECK_INT('a', settings.compression);
  CHECK_STR("", message);
  gsq_settings_free(&settings);
  CHECK_INT(0, gsq_settings_read("a", NULL, NULL, NULL, &settings, NULL, 0));
  gsq_settings_free(&settings);
}

static void every_parameter_is_read(void) {
  CHECK_INT(0,
            read_with("a",
                      PAIRS("server", "https://Example.org", "token", "s3cret", "ca_file",
                            "/ca", "cert_file", "/cert", "key_file", "/key", "mode", "ro",
                            "version", "18446744073709551615", "max_staleness_ms", "86400000",
                            "timeout_ms", "1", "connect_timeout_ms", "77", "cache_mb", "0",
                            "cache_dir", "/dir", "cache_dir_mb", "1048576", "buffer_mb", "65536", "max_batch_mb", "1024", "service", "file",
                            "compression", "lz4"),
                      NULL));
  CHECK_INT('l', settings.compression);
  CHECK_STR("https://example.org:443", settings.server);
  CHECK_STR("s3cret", settings.token);
  CHECK_STR("/ca", settings.ca_file);
  CHECK_STR("/cert", settings.cert_file);
  CHECK_STR("/key", settings.key_file);
  CHECK(settings.read_only && !settings.no_create && settings.version_given);
  CHECK(settings.version == UINT64_MAX);
  CHECK_INT(86400000, settings.max_staleness_ms);
  CHECK_INT(1, settings.timeout_ms);
  CHECK_INT(77, settings.connect_timeout_ms);
  CHECK_INT(0, settings.cache_bytes);
  CHECK_STR("/dir", settings.cache_dir);
  CHECK_INT(1LL << 40, settings.cache_dir_bytes);
  CHECK_INT(65536LL << 20, settings.buffer_bytes);
  CHECK_INT(1024LL << 20, settings.batch_bytes);
  CHECK_INT('f', settings.service);
  gsq_settings_free(&settings);
}

static void every_key_has_an_environment_variable_and_the_uri_wins(void) {
  const char *const *all = PAIRS(
      "GRPSQLITE_URL", "unix:/run/x", "GRPC_VFS_URL", "http://older", "GRPSQLITE_TOKEN", "t",
      "GRPC_VFS_CLIENT_TOKEN", "older", "GRPSQLITE_CA_FILE", "/ca", "GRPSQLITE_CERT_FILE",
      "/cert", "GRPSQLITE_KEY_FILE", "/key", "GRPSQLITE_AT", "2026-01-31T10:00:00Z",
      "GRPSQLITE_MODE", "ro", "GRPSQLITE_MAX_STALENESS_MS", "3", "GRPSQLITE_TIMEOUT_MS", "4",
      "GRPSQLITE_CONNECT_TIMEOUT_MS", "5", "GRPSQLITE_CACHE_MB", "6", "GRPSQLITE_CACHE_DIR", "dir",
      "GRPSQLITE_CACHE_DIR_MB", "9", "GRPSQLITE_BUFFER_MB",
      "7", "GRPSQLITE_MAX_BATCH_MB", "8", "GRPSQLITE_SERVICE", "page", "GRPSQLITE_COMPRESSION", "off");
  CHECK_INT(0, read_with("a", NULL, all));
  CHECK_STR("unix:/run/x", settings.server);
  CHECK_STR("t", settings.token);
  CHECK_STR("/ca", settings.ca_file);
  CHECK_STR("/cert", settings.cert_file);
  CHECK_STR("/key", settings.key_file);
  CHECK_STR("2026-01-31T10:00:00Z", settings.at);
  CHECK(settings.read_only);
  CHECK_INT(3, settings.max_staleness_ms);
  CHECK_INT(4, settings.timeout_ms);
  CHECK_INT(5, settings.connect_timeout_ms);
  CHECK_INT(6 << 20, settings.cache_bytes);
  CHECK_STR("dir", settings.cache_dir);
  CHECK_INT(9 << 20, settings.cache_dir_bytes);
  CHECK_INT(7 << 20, settings.buffer_bytes);
  CHECK_INT(8 << 20, settings.batch_bytes);
  CHECK_INT('p', settings.service);
  CHECK_INT('o', settings.compression);
  gsq_settings_free(&settings);

  CHECK_INT(0, read_with("a",
                         PAIRS("server", "http://h:1", "token", "u", "ca_file", "", "cache_mb",
                               "1", "cache_dir", "", "version", "9", "service", "auto"),
                         all));
  CHECK_STR("http://h:1", settings.server);
  CHECK_STR("u", settings.token);
  CHECK(!settings.ca_file);
  CHECK_INT(1 << 20, settings.cache_bytes);
  CHECK(!settings.cache_dir);
  CHECK(settings.version_given && settings.version == 9 && !settings.at);
  CHECK_INT('a', settings.service);
  gsq_settings_free(&settings);
}

static void the_published_variables_count_where_ours_are_absent_or_empty(void) {
  CHECK_INT(0, read_with("a", NULL,
                         PAIRS("GRPSQLITE_URL", "", "GRPC_VFS_URL", "http://older:9",
                               "GRPC_VFS_CLIENT_TOKEN", "old")));
  CHECK_STR("http://older:9", settings.server);
  CHECK_STR("old", settings.token);
  gsq_settings_free(&settings);
  CHECK_INT(0, read_with("a", PAIRS("token", ""), PAIRS("GRPC_VFS_CLIENT_TOKEN", "old")));
  CHECK(!settings.token);
  gsq_settings_free(&settings);
}

static void modes(void) {
  CHECK_INT(0, read_with("a", PAIRS("mode", "rw"), NULL));
  CHECK(settings.no_create && !settings.read_only);
  gsq_settings_free(&settings);
  CHECK_INT(0, read_with("a", PAIRS("mode", "rwc"), PAIRS("GRPSQLITE_MODE", "ro")));
  CHECK(!settings.no_create && !settings.read_only);
  gsq_settings_free(&settings);
  CHECK_INT(0, read_with("a", PAIRS("at", "2026-01-31T10:00:00Z"), NULL));
  CHECK(settings.read_only);
  gsq_settings_free(&settings);
  CHECK_INT(0, read_with("a", PAIRS("version", "0"), NULL));
  CHECK(settings.read_only && settings.version_given);
  gsq_settings_free(&settings);
}

static void urls_have_one_form_each(void) {
  static const char *const pairs[][2] = {
      {"http://127.0.0.1:50051", "http://127.0.0.1:50051"},
      {"HTTP://LocalHost", "http://localhost:50051"},
      {"http://a_b.c-d.example:00080/", "http://a_b.c-d.example:80"},
      {"https://h", "https://h:443"},
      {"HttpS://h:65535", "https://h:65535"},
      {"http://[::1]", "http://[::1]:50051"},
      {"https://[2001:DB8:0:0::1]:8443/", "https://[2001:db8::1]:8443"},
      {"unix:/run/g.sock", "unix:/run/g.sock"},
      {"unix:///run/g.sock", "unix:/run/g.sock"},
      {"UNIX:/Run/G", "unix:/Run/G"},
      {"unix:////x//y", "unix:/x//y"},
  };
  for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
    CHECK_INT(0, read_with("a", PAIRS("server", pairs[i][0]), NULL));
    CHECK_STR(pairs[i][1], settings.server);
    gsq_settings_free(&settings);
  }
}

static void several_servers_are_a_list(void) {
  static const char *const pairs[][2] = {
      {"http://A,http://b:2/", "http://a:50051,http://b:2"},
      {"https://a,https://b", "https://a:443,https://b:443"},
      {"http://b,  HTTP://a,unix:///c,d", "http://b:50051,http://a:50051,unix:/c,d"},
      {"unix:/c,d,unix:/c", "unix:/c,d,unix:/c"},
      {"unix:/c, d", "unix:/c, d"},
      {"unix:/c,", "unix:/c,"},
      {"unix:/c, https://[::1]", "unix:/c,https://[::1]:443"},
  };
  for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
    CHECK_INT(0, read_with("a", PAIRS("server", pairs[i][0]), NULL));
    CHECK_STR(pairs[i][1], settings.server);
    gsq_settings_free(&settings);
    CHECK_INT(0, read_with("a", NULL, PAIRS("GRPSQLITE_URL", pairs[i][0])));
    CHECK_STR(pairs[i][1], settings.server);
    gsq_settings_free(&settings);
  }
  char many[16 * 20 + 20] = "http://h:1";
  for (int i = 2; i <= 16; i++) sprintf(many + strlen(many), ",http://h:%d", i);
  CHECK_INT(0, read_with("a", PAIRS("server", many), NULL));
  CHECK_STR(many, settings.server);
  gsq_settings_free(&settings);
  strcat(many, ",http://h:17");

  const char *const bad[][2] = {
      {"http://a,", "server is \"http://a,\": beside a comma there is no URL"},
      {",http://a", "beside a comma there is no URL"},
      {"http://a,,http://b", "beside a comma there is no URL"},
      {"http://a, ", "beside a comma there is no URL"},
      {"http://a,b:2", "server has \"b:2\": it has no known scheme"},
      {"http://a;http://b", "server is \"http://a;http://b\": a path"},
      {"http://a http://b", "a path"},
      {"http://a ,http://b", "no host name has"},
      {"http://a:x,http://b", "server has \"http://a:x\": the port"},
      {"http://a,http://b/c", "server has \"http://b/c\": a path"},
      {"http://a,http://b,http://A:50051/", "\"http://A:50051/\": it is there twice"},
      {"unix:/a,unix:///a", "it is there twice"},
      {"http://a,https://a", "server has \"https://a\": http:// beside https://"},
      {"https://a,unix:/b,http://c", "server has \"http://c\": http:// beside https://"},
      {many, "server has more than 16 URLs"},
      {"http://me:hun,ter2@a,http://b", "server has a user name"},
      {"http://b,http://me:hun,ter2@a", "server has a user name"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    CHECK_INT(-1, read_with("a", PAIRS("server", bad[i][0]), NULL));
    CHECK_HAS(bad[i][1], message);
    CHECK(!strstr(message, "hun") && !strstr(message, "ter2"));
    CHECK(!settings.server);
  }
}

static void a_bad_url_is_named_with_what_would_be_right(void) {
  char long_path[200], long_host[400];
  memset(long_path, 'p', sizeof long_path);
  memcpy(long_path, "unix:/", 6);
  long_path[6 + 107] = 0; /* one more than fits */
  memset(long_host, 'h', sizeof long_host);
  memcpy(long_host, "http://", 7);
  long_host[7 + 254] = 0;
  const char *const bad[][2] = {
      {"", "scheme"},
      {"127.0.0.1:50051", "scheme"},
      {"ftp://h", "scheme"},
      {"http:/h", "scheme"},
      {"http://", "host is missing"},
      {"http://:80", "host is missing"},
      {"http://h:", "from 1 to 65535"},
      {"http://h:0", "from 1 to 65535"},
      {"http://h:65536", "from 1 to 65535"},
      {"http://h:99999999999999999999", "from 1 to 65535"},
      {"http://h:80x", "from 1 to 65535"},
      {"http://h:-1", "from 1 to 65535"},
      {"http://h/path", "path"},
      {"http://h?x", "path"},
      {"http://h#x", "path"},
      {"http://h//", "path"},
      {"http://::1", "must be in []"},
      {"http://[::1", "']' is missing"},
      {"http://[::1]80", "only a port"},
      {"http://[h]", "no IPv6 address"},
      {"http://[::1%25lo]", "no IPv6 address"},
      {"http://h h", "no host name has"},
      {"http://h\xc3\xa4", "no host name has"},
      {"unix:", "absolute"},
      {"unix:run/x", "absolute"},
      {"unix://host/run", "on no host"},
      {"unix:/", "names no socket"},
      {long_path, "107 bytes"},
      {long_host, "too long"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    CHECK_INT(-1, read_with("a", PAIRS("server", bad[i][0]), NULL));
    CHECK_HAS("server is \"", message);
    CHECK_HAS(bad[i][1], message);
    CHECK_HAS("http://HOST[:PORT]", message);
    CHECK_INT(-1, read_with("a", NULL, PAIRS("GRPC_VFS_URL", *bad[i][0] ? bad[i][0] : "x")));
    CHECK_HAS("GRPC_VFS_URL is \"", message);
    CHECK(!settings.name && !settings.server);
  }
  long_path[6 + 106] = 0;
  CHECK_INT(0, read_with("a", PAIRS("server", long_path), NULL));
  gsq_settings_free(&settings);
  long_host[7 + 253] = 0;
  CHECK_INT(0, read_with("a", PAIRS("server", long_host), NULL));
  gsq_settings_free(&settings);
}

static void a_bad_number_is_named_with_its_bounds(void) {
  static const char *const bad[] = {"",
                                    "-1",
                                    "+1",
                                    " 1",
                                    "1 ",
                                    "1.5",
                                    "0x10",
                                    "abc",
                                    "1e3",
                                    "99999999999999999999",
                                    "18446744073709551616",
                                    "18446744073709551617"};
  static const char *const keys[][3] = {
      {"max_staleness_ms", "86400001", "0 to 86400000"},
      {"timeout_ms", "0", "1 to 86400000"},
      {"connect_timeout_ms", "86400001", "0 to 86400000"},
      {"prefetch_mb", "65", "0 to 64"},
      {"cache_mb", "1048577", "0 to 1048576"},
      {"cache_dir_mb", "0", "1 to 1048576"},
      {"buffer_mb", "0", "1 to 65536"},
      {"max_batch_mb", "1025", "1 to 1024"},
      {"version", "18446744073709551616", "0 to 18446744073709551615"},
  };
  for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
    for (size_t i = 0; i <= sizeof bad / sizeof *bad; i++) {
      const char *value = i < sizeof bad / sizeof *bad ? bad[i] : keys[k][1];
      char expected[80];
      snprintf(expected, sizeof expected, "%s is \"%s\"", keys[k][0], value);
      CHECK_INT(-1, read_with("a", PAIRS(keys[k][0], value), NULL));
      CHECK_HAS(expected, message);
      CHECK_HAS(keys[k][2], message);
    }
  }
}

static void what_does_not_go_together_is_refused(void) {
  CHECK_INT(-1, read_with("a", PAIRS("mode", "memory"), NULL));
  CHECK_STR("mode is \"memory\"; it must be ro, rw or rwc", message);
  CHECK_INT(-1, read_with("a", PAIRS("service", "both"), NULL));
  CHECK_STR("service is \"both\"; it must be auto, page or file", message);
  CHECK_INT(-1, read_with("a", PAIRS("compression", "zstd"), NULL));
  CHECK_STR("compression is \"zstd\"; it must be auto, off or lz4", message);
  CHECK_INT(-1, read_with("a", PAIRS("at", "x", "version", "1"), NULL));
  CHECK_HAS("give one of them", message);
  CHECK_INT(-1, read_with("a", PAIRS("at", ""), NULL));
  CHECK_HAS("2026-01-31T10:00:00Z", message);
  CHECK_INT(-1, read_with("a", PAIRS("at", "x", "mode", "rw"), NULL));
  CHECK_HAS("mode is \"rw\", but with at", message);
  CHECK_INT(-1, read_with("a", PAIRS("cert_file", "/c"), NULL));
  CHECK_STR("cert_file is \"/c\" without key_file; a client certificate needs both", message);
  CHECK_INT(-1, read_with("a", NULL, PAIRS("GRPSQLITE_KEY_FILE", "/k")));
  CHECK_STR("GRPSQLITE_KEY_FILE is \"/k\" without cert_file; a client certificate needs both",
            message);
}

static void no_message_tells_a_token(void) {
  static const char *const bad[] = {"hun ter2", "hunter2\r\nx: y", "hunter2\x7f",
                                    "hunter2\xc3\xa4"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    CHECK_INT(-1, read_with("a", PAIRS("token", bad[i]), NULL));
    CHECK_HAS("token has a", message);
    CHECK(!strstr(message, "hun"));
  }
  char *long_token = malloc(8194);
  memset(long_token, 't', 8193);
  long_token[8193] = 0;
  CHECK_INT(-1, read_with("a", PAIRS("token", long_token), NULL));
  CHECK_HAS("8192 bytes", message);
  long_token[8192] = 0;
  CHECK_INT(0, read_with("a", PAIRS("token", long_token), NULL));
  gsq_settings_free(&settings);
  free(long_token);
  CHECK_INT(-1, read_with("a", PAIRS("server", "http://me:hunter2@h"), NULL));
  CHECK_HAS("server has a user name", message);
  CHECK(!strstr(message, "hunter2"));
}

static void a_message_is_one_line_of_utf8_and_fits(void) {
  CHECK_INT(-1, read_with("a", PAIRS("cache_mb", "\x1b[31m\n\xff"), NULL));
  CHECK_HAS("cache_mb is \"?[31m??\"", message);
  char tight[8] = "xxxxxxx";
  CHECK_INT(-1, gsq_settings_read("", NULL, NULL, NULL, &settings, tight, 5));
  CHECK_STR("\"\": ", tight);
  CHECK_INT('x', tight[6]);
  CHECK_INT(-1, gsq_settings_read("", NULL, NULL, NULL, &settings, NULL, 0));
}

static void names(void) {
  char name[514];
  memset(name, 'n', sizeof name);
  name[513] = 0;
  CHECK_STR("a database's name has at most 512 bytes", gsq_name_problem(name));
  name[512] = 0;
  CHECK(!gsq_name_problem(name));
  static const char *const good[] = {
      "main.db", "a/b/c", "...",      "a..b",         "..a/b..",
      ".",       "a//b",  "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80",
      "a/",      " "};
  for (size_t i = 0; i < sizeof good / sizeof *good; i++)
    CHECK(!gsq_name_problem(good[i]));
  static const char *const bad[][2] = {
      {"", "empty"},
      {"/main.db", "begin with '/'"},
      {"..", "'..'"},
      {"../a", "'..'"},
      {"a/..", "'..'"},
      {"a/../b", "'..'"},
      {"\xff", "UTF-8"},
      {"\x80", "UTF-8"},
      {"a\xc3", "UTF-8"},
      {"\xc0\xaf", "UTF-8"},         /* overlong */
      {"\xe0\x80\xaf", "UTF-8"},     /* overlong */
      {"\xf0\x80\x80\xaf", "UTF-8"}, /* overlong */
      {"\xed\xa0\x80", "UTF-8"},     /* surrogate */
      {"\xf4\x90\x80\x80", "UTF-8"}, /* beyond the last */
      {"\xf5\x80\x80\x80", "UTF-8"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    CHECK_HAS(bad[i][1], gsq_name_problem(bad[i][0]));
    CHECK_INT(-1, read_with(bad[i][0], NULL, NULL));
    CHECK_HAS(bad[i][1], message);
  }
  CHECK_HAS("empty", gsq_name_problem(NULL));
  CHECK_INT(-1, read_with("/tmp/x.db", NULL, NULL));
  CHECK_HAS("file:/tmp/x.db?vfs=unix", message);
}

#define RUN(test) (CASE(#test), test())

int main(void) {
  RUN(without_anything_the_defaults_hold);
  RUN(every_parameter_is_read);
  RUN(every_key_has_an_environment_variable_and_the_uri_wins);
  RUN(the_published_variables_count_where_ours_are_absent_or_empty);
  RUN(modes);
  RUN(urls_have_one_form_each);
  RUN(several_servers_are_a_list);
  RUN(a_bad_url_is_named_with_what_would_be_right);
  RUN(a_bad_number_is_named_with_its_bounds);
  RUN(what_does_not_go_together_is_refused);
  RUN(no_message_tells_a_token);
  RUN(a_message_is_one_line_of_utf8_and_fits);
  RUN(names);
  return check_done();
}
