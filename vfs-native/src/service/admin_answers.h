/*
** Decodes and verifies the answers of the Admin service, as page_answers.h those of the page service.
*/
#ifndef GSQ_SERVICE_ADMIN_ANSWERS_H
#define GSQ_SERVICE_ADMIN_ANSWERS_H

#include "service/admin_client.h"

int gsq_decode_list_versions(const uint8_t *data, size_t size, uint32_t limit, uint64_t below,
                             gsq_version_list *out, gsq_error *error);
int gsq_decode_fork(const uint8_t *data, size_t size, gsq_error *error);
int gsq_decode_restore(const uint8_t *data, size_t size, uint64_t *version, gsq_error *error);

#endif
