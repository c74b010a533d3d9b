package dev.grpsqlite.e2e.history;

import dev.grpsqlite.e2e.history.Step.Kind;
import dev.grpsqlite.e2e.history.Violation.Anomaly;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Strict serializability of transactions that append to lists and read them.
 *
 * <p>Each appended value is unique, so a list tells who wrote it and in what order. After all else
 * the history must have a read of every list; so all writes of a key have a known and total order,
 * and with it everything that one transaction must come before another for is known: it wrote an
 * earlier version, it wrote what the other read, it read what the other one replaced, or it ended
 * before the other began. A serial order that agrees with the clocks exists if and only if these
 * make no cycle.
 */
public final class ListChecker {
  private record Value(long key, long value) {}

  private final List<Transaction> transactions;
  private final Map<Value, Integer> writers = new HashMap<>();
  private final Map<Long, List<Long>> orders = new HashMap<>();
  private final List<Violation> violations = new ArrayList<>();

  private ListChecker(List<Transaction> transactions) {
    this.transactions = transactions;
  }

  /** What is wrong; the transactions may come in any order. */
  public static List<Violation> check(List<Transaction> transactions) {
    return new ListChecker(transactions).check();
  }

  private List<Violation> check() {
    findWriters();
    for (Transaction transaction : transactions) {
      // What a transaction saw that did not commit is not known to be of one moment.
      if (transaction.outcome() == Outcome.OK) {
        checkReads(transaction);
      }
    }
    checkWrites();
    if (violations.isEmpty()) {
      Precedence precedence = new Precedence(transactions);
      addDependencies(precedence);
      precedence.addClocks();
      violations.addAll(precedence.violations());
    }
    return violations;
  }

  private void violation(Anomaly anomaly, String text) {
    violations.add(new Violation(anomaly, text));
  }

  private void findWriters() {
    for (int i = 0; i < transactions.size(); i++) {
      for (Step step : transactions.get(i).steps()) {
        if (step.kind() == Kind.APPEND
            && writers.put(new Value(step.key(), step.values().get(0)), i) != null) {
          throw new IllegalArgumentException("appended by two: " + step);
        }
      }
    }
  }

  private void checkReads(Transaction reader) {
    Map<Long, List<Long>> expected = new HashMap<>();
    Map<Long, List<Long>> appended = new HashMap<>();
    for (Step step : reader.steps()) {
      if (step.kind() == Kind.APPEND) {
        appended.computeIfAbsent(step.key(), key -> new ArrayList<>()).add(step.values().get(0));
        if (expected.containsKey(step.key())) {
          expected.get(step.key()).add(step.values().get(0));
        }
      } else {
        checkRead(reader, step);
        List<Long> own = appended.getOrDefault(step.key(), List.of());
        List<Long> wanted = expected.get(step.key());
        if (!endsWith(step.values(), own) || (wanted != null && !wanted.equals(step.values()))) {
          violation(Anomaly.INTERNAL, reader.toString());
        }
        expected.put(step.key(), new ArrayList<>(step.values()));
      }
    }
  }

  private void checkRead(Transaction reader, Step read) {
    Set<Long> seen = new HashSet<>();
    for (long value : read.values()) {
      if (!seen.add(value)) {
        violation(Anomaly.APPLIED_TWICE, value + " in " + reader);
      }
      Integer writer = writers.get(new Value(read.key(), value));
      if (writer == null) {
        violation(Anomaly.INVENTED_READ, value + " in " + reader);
      } else if (transactions.get(writer).outcome() == Outcome.FAIL) {
        violation(Anomaly.ABORTED_READ, reader + " saw " + transactions.get(writer));
      }
    }
    checkIntermediate(reader, read);
    List<Long> longest = orders.getOrDefault(read.key(), List.of());
    boolean isLonger = read.values().size() > longest.size();
    if (isLonger ? !startsWith(read.values(), longest) : !startsWith(longest, read.values())) {
      violation(Anomaly.INCOMPATIBLE_ORDER, reader + " and " + longest + " elsewhere");
    }
    if (isLonger) {
      orders.put(read.key(), read.values());
    }
  }

  private void checkIntermediate(Transaction reader, Step read) {
    if (read.values().isEmpty()) {
      return;
    }
    long last = read.values().get(read.values().size() - 1);
    Integer writer = writers.get(new Value(read.key(), last));
    if (writer == null || transactions.get(writer).id().equals(reader.id())) {
      return;
    }
    List<Long> all = appendedBy(transactions.get(writer), read.key());
    if (all.get(all.size() - 1) != last) {
      violation(Anomaly.INTERMEDIATE_READ, reader + " saw a part of " + transactions.get(writer));
    }
  }

  private void checkWrites() {
    for (Transaction writer : transactions) {
      int appends = 0;
      int there = 0;
      for (Step step : writer.steps()) {
        if (step.kind() == Kind.APPEND) {
          appends++;
          if (orders.getOrDefault(step.key(), List.of()).contains(step.values().get(0))) {
            there++;
          }
        }
      }
      if (there > 0 && there < appends) {
        violation(Anomaly.NOT_WHOLE, there + " of " + appends + " appends of " + writer);
      } else if (there < appends && writer.outcome() == Outcome.OK) {
        violation(Anomaly.LOST_COMMIT, writer.toString());
      }
    }
  }

  private void addDependencies(Precedence precedence) {
    orders.forEach(
        (key, order) -> {
          for (int i = 1; i < order.size(); i++) {
            precedence.add(
                writer(key, order.get(i - 1)),
                writer(key, order.get(i)),
                Precedence.Why.OVERWRITES,
                key);
          }
        });
    for (int i = 0; i < transactions.size(); i++) {
      Transaction reader = transactions.get(i);
      if (reader.outcome() != Outcome.OK) {
        continue;
      }
      for (Step step : reader.steps()) {
        if (step.kind() != Kind.LIST) {
          continue;
        }
        // What it appended itself comes last and says nothing.
        int length = step.values().size();
        while (length > 0 && writer(step.key(), step.values().get(length - 1)) == i) {
          length--;
        }
        List<Long> order = orders.getOrDefault(step.key(), List.of());
        if (length > 0) {
          precedence.add(
              writer(step.key(), order.get(length - 1)), i, Precedence.Why.SEES, step.key());
        }
        if (length < order.size()) {
          precedence.add(
              i, writer(step.key(), order.get(length)), Precedence.Why.MISSED, step.key());
        }
      }
    }
  }

  private int writer(long key, long value) {
    Integer writer = writers.get(new Value(key, value));
    if (writer == null) {
      throw new IllegalStateException("reads are checked before: " + key + " " + value);
    }
    return writer;
  }

  private static List<Long> appendedBy(Transaction writer, long key) {
    return writer.steps().stream()
        .filter(step -> step.kind() == Kind.APPEND && step.key() == key)
        .map(step -> step.values().get(0))
        .toList();
  }

  private static boolean startsWith(List<Long> list, List<Long> start) {
    return list.size() >= start.size() && list.subList(0, start.size()).equals(start);
  }

  private static boolean endsWith(List<Long> list, List<Long> end) {
    return list.size() >= end.size()
        && list.subList(list.size() - end.size(), list.size()).equals(end);
  }
}
