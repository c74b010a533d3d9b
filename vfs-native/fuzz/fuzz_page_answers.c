/* Any bytes as an answer of the page service or the Admin service: the first says which RPC's. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "service/admin_answers.h"
#include "service/page_answers.h"

static int on_page(void *arg, uint32_t number, uint64_t version, int asked, const uint8_t *data,
                   uint32_t size, gsq_error *error) {
  (void)version, (void)asked, (void)error;
  unsigned sum = number;
  for (uint32_t i = 0; i < size; i++) sum += data[i];
  *(volatile unsigned *)arg = sum;
  if (number == 0 || (size != 0 && size != 512)) abort();
  return 0;
}

static void check_changes(gsq_changes *changes) {
  if (changes->other_history && !changes->all) abort();
  for (size_t i = 0; i < changes->count; i++) {
    if (changes->pages[i] == 0 || (i > 0 && changes->pages[i] <= changes->pages[i - 1]))
      abort();
  }
  gsq_changes_free(changes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0) return 0;
  int which = *data++ % 11;
  size--;
  gsq_error error;
  unsigned sink;
  switch (which) {
    case 0: {
      gsq_session_info info;
      gsq_decode_open_session(data, size, &info, &error);
      break;
    }
    case 1: {
      gsq_id lost[4];
      gsq_kept_alive kept;
      size_t count;
      gsq_decode_keep_alive(data, size, &kept, lost, 4, &count, &error);
      if (count > 4) abort();
      break;
    }
    case 2: {
      /* Only with pages of 512 bytes may on_page be called; so it checks. */
      gsq_open_request request = {
          .at_time_given = 1, .prefetch_credit_bytes = 4096, .accept_lz4 = 1};
      gsq_open_answer answer;
      if (gsq_decode_open_database(data, size, &request, &answer, NULL, NULL, &error) ==
              GSQ_OK &&
          answer.snapshot.page_size == 512) {
        gsq_decode_open_database(data, size, &request, &answer, on_page, &sink, &error);
      }
      break;
    }
    case 3: {
      const gsq_refresh_request request = {.have = {1, 7}, .read_delegation_ms = 100};
      gsq_refresh_answer answer;
      if (gsq_decode_refresh(data, size, &request, &answer, &error) == GSQ_OK) {
        if (answer.read_delegation_ms > 100) abort();
        if (answer.head.version < 1 && !answer.changes.other_history) abort();
        check_changes(&answer.changes);
      }
      break;
    }
    case 4: {
      const gsq_have have = {1, 7};
      gsq_lease_answer answer;
      if (gsq_decode_lease(data, size, &have, 1, &answer, &error) == GSQ_OK) {
        check_changes(&answer.changes);
      }
      break;
    }
    case 5: {
      uint64_t version;
      gsq_decode_commit(data, size, 1, &version, &error);
      break;
    }
    case 7: {
      const gsq_commit_request one = {.base_version = 1}, two = {.base_version = 300};
      const gsq_commit_request *requests[] = {&one, &two};
      uint64_t versions[2];
      gsq_decode_commit_group(data, size, requests, 2, versions, &error);
      break;
    }
    case 8: {
      gsq_watch_event event;
      if (gsq_decode_watch(data, size, &event, &error) == GSQ_OK) {
        if (event.head.version < event.from_version && !event.changes.other_history) abort();
        check_changes(&event.changes);
      }
      break;
    }
    case 9: {
      gsq_version_list list;
      if (gsq_decode_list_versions(data, size, 5, 1000, &list, &error) == GSQ_OK) {
        uint64_t below = 1000;
        for (size_t i = 0; i < list.count; i++) {
          if (list.versions[i].version >= below) abort();
          below = list.versions[i].version;
        }
        if (list.count > 5 || (list.count == 0 && list.next[0])) abort();
        gsq_version_list_free(&list);
      }
      break;
    }
    default: {
      static const gsq_page_range ranges[] = {{5, 2}, {1, 3}};
      gsq_id stage = {{0}};
      gsq_read_request request = {.version = 7,
                                  .page_size = 512,
                                  .ranges = ranges,
                                  .range_count = 2,
                                  .stage = &stage,
                                  .prefetch_credit_bytes = 2048,
                                  .accept_lz4 = which == 6};
      gsq_reading reading;
      if (gsq_reading_begin(&reading, &request, on_page, &sink, &error) != GSQ_OK) abort();
      if (gsq_reading_message(&reading, data, size, &error) == GSQ_OK) {
        gsq_reading_message(&reading, data, size, &error);
        gsq_reading_check_complete(&reading, &error);
      }
      gsq_reading_end(&reading);
    }
  }
  return 0;
}
