package dev.grpsqlite.server.contract;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.grpsqlite.server.auth.Access;
import dev.grpsqlite.server.auth.AccessRules;
import dev.grpsqlite.server.auth.Quota;
import dev.grpsqlite.server.auth.QuotaStore;
import dev.grpsqlite.server.spi.Commit;
import dev.grpsqlite.server.spi.CommitId;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.PageImage;
import dev.grpsqlite.server.spi.PageStore;
import dev.grpsqlite.server.spi.SessionId;
import dev.grpsqlite.server.spi.SnapshotPins;
import dev.grpsqlite.server.spi.StoreException;
import dev.grpsqlite.server.spi.StoreException.Code;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.time.Clock;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.stream.LongStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Quotas over a store. */
@Timeout(120)
public abstract class QuotaContract {
  private static final int PAGE_SIZE = 512;
  private static final SessionId SESSION = new SessionId(1, 1);

  @TempDir protected @Nullable Path folder;
  private final Access access =
      Access.by(rules("quota a/** databases=2 bytes=5120 database-bytes=4096"));
  private @Nullable PageStore opened;
  private @Nullable PageStore quotas;
  private long ids;

  /** Opens an empty store. */
  protected abstract PageStore open(SnapshotPins pins, Clock clock, Path folder) throws Exception;

  private static AccessRules rules(String quota) {
    try {
      return AccessRules.parse("allow * admin **\n" + quota);
    } catch (Exception e) {
      throw new AssertionError(e);
    }
  }

  @BeforeEach
  void open() throws Exception {
    opened = open(database -> 0, Clock.systemUTC(), folder == null ? Path.of("") : folder);
    quotas = new QuotaStore(opened, access, Quota.ofAll(Long.MAX_VALUE, Long.MAX_VALUE));
  }

  @AfterEach
  void close() {
    if (opened != null) {
      opened.close();
    }
  }

  private PageStore store() {
    PageStore current = quotas;
    if (current == null) {
      throw new AssertionError("not open");
    }
    return current;
  }

  private DatabaseId make(String name) throws Exception {
    return store().findOrCreate(name).get().id();
  }

  private Commit commit(PageStore store, DatabaseId database, int pages) throws Exception {
    long epoch = store.acquireLease(database, SESSION, Optional.empty()).get().epoch();
    return new Commit(
        database,
        SESSION,
        epoch,
        new CommitId(7, ++ids),
        store.head(database).get().version(),
        PAGE_SIZE,
        pages,
        null,
        LongStream.rangeClosed(1, pages)
            .mapToObj(number -> new PageImage(number, 0, 0, ByteBuffer.allocate(0)))
            .toList());
  }

  private long resize(DatabaseId database, int pages) throws Exception {
    return store().commit(commit(store(), database, pages)).get();
  }

  private interface Call {
    CompletableFuture<?> run() throws Exception;
  }

  private static void refused(Call call) {
    ExecutionException failed = assertThrows(ExecutionException.class, () -> call.run().get());
    if (failed.getCause() instanceof StoreException e) {
      assertEquals(Code.QUOTA, e.code(), e.getMessage());
      return;
    }
    throw new AssertionError(failed);
  }

  private void refusedSize(DatabaseId database, int pages) throws Exception {
    long head = store().head(database).get().version();
    refused(() -> store().commit(commit(store(), database, pages)));
    assertEquals(head, store().head(database).get().version());
  }

  @Test
  void databasesHaveNoMoreThanTheirQuotaTogetherAndEach() throws Exception {
    DatabaseId one = make("a/1");
    DatabaseId two = make("a/2");
    DatabaseId outside = make("b/1");
    resize(outside, 100);
    refusedSize(one, 9);
    resize(one, 8);
    refusedSize(two, 3);
    resize(two, 2);
    refusedSize(two, 3);
    resize(one, 7);
    resize(two, 3);
  }

  @Test
  void databasesAreCounted() throws Exception {
    DatabaseId one = make("a/1");
    make("a/2");
    make("a/2");
    refused(() -> store().findOrCreate("a/3"));
    assertEquals(Optional.empty(), store().find("a/3").get());
    make("b/1");
    store().drop(one).get();
    make("a/3");
    refused(() -> store().findOrCreate("a/1"));
  }

  @Test
  void whatWasThereBeforeIsCountedAndWhatIsTooLargeMayShrink() throws Exception {
    PageStore plain = opened;
    if (plain == null) {
      throw new AssertionError("not open");
    }
    DatabaseId one = plain.findOrCreate("a/1").get().id();
    plain.commit(commit(plain, one, 20)).get();
    refusedSize(one, 21);
    resize(one, 19);
    refusedSize(one, 20);
    resize(one, 8);
    refusedSize(one, 9);
  }

  @Test
  void newRulesCountWhatThereIs() throws Exception {
    DatabaseId one = make("a/1");
    resize(one, 8);
    access.replace(rules(""));
    resize(one, 20);
    access.replace(rules("quota **/1 bytes=10752"));
    resize(one, 21);
    refusedSize(one, 22);
  }

  @Test
  void p5_aCommitThatWasAppliedIsAnsweredAsThen() throws Exception {
    DatabaseId one = make("a/1");
    resize(one, 1);
    Commit commit = commit(store(), one, 8);
    assertEquals(2, store().commit(commit).get());
    assertEquals(2, store().commit(commit).get());
    resize(one, 2);
    // There is no room for it any more, but it was applied.
    access.replace(rules("quota a/** bytes=1024"));
    assertEquals(2, store().commit(commit).get());
    refusedSize(one, 3);
  }

  @Test
  void aGroupHasRoomForAllOfItOrIsRefused() throws Exception {
    if (!store().capabilities().commitGroup()) {
      return;
    }
    DatabaseId one = make("a/1");
    DatabaseId two = make("a/2");
    // Each has room, both together have not; what is refused leaves nothing reserved.
    for (int i = 0; i < 2; i++) {
      List<Commit> tooMuch = List.of(commit(store(), one, 6), commit(store(), two, 5));
      refused(() -> store().commitGroup(tooMuch));
      assertEquals(0, store().head(one).get().version());
      assertEquals(0, store().head(two).get().version());
    }
    List<Commit> fits = List.of(commit(store(), one, 6), commit(store(), two, 4));
    assertEquals(List.of(1L, 1L), store().commitGroup(fits).get());
    refusedSize(two, 5);
    resize(one, 5);
    resize(two, 5);
    // There is no room for it any more, but it was applied.
    access.replace(rules("quota a/** bytes=1024"));
    assertEquals(List.of(1L, 1L), store().commitGroup(fits).get());
  }

  @Test
  void forksAndRestoresAreCounted() throws Exception {
    if (!store().capabilities().fork()) {
      return;
    }
    DatabaseId one = make("a/1");
    resize(one, 8);
    resize(one, 6);
    refused(() -> store().fork(one, 2, "a/2", new CommitId(8, 1)));
    resize(one, 1);
    store().fork(one, 3, "a/2", new CommitId(8, 2)).get();
    long epoch = store().acquireLease(one, SESSION, Optional.empty()).get().epoch();
    refused(() -> store().fork(one, 3, "a/3", new CommitId(8, 3)));
    DatabaseId two = store().find("a/2").get().orElseThrow().id();
    resize(two, 4);
    refused(() -> store().restore(one, SESSION, epoch, new CommitId(9, 9), 1));
    assertEquals(4, store().restore(one, SESSION, epoch, new CommitId(9, 8), 2).get());
  }
}
