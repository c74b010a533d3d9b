/* Each function of the clients, each time with another allocation failing: it says so, and
** nothing leaks (the address build looks). */
#include <stdlib.h>

#include "alloc_fault.h"
#include "base/clock.h"
#include "check.h"
#include "rpc/peer.h"
#include "service/calls.h"

#define MAX_ALLOCATIONS 2000

int main(void) {
  static builder message, body;
  int failed_ever = 0;
  for (int i = 0; i < service_call_count; i++) {
    const service_call *one = &service_calls[i];
    CASE(one->method);
    message.size = 0;
    one->answer(&message);
    memset(body.bytes, 0, 5);
    body.bytes[3] = (uint8_t)(message.size >> 8);
    body.bytes[4] = (uint8_t)message.size;
    memcpy(body.bytes + 5, message.bytes, message.size);
    h2_answer good = {.body = body.bytes, .body_size = 5 + message.size};
    h2_script script = {&good, 1};
    h2_scripts all = {&script, 1};
    int n = 1;
    for (int more = 1; more && n < MAX_ALLOCATIONS;) {
      /* A server takes only so many connections. */
      peer server;
      peer_start(&server, h2_scripted, &all, NULL);
      for (int k = 0; more && k < PEER_MAX_CONNECTIONS; k++, n++) {
        char urls[200]; /* nobody is at the first one */
        snprintf(urls, sizeof urls, "http://127.0.0.1:1,%s", server.url);
        gsq_channel_options options = {.url = urls,
                                       .token = "secret",
                                       .connect_timeout_ms = 2000,
                                       .max_message_bytes = 1 << 20};
        gsq_channel *channel = NULL;
        gsq_error error = {0};
        alloc_fault_at(n, 0);
        int code = gsq_channel_new(&options, &channel, &error);
        if (code == GSQ_OK) code = one->call(channel, gsq_now_ms() + 10000, &error);
        int hits = alloc_fault_hits();
        alloc_fault_at(0, 0);
        if (hits == 0) {
          CHECK_INT(GSQ_OK, code);
          more = 0;
        } else if (code != GSQ_OK) {
          if (!CHECK_INT(GSQ_NOMEM, code)) fprintf(stderr, "n = %d: %s\n", n, error.message);
          failed_ever++;
        }
        gsq_channel_free(channel);
      }
      peer_stop(&server);
    }
    CHECK(n > 10 && n < MAX_ALLOCATIONS);
  }
  CHECK(failed_ever > 10 * service_call_count);
  return check_done();
}
