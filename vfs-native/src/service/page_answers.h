/*
** Decodes and verifies the answers of the page service. Nothing here talks to anybody: what a
** server sends goes in, what can be relied on comes out. On errors, what *out points to is
** unspecified but owns nothing.
*/
#ifndef GSQ_SERVICE_PAGE_ANSWERS_H
#define GSQ_SERVICE_PAGE_ANSWERS_H

#include "service/page_client.h"

int gsq_decode_open_session(const uint8_t *data, size_t size, gsq_session_info *out,
                            gsq_error *error);

int gsq_decode_keep_alive(const uint8_t *data, size_t size, gsq_kept_alive *out, gsq_id *lost,
                          size_t max_lost, size_t *lost_count, gsq_error *error);

int gsq_decode_open_database(const uint8_t *data, size_t size, const gsq_open_request *request,
                             gsq_open_answer *out, gsq_page_fn on_page, void *arg,
                             gsq_error *error);

int gsq_decode_refresh(const uint8_t *data, size_t size, const gsq_refresh_request *request,
                       gsq_refresh_answer *out, gsq_error *error);

int gsq_decode_lease(const uint8_t *data, size_t size, const gsq_have *have, int at_any_version,
                     gsq_lease_answer *out, gsq_error *error);

int gsq_decode_commit(const uint8_t *data, size_t size, uint64_t base_version,
                      uint64_t *version, gsq_error *error);

int gsq_decode_commit_group(const uint8_t *data, size_t size,
                            const gsq_commit_request *const *requests, size_t count,
                            uint64_t *versions, gsq_error *error);
/* On GSQ_OK, out->changes is the caller's to free. */
int gsq_decode_watch(const uint8_t *data, size_t size, gsq_watch_event *out, gsq_error *error);

/* The messages of one ReadPages: which pages came, and how much credit is left. */
typedef struct gsq_reading {
  const gsq_read_request *request;
  gsq_page_fn on_page;
  void *arg;
  uint64_t asked_count, came_count;
  uint64_t credit_left;
  size_t range;    /* the page that should be next: in this range, */
  uint32_t within; /* this one */
  uint8_t *came;   /* a bit for each page asked for, in the order of the ranges */
  uint8_t small[64];
  uint8_t *plain; /* where compressed pages go; NULL if none are accepted */
} gsq_reading;

/* GSQ_INVALID_ARGUMENT if the request makes no sense; GSQ_NOMEM. */
int gsq_reading_begin(gsq_reading *reading, const gsq_read_request *request,
                      gsq_page_fn on_page, void *arg, gsq_error *error);
/* Forgets what came, for a retry. */
void gsq_reading_restart(gsq_reading *reading);
int gsq_reading_message(gsq_reading *reading, const uint8_t *data, size_t size,
                        gsq_error *error);
/* GSQ_BAD_ANSWER if a page is missing. */
int gsq_reading_check_complete(const gsq_reading *reading, gsq_error *error);
void gsq_reading_end(gsq_reading *reading);

#endif
