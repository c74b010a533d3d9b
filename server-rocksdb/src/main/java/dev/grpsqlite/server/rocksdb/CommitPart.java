package dev.grpsqlite.server.rocksdb;

import dev.grpsqlite.server.spi.Commit;
import dev.grpsqlite.server.spi.PageImage;
import dev.grpsqlite.server.spi.PageSet;
import org.jspecify.annotations.Nullable;
import org.rocksdb.RocksDBException;

/**
 * What is committed to one database: the commit, and the stage that it names, sealed. Checked and
 * written on the commit thread.
 */
final class CommitPart {
  final DatabaseState before;
  final Commit commit;
  final @Nullable Stage stage;

  /** Its id is to be found whatever it is based on. */
  final boolean restores;

  CommitPart(DatabaseState before, Commit commit, @Nullable Stage stage, boolean restores) {
    this.before = before;
    this.commit = commit;
    this.stage = stage;
    this.restores = restores;
  }

  CommitPart with(Stage moved) {
    return new CommitPart(before, commit, moved, restores);
  }

  long version() {
    return commit.baseVersion() + 1;
  }

  long bytes() {
    return PageImage.bytes(commit.pages());
  }

  /** Fails if this can't be what comes next (P3, P4). */
  void checkNext(DatabaseState state) {
    Commits.checkLease(state, state.nextLease, commit.holder(), commit.epoch());
    if (commit.baseVersion() != state.nextHead.version()) {
      throw RocksErrors.headMoved(state, commit.baseVersion(), state.nextHead.version());
    }
    if (commit.stage() != null && stage == null) {
      throw RocksErrors.noSuchStage(state);
    }
    if (stage != null && stage.record.pageSize() != commit.pageSize()) {
      throw RocksErrors.invalid(
          state,
          "a commit of pages of %d bytes, staged as pages of %d"
              .formatted(commit.pageSize(), stage.record.pageSize()));
    }
  }

  /** The stage, if its pages are under another version than this commit makes. */
  @Nullable Stage overtaken() {
    return stage != null && stage.version != version() ? stage : null;
  }

  /** What there is fits, and every page that the base does not have is there. */
  void checkPages(DatabaseState state) {
    if (commit.pageCount() < 0 || commit.pageCount() > PageReader.LAST_PAGE) {
      throw RocksErrors.invalid(state, "a page count of " + commit.pageCount());
    }
    long kept = state.nextHead.kept(commit.pageSize());
    PageSet inline = new PageSet();
    for (PageImage page : commit.pages()) {
      Stages.check(state, page, commit.pageSize());
      if (page.number() > commit.pageCount()) {
        throw RocksErrors.invalid(
            state,
            "page %d is above the page count of %d".formatted(page.number(), commit.pageCount()));
      }
      inline.add(page.number());
    }
    for (long page = kept + 1; page <= commit.pageCount(); page++) {
      if (!inline.has(page) && (stage == null || !stage.pages.has(page))) {
        throw RocksErrors.invalid(
            state,
            "page %d is missing in a commit that makes %d pages out of %d"
                .formatted(page, commit.pageCount(), kept));
      }
    }
  }

  /**
   * Adds the new version to a batch, whatever is checked having been checked.
   *
   * @return what makes it known, once it is durable
   */
  Runnable write(Group group, DatabaseState state, long nowMillis) throws RocksDBException {
    long version = version();
    VersionRecord record =
        new VersionRecord(
            version,
            commit.pageSize(),
            commit.pageCount(),
            Math.max(nowMillis, state.nextHead.committedAtMillis() + 1),
            commit.id(),
            commit.epoch(),
            stage == null ? Keys.INLINE : stage.attempt,
            pagesChanged(),
            restores);
    long[] changed = new long[commit.pages().size()];
    int count = 0;
    for (PageImage page : commit.pages()) {
      group.putPage(state, version, page);
      changed[count++] = page.number();
    }
    if (count > 0) {
      group.put(Keys.changed(state.number, version, Keys.INLINE, 0), Values.pages(changed, count));
    }
    byte[] value = record.bytes();
    group.put(Keys.version(state.number, version), value);
    group.put(Keys.of(Keys.HEAD, state.number), value);
    if (restores) {
      group.put(Keys.restored(state.number, commit.id()), Values.number(version));
    }
    if (stage != null) {
      group.delete(Keys.stage(state.number, version, stage.attempt));
    }
    if (!state.toCollect) {
      group.put(Keys.of(Keys.TO_COLLECT, state.number), new byte[0]);
      state.toCollect = true;
    }
    group.mustBeDurable();
    state.nextHead = record;
    return () -> {
      if (stage != null) {
        // Before the head: who may read this version must not take its pages for staged ones.
        state.remove(stage);
      }
      state.head = record;
    };
  }

  private long pagesChanged() {
    long count = commit.pages().size();
    if (stage != null) {
      count += stage.pages.countTo(commit.pageCount());
      for (PageImage page : commit.pages()) {
        count -= stage.pages.has(page.number()) ? 1 : 0;
      }
    }
    return count;
  }

  void release(Stages stages, boolean committed) {
    if (stage != null) {
      stages.unseal(before, stage, committed);
    }
  }
}
