package dev.grpsqlite.server.auth;

import dev.grpsqlite.server.auth.AccessException.Code;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.DatabaseInfo;
import dev.grpsqlite.server.spi.PageStore;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;

/**
 * Who made one call, and what it may do by the rules as they are when it is asked. Immutable,
 * thread-safe.
 */
public final class Caller {
  private static final CompletableFuture<Boolean> YES = CompletableFuture.completedFuture(true);

  private final Access access;
  private final String identity;
  private final @Nullable Token token;

  /**
   * @param token by which it is known; null if by something else
   */
  Caller(Access access, String identity, @Nullable Token token) {
    this.access = access;
    this.identity = identity;
    this.token = token;
  }

  /** Whether the rules, as they are now, would let it in again. */
  public boolean isKnown() {
    AccessRules rules = access.rules();
    return rules == null
        || (rules.knows(identity)
            && (token == null || identity.equals(rules.identityOf(token).orElse(null))));
  }

  /** The name of who calls; empty where the server asks nobody. */
  public String identity() {
    return identity;
  }

  /** By what it is judged now; null where everybody may do everything. */
  public @Nullable AccessRules rules() {
    return access.rules();
  }

  public boolean may(String database, Right right) {
    AccessRules rules = access.rules();
    return rules == null || rules.right(identity, database).compareTo(right) >= 0;
  }

  /** Fails with NOT_ALLOWED. */
  public void require(String database, Right right) {
    if (!may(database, right)) {
      throw new AccessException(
          Code.NOT_ALLOWED,
          identity + " may not " + right.name().toLowerCase(Locale.ROOT) + " " + database);
    }
  }

  /** Whether it may do this with a database of this id. Fails with NO_SUCH_DATABASE. */
  public CompletableFuture<Boolean> may(PageStore store, DatabaseId database, Right right) {
    return access.rules() == null ? YES : name(store, database).thenApply(name -> may(name, right));
  }

  /**
   * Complete when it is clear that it may do this with a database of this id: at once, as a rule.
   * Fails with NOT_ALLOWED and NO_SUCH_DATABASE.
   */
  public CompletableFuture<Boolean> require(PageStore store, DatabaseId database, Right right) {
    return access.rules() == null
        ? YES
        : name(store, database)
            .thenApply(
                name -> {
                  require(name, right);
                  return true;
                });
  }

  /** As {@link PageStore#list}, of those databases that it may read. */
  public CompletableFuture<List<DatabaseInfo>> list(
      PageStore store, String prefix, String after, int limit) {
    AccessRules rules = access.rules();
    if (rules == null) {
      return store.list(prefix, after, limit);
    }
    // What has no such beginning need not be looked at.
    List<String> prefixes =
        rules.readablePrefixes(identity).stream()
            .filter(readable -> readable.startsWith(prefix) || prefix.startsWith(readable))
            .map(readable -> readable.startsWith(prefix) ? readable : prefix)
            .toList();
    return new Listing(this, store, prefixes, after, limit).run();
  }

  private CompletableFuture<String> name(PageStore store, DatabaseId database) {
    String known = access.names().get(database);
    return known != null
        ? CompletableFuture.completedFuture(known)
        : store
            .info(database)
            .thenApply(DatabaseInfo::name)
            .whenComplete(
                (name, error) -> {
                  if (error == null) {
                    access.names().put(database, name);
                  }
                });
  }
}
