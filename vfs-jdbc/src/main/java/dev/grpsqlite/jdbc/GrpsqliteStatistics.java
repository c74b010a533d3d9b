package dev.grpsqlite.jdbc;

import java.sql.SQLException;
import jnr.ffi.LibraryLoader;
import jnr.ffi.annotations.Out;
import org.jspecify.annotations.Nullable;

/**
 * What this process has done with all its gRPSQLite servers since it began. {@code PRAGMA
 * grpsqlite_stats} says on a connection what is of its server and of its database's cache.
 *
 * @param servers that have an open database now
 * @param rpcs made for SQLite
 * @param retries of them
 * @param connects connections to servers
 * @param bytesSent with them
 * @param bytesReceived with them
 * @param commits that changed something
 * @param pagesCommitted in them
 * @param pagesStaged sent ahead of commits
 * @param watchEvents that servers told by themselves
 * @param transactionsUnasked transactions begun within max_staleness_ms, without a round trip
 * @param leasesYielded because someone else waited
 * @param transactionsDelegated read transactions begun under a read delegation, without a round
 *     trip
 */
public record GrpsqliteStatistics(
    long servers,
    long rpcs,
    long retries,
    long connects,
    long bytesSent,
    long bytesReceived,
    long commits,
    long pagesCommitted,
    long pagesStaged,
    long watchEvents,
    long transactionsUnasked,
    long leasesYielded,
    long transactionsDelegated) {

  /** The library's functions, under their own names, as jnr-ffi wants them. */
  public interface Functions {
    int grpsqlite_stats(@Out long[] values, int count);
  }

  private static @Nullable Functions functions;

  /**
   * As it is now. Thread-safe.
   *
   * @throws SQLException if the extension cannot be loaded
   */
  public static GrpsqliteStatistics ofProcess() throws SQLException {
    long[] v = new long[GrpsqliteStatistics.class.getRecordComponents().length];
    int known = functions().grpsqlite_stats(v, v.length);
    if (known < v.length) {
      throw new SQLException("the extension that is loaded counts " + known + " things only");
    }
    return new GrpsqliteStatistics(
        v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8], v[9], v[10], v[11], v[12]);
  }

  private static synchronized Functions functions() throws SQLException {
    Functions loaded = functions;
    if (loaded == null) {
      // Opening it again by its name finds the one that SQLite uses.
      String library = NativeLibrary.registered().path().toString();
      loaded = LibraryLoader.create(Functions.class).failImmediately().load(library);
      functions = loaded;
    }
    return loaded;
  }
}
