/* Decodes and verifies the answers of the file service; as page_answers.h does. */
#ifndef GSQ_SERVICE_FILE_ANSWERS_H
#define GSQ_SERVICE_FILE_ANSWERS_H

#include "service/file_client.h"

#define GSQ_FILE_TEXT_BYTES 256

int gsq_decode_file_capabilities(const uint8_t *data, size_t size, gsq_file_capabilities *out,
                                 gsq_error *error);
/* lease_id: GSQ_FILE_TEXT_BYTES. */
int gsq_decode_file_lease(const uint8_t *data, size_t size, char *lease_id, gsq_error *error);
int gsq_decode_file_read(const uint8_t *data, size_t size, uint32_t length,
                         uint64_t have_checksum, void *buffer, uint32_t *got, int *unchanged,
                         int64_t *at_time_millis, gsq_error *error);
int gsq_decode_file_size(const uint8_t *data, size_t size, int64_t *out, gsq_error *error);
/* *response: as gsq_file_pragma has it. */
int gsq_decode_file_pragma(const uint8_t *data, size_t size, char **response, gsq_error *error);

#endif
