/* Time that only goes forward. */
#ifndef GSQ_BASE_CLOCK_H
#define GSQ_BASE_CLOCK_H

#include <stdint.h>

/* Milliseconds of CLOCK_BOOTTIME, which counts on while the machine sleeps: a lease must
** not seem fresh after a suspend. */
int64_t gsq_now_ms(void);

/* Microseconds, for how long something took. */
int64_t gsq_now_us(void);

#endif
