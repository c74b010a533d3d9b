/* Where a server is: http://host:port, https://host:port or unix:/path, taken apart. Pure. */
#ifndef GSQ_RPC_URL_H
#define GSQ_RPC_URL_H

#include <stdint.h>
#include <sys/un.h>

#include "base/error.h"

typedef struct gsq_url {
  int tls;
  int is_unix;
  int is_address; /* host is an IPv4 or IPv6 address, not a name */
  char host[256]; /* without brackets; unix: empty */
  char port[6];
  char path[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* of a Unix socket */
  char authority[272]; /* for :authority; brackets around IPv6 */
  char text[304];      /* the whole, for people */
} gsq_url;

/* Returns GSQ_OK or GSQ_BAD_URL with a sentence. Without a port: 80 and 443. */
int gsq_url_parse(const char *text, gsq_url *out, gsq_error *error);

#endif
