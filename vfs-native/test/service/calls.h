/* Each function of the two clients, called with something, and what a good server answers. */
#ifndef GSQ_TEST_CALLS_H
#define GSQ_TEST_CALLS_H

#include "service/admin_client.h"
#include "service/build.h"
#include "service/file_client.h"
#include "service/page_client.h"

typedef struct service_call {
  const char *method;
  void (*answer)(builder *b); /* the message */
  int (*call)(gsq_channel *channel, int64_t deadline_ms, gsq_error *error);
  /* What is wrong with the request that came, prefix not included, or NULL. */
  const char *(*problem)(const uint8_t *data, size_t size);
} service_call;

extern const service_call service_calls[];
extern const int service_call_count;

#endif
