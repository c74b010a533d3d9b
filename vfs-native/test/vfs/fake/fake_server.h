/*
** A page service within the process: what page_client.h, file_client.h and channel.h say, without
** a network. Linked in place of src/service and src/rpc, so that faults can be put exactly where a
** test wants them. Thread-safe.
*/
#ifndef GSQ_TEST_FAKE_SERVER_H
#define GSQ_TEST_FAKE_SERVER_H

#include <stddef.h>
#include <stdint.h>

#include "service/page_client.h"

enum fake_method {
  FAKE_ANY,
  FAKE_OPEN_SESSION,
  FAKE_KEEP_ALIVE,
  FAKE_CLOSE_SESSION,
  FAKE_OPEN_DATABASE,
  FAKE_REFRESH,
  FAKE_READ_PAGES,
  FAKE_ACQUIRE_LEASE,
  FAKE_RELEASE_LEASE,
  FAKE_STAGE_PAGES,
  FAKE_DROP_STAGE,
  FAKE_COMMIT,
  FAKE_COMMIT_GROUP,
  FAKE_WATCH,
  FAKE_LIST_VERSIONS,
  FAKE_FORK,
  FAKE_RESTORE,
  FAKE_METHODS
};

enum fake_kind {
  FAKE_NO_FAULT,
  FAKE_REFUSE,      /* answered with code and reason; nothing is done */
  FAKE_LOSE_ANSWER, /* done; the client sees UNAVAILABLE */
  FAKE_HOLD_ANSWER, /* done; answered after fake_let_go */
  FAKE_HANG,        /* not done; DEADLINE_EXCEEDED after the call's time, or fake_let_go */
  FAKE_SEND_TWICE,  /* done twice, as a channel that retries does; the second answer counts */
};

typedef struct fake_fault {
  enum fake_method method;
  enum fake_kind kind;
  int after;   /* this many calls pass first */
  int forever; /* else once */
  int code;
  const char *reason;
} fake_fault;

/* Called with 1 when the server begins to do something in the caller's thread, with 0 when it ends
** or calls back: so that a test can leave the server's own allocations alone. NULL: nobody. */
void fake_set_around(void (*around)(int begins));

/* Sets the fault; FAKE_NO_FAULT for none. */
void fake_set_fault(fake_fault fault);
/* The one that takes its place when it has struck, if it is not forever. */
void fake_set_next_fault(fake_fault fault);
/* How often they struck. */
int fake_faults(void);
/* Lets an answer go that is held, or will be next. */
void fake_let_go(void);

/* How often a method was called since the last fake_reset_counts; FAKE_ANY: all but KeepAlive and
** Watch. */
int fake_calls(enum fake_method method);
void fake_reset_counts(void);

/* Forgets all databases, sessions and faults. No file may be open. */
void fake_reset(void);
/* The server starts again: sessions and stages are gone, databases and leases are there. */
void fake_restart(void);
/* Another one of several servers comes into use, which has the same store, and has not heard of the
** sessions. They are the same ones there once it has; what was staged in them it has. */
void fake_move(void);
/* Takes the lease of a database away, as after a TTL, without telling. */
void fake_take_lease(const char *name);
/* Puts back an older copy of the database: versions above this one were never there. fake_restart is part
** of it. */
void fake_go_back(const char *name, uint64_t to);
/* Makes `to` a copy of the head of `from`: its content at version 0, all pages of version 0. */
void fake_fork(const char *from, const char *to);
/* Keeps versions from this one on only; what changed before is not known any more. */
void fake_forget_before(const char *name, uint64_t version);

void fake_set_page_service(int on);
void fake_set_commit_group(int on);
/* Whether it opens old versions. It dates version N to 2001-09-09T01:46:40Z and N seconds. */
void fake_set_time_travel(int on);
#define FAKE_TIME_OF_VERSION_0 1000000000
/* Whether it says that it can send pages compressed, which it never does; what the channel says of
** the network (0: nothing); and whether the newest ReadPages would have accepted it. */
void fake_set_lz4(int on);
void fake_set_bandwidth(int64_t bytes_per_s);
int fake_last_accepts_lz4(void);
void fake_set_ttl_ms(uint32_t ttl_ms);
void fake_set_max_message_bytes(uint32_t bytes);

/* Whether the server can Watch; it does not after fake_reset. A frozen one says nothing on its
** streams but what fake_confirm does. */
enum fake_watching { FAKE_NO_WATCH, FAKE_WATCHES, FAKE_FROZEN };
void fake_set_watch(enum fake_watching watching);
/* Says on all streams that so much time has passed since the server received their requests. */
void fake_confirm(uint64_t elapsed_ms);
/* Says that someone wants the lease of a database from its holder. */
void fake_want_lease(const char *name);
/* How many streams there are; how many name a database; how many events they have yet to take. */
int fake_streams(void);
int fake_streams_with(const char *name);
int fake_untold(void);
/* The newest wait_ms of an AcquireLease. */
uint32_t fake_last_wait(void);

/* For how long it gives read delegations, at most; 0 after fake_reset. It does not keep them: what
** is committed meanwhile is for the test to judge. */
void fake_set_delegation_ms(uint32_t ms);

/* So many pages follow those that are read, one by one, if the client has credit; 0 after fake_reset. To
** be set before a session is opened. */
void fake_send_ahead(uint32_t pages);
/* How many reads have not ended, since pages of theirs have not been taken. */
int fake_rests(void);
/* The same when a lease was asked for or a commit made, added up since fake_reset. */
int fake_rests_beside_writing(void);
/* The credit of the last ReadPages that wanted pages ahead. */
uint32_t fake_credit(void);

uint64_t fake_head(const char *name); /* 0 also if there is no such database */
size_t fake_stages(void);
size_t fake_sessions(void);
/* The pages that the newest commit named. */
size_t fake_last_commit_pages(void);
/* The lowest floor that sessions have told of a database; UINT64_MAX: none. */
uint64_t fake_floor(const char *name);
/* How many views at fixed versions there are of a database. */
size_t fake_fixed_views(const char *name);
/* Sets a byte of a page at the head, behind everybody's back. */
void fake_poke(const char *name, uint32_t page, uint32_t offset, uint8_t value);

#endif
