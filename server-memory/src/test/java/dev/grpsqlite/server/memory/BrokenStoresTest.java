package dev.grpsqlite.server.memory;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.platform.engine.discovery.DiscoverySelectors.selectClass;

import dev.grpsqlite.server.contract.GroupContract;
import dev.grpsqlite.server.contract.PageStoreContract;
import dev.grpsqlite.server.spi.Commit;
import dev.grpsqlite.server.spi.CommitId;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.LeaseState;
import dev.grpsqlite.server.spi.PageImage;
import dev.grpsqlite.server.spi.PageStore;
import dev.grpsqlite.server.spi.Snapshot;
import dev.grpsqlite.server.spi.SnapshotPins;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.nio.file.Path;
import java.time.Clock;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.BiFunction;
import org.junit.jupiter.api.Test;
import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.engine.support.descriptor.MethodSource;
import org.junit.platform.launcher.TestExecutionListener;
import org.junit.platform.launcher.TestIdentifier;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;

/** The contract's tests bite: a store that breaks a promise fails one that is named after it. */
class BrokenStoresTest {
  @Test
  void aStoreThatBreaksNothingPasses() {
    assertEquals(Set.of(), failing(Unbroken.class));
  }

  @Test
  void p1_applyingPartOfACommitIsFound() {
    assertFound("p1_", AppliesPart.class);
  }

  @Test
  void p3_ignoringTheLeaseIsFound() {
    assertFound("p3_", IgnoresTheLease.class);
  }

  @Test
  void p4_ignoringTheBaseIsFound() {
    assertFound("p4_", IgnoresTheBase.class);
  }

  @Test
  void p5_forgettingCommitIdsIsFound() {
    assertFound("p5_", ForgetsCommitIds.class);
  }

  @Test
  void p6_readingTheHeadForAnyVersionIsFound() {
    assertFound("p6_", ReadsTheHead.class);
  }

  @Test
  void p1_applyingAGroupOneByOneIsFound() {
    assertEquals(Set.of(), failing(UnbrokenGroups.class));
    assertFound("p1_", AppliesGroupsOneByOne.class);
  }

  @Test
  void p5_forgettingTheIdsOfAGroupIsFound() {
    assertFound("p5_", ForgetsGroups.class);
  }

  private static void assertFound(String promise, Class<?> broken) {
    Set<String> failing = failing(broken);
    assertTrue(
        failing.stream().anyMatch(name -> name.startsWith(promise)), () -> "failing: " + failing);
  }

  private static Set<String> failing(Class<?> contract) {
    Set<String> failing = new TreeSet<>();
    AtomicLong passed = new AtomicLong();
    TestExecutionListener listener =
        new TestExecutionListener() {
          @Override
          public void executionFinished(TestIdentifier test, TestExecutionResult result) {
            if (!test.isTest()) {
              return;
            }
            if (result.getStatus() == TestExecutionResult.Status.SUCCESSFUL) {
              passed.incrementAndGet();
            } else {
              failing.add(((MethodSource) test.getSource().orElseThrow()).getMethodName());
            }
          }
        };
    LauncherFactory.create()
        .execute(
            LauncherDiscoveryRequestBuilder.request().selectors(selectClass(contract)).build(),
            listener);
    assertFalse(passed.get() == 0, "nothing ran");
    return failing;
  }

  static class Unbroken extends PageStoreContract {
    @Override
    protected PageStore open(SnapshotPins pins, Clock clock, Path folder) {
      return new MemoryPageStore(pins, clock);
    }
  }

  /** Loses the last page of a commit, if the database has such a page from before. */
  static class AppliesPart extends PageStoreContract {
    @Override
    protected PageStore open(SnapshotPins pins, Clock clock, Path folder) {
      return changingCommits(
          new MemoryPageStore(pins, clock),
          (store, commit) -> {
            List<PageImage> pages = commit.pages();
            Snapshot head = store.head(commit.database()).join();
            if (pages.size() < 2 || pages.get(pages.size() - 1).number() > head.pageCount()) {
              return commit;
            }
            return with(
                commit,
                commit.epoch(),
                commit.id(),
                commit.baseVersion(),
                pages.subList(0, pages.size() - 1));
          });
    }
  }

  /** Commits as if whoever asks had the lease. */
  static class IgnoresTheLease extends PageStoreContract {
    @Override
    protected PageStore open(SnapshotPins pins, Clock clock, Path folder) {
      return changingCommits(
          new MemoryPageStore(pins, clock),
          (store, commit) -> {
            LeaseState lease = store.lease(commit.database()).join();
            return lease.holder() == null
                ? commit
                : new Commit(
                    commit.database(),
                    lease.holder(),
                    lease.epoch(),
                    commit.id(),
                    commit.baseVersion(),
                    commit.pageSize(),
                    commit.pageCount(),
                    commit.stage(),
                    commit.pages());
          });
    }
  }

  /** Commits upon whatever the head is. */
  static class IgnoresTheBase extends PageStoreContract {
    @Override
    protected PageStore open(SnapshotPins pins, Clock clock, Path folder) {
      return changingCommits(
          new MemoryPageStore(pins, clock),
          (store, commit) ->
              with(
                  commit,
                  commit.epoch(),
                  commit.id(),
                  store.head(commit.database()).join().version(),
                  commit.pages()));
    }
  }

  /** Takes each sending of a commit for another one. */
  static class ForgetsCommitIds extends PageStoreContract {
    private final AtomicLong next = new AtomicLong();

    @Override
    protected PageStore open(SnapshotPins pins, Clock clock, Path folder) {
      return changingCommits(
          new MemoryPageStore(pins, clock),
          (store, commit) ->
              with(
                  commit,
                  commit.epoch(),
                  new CommitId(-1, next.incrementAndGet()),
                  commit.baseVersion(),
                  commit.pages()));
    }
  }

  /** Shows the newest images, whichever version is asked for. */
  static class ReadsTheHead extends PageStoreContract {
    @Override
    protected PageStore open(SnapshotPins pins, Clock clock, Path folder) {
      MemoryPageStore store = new MemoryPageStore(pins, clock);
      return intercepting(
          store,
          "read",
          arguments -> {
            DatabaseId database = (DatabaseId) arguments[0];
            Snapshot head = store.head(database).join();
            long[] pages = (long[]) arguments[2];
            if (Arrays.stream(pages).allMatch(page -> page <= head.pageCount())) {
              arguments[1] = head.version();
            }
            return arguments;
          });
    }
  }

  static class UnbrokenGroups extends GroupContract {
    @Override
    protected PageStore open(SnapshotPins pins, Clock clock, Path folder) {
      return new MemoryPageStore(pins, clock);
    }
  }

  /** Commits one database after the other, up to the first that is refused. */
  static class AppliesGroupsOneByOne extends GroupContract {
    @Override
    protected PageStore open(SnapshotPins pins, Clock clock, Path folder) {
      return committingGroups(
          new MemoryPageStore(pins, clock),
          (store, commits) -> {
            List<Long> versions = new ArrayList<>();
            for (Commit commit : commits) {
              CompletableFuture<Long> version = store.commit(commit);
              if (version.isCompletedExceptionally()) {
                return version.thenApply(List::of);
              }
              versions.add(version.join());
            }
            return CompletableFuture.completedFuture(versions);
          });
    }
  }

  /** Takes each sending of a group for another one. */
  static class ForgetsGroups extends GroupContract {
    private final AtomicLong next = new AtomicLong();

    @Override
    protected PageStore open(SnapshotPins pins, Clock clock, Path folder) {
      return committingGroups(
          new MemoryPageStore(pins, clock),
          (store, commits) ->
              store.commitGroup(
                  commits.stream()
                      .map(
                          commit ->
                              with(
                                  commit,
                                  commit.epoch(),
                                  new CommitId(-1, next.incrementAndGet()),
                                  commit.baseVersion(),
                                  commit.pages()))
                      .toList()));
    }
  }

  @SuppressWarnings("unchecked") // what the SPI says
  private static PageStore committingGroups(
      PageStore store,
      BiFunction<PageStore, List<Commit>, CompletableFuture<List<Long>>> commitGroup) {
    return (PageStore)
        Proxy.newProxyInstance(
            PageStore.class.getClassLoader(),
            new Class<?>[] {PageStore.class},
            (proxy, called, arguments) -> {
              if (called.getName().equals("commitGroup")) {
                return commitGroup.apply(store, (List<Commit>) arguments[0]);
              }
              try {
                return called.invoke(store, arguments);
              } catch (InvocationTargetException e) {
                throw e.getCause() == null ? e : e.getCause();
              }
            });
  }

  private static Commit with(
      Commit commit, long epoch, CommitId id, long baseVersion, List<PageImage> pages) {
    return new Commit(
        commit.database(),
        commit.holder(),
        epoch,
        id,
        baseVersion,
        commit.pageSize(),
        commit.pageCount(),
        commit.stage(),
        pages);
  }

  private static PageStore changingCommits(
      MemoryPageStore store, BiFunction<MemoryPageStore, Commit, Commit> change) {
    return intercepting(
        store,
        "commit",
        arguments -> {
          try {
            arguments[0] = change.apply(store, (Commit) arguments[0]);
          } catch (java.util.concurrent.CompletionException e) {
            // There is no such database; the store says so itself.
          }
          return arguments;
        });
  }

  private static PageStore intercepting(
      PageStore store, String method, java.util.function.UnaryOperator<Object[]> change) {
    return (PageStore)
        Proxy.newProxyInstance(
            PageStore.class.getClassLoader(),
            new Class<?>[] {PageStore.class},
            (proxy, called, arguments) -> {
              try {
                return called.invoke(
                    store, called.getName().equals(method) ? change.apply(arguments) : arguments);
              } catch (InvocationTargetException e) {
                throw e.getCause() == null ? e : e.getCause();
              }
            });
  }
}
