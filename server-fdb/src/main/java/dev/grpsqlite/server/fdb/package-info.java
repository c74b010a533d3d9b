/**
 * A {@link dev.grpsqlite.server.spi.PageStore} in a FoundationDB cluster: {@code fdb-server}, of
 * which any number serve the same databases.
 *
 * <h2>Layout</h2>
 *
 * All keys begin with the store's prefix (as a tuple, so that none is the beginning of another) and
 * a letter. What belongs to a database is in one range:
 *
 * <pre>
 * D id p  page 4 | complement of version 8 | attempt 8  →  checksum 8 | data
 * </pre>
 *
 * so a page's images are side by side, the newest first; no data stands for a page of zeros. The
 * <em>attempt</em> is 0 for pages that were written by the transaction that committed them. Pages
 * that were staged have an attempt of their stage's own, a random number, and the version behind
 * the head, which their commit would make. Under D id there are also
 *
 * <pre>
 * d → time, name, what it was forked from         h → the head's version record
 * l → epoch, holder                               o → oldest version that can be read
 * e → its own retention                           k → how far the collector is
 * v version → page size and count, time, commit id, attempts, pages changed
 * g version → attempts of a version with staged pages; stays as long as the database
 * r commit id → version, of restores
 * c version, attempt, chunk → numbers of the pages that are under version and attempt
 * s session, stage → version, attempt, epoch, page size, number of chunks, process, calls;
 * removed by the commit
 * a version, attempt: a stage that was given up and is to be deleted
 * t version, fork's id: a fork point
 * u version, page: an image at or below this fork point that is kept for it
 * z version: a fork of this version is gone
 * F file → size; G file, chunk → bytes
 * x → what a dropped database was, as long as forks need it
 * </pre>
 *
 * and of the store
 *
 * <pre>
 * L → the number of this layout, made with the first key
 * N name → id                                     Q id: there is something to collect
 * G session, id, stage: it has that stage         H process; B process → a count, while it lives
 * P process, id → a version; its sessions may read that one and later ones
 * S session → the process that last heard of it, a number, the session's incarnation
 * M process, session, id → epoch: somebody waits for this lease of a session that was there
 * W process → a number; changes when there is something under M
 * </pre>
 *
 * <h2>Transactions</h2>
 *
 * FoundationDB's are strictly serializable, last 5 s and have 10 MB at most; ours stop at 4 s and 9
 * MB ({@link dev.grpsqlite.server.fdb.Transactions}) and are planned to stay far below that ({@link
 * dev.grpsqlite.server.fdb.Chunks}). What does not fit one is done by several, of which the last, a
 * small one, makes the difference; what the others wrote is seen by nobody until then, and deleted
 * if it does not come to that.
 *
 * <p>A commit conflicts over the head and the lease of its own database, and over its stage, with
 * nothing else. Reads of images conflict with nothing: an image never changes.
 *
 * <h2>Why the promises hold</h2>
 *
 * <p><b>P1.</b> A commit is one transaction: inline pages, version record, head, lists of changed
 * pages, and the removal of its stage. Staged pages become the version's by its record, which names
 * their attempt, so a transaction of 1 GiB commits by some hundred bytes. They are all there:
 * whoever stages pages counts the list of them in the stage's record, in the same transaction; the
 * commit has read the lists, and does it again if the record is not the one that it knew. Commits
 * of several databases together are one transaction.
 *
 * <p><b>P2</b> is FoundationDB's own.
 *
 * <p><b>P3, P4.</b> The transaction reads lease and head, which conflicts with whoever changes
 * them.
 *
 * <p><b>P5.</b> A commit with base <i>b</i> can only have become version <i>b</i>+1, whose record
 * has its id. It is looked at first, in the same transaction. So a transaction of which
 * FoundationDB does not know whether it was applied is simply run again, by FoundationDB's own
 * loop. Everything else that is run so finds its own effect, or has the same effect again.
 *
 * <p><b>P6.</b> The newest valid image at or below a version is the page's content at it, and one
 * is valid if its attempt is 0 or among those of its version (g). A reader looks at the floor (o)
 * and reads the images in one transaction, hence as of one moment; what the collector deletes it
 * deletes after the floor has risen. So it finds the floor above its version, or all images that
 * the version needs. That the floor does not rise above what sessions of other processes read is
 * the matter of {@link dev.grpsqlite.server.fdb.Pins}.
 *
 * <h2>Sessions and leases of several processes</h2>
 *
 * A session's record (S) is given a new number whenever a process hears of the session, before the
 * client is answered. Who waits for a lease, and sees the record of its holder stand still for a
 * TTL by its own clock, removes it in a transaction that finds the same number; only then is the
 * lease given away. What a client was answered was written before, so it had begun to trust its
 * lease before that TTL began. A process that has not heard of a session for a TTL gives back what
 * the session had only if the number is the one that it wrote itself: else the client has gone to
 * another process, which has the session, and the lease, which is in the database, stays.
 *
 * <p>The incarnation is of the record, made with it: so a client that goes to another server, or to
 * one that was started again, is told that the session is the one that it had, with its leases; and
 * that it is another, if the record was removed meanwhile.
 *
 * <p>A holder is asked to yield by its process, which is told by a letter (M) and a bell (W) that
 * it watches; who waits watches the lease; who tells clients of new heads watches them. What a
 * watch misses is found by looking: leases every second, heads before each confirmation.
 *
 * <h2>Forks</h2>
 *
 * A page of which a fork has no image at or below the version wanted is looked for in the parent,
 * at the version forked, and if the parent is a fork, in its parent, and so on: had any version of
 * the fork written it, or cut it off and grown again, there would be an image. The fork point (t)
 * is made by the transaction that reads the floor, so nothing at or above it is gone.
 *
 * <h2>Collection</h2>
 *
 * Let the floor have reached version <i>b</i>, which wrote or cut off a page. Older images of the
 * page are needed by fork points before <i>b</i> alone, and of those the newest, <i>f</i>, needs
 * none that is above it. So all images in (<i>f</i>, <i>b</i>−1] go, by one deletion of a range and
 * without a look at them; if there is an <i>f</i>, the page is entered for it (u). As this is done
 * for each version in turn, an image that version <i>a</i> wrote and <i>b</i> made useless is
 * deleted by it exactly if no fork point is in [<i>a</i>, <i>b</i>−1].
 *
 * <p>When the last fork of <i>f</i> is gone, of each page that is entered for it what is in
 * (<i>e</i>, <i>f</i>] goes, <i>e</i> being the fork point before it, for which the page is entered
 * then: versions that can be read, and later fork points, are at or above the version that made the
 * entry, since a fork can't be made below the floor. A database that is dropped and has forks is
 * collected up to its head, then treated as if all its pages had been cut off; without forks it is
 * one range that goes at once. Every such step reads the fork points in its transaction, so that
 * none comes or goes unnoticed, and can be done again ({@link dev.grpsqlite.server.fdb.Purge},
 * {@link dev.grpsqlite.server.fdb.Collector}).
 *
 * <h2>Threads</h2>
 *
 * Whatever the SPI asks for goes on in FoundationDB's own futures, on its binding's threads;
 * nothing waits there. {@code fdb-background} alone waits for what it does: it says that the
 * process lives, writes down what its sessions read, and collects.
 */
@NullMarked
package dev.grpsqlite.server.fdb;

import org.jspecify.annotations.NullMarked;
