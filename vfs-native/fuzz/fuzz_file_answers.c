/* Any bytes as an answer of the file service: the first says which RPC's. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "service/file_answers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0) return 0;
  int which = *data++ % 5;
  size--;
  gsq_error error;
  switch (which) {
    case 0: {
      gsq_file_capabilities capabilities;
      if (gsq_decode_file_capabilities(data, size, &capabilities, &error) == GSQ_OK &&
          (capabilities.heartbeat_interval_ms <= 0 || capabilities.sector_size < 0)) {
        abort();
      }
      break;
    }
    case 1: {
      char lease[GSQ_FILE_TEXT_BYTES];
      if (gsq_decode_file_lease(data, size, lease, &error) == GSQ_OK && strlen(lease) > 255) {
        abort();
      }
      break;
    }
    case 2: {
      uint8_t buffer[100];
      uint32_t got;
      int unchanged;
      int64_t time;
      if (gsq_decode_file_read(data, size, sizeof buffer, 1, buffer, &got, &unchanged, &time,
                               &error) == GSQ_OK &&
          got > sizeof buffer) {
        abort();
      }
      break;
    }
    case 3: {
      int64_t file_size;
      if (gsq_decode_file_size(data, size, &file_size, &error) == GSQ_OK && file_size < 0)
        abort();
      break;
    }
    default: {
      char *response;
      if (gsq_decode_file_pragma(data, size, &response, &error) == GSQ_OK) free(response);
    }
  }
  return 0;
}
