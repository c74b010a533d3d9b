#include "vfs/fork.h"

#include <pthread.h>
#include <stdatomic.h>

#include "vfs/disk_folder.h"
#include "vfs/group.h"
#include "vfs/report.h"
#include "vfs/server.h"
#include "vfs/super_journals.h"

static atomic_uint generation;
static int install_result;

/* The thread that forks takes our short process-wide locks first, so that no other thread holds
** one of them, half-way through a change, in the moment that the child inherits. */
static void before_fork(void) {
  gsq_servers_before_fork();
  gsq_groups_before_fork();
  gsq_super_journals_before_fork();
  gsq_report_before_fork();
  gsq_disk_folders_before_fork();
}

static void in_parent(void) {
  gsq_disk_folders_after_fork(0);
  gsq_report_after_fork();
  gsq_super_journals_after_fork();
  gsq_groups_after_fork(0);
  gsq_servers_after_fork(0);
}

static void in_child(void) {
  atomic_fetch_add(&generation, 1);
  gsq_disk_folders_after_fork(1);
  gsq_report_after_fork();
  gsq_super_journals_after_fork();
  gsq_groups_after_fork(1);
  gsq_servers_after_fork(1);
}

static void install(void) {
  install_result = pthread_atfork(before_fork, in_parent, in_child) == 0 ? 0 : -1;
}

int gsq_fork_install(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, install);
  return install_result;
}

unsigned gsq_fork_generation(void) {
  return atomic_load_explicit(&generation, memory_order_relaxed);
}
