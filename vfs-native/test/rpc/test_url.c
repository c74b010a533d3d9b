/* URLs: those that can be used, and those that cannot. */
#include "rpc/url.h"

#include "check.h"

int main(void) {
  gsq_url url;
  gsq_error error;
  static const struct {
    const char *text, *host, *port, *authority, *shown;
    int tls, is_address;
  } good[] = {
      {"http://127.0.0.1:50051", "127.0.0.1", "50051", "127.0.0.1:50051",
       "http://127.0.0.1:50051", 0, 1},
      {"http://localhost:1/", "localhost", "1", "localhost:1", "http://localhost:1", 0, 0},
      {"HTTPS://db.example.com", "db.example.com", "443", "db.example.com:443",
       "https://db.example.com:443", 1, 0},
      {"http://a_b-c", "a_b-c", "80", "a_b-c:80", "http://a_b-c:80", 0, 0},
      {"https://[::1]:00443", "::1", "443", "[::1]:443", "https://[::1]:443", 1, 1},
      {"http://[fe80::1%eth0]:65535", "fe80::1%eth0", "65535", "[fe80::1%eth0]:65535",
       "http://[fe80::1%eth0]:65535", 0, 1},
  };
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    CASE(good[i].text);
    CHECK_INT(GSQ_OK, gsq_url_parse(good[i].text, &url, &error));
    CHECK_STR(good[i].host, url.host);
    CHECK_STR(good[i].port, url.port);
    CHECK_STR(good[i].authority, url.authority);
    CHECK_STR(good[i].shown, url.text);
    CHECK_INT(good[i].tls, url.tls);
    CHECK_INT(good[i].is_address, url.is_address);
    CHECK_INT(0, url.is_unix);
  }
  static const char *const sockets[] = {"unix:/run/server", "unix:///run/server"};
  for (size_t i = 0; i < 2; i++) {
    CHECK_INT(GSQ_OK, gsq_url_parse(sockets[i], &url, &error));
    CHECK(url.is_unix);
    CHECK_STR("/run/server", url.path);
    CHECK_STR("unix:/run/server", url.text);
  }
  static const char *const bad[] = {"",
                                    "127.0.0.1:50051",
                                    "ftp://h",
                                    "http://",
                                    "http://:80",
                                    "http://h:",
                                    "http://h:0",
                                    "http://h:65536",
                                    "http://h:123456789012",
                                    "http://h:8x",
                                    "http://h/path",
                                    "http://u@h",
                                    "http://h?q",
                                    "http://h#f",
                                    "http://[::1",
                                    "http://[]",
                                    "http://[1.2.3.4]",
                                    "http://[::g]",
                                    "http://[::1]x",
                                    "http://[fe80::1%a/b]",
                                    "unix:",
                                    "http://h\x01",
                                    "http://\xc3\xa4.de"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    CASE(bad[i]);
    CHECK_INT(GSQ_BAD_URL, gsq_url_parse(bad[i], &url, &error));
    CHECK_HAS("http://host:port", error.message);
    CHECK(!strchr(error.message, 1));
  }
  CHECK_INT(GSQ_BAD_URL, gsq_url_parse(NULL, &url, &error));
  char longer[1000];
  memset(longer, 'h', sizeof longer - 1);
  longer[sizeof longer - 1] = 0;
  memcpy(longer, "http://", 7);
  CHECK_INT(GSQ_BAD_URL, gsq_url_parse(longer, &url, &error));
  memcpy(longer, "unix:///", 8);
  CHECK_INT(GSQ_BAD_URL, gsq_url_parse(longer, &url, &error));
  return check_done();
}
