package dev.grpsqlite.server.rocksdb;

import dev.grpsqlite.server.rocksdb.Engine.Tier;
import dev.grpsqlite.server.rocksdb.Values.Attempt;
import dev.grpsqlite.server.rocksdb.Values.Forked;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.PageImage;
import dev.grpsqlite.server.spi.SessionId;
import dev.grpsqlite.server.spi.StageId;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.rocksdb.RocksDBException;

/**
 * Finds pages as of a version (P6). The argument why what it finds is right is with {@link
 * dev.grpsqlite.server.rocksdb the package}; the order of its steps is part of it. Thread-safe.
 */
final class PageReader {
  /** The largest page number that a database can have: SQLite's limit. */
  static final long LAST_PAGE = 4294967294L;

  private static final ByteBuffer ZEROS = ByteBuffer.allocate(0).asReadOnlyBuffer();

  private final Engine engine;
  private final Databases databases;
  private final Versions versions;

  PageReader(Engine engine, Databases databases, Versions versions) {
    this.engine = engine;
    this.databases = databases;
    this.versions = versions;
  }

  List<PageImage> read(DatabaseId id, long version, long[] pages, Tier tier)
      throws RocksDBException {
    return read(id, null, null, version, pages, tier);
  }

  List<PageImage> readStaged(
      DatabaseId id, SessionId session, StageId stage, long version, long[] pages, Tier tier)
      throws RocksDBException {
    return read(id, session, stage, version, pages, tier);
  }

  private List<PageImage> read(
      DatabaseId id,
      @Nullable SessionId session,
      @Nullable StageId stageId,
      long version,
      long[] pages,
      Tier tier)
      throws RocksDBException {
    while (true) {
      DatabaseState state = databases.get(id, tier);
      VersionRecord at = versions.readable(state, version, tier);
      // Behind the look at the head, before the iterator.
      List<Stage> stages = state.stages();
      Stage stage = null;
      if (session != null && stageId != null) {
        stage = state.stage(session, stageId);
        if (stage == null) {
          throw RocksErrors.noSuchStage(state);
        }
      }
      check(state, at, pages, stage != null);
      try (PageImages images = new PageImages(engine, tier, state, pages)) {
        // Behind the images: they have nothing of what is deleted from now on.
        if (state.stale) {
          continue;
        }
        if (version < state.oldest) {
          throw RocksErrors.tooOld(state, version, state.oldest);
        }
        List<PageImage> found = new ArrayList<>(pages.length);
        for (long page : pages) {
          PageImage image = stage == null ? null : staged(images, state, stage, page);
          found.add(
              image != null
                  ? image
                  : page > at.pageCount()
                      ? new PageImage(page, 0, 0, ZEROS)
                      : newest(images, state, at, page, stages));
        }
        return found;
      }
    }
  }

  private static void check(
      DatabaseState state, VersionRecord at, long[] pages, boolean beyondTheEnd) {
    long last = beyondTheEnd ? LAST_PAGE : at.pageCount();
    for (long page : pages) {
      if (page < 1 || page > last) {
        throw RocksErrors.invalid(
            state,
            "page %d is not within the %d pages of version %d"
                .formatted(page, at.pageCount(), at.version()));
      }
    }
  }

  private static PageImage newest(
      PageImages images, DatabaseState state, VersionRecord at, long page, List<Stage> stages)
      throws RocksDBException {
    images.seek(state.number, page, at.version(), Keys.INLINE);
    for (; images.isValid(); images.next()) {
      byte[] key = images.key();
      long version = Keys.pageVersionOf(key);
      if (!isStaged(stages, version, Keys.pageAttemptOf(key))) {
        return image(state, page, version, at.pageSize(), images.value());
      }
    }
    images.checkStatus();
    for (Forked origin : state.origins) {
      images.seek(origin.parent(), page, origin.version(), Keys.INLINE);
      for (; images.isValid(); images.next()) {
        byte[] key = images.key();
        Attempt attempt = new Attempt(Keys.pageVersionOf(key), Keys.pageAttemptOf(key));
        if (!origin.skipped().contains(attempt)) {
          return image(state, page, 0, at.pageSize(), images.value());
        }
      }
      images.checkStatus();
    }
    throw new IllegalStateException(
        "page %d of database %s, version %d, is missing".formatted(page, state.name, at.version()));
  }

  private static @Nullable PageImage staged(
      PageImages images, DatabaseState state, Stage stage, long page) throws RocksDBException {
    images.seek(state.number, page, stage.version, stage.attempt);
    if (images.isNamed()) {
      return image(state, page, 0, stage.record.pageSize(), images.value());
    }
    images.checkStatus();
    return null;
  }

  /** Whether an image belongs to a stage: one that is not committed, or is being deleted. */
  static boolean isStaged(List<Stage> stages, long version, int attempt) {
    for (Stage each : stages) {
      if (each.version == version && each.attempt == attempt) {
        return true;
      }
    }
    return false;
  }

  private static PageImage image(
      DatabaseState state, long page, long version, int pageSize, byte[] value) {
    ByteBuffer from = ByteBuffer.wrap(value);
    if (value.length != 8 && value.length != 8 + pageSize) {
      throw new IllegalStateException(
          "page %d of database %s, version %d, has %d bytes instead of %d"
              .formatted(page, state.name, version, value.length - 8, pageSize));
    }
    long checksum = from.getLong();
    return new PageImage(page, version, checksum, from.slice());
  }
}
