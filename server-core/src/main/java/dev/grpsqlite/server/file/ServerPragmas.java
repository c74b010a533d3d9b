package dev.grpsqlite.server.file;

import dev.grpsqlite.proto.file.PragmaRequest;
import dev.grpsqlite.proto.file.PragmaResponse;
import dev.grpsqlite.server.auth.Caller;
import dev.grpsqlite.server.auth.Right;
import dev.grpsqlite.server.session.Versions;
import dev.grpsqlite.server.session.Versions.Choice;
import dev.grpsqlite.server.spi.CommitId;
import dev.grpsqlite.server.spi.DatabaseInfo;
import dev.grpsqlite.server.spi.PageStore;
import dev.grpsqlite.server.spi.StoreException;
import dev.grpsqlite.server.wire.Names;
import dev.grpsqlite.server.wire.Reason;
import dev.grpsqlite.server.wire.RequestException;
import dev.grpsqlite.server.wire.Statuses;
import io.grpc.Status;
import java.security.SecureRandom;
import java.util.Locale;
import java.util.concurrent.CompletableFuture;

/**
 * The PRAGMAs that are the server's: {@code grpsqlite_fork} and {@code grpsqlite_restore}, as
 * grpc_vfs.proto tells. Thread-safe.
 */
final class ServerPragmas {
  private final PageStore store;
  private final FileLeases leases;
  private final Versions versions;
  private final SecureRandom random;

  ServerPragmas(PageStore store, FileLeases leases, Versions versions, SecureRandom random) {
    this.store = store;
    this.leases = leases;
    this.versions = versions;
    this.random = random;
  }

  CompletableFuture<PragmaResponse> answer(PragmaRequest request, Caller caller) {
    // SQLite does not tell upper case from lower in the name of a PRAGMA.
    return switch (request.getPragmaName().toLowerCase(Locale.ROOT)) {
      case "grpsqlite_fork" -> own(() -> fork(request, caller));
      case "grpsqlite_restore" -> own(() -> restore(request, caller));
      default -> throw Status.NOT_FOUND.withDescription("SQLite's own").asRuntimeException();
    };
  }

  @FunctionalInterface
  private interface Action {
    CompletableFuture<String> run();
  }

  private static CompletableFuture<PragmaResponse> own(Action action) {
    CompletableFuture<String> result;
    try {
      result = action.run();
    } catch (RuntimeException e) {
      throw Statuses.ofPragma(e);
    }
    return result.handle(
        (text, error) -> {
          if (error != null) {
            throw Statuses.ofPragma(error);
          }
          return PragmaResponse.newBuilder().setResponse(text).build();
        });
  }

  private CompletableFuture<String> fork(PragmaRequest request, Caller caller) {
    checkCanDo(store.capabilities().fork(), "cannot fork databases");
    String newName = Names.checked(request.getPragmaValue());
    caller.require(newName, Right.WRITE);
    return versions
        .fork(name(request, caller, Right.READ), Choice.head(), newName, newId())
        .thenApply(DatabaseInfo::name);
  }

  private CompletableFuture<String> restore(PragmaRequest request, Caller caller) {
    checkCanDo(store.capabilities().timeTravel(), "keeps no versions to restore");
    Choice choice = Choice.number(version(request.getPragmaValue()));
    CommitId id = newId();
    String name = name(request, caller, Right.WRITE);
    return store
        .find(name)
        .thenApply(found -> found.orElseThrow(() -> StoreException.noSuchDatabase(name)))
        .thenCompose(
            info ->
                request.getLeaseId().isEmpty()
                    ? versions
                        .restore(info.id(), choice, id)
                        .thenApply(version -> version.orElseThrow(() -> leaseHeld(info.name())))
                    : leases
                        .require(request.getLeaseId(), info.id(), caller)
                        .thenCompose(
                            lease ->
                                versions.restore(
                                    info.id(), choice, id, lease.session(), lease.epoch())))
        .thenApply(version -> Long.toString(version));
  }

  private static long version(String value) {
    try {
      long version = Long.parseLong(value);
      if (version >= 0) {
        return version;
      }
    } catch (NumberFormatException e) {
      // Told below, as a negative number is.
    }
    throw RequestException.invalid(
        "PRAGMA grpsqlite_restore=N takes the number of a version; \"" + value + "\" is none");
  }

  /** Of the database that is asked about, if it may be. */
  private static String name(PragmaRequest request, Caller caller, Right right) {
    String name = Names.checked(request.getDatabase());
    caller.require(name, right);
    return name;
  }

  private CommitId newId() {
    return new CommitId(random.nextLong(), random.nextLong());
  }

  private static void checkCanDo(boolean can, String lack) {
    if (!can) {
      throw new RequestException(Reason.UNSUPPORTED, "this server's storage " + lack);
    }
  }

  private static RequestException leaseHeld(String name) {
    return new RequestException(
        Reason.LEASE_HELD,
        "a client has the lease of "
            + name
            + ", maybe this one, which keeps it after it wrote; close its connections first");
  }
}
