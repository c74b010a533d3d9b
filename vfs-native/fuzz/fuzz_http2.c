/* Any bytes as what a server sends over a connection, to a call and then to an idle connection.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "rpc/connection.h"

static int on_message(void *arg, const uint8_t *data, size_t size, gsq_error *error) {
  (void)error;
  unsigned sum = 0;
  for (size_t i = 0; i < size; i++) sum += data[i];
  *(volatile unsigned *)arg = sum;
  return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static gsq_addresses *addresses;
  gsq_error error;
  if (!addresses &&
      gsq_addresses_new("http://peer:1,http://peer:2", -1, &addresses, &error) != GSQ_OK) {
    abort();
  }
  if (size > 60000) return 0; /* what a socket's buffer takes at once */
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) != 0) abort();
  if (size && send(pair[1], data, size, MSG_NOSIGNAL) < 0) abort();
  shutdown(pair[1], SHUT_WR);
  gsq_io io = {pair[0], NULL};
  gsq_connection *connection;
  if (gsq_connection_new(&io, addresses, 0, 10000, &connection, &error) == GSQ_OK) {
    static const struct iovec request = {(void *)(uintptr_t) "hello", 5};
    unsigned sink;
    gsq_call call = {.method = "/a/B",
                     .request = &request,
                     .request_count = 1,
                     .deadline_ms = gsq_now_ms() + 5000,
                     .flags = GSQ_CALL_STREAM,
                     .on_message = on_message,
                     .arg = &sink};
    gsq_attempt attempt;
    int code = gsq_connection_call(connection, &call, NULL, -1, &attempt, &error);
    /* The peer closed: there is nothing to wait for. */
    if (code == GSQ_DEADLINE_EXCEEDED && !attempt.answered) abort();
    if (gsq_connection_is_reusable(connection)) gsq_connection_is_alive(connection);
    gsq_connection_free(connection);
  }
  close(pair[1]);
  return 0;
}
