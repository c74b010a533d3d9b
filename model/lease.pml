/*
** The lease and commit protocol of the page service: clients, a server that may restart, a durable
** store, and a network that delays, repeats and loses what it likes. README.md says what is
** modelled and what is not; scripts/check-model runs it.
**
** EVENTS. Every step is one atomic action on the state (state.pml), so that an interleaving of
** steps is one of the world. A client process has a transaction that writes, other connections
** beside it that read or ask for the lease, and a background thread. A process that is stopped, or
** has crashed, is one that takes no steps: nothing here forces one.
**
** MESSAGES. A request may be executed whenever it has been sent, also after its sender gave it up.
** Request, execution and answer are one step only where whatever could happen in between has the
** same effect before or after it. Otherwise they are several.
**
** TIME. There is no clock. A client's trust ends by its own clock before the server's patience
** does: so the step in which a session expires, or in which the time of grace after a restart
** ends, is one by which the trust that rests on what the server received before has ended.
**
** OTHERS. One client is here with all that its process does. The others are what the store sees of
** any number of them: what each of them must not do, the one shows.
**
** MUTATIONS. Each MUTATION_ macro breaks one rule.
*/
#include "state.pml"

/* The store's steps. */

inline store_release(c, of_epoch) {
  if
#ifdef MUTATION_RELEASE_WITHOUT_EPOCH
  :: IS_HOLDER(c) -> holder = NONE
#else
  :: IS_HOLDER(c) && epoch == of_epoch -> holder = NONE
#endif
  :: else
  fi;
  forget_idle_commits()
}

inline give_lease(c) {
  epoch++;
  holder = c + 1;
  books[c] = epoch;
  granted[c] = true;
  forget_idle_commits()
}

inline forget_in_books(c, of_epoch) {
  if
  :: books[c] == of_epoch -> books[c] = NONE; granted[c] = false
  :: else
  fi
}

/* The three checks of a commit, in this order. */
#ifdef MUTATION_NO_ID_LOOKUP
#define IS_APPLIED(id, of_base) false
#else
#define IS_APPLIED(id, of_base) (of_base < head && made_by[of_base + 1] == id)
#endif
#ifdef MUTATION_NO_EPOCH_CHECK
#define IS_FENCED(c, of_epoch) false
#else
#define IS_FENCED(c, of_epoch) (!IS_HOLDER(c) || epoch != of_epoch)
#endif
#ifdef MUTATION_NO_BASE_CHECK
#define IS_BEHIND(of_base) false
#else
#define IS_BEHIND(of_base) (of_base != head)
#endif

/* A late commit that will be refused whenever it comes, for epochs and versions only grow, need
** not be kept: without it there are fewer states, and the same outcomes. */
inline forget_idle_commit(c) {
  if
  :: late_id[c] != NONE &&
     (IS_APPLIED(late_id[c], late_base[c]) || IS_FENCED(c, late_epoch[c]) ||
      IS_BEHIND(late_base[c])) ->
    late_id[c] = NONE;
    late_epoch[c] = 0;
    late_base[c] = 0
  :: else
  fi
}

inline forget_idle_commits() {
  forget_idle_commit(0)
#if CLIENTS > 1
  ; forget_idle_commit(1)
#endif
}

hidden byte made;
hidden byte fresh;

/* Sets made: the version, or NONE if no sending of this commit is ever applied. */
inline execute_commit(c, id, of_epoch, of_base) {
  fresh = false;
  if
  :: IS_APPLIED(id, of_base) ->
    made = of_base + 1;
    books[c] = (books[c] == NONE -> of_epoch : books[c])
  :: else ->
    if
    :: IS_FENCED(c, of_epoch) ->
      REACHED(FENCED, of_base == head && holder != NONE && !IS_HOLDER(c));
      made = NONE;
      forget_in_books(c, of_epoch)
    :: else ->
      if
      :: IS_BEHIND(of_base) -> made = NONE; REACHED(BEHIND, true)
      :: else ->
        CHECK(3, holder == c + 1 && epoch == of_epoch);
        CHECK(4, head == of_base);
        CHECK(5, (applied & BIT(id)) == 0 && (refused & BIT(id)) == 0);
        fresh = true;
        head++;
        made_by[head] = id;
        made = head;
        applied = applied | BIT(id);
        books[c] = (books[c] == NONE -> of_epoch : books[c])
      fi
    fi
  fi;
  forget_idle_commits()
}

/* AcquireLease: a free lease is given; to its holder, with the same epoch only if this session of
** it was given that epoch. (Others who are gone are others who release.) */
#ifdef MUTATION_REGRANT_KEEPS_EPOCH
#define WAS_GIVEN(c) true
#else
#define WAS_GIVEN(c) (granted[c] && books[c] == epoch)
#endif
#define GIVES_AGAIN(c) (IS_HOLDER(c) && WAS_GIVEN(c))
#define GIVES_NEW(c)                                                                 \
  ((holder == NONE || (IS_HOLDER(c) && !WAS_GIVEN(c))) && epoch < MAX_EPOCH &&       \
   !DELEGATED_BESIDE(c))

/* The client's steps. */

inline new_session(c) {
  current[c] = false;
  ask_current[c] = false;
  known_session[c] = true
}

inline learn(c, version) {
  known_head[c] = (version > known_head[c] -> version : known_head[c])
}

inline begin(c) {
  if
  :: IS_TRUSTED(c) || IS_DELEGATED(c) ->
    CHECK(4, known_head[c] == head);
    CHECK(7, known_head[c] >= acknowledged);
    REACHED(READ_UNDER_DELEGATION, !held[c] && head > 0 && made_by[head] == OTHERS_ID);
    REACHED(TRUSTED_IN_GRACE, IS_TRUSTED(c) && grace && trust[c] == TRUST_BEFORE && head > 0)
  :: else -> learn(c, head) /* Refresh; repeated or late, it says nothing else */
  fi;
  acknowledged = (known_head[c] > acknowledged -> known_head[c] : acknowledged)
}
#define MAY_BEGIN(c)                                                           \
  (IS_DELEGATED(c) || (release[c] == NOT_RELEASING && (IS_TRUSTED(c) || live[c])))

inline answer_granted(c) {
  books[c] = epoch;
  granted[c] = true;
  ask[c] = GRANTED;
  ask_epoch[c] = epoch;
  ask_head[c] = head
}

inline forget_ask(c) {
  ask[c] = NOT_ASKED;
  ask_epoch[c] = 0;
  ask_head[c] = 0;
  ask_current[c] = false
}

inline end_delegation(c) {
  delegated[c] = false;
  delegated_head[c] = NO_ANSWER
}

inline lose_lease(c) {
  held[c] = false;
  held_epoch[c] = 0;
  current[c] = false
}

inline end_transaction(c) {
  transaction[c] = IDLE;
  base[c] = 0;
  commit_epoch[c] = 0
}

inline keep_late_commit(c) {
  late_id[c] = COMMIT_ID(c);
  late_epoch[c] = commit_epoch[c];
  late_base[c] = base[c];
  forget_idle_commit(c)
}

/* The answer to a commit has come. */
inline take_outcome(c) {
  if
  :: made != NONE ->
    CHECK(5, made_by[made] == COMMIT_ID(c));
    learn(c, made);
    acknowledged = (made > acknowledged -> made : acknowledged);
    REACHED(ANSWERED_AGAIN, !fresh);
    REACHED(HANDOVER, made == 3 && made_by[1] != OTHERS_ID && made_by[2] == OTHERS_ID)
  :: else ->
    CHECK(5, (applied & BIT(COMMIT_ID(c))) == 0);
    refused = refused | BIT(COMMIT_ID(c));
    lose_lease(c)
  fi;
  commits[c]++;
  end_transaction(c)
}

#ifdef MUTATION_RELEASE_DURING_ACQUIRE
#define MAY_RELEASE(c) true
#else
#define MAY_RELEASE(c) (ask[c] == NOT_ASKED)
#endif
#define MAY_ASK(c) (ask[c] == NOT_ASKED && release[c] == NOT_RELEASING && live[c])

proctype Client(byte c) {
  do
  /* A transaction that writes. It began when the head that is known became known, or later. */
  :: d_step {
       transaction[c] == IDLE && commits[c] < COMMITS ->
       transaction[c] = RESERVED;
       base[c] = known_head[c]
     }
  :: d_step { transaction[c] == RESERVED -> end_transaction(c) }
  :: d_step {
       transaction[c] == RESERVED && held[c] && release[c] == NOT_RELEASING ->
       transaction[c] = COMMITTING;
       commit_epoch[c] = held_epoch[c]
     }
  /* Executed, and the answer lost; then, or at once, executed and answered. */
  :: d_step {
       transaction[c] == COMMITTING && live[c] ->
       execute_commit(c, COMMIT_ID(c), commit_epoch[c], base[c])
     }
  :: d_step {
       transaction[c] == COMMITTING && live[c] ->
       execute_commit(c, COMMIT_ID(c), commit_epoch[c], base[c]);
       keep_late_commit(c); /* another sending of it is under way still */
       take_outcome(c)
     }
  /* Given up: nobody knows. */
  :: d_step {
       transaction[c] == COMMITTING ->
       keep_late_commit(c);
       commits[c]++;
       end_transaction(c);
#ifndef MUTATION_DELEGATION_IN_DOUBT
       end_delegation(c); /* also one that is on its way */
#endif
#ifdef MUTATION_DOUBT_NOT_SETTLED
       lose_lease(c)
#else
       held[c] = false;
       current[c] = false;
       release[c] = DOUBTFUL
#endif
     }

  /* Another connection of the process begins to read. */
  :: d_step {
       MAY_BEGIN(c) && (known_head[c] != head || acknowledged != head) -> begin(c)
     }

  /* An open or a Refresh is answered with a delegation. */
  :: d_step {
       delegated_head[c] != NO_ANSWER ->
       learn(c, delegated_head[c]);
       delegated[c] = true;
       delegated_head[c] = NO_ANSWER
     }

  /* Some connection asks for the lease at any version. One that wants it at its own version only
  ** does no more: where it would be refused, its commit is. */
  :: d_step {
       MAY_ASK(c) && !IS_TRUSTED(c) && GIVES_AGAIN(c) -> answer_granted(c); ask_current[c] = true
     }
  :: d_step {
       MAY_ASK(c) && !IS_TRUSTED(c) && GIVES_NEW(c) ->
       give_lease(c);
       answer_granted(c);
       ask_current[c] = true
     }
  :: d_step {
       MAY_ASK(c) && held[c] && !IS_TRUSTED(c) && holder != NONE && !IS_HOLDER(c) -> lose_lease(c)
     }
#ifdef MUTATION_ACQUIRE_IN_STEPS
  /* Given at another version than was asked for, and taken back later. */
  :: d_step {
       MAY_ASK(c) && !IS_TRUSTED(c) && GIVES_NEW(c) && base[c] != head && giving_back[c] == NONE ->
       give_lease(c);
       giving_back[c] = epoch
     }
#endif
  :: d_step {
       ask[c] == GRANTED ->
       learn(c, ask_head[c]);
       held[c] = true;
       held_epoch[c] = ask_epoch[c];
       current[c] = ask_current[c];
       forget_ask(c)
     }
  :: d_step { ask[c] != NOT_ASKED -> forget_ask(c) } /* no answer, or not the lease */

  /* The lease is given back: someone waits for it, or there is doubt. */
  :: d_step {
       held[c] && transaction[c] == IDLE && release[c] == NOT_RELEASING && MAY_RELEASE(c) ->
       release[c] = RELEASING;
       release_epoch[c] = held_epoch[c]
     }
  :: d_step {
       release[c] == DOUBTFUL && MAY_RELEASE(c) ->
       release[c] = RELEASING;
       release_epoch[c] = held_epoch[c]
     }
  :: d_step {
       release[c] == RELEASING && live[c] ->
       store_release(c, release_epoch[c]);
       forget_in_books(c, release_epoch[c]);
       release[c] = NOT_RELEASING;
#ifndef MUTATION_RELEASE_WITHOUT_EPOCH
       release_epoch[c] = NONE; /* with this epoch it does nothing any more */
#endif
#ifndef MUTATION_HEAD_PINNED_AFTER_YIELD
       lose_lease(c)
#endif
     }
#ifdef MUTATION_RELEASE_GIVEN_UP
  :: d_step { release[c] == RELEASING -> release[c] = NOT_RELEASING; lose_lease(c) }
#endif

  /* KeepAlive. If another session of the same id answers than the client knows, its leases are
  ** to be asked for again, as after opening a session. */
#ifdef MUTATION_SESSION_KNOWN_BY_ID_ALONE
  :: d_step { live[c] && trust[c] != TRUST_NOW -> trust[c] = TRUST_NOW }
#else
  :: d_step {
       live[c] && known_session[c] && trust[c] != TRUST_NOW -> trust[c] = TRUST_NOW
     }
  :: d_step { live[c] && !known_session[c] -> new_session(c); trust[c] = TRUST_NOW }
#endif
  /* OpenSession, after the server said that it knows none. */
  :: d_step { !live[c] -> live[c] = true; new_session(c); trust[c] = TRUST_NOW }
  od
}

inline end_session(c) {
  live[c] = false;
  known_session[c] = false;
  books[c] = NONE;
  granted[c] = false
}

/* What the server does for a client at times of its own, and what arrives late or twice, with
** nobody to take the answer. */
proctype Server(byte c) {
  do
  /* One TTL after the last KeepAlive that was received. */
  :: d_step {
       live[c] && giving_back[c] == NONE ->
       giving_back[c] = books[c];
       end_session(c);
#ifndef MUTATION_NO_MARGIN
       trust[c] = TRUST_OVER
#endif
     }
  :: d_step {
       giving_back[c] != NONE -> store_release(c, giving_back[c]); giving_back[c] = NONE
     }

  /* An open or a Refresh: noted first, then looked whether somebody has the lease, then the head. */
  :: d_step { live[c] && !delegation[c] -> delegation[c] = true }
#ifdef MUTATION_DELEGATION_BESIDE_LEASE
  :: d_step { delegation[c] && !delegated[c] && delegated_head[c] != head -> delegated_head[c] = head }
#else
  :: d_step {
       delegation[c] && !delegated[c] && holder == NONE && delegated_head[c] != head ->
       delegated_head[c] = head
     }
#endif
  /* It ends, or was withdrawn: what rests on it has ended by then. */
  :: d_step {
       delegation[c] ->
       delegation[c] = false;
#ifndef MUTATION_DELEGATION_WITHOUT_MARGIN
       end_delegation(c)
#endif
     }

  /* OpenSession, AcquireLease, ReleaseLease, Commit. */
  :: d_step { !live[c] -> live[c] = true }
  :: d_step { live[c] && GIVES_NEW(c) -> give_lease(c) }
  :: d_step {
       live[c] && IS_HOLDER(c) && release_epoch[c] != NONE ->
       store_release(c, release_epoch[c]);
       forget_in_books(c, release_epoch[c])
     }
  :: d_step {
       live[c] && late_id[c] != NONE ->
       execute_commit(c, late_id[c], late_epoch[c], late_base[c]);
       REACHED(UNKNOWN_APPLIED, fresh)
     }
  od
}

hidden byte i;

/* Other clients, as the store sees them. */
proctype Others() {
  do
  :: d_step {
       holder == NONE && epoch < MAX_EPOCH && !DELEGATED_TO_ANY ->
       epoch++;
       holder = OTHERS;
       forget_idle_commits()
     }
  /* The store compares the lease with the one that was found, and replaces it. */
  :: d_step {
       displacing == NONE && holder != NONE && holder != OTHERS && epoch < MAX_EPOCH &&
       !MAY_BE_ALIVE(holder - 1) ->
       displacing = epoch
     }
  :: d_step {
       displacing != NONE && !DELEGATED_TO_ANY ->
       if
       :: holder != NONE && epoch == displacing ->
         REACHED(DISPLACED, true);
         epoch++;
         holder = OTHERS;
         forget_idle_commits()
       :: else
       fi;
       displacing = NONE
     }
  :: d_step {
       holder == OTHERS && others_commits < OTHERS_COMMITS ->
       others_commits++;
       head++;
       made_by[head] = OTHERS_ID;
       forget_idle_commits()
     }
  :: d_step { acknowledged != head -> acknowledged = head } /* they are told, or they read */
  :: d_step { holder == OTHERS -> holder = NONE }
  od
}

proctype Restart() {
  do
  :: d_step {
       restarts < RESTARTS ->
       restarts++;
       grace = true;
       starting = true;
       displacing = NONE;
       for (i : 0 .. CLIENTS - 1) {
         delegation[i] = false;
         end_session(i);
         giving_back[i] = NONE;
         trust[i] = (trust[i] == TRUST_OVER -> TRUST_OVER : TRUST_BEFORE)
       }
     }
  /* The longest delegation after the start. */
  :: d_step {
       starting ->
       starting = false;
       for (i : 0 .. CLIENTS - 1) {
         if
         :: !delegation[i] -> end_delegation(i)
         :: else
         fi
       }
     }
  /* One TTL after the start. */
  :: d_step {
       grace ->
       grace = false;
       for (i : 0 .. CLIENTS - 1) {
         trust[i] = (trust[i] == TRUST_BEFORE -> TRUST_OVER : trust[i])
       }
     }
  od
}

init {
  d_step {
    for (i : 0 .. CLIENTS - 1) {
      live[i] = true;
      known_session[i] = true;
      delegated_head[i] = NO_ANSWER;
      trust[i] = TRUST_NOW
    }
  }
  atomic {
    for (i : 0 .. CLIENTS - 1) {
      run Client(i);
      run Server(i)
    }
    run Others();
    run Restart()
  }
}
