/*
** A lock that is waited for until a deadline: for what is held across calls to a server.
*/
#ifndef GSQ_BASE_GATE_H
#define GSQ_BASE_GATE_H

#include <pthread.h>
#include <stdint.h>

typedef struct gsq_gate {
  pthread_mutex_t mutex;
  pthread_cond_t left;
  int taken; /* protected by mutex */
} gsq_gate;

void gsq_gate_init(gsq_gate *gate);
void gsq_gate_destroy(gsq_gate *gate);

/* 1: it is the caller's, until gsq_gate_leave. 0: somebody else had it until then, on gsq_now_ms()'s
** clock. */
int gsq_gate_enter(gsq_gate *gate, int64_t until_ms);
void gsq_gate_leave(gsq_gate *gate);

#endif
