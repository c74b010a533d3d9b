#include "base/gate.h"

#include "base/clock.h"

void gsq_gate_init(gsq_gate *gate) {
  pthread_mutex_init(&gate->mutex, NULL);
  gsq_cond_init(&gate->left);
  gate->taken = 0;
}

void gsq_gate_destroy(gsq_gate *gate) {
  pthread_cond_destroy(&gate->left);
  pthread_mutex_destroy(&gate->mutex);
}

int gsq_gate_enter(gsq_gate *gate, int64_t until_ms) {
  int waits = 1;
  pthread_mutex_lock(&gate->mutex);
  while (gate->taken && waits) waits = gsq_wait_until(&gate->left, &gate->mutex, until_ms);
  const int entered = !gate->taken;
  gate->taken = 1;
  pthread_mutex_unlock(&gate->mutex);
  return entered;
}

void gsq_gate_leave(gsq_gate *gate) {
  pthread_mutex_lock(&gate->mutex);
  gate->taken = 0;
  pthread_cond_signal(&gate->left);
  pthread_mutex_unlock(&gate->mutex);
}
