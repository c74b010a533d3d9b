package dev.grpsqlite.server.fdb;

import com.apple.foundationdb.Database;
import com.apple.foundationdb.FDBException;
import com.apple.foundationdb.KeyValue;
import com.apple.foundationdb.Range;
import com.apple.foundationdb.ReadTransaction;
import com.apple.foundationdb.Transaction;
import com.apple.foundationdb.TransactionOptions;
import com.apple.foundationdb.async.AsyncIterable;
import com.apple.foundationdb.tuple.ByteArrayUtil;
import java.lang.reflect.InvocationHandler;
import java.lang.reflect.Proxy;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * What this store uses of FoundationDB, in memory: transactions that read one version, and of two
 * that conflict the later one is tried again; its limits of keys, values and transactions; watches.
 * On request it also fails as a cluster does: attempts that are refused, and attempts whose outcome
 * nobody hears of, some of which were applied.
 *
 * <p>A transaction that reads what it has written is not simulated, and refused. Thread-safe.
 */
final class FakeCluster implements AutoCloseable {
  private static final int NOT_COMMITTED = 1020;
  private static final int COMMIT_UNKNOWN_RESULT = 1021;
  private static final int TRANSACTION_TOO_OLD = 1007;
  private static final int CANCELLED = 1025;
  private static final int KEY_TOO_LARGE = 2102;
  private static final int VALUE_TOO_LARGE = 2103;
  private static final int TRANSACTION_TOO_LARGE = 2101;

  private static final int MOST_KEY_BYTES = 10_000;
  private static final int MOST_VALUE_BYTES = 100_000;
  private static final long MOST_TRANSACTION_BYTES = 10_000_000;

  /** Of the option that the next write conflicts with nothing. */
  private static final int NEXT_WRITE_NO_WRITE_CONFLICT_RANGE = 30;

  /** How many commits a transaction may be behind. */
  private static final int WINDOW = 20_000;

  private static final byte[] GONE = new byte[0]; // by identity

  private final ExecutorService executor =
      Executors.newCachedThreadPool(
          work -> {
            Thread thread = new Thread(work, "fake-fdb");
            thread.setDaemon(true);
            return thread;
          });
  private final Random random;
  private final double faults;
  private volatile CompletableFuture<Void> committing = CompletableFuture.completedFuture(null);

  // Under the monitor.
  private final TreeMap<byte[], TreeMap<Long, byte[]>> data =
      new TreeMap<>(ByteArrayUtil::compareUnsigned);
  private final Deque<Committed> committed = new ArrayDeque<>();
  private final Map<CompletableFuture<Void>, byte[]> watches = new HashMap<>();
  private long version = 1;
  private long largest;
  private long unknownResults;
  private boolean silent;

  private record Committed(long version, List<Range> written) {}

  FakeCluster() {
    this(0, 0);
  }

  /**
   * @param faults how probably a commit is refused, and as probably ends with an unknown outcome
   */
  FakeCluster(long seed, double faults) {
    this.random = new Random(seed);
    this.faults = faults;
  }

  /** Bytes of the largest transaction that was committed. */
  synchronized long largest() {
    return largest;
  }

  synchronized long unknownResults() {
    return unknownResults;
  }

  /** From here on, watches see nothing, as when a process is cut off for a while. */
  synchronized void loseWatches() {
    silent = true;
    watches.clear();
  }

  /** From here on, commits wait for this. */
  void commitAfter(CompletableFuture<Void> go) {
    committing = go;
  }

  /** How many keys there are now in a range. */
  synchronized int count(Range range) {
    int count = 0;
    for (TreeMap<Long, byte[]> values : data.subMap(range.begin, range.end).values()) {
      count += values.lastEntry().getValue() == GONE ? 0 : 1;
    }
    return count;
  }

  /** Another client of the cluster. */
  Database connect() {
    boolean[] closed = new boolean[1];
    return proxy(
        Database.class,
        (self, method, arguments) -> {
          switch (method.getName()) {
            case "close" -> {
              closed[0] = true;
              return null;
            }
            case "runAsync" -> {
              @SuppressWarnings("unchecked")
              Function<Transaction, CompletableFuture<Object>> work =
                  (Function<Transaction, CompletableFuture<Object>>) arguments[0];
              CompletableFuture<Object> answer = new CompletableFuture<>();
              attempt(work, answer, closed);
              return answer;
            }
            default -> throw new UnsupportedOperationException(method.toString());
          }
        });
  }

  @Override
  public void close() {
    executor.shutdownNow();
  }

  private static <T> T proxy(Class<T> type, InvocationHandler handler) {
    return type.cast(
        Proxy.newProxyInstance(FakeCluster.class.getClassLoader(), new Class<?>[] {type}, handler));
  }

  private void attempt(
      Function<Transaction, CompletableFuture<Object>> work,
      CompletableFuture<Object> answer,
      boolean[] closed) {
    if (closed[0]) {
      answer.completeExceptionally(new FDBException("cancelled", CANCELLED));
      return;
    }
    Attempt attempt = new Attempt();
    CompletableFuture<Object> result;
    try {
      result = work.apply(attempt.transaction());
    } catch (RuntimeException e) {
      result = CompletableFuture.failedFuture(e);
    }
    CompletableFuture<Object> unused =
        result
            .thenCombineAsync(
                committing,
                (value, go) -> {
                  attempt.commit();
                  return value;
                },
                executor)
            .whenComplete(
                (value, error) -> {
                  if (error == null) {
                    answer.complete(value);
                  } else if (FdbErrors.cause(error) instanceof FDBException e
                      && List.of(NOT_COMMITTED, COMMIT_UNKNOWN_RESULT, TRANSACTION_TOO_OLD)
                          .contains(e.getCode())) {
                    executor.execute(() -> attempt(work, answer, closed));
                  } else {
                    answer.completeExceptionally(FdbErrors.cause(error));
                  }
                });
  }

  private byte @Nullable [] valueAt(@Nullable NavigableMap<Long, byte[]> values, long at) {
    Map.Entry<Long, byte[]> entry = values == null ? null : values.floorEntry(at);
    return entry == null || entry.getValue() == GONE ? null : entry.getValue();
  }

  /** One attempt at a transaction. */
  private final class Attempt {
    private long readVersion = -1;
    private final List<Range> read = new ArrayList<>();
    private final List<Range> written = new ArrayList<>();
    private final List<Range> touched = new ArrayList<>();
    private final List<Runnable> changes = new ArrayList<>();
    private final List<byte[]> watched = new ArrayList<>();
    private final List<CompletableFuture<Void>> watching = new ArrayList<>();
    private long bytes;
    private boolean noConflictNext;

    Transaction transaction() {
      return proxy(Transaction.class, handler(false));
    }

    private InvocationHandler handler(boolean snapshot) {
      TransactionOptions options =
          new TransactionOptions(
              (code, parameter) -> {
                if (code == NEXT_WRITE_NO_WRITE_CONFLICT_RANGE) {
                  noConflictNext = true;
                }
              });
      return (self, method, arguments) -> {
        synchronized (FakeCluster.this) {
          return switch (method.getName()) {
            case "getReadVersion" -> later(readVersion());
            case "getApproximateSize" -> later(bytes);
            case "options" -> options;
            case "snapshot" -> proxy(ReadTransaction.class, handler(true));
            case "get" -> later(get((byte[]) arguments[0], snapshot));
            case "getRange" -> {
              if (arguments[0] instanceof Range range) {
                yield range(
                    range.begin, range.end, (int) arguments[1], (boolean) arguments[2], snapshot);
              }
              yield range(
                  (byte[]) arguments[0],
                  (byte[]) arguments[1],
                  (int) arguments[2],
                  (boolean) arguments[3],
                  snapshot);
            }
            case "set" -> set((byte[]) arguments[0], (byte[]) arguments[1]);
            case "clear" -> {
              if (arguments[0] instanceof Range range) {
                yield clear(range.begin, range.end);
              }
              byte[] key = (byte[]) arguments[0];
              yield clear(key, arguments.length == 1 ? behind(key) : (byte[]) arguments[1]);
            }
            case "addReadConflictKey" -> {
              byte[] key = (byte[]) arguments[0];
              readVersion();
              read.add(new Range(key, behind(key)));
              yield null;
            }
            case "watch" -> {
              CompletableFuture<Void> watch = new CompletableFuture<>();
              watched.add((byte[]) arguments[0]);
              watching.add(watch);
              yield watch;
            }
            default -> throw new UnsupportedOperationException(method.toString());
          };
        }
      };
    }

    private byte[] behind(byte[] key) {
      return ByteArrayUtil.join(key, new byte[1]);
    }

    @SuppressWarnings("NullAway") // a future's value is not checked
    private <T> CompletableFuture<T> later(@Nullable T value) {
      return CompletableFuture.supplyAsync(() -> value, executor);
    }

    private long readVersion() {
      if (readVersion < 0) {
        readVersion = version;
      }
      return readVersion;
    }

    private void reads(byte[] begin, byte[] end, boolean snapshot) {
      for (Range range : touched) {
        if (intersect(range, begin, end)) {
          throw new AssertionError("a transaction reads what it has written");
        }
      }
      if (!snapshot) {
        read.add(new Range(begin, end));
        bytes += begin.length + end.length;
      }
    }

    private byte @Nullable [] get(byte[] key, boolean snapshot) {
      long at = readVersion();
      reads(key, behind(key), snapshot);
      byte[] value = valueAt(data.get(key), at);
      return value == null ? null : value.clone();
    }

    private AsyncIterable<?> range(
        byte[] begin, byte[] end, int limit, boolean backwards, boolean snapshot) {
      long at = readVersion();
      reads(begin, end, snapshot);
      List<KeyValue> found = new ArrayList<>();
      if (ByteArrayUtil.compareUnsigned(begin, end) < 0) {
        NavigableMap<byte[], TreeMap<Long, byte[]>> part = data.subMap(begin, true, end, false);
        for (Map.Entry<byte[], TreeMap<Long, byte[]>> entry :
            (backwards ? part.descendingMap() : part).entrySet()) {
          byte[] value = valueAt(entry.getValue(), at);
          if (value != null) {
            found.add(new KeyValue(entry.getKey().clone(), value.clone()));
            if (found.size() == limit) {
              break;
            }
          }
        }
      }
      List<KeyValue> answer = Collections.unmodifiableList(found);
      return proxy(
          AsyncIterable.class,
          (self, method, arguments) -> {
            if (method.getName().equals("asList")) {
              return later(answer);
            }
            throw new UnsupportedOperationException(method.toString());
          });
    }

    private @Nullable Object set(byte[] key, byte[] value) {
      if (key.length > MOST_KEY_BYTES) {
        throw new FDBException("key_too_large", KEY_TOO_LARGE);
      }
      if (value.length > MOST_VALUE_BYTES) {
        throw new FDBException("value_too_large", VALUE_TOO_LARGE);
      }
      byte[] keyCopy = key.clone();
      byte[] copy = value.clone();
      writes(keyCopy, behind(keyCopy), key.length + value.length);
      changes.add(() -> put(keyCopy, copy));
      return null;
    }

    private @Nullable Object clear(byte[] begin, byte[] end) {
      if (ByteArrayUtil.compareUnsigned(begin, end) > 0) {
        throw new FDBException("inverted_range", 2005);
      }
      byte[] from = begin.clone();
      byte[] to = end.clone();
      writes(from, to, begin.length + end.length);
      changes.add(
          () -> {
            for (byte[] key : new ArrayList<>(data.subMap(from, true, to, false).keySet())) {
              put(key, GONE);
            }
          });
      return null;
    }

    private void writes(byte[] begin, byte[] end, long size) {
      touched.add(new Range(begin, end));
      bytes += size + 12;
      if (!noConflictNext) {
        written.add(new Range(begin, end));
        bytes += begin.length + end.length;
      }
      noConflictNext = false;
    }

    private void put(byte[] key, byte[] value) {
      TreeMap<Long, byte[]> values = data.computeIfAbsent(key, each -> new TreeMap<>());
      values.put(version, value);
      while (values.size() > 1 && values.higherKey(values.firstKey()) < version - WINDOW) {
        values.pollFirstEntry();
      }
      if (value == GONE && values.size() == 1) {
        data.remove(key);
      }
    }

    void commit() {
      List<CompletableFuture<Void>> fired = new ArrayList<>();
      synchronized (FakeCluster.this) {
        if (!changes.isEmpty()) {
          if (bytes > MOST_TRANSACTION_BYTES) {
            throw new FDBException("transaction_too_large", TRANSACTION_TOO_LARGE);
          }
          double dice = faults == 0 ? 1 : random.nextDouble();
          if (dice < faults || conflicts()) {
            throw new FDBException("not_committed", NOT_COMMITTED);
          }
          boolean unknown = dice < 2 * faults;
          if (unknown) {
            unknownResults++;
          }
          if (!unknown || random.nextBoolean()) {
            apply(fired);
          }
          if (unknown) {
            executor.execute(() -> fired.forEach(watch -> watch.complete(null)));
            throw new FDBException("commit_unknown_result", COMMIT_UNKNOWN_RESULT);
          }
        }
        for (int i = 0; i < watched.size(); i++) {
          if (silent) {
            continue;
          }
          if (changedSince(watched.get(i))) {
            fired.add(watching.get(i));
          } else {
            watches.put(watching.get(i), watched.get(i));
          }
        }
      }
      executor.execute(() -> fired.forEach(watch -> watch.complete(null)));
    }

    private boolean changedSince(byte[] key) {
      long at = changes.isEmpty() ? readVersion() : version;
      TreeMap<Long, byte[]> values = data.get(key);
      return !Arrays.equals(valueAt(values, at), valueAt(values, version));
    }

    private boolean conflicts() {
      if (read.isEmpty()) {
        return false;
      }
      if (!committed.isEmpty()
          && committed.size() == WINDOW
          && committed.peekFirst().version() > readVersion) {
        throw new FDBException("transaction_too_old", TRANSACTION_TOO_OLD);
      }
      for (java.util.Iterator<Committed> each = committed.descendingIterator(); each.hasNext(); ) {
        Committed other = each.next();
        if (other.version <= readVersion) {
          return false;
        }
        for (Range mine : read) {
          for (Range theirs : other.written) {
            if (intersect(theirs, mine.begin, mine.end)) {
              return true;
            }
          }
        }
      }
      return false;
    }

    private void apply(List<CompletableFuture<Void>> fired) {
      version++;
      changes.forEach(Runnable::run);
      largest = Math.max(largest, bytes);
      committed.addLast(new Committed(version, written));
      if (committed.size() > WINDOW) {
        committed.removeFirst();
      }
      watches
          .entrySet()
          .removeIf(
              watch -> {
                boolean hit =
                    touched.stream()
                        .anyMatch(
                            range -> intersect(range, watch.getValue(), behind(watch.getValue())));
                if (hit) {
                  fired.add(watch.getKey());
                }
                return hit;
              });
    }
  }

  private static boolean intersect(Range range, byte[] begin, byte[] end) {
    return ByteArrayUtil.compareUnsigned(range.begin, end) < 0
        && ByteArrayUtil.compareUnsigned(begin, range.end) < 0;
  }
}
