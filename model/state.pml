/*
** The state of lease.pml, the bounds of the search, and what is asserted.
*/

#ifndef CLIENTS
#define CLIENTS 1
#endif
#ifndef COMMITS
#define COMMITS 2 /* of each client */
#endif
#ifndef OTHERS_COMMITS
#define OTHERS_COMMITS 2
#endif
#ifndef MAX_EPOCH
#define MAX_EPOCH 4
#endif
#ifndef RESTARTS
#define RESTARTS 1
#endif
#define VERSIONS (CLIENTS * COMMITS + OTHERS_COMMITS)

/* -DONLY=7 checks P7 alone. */
#ifndef ONLY
#define ONLY 0
#endif
#define CHECK(property, truth) assert((ONLY != 0 && ONLY != property) || (truth))

/* -DREACH=HANDOVER asserts that a handover is never reached. */
#define HANDOVER 1          /* commits of one, another, the first again, each acknowledged */
#define ANSWERED_AGAIN 2    /* a commit is acknowledged that an earlier sending applied */
#define FENCED 3            /* a commit on the head is refused by its epoch alone */
#define BEHIND 4            /* a commit under the current epoch is refused by its base alone */
#define UNKNOWN_APPLIED 5   /* a commit that was given up is applied later */
#define TRUSTED_IN_GRACE 6  /* the server restarted, and the holder reads on without asking */
#define DISPLACED 7         /* a dead holder's lease goes to another */
#define READ_UNDER_DELEGATION 8 /* after others' commit, nothing held, without asking */
#ifndef REACH
#define REACH 0
#endif
#define REACHED(what, truth) assert(REACH != what || !(truth))

#define NONE 0

/* The store: survives everything. Clients are numbered from 1 here. */
byte holder;                 /* of the lease; NONE: free */
byte epoch;                  /* of the holder, or of the last one */
byte head;                   /* the newest version */
byte made_by[VERSIONS + 1];  /* the commit id of each version */
#define OTHERS (CLIENTS + 1)
#define OTHERS_ID 0

/* The server process: gone with a restart. */
bool live[CLIENTS];          /* it has a session of this client */
byte books[CLIENTS];         /* the epoch that the session is known to have; NONE: no lease */
bool granted[CLIENTS];       /* ... because this session was given it, not for a commit under it */
byte giving_back[CLIENTS];   /* an ended session's epoch, not yet released in the store */
bool grace;                  /* less than one TTL since the restart */
byte restarts;
byte displacing;             /* others' AcquireLease found the holder of this epoch gone */
bool delegation[CLIENTS];    /* for a while, nobody but this client gets the lease */
bool starting;               /* less than the longest delegation since the restart */

/* The client process. */
bool held[CLIENTS];          /* the lease, as far as it knows */
byte held_epoch[CLIENTS];    /* of the lease that is, or was last, held */
bool current[CLIENTS];       /* ... and was granted in the session that the client knows */
byte known_head[CLIENTS];
bool known_session[CLIENTS]; /* the client knows that the server's session of it is this one */

/* Until when leases may be trusted, by what was received last of what was answered. */
#define TRUST_OVER 0
#define TRUST_BEFORE 1 /* by the server before it restarted */
#define TRUST_NOW 2
byte trust[CLIENTS];

/* The lease on its way back. No more than one of these and an AcquireLease at a time. */
#define NOT_RELEASING 0
#define RELEASING 1
#define DOUBTFUL 2 /* must be released, because a commit may still arrive under it */
byte release[CLIENTS];
byte release_epoch[CLIENTS]; /* of the last ReleaseLease sent, which may arrive at any time */

/* AcquireLease. */
#define NOT_ASKED 0
#define GRANTED 1 /* ask_epoch, at ask_head: the answer is on its way */
byte ask[CLIENTS];
byte ask_epoch[CLIENTS];
byte ask_head[CLIENTS];
bool ask_current[CLIENTS];   /* no new session since it was sent */

/* Read delegations. */
bool delegated[CLIENTS];     /* it need not ask, by its clock: since it sent what was answered so */
#define NO_ANSWER 255
byte delegated_head[CLIENTS]; /* the answer is on its way, with the head; or NO_ANSWER */

/* The transaction that writes. */
#define IDLE 0
#define RESERVED 1
#define COMMITTING 2
byte transaction[CLIENTS];
byte base[CLIENTS];          /* the version that it reads */
byte commit_epoch[CLIENTS];
byte commits[CLIENTS];       /* how many were sent before */

/* A Commit that was given up, or answered already, and may still arrive. */
byte late_id[CLIENTS];
byte late_epoch[CLIENTS];
byte late_base[CLIENTS];

byte others_commits;

/* Ghosts. */
byte acknowledged;           /* the newest version that a finished transaction made or saw */
byte applied;                /* bit set of commit ids */
byte refused;                /* those that a client was told to have failed */

#define BIT(id) (1 << (id))
#define IS_HOLDER(c) (holder == (c) + 1)
#define COMMIT_ID(c) (1 + (c) + CLIENTS * commits[c])

#ifdef MUTATION_TRUST_DURING_COMMIT
#define COMMIT_UNANSWERED(c) false
#else
#define COMMIT_UNANSWERED(c) (transaction[c] == COMMITTING)
#endif

#define IS_TRUSTED(c)                                                               \
  (held[c] && current[c] && trust[c] != TRUST_OVER && release[c] == NOT_RELEASING && \
   !COMMIT_UNANSWERED(c))

#ifdef MUTATION_DELEGATION_DURING_COMMIT
#define IS_DELEGATED(c) delegated[c]
#else
#define IS_DELEGATED(c) (delegated[c] && !COMMIT_UNANSWERED(c) && release[c] != DOUBTFUL)
#endif

#ifdef MUTATION_NO_OUTLASTING
#define IS_STARTING false
#else
#define IS_STARTING starting
#endif

/* Whether the server has told others than this client that the head stays. */
#if CLIENTS > 1
#define DELEGATED_BESIDE(c) (IS_STARTING || delegation[1 - (c)])
#define DELEGATED_TO_ANY (IS_STARTING || delegation[0] || delegation[1])
#else
#define DELEGATED_BESIDE(c) IS_STARTING
#define DELEGATED_TO_ANY (IS_STARTING || delegation[0])
#endif
#ifdef MUTATION_DELEGATION_NOT_KEPT
#undef DELEGATED_TO_ANY
#define DELEGATED_TO_ANY IS_STARTING
#endif

#ifdef MUTATION_NO_GRACE
#define MAY_BE_ALIVE(c) live[c]
#else
#define MAY_BE_ALIVE(c) (live[c] || grace)
#endif
