/**
 * A {@link dev.grpsqlite.server.spi.PageStore} in one RocksDB: {@code rocksdb-server}.
 *
 * <h2>Layout</h2>
 *
 * Every database has a number that none had before. A page's images are stored under
 *
 * <pre>
 * pages:  database 8 | page 4 | complement of version 8 | attempt 4  →  checksum 8 | data
 * </pre>
 *
 * so they are side by side, the newest first; no data stands for a page of zeros. The
 * <em>attempt</em> is 0 for pages that come with their commit. A <em>stage</em> gets the version
 * behind the head, which its commit would make, and an attempt number of its own, and its pages are
 * written under those at once, while its transaction is still running. The other column family has,
 * each kind under its letter (see {@link dev.grpsqlite.server.rocksdb.Keys}):
 *
 * <pre>
 * N name → id          I id → number        D number → id, time, name
 * H number → the head's version record      L number → epoch, holder
 * V number, version → page size and count, time, commit id, epoch, attempt, pages changed
 * R number, commit id → version, of restores
 * C number, version, attempt, chunk → numbers of the pages that are under version and attempt
 * S number, version, attempt → session, stage id, epoch, page size; removed by the commit
 * E number → its own retention
 * O number → oldest version that can be read          K number → how far the collector is
 * Q number: the collector has something to do         X number: dropped, not yet deleted
 * P number → number and version of what it was forked from, and what is to be skipped there
 * T number, version, fork's number → page count; a fork point
 * U number, fork point, version, page, attempt: an image that is kept for forks alone
 * Z number, version: a fork of that version is gone
 * F number, file → size; F number, file, chunk → bytes
 * M: the next number; the machine's last boot
 * </pre>
 *
 * <h2>Threads</h2>
 *
 * <ul>
 *   <li>The callers' own read what is in memory; {@code rocksdb-read-*} what has to come from disk
 *       ({@link dev.grpsqlite.server.rocksdb.Readers}).
 *   <li>{@code rocksdb-commit} alone decides on and writes heads, leases, names, floors and side
 *       files, a group at a time ({@link dev.grpsqlite.server.rocksdb.Committer}).
 *   <li>{@code rocksdb-stage} alone makes, seals and abandons stages, and writes what is staged
 *       ({@link dev.grpsqlite.server.rocksdb.Stages}), but for what is staged in bulk: that {@code
 *       rocksdb-table-*} write to tables, which {@code rocksdb-table} completes ({@link
 *       dev.grpsqlite.server.rocksdb.StagedTables}).
 *   <li>{@code rocksdb-background} deletes: old images, abandoned stages, dropped databases ({@link
 *       dev.grpsqlite.server.rocksdb.Collector}, {@link dev.grpsqlite.server.rocksdb.ForkPoints},
 *       {@link dev.grpsqlite.server.rocksdb.Dropped}, {@link
 *       dev.grpsqlite.server.rocksdb.Background}).
 * </ul>
 *
 * <h2>Why the promises hold</h2>
 *
 * <p><b>P1.</b> A commit is one write batch: inline pages, version record, head, list of changed
 * pages, and the removal of its stage's record. RocksDB applies it as a whole, also across column
 * families, since they share one log. Staged pages lie in the log before it. They become the
 * version's by the batch, without being touched, so a transaction of 1 GiB commits by some hundred
 * bytes. That they are all there follows from the seal: once a commit has begun, the stage thread
 * writes no page to its stage. After a kill, the log has all that was written. After a loss of
 * power its unsynced end may be missing, and with it pages of a stage that looks whole; so stages
 * are taken over only by a process that finds the machine's boot unchanged; otherwise their leases
 * end, in the batch that notes the boot, so nobody who goes on staging makes a commit of what is
 * left. A stage is marked as abandoned before the first of its pages is deleted.
 *
 * <p>What is <em>staged in bulk</em> is in neither the log nor a buffer: runs of pages are written
 * to tables beside RocksDB, which takes each over, durably and as a whole, when it is complete. The
 * seal waits for the last of them, so all are there when the commit's batch is written. Before
 * RocksDB takes over a table, the log is synced, with the stage's record and the list of the
 * table's pages; so whatever is lost with the power, an image without its stage's record is a
 * committed one. A page that comes a second time goes through the log, behind the table that has
 * it. Such a stage ends with the process, and its lease with it, as above. When it is abandoned,
 * the tables that are not complete are thrown away, and those that are being taken over waited for,
 * before the deletion begins.
 *
 * <p>Commits of several databases together are one change of the commit thread, hence in one batch:
 * it looks at all of them first, refuses all if one is to be refused, and then adds them all
 * ({@link dev.grpsqlite.server.rocksdb.CommitsTogether}). Their stages are sealed one after the
 * other in the order of the databases' ids, so no two groups wait for each other.
 *
 * <p><b>P2.</b> The batch is written with {@code sync}, which makes RocksDB sync every log file
 * that is not synced, hence all that was written earlier, the staged pages included. Commits that
 * arrive while a sync is under way are the next group, and share the next one. A database whose log
 * was damaged in its synced part is refused ({@link dev.grpsqlite.server.rocksdb.SyncMark}).
 *
 * <p><b>P3, P4.</b> Lease and head are changed by the commit thread alone, which checks them right
 * before it adds a commit to its batch, against what it has decided, not against what is published
 * yet.
 *
 * <p><b>P5.</b> A commit with base <i>b</i> can only have become version <i>b</i>+1, whose record
 * has its id. It is looked at first. An answer that rests on a commit of the same group is given
 * behind the group's sync. Of commits that were made together, one that is found tells of all.
 *
 * <p><b>P8.</b> A batch whose write fails may be in the log all the same, so its changes are
 * answered as not known, and so they stay until the same commit id finds the store writing again,
 * or started anew. Meanwhile nothing else is written, so all other changes are refused as surely
 * not applied; and on a disk that is nearly full, those that would fill it are refused before one
 * fails ({@link dev.grpsqlite.server.rocksdb.WriteGuard}).
 *
 * <p><b>P6.</b> The newest image at or below a version is the page's content at it. So a reader
 * seeks to (page, version, 0) and takes the first image that belongs to no stage. It takes these
 * steps in this order: (1) it sees that its version <i>v</i> is not above the published head; (2)
 * it takes the list of stages; (3) it makes its iterator, which is a snapshot of the database; (4)
 * it sees that <i>v</i> is not below the floor. An image of a stage with version <i>x</i> could
 * mislead it only if <i>x</i> ≤ <i>v</i> and the stage is not in its list.
 *
 * <ul>
 *   <li>If the stage was entered after (2): whoever enters a stage looks at the head again behind
 *       the entry, before the first page, and finds it below <i>x</i>; that is after (1), where the
 *       head was at least <i>v</i>. So <i>x</i> &gt; <i>v</i>.
 *   <li>If it was taken off the list before (2), it was either committed, and its images are
 *       <i>x</i>'s; or all of its pages had been deleted, and the iterator does not see them.
 *   <li>The list has a stage that is committed in the meantime: its <i>x</i> is above what was the
 *       head at (1), so the reader does not come by its images. The commit takes the stage off the
 *       list before it publishes the head, so who may read <i>x</i> does not take its pages for
 *       staged ones.
 * </ul>
 *
 * <p>If another commit becomes version <i>x</i> first, the stage stays in the list with its
 * <i>x</i> ≤ head, and is skipped. Should it be committed still, its pages are copied behind the
 * new head first. What the collector deletes it deletes after the floor has risen, so an iterator
 * that was made before (4) still has it. An object that describes a database may be forgotten to
 * make room; who has it in hand sees at (4) that it is stale, and begins again.
 *
 * <p><b>Restores</b> are commits like others: what differs is staged, at the store's own instance,
 * and then committed (see {@link dev.grpsqlite.server.rocksdb.Restores}). Their ids can't be looked
 * up by a base, so they are entered one by one, by the same batch, and forgotten with the version.
 *
 * <h2>Forks</h2>
 *
 * A fork is a database record that names a parent and a version of it, <i>f</i>. It is one small
 * batch, whatever the size. A page of which the fork has no image at or below the version wanted is
 * looked for in the parent, at <i>f</i>, and if the parent is a fork, in its parent, and so on.
 *
 * <p><b>What is found there is right.</b> Let the page <i>p</i> be within the page count of the
 * fork's version <i>v</i>, and the fork have no image of it at or below <i>v</i>. Had a version up
 * to <i>v</i> cut <i>p</i> off, the one that grew the database by it again would have named it; had
 * one changed the page size, it would have named all pages. So <i>p</i> was in all versions from 0
 * to <i>v</i>, and none wrote it: it is the parent's at <i>f</i>. The fork's collector takes no
 * image away that one of its own readable versions or fork points needs, so that there is none
 * means that there was none.
 *
 * <p><b>The parent's stages.</b> Nobody who reads a fork looks at its parent's stages: the parent
 * may be gone. When the fork is made, on the commit thread, <i>f</i> is not above the published
 * head. Hence no stage is entered with a version up to <i>f</i> any more (whoever enters it looks
 * at the head behind that), and none of those that have been can be committed as such a version. So
 * what was staged with versions up to <i>f</i> then is skipped by the fork for good, and is written
 * in its record. It is nothing, nearly always.
 *
 * <p><b>What the collector leaves.</b> An image that version <i>a</i> wrote is the page until the
 * version <i>b</i> that wrote it anew or cut it off. Once the floor has reached <i>b</i>, fork
 * points from <i>a</i> to before <i>b</i> may still need it, and nothing else. When the collector
 * comes to <i>b</i>, it looks for the newest fork point below: if that is not below <i>a</i>, the
 * image is entered under it (U) instead of being deleted. Forks of a version below the floor can't
 * be made, and the decision is the commit thread's, as the rise of the floor is; the collector
 * looks for fork points behind that. A fork that has written nothing is passed over by a fork of
 * it: this may be a fork point below the floor, but one that there was already, and still is, since
 * a fork's own fork point goes after it. So what is deleted was needed by none, nor will be.
 *
 * <p>When the last fork of a version is gone, what was entered under it is deleted, or stays for
 * the fork point before it ({@link dev.grpsqlite.server.rocksdb.ForkPoints#release}). No other
 * image is looked at, and lists of changes need not be kept for it.
 *
 * <p><b>Dropped parents.</b> Name and id go at once. Then all images that no fork point needs are
 * deleted, and the others entered as above, in one pass over the database; then all else that
 * belonged to it. What is left is X, P, T, U and Z, and the images. When its last fork is gone, so
 * is it, and with it its own fork point. Each of these steps can be interrupted and begun again: an
 * image and its entry go by one batch, and a fork's last entries by the batch that tells the
 * parent.
 *
 * <p>A read goes through the databases that a fork of a fork descends from, one seek each, most of
 * which end at a Bloom filter. There are at most {@link
 * dev.grpsqlite.server.rocksdb.Catalog#MOST_ORIGINS}.
 */
@NullMarked
package dev.grpsqlite.server.rocksdb;

import org.jspecify.annotations.NullMarked;
