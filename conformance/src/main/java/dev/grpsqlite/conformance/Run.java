package dev.grpsqlite.conformance;

import dev.grpsqlite.proto.file.GetCapabilitiesResponse;
import dev.grpsqlite.proto.v1.CloseSessionRequest;
import dev.grpsqlite.proto.v1.CloseSessionResponse;
import dev.grpsqlite.proto.v1.DropDatabaseRequest;
import dev.grpsqlite.proto.v1.DropDatabaseResponse;
import dev.grpsqlite.proto.v1.OpenSessionRequest;
import dev.grpsqlite.proto.v1.OpenSessionResponse;
import dev.grpsqlite.proto.v1.PageStoreGrpc;
import dev.grpsqlite.proto.v1.StatDatabaseRequest;
import dev.grpsqlite.proto.v1.StatDatabaseResponse;
import io.grpc.Status.Code;
import io.grpc.StatusRuntimeException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Consumer;

/**
 * One run of rules against one server. Several rules are checked at a time, each with databases of
 * its own; most of the time goes by while leases end. In the end the databases are dropped, where
 * the server lets them be.
 */
final class Run implements AutoCloseable {
  /** A rule that takes longer has found a server that hangs. */
  private static final long RULE_SECONDS = 75;

  /** A run ends within two minutes, whatever the server does. */
  private static final long RUN_SECONDS = 105;

  private static final int THREADS = 12;

  private final Target target;
  private final Names names = new Names();
  private final Keeper keeper;
  private final Offer offer;

  /** Asks the server what it has. */
  Run(Target target) throws NoServerException {
    this.target = target;
    this.keeper = new Keeper(target.channel());
    Trial trial = trial(new Offer(Optional.empty(), Optional.empty(), false));
    Optional<GetCapabilitiesResponse> file = ask(() -> FileClient.capabilities(trial));
    Optional<OpenSessionResponse> page = ask(this::openSession);
    offer = new Offer(file, page, page.isPresent() && hasAdmin(trial));
    if (file.isEmpty() && page.isEmpty()) {
      throw new NoServerException(
          "the server at "
              + target.address()
              + " has neither grpc_vfs.Grpsqlite nor grpsqlite.v1.PageStore");
    }
  }

  private Trial trial(Offer known) {
    return new Trial(target, known, names, keeper);
  }

  @FunctionalInterface
  private interface Question<T> {
    T answer();
  }

  private <T> Optional<T> ask(Question<T> question) throws NoServerException {
    try {
      return Optional.of(question.answer());
    } catch (StatusRuntimeException e) {
      if (e.getStatus().getCode() == Code.UNIMPLEMENTED) {
        return Optional.empty();
      }
      throw new NoServerException(
          (e.getStatus().getCode() == Code.UNAVAILABLE
                  ? "no server at " + target.address()
                  : "the server at " + target.address() + " does not let us in")
              + ": "
              + Expect.shown(e.getStatus())
              + rootCause(e));
    }
  }

  private static String rootCause(Throwable error) {
    Throwable cause = error.getCause();
    while (cause != null && cause.getCause() != null) {
      cause = cause.getCause();
    }
    return cause == null ? "" : ": " + cause.getMessage();
  }

  private OpenSessionResponse openSession() {
    PageStoreGrpc.PageStoreBlockingStub stub =
        PageStoreGrpc.newBlockingStub(target.channel())
            .withDeadlineAfter(Target.CALL_SECONDS, TimeUnit.SECONDS);
    var id = PageClient.id();
    OpenSessionResponse answer =
        stub.openSession(OpenSessionRequest.newBuilder().setSessionId(id).build());
    CloseSessionResponse unused =
        stub.closeSession(CloseSessionRequest.newBuilder().setSessionId(id).build());
    return answer;
  }

  private boolean hasAdmin(Trial trial) {
    try {
      StatDatabaseResponse unused =
          trial.admin().statDatabase(StatDatabaseRequest.newBuilder().setName("none").build());
      return true;
    } catch (StatusRuntimeException e) {
      return e.getStatus().getCode() != Code.UNIMPLEMENTED;
    }
  }

  Offer offer() {
    return offer;
  }

  /**
   * Checks rules, and tells of each as soon as it and those before it are done.
   *
   * @param services which services to look at; the server has them
   */
  List<Result> check(
      List<Rule> rules, Set<Service> services, KnownFailures known, Consumer<Result> listener)
      throws InterruptedException {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(RUN_SECONDS);
    ExecutorService threads = Executors.newFixedThreadPool(THREADS, Run::thread);
    offer.page().ifPresent(page -> keeper.start(page.getTtlMs()));
    try {
      Map<Rule, Future<Result>> checks = new HashMap<>();
      // Those first that take as long as a lease lives.
      rules.stream()
          .filter(rule -> services.contains(rule.need().service()))
          .sorted(Comparator.comparing(rule -> !rule.lasts()))
          .forEach(rule -> checks.put(rule, threads.submit(() -> checked(rule))));
      List<Result> results = new ArrayList<>();
      for (Rule rule : rules) {
        Future<Result> check = checks.get(rule);
        if (check != null) {
          Result result = judged(await(rule, check, end), known);
          results.add(result);
          listener.accept(result);
        }
      }
      return results;
    } finally {
      threads.shutdownNow();
      dropAll();
    }
  }

  private static Thread thread(Runnable work) {
    Thread thread = new Thread(work, "rules");
    thread.setDaemon(true);
    return thread;
  }

  private static Result await(Rule rule, Future<Result> check, long end)
      throws InterruptedException {
    try {
      return check.get(
          Math.min(end - System.nanoTime(), TimeUnit.SECONDS.toNanos(RULE_SECONDS)),
          TimeUnit.NANOSECONDS);
    } catch (TimeoutException e) {
      boolean unused = check.cancel(true);
      return new Result(
          rule, notKept(rule), "it could not be checked in time: the server hangs", 0);
    } catch (ExecutionException e) {
      throw new IllegalStateException(rule.number() + " cannot be checked", e.getCause());
    }
  }

  private static Result judged(Result result, KnownFailures known) {
    Rule rule = result.rule();
    String reason = known.reasons().get(rule.number());
    if (reason == null) {
      return result;
    }
    return switch (result.kind()) {
      case FAILED, MISSED ->
          new Result(rule, Result.Kind.KNOWN, reason + ": " + result.detail(), result.millis());
      case PASSED ->
          new Result(
              rule,
              Result.Kind.FIXED,
              "it is kept, but the known-failures file says: " + reason,
              result.millis());
      case KNOWN, FIXED, SKIPPED -> result;
    };
  }

  private Result checked(Rule rule) throws Exception {
    if (!rule.need().isSatisfiedBy(offer)) {
      return new Result(rule, Result.Kind.SKIPPED, "for servers with " + rule.need().text(), 0);
    }
    long start = System.nanoTime();
    Trial trial = trial(offer);
    Result.Kind kind = Result.Kind.PASSED;
    String detail = "";
    try {
      rule.check().run(trial);
    } catch (Violation e) {
      kind = notKept(rule);
      detail = String.valueOf(e.getMessage());
    } catch (StatusRuntimeException e) {
      kind = notKept(rule);
      detail = "not expected: " + String.valueOf(e.getMessage()).replace("\n", ", ");
    } catch (NotShown e) {
      kind = Result.Kind.SKIPPED;
      detail = String.valueOf(e.getMessage());
    } finally {
      trial.end();
    }
    return new Result(rule, kind, detail, (System.nanoTime() - start) / 1_000_000);
  }

  private static Result.Kind notKept(Rule rule) {
    return rule.isRequired() ? Result.Kind.FAILED : Result.Kind.MISSED;
  }

  @Override
  public void close() {
    keeper.close();
  }

  /** The Admin service drops databases; the file service can at least empty them. */
  private void dropAll() {
    Trial trial = trial(offer);
    for (String name : names.given()) {
      try {
        if (offer.admin()) {
          DropDatabaseResponse unused =
              trial.admin().dropDatabase(DropDatabaseRequest.newBuilder().setName(name).build());
        } else if (offer.file().isPresent()) {
          FileClient client = new FileClient(trial, name).acquire();
          for (String file : List.of(name, client.journal(), name + "-wal")) {
            client.delete(file);
          }
          client.close(name);
        }
      } catch (StatusRuntimeException e) {
        if (e.getStatus().getCode() == Code.UNAVAILABLE
            || e.getStatus().getCode() == Code.DEADLINE_EXCEEDED) {
          return;
        }
      }
    }
  }
}
