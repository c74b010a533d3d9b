package dev.grpsqlite.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.grpsqlite.conformance.Broken.Base;
import dev.grpsqlite.proto.v1.PageStoreGrpc;
import dev.grpsqlite.server.launch.ServerOptions;
import io.grpc.Channel;
import io.grpc.Status;
import java.nio.file.Path;
import java.time.Duration;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Each rule is seen to be broken by a server that breaks it. */
@Timeout(120)
@Execution(ExecutionMode.CONCURRENT)
class BrokenServersTest {
  private static final Map<Base, GoodServer> GOOD = new EnumMap<>(Base.class);
  private static final Map<Base, Target> TARGETS = new EnumMap<>(Base.class);

  @BeforeAll
  static void serve() throws Exception {
    ServerOptions options = ServerOptions.DEFAULTS;
    open(Base.VERSIONED, "versioned", options);
    open(Base.HASTY, "versioned", options.withSessionTtl(Duration.ofMillis(2500)));
    open(Base.MEMORY, "memory", options);
    open(Base.WRITE_THROUGH, "memory", options.withAtomicBatch(false));
  }

  private static void open(Base base, String backend, ServerOptions options) throws Exception {
    GoodServer server = new GoodServer(backend, Path.of("unused"), options);
    GOOD.put(base, server);
    TARGETS.put(base, server.target());
  }

  @AfterAll
  static void stop() {
    TARGETS.values().forEach(Target::close);
    GOOD.values().forEach(GoodServer::close);
  }

  static Stream<Broken> broken() {
    return Stream.of(
            BrokenFileServers.ALL,
            BrokenPageServers.SESSIONS,
            BrokenPageServers.MARKS,
            BrokenPageServers.COMMITS,
            BrokenPageServers.WATCH,
            BrokenPageServers.VERSIONS)
        .flatMap(List::stream);
  }

  @ParameterizedTest
  @MethodSource("broken")
  void isSeen(Broken broken) throws Exception {
    Channel good = good(broken.base());
    Faults faults = new Faults(good);
    broken.faults().accept(faults);
    Result result = check(Main.selected(broken.rule()), faults).get(0);
    assertEquals(
        result.rule().isRequired() ? Result.Kind.FAILED : Result.Kind.MISSED,
        result.kind(),
        Report.line(result));
    assertFalse(result.detail().isEmpty());
    assertFalse(result.detail().contains("in time"), Report.line(result));
  }

  /** So that what is seen is the fault, and not the forwarding. */
  @ParameterizedTest
  @EnumSource(Base.class)
  void isNotSeenWithoutTheFault(Base base) throws Exception {
    List<Rule> rules =
        Main.selected(
            broken()
                .filter(broken -> broken.base() == base && !broken.rule().equals("PAGE-73"))
                .map(Broken::rule)
                .collect(Collectors.joining(",")));
    List<Result> results = check(rules, new Faults(good(base)));
    for (Result result : results) {
      assertEquals(Result.Kind.PASSED, result.kind(), Report.line(result));
    }
    assertEquals(rules.size(), results.size());
  }

  @Test
  void aServerWithoutGroupsCanSayThatItHasNone() throws Exception {
    Faults faults = new Faults(good(Base.VERSIONED));
    withoutGroups(faults);
    Result result = check(Main.selected("PAGE-73"), faults).get(0);
    assertEquals(Result.Kind.PASSED, result.kind(), Report.line(result));
  }

  @Test
  void aServerWithoutMarksIsNotAskedAboutThem() throws Exception {
    Faults faults = new Faults(good(Base.VERSIONED));
    withoutMarks(faults);
    Set<String> ofMarks =
        BrokenPageServers.MARKS.stream()
            .map(Broken::rule)
            .collect(Collectors.toCollection(TreeSet::new));
    ofMarks.add("ADMIN-18");
    for (Result result : check(Main.selected("PAGE-1*,PAGE-2*,PAGE-3*,ADMIN-1*"), faults)) {
      if (ofMarks.remove(result.rule().number())) {
        assertEquals(Result.Kind.SKIPPED, result.kind(), Report.line(result));
        assertEquals("its versions have no marks", result.detail());
      } else {
        assertTrue(
            result.kind() == Result.Kind.PASSED || result.detail().startsWith("for servers with"),
            Report.line(result));
      }
    }
    assertEquals(Set.of(), ofMarks);
  }

  /** None of our servers is without marks. */
  private static void withoutMarks(Faults faults) {
    faults
        .told(
            PageStoreGrpc.getOpenDatabaseMethod(),
            answer -> {
              var changed = answer.toBuilder();
              changed.getSnapshotBuilder().clearMark();
              return changed.build();
            })
        .told(
            PageStoreGrpc.getRefreshMethod(),
            answer -> {
              var changed = answer.toBuilder();
              changed.getHeadBuilder().clearMark();
              return changed.build();
            })
        .told(
            PageStoreGrpc.getAcquireLeaseMethod(),
            answer -> {
              var changed = answer.toBuilder();
              changed.getHeadBuilder().clearMark();
              return changed.build();
            });
  }

  /** None of our servers is without groups. */
  private static void withoutGroups(Faults faults) {
    faults
        .told(
            PageStoreGrpc.getOpenSessionMethod(),
            answer -> {
              var changed = answer.toBuilder();
              changed.getCapabilitiesBuilder().setCommitGroup(false);
              return changed.build();
            })
        .on(
            PageStoreGrpc.getCommitGroupMethod(),
            (request, next) -> {
              throw io.grpc.protobuf.StatusProto.toStatusRuntimeException(
                  com.google.rpc.Status.newBuilder()
                      .setCode(Status.Code.UNIMPLEMENTED.value())
                      .addDetails(
                          com.google.protobuf.Any.pack(
                              com.google.rpc.ErrorInfo.newBuilder()
                                  .setDomain("grpsqlite")
                                  .setReason("UNSUPPORTED")
                                  .build()))
                      .build());
            });
  }

  private static Channel good(Base base) {
    Target target = TARGETS.get(base);
    if (target == null) {
      throw new AssertionError("no such server");
    }
    return target.channel();
  }

  private static List<Result> check(List<Rule> rules, Faults faults) throws Exception {
    try (FaultyServer server = new FaultyServer(faults);
        Target target = server.target();
        Run run = new Run(target)) {
      return run.check(rules, Set.of(Service.values()), KnownFailures.NONE, result -> {});
    }
  }

  @Test
  void eachRuleHasAServerThatBreaksIt() {
    Set<String> without = new TreeSet<>();
    Rules.ALL.forEach(rule -> without.add(rule.number()));
    assertEquals(Rules.ALL.size(), without.size(), "two rules have the same number");
    broken().forEach(broken -> without.remove(broken.rule()));
    assertEquals(Set.of(), without, "rules that no broken server breaks");
  }
}
