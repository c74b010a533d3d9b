/* Time that only goes forward. */
#ifndef GSQ_BASE_CLOCK_H
#define GSQ_BASE_CLOCK_H

#include <pthread.h>
#include <stdint.h>

/* Milliseconds of CLOCK_BOOTTIME, which counts on while the machine sleeps: a lease must
** not seem fresh after a suspend. */
int64_t gsq_now_ms(void);

/* A condition that gsq_wait_until waits for. */
void gsq_cond_init(pthread_cond_t *cond);
/* Waits for a condition, until `until_ms` on gsq_now_ms()'s clock at most: 0 if that has come. */
int gsq_wait_until(pthread_cond_t *cond, pthread_mutex_t *mutex, int64_t until_ms);

/* Microseconds, for how long something took. */
int64_t gsq_now_us(void);

#endif
